//! Laws of the fabric's bounds, and examples.

use std::sync::Arc;

use proptest::prelude::*;
use synod_domain::agent::{AgentSpec, Host, PoolSpec, RuntimeSpec};
use synod_domain::command::Command;
use synod_domain::event::Event;
use synod_domain::fabric::{Bounds, FabricCommand, Profile};
use synod_domain::limits::Limits;
use synod_domain::refusal::{Bound, Refusal};
use synod_domain::reply::{Answer, Reply};
use synod_domain::state::State;
use synod_domain::task::{MailboxId, TaskSpec};
use synod_domain::why::Why;

use super::after::submit_after;
use super::histories::{Draw, config, histories, one_by_one};
use super::world::{World, agent, agent_spec, name, pool_spec, register, spec, submit, task};

fn bounds(agents_max: u32, queue_depth_max: u64, tasks_per_agent_max: u32) -> Command {
    let bounds = Bounds { agents_max, queue_depth_max, tasks_per_agent_max };
    Command::Fabric(FabricCommand::SetBounds { bounds })
}

fn native(pool: &str, min: u32, max: u32) -> PoolSpec {
    PoolSpec { runtime: RuntimeSpec::Native(name("echo")), min, max, ..pool_spec(pool) }
}

fn put(spec: PoolSpec) -> Command {
    let profile = Profile { title: "people say this".into(), model: None, single: false };
    Command::Fabric(FabricCommand::PutPool { spec: Arc::new(spec), profile })
}

fn scale(pool: &str, target: u32) -> Command {
    Command::ScalePool { pool: name(pool), target }
}

fn full(limit: u64) -> Answer {
    Err(Refusal::Full { bound: Bound::FabricAgents, limit })
}

/// Something about two pools of the fabric, or one that is not the fabric's.
pub(super) fn command(draw: &mut Draw) -> Command {
    let pool = draw.pick(&["f", "g", "a"]);
    let min = draw.below(3) as u32;
    match draw.below(9) {
        0 => bounds(draw.below(7) as u32, draw.below(4), 2 + draw.below(3) as u32),
        1 | 2 => put(native(pool, min, min + draw.below(4) as u32)),
        3 => put(PoolSpec { min: 0, max: 1 + min, ..pool_spec(draw.pick(&["g", "x"])) }),
        4 | 5 => scale(pool, draw.below(8) as u32),
        6 => Command::RetirePool { pool: name(draw.pick(&["f", "g"])) },
        7 => {
            let number = 20 + u128::from(draw.below(5));
            let mut spec = agent_spec(number, Some(draw.pick(&["g", "x"])), Host::External);
            spec.concurrency = 1 + draw.below(3) as u32;
            register(spec)
        }
        _ => Command::RemoveAgent { agent: agent(20 + u128::from(draw.below(5))) },
    }
}

proptest! {
    #![proptest_config(config(300))]

    #[test]
    fn the_fabric_never_grows_past_its_bound(history in histories()) {
        let mut state = State::default();
        for entry in &one_by_one(&history) {
            let before = state.fabric_agents();
            state.apply(entry);
            let after = state.fabric_agents();
            let most = state.fabric_bounds().map_or(u64::MAX, |bounds| u64::from(bounds.agents_max));
            let lowered = entry.commands.iter().any(|request| matches!(request.command, Command::Fabric(FabricCommand::SetBounds { .. })));
            // A pool of a node's may have an agent that the node had registered before it was the fabric's.
            let hosted = entry.commands.iter().any(|request| match &request.command {
                Command::RegisterAgent { spec } => matches!(spec.host, Host::Node(_)),
                _ => false,
            });
            prop_assert!(after <= most || after <= before || lowered || hosted, "{} of {}", after, most);
            for (pool, _) in state.fabric_pools() {
                let members = state.agents_of(&pool.spec.name).count() as u64;
                let counted = members.max(u64::from(pool.target));
                prop_assert!(state.most_agents_of(pool) <= pool.spec.max);
                prop_assert!(counted >= u64::from(pool.target));
            }
        }
    }
}

#[test]
fn pools_share_one_bound_and_are_told_when_there_is_room_again() {
    let mut world = World::new(Limits::default());
    world.ask(bounds(5, 1000, 5)).unwrap();
    world.ask(put(native("a", 2, 10))).unwrap();
    world.ask(put(native("b", 2, 10))).unwrap();
    assert_eq!(world.ask(scale("a", 4)), full(5));
    world.ask(scale("a", 3)).unwrap();
    assert_eq!(world.ask(scale("b", 3)), full(5));
    assert_eq!(world.ask(put(native("c", 1, 1))), full(5));
    assert!(world.state.pool(&name("c")).is_none() && world.state.profile(&name("c")).is_none());
    let most = |world: &World, pool| world.state.most_agents_of(world.state.pool(&name(pool)).unwrap());
    assert_eq!((most(&world, "a"), most(&world, "b")), (3, 2), "what a pool may grow to");

    // Others are not bound, nor counted.
    world.ask(Command::PutPool { spec: native("theirs", 9, 9).into() }).unwrap();
    world.submit(TaskSpec { mailbox: MailboxId::Pool(name("b")), ..spec(1) });
    world.events.clear();
    world.ask(scale("a", 2)).unwrap();
    let told = Event::PoolChanged { pool: name("b"), target: 2 };
    assert!(world.events.contains(&told), "b has work and may grow: {:?}", world.events);
    assert_eq!(most(&world, "b"), 3);
}

