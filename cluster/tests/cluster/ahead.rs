//! A leader syncs beside its followers, and nothing is promised that a crash could take back.
//!
//! Time is tokio's and stands while anything can be done: when a test has slept, whatever could happen has happened.

use std::collections::BTreeSet;
use std::time::Duration;

use synod_cluster::proposer::ProposeError;
use synod_domain::chance::Chance;
use synod_domain::reply::Answer;
use tokio::task::JoinHandle;

use super::support::{answer, request, submit, task};
use super::table::{PATIENCE, Table, name};

/// Less than the least election timeout: nobody is missed meanwhile.
const A_WHILE: Duration = Duration::from_millis(100);

type Told = Result<Answer, ProposeError>;

/// Submits a task without waiting for the answer.
fn submits(table: &Table, at: u64, number: u64) -> JoinHandle<Told> {
    let proposer = table.at(at).proposer();
    tokio::spawn(async move { proposer.propose(request(number), submit(number)).await.map(answer) })
}

/// Three nodes whose leader may run ahead of its disk, and who leads.
async fn seated() -> (Table, u64) {
    let table = Table::of(3).await;
    let leader = table.leader().await;
    table.write(leader, 0..3).await;
    table.agree(&[1, 2, 3], 3).await;
    // It asks with its next sign of life whether it may.
    tokio::time::sleep(A_WHILE).await;
    assert_eq!(table.leader().await, leader);
    (table, leader)
}

/// Ends a node as a loss of power does: of what was not synced, its disk keeps only the first `keep`.
async fn crash(table: &mut Table, number: u64, keep: usize) {
    table.isolate(number);
    let disk = table.disk(number);
    disk.crash(|unsynced| keep.min(unsynced));
    disk.release();
    let seat = table.seats.remove(&number).unwrap();
    seat.door.cancel();
    seat.consensus.shutdown().await;
    for other in table.numbers() {
        table.memory().heal(&name(number), &name(other));
    }
}

async fn leader_of(table: &Table) -> u64 {
    tokio::time::timeout(PATIENCE, table.leader()).await.unwrap()
}

/// Waits until all of these have everything, and the same.
async fn settle(table: &Table, numbers: &[u64]) {
    let leader = table.leader_of(numbers).await;
    // A new entry of its own: everything before it is decided.
    let ticking = async { while table.at(leader).proposer().tick().await.is_err() {} };
    tokio::time::timeout(PATIENCE, ticking).await.unwrap();
    let last = table.at(leader).status().applied.unwrap();
    for number in numbers {
        assert!(table.at(*number).wait_applied(last, PATIENCE).await, "{:#?}", table.at(*number).status());
    }
    let rows: Vec<_> = numbers.iter().map(|number| table.at(*number).state().read().rows()).collect();
    assert!(rows.windows(2).all(|pair| pair[0] == pair[1]), "they do not agree");
}

fn has(table: &Table, at: u64, number: u64) -> bool {
    table.at(at).state().read().task(task(number)).is_some()
}

