//! How far the log of a leader runs ahead of its disk.
//!
//! ```text
//!   append ─► readable, on its way to the disk ─► followers append and sync it too ─► their answers
//!                       └──► synced ────────────────────────────────────────────────────► wait here ─► committed
//! ```
//!
//! A leader of several voters may tell openraft of an entry before its own sync, so that the followers write while
//! it does. Promises in exchange that no answer of a follower counts before this node's disk has what it answers
//! for, that at most one append is ahead of the disk, and that a write that failed is told to everybody who waits
//! and to whoever comes later. Leaves writing, and when running ahead is right, to the
//! [log](crate::log_store); the argument is `docs/adr/0011-a-leader-syncs-beside-its-followers.md`.

use synod_storage::Error;
use tokio::sync::watch;

/// What is not on the disk yet.
#[derive(Debug, Clone)]
enum Unsynced {
    Nothing,
    /// Everything from this index on.
    From(u64),
    /// What will never be: nobody may be told anything any more.
    Lost(Error),
}

/// Tells who waits for the disk how far it is.
pub(crate) struct Ahead {
    unsynced: watch::Sender<Unsynced>,
}

impl Default for Ahead {
    fn default() -> Self {
        Self { unsynced: watch::Sender::new(Unsynced::Nothing) }
    }
}

impl Ahead {
    /// Notes that everything from this index on is on its way to the disk.
    pub(crate) fn begin(&self, first: u64) {
        self.unsynced.send_replace(Unsynced::From(first));
    }

    /// Notes how the write that was on its way ended.
    pub(crate) fn end(&self, outcome: Result<(), Error>) {
        self.unsynced.send_replace(match outcome {
            Ok(()) => Unsynced::Nothing,
            Err(error) => Unsynced::Lost(error),
        });
    }

    /// Returns why a write was lost, if one was.
    pub(crate) fn check(&self) -> Result<(), Error> {
        match &*self.unsynced.borrow() {
            Unsynced::Nothing | Unsynced::From(_) => Ok(()),
            Unsynced::Lost(error) => Err(error.clone()),
        }
    }

    /// Waits until everything through this index is on the disk.
    pub(crate) async fn synced_through(&self, index: u64) -> Result<(), Error> {
        let mut unsynced = self.unsynced.subscribe();
        let over = unsynced.wait_for(|now| match now {
            Unsynced::Nothing | Unsynced::Lost(_) => true,
            Unsynced::From(first) => index < *first,
        });
        match over.await.as_deref() {
            Ok(Unsynced::Nothing | Unsynced::From(_)) => Ok(()),
            Ok(Unsynced::Lost(error)) => Err(error.clone()),
            Err(_) => Err(Error::Closed),
        }
    }

