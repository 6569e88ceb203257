//! Laws and examples of how pools are spread over nodes, and of what becomes of them when a node goes down.

use std::collections::BTreeMap;

use proptest::prelude::*;
use synod_domain::agent::{AgentStatus, Host, PoolSpec, RuntimeSpec, Standing};
use synod_domain::command::Command;
use synod_domain::limits::Limits;
use synod_domain::name::Name;
use synod_domain::node::{NodeSpec, NodeStanding};
use synod_domain::spread::{Lack, Recovery, Shortfall, SpreadSpec};
use synod_domain::state::State;
use synod_domain::task::{MailboxId, Phase, TaskSpec};

use super::histories::{config, histories, one_by_one};
use super::world::{
    World, agent, agent_spec, name, node, node_spec, pool_spec, register, spec, standing, task,
};

proptest! {
    #![proptest_config(config(600))]

    #[test]
    fn shares_keep_to_the_target_the_room_and_the_demands(history in histories()) {
        let mut state = State::default();
        for entry in &one_by_one(&history) {
            state.apply(entry);
            let mut hosted: BTreeMap<_, u32> = BTreeMap::new();
            for pool in state.pools() {
                let placed: u32 = pool.shares.values().sum();
                prop_assert!(placed <= pool.target);
                let up = |id| state.node(id).is_some_and(|node| node.standing == NodeStanding::Up);
                let serving: u32 = pool.shares.iter().filter(|(node, _)| up(**node)).map(|(_, share)| share).sum();
                let hosted_pool = pool.spec.runtime != RuntimeSpec::External;
                let short = state.shortfall(&pool.spec.name).map_or(0, |shortfall| shortfall.missing);
                let mut failed: BTreeMap<_, u32> = BTreeMap::new();
                for agent in state.agents_of(&pool.spec.name) {
                    if state.is_given_up(agent.spec.id) && !agent.standby && !agent.retiring
                        && let Host::Node(node) = agent.spec.host
                    {
                        *failed.entry(node).or_default() += 1;
                    }
                }
                let failed = failed.iter().map(|(node, failed)| *failed.min(pool.shares.get(node).unwrap_or(&0)));
                let lacking = pool.target - serving + failed.sum::<u32>();
                prop_assert_eq!(short, if hosted_pool { lacking } else { 0 });
                for (node, share) in pool.shares.iter().chain(&pool.standbys) {
                    *hosted.entry(*node).or_default() += share;
                }
                for (node, share) in &pool.shares {
                    let node = state.node(*node).unwrap();
                    prop_assert!(pool.spec.spread.suits(&node.spec));
                    prop_assert!(pool.spec.spread.max_per_node.is_none_or(|most| *share <= most));
                    prop_assert!(node.draining.is_none());
                    prop_assert!(node.standing == NodeStanding::Up || pool.spec.recovery.waits());
                }
                let standbys: u32 = pool.standbys.values().sum();
                prop_assert!(standbys <= pool.spec.recovery.standby());
                prop_assert!(pool.standbys.keys().all(|node| state.node(*node).unwrap().takes_agents()));
            }
            for node in state.nodes() {
                let sum = hosted.get(&node.spec.id).copied().unwrap_or(0);
                prop_assert_eq!(sum, state.hosted_on(node.spec.id));
            }
        }
    }

    #[test]
    fn those_on_standby_are_those_beyond_the_share(history in histories()) {
        let mut state = State::default();
        for entry in &one_by_one(&history) {
            state.apply(entry);
            let mut serving: BTreeMap<(Name, _), usize> = BTreeMap::new();
            for agent in state.agents() {
                let (Host::Node(host), Some(pool)) = (&agent.spec.host, &agent.spec.pool) else {
                    prop_assert!(!agent.standby);
                    continue;
                };
                let keeps = state.pool(pool).is_some_and(|pool| pool.spec.recovery.standby() > 0);
                prop_assert!(keeps || !agent.standby, "{} stands by for nobody", agent.spec.id);
                if keeps && !agent.retiring && !agent.standby {
                    *serving.entry((pool.clone(), *host)).or_default() += 1;
                }
            }
            for ((pool, host), count) in serving {
                prop_assert!(count <= state.share(&pool, host) as usize);
            }
        }
    }
}

