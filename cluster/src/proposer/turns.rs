//! When the next batch may leave while others are on their way.
//!
//! One batch after the other makes the largest batches: whoever is answered asks again, and shares the next entry and its
//! sync with all the others. That is best as long as a batch takes little more than its sync. Where the other members are
//! milliseconds away, disks and line lie idle meanwhile, and whoever missed a batch waits out a whole round trip. So the
//! disk has its say first, and then the line:
//!
//! ```text
//!   leaves ── is written ──► on this disk ── waits for the others ──► answered: the next leaves, as ever
//!                                               └─ twice as long as it was written: the next leaves beside it
//! ```
//!
//! On a quick network it is answered before. Promises nothing but that; the bound on how many there are is the
//! proposer's.

use std::time::Duration;

use tokio::time::Instant;

/// How much longer than for its sync a batch waits for the others before the next leaves. The others sync too, and on a
/// disk that several share one after the other: until then a second batch would only wait behind the first there.
const SYNCS: u32 = 2;

/// The least that a batch waits for the others before the next leaves: what the runtime's timers tell apart. A network
/// that answers within it is a quick one.
const LEAST: Duration = Duration::from_millis(1);

/// How far a batch on its way has come.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stage {
    left: Instant,
    synced: Option<Instant>,
}

impl Stage {
    /// Leaves now.
    pub(super) fn leaving() -> Self {
        Self { left: Instant::now(), synced: None }
    }

    /// Notes that the batch is on this node's disk, when it was not before.
    pub(super) fn note_synced(&mut self) {
        self.synced.get_or_insert_with(Instant::now);
    }

    /// Returns from when on the next batch may leave; `None` before this one is on this node's disk.
    pub(super) fn gives_way_at(&self) -> Option<Instant> {
        let synced = self.synced?;
        Some(synced + LEAST.max(SYNCS * (synced - self.left)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_batch_gives_way_when_it_has_waited_for_others_for_much_longer_than_for_its_disk() {
        let begun = Instant::now();
        let mut stage = Stage::leaving();
        assert_eq!(stage.gives_way_at(), None, "its disk writes");
        tokio::time::advance(Duration::from_millis(4)).await;
        stage.note_synced();
        tokio::time::advance(Duration::from_millis(4)).await;
        stage.note_synced();
        assert_eq!(stage.gives_way_at(), Some(begun + Duration::from_millis(12)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_disk_that_takes_no_time_leaves_the_others_some() {
        let mut stage = Stage::leaving();
        stage.note_synced();
        assert_eq!(stage.gives_way_at(), Some(Instant::now() + LEAST));
    }
}
