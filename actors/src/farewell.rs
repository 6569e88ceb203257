//! How long a node that stops waits for what may never be agreed.
//!
//! A node says at its end what becomes of its agents and of what they had in hand. Without a quorum nobody can agree
//! to that, and nothing is lost by not saying it: the leases end with the node, and the work is redelivered. Promises
//! that from the farewell on no proposal is waited for longer than [`UNAGREED_MAX`], and that after the first that was
//! given up none is waited for at all, so that a stop as a whole waits once. Leaves to its callers what they do then.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

/// How long a node that stops waits for one proposal. An election takes about a second and a sync of a busy disk may
/// take as long; more would keep whoever stops the last nodes of a group waiting for nobody.
pub const UNAGREED_MAX: Duration = Duration::from_secs(5);

/// Whether the node stops, and whether anything can still be agreed meanwhile. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Farewell {
    begun: CancellationToken,
    hopeless: CancellationToken,
}

impl Farewell {
    /// Counts from now on.
    pub(crate) fn begin(&self) {
        self.begun.cancel();
    }

    /// Waits for a proposal; `None` when it was given up because the node stops.
    pub(crate) async fn wait<T>(&self, proposal: impl Future<Output = T>) -> Option<T> {
        let given_up = async {
            self.begun.cancelled().await;
            tokio::time::sleep(UNAGREED_MAX).await;
            tracing::warn!(
                "nothing is agreed any more; stops without having said what becomes of its agents"
            );
            self.hopeless.cancel();
        };
        tokio::select! {
            biased;
            done = proposal => Some(done),
            () = self.hopeless.cancelled() => None,
            () = given_up => None,
        }
    }

    /// Waits until nothing is waited for any more.
    pub(crate) async fn is_hopeless(&self) {
        self.hopeless.cancelled().await;
    }
}
