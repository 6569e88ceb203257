//! Finds out what a simulated fleet came to, from what its nodes know at the end and from the history.

use std::collections::BTreeMap;
use std::time::Duration;

use synod::fleet::Target;
use synod::node::domain::agent::RuntimeSpec;
use synod::node::domain::event::Event;
use synod::node::domain::id::{AgentId, TaskId};
use synod::node::domain::task::{AttemptEnd, Phase, Task};
use synod::node::domain::time::Timestamp;
use synod::run::Outcome;

use super::answer::{
    AgentAnswer, Answer, AtDeath, DeadLetter, EntryAnswer, Half, PoolAnswer, Used, Verdict, Wait,
};
use super::draw::millis;
use super::stage::{Finish, Stage};
use super::{limits, path};
use crate::clock::EPOCH;
use crate::faults::Fault;
use crate::history::{Fact, Record};
use crate::judges;
use crate::report::{Broken, Report};
use crate::trace;

/// What these look at, a fleet's world does not have: it notes no questions, its results are the person's own, its
/// agents have as many slots as the file says and its lanes their full length.
const JUDGES_ELSEWHERE: [&str; 4] =
    ["something happened", "no stale completion", "slots hold", "lanes in order"];

/// A work that does not end leaves work that has not ended.
const ALL_WORK_ENDS: &str = "all work ends";

/// After how long a node comes back that the others cannot do without.
const BACK_AFTER: Duration = Duration::from_secs(60);

/// How many nodes there must be for the others to go on without one.
const ENOUGH_NODES: u64 = 3;

/// Returns after how long a node that died comes back; never before the end when the others can do without.
pub(super) const fn back_after(nodes: u64) -> Option<Duration> {
    if nodes < ENOUGH_NODES { Some(BACK_AFTER) } else { None }
}

/// Plans the death of a node, if one is to die: of its power, so that nobody hears of it.
pub(crate) fn plan(stage: &Stage, nodes: u64) -> Vec<(Duration, Fault)> {
    let death = stage.play.kill.map(|kill| {
        // Longer than any world: it comes back with the end.
        let down = back_after(nodes).unwrap_or(Duration::MAX / 2);
        let fault = Fault::Crash { node: kill.node, down, keep_percent: 0, silent: true };
        (Duration::from_millis(kill.at_ms), fault)
    });
    death.into_iter().collect()
}

/// One attempt.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    pub(super) entry: usize,
    pub(super) agent: AgentId,
    pub(super) from: Duration,
    pub(super) to: Duration,
    pub(super) lost: bool,
    pub(super) completed: bool,
}

/// Everything that was measured about the run, in the world's time.
pub(super) struct Measured<'a> {
    pub(super) stage: &'a Stage,
    pub(super) began: Duration,
    pub(super) ended: Duration,
    pub(super) tasks: Vec<(usize, &'a Task)>,
    pub(super) spans: Vec<Span>,
    /// Name and pool of each agent.
    pub(super) agents: BTreeMap<AgentId, (String, String)>,
    /// How many agents each pool of the nodes should have had, at most.
    targets: BTreeMap<String, usize>,
    pub(super) entries: Vec<EntryAnswer>,
    pub(super) pools: Vec<PoolAnswer>,
}

