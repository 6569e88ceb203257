//! The log is purged behind the latest snapshot and no further.

use std::time::Duration;

use synod_cluster::checkpointer::Policy;
use synod_storage::MemoryDisk;

use super::mirror::settle;
use super::support::{killed, live, options, start, start_with};

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
    use openraft::storage::{RaftLogStorage as _, RaftLogStorageExt as _};
    use synod_cluster::log_store::LogStore;
    use synod_cluster::offload::Offload;

    let disk = MemoryDisk::new();
    killed(async || {
        let storage = disk.open();
        let mut store = LogStore::open(storage.log.clone(), Offload::Inline).unwrap();
        let entries = (0..10).map(|index| openraft::testing::blank_ent(1, 1, index));
        store.blocking_append(entries).await.unwrap();
        store.purge(openraft::testing::log_id(1, 1, 5)).await.unwrap();
        assert_eq!(storage.log.bounds().first, Some(1));
        assert_eq!(store.get_log_state().await.unwrap().last_purged_log_id.map(|id| id.index), Some(5));
    });
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
