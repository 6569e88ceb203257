//! Accepting work, and moving it between lanes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::capability::CAPABILITIES_MAX;
use crate::event::Event;
use crate::id::{RunId, TaskId};
use crate::mailbox::Waiting;
use crate::name::Name;
use crate::payload::{INLINE_BYTES_MAX, METADATA_BYTES_MAX, PAYLOAD_BYTES_MAX, Payload};
use crate::refusal::{Bound, Refusal};
use crate::reply::{Answer, Reply};
use crate::retry::ATTEMPTS_MAX;
use crate::row::RowKey;
use crate::state::barred::is_barred;
use crate::state::keys::{self, KeyUse};
use crate::state::{State, Step};
use crate::task::{Lane, MailboxId, Task, TaskSpec, TaskStatus, Timeouts, Usage};
use crate::terms::Terms;
use crate::time::Timestamp;

/// The most labels of a task or an agent; filters walk them.
const LABELS_MAX: usize = 64;

/// The longest value of a label: a path of the longest kind fits. Labels are held in memory on every replica.
const LABEL_BYTES_MAX: usize = 4096;

impl State {
    pub(super) fn submit(&mut self, step: &mut Step, spec: &Arc<TaskSpec>) -> Answer {
        if let Some(answer) = self.earlier_submit(spec) {
            return answer;
        }
        self.submit_new(step, spec)
    }

    /// Submits a task on terms of its own. They are no part of what its idempotency key stands for: whoever asks for
    /// the same work on other terms gets what there is.
    pub(super) fn submit_with(
        &mut self,
        step: &mut Step,
        spec: &Arc<TaskSpec>,
        terms: &Arc<Terms>,
    ) -> Answer {
        if let Some(answer) = self.earlier_submit(spec) {
            return answer;
        }
        self.check_resources(terms)?;
        self.keep_terms(spec.id, terms.clone());
        let answer = self.submit_new(step, spec);
        if answer.is_err() {
            self.forget_terms(spec.id);
        }
        answer
    }

    pub(super) fn keep_terms(&mut self, task: TaskId, terms: Arc<Terms>) {
        self.terms.insert(task, terms);
        self.changes.touch(RowKey::Terms(task));
    }

    pub(super) fn forget_terms(&mut self, task: TaskId) {
        if self.terms.remove(&task).is_some() {
            self.changes.touch(RowKey::Terms(task));
        }
    }

    /// Submits what is known not to have been submitted before.
    pub(super) fn submit_new(&mut self, step: &mut Step, spec: &Arc<TaskSpec>) -> Answer {
        check_spec(spec, step.now)?;
        self.check_mailbox(&spec.mailbox)?;
        self.check_owner(spec)?;
        self.check_open(&spec.mailbox)?;
        self.check_run(spec.run)?;
        let taken = self.assign(spec)?;
        self.check_depth(&taken.mailbox)?;
        self.check_totals(spec)?;
        self.check_quota(step, spec)?;
        self.check_policies(spec, step.now)?;
        // Whoever submits it again says what was asked for and not where it came to.
        let digest = keys::digest(spec);
        self.note_pace(step, &spec.workspace);
        self.accept_as(step, taken, TaskStatus::Waiting { since: step.now }, digest);
        Ok(Reply::Submitted { task: spec.id, duplicate: false })
    }

    /// Answers a submit that was made before, by its key or by its id.
    pub(super) fn earlier_submit(&self, spec: &TaskSpec) -> Option<Answer> {
        if let Some(key) = &spec.idempotency_key
            && let Some(usage) = self.keys.get(&spec.workspace, key)
        {
            return Some(if usage.digest == keys::digest(spec) {
                Ok(Reply::Submitted { task: usage.task, duplicate: true })
            } else {
                Err(Refusal::IdempotencyConflict { task: usage.task })
            });
        }
        self.knows_task(spec.id).then_some(Err(Refusal::TaskExists(spec.id)))
    }

    /// Tells whether a task is here, was here until lately, or went from here to another region.
    pub(super) fn knows_task(&self, id: TaskId) -> bool {
        self.tasks.contains_key(&id)
            || self.endings.get(&id).is_some()
            // More dead letters are kept than endings.
            || self.dead_letters.contains_key(&id)
            || self.pointers.get(id).is_some()
    }

