//! Laws of agents and pools that retire, and of the names of agents; examples of both.

use std::collections::BTreeMap;

use proptest::prelude::*;
use synod_domain::agent::{AGENTS_MAX, AgentStatus, Host, POOLS_MAX, PoolSpec, RuntimeSpec, Standing};
use synod_domain::command::Command;
use synod_domain::event::Event;
use synod_domain::limits::Limits;
use synod_domain::name::Name;
use synod_domain::refusal::{Bound, Refusal};
use synod_domain::reply::Reply;
use synod_domain::state::State;
use synod_domain::task::{MailboxId, Phase, TaskSpec};

use super::histories::{config, histories};
use super::world::{
    World, agent, agent_spec, complete, fail, name, node, pool_spec, register, spec, standing, submit,
};

proptest! {
    #![proptest_config(config(600))]

    #[test]
    fn nothing_that_retires_is_left_with_nothing_to_wait_for(history in histories()) {
        let mut state = State::default();
        for entry in &history {
            state.apply(entry);
            for agent in state.agents().filter(|agent| agent.retiring) {
                prop_assert!(!agent.held.is_empty(), "{} retires and holds nothing", agent.spec.id);
                prop_assert_eq!(agent.status(), AgentStatus::Draining);
            }
            for pool in state.pools().filter(|pool| pool.retiring.is_some()) {
                let name = &pool.spec.name;
                if state.unfinished_for(name) > 0 {
                    continue;
                }
                prop_assert_eq!(pool.target, 0);
                prop_assert!(state.agents_of(name).count() > 0, "pool {} has nothing left", name);
                for agent in state.agents_of(name) {
                    prop_assert!(agent.retiring || agent.spec.host != Host::External);
                }
            }
        }
    }

    #[test]
    fn an_agent_outside_is_found_by_its_name_and_no_two_share_one(history in histories()) {
        let mut state = State::default();
        for entry in &history {
            state.apply(entry);
            let outside = state.agents().filter(|agent| agent.spec.host == Host::External);
            let names: Vec<(Name, _)> = outside.map(|agent| (agent.spec.name.clone(), agent.spec.id)).collect();
            let by_name: BTreeMap<_, _> = names.iter().cloned().collect();
            prop_assert_eq!(by_name.len(), names.len());
            for name in (0..7).map(|number| name(&format!("worker-{number}"))) {
                let found = state.agent_named(&name).map(|agent| agent.spec.id);
                prop_assert_eq!(found, by_name.get(&name).copied());
            }
        }
    }
}

#[test]
fn agents_and_pools_are_bounded_in_all_and_those_that_are_there_can_be_changed() {
    let mut world = World::new(Limits::default());
    let pool = |number: usize| Command::PutPool { spec: pool_spec(&format!("p{number}")).into() };
    for number in 0..POOLS_MAX {
        world.ask(pool(number)).unwrap();
    }
    let full = Refusal::Full { bound: Bound::Pools, limit: POOLS_MAX as u64 };
    assert_eq!(world.ask(pool(POOLS_MAX)), Err(full));
    world.ask(pool(0)).unwrap();
    world.ask(Command::RemovePool { pool: name("p1") }).unwrap();
    world.ask(pool(POOLS_MAX)).unwrap();

    let one = |number: usize| register(agent_spec(number as u128, None, Host::External));
    for number in 0..AGENTS_MAX {
        world.ask(one(number)).unwrap();
    }
    let full = Refusal::Full { bound: Bound::Agents, limit: AGENTS_MAX as u64 };
    assert_eq!(world.ask(one(AGENTS_MAX)), Err(full));
    world.ask(one(0)).unwrap();
    world.ask(Command::RemoveAgent { agent: agent(1) }).unwrap();
    world.ask(one(AGENTS_MAX)).unwrap();
}

fn retire(number: u128) -> Command {
    Command::RetireAgent { agent: agent(number) }
}

fn is_gone(world: &World, number: u128) -> bool {
    world.state.agent(agent(number)).is_none()
}