    /// Waits until everything is on the disk. For the core of the log alone, which does not append meanwhile.
    pub(crate) async fn settled(&self) -> Result<(), Error> {
        self.synced_through(u64::MAX).await
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::sync::Arc;
    use std::time::Duration;

    use futures::poll;
    use openraft::storage::{RaftLogStorage as _, RaftLogStorageExt as _};
    use openraft::{CommittedLeaderId, Entry, EntryPayload, Membership, RaftLogReader as _, Vote};
    use synod_storage::MemoryDisk;

    use crate::group::{LogEntry, LogId, Peer};
    use crate::log_store::LogStore;
    use crate::offload::Offload;

    fn id(index: u64) -> LogId {
        LogId::new(CommittedLeaderId::new(1, 1), index)
    }

    fn blank(index: u64) -> LogEntry {
        Entry { log_id: id(index), payload: EntryPayload::Blank }
    }

    /// The log of a leader who needs others, with one entry on its disk.
    async fn leads(disk: &MemoryDisk) -> LogStore {
        let mut log = LogStore::open(Arc::clone(&disk.open().log), Offload::Inline).unwrap();
        let vote = Vote::new_committed(1, 1);
        log.save_vote(&vote).await.unwrap();
        log.blocking_append([blank(0)]).await.unwrap();
        log.note_lead(&vote, true);
        log
    }

    /// Appends one entry that its disk holds back.
    async fn runs_ahead(disk: &MemoryDisk) -> LogStore {
        let mut log = leads(disk).await;
        disk.hold_syncs();
        log.blocking_append([blank(1)]).await.unwrap();
        assert_eq!(disk.unsynced(), 1);
        assert_eq!(log.try_get_log_entries(1..2).await.unwrap().len(), 1, "others cannot be sent it");
        log
    }

    #[tokio::test]
    async fn only_what_is_not_synced_is_waited_for() {
        let disk = MemoryDisk::new();
        let log = runs_ahead(&disk).await;
        log.synced_through(None).await.unwrap();
        log.synced_through(Some(id(0))).await.unwrap();
        let mut waits = std::pin::pin!(log.synced_through(Some(id(1))));
        assert!(poll!(&mut waits).is_pending());
        disk.release();
        waits.await.unwrap();
    }

    #[tokio::test]
    async fn a_vote_and_an_append_wait_for_what_runs_ahead() {
        let disk = MemoryDisk::new();
        let mut log = runs_ahead(&disk).await;
        let mut other = log.clone();
        let vote = Vote::new(2, 2);
        {
            let mut votes = std::pin::pin!(log.save_vote(&vote));
            assert!(poll!(&mut votes).is_pending());
            assert_eq!(disk.unsynced(), 1, "the vote is on its way already");
            let mut appends = std::pin::pin!(other.blocking_append([blank(2)]));
            assert!(poll!(&mut appends).is_pending());
            assert_eq!(disk.unsynced(), 1, "the entry is on its way already");
            disk.release();
            votes.await.unwrap();
            appends.await.unwrap();
        }
        // Whoever led leads no more: it waits for each sync.
        disk.hold_syncs();
        let mut appends = std::pin::pin!(log.blocking_append([blank(3)]));
        assert!(poll!(&mut appends).is_pending());
        disk.release();
        appends.await.unwrap();
    }

    #[tokio::test]
    async fn a_truncation_and_a_purge_wait_for_what_runs_ahead() {
        let disk = MemoryDisk::new();
        let mut log = runs_ahead(&disk).await;
        let mut truncates = std::pin::pin!(log.truncate(id(1)));
        assert!(poll!(&mut truncates).is_pending());
        disk.release();
        truncates.await.unwrap();

        let disk = MemoryDisk::new();
        let mut log = runs_ahead(&disk).await;
        let mut purges = std::pin::pin!(log.purge(id(0)));
        assert!(poll!(&mut purges).is_pending());
        disk.release();
        purges.await.unwrap();
    }

    #[tokio::test]
    async fn a_change_of_members_is_synced_before_openraft_hears_of_it() {
        let disk = MemoryDisk::new();
        let mut log = leads(&disk).await;
        let nodes: BTreeMap<u64, Peer> = BTreeMap::from([(1, Peer::default())]);
        let alone = Membership::new(vec![BTreeSet::from([1])], nodes);
        for entry in [Entry { log_id: id(1), payload: EntryPayload::Membership(alone) }, blank(2)] {
            disk.hold_syncs();
            let mut appends = std::pin::pin!(log.blocking_append([entry]));
            assert!(poll!(&mut appends).is_pending(), "it may decide alone from here on");
            disk.release();
            appends.await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_lead_by_another_vote_runs_nothing_ahead() {
        let disk = MemoryDisk::new();
        let mut log = leads(&disk).await;
        log.save_vote(&Vote::new(2, 2)).await.unwrap();
        // Said late, of a lead that is over.
        log.note_lead(&Vote::new_committed(1, 1), true);
        log.note_lead(&Vote::new(2, 2), true);
        disk.hold_syncs();
        let mut appends = std::pin::pin!(log.blocking_append([blank(1)]));
        assert!(poll!(&mut appends).is_pending());
    }

    #[tokio::test]
    async fn a_write_that_failed_is_told_to_everybody() {
        let disk = MemoryDisk::new();
        let mut log = runs_ahead(&disk).await;
        disk.fail_next_sync();
        disk.release();
        assert!(log.synced_through(Some(id(1))).await.is_err());
        assert!(log.limited_get_log_entries(0, 1).await.is_err(), "it is sent to others");
        assert!(log.try_get_log_entries(0..1).await.is_err(), "it is applied");
        assert!(log.blocking_append([blank(2)]).await.is_err());
        assert!(log.save_vote(&Vote::new(2, 2)).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_disk_takes_it_later_and_in_order() {
        let disk = MemoryDisk::new();
        let mut log = leads(&disk).await;
        disk.limit_space(Some(0));
        log.blocking_append([blank(1)]).await.unwrap();
        let mut other = log.clone();
        let next = tokio::spawn(async move { other.blocking_append([blank(2)]).await });
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(!next.is_finished());
        disk.limit_space(None);
        next.await.unwrap().unwrap();
        log.synced_through(Some(id(2))).await.unwrap();
        disk.crash(|_| 0);
        let again = LogStore::open(Arc::clone(&disk.open().log), Offload::Inline).unwrap();
        assert_eq!(again.last(), Some(id(2)));
    }
}
