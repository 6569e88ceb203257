//! Work beside an actor's mailbox that ends with the actor.
//!
//! An actor that fails leaves what it spawned behind. A proposal that it had begun would then arrive after
//! those of its successor and speak of a life that is over; under a tether it is dropped instead.

use tokio_util::sync::CancellationToken;

/// Dropping it ends what runs under it, at the next point where that waits.
#[derive(Debug, Default)]
pub(crate) struct Tether(CancellationToken);

impl Tether {
    /// Runs `work` beside the mailbox, to its end or to the tether's.
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let cut = self.0.clone();
        tokio::spawn(async move {
            tokio::select! {
                biased;
                () = cut.cancelled() => {}
                () = work => {}
            }
        });
    }
}

impl Drop for Tether {
    fn drop(&mut self) {
        self.0.cancel();
    }
}
