//! What scenarios have in common: times, work, and the words with which they fail.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use synod::node::NewTask;
use synod::node::domain::event::{Event, Governing};
use synod::node::domain::id::TaskId;
use synod::node::domain::retry::RetryPolicy;
use synod::node::domain::task::Timeouts;
use synod_simulations::faults::Fault;
use synod_simulations::history::Fact;
use synod_simulations::script::{Act, Script};
use synod_simulations::{Outcome, Scenario};

/// How long an attempt may run, and how long it may be silent.
const RUNNING: Duration = Duration::from_secs(4);
const SILENCE: Duration = Duration::from_secs(2);

/// Lines of the trace that a failing scenario shows.
const LINES: usize = 60;

pub(crate) const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(crate) const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Runs a scenario in which every judge must be content. `SYNOD_TRACE` names a file for the whole trace.
pub(crate) fn holds(scenario: Scenario) -> Outcome {
    let outcome = scenario.run();
    if let Some(file) = std::env::var_os("SYNOD_TRACE") {
        std::fs::write(file, outcome.tail(usize::MAX)).unwrap();
    }
    assert!(outcome.report.holds(), "{}\n{}", outcome.report, outcome.tail(LINES));
    let missed: Vec<String> =
        outcome.facts(|fact| matches!(fact, Fact::Missed(_))).map(|fact| fact.to_string()).collect();
    assert!(missed.is_empty(), "a fault of the story could not be: {missed:?}");
    outcome
}

/// A process that is killed: what it had written is there when it comes back.
pub(crate) const fn killed(node: u64, down: Duration) -> Fault {
    Fault::Crash { node, down, keep_percent: 100, silent: false }
}

/// A machine without power: what was not synced is gone, and nobody is told.
pub(crate) const fn power_loss(node: u64, down: Duration) -> Fault {
    Fault::Crash { node, down, keep_percent: 0, silent: true }
}

pub(crate) fn cut_off(node: u64, lasts: Duration) -> Fault {
    Fault::Partition { lasts, side: BTreeSet::from([node]) }
}

/// Work whose attempts do what is said, with limits that find a silent one, and quick retries.
pub(crate) fn work(pool: &str, attempts: &[(Act, u64)]) -> NewTask {
    let retry = RetryPolicy { max_attempts: 4, initial: ms(200), factor_percent: 200, max: s(1) };
    NewTask::to_pool(pool, "story", &Script::of(attempts))
        .unwrap()
        .timeouts(Timeouts { waiting: None, running: Some(RUNNING), silence: Some(SILENCE) })
        .retry(retry)
}

/// Counts the submits that were acknowledged from one time to another.
pub(crate) fn acknowledged(outcome: &Outcome, from: Duration, to: Duration) -> usize {
    outcome.acknowledged().iter().filter(|one| one.at > from && one.at <= to).count()
}

/// Returns the longest time, from one time to another, in which no submit was acknowledged.
pub(crate) fn longest_silence(outcome: &Outcome, from: Duration, to: Duration) -> Duration {
    let times = outcome.acknowledged().into_iter().map(|one| one.at).filter(|at| *at > from && *at < to);
    let mut times: Vec<Duration> = [from, to].into_iter().chain(times).collect();
    times.sort_unstable();
    times.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or_default()
}

/// Returns how long tasks took from submit to end, in the middle, of those that were acknowledged in a time.
pub(crate) fn took(outcome: &Outcome, from: Duration, to: Duration) -> Duration {
    let ends: BTreeMap<TaskId, Duration> = outcome
        .events()
        .filter_map(|(record, event)| match event {
            Event::TaskEnded { task, .. } => Some((*task, record.at)),
            _ => None,
        })
        .collect();
    let acknowledged = outcome.acknowledged();
    let within = acknowledged.iter().filter(|one| one.at > from && one.at <= to);
    let mut times: Vec<Duration> =
        within.filter_map(|one| Some(ends.get(&one.task)?.saturating_sub(one.asked_at))).collect();
    times.sort_unstable();
    assert!(times.len() > 3, "too little was asked from {from:?} to {to:?}");
    times[times.len() / 2]
}

/// Asserts what the judges leave to each scenario: everything that was acknowledged is known at the end, and has ended.
pub(crate) fn assert_nothing_lost(outcome: &Outcome) {
    let stands = outcome.stands();
    let acknowledged: BTreeSet<TaskId> = outcome.acknowledged().iter().map(|one| one.task).collect();
    assert!(!acknowledged.is_empty());
    for task in acknowledged {
        let phase = stands.get(&task).copied().flatten();
        assert!(phase.is_some_and(|phase| phase.is_end()), "{task} is {phase:?} at the end");
    }
}

/// Counts how often something happened to what governs.
pub(crate) fn governed(outcome: &Outcome, what: Governing) -> usize {
    outcome
        .events()
        .filter(|(_, event)| matches!(event, Event::Governed { what: of, .. } if *of == what))
        .count()
}

/// Counts how often a task was held back by something of this word.
pub(crate) fn held_back(outcome: &Outcome, by: &str) -> usize {
    outcome.events().filter(|(_, event)| matches!(event, Event::TaskParked { on, .. } if **on == *by)).count()
}

/// Asserts that no term had two leaders.
pub(crate) fn assert_one_leader_a_term(outcome: &Outcome) {
    let mut leaders = BTreeMap::new();
    for (at, node, term) in outcome.leaders() {
        let first = *leaders.entry(term).or_insert(node);
        assert_eq!(first, node, "term {term} has two leaders, at {at:?}");
    }
    assert!(!leaders.is_empty());
}

/// Returns who began to lead after a time, with the time.
pub(crate) fn led_after(outcome: &Outcome, time: Duration) -> Vec<(Duration, u64)> {
    outcome.leaders().into_iter().filter(|(at, _, _)| *at > time).map(|(at, node, _)| (at, node)).collect()
}

/// Returns the nodes that a kind of fact was told by, with when.
pub(crate) fn told_by(outcome: &Outcome, is: impl Fn(&Fact) -> bool) -> Vec<(Duration, u64)> {
    outcome.facts(is).filter_map(|record| Some((record.at, record.node?))).collect()
}

/// Returns the node of the only fault that was injected.
pub(crate) fn victim(outcome: &Outcome) -> u64 {
    let nodes = outcome.history.iter().find_map(|record| match &record.fact {
        Fact::Injected(Fault::Partition { side, .. }) => side.first().copied(),
        Fact::Injected(fault) => fault.node(),
        _ => None,
    });
    nodes.expect("no fault was injected to a node")
}

/// Asserts that where two nodes said how their state is after the same entry, they said the same, and that they did.
pub(crate) fn assert_states_agree(outcome: &Outcome, nodes: &[u64]) {
    let mut states = BTreeMap::<u64, BTreeMap<u64, u64>>::new();
    for record in &outcome.history {
        if let (Fact::State { index, hash }, Some(node)) = (&record.fact, record.node) {
            states.entry(*index).or_default().insert(node, *hash);
        }
    }
    let mut compared = BTreeSet::new();
    for (index, hashes) in &states {
        let first = hashes.values().next();
        assert!(hashes.values().all(|hash| Some(hash) == first), "states differ after {index}: {hashes:?}");
        if hashes.len() > 1 {
            compared.extend(hashes.keys().copied());
        }
    }
    assert!(nodes.iter().all(|node| compared.contains(node)), "only {compared:?} were compared");
}
