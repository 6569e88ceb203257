//! Where work that waits for a disk is done: on a thread of its own, or on the spot.
//!
//! A node offloads what sled and snapshots do to a thread, so that no task of the runtime waits for them.
//! A simulation does the same work on the spot: no threads, and always in the same order. Promises that
//! jobs run one at a time in the order they were given. Leaves bounding to the callers: each waits for its
//! job before it gives the next.

use std::sync::mpsc;

use tokio::sync::oneshot;

type Job = Box<dyn FnOnce() + Send>;

/// Does jobs that wait for a disk. Cheap to clone; the thread ends when the last clone is gone.
#[derive(Clone)]
pub enum Offload {
    /// On the spot.
    Inline,
    /// On a thread.
    Thread(mpsc::Sender<Job>),
}

/// The thread could not be started, or it has died of a panic.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the thread for disk work does not run: {0}")]
pub struct Error(String);

impl Offload {
    /// Starts a thread of that name.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn thread(name: &str) -> Result<Self, Error> {
        let (jobs, queue) = mpsc::channel::<Job>();
        let spawned = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            for job in queue {
                job();
            }
        });
        spawned.map_err(|error| Error(error.to_string()))?;
        Ok(Self::Thread(jobs))
    }

    /// Does one job and returns what it returns. A caller who stops waiting does not stop the job.
    ///
    /// # Errors
    /// When the thread has died.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Error> {
        match self {
            Self::Inline => Ok(work()),
            Self::Thread(jobs) => {
                let (sender, result) = oneshot::channel();
                let job: Job = Box::new(move || {
                    let _ = sender.send(work());
                });
                jobs.send(job).map_err(|_| Error("it has ended".to_owned()))?;
                result.await.map_err(|_| Error("its job panicked".to_owned()))
            }
        }
    }
}