fn native(target: u32, recovery: Recovery) -> PoolSpec {
    let runtime = RuntimeSpec::Native(name("n"));
    PoolSpec { min: target, max: 50, runtime, recovery, ..pool_spec("p") }
}

/// A world of so many nodes with one pool.
fn world(nodes: u128, pool: PoolSpec) -> World {
    let mut world = World::empty(Limits::default());
    (1..=nodes).for_each(|number| world.join(node_spec(number)));
    world.ask(Command::PutPool { spec: pool.into() }).unwrap();
    world
}

fn shares(world: &World) -> Vec<u32> {
    (1..=4).map(|number| world.state.share(&name("p"), node(number))).collect()
}

fn mark(world: &mut World, number: u128, standing: NodeStanding) {
    world.ask(Command::MarkNode { node: node(number), standing, reason: "it was silent".into() }).unwrap();
}

fn drain(world: &mut World, number: u128, drain: bool) {
    world.ask(Command::DrainNode { node: node(number), drain, reason: "moving".into() }).unwrap();
}

/// Registers an agent of the pool on a node, ready.
fn agent_on(world: &mut World, number: u128, host: u128) {
    world.ask(register(agent_spec(number, Some("p"), Host::Node(node(host))))).unwrap();
    world.ask(standing(number, Standing::Ready)).unwrap();
}

fn statuses(world: &World) -> Vec<(u128, AgentStatus)> {
    world.state.agents().map(|agent| (agent.spec.id.raw(), agent.status())).collect()
}

#[test]
fn a_pool_is_spread_evenly_and_follows_the_nodes_that_are_there() {
    let mut world = world(3, native(7, Recovery::Replacement));
    assert_eq!(shares(&world), [3, 2, 2, 0]);
    mark(&mut world, 1, NodeStanding::Down);
    assert_eq!(shares(&world), [0, 4, 3, 0]);
    mark(&mut world, 1, NodeStanding::Up);
    assert_eq!(shares(&world), [2, 3, 2, 0]);
    drain(&mut world, 2, true);
    assert_eq!(shares(&world), [4, 0, 3, 0]);
    world.join(node_spec(4));
    assert_eq!(shares(&world), [3, 0, 2, 2]);
    world.ask(Command::ScalePool { pool: name("p"), target: 9 }).unwrap();
    assert_eq!(shares(&world), [3, 0, 3, 3]);
}

#[test]
fn pools_of_one_agent_do_not_crowd_on_one_node() {
    let mut world = world(3, native(1, Recovery::Replacement));
    for pool in ["q", "r"] {
        let spec = PoolSpec { name: name(pool), ..native(1, Recovery::Replacement) };
        world.ask(Command::PutPool { spec: spec.into() }).unwrap();
    }
    assert!((1..=3).all(|number| world.state.hosted_on(node(number)) == 1));
}

#[test]
fn a_pool_demands_a_label_a_region_and_a_bound_for_each_node() {
    let labels = BTreeMap::from([(name("disk"), "ssd".into())]);
    let spread = SpreadSpec { labels: labels.clone(), max_per_node: Some(2), ..SpreadSpec::default() };
    let mut world = world(1, PoolSpec { spread, ..native(5, Recovery::Replacement) });
    let lack = |missing, lack| Some(Shortfall { missing, lack });
    let unsuited = Lack::Unsuited { region: None, labels: labels.clone() };
    assert_eq!(world.state.shortfall(&name("p")), lack(5, unsuited));
    world.join(NodeSpec { labels: labels.clone(), ..node_spec(2) });
    assert_eq!(shares(&world), [0, 2, 0, 0]);
    let full = Lack::Full { nodes: 1, max_per_node: Some(2) };
    assert_eq!(world.state.shortfall(&name("p")), lack(3, full));
    world.join(NodeSpec { labels: labels.clone(), ..node_spec(3) });
    world.join(NodeSpec { labels, capacity: 1, ..node_spec(4) });
    assert_eq!(shares(&world), [0, 2, 2, 1]);
    assert_eq!(world.state.shortfall(&name("p")), None);
    drain(&mut world, 2, true);
    drain(&mut world, 3, true);
    mark(&mut world, 4, NodeStanding::Down);
    let away = Lack::NodesAway { down: 1, draining: 2 };
    assert_eq!(world.state.shortfall(&name("p")), lack(5, away));
}