    pub(super) fn check_mailbox(&self, mailbox: &MailboxId) -> Result<(), Refusal> {
        match mailbox {
            MailboxId::Open => Ok(()),
            MailboxId::Pool(pool) if self.pools.contains_key(pool) => Ok(()),
            MailboxId::Pool(pool) => Err(Refusal::PoolUnknown(pool.clone())),
            MailboxId::Agent(agent) if self.agents.contains_key(agent) => Ok(()),
            MailboxId::Agent(agent) => Err(Refusal::AgentUnknown(*agent)),
        }
    }

    /// What retires takes no new work.
    pub(super) fn check_open(&self, mailbox: &MailboxId) -> Result<(), Refusal> {
        match mailbox {
            MailboxId::Open => Ok(()),
            MailboxId::Pool(pool) => match self.pools.get(pool) {
                Some(known) if known.retiring.is_some() => Err(Refusal::PoolRetiring(pool.clone())),
                Some(_) | None => Ok(()),
            },
            MailboxId::Agent(agent) => match self.agents.get(agent) {
                Some(known) if known.retiring => {
                    Err(Refusal::AgentUnavailable { agent: *agent, status: known.status().to_string() })
                }
                Some(_) | None => Ok(()),
            },
        }
    }

    /// Work of a run that is over would never be called off with it.
    pub(super) fn check_run(&self, run: Option<RunId>) -> Result<(), Refusal> {
        match run {
            Some(run) if !self.runs.contains_key(&run) => Err(Refusal::RunUnknown(run)),
            Some(_) | None => Ok(()),
        }
    }

    /// Refuses what a mailbox has no room for.
    pub(super) fn check_depth(&self, mailbox: &MailboxId) -> Result<(), Refusal> {
        let limit = self.meta.limits.mailbox_depth_max;
        let limit = self.fabric_depth(mailbox).map_or(limit, |of_fabric| limit.min(of_fabric));
        // What is held back goes back there.
        if self.pending_in(mailbox) >= limit {
            return Err(Refusal::Full { bound: Bound::Mailbox(mailbox.to_string()), limit });
        }
        Ok(())
    }

    /// Refuses what there is no room for in all, whatever mailbox it is for.
    pub(super) fn check_totals(&self, spec: &TaskSpec) -> Result<(), Refusal> {
        let limits = &self.meta.limits;
        let full = |bound, limit| Err(Refusal::Full { bound, limit });
        if self.counts.of_workspace(&spec.workspace) >= limits.workspace_depth_max {
            return full(Bound::Workspace(spec.workspace.clone()), limits.workspace_depth_max);
        }
        if self.counts.unfinished() >= limits.node_depth_max {
            return full(Bound::Node, limits.node_depth_max);
        }
        if self.counts.payload_bytes() + spec.weight() as u64 > limits.payload_bytes_max {
            return full(Bound::PayloadBytes, limits.payload_bytes_max);
        }
        Ok(())
    }

    /// Makes a task, in its mailbox or kept for another region.
    pub(super) fn accept(&mut self, step: &mut Step, spec: Arc<TaskSpec>, status: TaskStatus) {
        let digest = keys::digest(&spec);
        self.accept_as(step, spec, status, digest);
    }

    /// Makes a task whose content is known to its submitter by this digest.
    fn accept_as(&mut self, step: &mut Step, spec: Arc<TaskSpec>, status: TaskStatus, digest: u64) {
        self.meta.sequence += 1;
        let task = Task {
            submitted_at: step.now,
            sequence: self.meta.sequence,
            lane: spec.lane,
            status,
            first_started_at: None,
            attempt: 0,
            failures: 0,
            losses: 0,
            attempts: Vec::new(),
            progress: None,
            usage: Usage::default(),
            spec,
        };
        let spec = &task.spec;
        if let Some(key) = &spec.idempotency_key {
            let usage = KeyUse { task: spec.id, digest, at: step.now, run: spec.run };
            self.keys.insert(spec.workspace.clone(), key.clone(), usage);
            self.changes.touch(RowKey::Key(spec.workspace.clone(), key.clone()));
        }
        self.changes.task_made(spec.id);
        let (id, workspace, kind) = (spec.id, spec.workspace.clone(), spec.kind.clone());
        step.events.push(match task.forwarding() {
            Some(forwarding) => {
                Event::TaskKept { task: id, workspace, kind, region: forwarding.route.region.clone() }
            }
            None => Event::TaskSubmitted {
                task: id,
                workspace,
                kind,
                mailbox: spec.mailbox.clone(),
                lane: task.lane,
                run: spec.run,
            },
        });
        let held_back = if task.forwarding().is_some() { None } else { self.submitted(step, &task) };
        self.put_in(step, task);
        if let Some(on) = held_back {
            self.park(step, id, on);
        }
        self.count(|totals| totals.submitted += 1);
    }

