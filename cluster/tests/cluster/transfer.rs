//! The lead moves on request, and reads see what was acknowledged.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use synod_cluster::consensus::{ReadError, TransferError};
use synod_cluster::proposer::ProposeError;
use synod_domain::sources::Clock as _;

use super::support::{TestClock, killed, request, submit};
use super::table::{PATIENCE, Table, id};

#[test]
fn the_lead_moves_to_the_node_that_is_named_and_no_proposal_is_lost() {
    killed(async || {
        let table = Table::of(3).await;
        let first = table.leader().await;
        table.write(first, 0..5).await;
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, proposer) = (stop.clone(), table.at(first).proposer());
        let writer = tokio::spawn(async move {
            let mut written = 0;
            loop {
                let number = 1000 + written;
                match proposer.propose(request(number), submit(number)).await {
                    Ok(settled) => assert!(settled.answer.is_ok()),
                    // Nothing was written: that is what is promised.
                    Err(error) => break (written, error),
                }
                written += 1;
                if stopped.load(Ordering::Relaxed) {
                    break (written, ProposeError::NotLeader);
                }
            }
        });
        let target = table.others(first)[0];
        let gone = table.at(first).transfer(Some(id(target))).await;
        assert_eq!(gone, Ok(id(target)));
        assert_eq!(table.leader_of(&[target]).await, target);
        stop.store(true, Ordering::Relaxed);
        let (written, ended) = writer.await.unwrap();
        assert_eq!(ended, ProposeError::NotLeader);
        table.agree(&[1, 2, 3], 5 + written).await;
    });
}

#[test]
fn the_lead_goes_to_nobody_who_is_no_voter_and_from_nobody_who_does_not_lead() {
    killed(async || {
        let table = Table::of(3).await;
        let first = table.leader().await;
        let other = table.others(first)[0];
        assert_eq!(table.at(first).transfer(Some(id(9))).await, Err(TransferError::NoTarget));
        assert_eq!(table.at(other).transfer(None).await, Err(TransferError::NotLeader));
        table.write(first, 0..5).await;
    });
}

#[test]
fn a_leader_whose_heir_cannot_be_reached_leads_on() {
    killed(async || {
        let table = Table::of(3).await;
        let first = table.leader().await;
        let lost = table.others(first)[0];
        table.isolate(lost);
        table.write(first, 0..5).await;
        assert_eq!(table.at(first).transfer(Some(id(lost))).await, Err(TransferError::Behind));
        table.write(first, 5..10).await;
    });
}

#[test]
fn a_leader_that_stops_gives_the_lead_away() {
    killed(async || {
        let mut table = Table::of(3).await;
        let first = table.leader().await;
        table.write(first, 0..5).await;
        let term = table.at(first).leadership().borrow().unwrap();
        table.leave(first).await;
        let second = table.leader().await;
        // Nobody had to miss it: the next term is the one that was handed over.
        assert_eq!(table.at(second).leadership().borrow().unwrap(), term + 1);
        table.write(second, 5..10).await;
    });
}

#[test]
fn a_read_index_is_no_older_than_what_was_acknowledged() {
    killed(async || {
        let table = Table::of(3).await;
        let first = table.leader().await;
        for number in 0..20 {
            let settled = table.at(first).proposer().propose(request(number), submit(number)).await.unwrap();
            let reads = (0..4).map(|_| table.at(first).read_index());
            for index in futures::future::join_all(reads).await {
                assert!(index.unwrap() >= settled.index);
            }
            for other in table.others(first) {
                assert!(table.at(other).wait_applied(settled.index, PATIENCE).await);
                assert!(table.at(other).applied() >= settled.index);
            }
        }
        assert_eq!(table.at(table.others(first)[0]).read_index().await, Err(ReadError::NotLeader));
    });
}

#[test]
fn a_leader_that_was_cut_off_gives_no_read_index_while_others_write() {
    killed(async || {
        let table = Table::of(3).await;
        let first = table.leader().await;
        table.write(first, 0..5).await;
        table.isolate(first);
        // Before and after it knows.
        assert!(table.at(first).read_index().await.is_err());
        let second = table.leader_of(&table.others(first)).await;
        table.write(second, 5..10).await;
        assert!(table.at(first).read_index().await.is_err());
        table.reunite(first);
        table.agree(&[1, 2, 3], 10).await;
        assert_eq!(table.at(first).read_index().await, Err(ReadError::NotLeader));
    });
}

