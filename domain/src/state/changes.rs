//! Which rows differ from the last checkpoint.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::audit::AuditRecord;
use crate::id::TaskId;
use crate::row::RowKey;
use crate::state::window::Touched;
use crate::task::Task;

/// Whether a changed task stands in the last checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// Made since; if it ends before the next checkpoint, its row is never written.
    New,
    /// Stands there; its row must be written or deleted.
    Stored,
}

/// What changed since the last checkpoint.
#[derive(Debug, Default)]
pub(super) struct ChangeLog {
    /// Unfinished tasks, apart from the other rows because there are so many.
    pub(super) tasks: BTreeMap<TaskId, Origin>,
    /// All other rows.
    pub(super) rows: BTreeSet<RowKey>,
    /// Tasks that ended, on their way to history.
    pub(super) ended: BTreeMap<TaskId, Arc<Task>>,
    /// Ended tasks that a checkpoint is writing; still readable here.
    pub(super) archiving: BTreeMap<TaskId, Arc<Task>>,
    /// Those of both that are strict.
    pub(super) strict: BTreeSet<TaskId>,
    /// Records of the audit log to be written, or deleted where there is none.
    pub(super) audit: BTreeMap<u64, Option<Arc<AuditRecord>>>,
    /// Those that a checkpoint is writing; still readable here.
    pub(super) audit_writing: BTreeMap<u64, Option<Arc<AuditRecord>>>,
    /// The other rows that a checkpoint is writing; they count as changed if it fails.
    pub(super) writing: Vec<RowKey>,
}

impl ChangeLog {
    /// Counts what the next checkpoint will write, as far as it is known by now.
    pub(super) fn len(&self) -> usize {
        self.tasks.len() + self.rows.len() + self.ended.len() + self.audit.len()
    }

    /// Counts what the last checkpoint did not store as changed again. Part of it may have reached the
    /// disk, so its tasks count as stored: to delete a row that is not there is harmless.
    pub(super) fn write_again(&mut self) {
        for key in std::mem::take(&mut self.writing) {
            match key {
                RowKey::Task(task) => {
                    self.tasks.insert(task, Origin::Stored);
                }
                other => {
                    self.rows.insert(other);
                }
            }
        }
    }

    pub(super) fn touch_meta(&mut self) {
        self.rows.insert(RowKey::Meta);
    }

    pub(super) fn touch(&mut self, key: RowKey) {
        self.rows.insert(key);
    }

    pub(super) fn task_made(&mut self, task: TaskId) {
        self.tasks.insert(task, Origin::New);
    }

    pub(super) fn task_changed(&mut self, task: TaskId) {
        self.tasks.entry(task).or_insert(Origin::Stored);
    }

    /// Notes that a task is not here any more.
    pub(super) fn task_gone(&mut self, task: TaskId) {
        if self.tasks.get(&task) == Some(&Origin::New) {
            self.tasks.remove(&task);
        } else {
            self.tasks.insert(task, Origin::Stored);
        }
    }

    pub(super) fn task_ended(&mut self, task: Arc<Task>, strict: bool) {
        self.task_gone(task.spec.id);
        if strict {
            self.strict.insert(task.spec.id);
        }
        self.ended.insert(task.spec.id, task);
    }

    pub(super) fn touch_requests(&mut self, touched: Touched) {
        self.rows.insert(RowKey::Requests(touched.written));
        self.rows.extend(touched.dropped.map(RowKey::Requests));
    }

    pub(super) fn touch_endings(&mut self, touched: Touched) {
        self.rows.insert(RowKey::Endings(touched.written));
        self.rows.extend(touched.dropped.map(RowKey::Endings));
    }
}
