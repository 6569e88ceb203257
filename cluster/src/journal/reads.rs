//! Many who want to read what is newest, one question to the leader.
//!
//! Promises that a reader is answered by a question that was asked after the reader came, never by one that was on
//! its way: what was acknowledged in between would be missing.

use futures::future::BoxFuture;
use tokio::sync::{mpsc, oneshot};

use crate::journal::AskError;

/// Readers that may wait for the next question. More are told that the node is overloaded.
const READERS_MAX: usize = 4096;

type Answer = Result<u64, AskError>;

/// Collects readers. Cheap to clone; the task ends when the last clone is gone.
#[derive(Clone)]
pub(super) struct Reads(mpsc::Sender<oneshot::Sender<Answer>>);

impl Reads {
    /// Starts the task that asks. Needs a running tokio.
    pub(super) fn start(
        ask: impl Fn() -> BoxFuture<'static, Answer> + Send + 'static,
    ) -> (Self, impl Future<Output = ()> + Send) {
        let (readers, mut waiting) = mpsc::channel::<oneshot::Sender<Answer>>(READERS_MAX);
        let rounds = async move {
            while let Some(first) = waiting.recv().await {
                let mut round = vec![first];
                while let Ok(more) = waiting.try_recv() {
                    round.push(more);
                }
                let answer = ask().await;
                for reader in round {
                    // A reader who went away changes nothing.
                    let _ = reader.send(answer.clone());
                }
            }
        };
        (Self(readers), rounds)
    }

    /// Returns an index that everything acknowledged before this call is not behind.
    pub(super) async fn index(&self) -> Answer {
        let (reader, answer) = oneshot::channel();
        self.0.try_send(reader).map_err(|_| AskError::Overloaded)?;
        answer.await.unwrap_or(Err(AskError::Stopped))
    }
}
