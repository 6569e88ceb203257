//! Laws and examples of what a pool does about agents that failed for good on nodes that are there.

use proptest::prelude::*;
use synod_domain::agent::{AgentStatus, Host, PoolSpec, RuntimeSpec, Standing};
use synod_domain::command::Command;
use synod_domain::event::{Event, Governing};
use synod_domain::id::AgentId;
use synod_domain::limits::Limits;
use synod_domain::node::NodeStanding;
use synod_domain::refusal::Refusal;
use synod_domain::spread::{Lack, Manner, Recovery, Shortfall, SpreadSpec};
use synod_domain::state::State;
use synod_domain::task::{MailboxId, Phase, TaskSpec};
use synod_domain::tending::PoolCommand;

use super::histories::{Draw, config, histories, one_by_one};
use super::world::{
    World, agent, agent_spec, name, node, node_spec, pool_spec, register, spec, standing, start_node, task,
};

fn native(target: u32, recovery: Recovery) -> PoolSpec {
    let runtime = RuntimeSpec::Native(name("n"));
    PoolSpec { min: target, max: 50, runtime, recovery, ..pool_spec("p") }
}

/// So many nodes and one pool, with its agents ready where they shall be.
fn world(nodes: u128, pool: PoolSpec) -> World {
    let mut world = World::empty(Limits::default());
    (1..=nodes).for_each(|number| world.join(node_spec(number)));
    world.ask(Command::PutPool { spec: pool.into() }).unwrap();
    settle(&mut world);
    world
}

/// Does what nodes do: each that is up has as many agents of the pool as it should have, and all but those that
/// failed for good are ready. The next to be made has the next number.
fn settle(world: &mut World) {
    // What begins on one node may move places of another that was looked at before.
    let places =
        |world: &World| world.state.pool(&name("p")).map(|pool| (pool.shares.clone(), pool.standbys.clone()));
    loop {
        let before = places(world);
        settle_once(world);
        if places(world) == before {
            return;
        }
    }
}

fn settle_once(world: &mut World) {
    let nodes: Vec<_> = world.state.nodes().map(|node| (node.spec.id, node.standing)).collect();
    for (id, standing) in nodes {
        if standing != NodeStanding::Up {
            continue;
        }
        let kept = world.state.kept_on(&name("p"), id) as usize;
        let on = |world: &World| -> Vec<AgentId> {
            let mut there: Vec<_> = world
                .state
                .agents_on(id)
                .map(|one| (world.state.is_given_up(one.spec.id), one.spec.id))
                .collect();
            there.sort_unstable();
            there.into_iter().map(|(_, id)| id).collect()
        };
        for surplus in on(world).into_iter().skip(kept) {
            world.ask(Command::RemoveAgent { agent: surplus }).unwrap();
        }
        for one in on(world) {
            if world.state.agent(one).unwrap().standing == Standing::Offline {
                world.ask(register(agent_spec(one.raw(), Some("p"), Host::Node(id)))).unwrap();
                world.ask(self::standing(one.raw(), Standing::Ready)).unwrap();
            }
        }
        while on(world).len() < kept {
            let next =
                world.events.iter().filter(|event| matches!(event, Event::AgentRegistered { .. })).count();
            let number = next as u128 + 1;
            world.ask(register(agent_spec(number, Some("p"), Host::Node(id)))).unwrap();
            world.ask(self::standing(number, Standing::Ready)).unwrap();
        }
    }
}

fn give_up(world: &mut World, number: u128) {
    let reason = "the disk is gone".into();
    world.ask(Command::Pool(PoolCommand::GiveUpAgent { agent: agent(number), reason })).unwrap();
}

fn restart(world: &mut World, number: u128) {
    let generation = world.state.node(node(number)).unwrap().generation + 1;
    world.ask(start_node(number, generation)).unwrap();
}

fn shares(world: &World) -> Vec<u32> {
    (1..=3).map(|number| world.state.share(&name("p"), node(number))).collect()
}

fn statuses(world: &World) -> Vec<(u128, AgentStatus)> {
    world.state.agents().map(|agent| (agent.spec.id.raw(), agent.status())).collect()
}

fn missing(world: &World) -> u32 {
    world.state.shortfall(&name("p")).map_or(0, |shortfall| shortfall.missing)
}