    /// Puts a task among the unfinished ones that waits or is kept.
    pub(super) fn put_in(&mut self, step: &Step, task: Task) {
        self.groups.add(&task);
        self.counts.add(&task);
        self.timers.set(&task);
        if let Some(mailbox) = task.mailbox_here() {
            self.enqueue(mailbox, waiting(&task, step.now));
        }
        self.tasks.insert(task.spec.id, Arc::new(task));
    }

    /// Puts a waiting task into its mailbox.
    pub(super) fn enqueue(&mut self, mailbox: &MailboxId, waiting: Waiting) {
        self.whereabouts.add(&waiting.workspace, mailbox);
        match self.mailboxes.get_mut(mailbox) {
            Some(mailbox) => mailbox.enqueue(waiting),
            None => self.mailboxes.entry(mailbox.clone()).or_default().enqueue(waiting),
        }
        self.changes.touch(RowKey::Turns(mailbox.clone()));
    }

    /// Takes a waiting task out of its mailbox.
    pub(super) fn dequeue(&mut self, task: &Task) {
        if let Some(mailbox) = self.mailboxes.get_mut(&task.spec.mailbox) {
            let since = match &task.status {
                TaskStatus::Waiting { since } => *since,
                _ => Timestamp::ZERO,
            };
            mailbox.remove(&waiting(task, since));
            self.whereabouts.note(&task.spec.workspace, &task.spec.mailbox, mailbox);
            if mailbox.depth() == 0 {
                self.mailboxes.remove(&task.spec.mailbox);
            }
            self.changes.touch(RowKey::Turns(task.spec.mailbox.clone()));
        }
    }

    /// Addresses a task that nobody holds to another mailbox; it keeps its place by its sequence.
    pub(super) fn readdress(&mut self, step: &mut Step, id: TaskId, mailbox: MailboxId) {
        let movable = |task: &&Arc<Task>| task.lease().is_none() && task.forwarding().is_none();
        let Some(mut task) = self.tasks.get(&id).filter(movable).cloned() else {
            return;
        };
        if matches!(task.status, TaskStatus::Waiting { .. }) {
            self.dequeue(&task);
        }
        // A parked one keeps its place, in the line of its new mailbox.
        self.parked.remove(&task);
        self.barred.remove(id);
        self.groups.remove(&task);
        self.counts.remove(&task);
        let moved = Arc::make_mut(&mut task);
        Arc::make_mut(&mut moved.spec).mailbox = mailbox.clone();
        if let TaskStatus::Waiting { since } = &task.status {
            let waiting = waiting(&task, *since);
            self.enqueue(&mailbox, waiting);
            let workspace = task.spec.workspace.clone();
            step.events.push(Event::TaskReady { task: id, workspace, mailbox });
        }
        self.parked.add(&task);
        self.groups.add(&task);
        self.counts.add(&task);
        let barred = is_barred(&task);
        self.tasks.insert(id, task);
        self.changes.task_changed(id);
        if barred {
            // Other agents take from there.
            self.unpark(step, id);
        }
    }

    pub(super) fn set_lane(&mut self, step: &mut Step, task: TaskId, lane: Lane) -> Answer {
        let mut changed = Task::clone(self.unfinished_task(task)?);
        self.check_not_offered(&changed)?;
        if changed.lane == lane {
            return Ok(Reply::Done);
        }
        if changed.forwarding().is_some() {
            // Where it goes it begins in the lane that it asks for.
            Arc::make_mut(&mut changed.spec).lane = lane;
        }
        let waits = matches!(changed.status, TaskStatus::Waiting { .. });
        if waits {
            self.dequeue(&changed);
            changed.status = TaskStatus::Waiting { since: step.now };
        }
        self.parked.remove(&changed);
        self.barred.remove(task);
        changed.lane = lane;
        self.parked.add(&changed);
        self.barred.add(&changed, self.policies.set(), self.terms.get(&task).map(AsRef::as_ref));
        if waits {
            self.enqueue(&changed.spec.mailbox, waiting(&changed, step.now));
        }
        let workspace = changed.spec.workspace.clone();
        self.tasks.insert(task, Arc::new(changed));
        self.changes.task_changed(task);
        step.events.push(Event::TaskRose { task, workspace, lane });
        self.turn_in_lane(step, task);
        Ok(Reply::Done)
    }

