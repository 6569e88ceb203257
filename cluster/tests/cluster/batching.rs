//! Many commands share an entry, and each is applied once.

use std::sync::Arc;
use std::time::Duration;

use synod_domain::reply::Reply;
use synod_storage::MemoryDisk;

use super::support::{
    Heard, accepted, answer, by_hand, killed, options, request, start, start_with, submit, task, weight,
};

#[test]
fn concurrent_proposals_share_few_entries() {
    let disk = MemoryDisk::new();
    killed(async || {
        let node = start(disk.open()).await;
        let before = node.status().applied.unwrap();
        // The first waits for its sync; the others queue up behind it.
        disk.hold_syncs();
        let mut tasks = Vec::new();
        for number in 0..64 {
            let proposer = node.proposer();
            tasks.push(tokio::spawn(async move {
                proposer.propose(request(number), submit(number)).await.map(answer)
            }));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        disk.release();
        for task in tasks {
            assert!(matches!(task.await.unwrap(), Ok(Ok(_))));
        }
        let entries = node.status().applied.unwrap() - before;
        assert!(entries <= 3, "{entries} entries");
        assert_eq!(node.state().read().unfinished(), 64);
    });
}

#[test]
fn answers_go_to_those_who_asked() {
    let disk = MemoryDisk::new();
    killed(async || {
        let node = start(disk.open()).await;
        let mut tasks = Vec::new();
        for number in 0..500 {
            let proposer = node.proposer();
            tasks.push(tokio::spawn(async move {
                proposer.propose(request(number), submit(number)).await.map(answer)
            }));
        }
        for (number, answer) in tasks.into_iter().enumerate() {
            let expected = Reply::Submitted { task: task(number as u64), duplicate: false };
            assert_eq!(answer.await.unwrap(), Ok(Ok(expected)));
        }
    });
}

#[test]
fn duplicate_request_is_applied_once() {
    let disk = MemoryDisk::new();
    killed(async || {
        let node = start(disk.open()).await;
        accepted(&node, 9, submit(1)).await;
        let again = node.proposer().propose(request(9), submit(2)).await.map(answer);
        let is_first =
            |reply: &Reply| matches!(reply, Reply::Submitted { task: made, .. } if *made == task(1));
        assert!(matches!(&again, Ok(Ok(reply)) if is_first(reply)), "{again:?}");
        assert_eq!(node.state().read().unfinished(), 1);
        node.checkpoint().await;
        disk.crash(|_| 0);
    });
    killed(async || {
        let node = start(disk.open()).await;
        let again = node.proposer().propose(request(9), submit(2)).await.map(answer);
        assert!(matches!(again, Ok(Ok(Reply::Submitted { .. }))), "{again:?}");
        assert_eq!(node.state().read().unfinished(), 1);
    });
}

#[test]
fn caller_who_goes_away_changes_nothing() {
    let disk = MemoryDisk::new();
    killed(async || {
        let node = start(disk.open()).await;
        disk.hold_syncs();
        let proposer = node.proposer();
        let hasty = tokio::spawn(async move { proposer.propose(request(1), submit(1)).await.map(answer) });
        tokio::time::sleep(Duration::from_millis(10)).await;
        hasty.abort();
        disk.release();
        accepted(&node, 2, submit(2)).await;
        assert_eq!(node.state().read().unfinished(), 2);
    });
}

#[test]
fn events_are_heard_before_the_answer_and_in_order() {
    let disk = MemoryDisk::new();
    killed(async || {
        let heard = Arc::new(Heard::default());
        let mut options = options(disk.open(), by_hand(), true);
        options.events = heard.clone();
        let node = start_with(options).await;
        for number in 1..20 {
            accepted(&node, number * 2, submit(number)).await;
            assert_eq!(heard.0.lock().len() as u64, number);
            accepted(&node, number * 2 + 1, weight(1)).await;
        }
        let indexes: Vec<_> = heard.0.lock().iter().map(|(index, _)| *index).collect();
        assert!(indexes.is_sorted());
    });
}

#[test]
fn a_tick_lets_time_pass_without_a_command() {
    let disk = MemoryDisk::new();
    killed(async || {
        let node = start(disk.open()).await;
        let before = node.state().read().now();
        node.proposer().tick().await.unwrap();
        assert!(node.state().read().now() > before);
    });
}
