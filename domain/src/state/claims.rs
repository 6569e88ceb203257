//! Leases: who takes which task, and what the holder says while it has it.

use std::sync::Arc;
use std::time::Duration;

use crate::agent::{Agent, Standing};
use crate::capability::{CAPABILITIES_MAX, Capabilities};
use crate::event::Event;
use crate::id::{AgentId, RequestId, TaskId};
use crate::mutants::{Mutant, mutant};
use crate::refusal::Refusal;
use crate::reply::{Answer, Applied, Assignment, Reply};
use crate::row::RowKey;
use crate::state::gates::{Gate, HELD_BACK_AT_ONCE};
use crate::state::{State, Step};
use crate::task::{Lease, MailboxId, Progress, Task, TaskStatus, bounded_reason};
use crate::time::Timestamp;

impl State {
    pub(super) fn claim(
        &mut self,
        step: &mut Step,
        agent: AgentId,
        max: u32,
        start: bool,
        offered: Option<&Capabilities>,
    ) -> Answer {
        let claimant = self.agents.get(&agent).ok_or(Refusal::AgentUnknown(agent))?.clone();
        if claimant.standing != Standing::Ready || claimant.standby {
            let status = claimant.status().to_string();
            return Err(Refusal::AgentUnavailable { agent, status });
        }
        if offered.is_some_and(|offered| offered.len() > CAPABILITIES_MAX) {
            let why = format!("at most {CAPABILITIES_MAX} are allowed");
            return Err(Refusal::Invalid { field: "capabilities".to_owned(), why });
        }
        let offered = offered.unwrap_or(&claimant.spec.capabilities);
        let sources = self.giving(&claimant);
        let most = max.min(claimant.free());
        self.call_barred(step, &sources, &claimant, offered, most as usize);
        for source in &sources {
            self.age(step, source);
        }
        let mut assignments = Vec::new();
        let pool = claimant.spec.pool.as_ref();
        for _ in 0..most {
            // Each probe that is given out leaves less.
            if self.left_by_breaker(pool) == Some(0) {
                break;
            }
            let Some(task) = self.take_next(step, &claimant, &sources, offered) else { break };
            assignments.push(self.grant(step, task, &claimant, start));
        }
        if !assignments.is_empty() {
            let holder = Arc::make_mut(self.agents.entry(agent).or_insert_with(|| claimant.clone()));
            holder.held.extend(assignments.iter().map(|one| one.spec.id));
            self.changes.touch(RowKey::Agent(agent));
        }
        Ok(Reply::Claimed(assignments))
    }

    /// Claims, unless that was done under this key before. Like a request that is refused, one that is refused leaves
    /// nothing under the key.
    pub(super) fn claim_once(
        &mut self,
        step: &mut Step,
        key: RequestId,
        (agent, max, start): (AgentId, u32, bool),
        offered: Option<&Capabilities>,
    ) -> Answer {
        if self.requests.get(&key).is_some() {
            return Ok(Reply::Done);
        }
        let reply = self.claim(step, agent, max, start, offered)?;
        let dirty = self.requests.push(key, Applied::of(&reply));
        self.changes.touch_requests(dirty);
        Ok(reply)
    }

    /// Lets the tasks of a mailbox rise that have waited long enough in their lane.
    fn age(&mut self, step: &mut Step, source: &MailboxId) {
        let Some(mailbox) = self.mailboxes.get_mut(source) else { return };
        let risen = mailbox.rise(step.now, self.meta.limits.ageing);
        if !risen.is_empty() {
            self.changes.touch(RowKey::Turns(source.clone()));
        }
        for (id, lane) in risen {
            if let Some(task) = self.tasks.get_mut(&id) {
                let task = Arc::make_mut(task);
                task.lane = lane;
                task.status = TaskStatus::Waiting { since: step.now };
                self.changes.task_changed(id);
                let workspace = task.spec.workspace.clone();
                step.events.push(Event::TaskRose { task: id, workspace, lane });
            }
        }
    }

