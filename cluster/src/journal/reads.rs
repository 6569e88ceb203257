//! Many who want to read what is newest, one question to the leader.
//!
//! Promises that a reader is answered by a question that was asked after the reader came, never by one that was on
//! its way: what was acknowledged in between would be missing. Promises, too, that nobody waits for longer than they
//! said because the question before theirs has no answer.

use futures::future::BoxFuture;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

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

    /// Returns an index that everything acknowledged before this call is not behind; nothing when there is none by
    /// `until`.
    pub(super) async fn index(&self, until: Instant) -> Option<Answer> {
        let (reader, answer) = oneshot::channel();
        if self.0.try_send(reader).is_err() {
            return Some(Err(AskError::Overloaded));
        }
        let answered = tokio::time::timeout_at(until, answer).await.ok()?;
        Some(answered.unwrap_or(Err(AskError::Stopped)))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures::FutureExt as _;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn a_reader_waits_no_longer_than_it_said_for_the_question_before_its_own() {
        let (reads, rounds) = Reads::start(|| {
            async {
                tokio::time::sleep(5 * SECOND).await;
                Err(AskError::NoLeader("nobody".to_owned()))
            }
            .boxed()
        });
        tokio::spawn(rounds);
        let begun = Instant::now();
        let first = reads.index(begun + 9 * SECOND);
        let second = async {
            tokio::time::sleep(SECOND).await;
            let answer = reads.index(begun + 6 * SECOND).await;
            (answer, begun.elapsed())
        };
        let (first, second) = futures::join!(first, second);
        assert_eq!(first, Some(Err(AskError::NoLeader("nobody".to_owned()))));
        assert_eq!(second, (None, 6 * SECOND));
    }
}
