//! Which limit, constraint or policy stands in the way of what, and what was assumed, in sentences.
//!
//! Each rule is one function of what was measured. What governs says itself what it holds back and why: a wait for a
//! budget, an approval, a limit set, a resource comes from the node as a cause of its own, and a refusal by a policy is how
//! the run or a task ends.

use synod::fleet::{EntryPlan, Length};
use synod::node::domain::agent::RuntimeSpec;
use synod::node::domain::name::Name;

use super::answer::Verdict;
use super::draw;
use super::measure::Measured;
use super::show::span;
use super::stage::Stage;
use crate::chance::Streams;

/// How many lengths are drawn to see how many exceed a timeout.
const DRAWN: usize = 2_000;

/// The least share of attempts beyond a timeout that is worth a word, in parts of a thousand.
const WORTH_A_WORD: usize = 5;

/// Causes of waiting that end only when somebody changes something, and what governs.
const STANDING: [&str; 17] = [
    "no_agent",
    "no_capable_agent",
    "agents_not_ready",
    "paused",
    "pool_unplaced",
    "pool_degraded",
    "agents_on_standby",
    "kept",
    "fabric_full",
    "account",
    "approval",
    "breaker",
    "budget",
    "limit",
    "policy",
    "quota",
    "resource",
];

/// Says what stands in the way of what.
pub(super) fn limits(measured: &Measured<'_>, verdict: Verdict) -> Vec<String> {
    let stage = measured.stage;
    let mut said = Vec::new();
    for entry in &stage.plan.entries {
        for pool in stage.pools_of(entry) {
            said.extend(timeout(stage, entry, pool));
            said.extend(unnoticed(stage, entry, pool));
        }
    }
    said.extend(standing(stage));
    said.extend(full(measured));
    if verdict == Verdict::Stuck {
        said.push(
            "the run never ends: nothing happens any more, although not all tasks have ended".to_owned(),
        );
    }
    said
}

/// A timeout that attempts exceed by themselves.
fn timeout(stage: &Stage, entry: &EntryPlan, pool: &Name) -> Option<String> {
    let limit = entry.timeouts.running?;
    let length = stage.play.simulation.behaviour(&entry.name, pool).duration;
    let mut stream = Streams::new(0).open("timeouts");
    let beyond = (0..DRAWN).filter(|_| draw::length(length, &mut stream) > limit).count();
    let thousandths = beyond * 1_000 / DRAWN;
    (thousandths >= WORTH_A_WORD).then(|| {
        let (whole, tenth) = (thousandths / 10, thousandths % 10);
        let limit = span(limit);
        format!(
            "timeout: {whole}.{tenth} % of the attempts of `{}` at `{pool}` take longer than its {limit}",
            entry.name
        )
    })
}

/// Attempts that hang and that nobody would notice.
fn unnoticed(stage: &Stage, entry: &EntryPlan, pool: &Name) -> Option<String> {
    let behaviour = stage.play.simulation.behaviour(&entry.name, pool);
    let timeouts = &entry.timeouts;
    let is_limited = timeouts.running.is_some() || timeouts.silence.is_some() || entry.deadline.is_some();
    (behaviour.hangs > 0 && !is_limited).then(|| {
        format!("no timeout: an attempt of `{}` at `{pool}` that hangs holds its slot for ever", entry.name)
    })
}

/// What waited for something that only somebody could change, or for what governs.
fn standing(stage: &Stage) -> Vec<String> {
    let waits = stage.waits.lock();
    let standing = waits.iter().filter(|((_, cause), _)| STANDING.contains(cause));
    standing
        .map(|((entry, cause), waited)| {
            format!("{cause}: `{entry}` waited {} for this: {}", span(waited.time), waited.example)
        })
        .collect()
}

/// Pools whose slots were all taken while work waited.
fn full(measured: &Measured<'_>) -> Vec<String> {
    let waits = measured.stage.waits.lock();
    let busy = waits.iter().filter(|((_, cause), _)| *cause == "agents_busy");
    busy.map(|((entry, _), waited)| {
        format!("full: `{entry}` waited {} for a free slot: {}", span(waited.time), waited.example)
    })
    .collect()
}

/// Says what nobody said and was assumed.
pub(super) fn assumed(stage: &Stage) -> Vec<String> {
    let mut said = Vec::new();
    for pool in &stage.plan.pools {
        let entries =
            stage.plan.entries.iter().filter(|entry| stage.pools_of(entry).any(|name| *name == pool.name));
        let behaviours: Vec<_> =
            entries.map(|entry| stage.play.simulation.behaviour(&entry.name, &pool.name)).collect();
        let mut parts = Vec::new();
        if let Some(length) = behaviours.iter().find(|one| !one.duration_is_said).map(|one| one.duration) {
            parts.push(match length {
                Length::Fixed(length) => span(length),
                Length::Between { min, max } => format!("{} to {}", span(min), span(max)),
                Length::Lognormal { p50, p90 } => {
                    format!("half of them {}, nine tenths {}", span(p50), span(p90))
                }
            });
        }
        if let Some(failures) = behaviours.iter().find(|one| !one.failures_are_said).map(|one| one.failures) {
            parts.push(format!("{} % failures", failures / 100));
        }
        if !parts.is_empty() {
            said.push(format!("nothing said for pool `{}`: assumed {}", pool.name, parts.join(", ")));
        }
        if pool.runtime == RuntimeSpec::External && stage.play.simulation.agents(&pool.name).is_none() {
            let agents = stage.agents_outside(&pool.name);
            said.push(format!(
                "nothing said of how many agents the external pool `{}` has: assumed {agents}",
                pool.name
            ));
        }
    }
    said
}
