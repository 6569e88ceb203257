//! Limit sets in the state: what is held back, and who goes on.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;
use synod_domain::agent::{Host, Standing};
use synod_domain::command::Command;
use synod_domain::event::{Event, Governing};
use synod_domain::id::TaskId;
use synod_domain::limit_set::{LimitSetCommand, LimitSetSpec, Rate};
use synod_domain::limits::Limits;
use synod_domain::parking::ParkedOn;
use synod_domain::payload::Payload;
use synod_domain::retry::RetryPolicy;
use synod_domain::row::RowKey;
use synod_domain::state::State;
use synod_domain::task::{Lane, Phase, TaskSpec, Usage};
use synod_domain::terms::{Estimate, Terms};

use super::histories::{Draw, config};
use super::world::{
    World, agent, agent_spec, at, capabilities, complete, fail, millis, name, node, register, spec, standing,
    submit, task,
};

fn set(key: &str) -> LimitSetSpec {
    LimitSetSpec {
        name: name("s"),
        key: key.parse().unwrap(),
        workspace: None,
        kinds: BTreeSet::new(),
        concurrency: None,
        rate: None,
        tokens_per_minute: None,
    }
}

fn put(spec: LimitSetSpec) -> Command {
    Command::LimitSet(LimitSetCommand::Put { spec: spec.into() })
}

fn at_once(count: u32) -> LimitSetSpec {
    LimitSetSpec { concurrency: Some(count), ..set("workspace") }
}

/// A command about limit sets that short histories reach, for random histories.
pub(super) fn command(draw: &mut Draw) -> Command {
    let set_name = name(draw.pick(&["s", "t"]));
    if draw.one_in(5) {
        return Command::LimitSet(LimitSetCommand::Remove { set: set_name });
    }
    let key = draw.pick(&["workspace", "type", "{pool}/{label:team}", "payload:/repo"]);
    let rate = Rate { count: draw.below(4), window: millis(700) };
    put(LimitSetSpec {
        name: set_name,
        workspace: draw.one_in(4).then(|| draw.workspace()),
        concurrency: draw.one_in(2).then(|| u32::try_from(draw.below(4)).unwrap()),
        rate: draw.one_in(2).then_some(rate),
        tokens_per_minute: draw.one_in(3).then(|| draw.below(9)),
        ..set(key)
    })
}

/// A world whose agent 1 has ten slots.
fn world() -> World {
    let mut world = World::empty(Limits::default());
    wide_agent(&mut world, 1, &[]);
    world
}

fn wide_agent(world: &mut World, number: u128, offers: &[&str]) {
    let mut wide = agent_spec(number, None, Host::Node(node(1)));
    wide.concurrency = 10;
    wide.capabilities = capabilities(offers);
    world.ask(register(wide)).unwrap();
    world.ask(standing(number, Standing::Ready)).unwrap();
}

fn numbers(claimed: &[(TaskId, u32)]) -> Vec<u128> {
    claimed.iter().map(|(task, _)| task.raw()).collect()
}

fn waiting(world: &World, key: &str) -> usize {
    world.state.parked_on(&ParkedOn::Limit { set: name("s"), key: key.into() })
}

#[test]
fn no_more_of_a_key_run_at_once_than_allowed_and_the_next_goes_on_in_order() {
    let mut world = world();
    world.ask(put(at_once(2))).unwrap();
    for number in 1..6 {
        world.submit(spec(number));
    }
    world.submit(TaskSpec { lane: Lane::Critical, ..spec(6) });
    world.submit(TaskSpec { workspace: name("other"), ..spec(7) });
    assert_eq!(numbers(&world.claim(1, 10)), [6, 1, 7]);
    assert_eq!(waiting(&world, "default"), 4);
    let said = world.state.why(task(2)).unwrap().to_string();
    assert!(said.contains("limit s for key \"default\"") && said.contains("2 of 2 run"), "{said}");
    world.ask(complete(1, 1)).unwrap();
    assert_eq!(waiting(&world, "default"), 3, "one goes on for one slot");
    assert_eq!(numbers(&world.claim(1, 10)), [2]);
    // A failed attempt gives its slot back, and its task has its old place.
    world.ask(fail(2, 1, true)).unwrap();
    world.pass(60_000);
    assert_eq!(numbers(&world.claim(1, 10)), [2]);
}