#[test]
fn a_retiring_agent_takes_nothing_new_and_goes_with_its_last_lease() {
    let mut world = World::new(Limits::default());
    (1..=3).for_each(|number| world.submit(spec(number)));
    assert_eq!(world.claim(1, 2).len(), 2);
    world.ask(retire(1)).unwrap();
    assert_eq!(world.ask(retire(1)), Ok(Reply::Done));
    assert_eq!(world.state.agent(agent(1)).unwrap().status(), AgentStatus::Draining);
    let unavailable = || Err("agent_unavailable");
    assert_eq!(world.ask(super::world::claim(1, 1)).map_err(|refusal| refusal.code()), unavailable());
    assert_eq!(world.ask(standing(1, Standing::Ready)).map_err(|refusal| refusal.code()), unavailable());
    assert_eq!(
        world.ask(register(agent_spec(1, None, Host::Node(node(1))))).map_err(|one| one.code()),
        unavailable()
    );
    let to_it = TaskSpec { mailbox: MailboxId::Agent(agent(1)), ..spec(4) };
    assert_eq!(world.ask(submit(to_it)).map_err(|refusal| refusal.code()), unavailable());
    world.ask(complete(1, 1)).unwrap();
    assert!(!is_gone(&world, 1));
    world.ask(fail(2, 1, true)).unwrap();
    assert!(is_gone(&world, 1));
    assert!(matches!(world.events.last(), Some(Event::AgentRemoved { .. })));
    assert_eq!(
        [1, 2, 3].map(|number| world.phase(number)),
        [Phase::Completed, Phase::Pending, Phase::Pending]
    );
    assert_eq!(world.ask(retire(1)), Err(Refusal::AgentUnknown(agent(1))));
}

#[test]
fn an_idle_agent_retires_at_once_and_one_that_goes_offline_gives_its_work_back_first() {
    let mut world = World::new(Limits::default());
    world.ready_agent(2);
    world.ask(retire(2)).unwrap();
    assert!(is_gone(&world, 2));
    world.submit(spec(1));
    world.submit(TaskSpec { mailbox: MailboxId::Agent(agent(1)), ..spec(2) });
    world.claim(1, 1);
    world.ask(super::world::claim(1, 1)).unwrap();
    world.ask(retire(1)).unwrap();
    world.ask(standing(1, Standing::Offline)).unwrap();
    assert!(is_gone(&world, 1));
    // What only it could do is called off; nothing is lost without a word.
    assert_eq!((world.phase(1), world.phase(2)), (Phase::Pending, Phase::Cancelled));
}

fn world_with_pool(spec: PoolSpec) -> World {
    let mut world = World::new(Limits::default());
    world.ask(Command::PutPool { spec: spec.into() }).unwrap();
    world.ask(register(agent_spec(2, Some("p"), Host::External))).unwrap();
    world.ask(standing(2, Standing::Ready)).unwrap();
    world
}

fn to_pool(number: u128) -> TaskSpec {
    TaskSpec { mailbox: MailboxId::Pool(name("p")), ..spec(number) }
}

#[test]
fn a_retiring_pool_finishes_its_work_with_new_agents_if_need_be_and_is_then_gone() {
    let mut world = world_with_pool(PoolSpec { min: 1, ..pool_spec("p") });
    (1..=2).for_each(|number| world.submit(to_pool(number)));
    let retire = || Command::RetirePool { pool: name("p") };
    world.ask(retire()).unwrap();
    assert_eq!(world.ask(retire()), Ok(Reply::Done));
    let retiring = || Err(Refusal::PoolRetiring(name("p")));
    assert_eq!(world.ask(submit(to_pool(3))), retiring());
    assert_eq!(world.ask(Command::PutPool { spec: pool_spec("p").into() }), retiring());
    // While it has work, it may grow and be joined.
    world.ask(Command::ScalePool { pool: name("p"), target: 3 }).unwrap();
    world.ask(register(agent_spec(3, Some("p"), Host::Node(node(1))))).unwrap();
    assert_eq!(world.claim(2, 2).len(), 2);
    world.ask(complete(1, 1)).unwrap();
    world.submit(spec(4));
    world.ask(complete(2, 1)).unwrap();
    // The agent outside has gone by itself; the one that runs on a node is drained by it.
    assert!(is_gone(&world, 2));
    assert_eq!(world.state.pool(&name("p")).unwrap().target, 0);
    assert_eq!(world.ask(Command::ScalePool { pool: name("p"), target: 1 }), retiring());
    assert_eq!(world.ask(register(agent_spec(5, Some("p"), Host::External))), retiring());
    world.ask(Command::RemoveAgent { agent: agent(3) }).unwrap();
    assert!(world.state.pool(&name("p")).is_none());
    assert!(matches!(world.events.last(), Some(Event::PoolRemoved { .. })));
    assert_eq!(world.ask(retire()), Err(Refusal::PoolUnknown(name("p"))));
    world.ask(Command::PutPool { spec: pool_spec("p").into() }).unwrap();
}

#[test]
fn an_agent_of_a_retiring_pool_finishes_what_it_has_from_elsewhere() {
    let mut world = world_with_pool(pool_spec("p"));
    world.submit(spec(1));
    world.claim(2, 1);
    world.ask(Command::RetirePool { pool: name("p") }).unwrap();
    assert!(!is_gone(&world, 2));
    world.ask(complete(1, 1)).unwrap();
    assert!(is_gone(&world, 2) && world.state.pool(&name("p")).is_none());
}

