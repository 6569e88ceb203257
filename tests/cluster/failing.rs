//! Nodes die, and work goes on.

use std::time::Duration;

use serde_json::Value;
use synod::node::domain::agent::{AgentStatus, Host};
use synod::node::domain::name::Name;
use synod::node::domain::node::NodeRole;
use synod::node::domain::pause::Pausable;
use synod::node::domain::task::Phase;
use synod::node::{Error, NewTask, Pool};

use crate::group::{Group, open, within};
use crate::support::{PATIENCE, Script, completed, eventually, task};

/// Larger than what travels in the log.
const LARGE: usize = 300 * 1024;

#[tokio::test(flavor = "multi_thread")]
async fn the_leader_dies_and_nothing_acknowledged_is_lost_and_each_ends_once() {
    let mut group = Group::form(3).await;
    group.voters(3).await;
    group.node(0).put_pool(Pool::native("p", "script").unwrap().size(6)).await.unwrap();
    let leader = group.leader().await;
    let survivors: Vec<usize> = (0..3).filter(|seat| *seat != leader).collect();
    let mut acknowledged = Vec::new();
    for turn in 0..20_u64 {
        let node = group.node(survivors[0]);
        acknowledged.push(node.submit(task("p", &Script::Wait(turn * 5))).await.unwrap());
    }
    group.kill(leader);
    for turn in 0..20_u64 {
        let node = group.node(survivors[1]).clone();
        let submit = async {
            loop {
                match node.submit(task("p", &Script::Wait(turn))).await {
                    Ok(made) => return made,
                    Err(Error::Journal(_)) => {}
                    Err(error) => panic!("{error}"),
                }
            }
        };
        acknowledged.push(within("a submit is taken", submit).await);
    }
    for made in acknowledged {
        completed(group.node(survivors[0]), made).await;
        let seen = group.node(survivors[1]).wait(made).await.unwrap();
        assert_eq!(seen.phase(), Phase::Completed);
    }
    group.stop_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn agents_of_a_dead_node_run_elsewhere() {
    let mut group = Group::form(3).await;
    group.voters(3).await;
    group.node(0).put_pool(Pool::native("p", "script").unwrap().size(6)).await.unwrap();
    let victim = group.follower().await;
    let dead = group.node(victim).id();
    let hosted = |group: &Group, of| {
        let node = group.nodes().next().unwrap();
        node.read(|state| state.agents().filter(|agent| agent.spec.host == of).count())
    };
    eventually("it hosts two", || (hosted(&group, Host::Node(dead)) == 2).then_some(())).await;
    group.kill(victim);
    eventually("the others host all of them", || {
        let all: usize = group.nodes().map(|node| hosted(&group, Host::Node(node.id()))).sum();
        (all == 6).then_some(())
    })
    .await;
    group.stop_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_payload_outlives_the_node_that_took_it() {
    let mut group = Group::form(3).await;
    group.voters(3).await;
    let taker = group.follower().await;
    let large = Value::String("x".repeat(LARGE));
    let pool = Pausable::Pool(Name::new("p").unwrap());
    group.node(0).put_pool(Pool::native("p", "script").unwrap().size(3)).await.unwrap();
    group.node(0).pause(pool.clone(), "until its first node is dead").await.unwrap();
    let made = NewTask::to_pool("p", "work", &Script::Echo(large.clone())).unwrap();
    let made = group.node(taker).submit(made).await.unwrap();
    group.kill(taker);
    let other = group.node(group.leader().await).clone();
    other.resume(pool).await.unwrap();
    assert_eq!(completed(&other, made).await["echo"], large);
    drop(other);
    // The result is as large, and every node that is left can show it.
    for node in group.nodes() {
        assert_eq!(completed(node, made).await["echo"], large);
    }
    group.stop_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_payload_and_a_large_result_outlive_the_replacement_of_every_node_that_took_them() {
    let mut group = Group::form(3).await;
    group.voters(3).await;
    let large = Value::String("x".repeat(LARGE));
    let result = Value::String("y".repeat(LARGE));
    group.node(0).put_pool(Pool::external("p").unwrap().between(0, 1)).await.unwrap();
    // One node does not get it when it is put.
    let late = group.follower().await;
    group.stop(late).await;
    let holders: Vec<usize> = (0..3).filter(|seat| *seat != late).collect();
    group.node(holders[0]).put_pool(Pool::native("q", "script").unwrap().size(1)).await.unwrap();
    let ended = NewTask::to_pool("q", "work", &Script::Echo(result.clone())).unwrap();
    let ended = group.node(holders[0]).submit(ended).await.unwrap();
    assert_eq!(completed(group.node(holders[0]), ended).await["echo"], result);
    let made = NewTask::to_pool("p", "work", &Script::Echo(large.clone())).unwrap();
    let made = group.node(holders[0]).submit(made).await.unwrap();
    group.start(late).await;
    for holder in holders {
        let gone = group.node(holder).id();
        group.stop(holder).await;
        group.nodes().next().unwrap().remove_node(gone, "it is scrapped").await.unwrap();
        group.voters(2).await;
        let new = group.join(NodeRole::Voter).await;
        group.voters(3).await;
        for seat in [late, new] {
            // What is still to be done, and what has been done; not the payload of the latter.
            eventually("it has the payload and the result", || (group.blobs(seat) >= 2).then_some(())).await;
        }
    }
    let node = group.node(late).clone();
    node.put_pool(Pool::native("p", "script").unwrap().size(3)).await.unwrap();
    assert_eq!(completed(&node, made).await["echo"], large);
    assert_eq!(completed(&node, ended).await["echo"], result);
    drop(node);
    group.stop_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_minority_refuses_writes_and_says_who_is_missing() {
    let mut group = Group::form(3).await;
    group.voters(3).await;
    let survivor = group.follower().await;
    for seat in 0..3 {
        if seat != survivor {
            group.kill(seat);
        }
    }
    let node = group.node(survivor).clone();
    let refused = within("it is refused", async {
        loop {
            // What was on its way when the others died may have arrived.
            match node.submit(open(1)).await.unwrap_err() {
                error if error.to_string().contains("outcome is not known") => {}
                error => return error.to_string(),
            }
        }
    })
    .await;
    assert!(refused.contains("no leader is known here"), "{refused}");
    eventually("it sees that the others are gone", || {
        node.staleness().is_some_and(|stale| stale > Duration::from_secs(1)).then_some(())
    })
    .await;
    assert!(within("it cannot be sure", node.linearize()).await.is_err());
    // What it has can be read all the same.
    assert_eq!(node.read(|state| state.nodes().count()), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_node_of_a_group_stops_although_its_agents_end_cannot_be_agreed() {
    // Longer than any test waits.
    let group = Group::form_draining(3, 10 * PATIENCE);
    let mut group = within("the group forms", group).await;
    group.voters(3).await;
    group.node(0).put_pool(Pool::native("p", "script").unwrap().size(3)).await.unwrap();
    let last = group.follower().await;
    let id = group.node(last).id();
    eventually("an agent serves there", || {
        let node = group.node(last);
        let serves = |host: &Host, status| *host == Host::Node(id) && status == AgentStatus::Ready;
        let found = node.read(|state| state.agents().any(|agent| serves(&agent.spec.host, agent.status())));
        found.then_some(())
    })
    .await;
    for seat in 0..3 {
        if seat != last {
            group.kill(seat);
        }
    }
    group.stop(last).await;
}
