//! Ended tasks on disk: read back, and removed when they are old.
//!
//! The checkpointer writes them; they are no part of the state. Promises that a task is found from the
//! moment it has ended: in the state until it stands in history, and there from then on.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use synod_domain::id::TaskId;
use synod_domain::row::{HISTORY_PREFIX, Row, RowKey};
use synod_domain::state::State;
use synod_domain::task::{Task, TaskStatus};
use synod_domain::time::Timestamp;
use synod_storage::decode;
use synod_storage::{Error, StateStore};

use crate::audit::AuditLog;

/// History rows that one checkpoint looks at for their age. More removes a large backlog faster, and makes
/// each checkpoint longer.
pub const RETENTION_ROWS: usize = 256;

/// The longest page of history.
pub const HISTORY_PAGE_MAX: usize = 1000;

/// The first key after history.
const HISTORY_END: &[u8] = &[HISTORY_PREFIX + 1];

/// Reads ended tasks. Cheap to clone.
#[derive(Clone)]
pub struct History {
    state: Arc<RwLock<State>>,
    store: Arc<dyn StateStore>,
}

impl History {
    pub(crate) fn new(state: Arc<RwLock<State>>, store: Arc<dyn StateStore>) -> Self {
        Self { state, store }
    }

    /// Returns the audit log, which is kept beside it.
    pub fn audit(&self) -> AuditLog {
        AuditLog::new(Arc::clone(&self.state), Arc::clone(&self.store))
    }

    /// Returns an ended task.
    ///
    /// # Errors
    /// When the disk does not give it.
    pub fn task(&self, task: TaskId) -> Result<Option<Arc<Task>>, Error> {
        // The state first: a task leaves it only after it stands in history.
        if let Some(found) = self.state.read().task(task).filter(|task| is_ended(task)) {
            return Ok(Some(Arc::clone(found)));
        }
        let row = self.store.get(&RowKey::History(task).to_bytes())?;
        Ok(row.map(|bytes| decode::<Row>(&bytes)).transpose()?.and_then(task_of))
    }

    /// Tells whether the content of a task is shown in this region alone, unfinished or ended. One that is not known is
    /// not.
    ///
    /// # Errors
    /// When the disk does not say.
    pub fn is_strict(&self, task: TaskId) -> Result<bool, Error> {
        {
            // The state first, as for the task itself.
            let state = self.state.read();
            if state.is_strict(task) {
                return Ok(true);
            }
            if state.task(task).is_some() {
                return Ok(false);
            }
        }
        let row = self.store.get(&RowKey::History(task).to_bytes())?;
        let row = row.map(|bytes| decode::<Row>(&bytes)).transpose()?;
        Ok(matches!(row, Some(Row::StrictTask(_))))
    }

    /// Returns ended tasks, latest id first, beginning below `before`; at most [`HISTORY_PAGE_MAX`].
    ///
    /// # Errors
    /// When the disk does not give them.
    pub fn page(&self, before: Option<TaskId>, limit: usize) -> Result<Vec<Arc<Task>>, Error> {
        let limit = limit.min(HISTORY_PAGE_MAX);
        let is_below = |task: &Arc<Task>| before.is_none_or(|before| task.spec.id < before);
        let mut found: BTreeMap<TaskId, Arc<Task>> = BTreeMap::new();
        for task in self.state.read().recently_ended().filter(|task| is_below(task)) {
            found.insert(task.spec.id, Arc::clone(task));
        }
        let end = before.map_or_else(|| HISTORY_END.to_vec(), |before| RowKey::History(before).to_bytes());
        for (_, bytes) in self.store.scan_back(&[HISTORY_PREFIX], Some(&end), limit)? {
            if let Some(task) = task_of(decode::<Row>(&bytes)?) {
                found.entry(task.spec.id).or_insert(task);
            }
        }
        Ok(found.into_values().rev().take(limit).collect())
    }
}

fn is_ended(task: &Task) -> bool {
    matches!(task.status, TaskStatus::Ended(_))
}

fn task_of(row: Row) -> Option<Arc<Task>> {
    // Whatever else there may be is no part of history.
    if let Row::Task(task) | Row::StrictTask(task) = row { Some(task) } else { None }
}

/// Where the search for old history goes on.
#[derive(Debug, Default)]
pub(crate) struct Retention {
    cursor: Option<Vec<u8>>,
}

impl Retention {
    /// Looks at the next rows and returns the keys of those that ended more than `keep_for` ago.
    pub(crate) fn outdated(
        &mut self,
        store: &dyn StateStore,
        now: Timestamp,
        keep_for: Duration,
    ) -> Result<Vec<Vec<u8>>, Error> {
        let from = self.cursor.take().unwrap_or_else(|| vec![HISTORY_PREFIX]);
        let rows = store.scan(&from, Some(HISTORY_END), RETENTION_ROWS)?;
        let full = rows.len() == RETENTION_ROWS;
        let mut keys = Vec::new();
        for (key, bytes) in &rows {
            let Some(task) = task_of(decode::<Row>(bytes)?) else { continue };
            // Ids are in order of submit: what was submitted too late to be old ends the search.
            let submitted =
                Timestamp::from_millis(u64::try_from(task.spec.id.raw() >> 80).unwrap_or(u64::MAX));
            if now.since(submitted) <= keep_for {
                return Ok(keys);
            }
            if let TaskStatus::Ended(end) = &task.status
                && now.since(end.at) > keep_for
            {
                keys.push(key.to_vec());
            }
        }
        if let (true, Some((last, _))) = (full, rows.last()) {
            self.cursor = Some([last.as_ref(), &[0]].concat());
        }
        Ok(keys)
    }
}