#[test]
fn submits_for_a_key_that_is_used_up_are_held_back_from_the_start() {
    let mut world = world();
    world.ask(put(at_once(1))).unwrap();
    world.submit(spec(1));
    world.claim(1, 1);
    for number in 2..100 {
        world.submit(spec(number));
    }
    assert_eq!((waiting(&world, "default"), world.state.mailboxes().count()), (98, 0));
}

#[test]
fn raising_wakes_at_once_and_lowering_ends_nothing() {
    let mut world = world();
    world.ask(put(at_once(1))).unwrap();
    for number in 1..7 {
        world.submit(spec(number));
    }
    assert_eq!(numbers(&world.claim(1, 10)), [1]);
    world.ask(put(at_once(3))).unwrap();
    assert_eq!(numbers(&world.claim(1, 10)), [2, 3]);
    world.ask(put(at_once(1))).unwrap();
    assert_eq!([1, 2, 3].map(|number| world.phase(number)), [Phase::Running; 3]);
    for number in [1, 2] {
        world.ask(complete(number, 1)).unwrap();
        assert_eq!(world.claim(1, 10), []);
    }
    world.ask(complete(3, 1)).unwrap();
    assert_eq!(numbers(&world.claim(1, 10)), [4]);
    world.ask(Command::LimitSet(LimitSetCommand::Remove { set: name("s") })).unwrap();
    assert_eq!(numbers(&world.claim(1, 10)), [5, 6]);
}

