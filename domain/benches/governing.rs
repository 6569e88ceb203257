//! What governing costs the state machine: budgets that are reserved and settled with every life of a task, and a hundred
//! thousand tasks that one key holds back, woken one by one and all at once.
//!
//! Run with `cargo bench -p synod-domain --bench governing`. The yardstick stands in the same run: the same lives without a
//! budget, and the same wake-ups behind a thousand tasks. The claim is that a wake-up does not grow with what waits, and
//! that a budget costs less than the life it covers.

#![allow(clippy::unwrap_used, reason = "a bench may stop at the first surprise")]
#![expect(clippy::disallowed_methods, reason = "a bench measures real time")]

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use synod_domain::agent::{AgentSpec, Host, Standing};
use synod_domain::budget::amount::Measure;
use synod_domain::budget::command::BudgetCommand;
use synod_domain::budget::scope::Scope;
use synod_domain::budget::spec::{BudgetSpec, Enforcement, Limit, WARN_PERCENT};
use synod_domain::budget::window::Window;
use synod_domain::capability::Capabilities;
use synod_domain::command::{Command, Entry, Request};
use synod_domain::id::{AgentId, RequestId, TaskId};
use synod_domain::limit_set::{LimitSetCommand, LimitSetSpec};
use synod_domain::limits::Limits;
use synod_domain::name::Name;
use synod_domain::payload::Payload;
use synod_domain::retry::RetryPolicy;
use synod_domain::state::State;
use synod_domain::task::{Lane, MailboxId, TaskSpec, Timeouts, Usage};
use synod_domain::time::Timestamp;

/// How many budgets cover a task.
const BUDGETS: [usize; 4] = [0, 1, 4, 8];
/// Lives of tasks that are measured.
const LIVES: u128 = 20_000;
/// How many tasks one key holds back.
const PARKED: [u128; 3] = [1_000, 10_000, 100_000];
/// Wake-ups one by one that are measured.
const WAKES: u128 = 500;
/// The middle one of so many measurements counts.
const ROUNDS: usize = 5;

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

/// A state that is asked one thing an entry, with an agent that has slots for everything.
struct World {
    state: State,
    asked: u128,
}

const AGENT: AgentId = AgentId::from_raw(1);

impl World {
    fn new() -> Self {
        let mut world = Self { state: State::default(), asked: 0 };
        let limits = Limits {
            mailbox_depth_max: 1_000_000,
            workspace_depth_max: 1_000_000,
            node_depth_max: 1_000_000,
            ..Limits::default()
        };
        world.ask(Command::SetLimits { limits });
        let spec = AgentSpec {
            id: AGENT,
            name: name("worker"),
            pool: None,
            capabilities: Capabilities::default(),
            labels: BTreeMap::new(),
            region: None,
            concurrency: 1000,
            host: Host::External,
            heartbeat_timeout: None,
            metadata: None,
        };
        world.ask(Command::RegisterAgent { spec: spec.into() });
        let standing = Standing::Ready;
        world.ask(Command::SetStanding { agent: AGENT, standing, reason: "".into() });
        world
    }

    fn ask(&mut self, command: Command) {
        self.asked += 1;
        let request = Request { id: RequestId::from_raw(self.asked), command };
        let entry = Entry { at: Timestamp::from_millis(1_000_000), seed: 1, commands: vec![request] };
        let effects = self.state.apply(&entry);
        assert!(effects.answers.iter().all(Result::is_ok), "{:?}", effects.answers);
        // As the checkpointer does, so that what is to be written does not pile up.
        if self.asked.is_multiple_of(1024) {
            self.state.take_changes();
            self.state.changes_stored();
        }
    }

    fn submit(&mut self, number: u128) {
        let spec = TaskSpec {
            id: TaskId::from_raw(number),
            workspace: Name::default(),
            kind: name("work"),
            mailbox: MailboxId::Open,
            demand: Capabilities::default(),
            lane: Lane::Normal,
            deadline: None,
            timeouts: Timeouts::default(),
            retry: RetryPolicy::default(),
            payload: Payload::inline(*b"payload"),
            idempotency_key: None,
            labels: BTreeMap::new(),
            run: None,
            redriven_from: None,
            metadata: None,
        };
        self.ask(Command::Submit { spec: spec.into() });
    }

