//! Breakers in the state: what they hold back, and how they let go.

use std::time::Duration;

use proptest::prelude::*;
use synod_domain::breaker::{BreakerCommand, BreakerSpec, Circuit, Guarded};
use synod_domain::command::Command;
use synod_domain::event::Event;
use synod_domain::limits::Limits;
use synod_domain::parking::ParkedOn;
use synod_domain::refusal::Refusal;
use synod_domain::state::State;
use synod_domain::task::{MailboxId, TaskSpec};

use super::histories::{Draw, config, histories};
use super::world::{
    World, agent, agent_spec, complete, fail, millis, name, node, pool_spec, register, spec, standing, task,
};
use synod_domain::agent::{Host, Standing};

fn pool() -> Guarded {
    Guarded::Pool(name("p"))
}

fn settings(of: Guarded) -> BreakerSpec {
    BreakerSpec {
        failures: 2,
        rate_percent: 0,
        open_for: millis(1000),
        open_max: millis(3000),
        ..BreakerSpec::of(of)
    }
}

fn put(spec: BreakerSpec) -> Command {
    Command::Breaker(BreakerCommand::Put { spec: spec.into() })
}

/// A command about a breaker that opens soon and closes soon, for random histories.
pub(super) fn command(draw: &mut Draw) -> Command {
    let of = match draw.below(6) {
        0 | 1 => Guarded::Pool(name("a")),
        2 => Guarded::Pool(name("b")),
        3 => Guarded::Pool(name("nowhere")),
        _ => Guarded::Kind(name("work")),
    };
    Command::Breaker(match draw.below(8) {
        0..4 => {
            let failures = u32::try_from(draw.below(3)).unwrap();
            let probes = u32::try_from(draw.below(4)).unwrap();
            let rate_percent = if draw.one_in(2) { 50 } else { 0 };
            let (open_for, open_max) = (millis(300), millis(900));
            let mut spec =
                BreakerSpec { failures, rate_percent, probes, open_for, open_max, ..BreakerSpec::of(of) };
            (spec.window, spec.at_least) = (8, 2);
            BreakerCommand::Put { spec: spec.into() }
        }
        4 => BreakerCommand::Remove { of },
        5 => BreakerCommand::Reset { of },
        _ => {
            let period = draw.one_in(2).then(|| Duration::from_millis(draw.below(900)));
            BreakerCommand::Trip { of, period, reason: "the vendor is down".into() }
        }
    })
}

fn of_pool(number: u128) -> TaskSpec {
    TaskSpec { mailbox: MailboxId::Pool(name("p")), ..spec(number) }
}

/// A pool with agents 2 and 3, of two slots each, and the breaker of the pool.
fn world() -> World {
    let mut world = World::new(Limits::default());
    world.ask(Command::PutPool { spec: pool_spec("p").into() }).unwrap();
    for number in [2, 3] {
        world.ask(register(agent_spec(number, Some("p"), Host::Node(node(1))))).unwrap();
        world.ask(standing(number, Standing::Ready)).unwrap();
    }
    world.ask(put(settings(pool()))).unwrap();
    world
}

fn word(world: &World, of: &Guarded) -> &'static str {
    world.state.breaker(of).unwrap().circuit.word()
}

/// Two tasks fail for good, and the pool's breaker opens.
fn opened() -> World {
    let mut world = world();
    for number in [1, 2] {
        world.submit(of_pool(number));
        world.claim(2, 1);
        world.ask(fail(number, 1, false)).unwrap();
    }
    assert_eq!(word(&world, &pool()), "open");
    world
}

