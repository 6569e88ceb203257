//! One slot: claims a task, does it, tells its outcome, again and again.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::Worker;
use crate::api::{Agent, Claim, LeasedTask};
use crate::client::{Error, backoff};

/// How long a claim waits for work at the node; then it is made anew, which costs next to nothing.
const CLAIM_WAIT: Duration = Duration::from_secs(30);

/// How long a worker that is not allowed to take work waits before it asks again.
const UNAVAILABLE_WAIT: Duration = Duration::from_secs(1);

impl Worker {
    /// Serves until nothing new is to be taken. The error is for good.
    pub(super) async fn serve(&self, agent: &Agent) -> Result<(), Error> {
        while !self.0.leaving.is_cancelled() {
            let key = self.0.client.new_key();
            for leased in self.claim(agent, &key).await? {
                let stop = CancellationToken::new();
                self.0.hands.take(&leased.task.id, leased.attempt, stop.clone());
                self.attempt(agent, leased, stop).await?;
            }
        }
        Ok(())
    }

    /// Claims a task: the same question under the same key until there is an answer, because a lease may have
    /// been granted that the answer to was lost.
    async fn claim(&self, agent: &Agent, key: &str) -> Result<Vec<LeasedTask>, Error> {
        let claim = Claim {
            agent_id: agent.id.clone(),
            capabilities: None,
            max: 1,
            wait_ms: u64::try_from(CLAIM_WAIT.as_millis()).unwrap_or(u64::MAX),
            start: true,
        };
        let mut tries = 0;
        loop {
            let answer = tokio::select! {
                biased;
                // Whoever hangs up gives back what was on its way; saying goodbye does too.
                () = self.0.leaving.cancelled() => return Ok(Vec::new()),
                answer = self.0.client.claim(&claim, key) => answer,
            };
            let error = match answer {
                Ok(claimed) => return Ok(claimed.tasks),
                Err(error) => error,
            };
            let wait = match error.code() {
                // Somebody removed it, or the node's data is new.
                "agent_unknown" => {
                    self.register_again().await?;
                    return Ok(Vec::new());
                }
                "agent_unavailable" => {
                    self.drained(agent).await?;
                    UNAVAILABLE_WAIT
                }
                _ if error.is_passing() => {
                    if tries == 0 {
                        tracing::info!(%error, "the node is away; asking again until it is back");
                    }
                    backoff(tries, self.0.client.draw()).max(error.retry_after())
                }
                _ => return Err(error),
            };
            tries = tries.saturating_add(1);
            tokio::select! {
                biased;
                () = self.0.leaving.cancelled() => return Ok(Vec::new()),
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    async fn register_again(&self) -> Result<(), Error> {
        tracing::warn!("the node does not know this worker any more; registering again");
        match self.0.client.register_agent(&self.registration()).await {
            Ok(_) => Ok(()),
            Err(error) if error.is_passing() => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Leaves when somebody drained this worker; comes back into service when it was only taken for dead.
    async fn drained(&self, agent: &Agent) -> Result<(), Error> {
        match self.0.client.heartbeat_agent(&agent.id).await {
            Ok(seen) if seen.status == "DRAINING" => {
                tracing::warn!("drained by somebody; finishing what there is and leaving");
                self.0.leaving.cancel();
                Ok(())
            }
            Ok(_) => Ok(()),
            Err(error) if error.is_denied() => Err(error),
            Err(_) => Ok(()),
        }
    }
}
