//! How a server ends: first no new connections, then no waiting, then no connections at all.

use tokio::sync::watch;

/// How far a stop has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    /// Everything is served.
    Serving,
    /// Requests in flight may end; who waits or streams ends at once.
    Draining,
    /// What still lasts is cut off.
    Cut,
}

/// Tells everybody who serves how far a stop has come.
#[derive(Debug)]
pub(super) struct Stopping(watch::Sender<Phase>);

impl Default for Stopping {
    fn default() -> Self {
        Self(watch::Sender::new(Phase::Serving))
    }
}

impl Stopping {
    /// Goes on to `phase`; a stop never goes back.
    pub(super) fn advance(&self, phase: Phase) {
        self.0.send_if_modified(|present| {
            let goes_on = *present < phase;
            *present = phase.max(*present);
            goes_on
        });
    }

    /// Tells whether the stop has come to `phase`.
    pub(super) fn has_reached(&self, phase: Phase) -> bool {
        *self.0.borrow() >= phase
    }

    /// Waits until the stop has come to `phase`.
    pub(super) async fn reached(&self, phase: Phase) {
        let mut phases = self.0.subscribe();
        if phases.wait_for(|present| *present >= phase).await.is_err() {
            // The sender is ours: it lives as long as this borrow.
            std::future::pending::<()>().await;
        }
    }
}