#[test]
fn an_agent_that_failed_for_good_is_missing_from_a_degraded_pool_until_it_serves_again() {
    for recovery in [Recovery::Degraded, Recovery::Restart] {
        let mut world = world(2, native(2, recovery));
        give_up(&mut world, 2);
        assert_eq!(statuses(&world), [(1, AgentStatus::Ready), (2, AgentStatus::Failed)]);
        let lack = Lack::GivenUp { agents: 1, example: agent(2) };
        assert_eq!(world.state.shortfall(&name("p")), Some(Shortfall { missing: 1, lack }));
        assert_eq!(shares(&world), [1, 1, 0]);
        // A task that waits for it is told so.
        (1..=3).for_each(|number| {
            world.submit(TaskSpec { mailbox: MailboxId::Pool(name("p")), ..spec(number) });
        });
        world.claim(1, 2);
        let why = world.state.why(task(3)).unwrap();
        assert_eq!(why.code(), "pool_degraded");
        assert!(why.to_string().contains("failed for good"), "{why}");
        // It is started again, and has not proved anything yet.
        world.ask(register(agent_spec(2, Some("p"), Host::Node(node(2))))).unwrap();
        assert_eq!(missing(&world), 1);
        world.ask(standing(2, Standing::Ready)).unwrap();
        assert_eq!((missing(&world), world.state.is_given_up(agent(2))), (0, false));
    }
}

#[test]
fn a_standby_agent_serves_in_the_place_of_one_that_failed_for_good_and_goes_on_when_that_is_cured() {
    let mut world = world(2, native(2, Recovery::Failover { standby: 1 }));
    let at_first = [(1, AgentStatus::Ready), (2, AgentStatus::Standby), (3, AgentStatus::Ready)];
    assert_eq!((shares(&world), statuses(&world)), (vec![1, 1, 0], at_first.to_vec()));
    world.submit(TaskSpec { mailbox: MailboxId::Pool(name("p")), ..spec(1) });
    assert_eq!(world.claim(3, 1), [(task(1), 1)]);
    give_up(&mut world, 3);
    let covered = [(1, AgentStatus::Ready), (2, AgentStatus::Ready), (3, AgentStatus::Failed)];
    assert_eq!((shares(&world), statuses(&world)), (vec![2, 0, 0], covered.to_vec()));
    assert_eq!(world.state.agent(agent(3)).unwrap().reason.as_ref(), "the disk is gone");
    assert_eq!(missing(&world), 0);
    assert_eq!(world.claim(2, 1), [(task(1), 2)]);
    // It is tried again where it is: nobody leaves, nobody is made.
    assert_eq!(world.state.kept_on(&name("p"), node(2)), 1);
    // What happens to other nodes does not bring it back to a place that it cannot serve.
    world.join(node_spec(3));
    assert_eq!(world.state.share(&name("p"), node(2)), 0);
    assert!(world.state.agent(agent(3)).unwrap().standby);
    world.ask(standing(3, Standing::Ready)).unwrap();
    assert_eq!(world.state.agent(agent(3)).unwrap().status(), AgentStatus::Standby);
}

#[test]
fn whoever_stands_by_later_serves_for_those_that_failed_before() {
    let mut world = world(2, native(2, Recovery::Failover { standby: 1 }));
    give_up(&mut world, 3);
    give_up(&mut world, 1);
    assert_eq!(missing(&world), 1);
    // The one that is cured stood by.
    world.ask(standing(3, Standing::Ready)).unwrap();
    let serving = [(1, AgentStatus::Failed), (2, AgentStatus::Ready), (3, AgentStatus::Ready)];
    assert_eq!((missing(&world), statuses(&world)), (0, serving.to_vec()));
}

#[test]
fn a_standby_agent_on_the_same_node_will_do_and_one_that_failed_itself_takes_nobodys_place() {
    let mut world = world(2, native(2, Recovery::Failover { standby: 1 }));
    give_up(&mut world, 1);
    let swapped = [(1, AgentStatus::Failed), (2, AgentStatus::Ready), (3, AgentStatus::Ready)];
    assert_eq!((shares(&world), statuses(&world)), (vec![1, 1, 0], swapped.to_vec()));
    assert!(world.state.agent(agent(1)).unwrap().standby);
    give_up(&mut world, 3);
    assert_eq!((missing(&world), shares(&world)), (1, vec![1, 1, 0]));
    let said = world.events.iter().filter_map(|event| match event {
        Event::Governed { what: Governing::AgentGivenUp, detail, .. } => Some(detail.as_ref()),
        _ => None,
    });
    let none = "no standby agent is ready to take its place; it is tried again";
    assert_eq!(said.collect::<Vec<_>>(), ["another one serves in its place", none]);
}