    /// Returns an unfinished task, or says why there is none.
    pub(super) fn unfinished_task(&self, task: TaskId) -> Result<&Arc<Task>, Refusal> {
        self.tasks.get(&task).ok_or_else(|| match self.endings.get(&task) {
            Some(ending) => Refusal::AlreadyEnded { task, phase: ending.phase },
            None => match self.pointers.get(task) {
                Some(pointer) => Refusal::TaskElsewhere { task, region: pointer.region.clone() },
                None => Refusal::TaskUnknown(task),
            },
        })
    }
}

pub(super) fn waiting(task: &Task, lane_since: Timestamp) -> Waiting {
    Waiting {
        task: task.spec.id,
        workspace: task.spec.workspace.clone(),
        demand: Arc::new(task.spec.demand.clone()),
        lane: task.lane,
        deadline: task.spec.deadline,
        sequence: task.sequence,
        lane_since,
    }
}

pub(super) fn check_spec(spec: &TaskSpec, now: Timestamp) -> Result<(), Refusal> {
    let refuse = |field: &str, why: String| Err(Refusal::Invalid { field: field.to_owned(), why });
    check_payload("payload", &spec.payload)?;
    if spec.retry.max_attempts == 0 || spec.retry.max_attempts > ATTEMPTS_MAX {
        return refuse("retry.max_attempts", format!("it must be from 1 to {ATTEMPTS_MAX}"));
    }
    if spec.demand.len() > CAPABILITIES_MAX {
        return refuse("capabilities", format!("at most {CAPABILITIES_MAX} are allowed"));
    }
    check_labels(&spec.labels)?;
    check_metadata(spec.metadata.as_deref())?;
    if let Some(key) = &spec.idempotency_key
        && (key.is_empty() || key.len() > keys::KEY_BYTES_MAX)
    {
        return refuse("idempotency_key", format!("it must have 1 to {} bytes", keys::KEY_BYTES_MAX));
    }
    let Timeouts { waiting, running, silence } = &spec.timeouts;
    if [waiting, running, silence].into_iter().flatten().any(|limit| *limit < Duration::from_millis(1)) {
        return refuse("timeouts", "each must be at least a millisecond".to_owned());
    }
    if spec.deadline.is_some_and(|deadline| deadline <= now) {
        return refuse("deadline", "it has passed already".to_owned());
    }
    Ok(())
}

/// Checks that labels are few and short.
pub(super) fn check_labels(labels: &BTreeMap<Name, Arc<str>>) -> Result<(), Refusal> {
    let refuse = |why: String| Err(Refusal::Invalid { field: "labels".to_owned(), why });
    if labels.len() > LABELS_MAX {
        return refuse(format!("at most {LABELS_MAX} are allowed"));
    }
    match labels.iter().find(|(_, value)| value.len() > LABEL_BYTES_MAX) {
        Some((label, value)) => {
            refuse(format!("{label} has {} bytes; at most {LABEL_BYTES_MAX} are allowed", value.len()))
        }
        None => Ok(()),
    }
}

/// Checks that what an owner attached is within its bound; what it says is nobody's business.
pub(super) fn check_metadata(metadata: Option<&str>) -> Result<(), Refusal> {
    match metadata.map(str::len) {
        Some(size) if size > METADATA_BYTES_MAX => {
            let why = format!("{size} bytes; at most {METADATA_BYTES_MAX} are allowed");
            Err(Refusal::Invalid { field: "metadata".to_owned(), why })
        }
        Some(_) | None => Ok(()),
    }
}

/// Checks that bytes are where bytes of their size belong.
pub(super) fn check_payload(field: &str, payload: &Payload) -> Result<(), Refusal> {
    let (size, max) = match payload {
        Payload::Inline(bytes) => (bytes.len() as u64, INLINE_BYTES_MAX as u64),
        Payload::Blob { size, .. } => (*size, PAYLOAD_BYTES_MAX),
    };
    if size <= max {
        return Ok(());
    }
    let why = format!("{size} bytes; at most {max} are allowed here");
    Err(Refusal::Invalid { field: field.to_owned(), why })
}
