//! What is to happen again, made from a recording.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use synod::api;
use synod::node::domain::event::Event;
use synod::node::domain::id::{AgentId, NodeId, TaskId};
use synod::node::domain::name::Name;
use synod::node::domain::retry::RetryPolicy;
use synod::node::domain::task::{Lane, MailboxId, Phase};
use synod::node::domain::time::Timestamp;
use synod::recording::Recording;

use super::left_out::LeftOut;
use crate::faults::Fault;
use crate::script::{Act, Script, Step};

/// When in the world the first event happens: by then all nodes have come together.
pub(super) const LEAD: Duration = Duration::from_secs(30);

/// The pool of work for which no pool is known.
const OTHERS: &str = "others";

/// The most agents of a pool in the world.
const AGENTS_MAX: usize = 256;

/// The shortest time for which a node is away: it has to be noticed.
const DOWN_MIN: Duration = Duration::from_secs(5);

/// How many nodes there must be for one to go down.
const NODES_FOR_DEATHS: u64 = 3;

/// Everything that is to happen.
#[derive(Debug, Clone, PartialEq)]
pub struct Score {
    pub(super) pools: Vec<PoolPart>,
    pub(super) parts: Vec<Part>,
    pub(super) deaths: Vec<DeathPart>,
    /// What cannot happen again, for people.
    pub(super) notes: Vec<String>,
}

/// A pool and its slots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PoolPart {
    pub(super) name: Name,
    pub(super) agents: u32,
    pub(super) concurrency: u32,
}

/// A task: how it was submitted, and what came of it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Part {
    pub(super) task: TaskId,
    /// Since the first event.
    pub(super) at: Duration,
    pub(super) kind: Name,
    pub(super) workspace: Name,
    pub(super) pool: Name,
    pub(super) lane: Lane,
    pub(super) deadline: Option<Duration>,
    pub(super) retry: RetryPolicy,
    pub(super) script: Script,
    pub(super) cancelled_at: Option<Duration>,
    /// How it ended, if it did.
    pub(super) ended: Option<(Phase, Duration)>,
    pub(super) attempts: u32,
    pub(super) lost: u32,
}

/// A node that went down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct DeathPart {
    at: Duration,
    down: Duration,
    /// The how manieth of all nodes it is.
    place: u64,
}

/// A task while its events are gone through.
struct Reading {
    submitted: Duration,
    kind: Name,
    workspace: Name,
    mailbox: MailboxId,
    lane: Lane,
    begun: Option<Duration>,
    steps: Vec<Step>,
    backoffs: Vec<Duration>,
    attempts: u32,
    lost: u32,
    ended: Option<(Phase, Duration)>,
}

impl Score {
    /// Makes it from a recording.
    pub fn of(recording: &Recording) -> Self {
        let first = recording.events.first().map_or(Timestamp::ZERO, |first| first.at);
        let mut tasks = BTreeMap::<TaskId, Reading>::new();
        let mut hands = BTreeMap::<Name, BTreeSet<AgentId>>::new();
        let mut nodes = Vec::<NodeId>::new();
        let mut deaths = Vec::<DeathPart>::new();
        let mut left_out = LeftOut::default();
        for recorded in &recording.events {
            let at = recorded.at.since(first);
            match &recorded.event {
                Event::TaskSubmitted { task, workspace, kind, mailbox, lane, .. } => {
                    let reading = Reading::new(at, (kind, workspace), mailbox, *lane);
                    tasks.insert(*task, reading);
                }
                Event::NodeStarted { node, .. } | Event::NodeAdmitted { node, .. }
                    if !nodes.contains(node) =>
                {
                    nodes.push(*node);
                }
                Event::NodeDown { node, .. } => {
                    let place = nodes.iter().position(|known| known == node).unwrap_or_else(|| {
                        nodes.push(*node);
                        nodes.len() - 1
                    });
                    let place = u64::try_from(place).unwrap_or(0);
                    deaths.push(DeathPart { at, down: Duration::MAX, place });
                }
                Event::NodeUp { node, .. } => {
                    let place = nodes.iter().position(|known| known == node);
                    let place = place.and_then(|place| u64::try_from(place).ok());
                    let last = deaths.iter_mut().rev().find(|death| Some(death.place) == place);
                    if let Some(death) = last {
                        death.down = at.saturating_sub(death.at);
                    }
                }
                event => {
                    left_out.hear(event);
                    let Some(task) = event.task() else { continue };
                    match tasks.get_mut(&task) {
                        Some(reading) => reading.take(recording, task, at, first, event, &mut hands),
                        None => left_out.had_begun(task),
                    }
                }
            }
        }
        let mut notes = left_out.notes();
        let mut parts: Vec<Part> =
            tasks.into_iter().map(|(task, reading)| reading.part(task, recording)).collect();
        parts.sort_by_key(|part| (part.at, part.task));
        let open = parts.iter().filter(|part| part.ended.is_none()).count();
        if open > 0 {
            notes.push(format!("{open} tasks had not ended; they are played to their end and not compared"));
        }
        let pools = pools(recording, &parts, &hands);
        Self { pools, parts, deaths, notes }
    }

    /// Returns how many tasks it has.
    pub fn tasks(&self) -> usize {
        self.parts.len()
    }

    /// Returns how long it takes in the recording.
    pub(super) fn length(&self) -> Duration {
        let ends =
            self.parts.iter().map(|part| part.at + part.ended.map_or(Duration::ZERO, |(_, took)| took));
        ends.max().unwrap_or_default()
    }