#[test]
fn work_of_a_pool_that_may_not_grow_says_that_the_fabric_is_full() {
    let mut world = World::new(Limits::default());
    world.ask(bounds(1, 1000, 5)).unwrap();
    world.ask(put(native("a", 1, 1))).unwrap();
    world.ask(put(native("b", 0, 2))).unwrap();
    world.submit(TaskSpec { mailbox: MailboxId::Pool(name("b")), ..spec(1) });
    let why = world.state.why(task(1)).unwrap();
    assert_eq!(why, Why::FabricFull { pool: name("b"), target: 0, limit: 1 });
    assert!(why.to_string().contains("the fabric has all of its 1"), "{why}");
    world.ask(Command::RetirePool { pool: name("a") }).unwrap();
    assert_eq!(world.state.why(task(1)).unwrap().code(), "pool_growing");
}

#[test]
fn a_pool_that_became_smaller_counts_until_its_agents_have_gone() {
    let mut world = World::new(Limits::default());
    world.ask(bounds(2, 1000, 5)).unwrap();
    world.ask(put(native("a", 0, 2))).unwrap();
    world.ask(scale("a", 2)).unwrap();
    for number in [11, 12] {
        world.ask(register(agent_spec(number, Some("a"), Host::Node(super::world::node(1))))).unwrap();
    }
    world.ask(scale("a", 0)).unwrap();
    assert_eq!((world.state.fabric_agents(), world.ask(put(native("b", 1, 1)))), (2, full(2)));
    world.ask(Command::RemoveAgent { agent: agent(11) }).unwrap();
    world.ask(put(native("b", 1, 1))).unwrap();
    assert_eq!(world.state.fabric_agents(), 2);
}

#[test]
fn agents_that_register_themselves_count_when_they_come() {
    let mut world = World::new(Limits::default());
    world.ask(bounds(1, 1000, 2)).unwrap();
    world.ask(put(PoolSpec { min: 0, max: 10, ..pool_spec("outside") })).unwrap();
    let one = |number| agent_spec(number, Some("outside"), Host::External);
    world.ask(register(one(11))).unwrap();
    assert_eq!(world.ask(register(one(11))), Ok(Reply::Done), "who is there may say so again");
    assert_eq!(world.ask(register(one(12))), full(1));
    let greedy = AgentSpec { concurrency: 3, ..one(11) };
    let why = world.ask(register(greedy)).unwrap_err().to_string();
    assert!(why.contains("holds at most 2 tasks at a time"), "{why}");
    let greedy = world.ask(put(PoolSpec { concurrency: 3, ..pool_spec("more") })).unwrap_err().to_string();
    assert!(greedy.contains("holds at most 2 tasks at a time"), "{greedy}");
}

#[test]
fn a_queue_of_the_fabric_takes_so_many_and_what_waits_for_others_counts() {
    let mut world = World::new(Limits::default());
    world.ask(bounds(5, 2, 5)).unwrap();
    world.ask(put(PoolSpec { min: 0, ..pool_spec("f") })).unwrap();
    world.ask(register(agent_spec(11, Some("f"), Host::External))).unwrap();
    for (mailbox, first) in [(MailboxId::Pool(name("f")), 1), (MailboxId::Agent(agent(11)), 11)] {
        let to = |number| TaskSpec { mailbox: mailbox.clone(), ..spec(number) };
        world.submit(to(first));
        world.ask(submit_after(to(first + 1), &[first])).unwrap();
        let refused = world.ask(submit(to(first + 2))).unwrap_err();
        let bound = Bound::Mailbox(mailbox.to_string());
        assert_eq!(refused, Refusal::Full { bound, limit: 2 });
        world.ask(Command::Cancel { task: task(first), reason: "room".into() }).unwrap();
        world.submit(to(first + 3));
    }
    // Another mailbox has the limit of all.
    for number in 31..35 {
        world.submit(spec(number));
    }
}

#[test]
fn the_bounds_are_at_least_one_and_lowering_them_takes_nothing_away() {
    let mut world = World::new(Limits::default());
    for wrong in [bounds(0, 1, 1), bounds(1, 0, 1), bounds(1, 1, 0)] {
        assert!(matches!(world.ask(wrong), Err(Refusal::Invalid { .. })));
    }
    world.ask(bounds(5, 1, 5)).unwrap();
    world.ask(put(native("a", 3, 5))).unwrap();
    world.ask(bounds(1, 1, 5)).unwrap();
    assert_eq!(world.state.fabric_agents(), 3);
    assert_eq!(world.ask(scale("a", 4)), full(1));
    world.ask(scale("a", 3)).unwrap();
    let theirs = world.ask(Command::PutPool { spec: native("theirs", 1, 1).into() });
    assert_eq!(theirs, Ok(Reply::Done));
    let taken = world.ask(put(native("theirs", 1, 1))).unwrap_err().to_string();
    assert!(taken.contains("not the fabric's"), "{taken}");
    let title = "x".repeat(300).as_str().into();
    let long = Profile { title, model: None, single: false };
    let spec = Arc::new(native("long", 1, 1));
    let long = world.ask(Command::Fabric(FabricCommand::PutPool { spec, profile: long }));
    assert!(matches!(long, Err(Refusal::Invalid { .. })));
}