#[test]
fn a_node_hosts_no_more_than_it_has_room_for_in_all() {
    let mut world = world(1, native(3, Recovery::Replacement));
    world.join(NodeSpec { capacity: 2, ..node_spec(2) });
    let other = PoolSpec { name: name("q"), ..native(9, Recovery::Replacement) };
    world.ask(Command::PutPool { spec: other.into() }).unwrap();
    assert_eq!(world.state.hosted_on(node(2)), 2);
    assert_eq!(world.state.hosted_on(node(1)), 10);
}

#[test]
fn agents_that_wait_for_their_node_are_known_until_it_is_back() {
    let mut world = world(2, native(4, Recovery::Restart));
    agent_on(&mut world, 1, 1);
    agent_on(&mut world, 2, 2);
    mark(&mut world, 2, NodeStanding::Down);
    assert_eq!(shares(&world), [2, 2, 0, 0]);
    assert_eq!(statuses(&world), [(1, AgentStatus::Ready), (2, AgentStatus::Offline)]);
    let waits = Lack::NodesDown { nodes: vec![node(2)] };
    assert_eq!(world.state.shortfall(&name("p")), Some(Shortfall { missing: 2, lack: waits }));
    // What is added meanwhile goes to those that are there.
    world.ask(Command::ScalePool { pool: name("p"), target: 6 }).unwrap();
    assert_eq!(shares(&world), [4, 2, 0, 0]);
    mark(&mut world, 2, NodeStanding::Up);
    assert_eq!(shares(&world), [3, 3, 0, 0]);
    drain(&mut world, 2, true);
    assert_eq!(shares(&world), [6, 0, 0, 0]);
}

#[test]
fn a_degraded_pool_goes_on_smaller_and_says_so() {
    let mut world = world(2, native(4, Recovery::Degraded));
    mark(&mut world, 2, NodeStanding::Down);
    assert_eq!(shares(&world), [2, 2, 0, 0]);
    world.ask(Command::ScalePool { pool: name("p"), target: 6 }).unwrap();
    assert_eq!(shares(&world), [3, 3, 0, 0]);
    let waits = Lack::NodesDown { nodes: vec![node(2)] };
    assert_eq!(world.state.shortfall(&name("p")), Some(Shortfall { missing: 3, lack: waits }));
    world.ask(Command::RemoveNode { node: node(2), reason: "broken".into() }).unwrap();
    assert_eq!(shares(&world), [6, 0, 0, 0]);
    assert_eq!(world.state.shortfall(&name("p")), None);
}

#[test]
fn a_standby_agent_takes_no_work_until_a_node_goes_down_and_does_then_at_once() {
    let mut world = world(2, native(1, Recovery::Failover { standby: 1 }));
    assert_eq!(shares(&world), [1, 0, 0, 0]);
    agent_on(&mut world, 1, 1);
    agent_on(&mut world, 2, 2);
    assert_eq!(statuses(&world), [(1, AgentStatus::Ready), (2, AgentStatus::Standby)]);
    world.submit(TaskSpec { mailbox: MailboxId::Pool(name("p")), ..spec(1) });
    assert_eq!(world.claim(1, 1), [(task(1), 1)]);
    mark(&mut world, 1, NodeStanding::Down);
    assert_eq!(statuses(&world), [(2, AgentStatus::Ready)]);
    assert_eq!(world.claim(2, 1), [(task(1), 2)]);
    // The node that comes back keeps the reserve.
    mark(&mut world, 1, NodeStanding::Up);
    assert_eq!(shares(&world), [0, 1, 0, 0]);
    agent_on(&mut world, 3, 1);
    assert_eq!(statuses(&world), [(2, AgentStatus::Ready), (3, AgentStatus::Standby)]);
}