#[test]
fn agents_of_a_pool_whose_breaker_is_open_are_given_nothing_from_anywhere() {
    let mut world = opened();
    world.submit(of_pool(10));
    world.submit(spec(11));
    assert_eq!(world.claim(2, 2), []);
    assert!(!world.state.has_work_for(agent(2), None));
    assert!(world.state.claimable(&MailboxId::Pool(name("p"))).is_empty());
    let why = world.state.why(task(10)).unwrap();
    let said = why.to_string();
    assert_eq!(why.code(), "held_back");
    assert!(
        said.starts_with("the breaker of pool p holds it back since") && said.contains(", until 1970"),
        "{said}"
    );
    assert!(said.contains("2 failures in a row, the last: attempt 1 broke"), "{said}");
    assert!(said.contains("synod breaker reset pool/p"), "{said}");
    // Who is of no pool has no breaker, and takes what is open to everybody.
    assert_eq!(world.claim(1, 2), [(task(11), 1)]);
}

#[test]
fn one_probe_goes_through_and_closes_it() {
    let mut world = opened();
    for number in 10..14 {
        world.submit(of_pool(number));
    }
    let due = world.state.next_due().unwrap();
    world.pass(due.as_millis() - world.now);
    assert_eq!(word(&world, &pool()), "half_open");
    assert_eq!(world.claim(2, 2), [(task(10), 1)]);
    assert_eq!(world.claim(3, 2), []);
    world.ask(complete(10, 1)).unwrap();
    assert_eq!(word(&world, &pool()), "closed");
    assert_eq!(world.claim(3, 2).len(), 2);
    let turns = world.events.iter().filter_map(|event| match event {
        Event::Governed { what, subject, .. } => Some((what.as_str(), &**subject)),
        _ => None,
    });
    let expected = ["breaker_set", "breaker_opened", "breaker_half_opened", "breaker_closed"];
    assert_eq!(turns.collect::<Vec<_>>(), expected.map(|what| (what, "pool/p")));
}

#[test]
fn a_failed_probe_opens_it_again_for_longer() {
    let mut world = opened();
    world.submit(of_pool(10));
    world.pass(1000);
    world.claim(2, 1);
    world.ask(fail(10, 1, true)).unwrap();
    let Circuit::Open { since, until, .. } = world.state.breaker(&pool()).unwrap().circuit else {
        panic!("it is not open")
    };
    assert_eq!(until.since(since), millis(2000));
}

#[test]
fn a_lost_probe_says_nothing_and_another_takes_its_place() {
    let mut world = opened();
    world.submit(of_pool(10));
    world.pass(1000);
    assert_eq!(world.claim(2, 1).len(), 1);
    world.ask(standing(2, Standing::Offline)).unwrap();
    assert_eq!(word(&world, &pool()), "half_open");
    assert_eq!(world.claim(3, 1), [(task(10), 2)]);
    // So it is with one whose agent is removed, and with one that is called off.
    world.ask(Command::RemoveAgent { agent: agent(3) }).unwrap();
    world.ask(standing(2, Standing::Ready)).unwrap();
    assert_eq!(world.claim(2, 1), [(task(10), 3)]);
    world.ask(Command::Cancel { task: task(10), reason: "enough".into() }).unwrap();
    world.submit(of_pool(11));
    assert_eq!(world.claim(2, 1), [(task(11), 1)]);
    assert_eq!(word(&world, &pool()), "half_open");
}

#[test]
fn lost_leases_and_cancelled_tasks_open_nothing_and_timeouts_of_attempts_do() {
    let mut world = world();
    for number in 1..6 {
        world.submit(of_pool(number));
        world.claim(2, 1);
        world.ask(Command::Cancel { task: task(number), reason: "enough".into() }).unwrap();
    }
    world.submit(of_pool(6));
    for _ in 0..3 {
        world.claim(2, 1);
        world.ask(standing(2, Standing::Offline)).unwrap();
        world.ask(standing(2, Standing::Ready)).unwrap();
    }
    assert_eq!(word(&world, &pool()), "closed");
    let mut slow = of_pool(7);
    slow.timeouts.running = Some(millis(10));
    slow.lane = synod_domain::task::Lane::Critical;
    world.submit(slow);
    for _ in 0..2 {
        world.claim(2, 1);
        world.pass(10);
        world.pass(60_000);
    }
    assert_ne!(world.state.breaker(&pool()).unwrap().failed, 0);
    assert_ne!(word(&world, &pool()), "closed");
}