#[test]
fn a_set_that_is_made_counts_what_runs_already() {
    let mut world = world();
    for number in 1..5 {
        world.submit(TaskSpec { payload: Payload::inline(*br#"{"repo":"synod"}"#), ..spec(number) });
    }
    world.claim(1, 2);
    world.ask(put(LimitSetSpec { concurrency: Some(2), ..set("{type}/{payload:/repo}") })).unwrap();
    assert_eq!(world.claim(1, 10), []);
    let shown = world.state.limit_keys(world.state.limit_set(&name("s")).unwrap(), None, 10);
    assert_eq!(shown.len(), 1);
    assert_eq!((&*shown[0].key, shown[0].running, shown[0].waiting), ("work/synod", 2, 2));
    // Another expression makes other keys, also of what runs.
    world.ask(put(LimitSetSpec { concurrency: Some(3), ..set("type") })).unwrap();
    assert_eq!(numbers(&world.claim(1, 10)), [3]);
    let shown = world.state.limit_keys(world.state.limit_set(&name("s")).unwrap(), None, 10);
    assert_eq!((&*shown[0].key, shown[0].running, shown[0].waiting), ("work", 3, 1));
}

#[test]
fn a_rate_lets_so_many_begin_in_any_window_and_wakes_by_time() {
    let mut world = world();
    world
        .ask(put(LimitSetSpec { rate: Some(Rate { count: 2, window: millis(1000) }), ..set("workspace") }))
        .unwrap();
    for number in 1..6 {
        world.submit(spec(number));
    }
    let begin = world.now;
    assert_eq!(numbers(&world.claim(1, 10)), [1, 2]);
    for number in [1, 2] {
        world.ask(complete(number, 1)).unwrap();
    }
    assert_eq!(world.claim(1, 10), []);
    assert_eq!(world.state.next_due(), Some(at(begin + 1000)));
    world.pass(999);
    assert_eq!(world.claim(1, 10), []);
    world.pass(1);
    assert_eq!(numbers(&world.claim(1, 10)), [3, 4]);
    assert_eq!(world.state.next_due(), Some(at(begin + 2000)));
    world.pass(1000);
    assert_eq!(numbers(&world.claim(1, 10)), [5]);
    assert_eq!(world.state.next_due(), None);
}

#[test]
fn tokens_are_expected_counted_and_corrected() {
    let mut world = world();
    world.ask(put(LimitSetSpec { tokens_per_minute: Some(100), ..set("workspace") })).unwrap();
    let terms =
        |tokens| Terms { estimate: Some(Estimate { tokens, ..Estimate::default() }), ..Terms::default() };
    for number in 1..5 {
        let spec = spec(number).into();
        world.ask(Command::SubmitWith { spec, terms: terms(40).into() }).unwrap();
    }
    assert_eq!(numbers(&world.claim(1, 10)), [1, 2]);
    // The first used less than was expected, which makes room; the second more, which takes it.
    let done = |number, tokens_out| Command::Complete {
        task: task(number),
        attempt: 1,
        result: Payload::default(),
        usage: Usage { tokens_in: 10, tokens_out, cost_microusd: 0 },
    };
    world.ask(done(1, 0)).unwrap();
    assert_eq!(numbers(&world.claim(1, 10)), [3]);
    world.ask(done(2, 60)).unwrap();
    assert_eq!(world.claim(1, 10), []);
    let said = world.state.why(task(4)).unwrap().to_string();
    assert!(said.contains("120 of 100 tokens were used within a minute"), "{said}");
    world.pass(60_000);
    assert_eq!(numbers(&world.claim(1, 10)), [4]);
    // Without an estimate the average of those before counts.
    assert_eq!(world.state.limit_set(&name("s")).unwrap().average, 10 - 10 / 8 + 70 / 8);
}

#[test]
fn a_woken_task_that_nobody_takes_or_that_is_called_off_keeps_no_slot() {
    let mut world = world();
    wide_agent(&mut world, 2, &["gpu"]);
    world.ask(put(at_once(1))).unwrap();
    world.submit(spec(1));
    world.claim(1, 1);
    world.submit(TaskSpec { demand: capabilities(&["gpu"]), ..spec(2) });
    world.submit(spec(3));
    world.submit(spec(4));
    // Nobody is there for the second any more, which would be next.
    world.ask(Command::RemoveAgent { agent: agent(2) }).unwrap();
    world.ask(complete(1, 1)).unwrap();
    assert_eq!(numbers(&world.claim(1, 10)), [3]);
    world.ask(complete(3, 1)).unwrap();
    world.ask(Command::Cancel { task: task(4), reason: "enough".into() }).unwrap();
    world.submit(spec(5));
    assert_eq!(numbers(&world.claim(1, 10)), [5]);
}

#[test]
fn a_task_of_two_sets_waits_for_both_and_takes_nothing_meanwhile() {
    let mut world = world();
    world.ask(put(LimitSetSpec { name: name("a"), ..at_once(1) })).unwrap();
    world.ask(put(LimitSetSpec { name: name("b"), concurrency: Some(1), ..set("type") })).unwrap();
    let of = |number, workspace: &str, kind: &str| TaskSpec {
        workspace: name(workspace),
        kind: name(kind),
        ..spec(number)
    };
    world.submit(of(1, "w", "k"));
    world.submit(of(2, "w", "l"));
    world.submit(of(3, "v", "k"));
    world.submit(of(4, "v", "l"));
    assert_eq!(numbers(&world.claim(1, 10)), [1, 4]);
    world.ask(complete(1, 1)).unwrap();
    assert_eq!(world.claim(1, 10), [], "the second needs the type of the fourth, the third its workspace");
    world.ask(complete(4, 1)).unwrap();
    let both: BTreeSet<u128> = numbers(&world.claim(1, 10)).into_iter().collect();
    assert_eq!(both, BTreeSet::from([2, 3]));
}

#[test]
fn a_key_that_nothing_counts_for_is_forgotten() {
    let mut world = world();
    let window = Duration::from_secs(10);
    world.ask(put(LimitSetSpec { rate: Some(Rate { count: 5, window }), ..set("payload:/repo") })).unwrap();
    for number in 1..5 {
        let repo = format!(r#"{{"repo":"r{number}"}}"#);
        world.submit(TaskSpec { payload: Payload::inline(repo.into_bytes()), ..spec(number) });
        world.claim(1, 1);
        world.ask(complete(number, 1)).unwrap();
    }
    let keys =
        |world: &World| world.state.limit_keys(world.state.limit_set(&name("s")).unwrap(), None, 10).len();
    assert_eq!(keys(&world), 4);
    assert_eq!(world.state.next_due(), None, "an idle key costs no tick");
    world.pass(10_000);
    assert_eq!(keys(&world), 0);
}

/// A small world of its own: four keys, two lines of agents, tasks that fail, are called off and lose their agents.
struct Run {
    world: World,
    concurrency: BTreeMap<String, usize>,
    began: BTreeMap<String, Vec<u64>>,
    tasks: u128,
}

const RATE: Rate = Rate { count: 4, window: Duration::from_millis(500) };

fn key_of(number: u128) -> String {
    format!("k{}", number % 4)
}

impl Run {
    fn new(concurrency: u32, rated: bool) -> Self {
        let mut world = World::empty(Limits::default());
        for number in 1..4 {
            wide_agent(&mut world, number, if number == 3 { &["gpu"] } else { &[] });
        }
        let rate = rated.then_some(RATE);
        let both = LimitSetSpec { concurrency: Some(concurrency), rate, ..set("type") };
        world.ask(put(both)).unwrap();
        Self { world, concurrency: BTreeMap::new(), began: BTreeMap::new(), tasks: 0 }
    }

    fn submit(&mut self, draw: &mut Draw) {
        self.tasks += 1;
        let number = self.tasks;
        self.world.submit(TaskSpec {
            kind: name(&key_of(number)),
            workspace: draw.workspace(),
            lane: draw.pick(&[Lane::High, Lane::Normal, Lane::Low]),
            demand: if draw.one_in(3) { capabilities(&["gpu"]) } else { capabilities(&[]) },
            retry: RetryPolicy { max_attempts: 20, ..RetryPolicy::default() },
            ..spec(number)
        });
    }

    /// Notes what the events say, and holds the limits against it.
    fn look(&mut self, allowed: u32, rated: bool) -> Result<(), TestCaseError> {
        for event in std::mem::take(&mut self.world.events) {
            if let Event::TaskLeased { task, .. } = event {
                self.began.entry(key_of(task.raw())).or_default().push(self.world.now);
            }
        }
        self.concurrency.clear();
        for task in self.world.state.tasks().filter(|task| task.lease().is_some()) {
            *self.concurrency.entry(task.spec.kind.to_string()).or_default() += 1;
        }
        for (key, running) in &self.concurrency {
            prop_assert!(*running <= allowed as usize, "{running} of {key} run");
        }
        for times in self.began.values().filter(|_| rated) {
            for window in times.windows(RATE.count as usize + 1) {
                let (first, last) = (window[0], window[RATE.count as usize]);
                prop_assert!(last - first >= 500, "{} began within {} ms", window.len(), last - first);
            }
        }
        Ok(())
    }

    fn act(&mut self, draw: &mut Draw) {
        let running: Vec<(u128, u32)> = self
            .world
            .state
            .tasks()
            .filter_map(|task| Some((task.spec.id.raw(), task.lease()?.attempt)))
            .collect();
        let of_running = |draw: &mut Draw| (!running.is_empty()).then(|| draw.pick(&running));
        match draw.below(12) {
            0..4 => self.submit(draw),
            4..7 => drop(self.world.claim(u128::from(draw.below(3)) + 1, 3)),
            7 | 8 => {
                if let Some((number, attempt)) = of_running(draw) {
                    self.world.ask(complete(number, attempt)).unwrap();
                }
            }
            9 => {
                if let Some((number, attempt)) = of_running(draw) {
                    self.world.ask(fail(number, attempt, true)).unwrap();
                }
            }
            10 => {
                let number = u128::from(draw.below(self.tasks as u64 + 1));
                let _ = self.world.ask(Command::Cancel { task: task(number), reason: "enough".into() });
            }
            _ => {
                let number = u128::from(draw.below(3)) + 1;
                self.world.ask(standing(number, Standing::Offline)).unwrap();
                self.world.ask(standing(number, Standing::Ready)).unwrap();
            }
        }
    }
}

proptest! {
    #![proptest_config(config(300))]

    #[test]
    fn no_limit_is_ever_passed_and_all_that_waits_runs_in_the_end(
        seeds in prop::collection::vec((any::<u64>(), 0_u64..80), 1..120), allowed in 1_u32..4, rated: bool,
    ) {
        let mut run = Run::new(allowed, rated);
        for (seed, step) in seeds {
            run.world.pass(step);
            run.act(&mut Draw::new(seed));
            run.look(allowed, rated)?;
            if seed % 7 == 0 {
                // A replica that starts from the rows goes on alike.
                let rows = run.world.state.rows().into_iter().map(|(_, row)| row);
                let restored = State::restore(rows).unwrap();
                prop_assert_eq!(restored.next_due(), run.world.state.next_due());
                run.world.state = restored;
            }
        }
        // Without anything new, all of it is done, and no slot stays empty while there is work for it.
        for _ in 0..5_000 {
            if run.world.state.unfinished() == 0 {
                break;
            }
            let mut moved = false;
            for who in 1..4 {
                for (task, attempt) in run.world.claim(who, 10) {
                    moved = true;
                    run.look(allowed, rated)?;
                    run.world.ask(complete(task.raw(), attempt)).unwrap();
                }
            }
            let held: Vec<(u128, u32)> =
                run.world.state.tasks().filter_map(|task| Some((task.spec.id.raw(), task.lease()?.attempt))).collect();
            for (number, attempt) in held {
                moved = true;
                run.world.ask(complete(number, attempt)).unwrap();
            }
            run.look(allowed, rated)?;
            if !moved {
                let due = run.world.state.next_due();
                prop_assert!(due.is_some(), "nothing moves, nothing is due, and {} wait", run.world.state.unfinished());
                run.world.pass(due.unwrap().as_millis().saturating_sub(run.world.now));
            }
        }
        prop_assert_eq!(run.world.state.unfinished(), 0);
    }
}

#[test]
fn a_shorter_window_forgets_at_once_what_it_does_not_count() {
    let mut world = world();
    let rated = |window| LimitSetSpec { rate: Some(Rate { count: 5, window: millis(window) }), ..at_once(3) };
    world.ask(put(rated(10_000))).unwrap();
    world.submit(spec(1));
    world.claim(1, 1);
    world.pass(2000);
    world.ask(put(rated(1000))).unwrap();
    let kept = |world: &World| {
        world.state.rows().iter().filter(|(key, _)| matches!(key, RowKey::LimitFlows(..))).count()
    };
    assert_eq!(kept(&world), 0, "another entry forgets it, which may be one that is refused");
    // Without a rate nothing counts any more either, and at once.
    world.submit(spec(2));
    world.claim(1, 1);
    assert_eq!(kept(&world), 1);
    world.ask(put(at_once(3))).unwrap();
    assert_eq!(kept(&world), 0);
}

#[test]
fn a_set_that_limits_nothing_is_refused() {
    let mut world = world();
    assert!(world.ask(put(set("workspace"))).is_err());
    world.ask(submit(spec(1))).unwrap();
    assert_eq!(numbers(&world.claim(1, 1)), [1]);
}

#[test]
fn what_is_told_of_a_set_says_its_figures_so_that_a_lowered_one_is_seen() {
    let mut world = world();
    let told = |world: &World| match world.events.last() {
        Some(Event::Governed { what: Governing::LimitPut, detail, .. }) => detail.to_string(),
        other => panic!("{other:?}"),
    };
    world.ask(put(at_once(3))).unwrap();
    assert_eq!(told(&world), "concurrency=3 key=workspace");
    let rate = Some(Rate { count: 10, window: Duration::from_secs(60) });
    let kinds = [name("a"), name("b")].into_iter().collect();
    let all =
        LimitSetSpec { rate, kinds, workspace: Some(name("w")), tokens_per_minute: Some(40), ..at_once(2) };
    world.ask(put(all)).unwrap();
    let figures = "concurrency=2 rate=10/60000 tokens_per_minute=40 workspace=w type=a type=b key=workspace";
    assert_eq!(told(&world), figures);
}
