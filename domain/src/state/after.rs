//! Tasks that wait for others: each begins when all of its prerequisites have completed.
//!
//! ```text
//!   SubmitAfter ─► parked on one of them ─► the last completed ─► in its mailbox, in its own lane
//!                     │
//!                     └─ one did not complete ─► failed, and so do those that wait for it
//! ```
//!
//! What a task still waits for is a row of its own. A prerequisite has to be known when the task is submitted, so there
//! are no circles. Those that wait for one that failed are ended by [`State::settle`](super::State), one after the
//! other: however long a chain is, no rule calls itself.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::id::TaskId;
use crate::parking::ParkedOn;
use crate::refusal::Refusal;
use crate::reply::Answer;
use crate::row::RowKey;
use crate::state::retiring::Idle;
use crate::state::{State, Step};
use crate::task::{Outcome, Phase, Task, TaskSpec, bounded_reason};
use crate::terms::Terms;

/// The most tasks that one task may wait for. They stand in its row, which is written again as each completes.
pub const PREREQUISITES_MAX: usize = 1000;

/// What tasks wait for that wait for others.
#[derive(Debug, Default)]
pub(super) struct After {
    /// What each of them still waits for; never empty.
    left: BTreeMap<TaskId, BTreeSet<TaskId>>,
    /// Who waits for a task. Derived from the above.
    dependents: BTreeMap<TaskId, BTreeSet<TaskId>>,
}

impl After {
    pub(super) fn insert(&mut self, task: TaskId, left: BTreeSet<TaskId>) {
        for prerequisite in &left {
            self.dependents.entry(*prerequisite).or_default().insert(task);
        }
        self.left.insert(task, left);
    }

    /// Forgets that a task waits for anything; tells whether it did.
    fn remove(&mut self, task: TaskId) -> bool {
        let Some(left) = self.left.remove(&task) else { return false };
        for prerequisite in left {
            self.waits_no_more(task, prerequisite);
        }
        true
    }

    fn waits_no_more(&mut self, task: TaskId, prerequisite: TaskId) {
        if let Some(dependents) = self.dependents.get_mut(&prerequisite) {
            dependents.remove(&task);
            if dependents.is_empty() {
                self.dependents.remove(&prerequisite);
            }
        }
    }

    /// Notes that a prerequisite of a task has completed.
    fn completed(&mut self, task: TaskId, prerequisite: TaskId) {
        if let Some(left) = self.left.get_mut(&task) {
            left.remove(&prerequisite);
            if left.is_empty() {
                self.left.remove(&task);
            }
        }
        self.waits_no_more(task, prerequisite);
    }

    fn dependents(&self, task: TaskId) -> Vec<TaskId> {
        self.dependents.get(&task).into_iter().flatten().copied().collect()
    }

    pub(super) fn get(&self, task: TaskId) -> Option<&BTreeSet<TaskId>> {
        self.left.get(&task)
    }

    pub(super) fn tasks(&self) -> impl Iterator<Item = TaskId> {
        self.left.keys().copied()
    }
}

impl State {
    /// Submits a task that begins when others have completed.
    pub(super) fn submit_after(
        &mut self,
        step: &mut Step,
        spec: &Arc<TaskSpec>,
        after: &BTreeSet<TaskId>,
        terms: Option<&Arc<Terms>>,
    ) -> Answer {
        if let Some(answer) = self.earlier_submit(spec) {
            return answer;
        }
        if after.len() > PREREQUISITES_MAX {
            let why = format!("a task waits for at most {PREREQUISITES_MAX} others");
            return Err(Refusal::Invalid { field: "after".to_owned(), why });
        }
        let mut left = BTreeSet::new();
        let mut failed: Option<Arc<str>> = None;
        for prerequisite in after {
            match self.standing_of(spec, *prerequisite)? {
                None => {
                    left.insert(*prerequisite);
                }
                Some(Phase::Completed) => {}
                Some(phase) => {
                    let reason = self.dead_letters.get(prerequisite).and_then(|dead| dead.end());
                    let reason = reason.and_then(|end| end.outcome.reason());
                    failed = failed.or_else(|| Some(why_failed(*prerequisite, phase, reason)));
                }
            }
        }
        let waits = !left.is_empty() && failed.is_none();
        if waits {
            self.after.insert(spec.id, left);
            self.changes.touch(RowKey::After(spec.id));
        }
        let answer = match terms {
            Some(terms) => self.submit_with(step, spec, terms),
            None => self.submit_new(step, spec),
        };
        if answer.is_err() && waits {
            self.forget_after(spec.id);
        }
        if let (Ok(_), Some(reason)) = (&answer, failed) {
            // As if it had been submitted a moment earlier.
            self.stop(step, spec.id, Outcome::Failed { reason });
        }
        answer
    }