/// Tasks of one type for everybody, and what lets them go.
fn of_kind(number: u128, kind: &str) -> TaskSpec {
    TaskSpec { kind: name(kind), ..spec(number) }
}

#[test]
fn tasks_of_a_type_whose_breaker_is_open_are_parked_and_others_go_before_them() {
    let mut world = World::new(Limits::default());
    let of = Guarded::Kind(name("review"));
    world.ask(put(BreakerSpec { probes: 2, ..settings(of.clone()) })).unwrap();
    world
        .ask(Command::Breaker(BreakerCommand::Trip {
            of: of.clone(),
            period: Some(millis(500)),
            reason: "x".into(),
        }))
        .unwrap();
    for number in 1..6 {
        world.submit(of_kind(number, "review"));
    }
    world.submit(of_kind(9, "work"));
    assert_eq!(world.claim(1, 2), [(task(9), 1)]);
    world.ask(complete(9, 1)).unwrap();
    assert_eq!(world.state.parked_on(&ParkedOn::Breaker(of.clone())), 5);
    let said = world.state.why(task(3)).unwrap().to_string();
    assert!(
        said.contains("the breaker of type review") && said.contains("synod breaker reset type/review"),
        "{said}"
    );
    // Two probes in their order, and no third before they have ended.
    world.pass(500);
    assert_eq!(world.state.parked_on(&ParkedOn::Breaker(of.clone())), 3);
    assert_eq!(world.claim(1, 2), [(task(1), 1), (task(2), 1)]);
    world.ready_agent(2);
    assert_eq!(world.claim(2, 2), []);
    world.ask(complete(1, 1)).unwrap();
    assert_eq!(world.claim(2, 2), []);
    world.ask(complete(2, 1)).unwrap();
    assert_eq!(word(&world, &of), "closed");
    assert_eq!(world.claim(2, 2), [(task(3), 1), (task(4), 1)]);
    assert_eq!(world.claim(1, 2), [(task(5), 1)]);
}

#[test]
fn a_probe_that_nobody_can_take_keeps_no_other_from_being_one() {
    let mut world = world();
    let of = Guarded::Kind(name("review"));
    world.ask(put(settings(of.clone()))).unwrap();
    world
        .ask(Command::Breaker(BreakerCommand::Trip {
            of: of.clone(),
            period: Some(millis(500)),
            reason: "x".into(),
        }))
        .unwrap();
    // The first is for agents that are not there, the second for those of the pool.
    world.submit(TaskSpec { demand: super::world::capabilities(&["gpu"]), ..of_kind(1, "review") });
    let mut gpu = agent_spec(7, None, Host::Node(node(1)));
    gpu.capabilities = super::world::capabilities(&["gpu"]);
    world.ask(register(gpu)).unwrap();
    world.ask(standing(7, Standing::Ready)).unwrap();
    assert_eq!(world.claim(7, 1), []);
    world.ask(Command::RemoveAgent { agent: agent(7) }).unwrap();
    world.submit(TaskSpec { kind: name("review"), ..of_pool(2) });
    assert_eq!(world.claim(2, 1), []);
    assert_eq!(world.state.parked_on(&ParkedOn::Breaker(of.clone())), 2);
    world.pass(500);
    assert_eq!(world.claim(2, 1), [(task(2), 1)]);
}