    /// Takes the most urgent task that the agent can do and that nothing holds back: lane first, then its own mailbox
    /// before its pool's before the open one.
    fn take_next(
        &mut self,
        step: &mut Step,
        claimant: &Agent,
        sources: &[MailboxId],
        offered: &Capabilities,
    ) -> Option<TaskId> {
        for _ in 0..=HELD_BACK_AT_ONCE {
            let paused = &self.resting;
            let next = sources
                .iter()
                .filter_map(|source| Some((self.mailboxes.get(source)?.next(offered, paused)?, source)))
                .min_by_key(|((lane, _), _)| *lane);
            let Some(((_, next), source)) = next else {
                // Those that were called may all have been held back by something else.
                if self.call_barred(step, sources, claimant, offered, 1) {
                    continue;
                }
                return None;
            };
            let gate = self.tasks.get(&next).map_or(Gate::Open, |task| self.gate(step, task, claimant));
            match gate {
                Gate::Open => return self.take_from(source, offered),
                Gate::Shut(on) => {
                    if let Some(task) = self.tasks.get(&next).cloned() {
                        self.request_on_dispatch(step, &task, claimant, &on);
                    }
                    self.park(step, next, on.clone());
                    self.passed_over(step, next, &on);
                }
                Gate::End(outcome) => self.stop(step, next, outcome),
                Gate::NotThisClaimant(budget) => {
                    self.withhold(&budget);
                    return None;
                }
            }
        }
        None
    }

    fn take_from(&mut self, source: &MailboxId, offered: &Capabilities) -> Option<TaskId> {
        let mailbox = self.mailboxes.get_mut(source)?;
        let task = mailbox.take(offered, &self.weights, &self.resting);
        if let Some(task) = task.and_then(|task| self.tasks.get(&task)) {
            self.whereabouts.note(&task.spec.workspace, source, mailbox);
        }
        if mailbox.depth() == 0 {
            self.mailboxes.remove(source);
        }
        self.changes.touch(RowKey::Turns(source.clone()));
        task
    }

    fn grant(&mut self, step: &mut Step, id: TaskId, claimant: &Agent, start: bool) -> Assignment {
        let agent = claimant.spec.id;
        let task = self.tasks.get_mut(&id).map(Arc::make_mut);
        let Some(task) = task else {
            unreachable!("{id} stands in a mailbox but not among the unfinished tasks")
        };
        task.attempt += 1;
        task.progress = None;
        let lease = Lease {
            agent,
            attempt: task.attempt,
            granted_at: step.now,
            expires_at: expiry(task, step.now),
            heard_at: step.now,
        };
        let assignment = Assignment {
            spec: task.spec.clone(),
            agent,
            attempt: lease.attempt,
            expires_at: lease.expires_at,
        };
        let attempt = lease.attempt;
        let workspace = task.spec.workspace.clone();
        step.events.push(Event::TaskLeased { task: id, workspace: workspace.clone(), agent, attempt });
        let mut waited = None;
        task.status = if start {
            step.events.push(Event::TaskStarted { task: id, workspace, agent, attempt });
            waited = first_start(task, step.now);
            TaskStatus::Running { lease, started_at: step.now }
        } else {
            TaskStatus::Scheduled { lease }
        };
        self.timers.set(task);
        self.changes.task_changed(id);
        if let Some(waited) = waited {
            self.count_wait(waited);
        }
        if let Some(task) = self.tasks.get(&id).cloned() {
            self.granted(step, &task);
        }
        assignment
    }

    pub(super) fn start(&mut self, step: &mut Step, id: TaskId, attempt: u32) -> Answer {
        let expires_at = expiry(self.leased_task(id, attempt)?, step.now);
        let Some(task) = self.tasks.get_mut(&id) else { return Err(Refusal::TaskUnknown(id)) };
        let TaskStatus::Scheduled { lease } = &task.status else { return Ok(Reply::Done) };
        let lease = Lease { heard_at: step.now, expires_at, ..lease.clone() };
        let agent = lease.agent;
        let task = Arc::make_mut(task);
        task.status = TaskStatus::Running { lease, started_at: step.now };
        let waited = first_start(task, step.now);
        let workspace = task.spec.workspace.clone();
        self.timers.set(task);
        self.changes.task_changed(id);
        if let Some(waited) = waited {
            self.count_wait(waited);
        }
        step.events.push(Event::TaskStarted { task: id, workspace, agent, attempt });
        Ok(Reply::Done)
    }