/// Says what the fleet of a stage came to.
pub(crate) fn answer(stage: &Stage, seed: u64, nodes: u64, history: &[Record]) -> Answer {
    let finish = stage.finish.lock();
    let (verdict, outcome, refused, tasks): (Verdict, Option<&Outcome>, _, _) = match &*finish {
        Some(Finish::Done(outcome, tasks)) if outcome.is_complete() => {
            (Verdict::Complete, Some(outcome), None, tasks.as_slice())
        }
        Some(Finish::Done(outcome, tasks)) => (Verdict::Incomplete, Some(outcome), None, tasks.as_slice()),
        Some(Finish::Stuck(tasks)) => (Verdict::Stuck, None, None, tasks.as_slice()),
        Some(Finish::Refused(why)) => (Verdict::Refused, None, Some(why.clone()), [].as_slice()),
        None => (Verdict::Unended, None, None, [].as_slice()),
    };
    let began = stage.begun_at.lock().unwrap_or_default();
    let place = |task: &Task| stage.plan.entries.iter().position(|entry| entry.name == task.spec.kind);
    let tasks: Vec<(usize, &Task)> = tasks.iter().filter_map(|task| Some((place(task)?, &**task))).collect();
    let last = tasks.iter().filter_map(|(_, task)| task.end()).map(|end| since_epoch(end.at)).max();
    let ended = last.unwrap_or_else(|| *stage.moved_at.lock()).max(began);
    let mut measured = Measured {
        stage,
        began,
        ended,
        spans: spans(&tasks, ended),
        tasks,
        agents: agents(stage, history),
        targets: targets(stage, history),
        entries: Vec::new(),
        pools: Vec::new(),
    };
    measured.entries = entries(&measured);
    measured.pools = pools(&measured);
    let path = path::longest(&measured);
    for place in &path {
        measured.entries[*place].critical = true;
    }
    let mut ends = BTreeMap::new();
    for (_, task) in measured.tasks.iter().filter(|(_, task)| task.end().is_some()) {
        *ends.entry(task.phase().as_str().to_owned()).or_default() += 1;
    }
    let skipped = outcome.into_iter().flat_map(|outcome| &outcome.entries);
    let text = trace::text(history);
    Answer {
        fleet: stage.plan.name.to_string(),
        plan: stage.play.plan.digest.clone(),
        seed,
        nodes,
        verdict,
        refused,
        duration_ms: millis(ended - began),
        tasks: stage.plan.task_count(),
        ends,
        not_begun: skipped
            .filter_map(|entry| Some((entry.name.to_string(), entry.skipped.clone()?)))
            .collect(),
        attempts: measured.spans.len(),
        retries: retries(measured.tasks.iter().map(|(_, task)| *task)),
        lost: measured.spans.iter().filter(|span| span.lost).count(),
        usage: used(&measured),
        bottleneck: path::bottleneck(&measured, &path),
        agents: by_agent(&measured),
        dead_letters: dead_letters(outcome, &measured),
        waits: waits(stage),
        limits: limits::limits(&measured, verdict),
        assumed: limits::assumed(stage),
        half: half(began, ended, history),
        at_death: stage.play.kill.map(|kill| at_death(Duration::from_millis(kill.at_ms), &measured)),
        death: None,
        broken: broken(history, &text, verdict),
        hash: format!("{:016x}", trace::hash(text.as_bytes())),
        simulated_ms: history.last().map_or(0, |record| millis(record.at)),
        entries: measured.entries,
        pools: measured.pools,
    }
}

fn broken(history: &[Record], text: &str, verdict: Verdict) -> Vec<Broken> {
    let ended = matches!(verdict, Verdict::Complete | Verdict::Incomplete);
    let asked = judges::ALL
        .into_iter()
        .filter(|judge| !JUDGES_ELSEWHERE.contains(&judge.name) && (ended || judge.name != ALL_WORK_ENDS));
    Report::by(asked, history, text).broken
}

/// Returns the time since the world began.
pub(super) fn since_epoch(at: Timestamp) -> Duration {
    at.since(EPOCH)
}

fn spans(tasks: &[(usize, &Task)], ended: Duration) -> Vec<Span> {
    let mut spans = Vec::new();
    for (entry, task) in tasks {
        spans.extend(task.attempts.iter().map(|attempt| Span {
            entry: *entry,
            agent: attempt.agent,
            from: since_epoch(attempt.leased_at),
            to: since_epoch(attempt.ended_at),
            lost: matches!(attempt.end, AttemptEnd::Lost(_)),
            completed: attempt.end == AttemptEnd::Completed,
        }));
        spans.extend(task.lease().map(|lease| Span {
            entry: *entry,
            agent: lease.agent,
            from: since_epoch(lease.granted_at),
            to: ended,
            lost: false,
            completed: false,
        }));
    }
    spans
}

fn agents(stage: &Stage, history: &[Record]) -> BTreeMap<AgentId, (String, String)> {
    let prefix = format!("{}/", stage.plan.name);
    let short = |text: &str| text.strip_prefix(&prefix).unwrap_or(text).to_owned();
    let registered = history.iter().filter_map(|record| match &record.fact {
        Fact::Happened { event: Event::AgentRegistered { agent, name, pool }, .. } => {
            let pool = pool.as_ref().map(|pool| short(pool.as_str())).unwrap_or_default();
            Some((*agent, (short(name.as_str()), pool)))
        }
        _ => None,
    });
    registered.collect()
}

fn targets(stage: &Stage, history: &[Record]) -> BTreeMap<String, usize> {
    let prefix = format!("{}/", stage.plan.name);
    let mut targets = BTreeMap::<String, usize>::new();
    for record in history {
        if let Fact::Happened { event: Event::PoolChanged { pool, target }, .. } = &record.fact {
            let most = targets.entry(pool.as_str().trim_start_matches(&prefix).to_owned()).or_default();
            *most = (*most).max(usize::try_from(*target).unwrap_or(usize::MAX));
        }
    }
    targets
}