#[test]
fn another_agent_elsewhere_is_taken_for_one_that_failed_for_good_and_has_the_work_that_waited_for_it() {
    let mut world = world(3, native(3, Recovery::Replacement));
    world.submit(TaskSpec { mailbox: MailboxId::Agent(agent(2)), ..spec(1) });
    give_up(&mut world, 2);
    assert_eq!(statuses(&world), [(1, AgentStatus::Ready), (3, AgentStatus::Ready)]);
    assert_eq!((shares(&world)[1], missing(&world)), (0, 0));
    settle(&mut world);
    assert_eq!(statuses(&world).last(), Some(&(4, AgentStatus::Ready)));
    assert_eq!(world.phase(1), Phase::Pending);
    assert_eq!(world.claim(4, 1), [(task(1), 1)]);
    // Its node has no more of them for a while, whatever happens to others, unless there is no other or it starts anew.
    world.join(node_spec(4));
    assert_eq!(world.state.share(&name("p"), node(2)), 0);
    for other in [1, 3, 4] {
        let reason = "moving".into();
        world.ask(Command::DrainNode { node: node(other), drain: true, reason }).unwrap();
    }
    assert_eq!(world.state.share(&name("p"), node(2)), 3);
    for other in [1, 3, 4] {
        let reason = "enough".into();
        world.ask(Command::DrainNode { node: node(other), drain: false, reason }).unwrap();
    }
    assert_eq!(world.state.shortfall(&name("p")), None);
}

#[test]
fn a_node_has_agents_of_a_pool_again_an_hour_after_one_failed_there_or_when_it_starts_anew() {
    for starts in [true, false] {
        let mut world = world(2, native(2, Recovery::Replacement));
        give_up(&mut world, 2);
        world.ask(Command::ScalePool { pool: name("p"), target: 4 }).unwrap();
        assert_eq!(shares(&world), [4, 0, 0]);
        if starts {
            restart(&mut world, 2);
        } else {
            world.pass(3_600_000);
            world.ask(Command::ScalePool { pool: name("p"), target: 5 }).unwrap();
            world.ask(Command::ScalePool { pool: name("p"), target: 4 }).unwrap();
        }
        assert_eq!(shares(&world), [2, 2, 0]);
    }
}

#[test]
fn agents_that_all_fail_at_once_are_replaced_at_longer_and_longer_intervals() {
    let mut world = world(1, native(2, Recovery::Replacement));
    let mut replaced = Vec::new();
    let began = world.now;
    // One fails in each second, of whichever there are.
    while world.now < began + 20_000_000 {
        let oldest = world.state.agents().next().unwrap().spec.id;
        give_up(&mut world, oldest.raw());
        if world.state.agent(oldest).is_none() {
            replaced.push((world.now - began) / 1000);
        }
        settle(&mut world);
        world.pass(1000);
    }
    assert_eq!(replaced, [0, 1, 61, 181, 421, 901, 1861, 3781, 7381, 10981, 14581, 18181]);
    let next = world.state.replaces_next(&name("p"), world.state.now()).unwrap();
    assert_eq!(next.as_millis(), began + 21_781_000);
    // A pool whose definition is another one begins anew.
    let spec = PoolSpec { concurrency: 9, ..native(2, Recovery::Replacement) };
    world.ask(Command::PutPool { spec: spec.into() }).unwrap();
    assert_eq!(world.state.replaces_next(&name("p"), world.state.now()), None);
}

#[test]
fn only_an_agent_of_a_node_that_is_counted_on_is_given_up() {
    let mut world = world(2, native(2, Recovery::Restart));
    let give_up = |world: &mut World, number| {
        world.ask(Command::Pool(PoolCommand::GiveUpAgent { agent: agent(number), reason: "late".into() }))
    };
    world.ask(register(agent_spec(7, None, Host::External))).unwrap();
    assert!(matches!(give_up(&mut world, 7), Err(Refusal::Invalid { field, .. }) if field == "agent"));
    assert_eq!(give_up(&mut world, 9), Err(Refusal::AgentUnknown(agent(9))));
    self::give_up(&mut world, 2);
    let reason = "it was silent".into();
    world.ask(Command::MarkNode { node: node(2), standing: NodeStanding::Down, reason }).unwrap();
    assert!(!world.state.is_given_up(agent(2)), "what is lacking is its node");
    assert_eq!(missing(&world), 1);
    assert!(matches!(give_up(&mut world, 2), Err(Refusal::NodeAway { .. })));
}