    pub(super) fn heartbeat(
        &mut self,
        step: &mut Step,
        id: TaskId,
        attempt: u32,
        progress: Option<&Progress>,
    ) -> Answer {
        let expires_at = expiry(self.leased_task(id, attempt)?, step.now);
        let Some(task) = self.tasks.get_mut(&id).map(Arc::make_mut) else {
            return Err(Refusal::TaskUnknown(id));
        };
        if let TaskStatus::Scheduled { lease } | TaskStatus::Running { lease, .. } = &mut task.status {
            lease.heard_at = step.now;
            lease.expires_at = expires_at;
        }
        if let Some(progress) = progress.map(bounded_progress) {
            task.progress = Some(progress.clone());
            let workspace = task.spec.workspace.clone();
            step.events.push(Event::TaskProgressed { task: id, workspace, progress });
        }
        self.timers.set(task);
        self.changes.task_changed(id);
        Ok(Reply::Done)
    }

    /// Tells whether a claim for an agent would give it something now, with what it registered or what it offers
    /// instead. It looks at the heads of at most three mailboxes and never at their backlog.
    pub fn has_work_for(&self, agent: AgentId, offered: Option<&Capabilities>) -> bool {
        let Some(claimant) = self.agents.get(&agent).filter(|claimant| claimant.takes_work()) else {
            return false;
        };
        let offered = offered.unwrap_or(&claimant.spec.capabilities);
        let paused = &self.resting;
        let mut mailboxes =
            self.giving(claimant).into_iter().filter_map(|source| self.mailboxes.get(&source));
        mailboxes.any(|mailbox| mailbox.best(offered, paused).is_some())
            || !self.barred_for(claimant, Some(offered)).is_empty()
    }

    /// Returns the mailboxes that give something to an agent, nearest first; none while its pool is paused, the breaker
    /// of its pool lets nothing through, or a budget withholds.
    pub(super) fn giving(&self, claimant: &Agent) -> Vec<MailboxId> {
        if !self.may_give(claimant) {
            return Vec::new();
        }
        let mut sources = self.sources_of(&claimant.spec);
        sources.retain(|source| self.pauses.of_mailbox(source).is_none());
        sources
    }

    /// Returns the task if `attempt` holds its valid lease, else says why not.
    pub(super) fn leased_task(&self, id: TaskId, attempt: u32) -> Result<&Arc<Task>, Refusal> {
        let Some(task) = self.tasks.get(&id) else {
            return Err(match self.endings.get(&id) {
                Some(ending) if ending.attempt == attempt => {
                    Refusal::AlreadyEnded { task: id, phase: ending.phase }
                }
                Some(_) => Refusal::LeaseLost { task: id, attempt },
                None => Refusal::TaskUnknown(id),
            });
        };
        let valid =
            task.lease().is_some_and(|lease| lease.attempt == attempt || mutant(Mutant::IgnoreTheAttempt));
        if valid { Ok(task) } else { Err(Refusal::LeaseLost { task: id, attempt }) }
    }
}

/// Notes the first start of a task; returns how long it had waited, if this is the first.
fn first_start(task: &mut Task, now: Timestamp) -> Option<Duration> {
    if task.first_started_at.is_some() {
        return None;
    }
    task.first_started_at = Some(now);
    Some(now.since(task.submitted_at))
}

fn expiry(task: &Task, now: Timestamp) -> Timestamp {
    task.spec.timeouts.silence.map_or(Timestamp::NEVER, |silence| now.after(silence))
}

/// Keeps what an attempt says of itself within bounds: it is not worth losing a lease over.
fn bounded_progress(progress: &Progress) -> Progress {
    Progress {
        percent: progress.percent.map(|percent| percent.min(100)),
        message: progress.message.as_deref().map(bounded_reason),
    }
}