fn retries<'a>(tasks: impl Iterator<Item = &'a Task>) -> usize {
    let beyond = tasks.map(|task| task.attempt.saturating_sub(1));
    beyond.map(|beyond| usize::try_from(beyond).unwrap_or(usize::MAX)).sum()
}

fn used(measured: &Measured<'_>) -> Used {
    let mut used = Used::default();
    for (_, task) in &measured.tasks {
        used.tokens_in += task.usage.tokens_in;
        used.tokens_out += task.usage.tokens_out;
        used.cost_microusd += task.usage.cost_microusd;
    }
    used
}

fn entries(measured: &Measured<'_>) -> Vec<EntryAnswer> {
    let began = measured.began;
    let entries = measured.stage.plan.entries.iter().enumerate().map(|(place, entry)| {
        let tasks: Vec<&Task> =
            measured.tasks.iter().filter(|(of, _)| *of == place).map(|(_, task)| *task).collect();
        let submitted = tasks.iter().map(|task| since_epoch(task.submitted_at)).min().unwrap_or(began);
        let ends = tasks.iter().map(|task| task.end().map_or(measured.ended, |end| since_epoch(end.at)));
        let waited = tasks.iter().filter_map(|task| {
            Some(since_epoch(task.first_started_at?).saturating_sub(since_epoch(task.submitted_at)))
        });
        let worked = measured.spans.iter().filter(|span| span.entry == place);
        EntryAnswer {
            name: entry.name.to_string(),
            who: match &entry.target {
                Target::Pool(pool) => pool.to_string(),
                Target::Capabilities(demand) => format!("any with {demand}"),
            },
            tasks: entry.items.len(),
            began_ms: millis(submitted.saturating_sub(began)),
            ended_ms: millis(ends.max().unwrap_or(began).saturating_sub(began)),
            waited_ms: quantiles(waited),
            worked_ms: quantiles(worked.map(|span| span.to.saturating_sub(span.from))),
            retries: retries(tasks.into_iter()),
            critical: false,
        }
    });
    entries.collect()
}

/// Returns the lengths that half and nine tenths do not exceed, in milliseconds.
fn quantiles(lengths: impl Iterator<Item = Duration>) -> [u64; 2] {
    let mut lengths: Vec<u64> = lengths.map(millis).collect();
    lengths.sort_unstable();
    [50, 90].map(|percent| quantile(&lengths, percent))
}

/// Returns what so many of a hundred do not exceed; they are sorted.
pub fn quantile(sorted: &[u64], percent: usize) -> u64 {
    let place = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(place).copied().unwrap_or(0)
}

fn pools(measured: &Measured<'_>) -> Vec<PoolAnswer> {
    let pools = measured.stage.plan.pools.iter().map(|pool| {
        let is_of =
            |agent: &AgentId| measured.agents.get(agent).is_some_and(|(_, of)| pool.name.as_str() == of);
        let spans: Vec<&Span> = measured.spans.iter().filter(|span| is_of(&span.agent)).collect();
        // Agents that move to another node are registered anew, and work no more than before.
        let target =
            measured.targets.get(pool.name.as_str()).filter(|_| pool.runtime != RuntimeSpec::External);
        let registered = measured.agents.keys().filter(|agent| is_of(agent)).count();
        let agents = target.copied().unwrap_or(registered);
        let slots = agents * usize::try_from(pool.concurrency).unwrap_or(1);
        let window = measured.window_of(pool.name.as_str());
        let busy: Duration = spans.iter().map(|span| span.to.saturating_sub(span.from)).sum();
        PoolAnswer {
            name: pool.name.to_string(),
            agents,
            slots,
            attempts: spans.len(),
            failed: spans.iter().filter(|span| !span.completed).count(),
            busy_percent: percent(busy, window, slots),
            window_ms: millis(window),
        }
    });
    pools.collect()
}

impl Measured<'_> {
    /// Returns for how long there was work for a pool.
    fn window_of(&self, pool: &str) -> Duration {
        let of_pool = |place: usize| {
            let entry = &self.stage.plan.entries[place];
            self.stage.pools_of(entry).any(|name| name.as_str() == pool)
        };
        let mut windows: Vec<(u64, u64)> = self
            .entries
            .iter()
            .enumerate()
            .filter(|(place, entry)| entry.ended_ms > entry.began_ms && of_pool(*place))
            .map(|(_, entry)| (entry.began_ms, entry.ended_ms))
            .collect();
        windows.sort_unstable();
        let (mut sum, mut reached) = (0, 0);
        for (from, to) in windows {
            sum += to.saturating_sub(from.max(reached));
            reached = reached.max(to);
        }
        Duration::from_millis(sum)
    }
}

