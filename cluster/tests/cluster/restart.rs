//! What was acknowledged is there after every kind of end.

use std::time::Duration;

use synod_domain::row::{Row, RowKey};
use synod_domain::time::Timestamp;
use synod_storage::MemoryDisk;
use tokio::time::Instant;

use super::support::{accepted, killed, live, start, submit, task};

/// Leaves out what goes on with time alone, also for a node whose wall clock stands.
fn but_for_the_time(mut rows: Vec<(RowKey, Row)>) -> Vec<(RowKey, Row)> {
    for (_, row) in &mut rows {
        if let Row::Meta(meta) = row {
            meta.now = Timestamp::ZERO;
        }
    }
    rows
}

#[test]
fn restart_keeps_everything_acknowledged_whatever_was_not_synced() {
    for keep in [0, 1, usize::MAX] {
        let disk = MemoryDisk::new();
        let (before, acknowledged) = killed(async || {
            let node = start(disk.open()).await;
            live(&node, 0, 20).await;
            let before = but_for_the_time(node.state().read().rows());
            // One more that never is synced.
            disk.hold_syncs();
            let proposer = node.proposer();
            let hanging = tokio::spawn(async move {
                proposer.propose(super::support::request(1), submit(500)).await.map(super::support::answer)
            });
            tokio::time::sleep(Duration::from_millis(20)).await;
            assert!(!hanging.is_finished(), "acknowledged before its sync");
            disk.crash(|unsynced| keep.min(unsynced));
            disk.release();
            let answer = hanging.await.unwrap();
            assert!(answer.is_err(), "{answer:?}");
            (before, node.status().applied)
        });
        killed(async || {
            let node = start(disk.open()).await;
            assert!(node.status().applied >= acknowledged);
            let unacknowledged = node.state().read().task(task(500)).is_some();
            if !unacknowledged {
                assert_eq!(but_for_the_time(node.state().read().rows()), before, "kept {keep}");
            }
            accepted(&node, 2, submit(501)).await;
        });
    }
}

#[test]
fn single_voter_leads_within_milliseconds_of_a_restart() {
    let disk = MemoryDisk::new();
    for round in 0..3 {
        killed(async || {
            // Of paused time, which goes on only while somebody waits for it: an election timeout would show.
            let begun = Instant::now();
            let node = start(disk.open()).await;
            let took = begun.elapsed();
            assert!(took < Duration::from_millis(100), "start {round}: leads after {took:?}");
            live(&node, round * 100, 10).await;
            node.shutdown().await;
        });
    }
}

#[test]
fn proposals_after_shutdown_are_refused_and_a_second_shutdown_is_fine() {
    let disk = MemoryDisk::new();
    killed(async || {
        let node = start(disk.open()).await;
        node.shutdown().await;
        node.shutdown().await;
        let answer =
            node.proposer().propose(super::support::request(1), submit(1)).await.map(super::support::answer);
        assert_eq!(answer, Err(synod_cluster::proposer::ProposeError::Stopped));
        assert_eq!(*node.fatal().borrow(), None);
    });
}
