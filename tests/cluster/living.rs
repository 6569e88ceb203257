//! What members do for each other besides agreeing: logs, letters, keys of gossip, leaving.

use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use synod::courier::{Address, Error as CourierError, Guest, Keeping, Letter, Undelivered};
use synod::node::domain::agent::Host;
use synod::node::domain::name::Name;
use synod::node::{NewTask, Node, Pool, Seeing};

use crate::group::{Group, within};
use crate::support::{PATIENCE, Script, completed, eventually, scripted, task};

#[tokio::test(flavor = "multi_thread")]
async fn the_log_of_an_attempt_is_read_on_every_node() {
    let group = Group::form(3).await;
    group.voters(3).await;
    let talkative = Pool::process("p", &["sh", "-c", "echo said >&2; cat"]).unwrap().size(3);
    group.node(0).put_pool(talkative).await.unwrap();
    let made = NewTask::to_pool("p", "work", &1).unwrap();
    let made = group.node(0).submit(made).await.unwrap();
    completed(group.node(0), made).await;
    let agent = group.node(0).task(made).unwrap().attempts[0].agent;
    let host = group.node(0).read(|state| state.agent(agent).map(|agent| agent.spec.host.clone()));
    let mut elsewhere = 0;
    for node in group.nodes() {
        node.linearize().await.unwrap();
        let log = within("the log is read", node.attempt_log(made, 1)).await.unwrap();
        assert_eq!(log.as_deref(), Some(&b"said\n"[..]));
        elsewhere += usize::from(host != Some(Host::Node(node.id())));
    }
    assert_eq!(elsewhere, 2, "its host is one of them");
    group.stop_all().await;
}

#[derive(Debug, Serialize, Deserialize)]
struct Say(String);

impl Letter for Say {
    const KIND: &'static str = "say";
    const VERSION: u16 = 1;
    type Reply = String;
}

struct Echo;

impl Guest for Echo {
    type Letter = Say;
    type Reply = String;

    async fn handle(&mut self, Say(words): Say) -> String {
        format!("heard {words}")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_is_asked_from_another_node_by_name_and_by_node_and_is_gone_with_its_own() {
    let mut group = Group::form(2).await;
    group.voters(2).await;
    group.node(1).courier().register("echo", Keeping::default(), || Echo).await.unwrap();
    let name = Name::new("echo").unwrap();
    let there = Address { node: Some(group.node(1).id()), name: name.clone() };
    let asker = group.node(0).clone();
    for to in [Address::anywhere(name.clone()), there.clone()] {
        let letter = Say("hello".to_owned());
        let asked = asker.courier().ask(&to, &letter, PATIENCE);
        // By name alone it is found once gossip knows the other node.
        assert_eq!(within("it answers", asked).await.unwrap(), "heard hello");
    }
    let dead = asker.courier().dead_letters().total;
    group.stop(1).await;
    let gone = asker.courier().ask(&there, &Say("again".to_owned()), Duration::from_secs(2)).await;
    assert!(matches!(gone, Err(CourierError::Undelivered(_))), "{gone:?}");
    let gone = asker.courier().ask(&Address::anywhere(name), &Say("again".to_owned()), PATIENCE).await;
    assert!(matches!(gone, Err(CourierError::Undelivered(Undelivered::UnknownName { .. }))), "{gone:?}");
    assert_eq!(asker.courier().dead_letters().total, dead + 2);
    drop(asker);
    // One of two cannot agree that it stops; it is not kept by that.
    group.stop_all().await;
}

/// Waits until every node takes every other for alive, by gossip.
async fn all_alive(group: &Group) {
    eventually("everybody is alive for everybody", || {
        let sees_all = |node: &Node| {
            let nodes = node.cluster().nodes;
            let alive =
                nodes.iter().filter(|one| one.seen.as_ref().is_some_and(|seen| seen.health == Seeing::Alive));
            alive.count() == nodes.len()
        };
        group.nodes().all(|node| sees_all(node)).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn three_nodes_gossip_on_while_their_key_is_rotated_and_with_the_new_one_alone() {
    let mut group = Group::form(3).await;
    group.voters(3).await;
    all_alive(&group).await;
    let number = group.node(0).install_gossip_key().await.unwrap();
    let known = |number| group.nodes().all(|node| node.keyring().keys.iter().any(|key| key.number == number));
    eventually("everybody has the new key", || known(number).then_some(())).await;
    group.node(1).use_gossip_key(number).await.unwrap();
    group.node(2).remove_gossip_key(1).await.unwrap();
    eventually("nobody has the old key", || (!known(1)).then_some(())).await;
    let heard: Vec<u64> = group.nodes().map(|node| node.datagrams().unwrap().received).collect();
    eventually("datagrams are opened with the new key", || {
        let now = group.nodes().map(|node| node.datagrams().unwrap().received);
        now.zip(&heard).all(|(now, before)| now > before + 10).then_some(())
    })
    .await;
    all_alive(&group).await;
    // A node that comes back has the new key from its own state.
    group.stop(2).await;
    group.start(2).await;
    all_alive(&group).await;
    group.stop_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_leaves_gives_its_agents_away_and_is_forgotten() {
    let mut group = Group::form(3).await;
    group.voters(3).await;
    group.node(0).put_pool(Pool::native("p", "script").unwrap().size(3)).await.unwrap();
    let leader = group.leader().await;
    let gone = group.node(leader).id();
    within("it leaves", group.node(leader).leave()).await.unwrap();
    group.stop(leader).await;
    group.voters(2).await;
    let stays = group.nodes().next().unwrap().clone();
    assert!(stays.cluster().nodes.iter().all(|one| one.node.spec.id != gone));
    let done = stays.submit(task("p", &Script::Echo(1.into()))).await.unwrap();
    completed(&stays, done).await;
    eventually("others host its agents", || {
        let hosts = |state: &synod::node::domain::state::State| {
            let agents: Vec<Host> = state.agents().map(|agent| agent.spec.host.clone()).collect();
            agents.len() == 3 && agents.iter().all(|host| *host != Host::Node(gone))
        };
        stays.read(hosts).then_some(())
    })
    .await;
    drop(stays);
    // Its data is that of a node which is none any more.
    let back = scripted(group.seats[leader].data.path()).begin().await.unwrap();
    let refused = within("it is told", back.ready()).await.unwrap_err().to_string();
    assert!(refused.contains("was removed"), "{refused}");
    back.stop().await;
    group.stop_all().await;
}

/// Writes into a data folder that no node runs on how often one has started there.
async fn count_starts(data: &Path, starts: u64) {
    let opened = synod::node::storage::open(data, &Default::default()).unwrap();
    let (done, durable) = tokio::sync::oneshot::channel();
    let bytes = starts.to_be_bytes().to_vec().into();
    opened.storage.log.put_note("synod.generation", bytes, Box::new(|outcome| drop(done.send(outcome))));
    within("it is written", durable).await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_starts_under_a_number_that_was_used_is_refused() {
    let mut group = Group::form(3).await;
    group.voters(3).await;
    group.stop(2).await;
    group.start(2).await;
    group.stop(2).await;
    let data = group.seats[2].data.path().to_owned();
    count_starts(&data, 0).await;
    let back = scripted(&data).begin().await.unwrap();
    let refused = within("it is told", back.ready()).await.unwrap_err().to_string();
    assert!(refused.contains("forgotten"), "{refused}");
    back.stop().await;
    drop(back);
    // With what was forgotten it is as good as ever.
    count_starts(&data, 9).await;
    group.start(2).await;
    all_alive(&group).await;
    group.stop_all().await;
}
