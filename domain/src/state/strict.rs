//! Strict tasks: those whose content is shown in their own region alone.
//!
//! ```text
//!   SubmitStrict ─► strict ─► ended ─┬─► history: its row says so (Row::StrictTask)
//!                                    └─► dead letter, strict until it is purged ─► redriven: the new one is strict too
//! ```
//!
//! Where a task is kept is no question here: it is one of this region. That it is strict says that whoever asks through
//! another region is not shown what it holds. Promises that a task is known to be strict from its submit on and as long as
//! anything is known of it. Leaves to others who asks from where, and what of a task is content.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::id::TaskId;
use crate::reply::Answer;
use crate::row::RowKey;
use crate::state::{State, Step};
use crate::task::TaskSpec;
use crate::terms::Terms;

impl State {
    /// Submits a strict task of this region. Strictness is no part of what its idempotency key stands for: whoever asks
    /// for the same work again gets what there is.
    pub(super) fn submit_strict(
        &mut self,
        step: &mut Step,
        spec: &Arc<TaskSpec>,
        after: &BTreeSet<TaskId>,
        terms: Option<&Arc<Terms>>,
    ) -> Answer {
        if let Some(answer) = self.earlier_submit(spec) {
            return answer;
        }
        // Before it is submitted: it may end with that.
        self.strict.insert(spec.id);
        self.changes.touch(RowKey::Strict(spec.id));
        let answer = match terms {
            _ if !after.is_empty() => self.submit_after(step, spec, after, terms),
            Some(terms) => self.submit_with(step, spec, terms),
            None => self.submit_new(step, spec),
        };
        if answer.is_err() {
            self.forget_strict(spec.id);
        }
        answer
    }

    pub(super) fn forget_strict(&mut self, task: TaskId) {
        if self.strict.remove(&task) {
            self.changes.touch(RowKey::Strict(task));
        }
    }

    /// Tells whether a task that is here, or ended too short a while ago to be in history, is strict. Of the others,
    /// history knows.
    pub fn is_strict(&self, task: TaskId) -> bool {
        self.strict.contains(&task) || self.changes.strict.contains(&task)
    }

    /// Walks the strict tasks that are unfinished or dead letters, oldest first.
    pub fn strict_tasks(&self) -> impl Iterator<Item = TaskId> {
        self.strict.iter().copied()
    }
}
