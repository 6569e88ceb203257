//! Laws and examples of nodes, join tokens and gossip keys.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use synod_domain::agent::{Host, Standing};
use synod_domain::command::Command;
use synod_domain::limits::Limits;
use synod_domain::node::{GossipSecret, JoinToken, NodeRole, NodeStanding};
use synod_domain::refusal::Refusal;
use synod_domain::reply::Reply;
use synod_domain::state::State;
use synod_domain::task::Phase;

use super::histories::{config, histories, one_by_one};
use super::world::{
    World, agent, agent_spec, at, complete, hash, name, node, node_spec, register, spec, standing,
    start_node, task, token,
};

proptest! {
    #![proptest_config(config(600))]

    #[test]
    fn a_number_names_one_node_for_ever_and_a_generation_never_falls(history in histories()) {
        let mut state = State::default();
        let mut numbers = BTreeMap::new();
        for entry in &one_by_one(&history) {
            let before: BTreeMap<_, _> = state.nodes().map(|one| (one.spec.id, one.clone())).collect();
            state.apply(entry);
            for node in state.nodes() {
                let first = numbers.entry(node.number).or_insert((node.spec.id, node.admitted_at));
                prop_assert_eq!(*first, (node.spec.id, node.admitted_at));
                if let Some(earlier) = before.get(&node.spec.id).filter(|earlier| earlier.number == node.number) {
                    prop_assert!(node.generation >= earlier.generation);
                }
            }
            let names: BTreeSet<_> = state.nodes().map(|node| node.spec.name.clone()).collect();
            prop_assert_eq!(names.len(), state.nodes().count(), "two nodes have one name");
            prop_assert!(state.nodes().next().is_none() || state.nodes().any(|one| one.role == NodeRole::Voter));
        }
    }

    #[test]
    fn nobody_works_on_a_node_that_is_not_counted_on(history in histories()) {
        let mut state = State::default();
        for entry in &one_by_one(&history) {
            state.apply(entry);
            for agent in state.agents() {
                let Host::Node(host) = agent.spec.host else { continue };
                let is_up = state.node(host).is_some_and(|node| node.standing == NodeStanding::Up);
                if !is_up && state.nodes().next().is_some() {
                    prop_assert!(agent.held.is_empty(), "{} holds work on a node that is gone", agent.spec.id);
                    prop_assert!(!agent.takes_work());
                }
            }
        }
    }

    #[test]
    fn the_ring_holds_the_key_in_use_and_no_number_comes_twice(history in histories()) {
        let mut state = State::default();
        let mut keys = BTreeMap::new();
        for entry in &one_by_one(&history) {
            state.apply(entry);
            let ring = state.keyring();
            prop_assert_eq!(ring.used.is_some(), !ring.keys.is_empty());
            prop_assert!(ring.used.is_none_or(|used| ring.keys.iter().any(|key| key.number == used)));
            for key in &ring.keys {
                let first = keys.entry(key.number).or_insert_with(|| key.secret.clone());
                prop_assert_eq!(&*first, &key.secret);
                prop_assert!(key.number <= ring.last);
            }
        }
    }

    #[test]
    fn agents_that_nodes_run_have_names_of_their_own(history in histories()) {
        let mut state = State::default();
        for entry in &one_by_one(&history) {
            state.apply(entry);
            let hosted = state.agents().filter(|agent| agent.spec.host != Host::External);
            let names: Vec<_> = hosted.map(|agent| agent.spec.name.clone()).collect();
            prop_assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
        }
    }
}

fn world() -> World {
    let mut world = World::empty(Limits::default());
    world.join(node_spec(1));
    world
}

fn mark(number: u128, standing: NodeStanding) -> Command {
    Command::MarkNode { node: node(number), standing, reason: "it was silent".into() }
}

fn join_token(world: &World, number: u64, role: NodeRole) -> JoinToken {
    let expires_at = at(world.now + 1000);
    JoinToken { id: token(number), hash: hash(number), role, expires_at, used_by: None }
}

fn admit(number: u128, role: NodeRole, by: u64) -> Command {
    Command::AdmitNode { spec: node_spec(number).into(), role, token: hash(by) }
}

fn why(answer: Result<Reply, Refusal>) -> String {
    answer.map_or_else(|refusal| refusal.to_string(), |reply| format!("{reply:?}"))
}

#[test]
fn the_first_node_founds_the_cluster_and_others_are_admitted_first() {
    let mut world = world();
    assert_eq!(world.state.node(node(1)).unwrap().number, 1);
    assert_eq!(world.ask(start_node(2, 1)), Err(Refusal::NodeUnknown(node(2))));
    world.join(node_spec(2));
    let second = world.state.node(node(2)).unwrap();
    assert_eq!((second.number, second.standing, second.role), (2, NodeStanding::Up, NodeRole::Voter));
}

#[test]
fn a_join_token_admits_one_node_and_repeats_its_answer_to_that_one() {
    let mut world = world();
    let token = join_token(&world, 7, NodeRole::Worker);
    world.ask(Command::PutJoinToken { token }).unwrap();
    assert_eq!(why(world.ask(admit(2, NodeRole::Voter, 7))), "the join token admits workers only");
    assert_eq!(why(world.ask(admit(2, NodeRole::Worker, 8))), "the join token is not known");
    for _ in 0..2 {
        assert_eq!(world.ask(admit(2, NodeRole::Worker, 7)), Ok(Reply::Admitted { number: 2 }));
    }
    assert_eq!(why(world.ask(admit(3, NodeRole::Worker, 7))), "the join token was used by another node");
    world.ask(start_node(2, 1)).unwrap();
    let over = "the join token was used, and its node has started since";
    assert_eq!(why(world.ask(admit(2, NodeRole::Worker, 7))), over);
}

