//! Three nodes agree, lose their leader, and agree again.

use synod_cluster::proposer::ProposeError;

use super::support::{killed, killed_in_real_time, request, submit};
use super::table::{Table, Wires, patient};

#[test]
fn three_nodes_in_memory_survive_their_leader() {
    killed(async || {
        let table = Table::of(3).await;
        let first = table.leader().await;
        table.write(first, 0..100).await;
        table.agree(&[1, 2, 3], 100).await;

        table.isolate(first);
        let rest = table.others(first);
        let second = table.leader_of(&rest).await;
        table.write(second, 100..150).await;
        table.agree(&rest, 150).await;

        table.reunite(first);
        table.agree(&[1, 2, 3], 150).await;
        assert_eq!(*table.at(first).leadership().borrow(), None);
        let refused = table.at(first).proposer().propose(request(999), submit(999)).await;
        assert_eq!(refused, Err(ProposeError::NotLeader));
    });
}

#[test]
fn three_nodes_over_tcp_survive_their_leader() {
    killed_in_real_time(async || {
        let mut table = Table::new(Wires::Tcp);
        table.timing = patient();
        table.found(3).await;
        let first = table.leader().await;
        table.write(first, 0..100).await;
        table.agree(&[1, 2, 3], 100).await;

        table.leave(first).await;
        let second = table.leader().await;
        table.write(second, 100..150).await;
        table.agree(&table.numbers(), 150).await;
    });
}

#[test]
fn follower_that_missed_what_was_purged_gets_a_snapshot() {
    killed(async || {
        let table = Table::of(3).await;
        let first = table.leader().await;
        let lost = table.others(first)[0];
        table.isolate(lost);
        table.write(first, 0..30).await;
        table.purge(first).await;
        table.reunite(lost);
        table.agree(&[1, 2, 3], 30).await;
        assert!(table.at(lost).status().mirror.snapshot.is_some());
    });
}