#[test]
fn ten_thousand_tasks_behind_a_breaker_that_closes_go_on_over_several_entries() {
    let mut world = World::new(Limits::default());
    let of = Guarded::Kind(name("work"));
    world.ask(put(settings(of.clone()))).unwrap();
    world
        .ask(Command::Breaker(BreakerCommand::Trip { of: of.clone(), period: None, reason: "x".into() }))
        .unwrap();
    for number in 1..=10_000 {
        world.submit(spec(number));
    }
    while world.state.parked_on(&ParkedOn::Breaker(of.clone())) < 10_000 {
        assert_eq!(world.claim(1, 1), []);
    }
    let state = State::restore(world.state.rows().into_iter().map(|(_, row)| row)).unwrap();
    assert_eq!(state.next_due(), world.state.next_due());
    world.ask(Command::Breaker(BreakerCommand::Reset { of: of.clone() })).unwrap();
    assert_eq!(world.state.parked_on(&ParkedOn::Breaker(of.clone())), 10_000 - 1024);
    assert_eq!(world.claim(1, 1), [(task(1), 1)]);
    let mut entries = 0;
    while let Some(due) = world.state.next_due() {
        world.pass(due.as_millis() - world.now);
        entries += 1;
    }
    assert_eq!((world.state.parked_on(&ParkedOn::Breaker(of)), entries), (0, 9));
}

#[test]
fn it_is_tripped_reset_and_removed_by_hand() {
    let mut world = world();
    world.submit(of_pool(1));
    let trip = |period| BreakerCommand::Trip { of: pool(), period, reason: "the vendor is down".into() };
    world.ask(Command::Breaker(trip(None))).unwrap();
    world.pass(10_000_000);
    assert_eq!(world.claim(2, 1), []);
    let said = world.state.why(task(1)).unwrap().to_string();
    assert!(said.contains("tripped by hand: the vendor is down") && !said.contains("until"), "{said}");
    world.ask(Command::Breaker(BreakerCommand::Reset { of: pool() })).unwrap();
    assert_eq!(world.claim(2, 1).len(), 1);
    world.ask(Command::Breaker(trip(Some(millis(50))))).unwrap();
    world.pass(50);
    assert_eq!(word(&world, &pool()), "half_open");
    world.ask(Command::Breaker(BreakerCommand::Remove { of: pool() })).unwrap();
    assert!(world.state.breaker(&pool()).is_none());
    assert_eq!(
        world.ask(Command::Breaker(BreakerCommand::Reset { of: pool() })),
        Err(Refusal::BreakerUnknown(pool()))
    );
}

#[test]
fn a_pool_that_goes_takes_its_breaker_along() {
    let mut world = world();
    for number in [2, 3] {
        world.ask(Command::RemoveAgent { agent: agent(number) }).unwrap();
    }
    world.ask(Command::RemovePool { pool: name("p") }).unwrap();
    assert!(world.state.breaker(&pool()).is_none());
}

proptest! {
    #![proptest_config(config(300))]

    #[test]
    fn nothing_begins_behind_an_open_breaker_and_probes_are_leases_in_force(history in histories()) {
        let mut state = State::default();
        for entry in &super::histories::one_by_one(&history) {
            let closed_to = |state: &State, of: &Guarded| {
                state.breaker(of).is_some_and(|one| !one.admits())
            };
            // Time passes before commands are judged.
            state.apply(&synod_domain::command::Entry { commands: Vec::new(), ..entry.clone() });
            let shut: Vec<Guarded> = state.breakers().map(|one| one.spec.of.clone()).filter(|of| closed_to(&state, of)).collect();
            for event in state.apply(entry).events {
                let Event::TaskLeased { task, agent, .. } = event else { continue };
                let pool = state.agent(agent).and_then(|agent| agent.spec.pool.clone());
                let kind = state.task(task).map(|task| task.spec.kind.clone());
                for of in pool.map(Guarded::Pool).into_iter().chain(kind.map(Guarded::Kind)) {
                    prop_assert!(!shut.contains(&of), "{task} began behind {of}");
                }
            }
            for breaker in state.breakers() {
                let Circuit::HalfOpen { probes, succeeded, .. } = &breaker.circuit else { continue };
                prop_assert!(*succeeded < breaker.spec.probes);
                for probe in probes {
                    let lease = state.task(probe.task).and_then(|task| task.lease().cloned());
                    prop_assert_eq!(lease.map(|lease| lease.attempt), Some(probe.attempt));
                }
            }
        }
    }
}
