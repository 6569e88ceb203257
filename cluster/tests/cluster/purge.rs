//! The log is purged behind the latest snapshot and no further.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use openraft::storage::{RaftLogStorage as _, RaftLogStorageExt as _};
use openraft::testing::{blank_ent, log_id};
use synod_cluster::checkpointer::Policy;
use synod_cluster::log_store::LogStore;
use synod_cluster::offload::Offload;
use synod_storage::{Bounds, Done, Error, Log, MemoryDisk, Record, Room};

use super::mirror::settle;
use super::support::{killed, killed_in_real_time, live, options, start, start_with};

#[test]
fn purge_never_passes_the_snapshot() {
    let disk = MemoryDisk::new();
    killed(async || {
        let storage = disk.open();
        let (log, snapshots) = (storage.log.clone(), storage.snapshots.clone());
        let node = start(storage).await;
        for part in 0..5 {
            live(&node, part * 100, 10).await;
            node.snapshot().await;
            settle().await;
            let through = snapshots.latest().unwrap().unwrap().info.applied;
            let first = log.bounds().first;
            assert!(first.is_none_or(|first| first == through + 1), "first {first:?}, snapshot {through}");
            assert_eq!(node.status().mirror.snapshot, Some(through - 1));
        }
    });
}

/// openraft trusts the log store to purge what it is told; the store trusts only the snapshot.
#[test]
fn log_store_keeps_what_no_snapshot_holds() {
    let disk = MemoryDisk::new();
    killed(async || {
        let storage = disk.open();
        let mut store = LogStore::open(storage.log.clone(), Offload::Inline).unwrap();
        let entries = (0..10).map(|index| blank_ent(1, 1, index));
        store.blocking_append(entries).await.unwrap();
        store.purge(log_id(1, 1, 5)).await.unwrap();
        assert_eq!(storage.log.bounds().first, Some(1));
        assert_eq!(store.get_log_state().await.unwrap().last_purged_log_id.map(|id| id.index), Some(5));
    });
}

/// A log whose power is lost before it removes anything.
struct Unpurged(Arc<dyn Log>);

impl Log for Unpurged {
    fn append(&self, records: Vec<Record>, done: Done) {
        self.0.append(records, done);
    }

    fn put_note(&self, key: &'static str, value: Bytes, done: Done) {
        self.0.put_note(key, value, done);
    }

    fn note(&self, key: &str) -> Result<Option<Bytes>, Error> {
        self.0.note(key)
    }

    fn read(&self, from: u64, to_exclusive: u64, bytes_max: usize) -> Result<Vec<Record>, Error> {
        self.0.read(from, to_exclusive, bytes_max)
    }

    fn bounds(&self) -> Bounds {
        self.0.bounds()
    }

    fn truncate_from(&self, index: u64) -> Result<(), Error> {
        self.0.truncate_from(index)
    }

    fn purge_through(&self, _: u64) -> Result<(), Error> {
        Err(Error::Closed)
    }

    fn room(&self) -> Room {
        self.0.room()
    }
}

/// A purge behind a snapshot from elsewhere, which has more than the log ever had, is cut off after its note.
async fn what_a_purge_has_noted_is_removed_at_the_next_start(log: impl Fn() -> Arc<dyn Log>) {
    {
        let mut store = LogStore::open(Arc::new(Unpurged(log())), Offload::Inline).unwrap();
        store.blocking_append((0..10).map(|index| blank_ent(1, 1, index))).await.unwrap();
        store.purge(log_id(1, 1, 50)).await.unwrap_err();
    }
    {
        let log = log();
        assert_eq!(log.bounds().last, Some(10), "the removal was not cut off");
        let mut store = LogStore::open(Arc::clone(&log), Offload::Inline).unwrap();
        assert_eq!(log.bounds(), Bounds::default());
        let state = store.get_log_state().await.unwrap();
        assert_eq!(state.last_purged_log_id, Some(log_id(1, 1, 50)));
        assert_eq!(state.last_log_id, Some(log_id(1, 1, 50)));
        store.blocking_append([blank_ent(1, 1, 51)]).await.unwrap();
        assert_eq!(log.bounds(), Bounds { first: Some(52), last: Some(52) });
    }
}

#[test]
fn a_purge_that_is_cut_off_is_ended_at_the_next_start() {
    let disk = MemoryDisk::new();
    killed(async || what_a_purge_has_noted_is_removed_at_the_next_start(|| disk.open().log).await);
}

#[test]
fn a_purge_that_is_cut_off_is_ended_at_the_next_start_on_disk() {
    let folder = tempfile::tempdir().unwrap();
    let open = || synod_storage::open(folder.path(), &synod_storage::Options::default()).unwrap().storage.log;
    killed_in_real_time(async || what_a_purge_has_noted_is_removed_at_the_next_start(open).await);
}

#[test]
fn log_that_grows_is_purged_by_itself() {
    let disk = MemoryDisk::new();
    killed(async || {
        let policy = Policy {
            checkpoint_interval: Duration::from_millis(1),
            snapshot_log_entries: 20,
            ..Policy::default()
        };
        let storage = disk.open();
        let log = storage.log.clone();
        let node = start_with(options(storage, policy, true)).await;
        for part in 0..10 {
            live(&node, part * 100, 10).await;
            settle().await;
        }
        let bounds = log.bounds();
        assert!(bounds.first.is_none_or(|first| first > 100), "{bounds:?}");
        node.shutdown().await;
    });
    killed(async || {
        let node = start(disk.open_checked().unwrap().storage).await;
        assert_eq!(node.state().read().tasks().count() + node.history().page(None, 1000).unwrap().len(), 100);
    });
}

#[test]
fn a_broken_mirror_stops_the_purge_and_not_the_node() {
    let disk = MemoryDisk::new();
    let before = killed(async || {
        let storage = disk.open();
        let (log, broken) = (storage.log.clone(), super::faults::BrokenStore::over(&storage));
        let node = start(synod_storage::Storage { state: broken.clone(), ..storage }).await;
        live(&node, 0, 10).await;
        broken.fail();
        node.checkpoint().await;
        assert!(node.status().mirror.broken.is_some());
        live(&node, 100, 10).await;
        node.snapshot().await;
        settle().await;
        live(&node, 200, 10).await;
        assert_eq!(log.bounds().first, Some(1));
        assert_eq!(node.status().purged, None);
        assert_eq!(*node.fatal().borrow(), None);
        let rows = node.state().read().rows();
        rows
    });
    let after = killed(async || start(disk.open()).await.state().read().rows());
    assert_eq!(after, before);
}
