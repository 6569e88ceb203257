//! Ended tasks are found from the moment they end until they are too old.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use synod_cluster::checkpointer::Policy;
use synod_storage::MemoryDisk;

use super::mirror::settle;
use super::support::{
    TestClock, accepted, agent_ready, by_hand, claim, complete, killed, options, request, start_with, submit,
    task,
};

async fn end(node: &synod_cluster::consensus::Consensus, numbers: std::ops::Range<u64>) {
    for (number, command) in agent_ready().into_iter().enumerate() {
        accepted(node, 1_000_000 + number as u64 + numbers.start * 10, command).await;
    }
    for number in numbers {
        accepted(node, number * 10 + 1, submit(number)).await;
        accepted(node, number * 10 + 2, claim(1)).await;
        accepted(node, number * 10 + 3, complete(number)).await;
    }
}

#[test]
fn ended_task_is_found_before_and_after_its_checkpoint() {
    let disk = MemoryDisk::new();
    killed(async || {
        let node = start_with(options(disk.open(), by_hand(), true)).await;
        end(&node, 1..6).await;
        let history = node.history();
        let ids = |tasks: Vec<Arc<synod_domain::task::Task>>| {
            tasks.iter().map(|task| task.spec.id).collect::<Vec<_>>()
        };
        let expected: Vec<_> = [5, 4, 3].map(task).into();
        for _ in 0..2 {
            assert!(history.task(task(3)).unwrap().is_some());
            assert!(history.task(task(9)).unwrap().is_none());
            assert_eq!(ids(history.page(None, 3).unwrap()), expected);
            assert_eq!(ids(history.page(Some(task(3)), 10).unwrap()), [2, 1].map(task));
            node.checkpoint().await;
        }
        // Half in the state, half on disk.
        end(&node, 6..8).await;
        assert_eq!(ids(history.page(None, 4).unwrap()), [7, 6, 5, 4].map(task));
        assert!(node.proposer().propose(request(5), submit(9)).await.is_ok());
        assert!(history.task(task(9)).unwrap().is_none(), "unfinished tasks are not history");
    });
}

#[test]
fn old_history_is_removed_a_page_at_a_time() {
    let disk = MemoryDisk::new();
    killed(async || {
        let clock = Arc::new(TestClock::default());
        clock.0.store(1_000_000_000, Ordering::Relaxed);
        let policy = Policy { history_retention: Some(Duration::from_secs(3600)), ..by_hand() };
        let mut options = options(disk.open(), policy, true);
        options.clock = clock.clone();
        let node = start_with(options).await;
        end(&node, 0..600).await;
        node.checkpoint().await;
        let count = || node.history().page(None, 1000).unwrap().len();
        assert_eq!(count(), 600);
        clock.0.fetch_add(2 * 3600 * 1000, Ordering::Relaxed);
        let mut counts = Vec::new();
        for _ in 0..4 {
            node.proposer().tick().await.unwrap();
            node.checkpoint().await;
            counts.push(count());
        }
        assert_eq!(counts, [344, 88, 0, 0]);
        settle().await;
    });
}