#[test]
fn a_pool_of_agents_outside_takes_no_more_than_its_most() {
    let mut world = world_with_pool(PoolSpec { max: 1, ..pool_spec("p") });
    let full = Refusal::Full { bound: Bound::Pool(name("p")), limit: 1 };
    assert_eq!(world.ask(register(agent_spec(3, Some("p"), Host::External))), Err(full));
    // Whoever is in it may say again what it is.
    world.ask(register(agent_spec(2, Some("p"), Host::External))).unwrap();
    world.ask(retire(2)).unwrap();
    world.ask(register(agent_spec(3, Some("p"), Host::External))).unwrap();
}

#[test]
fn a_pool_that_a_node_runs_is_kept_at_its_size_by_the_node() {
    let native = PoolSpec { max: 1, runtime: RuntimeSpec::Native(name("n")), ..pool_spec("p") };
    let mut world = world_with_pool(native);
    world.ask(register(agent_spec(3, Some("p"), Host::Node(node(1))))).unwrap();
}

#[test]
fn a_name_is_free_again_when_its_agent_is_gone_or_has_taken_another() {
    let mut world = World::new(Limits::default());
    let outside = |number| agent_spec(number, None, Host::External);
    let named =
        |number, text: &str| register(synod_domain::agent::AgentSpec { name: name(text), ..outside(number) });
    world.ask(named(5, "ada")).unwrap();
    let taken = Refusal::AgentNameTaken { name: name("ada"), agent: agent(5) };
    assert_eq!(world.ask(named(6, "ada")), Err(taken));
    // Agents that a node runs are told apart by their ids.
    world
        .ask(register(synod_domain::agent::AgentSpec {
            name: name("ada"),
            ..agent_spec(7, None, Host::Node(node(1)))
        }))
        .unwrap();
    assert_eq!(world.state.agent_named(&name("ada")).map(|one| one.spec.id), Some(agent(5)));
    world.ask(named(5, "grace")).unwrap();
    world.ask(named(6, "ada")).unwrap();
    world.ask(Command::RemoveAgent { agent: agent(6) }).unwrap();
    assert!(world.state.agent_named(&name("ada")).is_none());
}

#[test]
fn metadata_is_kept_and_bounded() {
    let mut world = World::new(Limits::default());
    let with = |number, size: usize| synod_domain::agent::AgentSpec {
        metadata: Some("x".repeat(size).into()),
        ..agent_spec(number, None, Host::External)
    };
    world.ask(register(with(5, 16 * 1024))).unwrap();
    assert_eq!(
        world.state.agent(agent(5)).unwrap().spec.metadata.as_ref().map(|text| text.len()),
        Some(16 * 1024)
    );
    assert_eq!(world.ask(register(with(6, 16 * 1024 + 1))).map_err(|refusal| refusal.code()), Err("invalid"));
    let large = TaskSpec { metadata: Some("x".repeat(16 * 1024 + 1).into()), ..spec(1) };
    assert_eq!(world.ask(submit(large)).map_err(|refusal| refusal.code()), Err("invalid"));
    // It counts among what waiting work holds in memory, and among what a repeated submit must not change.
    let keyed = |metadata: &str| TaskSpec {
        idempotency_key: Some("k".into()),
        metadata: Some(metadata.into()),
        ..spec(2)
    };
    world.submit(keyed("{}"));
    assert_eq!(world.state.payload_bytes(), 7 + 2);
    assert_eq!(world.ask(submit(keyed("[]"))).map_err(|one| one.code()), Err("idempotency_conflict"));
}

#[test]
fn an_agent_that_a_node_runs_makes_its_pool_smaller_when_it_retires_but_not_below_its_least() {
    let mut world = World::new(Limits::default());
    world.ask(Command::PutPool { spec: PoolSpec { min: 1, ..pool_spec("p") }.into() }).unwrap();
    world.ask(Command::ScalePool { pool: name("p"), target: 2 }).unwrap();
    for number in [2, 3] {
        world.ask(register(agent_spec(number, Some("p"), Host::Node(node(1))))).unwrap();
        world.ask(standing(number, Standing::Ready)).unwrap();
    }
    world.ask(retire(2)).unwrap();
    assert!(is_gone(&world, 2));
    assert_eq!(world.state.pool(&name("p")).unwrap().target, 1);
    let refused = world.ask(retire(3)).unwrap_err();
    let why = "pool p keeps at least 1 agents; lower that first, or restart the agent".to_owned();
    assert_eq!(refused, Refusal::Invalid { field: "agent".to_owned(), why });
    assert!(!is_gone(&world, 3));
    // One outside belongs to nobody's count.
    world.ask(register(agent_spec(4, Some("p"), Host::External))).unwrap();
    world.ask(retire(4)).unwrap();
    assert_eq!(world.state.pool(&name("p")).unwrap().target, 1);
}
