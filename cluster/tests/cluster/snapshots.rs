//! Snapshots travel in pieces, survive lost connections and deaths, and hold up nobody.

use std::time::Duration;

use synod_cluster::checkpointer::Policy;
use synod_cluster::transport::memory::MemoryNetwork;
use synod_storage::Part;

use super::support::{by_hand, killed, request, submit};
use super::table::{PATIENCE, Table, Wires, name};

/// Cuts off a follower, writes much, and makes the leader forget how it was written.
async fn left_behind(tasks: u64) -> (Table, u64, u64) {
    left_behind_with(by_hand(), tasks).await
}

async fn left_behind_with(policy: Policy, tasks: u64) -> (Table, u64, u64) {
    let mut table = Table::new(Wires::Memory(MemoryNetwork::default()));
    table.policy = policy;
    // One thread does the work of three nodes here, and a snapshot is much at once.
    table.timing.election = (Duration::from_secs(2), Duration::from_secs(4));
    table.found(3).await;
    let leader = table.leader().await;
    let lost = table.others(leader)[0];
    table.isolate(lost);
    let proposer = table.at(leader).proposer();
    for from in (0..tasks).step_by(250) {
        let writes = (from..from + 250).map(|number| proposer.propose(request(number), submit(number)));
        for told in futures::future::join_all(writes).await {
            assert!(told.unwrap().answer.is_ok());
        }
    }
    table.purge(leader).await;
    (table, leader, lost)
}

#[test]
fn a_snapshot_whose_connection_is_lost_again_and_again_arrives() {
    killed(async || {
        let (table, leader, lost) = left_behind(8_000).await;
        for _ in 0..5 {
            // Some pieces, and then none.
            table.memory().delay(&name(leader), &name(lost), Duration::from_millis(2));
            table.reunite(lost);
            tokio::time::sleep(Duration::from_millis(150)).await;
            table.isolate(lost);
        }
        table.memory().delay(&name(leader), &name(lost), Duration::ZERO);
        table.reunite(lost);
        table.agree(&[1, 2, 3], 8_000).await;
    });
}

#[test]
fn a_leader_whose_snapshot_is_damaged_makes_another_for_whoever_needs_one() {
    killed(async || {
        let (mut table, leader, lost) = left_behind(2_000).await;
        assert!(table.disk(leader).flip_bit(Part::Snapshots, 4_000));
        table.reunite(lost);
        table.agree(&[1, 2, 3], 2_000).await;
        assert_eq!(*table.at(leader).fatal().borrow(), None);
    });
}

#[test]
fn a_node_that_dies_while_a_snapshot_arrives_starts_and_gets_it() {
    killed(async || {
        let (mut table, leader, lost) = left_behind(4_000).await;
        table.memory().delay(&name(leader), &name(lost), Duration::from_millis(5));
        table.reunite(lost);
        tokio::time::sleep(Duration::from_millis(100)).await;
        let seat = table.seats.remove(&lost).unwrap();
        seat.door.cancel();
        let disk = table.disk(lost);
        disk.crash(|_| 0);
        drop(seat);
        table.memory().delay(&name(leader), &name(lost), Duration::ZERO);
        table.join(lost).await;
        table.agree(&[1, 2, 3], 4_000).await;
    });
}

#[test]
fn a_snapshot_is_installed_under_load_and_no_leader_is_missed() {
    killed(async || {
        let (table, leader, lost) = left_behind(4_000).await;
        let term = *table.at(leader).leadership().borrow();
        table.memory().delay(&name(leader), &name(lost), Duration::from_millis(1));
        table.reunite(lost);
        let mut number = 4_000;
        let installed = async {
            while table.at(lost).status().mirror.snapshot.is_none() {
                table.write(leader, number..number + 20).await;
                number += 20;
                // Time stands still while there is something to do.
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(PATIENCE, installed).await.expect("it is installed");
        table.agree(&[1, 2, 3], number).await;
        assert_eq!(*table.at(leader).leadership().borrow(), term);
    });
}

#[test]
fn the_log_does_not_outrun_a_snapshot_that_is_on_its_way() {
    killed(async || {
        let policy = Policy {
            checkpoint_interval: Duration::from_millis(20),
            snapshot_log_entries: 250,
            ..Policy::default()
        };
        let (table, leader, lost) = left_behind_with(policy, 1_000).await;
        // To send it takes some seconds, and in each of them the log grows by as much as makes the next one due.
        table.memory().delay(&name(leader), &name(lost), Duration::from_millis(100));
        table.reunite(lost);
        let mut number = 1_000;
        for _ in 0..400 {
            table.write(leader, number..number + 5).await;
            number += 5;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let (here, there) = (table.at(leader).applied(), table.at(lost).applied());
        assert!(there + 200 > here, "it is at entry {there} of {here}, and work goes on");
        table.agree(&[1, 2, 3], number).await;
    });
}

#[test]
fn a_snapshot_that_finds_no_room_waits_for_it_and_nobody_dies() {
    killed(async || {
        let (mut table, _, lost) = left_behind(2_000).await;
        let disk = table.disk(lost);
        // As tight as a disk can be: each try meets a little more room than the one before, so every step of the
        // install is refused at least once.
        let mut room = 1_u64 << 10;
        disk.limit_space(Some(room));
        table.reunite(lost);
        let installed = async {
            while table.at(lost).status().mirror.snapshot.is_none() {
                tokio::time::sleep(Duration::from_millis(110)).await;
                assert_eq!(*table.at(lost).fatal().borrow(), None);
                room += room / 4;
                disk.limit_space(Some(room));
            }
        };
        tokio::time::timeout(PATIENCE, installed).await.expect("it is installed");
        disk.limit_space(None);
        table.agree(&[1, 2, 3], 2_000).await;
        assert_eq!(*table.at(lost).fatal().borrow(), None);
    });
}