    /// Returns which nodes go down when, in a world of so many.
    pub(crate) fn plan(&self, nodes: u64) -> Vec<(Duration, Fault)> {
        if nodes < NODES_FOR_DEATHS {
            return Vec::new();
        }
        let deaths = self.deaths.iter().map(|death| {
            let down = death.down.clamp(DOWN_MIN, self.length().max(DOWN_MIN));
            let node = death.place % nodes + 1;
            (LEAD + death.at, Fault::Crash { node, down, keep_percent: 0, silent: true })
        });
        deaths.collect()
    }
}

impl Reading {
    fn new(submitted: Duration, (kind, workspace): (&Name, &Name), mailbox: &MailboxId, lane: Lane) -> Self {
        Self {
            submitted,
            kind: kind.clone(),
            workspace: workspace.clone(),
            mailbox: mailbox.clone(),
            lane,
            begun: None,
            steps: Vec::new(),
            backoffs: Vec::new(),
            attempts: 0,
            lost: 0,
            ended: None,
        }
    }

    fn take(
        &mut self,
        recording: &Recording,
        task: TaskId,
        at: Duration,
        first: Timestamp,
        event: &Event,
        hands: &mut BTreeMap<Name, BTreeSet<AgentId>>,
    ) {
        match event {
            Event::TaskLeased { agent, attempt, .. } => {
                self.attempts = self.attempts.max(*attempt);
                self.begun = Some(at);
                if let MailboxId::Pool(pool) = &self.mailbox {
                    hands.entry(pool.clone()).or_default().insert(*agent);
                }
            }
            Event::TaskStarted { .. } => self.begun = Some(at),
            Event::TaskReturned { attempt, until, .. } => {
                if was_lost(recording, task, *attempt) {
                    self.lost += 1;
                } else {
                    self.steps.push(self.step(Act::Fail, at));
                    self.backoffs.push(until.since(first).saturating_sub(at));
                }
                self.begun = None;
            }
            Event::TaskEnded { phase, .. } => {
                let act = match phase {
                    Phase::Completed => Act::Succeed,
                    Phase::Failed => Act::Refuse,
                    // Somebody else ended it: it works until then.
                    Phase::TimedOut
                    | Phase::Cancelled
                    | Phase::Pending
                    | Phase::Scheduled
                    | Phase::Running => Act::Hang,
                };
                self.steps.push(self.step(act, at));
                self.ended = Some((*phase, at.saturating_sub(self.submitted)));
            }
            _ => {}
        }
    }

    fn step(&self, act: Act, at: Duration) -> Step {
        let worked = self.begun.map_or(Duration::ZERO, |begun| at.saturating_sub(begun));
        Step { act, millis: u64::try_from(worked.as_millis()).unwrap_or(u64::MAX) }
    }

    fn part(self, task: TaskId, recording: &Recording) -> Part {
        let line = recording.tasks.get(&task.to_string());
        let ended = self.ended;
        let after = |wanted: Phase| ended.filter(|(phase, _)| *phase == wanted).map(|(_, took)| took);
        let failures = u32::try_from(self.backoffs.len()).unwrap_or(u32::MAX);
        let longest = self.backoffs.iter().max().copied().unwrap_or_default();
        let default = RetryPolicy::default();
        let retry = RetryPolicy {
            max_attempts: line.map_or(default.max_attempts, |line| line.max_attempts).max(failures + 1),
            initial: self.backoffs.first().copied().unwrap_or(default.initial),
            max: longest.max(self.backoffs.first().copied().unwrap_or(default.initial)),
            ..default
        };
        let pool = match &self.mailbox {
            MailboxId::Pool(pool) => pool.clone(),
            MailboxId::Agent(_) | MailboxId::Open => able(recording, line),
        };
        Part {
            task,
            at: self.submitted,
            kind: self.kind,
            workspace: self.workspace,
            pool,
            lane: self.lane,
            deadline: after(Phase::TimedOut),
            retry,
            script: Script::played(self.steps),
            cancelled_at: after(Phase::Cancelled).map(|took| self.submitted + took),
            ended,
            attempts: self.attempts,
            lost: self.lost,
        }
    }
}

/// Tells whether an attempt ended with its agent or node, as far as the task was kept.
fn was_lost(recording: &Recording, task: TaskId, attempt: u32) -> bool {
    let line = recording.tasks.get(&task.to_string());
    let attempts = line.into_iter().flat_map(|line| &line.attempts);
    attempts.into_iter().any(|one| one.number == attempt && one.end == "lost")
}

/// Returns a pool whose agents can do a task that any agent may take.
fn able(recording: &Recording, line: Option<&api::Task>) -> Name {
    let demand = line.map(|line| line.required_capabilities.as_slice()).unwrap_or_default();
    let able = recording
        .pools
        .values()
        .find(|pool| !demand.is_empty() && demand.iter().all(|one| pool.capabilities.contains(one)));
    able.and_then(|pool| Name::new(&pool.name).ok()).unwrap_or_else(others)
}

fn others() -> Name {
    Name::new(OTHERS).unwrap_or_default()
}

fn pools(recording: &Recording, parts: &[Part], hands: &BTreeMap<Name, BTreeSet<AgentId>>) -> Vec<PoolPart> {
    let names: BTreeSet<&Name> = parts.iter().map(|part| &part.pool).collect();
    let pools = names.into_iter().map(|name| {
        let known = recording.pools.get(name.as_str());
        let hosted = known.filter(|pool| pool.runtime != api::PoolRuntime::External);
        let target = hosted.map_or(0, |pool| usize::try_from(pool.target).unwrap_or(AGENTS_MAX));
        let seen = hands.get(name).map_or(0, BTreeSet::len);
        let agents = if target > 0 { target } else { seen };
        PoolPart {
            name: name.clone(),
            agents: u32::try_from(agents.clamp(1, AGENTS_MAX)).unwrap_or(1),
            concurrency: known.map_or(1, |pool| pool.concurrency),
        }
    });
    pools.collect()
}