#[test]
fn a_join_token_that_has_expired_admits_nobody() {
    let mut world = world();
    let token = join_token(&world, 7, NodeRole::Voter);
    world.ask(Command::PutJoinToken { token }).unwrap();
    world.pass(1000);
    assert_eq!(why(world.ask(admit(2, NodeRole::Voter, 7))), "the join token has expired");
}

#[test]
fn a_start_with_a_number_that_was_there_before_is_refused() {
    let mut world = world();
    world.ask(start_node(1, 5)).unwrap();
    for generation in [4, 5] {
        let refusal = Refusal::NodeForgot { node: node(1), generation, known: 5 };
        assert_eq!(world.ask(start_node(1, generation)), Err(refusal));
    }
}

#[test]
fn the_last_voter_stays_one() {
    let mut world = world();
    let demote = |number| Command::SetNodeRole { node: node(number), role: NodeRole::Worker };
    assert_eq!(world.ask(demote(1)), Err(Refusal::LastVoter(node(1))));
    let remove = Command::RemoveNode { node: node(1), reason: "why not".into() };
    assert_eq!(world.ask(remove.clone()), Err(Refusal::LastVoter(node(1))));
    // One that was admitted and never came could not go on alone.
    let token = join_token(&world, 2, NodeRole::Voter);
    world.ask(Command::PutJoinToken { token }).unwrap();
    world.ask(admit(2, NodeRole::Voter, 2)).unwrap();
    assert_eq!(world.ask(remove.clone()), Err(Refusal::LastVoter(node(1))));
    world.ask(start_node(2, 1)).unwrap();
    world.ask(demote(1)).unwrap();
    assert_eq!(world.ask(demote(2)), Err(Refusal::LastVoter(node(2))));
    world.ask(remove).unwrap();
    assert_eq!(world.state.nodes().count(), 1);
}

#[test]
fn work_of_a_node_that_goes_down_is_redelivered_and_its_late_word_is_refused() {
    let mut world = world();
    world.ready_agent(1);
    world.submit(spec(1));
    assert_eq!(world.claim(1, 1), [(task(1), 1)]);
    world.ask(mark(1, NodeStanding::Down)).unwrap();
    assert_eq!(world.phase(1), Phase::Pending);
    assert_eq!(world.ask(complete(1, 1)), Err(Refusal::LeaseLost { task: task(1), attempt: 1 }));
    let away = Refusal::NodeAway { node: node(1), standing: NodeStanding::Down };
    assert_eq!(world.ask(standing(1, Standing::Ready)), Err(away.clone()));
    assert_eq!(world.ask(register(agent_spec(2, None, Host::Node(node(1))))), Err(away));
    world.ask(mark(1, NodeStanding::Up)).unwrap();
    world.ask(register(agent_spec(1, None, Host::Node(node(1))))).unwrap();
    world.ask(standing(1, Standing::Ready)).unwrap();
    assert_eq!(world.claim(1, 1), [(task(1), 2)]);
}

#[test]
fn a_node_is_counted_on_by_its_own_word_first() {
    let mut world = world();
    let token = join_token(&world, 7, NodeRole::Voter);
    world.ask(Command::PutJoinToken { token }).unwrap();
    world.ask(admit(2, NodeRole::Voter, 7)).unwrap();
    let away = Refusal::NodeAway { node: node(2), standing: NodeStanding::Joining };
    assert_eq!(world.ask(mark(2, NodeStanding::Up)), Err(away));
    assert_eq!(world.ask(mark(1, NodeStanding::Joining)).map_err(|refusal| refusal.code()), Err("invalid"));
}

#[test]
fn of_two_nodes_that_give_an_agent_the_same_name_one_is_refused() {
    let mut world = world();
    world.join(node_spec(2));
    let named = |number, host| {
        let mut spec = agent_spec(number, None, host);
        spec.name = name("coders-3");
        register(spec)
    };
    world.ask(named(1, Host::Node(node(1)))).unwrap();
    let taken = Refusal::AgentNameTaken { name: name("coders-3"), agent: agent(1) };
    assert_eq!(world.ask(named(2, Host::Node(node(2)))), Err(taken));
    world.ask(named(1, Host::Node(node(1)))).unwrap();
    world.ask(Command::RemoveAgent { agent: agent(1) }).unwrap();
    world.ask(named(2, Host::Node(node(2)))).unwrap();
}

#[test]
fn the_first_key_is_used_at_once_and_the_one_in_use_is_not_removed() {
    let mut world = world();
    let install = |byte| Command::InstallGossipKey { secret: GossipSecret([byte; 32]) };
    world.ask(install(1)).unwrap();
    world.ask(install(2)).unwrap();
    assert_eq!(world.state.keyring().used, Some(1));
    assert_eq!(why(world.ask(install(1))), "gossip key 1 is the same key");
    assert_eq!(why(world.ask(Command::RemoveGossipKey { number: 1 })), "gossip key 1 is in use");
    world.ask(Command::UseGossipKey { number: 2 }).unwrap();
    world.ask(Command::RemoveGossipKey { number: 1 }).unwrap();
    assert_eq!(why(world.ask(Command::UseGossipKey { number: 1 })), "gossip key 1 is not in the ring");
    world.ask(install(1)).unwrap();
    assert_eq!(world.state.keyring().keys.last().unwrap().number, 3);
}
