//! The mirror on disk and the log behind it always make the same state.

use synod_cluster::checkpointer::CHECKPOINT_ROWS;
use synod_domain::chance::Chance;
use synod_storage::{MemoryDisk, Part};

use super::support::{
    by_hand, killed, killed_in_real_time, live, options, request, start, start_with, submit,
};

/// Checkpoints and snapshots at drawn points, then a crash: the restart must give the state before it.
#[test]
fn checkpoint_and_replay_give_the_same_state_at_any_crash_point() {
    for seed in 0..40 {
        let mut chance = Chance::new(seed);
        let disk = MemoryDisk::new();
        for life in 0..4 {
            let before = killed(async || {
                let node = start(disk.open()).await;
                for part in 0..chance.below(4) {
                    live(&node, life * 1000 + part * 100, chance.below(6)).await;
                    match chance.below(3) {
                        0 => node.checkpoint().await,
                        1 => {
                            node.snapshot().await;
                            settle().await;
                        }
                        _ => {}
                    }
                }
                let before = node.state().read().rows();
                disk.crash(|_| 0);
                before
            });
            let after = killed(async || {
                let node = start(disk.open()).await;
                let after = node.state().read().rows();
                disk.crash(|_| 0);
                after
            });
            assert_eq!(after, before, "seed {seed}, life {life}");
        }
    }
}

/// Lets what a snapshot triggered run to its end; everything is done on the spot.
pub(crate) async fn settle() {
    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
}

#[test]
fn mirror_does_not_wait_for_its_time_where_many_rows_have_changed() {
    let disk = MemoryDisk::new();
    killed(async || {
        let node = start(disk.open()).await;
        let (began, before) = (tokio::time::Instant::now(), node.status().mirror.checkpointed);
        let (proposer, rows) = (node.proposer(), CHECKPOINT_ROWS as u64);
        for first in (0..=rows).step_by(512) {
            let together = first..(first + 512).min(rows + 1);
            let submits = together.map(|number| proposer.propose(request(number), submit(number)));
            for settled in futures::future::join_all(submits).await {
                assert!(settled.is_ok());
            }
            if first == 0 {
                settle().await;
                assert_eq!(node.status().mirror.checkpointed, before, "so few rows can wait");
            }
        }
        settle().await;
        assert!(node.status().mirror.checkpointed > before, "so many rows cannot");
        assert!(began.elapsed() < by_hand().checkpoint_interval);
    });
}

#[test]
fn shutdown_leaves_nothing_to_replay() {
    let disk = MemoryDisk::new();
    let before = killed(async || {
        let node = start(disk.open()).await;
        live(&node, 0, 10).await;
        node.shutdown().await;
        let status = node.status();
        assert_eq!(status.mirror.checkpointed, status.applied);
        let state = node.state();
        let rows = state.read().rows();
        rows
    });
    let storage = disk.open();
    let heard = std::sync::Arc::new(super::support::Heard::default());
    let machine = synod_cluster::machine::Machine::load(&*storage.state, heard).unwrap();
    assert_eq!(machine.state().read().rows(), before);
}

#[test]
fn damaged_mirror_in_memory_is_rebuilt_from_snapshot_and_log() {
    let disk = MemoryDisk::new();
    let before = killed(async || {
        let node = start(disk.open()).await;
        live(&node, 0, 12).await;
        node.snapshot().await;
        settle().await;
        live(&node, 100, 12).await;
        node.checkpoint().await;
        live(&node, 200, 5).await;
        assert!(node.status().purged.is_some());
        let rows = node.state().read().rows();
        disk.crash(|_| 0);
        rows
    });
    assert!(disk.flip_bit(Part::State, 99));
    let opened = disk.open_checked().unwrap();
    assert!(opened.repaired.is_some());
    let after = killed(async || start(opened.storage).await.state().read().rows());
    assert_eq!(after, before);
}

#[test]
fn damaged_sled_is_rebuilt_from_snapshot_and_log() {
    let folder = tempfile::tempdir().unwrap();
    let open = || synod_storage::open(folder.path(), &synod_storage::Options::default()).unwrap();
    let before = killed_in_real_time(async || {
        let node = start_with(options(open().storage, by_hand(), false)).await;
        live(&node, 0, 12).await;
        node.snapshot().await;
        wait_for_purge(&node).await;
        live(&node, 100, 12).await;
        node.shutdown().await;
        let rows = node.state().read().rows();
        rows
    });
    let state = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path());
    let state =
        state.into_iter().find(|path| path.file_name().unwrap().to_string_lossy().starts_with("state-"));
    std::fs::write(state.unwrap().join("db"), vec![0xa5; 100_000]).unwrap();
    let opened = open();
    assert!(opened.repaired.is_some());
    let after = killed_in_real_time(async || {
        let node = start_with(options(opened.storage, by_hand(), false)).await;
        let rows = node.state().read().rows();
        node.shutdown().await;
        rows
    });
    assert_eq!(after, before);
}

pub(crate) async fn wait_for_purge(node: &synod_cluster::consensus::Consensus) {
    let purged = async {
        while node.status().purged.is_none() {
            settle().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(10), purged).await.unwrap();
}