#[test]
fn nodes_whose_clocks_are_a_day_apart_agree_on_one_time() {
    const DAY: u64 = 24 * 60 * 60 * 1000;
    killed(async || {
        let mut table = Table::of(0).await;
        let walls = [100 * DAY, 101 * DAY, 99 * DAY];
        table
            .found_with(3, |number, options| {
                let wall = walls[usize::try_from(number).unwrap() - 1];
                options.clock = Arc::new(TestClock(AtomicU64::new(wall)));
            })
            .await;
        let mut leader = table.leader().await;
        table.write(leader, 0..5).await;
        let begun = table.at(leader).state().read().now().as_millis();
        // Whoever leads next goes on where the last one was.
        for round in 1..4 {
            let next = table.others(leader)[0];
            table.at(leader).transfer(Some(id(next))).await.unwrap();
            leader = table.leader_of(&[next]).await;
            table.write(leader, round * 5..round * 5 + 5).await;
        }
        table.agree(&[1, 2, 3], 20).await;
        let passed = table.at(leader).state().read().now().as_millis() - begun;
        assert!(passed < DAY / 24, "{passed} ms passed");
        for number in table.numbers() {
            let apart = table.at(number).clock().now().as_millis().abs_diff(begun);
            assert!(apart < DAY / 24, "node {number} is {apart} ms off");
        }
    });
}

#[test]
fn a_backup_holds_what_was_applied() {
    killed(async || {
        let table = Table::of(3).await;
        let first = table.leader().await;
        table.write(first, 0..50).await;
        let backup = table.at(first).backup().await.unwrap().snapshot;
        assert_eq!(backup.info().applied, table.at(first).applied() + 1);
        let mut bytes = 0;
        while let piece @ 1.. = backup.read_at(bytes, 4096).unwrap().len() as u64 {
            bytes += piece;
        }
        assert!(bytes > 50 * 16, "{bytes} bytes");
        table.write(first, 50..60).await;
    });
}

#[test]
fn a_node_that_is_about_to_go_is_neither_made_leader_nor_elected_and_still_votes() {
    killed(async || {
        let table = Table::of(3).await;
        let first = table.leader().await;
        table.write(first, 0..5).await;
        let [goes, stays] = table.others(first)[..] else { panic!("there are three") };
        table.at(goes).retire();
        let refused = table.at(first).transfer(Some(id(goes))).await;
        assert!(matches!(refused, Err(TransferError::Refused(_))), "{refused:?}");
        assert_eq!(table.at(first).transfer(None).await, Ok(id(stays)));
        table.write(stays, 5..10).await;
        // Of the two that are left one must be elected by both.
        table.isolate(stays);
        assert_eq!(table.leader_of(&[first, goes]).await, first);
        table.write(first, 10..15).await;
    });
}

#[test]
fn a_node_alone_leads_on_although_it_is_about_to_go() {
    killed(async || {
        let mut table = Table::of(1).await;
        table.leader().await;
        table.at(1).retire();
        table.write(1, 0..5).await;
        table.leave(1).await;
        table.join(1).await;
        assert_eq!(table.leader().await, 1);
    });
}

#[test]
fn what_was_proposed_for_an_earlier_term_is_not_written_in_a_later_one() {
    killed(async || {
        let table = Table::of(3).await;
        let first = table.leader().await;
        let term = table.at(first).leadership().borrow().unwrap();
        let (old, any) = (table.at(first).proposer().of_term(term), table.at(first).proposer());
        assert!(old.propose(request(1), submit(1)).await.unwrap().answer.is_ok());
        let other = table.others(first)[0];
        table.at(first).transfer(Some(id(other))).await.unwrap();
        assert_eq!(table.leader_of(&[other]).await, other);
        table.at(other).transfer(Some(id(first))).await.unwrap();
        assert_eq!(table.leader_of(&[first]).await, first);
        let late = old.propose(request(2), submit(2));
        let (late, tick, own) = futures::join!(late, old.tick(), any.propose(request(3), submit(3)));
        assert_eq!(late, Err(ProposeError::NotLeader));
        assert_eq!(tick, Err(ProposeError::NotLeader));
        assert!(own.unwrap().answer.is_ok());
        // Whatever was left of the term before has not harmed what comes.
        assert!(any.propose(request(4), submit(4)).await.unwrap().answer.is_ok());
        table.agree(&[1, 2, 3], 3).await;
    });
}
