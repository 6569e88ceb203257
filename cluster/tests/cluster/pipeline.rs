//! Several batches are on their way to a member at once, and nothing is lost by it.
//!
//! Time is tokio's and stands while anything can be done: when a test has slept, whatever could happen has happened.

use std::time::Duration;

use synod_cluster::proposer::ProposeError;
use synod_cluster::transport::memory::MemoryNetwork;

use super::table::{PATIENCE, Table, Wires, name};

/// How long a word is on its way between two nodes.
const FAR: Duration = Duration::from_millis(5);

/// Less than after what a connection counts as lost on which nothing is answered.
const A_WHILE: Duration = Duration::from_millis(300);

/// Three nodes whose timings let a connection be silent for a while; who leads, and another.
async fn seated(batches: usize) -> (Table, u64, u64) {
    let mut table = Table::new(Wires::Memory(MemoryNetwork::default()));
    table.timing.batches_on_the_way = batches;
    table.found(3).await;
    let leader = table.leader().await;
    table.write(leader, 0..3).await;
    table.agree(&[1, 2, 3], 3).await;
    let slow = table.others(leader)[0];
    (table, leader, slow)
}

fn last(table: &Table, number: u64) -> u64 {
    table.at(number).status().last_log.unwrap()
}

/// Lets nothing back from a member, and writes; returns how many batches arrive there meanwhile.
async fn arrives_unanswered(table: &Table, leader: u64, slow: u64, batches: u64) -> u64 {
    table.memory().block(&name(slow), &name(leader));
    let before = last(table, slow);
    table.write(leader, 100..100 + batches).await;
    tokio::time::sleep(A_WHILE).await;
    assert_eq!(last(table, leader), before + batches, "an entry for each write");
    last(table, slow) - before
}

#[tokio::test(start_paused = true)]
async fn a_member_gets_several_batches_before_it_has_answered_one() {
    let (table, leader, slow) = seated(4).await;
    assert_eq!(arrives_unanswered(&table, leader, slow, 3).await, 3);
    table.memory().unblock(&name(slow), &name(leader));
    table.agree(&[1, 2, 3], 6).await;
}

#[tokio::test(start_paused = true)]
async fn no_more_than_the_window_is_on_its_way_to_a_member() {
    let (table, leader, slow) = seated(4).await;
    assert_eq!(arrives_unanswered(&table, leader, slow, 20).await, 4);
    table.memory().unblock(&name(slow), &name(leader));
    table.agree(&[1, 2, 3], 23).await;
}

#[tokio::test(start_paused = true)]
async fn one_batch_is_on_its_way_where_one_is_asked_for() {
    let (table, leader, slow) = seated(1).await;
    assert_eq!(arrives_unanswered(&table, leader, slow, 3).await, 1);
    table.memory().unblock(&name(slow), &name(leader));
    table.agree(&[1, 2, 3], 6).await;
}

#[tokio::test(start_paused = true)]
async fn what_was_on_its_way_when_a_connection_is_lost_is_sent_again() {
    let (table, leader, slow) = seated(4).await;
    // The member's disk takes what arrives and finishes nothing.
    table.disks[&slow].hold_syncs();
    table.write(leader, 100..110).await;
    table.isolate(slow);
    table.disks[&slow].release();
    table.write(leader, 110..120).await;
    table.reunite(slow);
    table.agree(&[1, 2, 3], 23).await;
}

#[tokio::test(start_paused = true)]
async fn a_lead_that_is_lost_with_batches_on_their_way_leaves_one_log() {
    let (table, leader, slow) = seated(4).await;
    let third = *table.others(leader).iter().find(|other| **other != slow).unwrap();
    // Nobody answers: several batches stand in the logs of all three, or of two, and are not committed.
    table.memory().block(&name(slow), &name(leader));
    table.memory().block(&name(third), &name(leader));
    let mut waiting = Vec::new();
    for number in 100..104 {
        let proposer = table.at(leader).proposer();
        waiting.push(tokio::spawn(async move {
            proposer.propose(super::support::request(number), super::support::submit(number)).await
        }));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    table.isolate(leader);
    let next = table.leader_of(&[slow, third]).await;
    table.write(next, 200..210).await;
    table.memory().unblock(&name(slow), &name(leader));
    table.memory().unblock(&name(third), &name(leader));
    table.reunite(leader);
    for told in waiting {
        let told = tokio::time::timeout(PATIENCE, told).await.expect("everybody is told something").unwrap();
        assert!(told.is_err(), "acknowledged by a leader whom nobody answered: {told:?}");
    }
    let tasks = table.at(next).state().read().unfinished();
    assert!(tasks >= 13);
    table.agree(&[1, 2, 3], tasks).await;
}

#[tokio::test(start_paused = true)]
async fn the_lead_is_given_away_with_batches_on_long_ways() {
    let mut table = Table::new(Wires::Memory(MemoryNetwork::default()));
    for (from, to) in [(1, 2), (2, 1), (1, 3), (3, 1), (2, 3), (3, 2)] {
        table.memory().stretch(&name(from), &name(to), FAR);
    }
    table.found(3).await;
    let leader = table.leader().await;
    let writers: Vec<_> = (0..4)
        .map(|writer| {
            let proposer = table.at(leader).proposer();
            tokio::spawn(async move {
                let mut written = 0;
                loop {
                    let number = writer * 1_000 + written;
                    match proposer
                        .propose(super::support::request(number), super::support::submit(number))
                        .await
                    {
                        Ok(_) => written += 1,
                        Err(error) => break (written, error),
                    }
                    // Not all at once, so that one asks while the batch of another is on its way.
                    tokio::time::sleep(Duration::from_millis(writer)).await;
                }
            })
        })
        .collect();
    tokio::time::sleep(A_WHILE).await;
    let target = table.others(leader)[0];
    assert_eq!(table.at(leader).transfer(Some(super::table::id(target))).await, Ok(super::table::id(target)));
    let mut written = 0;
    for writer in writers {
        let (own, ended) = writer.await.unwrap();
        assert!(own > 0);
        assert_eq!(ended, ProposeError::NotLeader, "nothing was on its way any more");
        written += own;
    }
    table.agree(&[1, 2, 3], written).await;
}
