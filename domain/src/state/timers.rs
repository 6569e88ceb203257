//! Time passing: what happens when nobody asks.
//!
//! Each unfinished task has at most one timer: the earliest moment at which something about it may be
//! due. When it fires, the task is looked at afresh, so a timer that came too early only sets itself
//! again. Cost: O(log n) to set, clear and fire.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::event::Event;
use crate::id::TaskId;
use crate::mutants::{Mutant, mutant};
use crate::state::{State, Step, submit};
use crate::task::{Lease, Outcome, Task, TaskStatus};
use crate::time::Timestamp;

/// The timers of all tasks.
#[derive(Debug, Default)]
pub(super) struct Timers {
    by_time: BTreeSet<(Timestamp, TaskId)>,
    of_task: BTreeMap<TaskId, Timestamp>,
}

impl Timers {
    /// Sets the timer of a task for the next thing that may be due, or clears it when there is none.
    pub(super) fn set(&mut self, task: &Task) {
        self.put(task.spec.id, due(task, Grace::NONE).map(|(at, _)| at));
    }

    pub(super) fn clear(&mut self, id: TaskId) {
        self.put(id, None);
    }

    fn put(&mut self, id: TaskId, at: Option<Timestamp>) {
        let before = match at {
            Some(at) => self.of_task.insert(id, at),
            None => self.of_task.remove(&id),
        };
        if before == at {
            return;
        }
        if let Some(before) = before {
            self.by_time.remove(&(before, id));
        }
        if let Some(at) = at {
            self.by_time.insert((at, id));
        }
    }

    fn first(&self) -> Option<(Timestamp, TaskId)> {
        self.by_time.first().copied()
    }
}

/// What is due for one task.
enum Due {
    Deadline,
    WaitingTooLong,
    BackoffOver,
    RunningTooLong,
    Silent,
}

impl State {
    /// Does what became due up to the step's time, in the order in which it became due.
    pub(super) fn advance(&mut self, step: &mut Step) {
        let grace = Grace { since: self.meta.grace_since, until: self.meta.grace_until };
        loop {
            // Of two things due at once, tasks go first: a slot that frees is there for whoever is woken.
            let task = self.timers.first().filter(|(armed, _)| *armed <= step.now);
            let wake = self.wakes.first().filter(|at| *at <= step.now);
            match (task, wake) {
                (None, None) => break,
                (Some((armed, id)), wake) if wake.is_none_or(|at| armed <= at) => {
                    self.advance_task(step, (armed, id), grace);
                }
                (Some(_) | None, _) => {
                    if let Some(what) = self.wakes.take_due(step.now) {
                        self.wake(step, &what);
                        self.settle(step);
                    }
                }
            }
        }
        self.forget_ended_hooks(step);
        self.forget_limit_flows(step.now);
        self.forget_keys(step.now);
        self.forget_tokens(step.now);
        self.forget_passages(step.now);
    }

    fn advance_task(&mut self, step: &mut Step, (armed, id): (Timestamp, TaskId), grace: Grace) {
        let next = self.tasks.get(&id).and_then(|task| due(task, grace));
        match next {
            // Too early. It waits for its place in the order even when that is in the past as well:
            // a replica that was restored has set its timers at other times, yet must do the same.
            Some((at, _)) if at > armed => self.timers.put(id, Some(at)),
            Some((_, what)) => {
                self.timers.clear(id);
                self.happen(step, id, &what);
                self.settle(step);
            }
            None => self.timers.clear(id),
        }
    }

    fn happen(&mut self, step: &mut Step, id: TaskId, what: &Due) {
        let Some(task) = self.tasks.get(&id) else { return };
        let (attempt, timeouts) = (task.attempt, &task.spec.timeouts);
        match what {
            Due::Deadline => {
                let reason = "its deadline passed".into();
                self.stop(step, id, Outcome::TimedOut { reason });
            }
            Due::WaitingTooLong => {
                let limit = timeouts.waiting.unwrap_or_default();
                let reason = format!("no agent started it within {limit:?}").into();
                self.stop(step, id, Outcome::TimedOut { reason });
            }
            Due::BackoffOver => self.end_backoff(step, id),
            Due::RunningTooLong => {
                let limit = timeouts.running.unwrap_or_default();
                self.time_out_attempt(step, id, &format!("attempt {attempt} ran longer than {limit:?}"));
            }
            Due::Silent => {
                let limit = timeouts.silence.unwrap_or_default();
                self.time_out_attempt(
                    step,
                    id,
                    &format!("attempt {attempt} gave no heartbeat for {limit:?}"),
                );
            }
        }
    }

