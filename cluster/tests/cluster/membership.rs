//! The group becomes what the state says of its nodes.

use synod_cluster::view::MemberView;
use synod_domain::command::Command;
use synod_domain::node::NodeRole;
use synod_domain::reply::Reply;

use super::support::{accepted, killed};
use super::table::{PATIENCE, Table, id, name, spec};

/// Waits until a node knows the group so, and no change of it is half done.
async fn shows(table: &Table, at: u64, expected: impl Fn(&[MemberView]) -> bool) {
    let as_expected = || {
        let group = table.at(at).group();
        !group.changing && expected(&group.members)
    };
    let shown = async {
        while !as_expected() {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    let shown = tokio::time::timeout(PATIENCE, shown).await;
    assert!(shown.is_ok(), "{:#?}", table.at(at).group());
}

fn voters(members: &[MemberView]) -> Vec<u64> {
    members.iter().filter(|member| member.voter).map(|member| member.number).collect()
}

fn numbers(members: &[MemberView]) -> Vec<u64> {
    members.iter().map(|member| member.number).collect()
}

/// Starts a group of one that has named itself.
async fn founded() -> Table {
    let table = Table::of(1).await;
    table.leader().await;
    accepted(table.at(1), 1_000_001, Command::StartNode { spec: spec(1), generation: 1 }).await;
    table
}

/// Admits a node under the next number.
async fn admit(table: &Table, at: u64, number: u64, role: NodeRole) {
    let [put, admit] = super::table::admission(number, role);
    accepted(table.at(at), 2_000_000 + number, put).await;
    let told = table.at(at).proposer().propose(super::support::request(3_000_000 + number), admit).await;
    let answer = told.map(super::support::answer);
    assert!(
        matches!(&answer, Ok(Ok(Reply::Admitted { number: given, .. })) if *given == number),
        "{answer:?}"
    );
}

/// Makes three voters of one.
async fn grown() -> Table {
    let mut table = founded().await;
    for number in [2, 3] {
        admit(&table, 1, number, NodeRole::Voter).await;
        table.join(number).await;
        let start = Command::StartNode { spec: spec(number), generation: 1 };
        accepted(table.at(1), 1_000_000 + number, start).await;
        shows(&table, 1, |members| voters(members).contains(&number)).await;
    }
    // What only the leader knows, the next leader may not know yet.
    for number in [2, 3] {
        shows(&table, number, |members| voters(members) == [1, 2, 3]).await;
    }
    table
}

#[test]
fn a_group_grows_from_one_to_three_voters_and_a_worker() {
    killed(async || {
        let mut table = grown().await;
        table.write(1, 0..20).await;
        admit(&table, 1, 4, NodeRole::Worker).await;
        table.join(4).await;
        shows(&table, 1, |members| numbers(members) == [1, 2, 3, 4] && voters(members) == [1, 2, 3]).await;
        table.agree(&[1, 2, 3, 4], 20).await;
        // Any one may go now.
        table.isolate(1);
        let second = table.leader_of(&[2, 3]).await;
        table.write(second, 20..30).await;
        table.agree(&[2, 3, 4], 30).await;
    });
}

#[test]
fn a_learner_that_cannot_be_reached_does_not_become_a_voter_until_it_can() {
    killed(async || {
        let mut table = founded().await;
        table.join(2).await;
        table.isolate(2);
        admit(&table, 1, 2, NodeRole::Voter).await;
        shows(&table, 1, |members| numbers(members) == [1, 2]).await;
        table.write(1, 0..50).await;
        assert_eq!(voters(&table.at(1).group().members), [1]);
        table.reunite(2);
        shows(&table, 1, |members| voters(members) == [1, 2]).await;
        table.agree(&[1, 2], 50).await;
    });
}

#[test]
fn a_voter_that_is_down_is_removed_and_replaced() {
    killed(async || {
        let mut table = grown().await;
        table.isolate(3);
        let remove = Command::RemoveNode { node: id(3), reason: "it burnt".into() };
        accepted(table.at(1), 4_000_000, remove).await;
        shows(&table, 1, |members| numbers(members) == [1, 2]).await;
        admit(&table, 1, 4, NodeRole::Voter).await;
        table.join(4).await;
        shows(&table, 1, |members| voters(members) == [1, 2, 4]).await;
        table.write(1, 0..10).await;
        table.agree(&[1, 2, 4], 10).await;
        // The one that was removed comes back and disturbs nobody.
        let term = *table.at(1).leadership().borrow();
        table.reunite(3);
        tokio::time::sleep(table.timing.election.1 * 4).await;
        assert_eq!(*table.at(1).leadership().borrow(), term);
    });
}

#[test]
fn a_node_that_is_removed_hears_it() {
    killed(async || {
        let table = grown().await;
        let remove = Command::RemoveNode { node: id(3), reason: "it goes".into() };
        accepted(table.at(1), 4_000_000, remove).await;
        shows(&table, 1, |members| numbers(members) == [1, 2]).await;
        let hears = async {
            while table.at(3).state().read().node(id(3)).is_some() {
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(PATIENCE, hears).await.expect("it knows that it is no node any more");
    });
}

#[test]
fn a_leader_that_is_removed_gives_the_lead_away_first() {
    killed(async || {
        let table = grown().await;
        let remove = Command::RemoveNode { node: id(1), reason: "it goes".into() };
        accepted(table.at(1), 4_000_000, remove).await;
        let second = table.leader_of(&[2, 3]).await;
        shows(&table, second, |members| numbers(members) == [2, 3]).await;
        table.write(second, 0..10).await;
        table.agree(&[2, 3], 10).await;
    });
}

#[test]
fn a_voter_becomes_a_worker_and_a_voter_again() {
    killed(async || {
        let table = grown().await;
        let role = |role| Command::SetNodeRole { node: id(3), role };
        accepted(table.at(1), 4_000_000, role(NodeRole::Worker)).await;
        shows(&table, 1, |members| numbers(members) == [1, 2, 3] && voters(members) == [1, 2]).await;
        accepted(table.at(1), 4_000_001, role(NodeRole::Voter)).await;
        shows(&table, 1, |members| voters(members) == [1, 2, 3]).await;
    });
}

#[test]
fn whoever_has_no_vote_any_more_is_missed_by_nobody() {
    killed(async || {
        let mut table = grown().await;
        admit(&table, 1, 4, NodeRole::Voter).await;
        table.join(4).await;
        accepted(table.at(1), 1_000_004, Command::StartNode { spec: spec(4), generation: 1 }).await;
        for at in 1..=4 {
            shows(&table, at, |members| voters(members) == [1, 2, 3, 4]).await;
        }
        let role = Command::SetNodeRole { node: id(4), role: NodeRole::Worker };
        accepted(table.at(1), 4_000_000, role).await;
        assert!(table.at(4).wait_voteless(PATIENCE).await, "{:#?}", table.at(4).group());
        // The leader goes in the very next moment.
        table.isolate(4);
        table.isolate(1);
        let second = table.leader_of(&[2, 3]).await;
        table.write(second, 0..10).await;
        table.agree(&[2, 3], 10).await;
    });
}

#[test]
fn a_vote_that_the_others_need_is_not_given_up() {
    killed(async || {
        let table = grown().await;
        table.isolate(2);
        let role = Command::SetNodeRole { node: id(3), role: NodeRole::Worker };
        accepted(table.at(1), 4_000_000, role).await;
        // Two of two are a majority, and one of them is not there, though it answered a moment ago.
        assert!(!table.at(3).wait_voteless(std::time::Duration::from_secs(1)).await);
        table.write(1, 0..10).await;
        // When it is back, the vote can go.
        table.reunite(2);
        assert!(table.at(3).wait_voteless(PATIENCE).await);
    });
}

#[test]
fn a_change_that_a_partition_interrupts_is_finished_by_the_next_leader() {
    killed(async || {
        let mut table = grown().await;
        table.join(4).await;
        table.memory().cut(&name(1), &name(2));
        table.memory().cut(&name(1), &name(3));
        // The leader writes what nobody hears; it does not hold.
        let [put, _] = super::table::admission(4, NodeRole::Voter);
        let told = table.at(1).proposer().propose(super::support::request(5_000_000), put).await;
        assert!(told.is_err(), "{told:?}");
        let second = table.leader_of(&[2, 3]).await;
        admit(&table, second, 4, NodeRole::Voter).await;
        shows(&table, second, |members| voters(members).contains(&4)).await;
        table.memory().heal(&name(1), &name(2));
        table.memory().heal(&name(1), &name(3));
        table.write(second, 0..10).await;
        table.agree(&[1, 2, 3, 4], 10).await;
        assert_eq!(voters(&table.at(1).group().members), [1, 2, 3, 4]);
    });
}
