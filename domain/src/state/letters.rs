//! Dead letters: work that was given up and waits for somebody to decide about it.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::event::Event;
use crate::id::TaskId;
use crate::refusal::Refusal;
use crate::reply::{Answer, Reply};
use crate::row::RowKey;
use crate::state::{State, Step};
use crate::task::{Task, TaskSpec};

impl State {
    /// Keeps a task that was given up, until somebody decides about it.
    pub(super) fn keep_dead_letter(&mut self, step: &mut Step, task: Arc<Task>) {
        let id = task.spec.id;
        self.dead_letters.insert(id, task);
        self.changes.touch(RowKey::DeadLetter(id));
        self.trim_dead_letters(step);
    }

    /// Lets the oldest dead letters go until the rest is within the limit.
    pub(super) fn trim_dead_letters(&mut self, step: &mut Step) {
        while self.dead_letters.len() as u64 > self.meta.limits.dead_letters_max
            && let Some(oldest) = self.dead_letters.keys().next().copied()
        {
            self.remove_dead_letter(step, oldest);
        }
    }

    pub(super) fn redrive(&mut self, step: &mut Step, task: TaskId, new_task: TaskId) -> Answer {
        let dead = self.dead_letters.get(&task).ok_or(Refusal::TaskUnknown(task))?;
        let mut spec = TaskSpec::clone(&dead.spec);
        spec.id = new_task;
        spec.idempotency_key = None;
        spec.deadline = None;
        spec.run = None;
        spec.redriven_from = Some(task);
        let answer = match self.routes.get(&task).cloned() {
            Some(route) if self.leads_somewhere(&route) => {
                self.keep_for_region(step, &Arc::new(spec), &route)?
            }
            // Names of regions never come back: where all of them are gone, whoever redrives it wants it here.
            Some(_) | None => match self.terms.get(&task).cloned() {
                terms if self.strict.contains(&task) => {
                    self.submit_strict(step, &Arc::new(spec), &BTreeSet::new(), terms.as_ref())?
                }
                Some(terms) => self.submit_with(step, &Arc::new(spec), &terms)?,
                None => self.submit(step, &Arc::new(spec))?,
            },
        };
        self.remove_dead_letter(step, task);
        Ok(answer)
    }

    pub(super) fn purge(&mut self, step: &mut Step, task: TaskId) -> Answer {
        if !self.dead_letters.contains_key(&task) {
            return Err(Refusal::TaskUnknown(task));
        }
        self.remove_dead_letter(step, task);
        Ok(Reply::Done)
    }

    fn remove_dead_letter(&mut self, step: &mut Step, task: TaskId) {
        let Some(dead) = self.dead_letters.remove(&task) else { return };
        self.changes.touch(RowKey::DeadLetter(task));
        self.forget_terms(task);
        self.forget_strict(task);
        if self.routes.remove(&task).is_some() {
            self.changes.touch(RowKey::Route(task));
        }
        step.events.push(Event::DeadLetterRemoved { task, workspace: dead.spec.workspace.clone() });
    }
}