#[tokio::test(start_paused = true)]
async fn followers_write_while_the_leader_syncs() {
    let (table, leader) = seated().await;
    let disk = table.disks[&leader].clone();
    let before = table.at(leader).status().last_log;
    disk.hold_syncs();
    let waits = submits(&table, leader, 10);
    tokio::time::sleep(A_WHILE).await;
    for other in table.others(leader) {
        assert!(table.at(other).status().last_log > before, "it waits for the leader's disk");
        assert_eq!(table.disks[&other].unsynced(), 0);
    }
    assert_eq!(disk.unsynced(), 1);
    assert!(!waits.is_finished(), "acknowledged before the leader's own sync");
    assert!(!has(&table, leader, 10), "applied before its sync");
    disk.release();
    assert!(matches!(waits.await.unwrap(), Ok(Ok(_))));
    settle(&table, &[1, 2, 3]).await;
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_dies_before_its_own_sync_takes_nothing_acknowledged_with_it() {
    let (mut table, leader) = seated().await;
    let others = table.others(leader);
    let (has_it, lacks_it) = (others[0], others[1]);
    // One follower has it on its disk, the other never hears of it.
    table.memory().cut(&name(leader), &name(lacks_it));
    table.disks[&leader].hold_syncs();
    let waits = submits(&table, leader, 10);
    tokio::time::sleep(A_WHILE).await;
    let acknowledged = waits.is_finished();
    crash(&mut table, leader, 0).await;
    let acknowledged = acknowledged || matches!(waits.await.unwrap(), Ok(Ok(_)));
    // The one that has it is gone, and those who lack it decide without it.
    crash(&mut table, has_it, 0).await;
    table.join(leader).await;
    settle(&table, &[leader, lacks_it]).await;
    assert!(!acknowledged, "acknowledged, and lost by a majority");
    assert!(!has(&table, leader, 10));
    let next = table.leader_of(&[leader, lacks_it]).await;
    table.write(next, 20..23).await;
    // It comes back with an entry that nobody else has, at a place where there is another by now.
    table.join(has_it).await;
    settle(&table, &[1, 2, 3]).await;
    assert!(has(&table, has_it, 20) && !has(&table, has_it, 10));
}

#[tokio::test(start_paused = true)]
async fn followers_that_die_before_their_sync_have_acknowledged_nothing() {
    let (mut table, leader) = seated().await;
    let others = table.others(leader);
    for other in &others {
        table.disks[other].hold_syncs();
    }
    let waits = submits(&table, leader, 10);
    tokio::time::sleep(A_WHILE).await;
    assert!(others.iter().all(|other| table.disks[other].unsynced() > 0), "nothing was sent");
    assert!(!waits.is_finished(), "acknowledged by a follower before its sync");
    assert!(!has(&table, leader, 10));
    for other in &others {
        crash(&mut table, *other, 0).await;
    }
    crash(&mut table, leader, 0).await;
    assert!(!matches!(waits.await.unwrap(), Ok(Ok(_))));
    for other in others {
        table.join(other).await;
    }
    let next = leader_of(&table).await;
    table.write(next, 20..23).await;
    table.join(leader).await;
    settle(&table, &[1, 2, 3]).await;
}

#[tokio::test(start_paused = true)]
async fn an_entry_that_only_memories_have_is_gone_with_them() {
    let (mut table, leader) = seated().await;
    for number in [1, 2, 3] {
        table.disks[&number].hold_syncs();
    }
    let waits = submits(&table, leader, 10);
    tokio::time::sleep(A_WHILE).await;
    assert!(!waits.is_finished());
    for number in [1, 2, 3] {
        crash(&mut table, number, 0).await;
    }
    assert!(!matches!(waits.await.unwrap(), Ok(Ok(_))));
    for number in [1, 2, 3] {
        table.join(number).await;
    }
    settle(&table, &[1, 2, 3]).await;
    assert!(!has(&table, 1, 10));
}

#[tokio::test(start_paused = true)]
async fn a_vote_after_a_lead_finds_everything_synced() {
    let (mut table, leader) = seated().await;
    let others = table.others(leader);
    // What it wrote stands in its memory, and on one follower's disk.
    table.disks[&leader].hold_syncs();
    let waits = submits(&table, leader, 10);
    tokio::time::sleep(A_WHILE).await;
    // Nobody hears it any more, and somebody else is elected.
    table.isolate(leader);
    let next = table.leader_of(&others).await;
    settle(&table, &others).await;
    table.reunite(leader);
    tokio::time::sleep(A_WHILE).await;
    // It knows of the vote by now, and its disk has neither that nor what was before.
    assert!(table.disks[&leader].unsynced() > 0);
    let third = *others.iter().find(|other| **other != next).unwrap();
    crash(&mut table, third, 0).await;
    let waits_too = submits(&table, next, 11);
    tokio::time::sleep(A_WHILE).await;
    assert!(!waits_too.is_finished(), "acknowledged by a disk that has nothing");
    crash(&mut table, leader, 0).await;
    table.join(leader).await;
    assert!(!matches!(waits.await.unwrap(), Ok(Err(_))));
    assert!(matches!(waits_too.await.unwrap(), Ok(Ok(_))));
    table.join(third).await;
    settle(&table, &[1, 2, 3]).await;
    assert!(has(&table, leader, 11));
}

#[tokio::test(start_paused = true)]
async fn a_failed_sync_beside_the_followers_ends_the_leader() {
    let (mut table, leader) = seated().await;
    let disk = table.disk(leader);
    disk.hold_syncs();
    let waits = submits(&table, leader, 10);
    tokio::time::sleep(A_WHILE).await;
    disk.fail_next_sync();
    disk.release();
    let mut fatal = table.at(leader).fatal();
    let told = tokio::time::timeout(PATIENCE, fatal.wait_for(Option::is_some)).await;
    let message = told.unwrap().unwrap().clone().unwrap();
    assert!(message.contains("sync"), "{message}");
    assert!(!matches!(waits.await.unwrap(), Ok(Ok(_))));
    assert!(!has(&table, leader, 10));
    let others = table.others(leader);
    crash(&mut table, leader, 0).await;
    settle(&table, &others).await;
    table.join(leader).await;
    settle(&table, &[1, 2, 3]).await;
}

#[tokio::test(start_paused = true)]
async fn a_full_disk_of_the_leader_is_waited_for() {
    let (table, leader) = seated().await;
    let disk = table.disks[&leader].clone();
    disk.limit_space(Some(8));
    // Work in hand may still end; a tick is none that is refused.
    let proposer = table.at(leader).proposer();
    let waits = tokio::spawn(async move { proposer.tick().await });
    tokio::time::sleep(A_WHILE).await;
    assert!(!waits.is_finished());
    disk.limit_space(None);
    assert!(matches!(tokio::time::timeout(PATIENCE, waits).await.unwrap(), Ok(Ok(()))));
    assert_eq!(*table.at(leader).fatal().borrow(), None);
    table.write(leader, 20..23).await;
    settle(&table, &[1, 2, 3]).await;
}

#[tokio::test(start_paused = true)]
async fn one_who_decides_alone_hears_of_an_append_after_its_sync() {
    let (mut table, leader) = (Table::of(1).await, 1);
    table.leader().await;
    table.write(leader, 0..3).await;
    tokio::time::sleep(A_WHILE).await;
    table.disks[&leader].hold_syncs();
    let waits = submits(&table, leader, 10);
    tokio::time::sleep(A_WHILE).await;
    assert!(!waits.is_finished());
    crash(&mut table, leader, 0).await;
    assert!(!matches!(waits.await.unwrap(), Ok(Ok(_))));
    table.join(leader).await;
    settle(&table, &[1]).await;
    assert!(!has(&table, 1, 10));
}

/// Rounds of one walk: each ends with crashes.
const ROUNDS: u64 = 8;

/// Submits, holds syncs, cuts links and loses power by chance; checks that whatever was acknowledged is there.
async fn walk(seed: u64) {
    let mut chance = Chance::new(seed);
    let mut draw = move |below: u64| chance.draw() % below;
    let mut table = Table::of(3).await;
    let mut acknowledged = BTreeSet::new();
    let mut number = 0;
    for round in 0..ROUNDS {
        let mut leader = leader_of(&table).await;
        tokio::time::sleep(Duration::from_millis(draw(120))).await;
        let mut waiting = Vec::new();
        for _ in 0..1 + draw(4) {
            for node in [1, 2, 3] {
                match draw(4) {
                    0 => table.disks[&node].hold_syncs(),
                    1 => table.disks[&node].release(),
                    _ => {}
                }
            }
            match draw(6) {
                0 => table.isolate(1 + draw(3)),
                1 | 2 => table.memory().cut(&name(leader), &name(1 + draw(3))),
                _ => [1, 2, 3].into_iter().for_each(|node| table.reunite(node)),
            }
            for _ in 0..draw(4) {
                number += 1;
                waiting.push((number, submits(&table, leader, number)));
            }
            let most = if draw(4) == 0 { 1500 } else { 30 };
            tokio::time::sleep(Duration::from_millis(1 + draw(most))).await;
            // Somebody else may lead by now.
            let leads = |node: &u64| table.at(*node).leadership().borrow().is_some();
            leader = [1, 2, 3].into_iter().find(leads).unwrap_or(leader);
        }
        // Any of them, all of them at times.
        let dead: Vec<u64> = [1, 2, 3].into_iter().filter(|_| draw(2) == 0).collect();
        for node in &dead {
            let keep = usize::try_from(draw(4)).unwrap();
            crash(&mut table, *node, keep).await;
        }
        // Those who are up go on for a moment, or long enough to elect somebody.
        tokio::time::sleep(Duration::from_millis(draw(2) * draw(1500))).await;
        for node in table.numbers() {
            table.disks[&node].release();
        }
        for node in &dead {
            table.join(*node).await;
        }
        [1, 2, 3].into_iter().for_each(|node| table.reunite(node));
        settle(&table, &[1, 2, 3]).await;
        for (number, told) in waiting {
            let told = tokio::time::timeout(PATIENCE, told).await.expect("everybody is told something");
            if matches!(told, Ok(Ok(Ok(_)))) {
                acknowledged.insert(number);
            }
        }
        for number in &acknowledged {
            assert!(has(&table, 1, *number), "seed {seed}, round {round}: task {number} is lost");
        }
    }
    assert!(!acknowledged.is_empty(), "seed {seed}: nothing was ever acknowledged");
}

#[tokio::test(start_paused = true)]
async fn nothing_acknowledged_is_lost_whatever_crashes_when() {
    for seed in 0..12 {
        walk(seed).await;
    }
}
