//! Leaders come and go only when a majority misses one.

use std::time::Duration;

use synod_cluster::proposer::ProposeError;
use synod_cluster::transport::Listener;

use super::support::{killed, request, submit};
use super::table::{PATIENCE, Table, name};

/// The rounds for which a test watches that nothing happens, in the longest election timeout.
const QUIET_ROUNDS: u32 = 6;

/// Lets so much time pass that whoever wants to stand for leader has done it.
async fn quiet(table: &Table) {
    tokio::time::sleep(table.timing.election.1 * QUIET_ROUNDS).await;
}

#[test]
fn a_node_alone_leads_without_asking_and_after_every_restart() {
    killed(async || {
        let mut table = Table::of(1).await;
        table.leader().await;
        table.write(1, 0..5).await;
        table.leave(1).await;
        table.join(1).await;
        assert_eq!(table.leader().await, 1);
        table.write(1, 5..10).await;
    });
}

#[test]
fn a_node_that_comes_back_from_isolation_changes_no_term() {
    killed(async || {
        let table = Table::of(3).await;
        let leader = table.leader().await;
        table.write(leader, 0..5).await;
        let lost = table.others(leader)[0];
        let term = *table.at(leader).leadership().borrow();
        table.isolate(lost);
        table.write(leader, 5..10).await;
        quiet(&table).await;
        table.reunite(lost);
        table.agree(&[1, 2, 3], 10).await;
        quiet(&table).await;
        assert_eq!(*table.at(leader).leadership().borrow(), term);
        assert_eq!(table.at(lost).status().term, term.unwrap());
    });
}

#[test]
fn a_leader_whom_nobody_hears_is_replaced_and_steps_down() {
    killed(async || {
        let table = Table::of(3).await;
        let first = table.leader().await;
        table.write(first, 0..5).await;
        let rest = table.others(first);
        for other in &rest {
            table.memory().block(&name(first), &name(*other));
        }
        let second = table.leader_of(&rest).await;
        table.write(second, 5..10).await;
        let mut leadership = table.at(first).leadership();
        let down = tokio::time::timeout(PATIENCE, leadership.wait_for(Option::is_none)).await;
        down.expect("it knows that nobody answers").unwrap();
        for other in &rest {
            table.memory().unblock(&name(first), &name(*other));
        }
        table.agree(&[1, 2, 3], 10).await;
    });
}

#[test]
fn a_leader_who_hears_nobody_lets_go_although_the_others_hear_it() {
    killed(async || {
        let table = Table::of(3).await;
        let first = table.leader().await;
        table.write(first, 0..5).await;
        let rest = table.others(first);
        for other in &rest {
            table.memory().block(&name(*other), &name(first));
        }
        let told = table.at(first).proposer().propose(request(999), submit(999)).await;
        assert!(matches!(told, Err(ProposeError::Unknown(_) | ProposeError::NotLeader)), "{told:?}");
        let second = table.leader_of(&rest).await;
        table.write(second, 5..10).await;
        for other in &rest {
            table.memory().unblock(&name(*other), &name(first));
        }
        let tasks = table.at(second).state().read().unfinished();
        table.agree(&[1, 2, 3], tasks).await;
    });
}

#[test]
fn two_nodes_that_do_not_hear_each_other_change_no_term_of_a_third_that_both_hear() {
    killed(async || {
        let table = Table::of(3).await;
        let leader = table.leader().await;
        let rest = table.others(leader);
        // The line between leader and follower, so that one of them misses the leader for good.
        table.memory().cut(&name(leader), &name(rest[0]));
        table.write(leader, 0..5).await;
        let term = *table.at(leader).leadership().borrow();
        quiet(&table).await;
        assert_eq!(*table.at(leader).leadership().borrow(), term);
        table.write(leader, 5..10).await;
        table.memory().heal(&name(leader), &name(rest[0]));
        table.agree(&[1, 2, 3], 10).await;
        assert_eq!(*table.at(leader).leadership().borrow(), term);
    });
}

#[test]
fn a_leader_without_a_majority_says_so_and_answers_nobody_who_waits_with_yes() {
    killed(async || {
        let table = Table::of(3).await;
        let leader = table.leader().await;
        table.write(leader, 0..5).await;
        table.isolate(leader);
        let proposer = table.at(leader).proposer();
        let told = tokio::time::timeout(PATIENCE, proposer.propose(request(7), submit(999))).await;
        assert!(matches!(told, Ok(Err(ProposeError::Unknown(_)))), "{told:?}");
        let again = proposer.propose(request(8), submit(998)).await;
        assert_eq!(again, Err(ProposeError::NotLeader));
        assert_eq!(*table.at(leader).leadership().borrow(), None);
    });
}