    /// Returns how a prerequisite ended; `None` when it has not.
    fn standing_of(&self, spec: &TaskSpec, prerequisite: TaskId) -> Result<Option<Phase>, Refusal> {
        if let Some(task) = self.tasks.get(&prerequisite) {
            if task.spec.workspace != spec.workspace {
                return Err(Refusal::PrerequisiteUnknown(prerequisite));
            }
            // It will end elsewhere, if at all.
            return match task.forwarding() {
                Some(forwarding) => {
                    let region = forwarding.route.region.clone();
                    Err(Refusal::TaskElsewhere { task: prerequisite, region })
                }
                None => Ok(None),
            };
        }
        let dead = self.dead_letters.get(&prerequisite);
        if dead.is_some_and(|dead| dead.spec.workspace != spec.workspace) {
            return Err(Refusal::PrerequisiteUnknown(prerequisite));
        }
        if let Some(ending) = self.endings.get(&prerequisite) {
            // Whose it was is not known here any more; the node that was asked has looked.
            return Ok(Some(ending.phase));
        }
        if let Some(dead) = dead {
            return Ok(Some(dead.phase()));
        }
        match self.pointers.get(prerequisite) {
            Some(pointer) => {
                Err(Refusal::TaskElsewhere { task: prerequisite, region: pointer.region.clone() })
            }
            None => Err(Refusal::PrerequisiteUnknown(prerequisite)),
        }
    }

    /// Returns what a task has to wait for before it may be given out.
    pub(super) fn held_by_another(&self, task: TaskId) -> Option<ParkedOn> {
        let first = self.after.get(task)?.first()?;
        Some(ParkedOn::Task(*first))
    }

    /// Notes that a task has ended: it waits for nothing any more, and those that wait for it are to be looked at.
    pub(super) fn note_over(&mut self, step: &mut Step, task: &Task) {
        self.forget_after(task.spec.id);
        if let Some(end) = task.end()
            && !self.after.dependents(task.spec.id).is_empty()
        {
            let (phase, reason) = (end.outcome.phase(), end.outcome.reason().map(Arc::from));
            step.idle.push(Idle::Dependents { of: task.spec.id, phase, reason });
        }
    }

    /// Lets those go on that waited for a task, or ends them with it.
    pub(super) fn settle_dependents(
        &mut self,
        step: &mut Step,
        of: TaskId,
        phase: Phase,
        reason: Option<&str>,
    ) {
        for dependent in self.after.dependents(of) {
            if phase != Phase::Completed {
                self.stop(step, dependent, Outcome::Failed { reason: why_failed(of, phase, reason) });
                continue;
            }
            self.after.completed(dependent, of);
            self.changes.touch(RowKey::After(dependent));
            let parked_on_it = self
                .tasks
                .get(&dependent)
                .and_then(|task| task.parking())
                .is_some_and(|parking| parking.on == ParkedOn::Task(of));
            if !parked_on_it {
                continue;
            }
            match self.held_by_another(dependent) {
                Some(on) => self.park_elsewhere(step, dependent, on),
                None => self.unpark(step, dependent),
            }
        }
    }

    fn forget_after(&mut self, task: TaskId) {
        if self.after.remove(task) {
            self.changes.touch(RowKey::After(task));
        }
    }

    /// Returns what a task still waits for; `None` when it waits for no other.
    pub fn prerequisites(&self, task: TaskId) -> Option<&BTreeSet<TaskId>> {
        self.after.get(task)
    }
}

fn why_failed(prerequisite: TaskId, phase: Phase, reason: Option<&str>) -> Arc<str> {
    let how = match phase {
        Phase::TimedOut => "ran out of time",
        Phase::Cancelled => "was cancelled",
        Phase::Failed | Phase::Completed | Phase::Pending | Phase::Scheduled | Phase::Running => "failed",
    };
    let because = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
    bounded_reason(&format!("it was to begin after {prerequisite}, which {how}{because}"))
}