#[test]
fn what_waited_for_an_agent_that_was_replaced_waits_for_its_pool() {
    let mut world = world(2, native(2, Recovery::Replacement));
    agent_on(&mut world, 1, 1);
    agent_on(&mut world, 2, 2);
    world.submit(TaskSpec { mailbox: MailboxId::Agent(agent(2)), ..spec(1) });
    mark(&mut world, 2, NodeStanding::Down);
    assert_eq!(statuses(&world), [(1, AgentStatus::Ready)]);
    assert_eq!(world.phase(1), Phase::Pending);
    assert_eq!(world.claim(1, 1), [(task(1), 1)]);
}

#[test]
fn what_waited_for_an_agent_that_moved_to_another_node_waits_for_its_pool() {
    let mut world = world(1, native(2, Recovery::Replacement));
    agent_on(&mut world, 1, 1);
    agent_on(&mut world, 2, 1);
    world.submit(TaskSpec { mailbox: MailboxId::Agent(agent(2)), ..spec(1) });
    world.join(node_spec(2));
    assert_eq!(shares(&world), [1, 1, 0, 0]);
    world.ask(Command::RemoveAgent { agent: agent(2) }).unwrap();
    let task = world.state.task(task(1)).unwrap();
    assert_eq!((task.phase(), &task.spec.mailbox), (Phase::Pending, &MailboxId::Pool(name("p"))));
}

#[test]
fn the_share_of_the_node_shrinks_whose_agent_retires() {
    let mut world = world(2, PoolSpec { min: 0, ..native(0, Recovery::Replacement) });
    world.ask(Command::ScalePool { pool: name("p"), target: 4 }).unwrap();
    agent_on(&mut world, 1, 1);
    agent_on(&mut world, 2, 2);
    world.ask(Command::RetireAgent { agent: agent(2) }).unwrap();
    assert_eq!(shares(&world), [2, 1, 0, 0]);
    assert_eq!(world.state.pool(&name("p")).unwrap().target, 3);
}

#[test]
fn a_task_that_waits_says_what_its_pool_lacks_of_nodes() {
    let why = |world: &World| world.state.why(task(1)).unwrap();
    let to_pool = || TaskSpec { mailbox: MailboxId::Pool(name("p")), ..spec(1) };
    let mut world = world(2, native(2, Recovery::Restart));
    agent_on(&mut world, 1, 1);
    agent_on(&mut world, 2, 2);
    mark(&mut world, 1, NodeStanding::Down);
    mark(&mut world, 2, NodeStanding::Down);
    world.submit(to_pool());
    assert_eq!(why(&world).code(), "pool_unplaced");
    assert!(why(&world).to_string().contains("are down and waited for"), "{}", why(&world));
    world.ask(Command::DrainNode { node: node(1), drain: true, reason: "moving".into() }).unwrap();
    world.ask(Command::DrainNode { node: node(2), drain: true, reason: "moving".into() }).unwrap();
    assert!(why(&world).to_string().contains("2 are down and 0 drain"), "{}", why(&world));
    let labels = BTreeMap::from([(name("disk"), "ssd".into())]);
    let spread = SpreadSpec { labels, ..SpreadSpec::default() };
    let demanding = PoolSpec { spread, ..native(2, Recovery::Replacement) };
    world.ask(Command::PutPool { spec: demanding.into() }).unwrap();
    assert!(why(&world).to_string().contains("labelled disk=ssd"), "{}", why(&world));
}

#[test]
fn a_task_that_waits_says_that_its_pool_is_degraded_or_only_has_a_reserve() {
    let why = |world: &World, number| world.state.why(task(number)).unwrap().code();
    let to_pool = |number| TaskSpec { mailbox: MailboxId::Pool(name("p")), ..spec(number) };
    let mut degraded = world(2, native(2, Recovery::Degraded));
    agent_on(&mut degraded, 1, 1);
    mark(&mut degraded, 2, NodeStanding::Down);
    (1..=3).for_each(|number| degraded.submit(to_pool(number)));
    degraded.claim(1, 2);
    assert_eq!(why(&degraded, 3), "pool_degraded");
    let mut reserve = world(2, native(1, Recovery::Failover { standby: 1 }));
    agent_on(&mut reserve, 2, 2);
    reserve.submit(to_pool(1));
    assert_eq!(why(&reserve, 1), "agents_on_standby");
}