/// A pool by lot, on three nodes.
fn any_world(draw: &mut Draw) -> World {
    let standby = 1 + draw.below(2) as u32;
    let recovery = draw.pick(&[Recovery::Failover { standby }, Recovery::Replacement, Recovery::Degraded]);
    let manner = draw.pick(&[Manner::Even, Manner::Packed]);
    let spread = SpreadSpec { manner, ..SpreadSpec::default() };
    world(3, PoolSpec { spread, ..native(1 + draw.below(4) as u32, recovery) })
}

/// Lets something happen to an agent or a node of it.
fn disturb(world: &mut World, draw: &mut Draw) {
    let agents: Vec<_> = world.state.agents().map(|agent| agent.spec.id.raw()).collect();
    let number = 1 + u128::from(draw.below(3));
    match draw.below(10) {
        // Of one whose node is down neither is believed.
        0..5 if !agents.is_empty() => {
            let (agent, reason) = (agent(draw.pick(&agents)), "the disk is gone".into());
            let _ = world.ask(Command::Pool(PoolCommand::GiveUpAgent { agent, reason }));
        }
        0..7 if !agents.is_empty() => {
            let _ = world.ask(standing(draw.pick(&agents), Standing::Ready));
        }
        7 => {
            // Two are always there, or there would be nobody to take a place.
            let away = world.state.nodes().find(|node| !node.takes_agents()).map(|node| node.spec.id);
            let (id, standing) = match away {
                Some(away) => (away, NodeStanding::Up),
                None => (node(number), NodeStanding::Down),
            };
            world.ask(Command::MarkNode { node: id, standing, reason: "told".into() }).unwrap();
        }
        8 => restart(world, number),
        _ => {
            let target = 1 + draw.below(5) as u32;
            world.ask(Command::ScalePool { pool: name("p"), target }).unwrap();
        }
    }
    settle(world);
    world.pass(draw.below(100_000));
}

proptest! {
    #![proptest_config(config(300))]

    #[test]
    fn those_that_serve_and_those_that_are_missing_are_as_many_as_there_should_be(seed in any::<u64>(), steps in 1_usize..40) {
        let mut draw = Draw::new(seed);
        let mut world = any_world(&mut draw);
        for _ in 0..steps {
            disturb(&mut world, &mut draw);
            let pool = world.state.pool(&name("p")).unwrap();
            let placed: u32 = pool.shares.values().sum();
            prop_assert_eq!(placed, pool.target, "all nodes have room");
            let serving = |world: &World| {
                world.state.agents().filter(|agent| agent.status() == AgentStatus::Ready).count() as u32
            };
            let missing = missing(&world);
            prop_assert_eq!(serving(&world) + missing, pool.target, "{:?}", statuses(&world));
            // Nobody who is ready stands by while another's place is unserved, but for the places of nodes that are away.
            let reserve = world.state.agents().filter(|agent| agent.status() == AgentStatus::Standby).count();
            let away = world.state.nodes().filter(|node| !node.takes_agents());
            let away: u32 = away.map(|node| world.state.share(&name("p"), node.spec.id)).sum();
            prop_assert!(missing == away || reserve == 0, "{} missing of {:?}", missing, statuses(&world));
        }
    }

    #[test]
    fn who_is_given_up_has_failed_on_a_node_that_is_there_and_is_counted_as_long(history in histories()) {
        let mut state = State::default();
        for entry in &one_by_one(&history) {
            state.apply(entry);
            for agent in state.agents().filter(|agent| state.is_given_up(agent.spec.id)) {
                prop_assert!(matches!(agent.standing, Standing::Failed | Standing::Starting), "{agent:?}");
                let Host::Node(host) = agent.spec.host else { panic!("{agent:?} runs elsewhere") };
                prop_assert!(state.node(host).is_none_or(|node| node.standing == NodeStanding::Up));
                prop_assert!(agent.spec.pool.as_ref().is_some_and(|pool| state.pool(pool).is_some()));
            }
        }
    }
}
