//! The reference: a bare log in this process that syncs whatever queued up while it synced.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;

use tokio::sync::oneshot;

#[derive(Default)]
struct Queue {
    bytes: Vec<u8>,
    waiting: Vec<oneshot::Sender<()>>,
    closed: bool,
}

/// Appends records; each append returns after the record is synced.
pub(crate) struct GroupCommitLog {
    queue: Arc<(Mutex<Queue>, Condvar)>,
    committer: Option<JoinHandle<()>>,
}

impl GroupCommitLog {
    pub(crate) fn create(path: &Path) -> Self {
        let mut file = File::create(path).expect("a file");
        let queue = Arc::new((Mutex::new(Queue::default()), Condvar::new()));
        let shared = queue.clone();
        let committer = std::thread::spawn(move || {
            loop {
                let (bytes, waiting) = {
                    let (queue, wake) = &*shared;
                    let mut queue = queue.lock().expect("the queue");
                    while queue.waiting.is_empty() && !queue.closed {
                        queue = wake.wait(queue).expect("the queue");
                    }
                    if queue.waiting.is_empty() {
                        return;
                    }
                    (std::mem::take(&mut queue.bytes), std::mem::take(&mut queue.waiting))
                };
                file.write_all(&bytes).expect("a write");
                file.sync_data().expect("a sync");
                for one in waiting {
                    let _ = one.send(());
                }
            }
        });
        Self { queue, committer: Some(committer) }
    }

    pub(crate) async fn append(&self, record: &[u8]) {
        let (durable, told) = oneshot::channel();
        {
            let (queue, wake) = &*self.queue;
            let mut queue = queue.lock().expect("the queue");
            queue.bytes.extend_from_slice(record);
            queue.waiting.push(durable);
            wake.notify_one();
        }
        told.await.expect("the committer");
    }
}

impl Drop for GroupCommitLog {
    fn drop(&mut self) {
        self.queue.0.lock().expect("the queue").closed = true;
        self.queue.1.notify_one();
        if let Some(committer) = self.committer.take() {
            committer.join().expect("the committer");
        }
    }
}
