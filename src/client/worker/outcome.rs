//! Telling the node how an attempt ended, until it is heard.

use synod_actors::ports::Finish;
use tokio_util::sync::CancellationToken;

use super::Worker;
use crate::api::{Complete, Fail, Json, Release, Usage};
use crate::client::{Error, backoff};

/// What the node is told when a worker leaves before its work is done.
const LEAVING: &str = "the worker is leaving";

/// What became of an outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    /// It counts.
    Heard,
    /// Nobody wants it: the lease was lost, or there was nothing to tell.
    Unwanted,
}

/// An outcome as it is sent.
enum Outcome {
    Complete(Complete),
    Fail(Fail),
    Release(Release),
}

impl Worker {
    /// Tells the outcome of an attempt for as long as it takes; telling it twice counts once, by its attempt.
    pub(super) async fn tell(
        &self,
        task: &str,
        attempt: u32,
        finish: &Finish,
        usage: Usage,
        stop: &CancellationToken,
    ) -> Result<Told, Error> {
        let usage = Some(usage).filter(|usage| *usage != Usage::default());
        let mut outcome = match finish {
            Finish::Completed { result } => {
                Outcome::Complete(Complete { attempt, result: Some(Json::from_bytes(result)), usage })
            }
            Finish::Failed { reason, retryable } => Outcome::Fail(Fail {
                attempt,
                reason: reason.clone(),
                retryable: *retryable,
                usage,
                rate_limited_for_ms: None,
            }),
            Finish::Stopped if self.0.hands.is_giving_back() => {
                Outcome::Release(Release { attempt, reason: Some(LEAVING.to_owned()) })
            }
            // Whoever stopped it knows why; the lease is somebody else's.
            Finish::Stopped if stop.is_cancelled() => return Ok(Told::Unwanted),
            Finish::Stopped => Outcome::Fail(Fail {
                attempt,
                reason: "it stopped without being told to".to_owned(),
                retryable: true,
                usage,
                rate_limited_for_ms: None,
            }),
        };
        let mut tries = 0;
        loop {
            let error = match self.send(task, &outcome).await {
                Ok(()) => return Ok(Told::Heard),
                Err(error) => error,
            };
            if error.is_passing() {
                if tries == 0 {
                    tracing::info!(task, attempt, %error, "the outcome was not heard; telling it again");
                }
                let wait = backoff(tries, self.0.client.draw()).max(error.retry_after());
                tries = tries.saturating_add(1);
                tokio::select! {
                    biased;
                    () = self.0.gone.cancelled() => return Ok(Told::Unwanted),
                    () = tokio::time::sleep(wait) => {}
                }
                continue;
            }
            match (error.status(), &outcome) {
                // Another attempt has it, or it ended otherwise.
                (Some(404 | 409), _) => {
                    tracing::info!(task, attempt, %error, "the outcome is not wanted");
                    return Ok(Told::Unwanted);
                }
                // A result that the node cannot take is not going to change.
                (Some(400 | 413 | 422), Outcome::Complete(complete)) => {
                    let reason = format!("its result was refused: {error}");
                    let usage = complete.usage.clone();
                    outcome = Outcome::Fail(Fail {
                        attempt,
                        reason,
                        retryable: false,
                        usage,
                        rate_limited_for_ms: None,
                    });
                }
                _ => return Err(error),
            }
        }
    }

    async fn send(&self, task: &str, outcome: &Outcome) -> Result<(), Error> {
        let client = &self.0.client;
        match outcome {
            Outcome::Complete(complete) => client.complete(task, complete).await.map(drop),
            Outcome::Fail(fail) => client.fail(task, fail).await.map(drop),
            Outcome::Release(release) => client.release(task, release).await,
        }
    }
}