    fn end_backoff(&mut self, step: &mut Step, id: TaskId) {
        let Some(task) = self.tasks.get_mut(&id).map(Arc::make_mut) else { return };
        task.status = TaskStatus::Waiting { since: step.now };
        self.timers.set(task);
        let (mailbox, workspace) = (task.spec.mailbox.clone(), task.spec.workspace.clone());
        let waiting = submit::waiting(task, step.now);
        if mutant(Mutant::DoubleFire) {
            self.enqueue(&mailbox, waiting.clone()); // once more than it was due
        }
        self.enqueue(&mailbox, waiting);
        self.changes.task_changed(id);
        step.events.push(Event::TaskReady { task: id, workspace, mailbox });
    }

    /// Returns when something may be due next, if anything is. After a tick at that time, what was due has
    /// happened and the answer is a later time.
    pub fn next_due(&self) -> Option<Timestamp> {
        let task = self.timers.first().map(|(at, _)| at);
        [task, self.wakes.first()].into_iter().flatten().min()
    }
}

/// When silence is not held against anybody: a leader that has just started has not listened long enough to
/// know. Who was heard after that start has nothing to be forgiven.
#[derive(Debug, Clone, Copy)]
struct Grace {
    since: Timestamp,
    until: Timestamp,
}

impl Grace {
    const NONE: Self = Self { since: Timestamp::ZERO, until: Timestamp::ZERO };

    /// Whoever was not heard since the leader began is listened to for a whole timeout of its own, and for the grace
    /// if that is longer: those who keep to shorter timeouts have to find the new leader as well.
    fn silence_ends(self, lease: &Lease, silence: Duration) -> Timestamp {
        if lease.heard_at > self.since {
            return lease.expires_at;
        }
        lease.expires_at.max(self.until).max(self.since.after(silence))
    }
}

/// Returns the earliest thing that may be due for a task.
fn due(task: &Task, grace: Grace) -> Option<(Timestamp, Due)> {
    let timeouts = &task.spec.timeouts;
    // The deadline stands first: of two things due at once it leaves the least to undo.
    let deadline = task.spec.deadline.map(|at| (at, Due::Deadline));
    let waiting = timeouts
        .waiting
        .filter(|_| task.first_started_at.is_none())
        .map(|limit| (task.submitted_at.after(limit), Due::WaitingTooLong));
    let own = match &task.status {
        TaskStatus::Waiting { .. } | TaskStatus::Parked { .. } => [None, None],
        TaskStatus::Ended(_) => return None,
        // Another region may have it: what becomes of it is decided there.
        TaskStatus::Kept { forwarding } if forwarding.offered.is_some() => return None,
        TaskStatus::Kept { .. } => [None, None],
        TaskStatus::BackingOff { until } => [Some((*until, Due::BackoffOver)), None],
        TaskStatus::Scheduled { lease } | TaskStatus::Running { lease, .. } => {
            // A lease that never starts may not hold its task longer than one that does.
            let from = match &task.status {
                TaskStatus::Running { started_at, .. } => *started_at,
                _ => lease.granted_at,
            };
            let running = timeouts.running.map(|limit| (from.after(limit), Due::RunningTooLong));
            let silent = timeouts.silence.map(|limit| (grace.silence_ends(lease, limit), Due::Silent));
            let silent = silent.filter(|(at, _)| *at < Timestamp::NEVER);
            [running, silent]
        }
    };
    [deadline, waiting].into_iter().chain(own).flatten().min_by_key(|(at, _)| *at)
}