    fn claim(&mut self) {
        self.ask(Command::Claim { agent: AGENT, max: 1, start: true, offered: None });
    }

    fn complete(&mut self, number: u128) {
        let usage = Usage { tokens_in: 100, tokens_out: 100, cost_microusd: 50 };
        let (task, result) = (TaskId::from_raw(number), Payload::inline(*b"result"));
        self.ask(Command::Complete { task, attempt: 1, result, usage });
    }
}

fn median(mut rounds: Vec<f64>) -> f64 {
    rounds.sort_by(f64::total_cmp);
    rounds[rounds.len() / 2]
}

fn nanos(time: Duration, steps: u128) -> f64 {
    time.as_secs_f64() * 1e9 / steps as f64
}

/// Returns nanoseconds of a life of a task that so many budgets cover.
fn life(budgets: usize) -> f64 {
    let round = || {
        let mut world = World::new();
        for number in 0..budgets {
            let spec = BudgetSpec {
                name: name(&format!("budget-{number}")),
                scope: Scope::Global,
                limits: vec![
                    Limit { measure: Measure::Tokens, most: 1 << 50, window: Window::Hour },
                    Limit { measure: Measure::Cost, most: 1 << 50, window: Window::Day },
                ],
                enforcement: Enforcement::Hard,
                warn_percent: WARN_PERCENT,
                note: None,
            };
            world.ask(Command::Budget(BudgetCommand::Put { spec: spec.into() }));
        }
        let start = Instant::now();
        for number in 1..=LIVES {
            world.submit(number);
            world.claim();
            world.complete(number);
        }
        nanos(start.elapsed(), LIVES)
    };
    median((0..ROUNDS).map(|_| round()).collect())
}

/// Returns nanoseconds of one wake-up by a slot that comes free, with the claim and the end of what goes, and of one of all
/// that wake up when the limit goes.
fn wake(parked: u128) -> (f64, f64) {
    let round = || {
        let mut world = World::new();
        let spec = LimitSetSpec {
            name: name("one"),
            key: "workspace".parse().unwrap(),
            workspace: None,
            kinds: BTreeSet::new(),
            concurrency: Some(1),
            rate: None,
            tokens_per_minute: None,
        };
        world.ask(Command::LimitSet(LimitSetCommand::Put { spec: spec.into() }));
        world.submit(1);
        world.claim();
        (2..=parked).for_each(|number| world.submit(number));
        let start = Instant::now();
        for number in 1..=WAKES {
            world.complete(number);
            world.claim();
        }
        let one = nanos(start.elapsed(), WAKES);
        let start = Instant::now();
        world.ask(Command::LimitSet(LimitSetCommand::Remove { set: name("one") }));
        (one, nanos(start.elapsed(), parked - WAKES - 1))
    };
    let (one, all) = (0..ROUNDS).map(|_| round()).unzip();
    (median(one), median(all))
}

fn main() {
    println!("| budgets that cover a task, two limits each | ns a life | ratio to none |");
    println!("|---:|---:|---:|");
    let mut none = None;
    for budgets in BUDGETS {
        let cost = life(budgets);
        let none = *none.get_or_insert(cost);
        println!("| {budgets} | {cost:.0} | {:.2} |", cost / none);
    }
    println!(
        "\n| parked by one key | ns to end one and begin the next | ratio | ns each, all woken at once | ratio |"
    );
    println!("|---:|---:|---:|---:|---:|");
    let mut least = None;
    for parked in PARKED {
        let (one, all) = wake(parked);
        let (first, first_all) = *least.get_or_insert((one, all));
        println!("| {parked} | {one:.0} | {:.2} | {all:.0} | {:.2} |", one / first, all / first_all);
    }
}