#[test]
fn a_follower_with_a_slow_disk_holds_nobody_up_and_catches_up() {
    killed(async || {
        let mut table = Table::of(3).await;
        let leader = table.leader().await;
        table.write(leader, 0..5).await;
        let term = *table.at(leader).leadership().borrow();
        let slow = table.others(leader)[0];
        let disk = table.disk(slow);
        disk.hold_syncs();
        table.write(leader, 5..50).await;
        quiet(&table).await;
        table.write(leader, 50..60).await;
        disk.release();
        table.agree(&[1, 2, 3], 60).await;
        assert_eq!(*table.at(leader).leadership().borrow(), term);
    });
}

#[test]
fn a_leader_whose_disk_hangs_is_replaced() {
    killed(async || {
        let mut table = Table::of(3).await;
        let first = table.leader().await;
        table.write(first, 0..5).await;
        let disk = table.disk(first);
        disk.hold_syncs();
        let proposer = table.at(first).proposer();
        let stuck = tokio::spawn(async move { proposer.propose(request(7), submit(999)).await });
        let rest = table.others(first);
        let second = table.leader_of(&rest).await;
        table.write(second, 5..10).await;
        let told = stuck.await.unwrap();
        assert!(matches!(told, Err(ProposeError::Unknown(_))), "{told:?}");
        disk.release();
        let tasks = table.at(second).state().read().unfinished();
        table.agree(&[1, 2, 3], tasks).await;
    });
}

/// Takes streams and says nothing, for ever.
fn hang(mut door: Box<dyn Listener>) {
    tokio::spawn(async move {
        let mut taken = Vec::new();
        while let Ok(incoming) = door.accept().await {
            taken.push(incoming);
        }
    });
}

#[test]
fn a_member_that_accepts_and_never_answers_holds_nobody_up() {
    killed(async || {
        let mut table = Table::of(3).await;
        let leader = table.leader().await;
        table.write(leader, 0..5).await;
        let term = *table.at(leader).leadership().borrow();
        let hung = table.others(leader)[0];
        table.leave(hung).await;
        let door = table.listen(hung).await;
        hang(door);
        table.write(leader, 5..100).await;
        quiet(&table).await;
        table.write(leader, 100..110).await;
        assert_eq!(*table.at(leader).leadership().borrow(), term);
    });
}

#[test]
fn a_line_whose_other_end_has_gone_silent_is_opened_anew() {
    killed(async || {
        let mut table = Table::of(3).await;
        let leader = table.leader().await;
        table.write(leader, 0..5).await;
        let gone = table.others(leader)[0];
        // As a machine that loses its power: no connection ends, and then another one has its address.
        table.memory().block(&name(leader), &name(gone));
        table.memory().block(&name(gone), &name(leader));
        table.leave(gone).await;
        table.write(leader, 5..10).await;
        table.join(gone).await;
        table.memory().unblock(&name(leader), &name(gone));
        table.memory().unblock(&name(gone), &name(leader));
        table.agree(&[1, 2, 3], 10).await;
    });
}

#[test]
fn whoever_asks_is_told_who_leads_on_every_node() {
    killed(async || {
        let table = Table::of(3).await;
        let first = table.leader().await;
        for number in table.numbers() {
            let mut leader = table.at(number).leader();
            let known =
                leader.wait_for(|leader| leader.is_some_and(|leader| leader.node == super::table::id(first)));
            tokio::time::timeout(PATIENCE, known).await.expect("everybody knows").unwrap();
        }
        assert_eq!(table.at(first).heard(), None);
        assert!(table.at(table.others(first)[0]).heard().unwrap() < Duration::from_secs(60));
        let lost = table.others(first)[0];
        table.isolate(lost);
        let mut leader = table.at(lost).leader();
        tokio::time::timeout(PATIENCE, leader.wait_for(Option::is_none)).await.expect("it forgets").unwrap();
        table.reunite(lost);
        tokio::time::timeout(PATIENCE, leader.wait_for(Option::is_some)).await.expect("and knows").unwrap();
    });
}