/// How much of the time of so many slots was taken.
pub(super) fn percent(busy: Duration, window: Duration, slots: usize) -> u64 {
    let whole = millis(window).saturating_mul(u64::try_from(slots).unwrap_or(1)).max(1);
    (millis(busy).saturating_mul(100) / whole).min(100)
}

fn by_agent(measured: &Measured<'_>) -> Vec<AgentAnswer> {
    let run = measured.ended - measured.began;
    let slots_of = |pool: &str| {
        let pool = measured.stage.plan.pools.iter().find(|spec| spec.name.as_str() == pool);
        pool.map_or(1, |pool| usize::try_from(pool.concurrency).unwrap_or(1))
    };
    // By name: one that moved to another node is the same to people.
    let mut agents = BTreeMap::<(&str, &str), (usize, Duration)>::new();
    for (agent, (name, pool)) in &measured.agents {
        let (attempts, busy) = agents.entry((name, pool)).or_default();
        for span in measured.spans.iter().filter(|span| span.agent == *agent) {
            *attempts += 1;
            *busy += span.to.saturating_sub(span.from);
        }
    }
    let answers = agents.into_iter().map(|((name, pool), (attempts, busy))| AgentAnswer {
        name: name.to_owned(),
        pool: pool.to_owned(),
        attempts,
        busy_ms: millis(busy),
        busy_percent: percent(busy, run, slots_of(pool)),
    });
    answers.collect()
}

fn dead_letters(outcome: Option<&Outcome>, measured: &Measured<'_>) -> Vec<DeadLetter> {
    let attempts: BTreeMap<TaskId, u32> =
        measured.tasks.iter().map(|(_, task)| (task.spec.id, task.attempt)).collect();
    let tasks = outcome.into_iter().flat_map(Outcome::tasks);
    let dead = tasks.filter(|task| task.status.is_end() && task.status != Phase::Completed);
    dead.map(|task| DeadLetter {
        key: task.key.clone(),
        how: task.status.as_str().to_owned(),
        why: task.reason.clone().unwrap_or_default(),
        attempts: attempts.get(&task.task).copied().unwrap_or(0),
    })
    .collect()
}

fn waits(stage: &Stage) -> Vec<Wait> {
    let waits = stage.waits.lock();
    let mut waits: Vec<Wait> = waits
        .iter()
        .map(|((entry, cause), waited)| Wait {
            entry: entry.to_string(),
            cause: (*cause).to_owned(),
            time_ms: millis(waited.time),
            example: waited.example.clone(),
        })
        .collect();
    waits.sort_by(|one, other| other.time_ms.cmp(&one.time_ms).then_with(|| one.entry.cmp(&other.entry)));
    waits
}

fn half(began: Duration, ended: Duration, history: &[Record]) -> Option<Half> {
    let at = began + (ended - began) / 2;
    let leads = |record: &&Record| record.at <= at && matches!(record.fact, Fact::Leads { term: Some(_) });
    let leader = history.iter().rev().find(leads).and_then(|record| record.node);
    let leader = leader.unwrap_or(1);
    (ended > began).then(|| Half { at_ms: millis(at), into_run_ms: millis(at - began), leader })
}

fn at_death(at: Duration, measured: &Measured<'_>) -> AtDeath {
    let ends = measured.tasks.iter().filter_map(|(_, task)| task.end());
    AtDeath {
        ended_before: ends.filter(|end| since_epoch(end.at) <= at).count(),
        lost_after: measured.spans.iter().filter(|span| span.lost && span.to > at).count(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_taken_from_the_sorted_lengths() {
        assert_eq!(quantile(&[], 50), 0);
        assert_eq!(quantile(&[7], 90), 7);
        let ten: Vec<u64> = (1..=10).collect();
        assert_eq!((quantile(&ten, 50), quantile(&ten, 90)), (5, 9));
    }

    #[test]
    fn a_pool_is_busy_as_far_as_its_slots_are_taken() {
        let second = Duration::from_secs(1);
        assert_eq!(percent(second * 3, second * 2, 2), 75);
        assert_eq!(percent(Duration::ZERO, Duration::ZERO, 0), 0);
    }
}
