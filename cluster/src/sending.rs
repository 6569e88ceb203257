//! Snapshots on their way to members, and how long the log waits for them.
//!
//! Whoever gets a snapshot goes on with the entries behind it. A leader that makes the next one meanwhile, and purges the log
//! up to that, has to send the next one as well; where sending takes longer than the log needs to grow, for ever. So the log
//! stays while a snapshot is on its way, and shortly after: etcd keeps some thousand entries for the same reason
//! (`SnapshotCatchUpEntries`), which is enough or not, as it comes.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// How long whoever has a snapshot may take to ask for the entries behind it.
const CATCHING_UP: Duration = Duration::from_secs(5);

/// What is being sent.
#[derive(Debug, Default)]
pub(crate) struct Sending(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    under_way: usize,
    ended: Option<Instant>,
}

impl Sending {
    /// Takes note that a member takes a snapshot, until what is returned is dropped.
    pub(crate) fn begin(&self) -> UnderWay<'_> {
        self.0.lock().under_way += 1;
        UnderWay(self)
    }

    /// Tells whether a member takes a snapshot, or needs the entries behind one.
    pub(crate) fn needs_the_log(&self) -> bool {
        let inner = self.0.lock();
        inner.under_way > 0 || inner.ended.is_some_and(|at| at.elapsed() < CATCHING_UP)
    }
}

/// A snapshot that a member takes.
pub(crate) struct UnderWay<'a>(&'a Sending);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        let mut inner = self.0.0.lock();
        inner.under_way -= 1;
        inner.ended = Some(Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_log_is_needed_while_one_of_several_is_on_its_way_and_shortly_after() {
        let sending = Sending::default();
        assert!(!sending.needs_the_log());
        let (first, second) = (sending.begin(), sending.begin());
        drop(first);
        tokio::time::advance(CATCHING_UP * 2).await;
        assert!(sending.needs_the_log());
        drop(second);
        assert!(sending.needs_the_log());
        tokio::time::advance(CATCHING_UP).await;
        assert!(!sending.needs_the_log());
    }
}
