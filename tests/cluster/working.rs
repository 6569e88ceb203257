//! Any node takes any request.

use synod::node::Pool;
use synod::node::domain::command::Command;
use synod::node::domain::id::AgentId;
use synod::node::domain::task::{Phase, Usage};

use crate::group::{Group, open, outside, within};
use crate::support::{Script, completed, eventually, task};

#[tokio::test(flavor = "multi_thread")]
async fn work_is_submitted_on_one_node_claimed_on_another_and_completed_on_a_third() {
    let group = Group::form(3).await;
    group.voters(3).await;
    for turn in 0..3_usize {
        let (first, second, third) =
            (group.node(turn), group.node((turn + 1) % 3), group.node((turn + 2) % 3));
        let agent = second.new_agent_id();
        second.register_agent(outside(agent, &format!("a{turn}"))).await.unwrap();
        let made = first.submit(open(turn)).await.unwrap();
        let claimed = within("it is claimed", async {
            loop {
                let claimed = second.claim(agent, 1).await.unwrap();
                if !claimed.is_empty() {
                    return claimed;
                }
            }
        })
        .await;
        assert_eq!(claimed[0].spec.id, made);
        let phase = third.complete(made, claimed[0].attempt, b"\"done\"", Usage::default()).await.unwrap();
        assert_eq!(phase, Phase::Completed);
        completed(first, made).await;
    }
    group.stop_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_proposed_on_a_follower_reads_its_own_write_there() {
    let group = Group::form(3).await;
    group.voters(3).await;
    let follower = group.node(group.follower().await);
    for turn in 0..50 {
        let made = follower.submit(open(turn)).await.unwrap();
        assert!(follower.read(|state| state.task(made).is_some()), "turn {turn}");
    }
    group.stop_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_anywhere_is_seen_everywhere_after_linearizing() {
    let group = Group::form(3).await;
    group.voters(3).await;
    for turn in 0..30_usize {
        let made = group.node(turn % 3).submit(open(turn)).await.unwrap();
        let reader = group.node((turn + 1) % 3);
        reader.linearize().await.unwrap();
        assert!(reader.read(|state| state.task(made).is_some()), "turn {turn}");
    }
    group.stop_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_request_on_two_nodes_counts_once() {
    let group = Group::form(3).await;
    group.voters(3).await;
    let id = group.node(0).new_request_id();
    let spec = std::sync::Arc::new(group.node(0).spec_of(open(1)).await.unwrap());
    let submit = || Command::Submit { spec: spec.clone() };
    let (one, other) =
        tokio::join!(group.node(1).propose_as(id, submit()), group.node(2).propose_as(id, submit()));
    assert_eq!(one.unwrap(), other.unwrap());
    group.stop_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn native_agents_of_a_pool_spread_over_the_nodes() {
    let group = Group::form(3).await;
    group.voters(3).await;
    group.node(0).put_pool(Pool::native("p", "script").unwrap().size(6)).await.unwrap();
    eventually("each node hosts two", || {
        let hosts = group.nodes().map(|node| {
            let here = synod::node::domain::agent::Host::Node(node.id());
            group.node(0).read(|state| state.agents().filter(|agent| agent.spec.host == here).count())
        });
        hosts.into_iter().all(|count| count == 2).then_some(())
    })
    .await;
    let mut made = Vec::new();
    for turn in 0..30_usize {
        made.push(group.node(turn % 3).submit(task("p", &Script::Echo(turn.into()))).await.unwrap());
    }
    for id in made {
        completed(group.node(0), id).await;
    }
    group.stop_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_in_flight_during_a_transfer_heal_by_themselves() {
    let group = Group::form(3).await;
    group.voters(3).await;
    let submits = (0..3).map(|seat| {
        let node = group.node(seat).clone();
        tokio::spawn(async move {
            for turn in 0..60 {
                node.submit(open(turn)).await.unwrap();
            }
        })
    });
    let submits: Vec<_> = submits.collect();
    within("the lead is given away", group.give_lead_away()).await;
    for submit in submits {
        within("the submits end", submit).await.unwrap();
    }
    group.node(0).linearize().await.unwrap();
    assert_eq!(group.node(0).read(|state| state.tasks().count()), 180);
    group.stop_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_speaks_to_a_follower_is_not_silent_for_the_leader() {
    let group = Group::form(3).await;
    group.voters(3).await;
    let follower = group.node(group.follower().await).clone();
    let leader = group.node(group.leader().await).clone();
    let agent: AgentId = follower.new_agent_id();
    follower.register_agent(outside(agent, "far")).await.unwrap();
    // The leader hears of it although nobody ever spoke to it of this agent.
    eventually("it is heard", || leader.heard_ago(agent)).await;
    let first = leader.heard_ago(agent).unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    follower.heartbeat_agent(agent).await.unwrap();
    eventually("it is heard again", || {
        let ago = leader.heard_ago(agent)?;
        (ago < first + std::time::Duration::from_millis(20)).then_some(())
    })
    .await;
    group.stop_all().await;
}
