//! What one life of a task costs the state machine. Not an assertion: the machine decides.

#![allow(clippy::disallowed_methods, reason = "a measurement reads the clock")]

use std::time::{Duration, Instant};

use synod_domain::agent::Standing;
use synod_domain::command::{Command, Entry, Request};
use synod_domain::id::RequestId;
use synod_domain::limits::Limits;
use synod_domain::state::State;
use synod_domain::task::MailboxId;

use super::world::{
    World, agent_spec, at, claim, complete, name, node, pool_spec, register, spec, standing, submit,
};

const BACKLOG: u128 = 10_000;
const CYCLES: u128 = 100_000;
/// How many cycles lie between two checkpoints; their cost is told apart.
const CHECKPOINT: u128 = 2_000;

/// A state with a backlog in one pool, and an agent that is ready for all of it.
fn backlog() -> State {
    let mut world = World::new(Limits::default());
    world.ask(Command::PutPool { spec: pool_spec("p").into() }).unwrap();
    let mut worker = agent_spec(2, Some("p"), synod_domain::agent::Host::Node(node(1)));
    worker.concurrency = 1000;
    world.ask(register(worker)).unwrap();
    world.ask(standing(2, Standing::Ready)).unwrap();
    for number in 0..BACKLOG {
        world.submit(of_pool(number));
    }
    world.state
}

fn of_pool(number: u128) -> synod_domain::task::TaskSpec {
    let mut spec = spec(1_000_000 + number);
    spec.mailbox = MailboxId::Pool(name("p"));
    spec
}

/// The three commands of each cycle: one arrives, the oldest is claimed and completed.
fn cycle(number: u128) -> [Request; 3] {
    let request =
        |place: u128, command| Request { id: RequestId::from_raw((1 << 80) + number * 3 + place), command };
    [
        request(0, submit(of_pool(BACKLOG + number))),
        request(1, claim(2, 1)),
        request(2, complete(1_000_000 + number, 1)),
    ]
}

fn measure(what: &str, entries_of: impl Fn(u128) -> Vec<Entry>, cycles_each: u128) {
    let mut state = backlog();
    let (mut applying, mut taking) = (Duration::ZERO, Duration::ZERO);
    let mut number = 0;
    while number < CYCLES {
        let entries: Vec<Entry> =
            (number..number + CHECKPOINT).step_by(cycles_each as usize).flat_map(&entries_of).collect();
        number += CHECKPOINT;
        let start = Instant::now();
        for entry in &entries {
            assert!(state.apply(entry).answers.iter().all(Result::is_ok));
        }
        applying += start.elapsed();
        let start = Instant::now();
        let changes = state.take_changes();
        assert!(!changes.rows.is_empty());
        state.changes_stored();
        taking += start.elapsed();
    }
    let each = |time: Duration| time.as_nanos() / CYCLES;
    println!("{what}: {} ns a cycle, and {} ns a cycle for taking changes", each(applying), each(taking));
}

#[test]
#[ignore = "a measurement; see laws.rs"]
fn cost_of_submit_claim_and_complete_over_a_backlog() {
    measure(
        "one command an entry",
        |number| {
            let entry = |request| Entry { at: at(2_000_000), seed: 1, commands: vec![request] };
            cycle(number).into_iter().map(entry).collect()
        },
        1,
    );
    measure(
        "fifty cycles an entry",
        |number| {
            let commands = (number..number + 50).flat_map(cycle).collect();
            vec![Entry { at: at(2_000_000), seed: 1, commands }]
        },
        50,
    );
}
