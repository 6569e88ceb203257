//! Verbs about tasks, for those who submit them and look after them.

use std::time::Duration;

use serde::Serialize;

use super::ask::Ask;
use super::{Client, Error};
use crate::api::{
    Bulk, BulkDone, Cancel, Filter, LogChunk, LogQuery, NewTask, Page, PageQuery, Priority, SetPriority,
    Submitted, Task, WaitQuery, Why,
};

/// The longest wait that a node takes in one long poll.
pub(super) const WAIT_MAX: Duration = Duration::from_secs(60);

/// Which page of which tasks.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct TaskQuery {
    /// Which tasks.
    #[serde(flatten)]
    pub filter: Filter,
    /// Which page.
    #[serde(flatten)]
    pub page: PageQuery,
}

impl Client {
    /// Submits a task; returns once it is durable. A key is made if the task has none, so that it counts once
    /// however often it is sent.
    ///
    /// # Errors
    /// When the node cannot be asked or refuses.
    pub async fn submit(&self, task: &NewTask) -> Result<Submitted, Error> {
        let key = task.idempotency_key.clone().unwrap_or_else(|| self.new_key());
        self.send(Ask::post(["tasks"]).body(task)?.keyed(key)).await
    }

    /// Submits up to 1000 tasks, each as if alone; a key is made for each that has none.
    ///
    /// # Errors
    /// When the node cannot be asked or refuses all of them; those that it refuses one by one say so in their
    /// answer.
    pub async fn submit_many(&self, mut tasks: Vec<NewTask>) -> Result<Vec<Submitted>, Error> {
        for task in &mut tasks {
            task.idempotency_key.get_or_insert_with(|| self.new_key());
        }
        self.send(Ask::post(["tasks"]).body(&tasks)?.repeatable()).await
    }

    /// Lists tasks, a page at a time.
    ///
    /// # Errors
    /// When the node cannot be asked or refuses.
    pub async fn tasks(&self, query: &TaskQuery) -> Result<Page<Task>, Error> {
        self.send(Ask::get(["tasks"]).with_fields(query)?).await
    }

    /// Reads a task with its payload and result.
    ///
    /// # Errors
    /// When there is none, or the node cannot be asked or refuses.
    pub async fn task(&self, task: &str) -> Result<Task, Error> {
        self.send(Ask::get(["tasks", task])).await
    }

    /// Waits until a task has ended, for at most `within`; returns it as it is then.
    ///
    /// # Errors
    /// When there is none, or the node cannot be asked or refuses.
    pub async fn wait(&self, task: &str, within: Option<Duration>) -> Result<Task, Error> {
        let until = within.map(|within| tokio::time::Instant::now() + within);
        loop {
            let left = until.map(|until| until.saturating_duration_since(tokio::time::Instant::now()));
            let wait = left.unwrap_or(WAIT_MAX).min(WAIT_MAX);
            let timeout_ms = u64::try_from(wait.as_millis()).ok();
            let ask = Ask::get(["tasks", task, "wait"]).with_fields(&WaitQuery { timeout_ms })?;
            let seen: Task = self.send(ask.long_poll(wait)).await?;
            if seen.status.is_end() || left.is_some_and(|left| left <= wait) {
                return Ok(seen);
            }
        }
    }

    /// Calls a task off.
    ///
    /// # Errors
    /// When it has ended or there is none, or the node cannot be asked or refuses.
    pub async fn cancel(&self, task: &str, reason: Option<String>) -> Result<Task, Error> {
        self.send(self.post(["tasks", task, "cancel"]).body(&Cancel { reason })?).await
    }

    /// Calls off many tasks; call again while there are more. Repeated, it calls none off twice, and goes on with those
    /// that meet the filter by then; what it tells is what the last try did.
    ///
    /// # Errors
    /// When the node cannot be asked or refuses.
    pub async fn cancel_all(&self, bulk: &Bulk) -> Result<BulkDone, Error> {
        self.send(self.post(["tasks", "cancel"]).body(bulk)?).await
    }

    /// Makes new tasks from many that failed or timed out; call again while there are more. Repeated as
    /// [`Client::cancel_all`] is.
    ///
    /// # Errors
    /// When the node cannot be asked or refuses.
    pub async fn retry_all(&self, bulk: &Bulk) -> Result<BulkDone, Error> {
        self.send(self.post(["tasks", "retry"]).body(bulk)?).await
    }

    /// Moves a waiting task to another lane.
    ///
    /// # Errors
    /// When it does not wait or there is none, or the node cannot be asked or refuses.
    pub async fn set_priority(&self, task: &str, priority: Priority) -> Result<Task, Error> {
        self.send(self.post(["tasks", task, "priority"]).body(&SetPriority { priority })?).await
    }

    /// Tells why a task waits, runs or ended.
    ///
    /// # Errors
    /// When there is none, or the node cannot be asked or refuses.
    pub async fn why(&self, task: &str) -> Result<Why, Error> {
        self.send(Ask::get(["tasks", task, "why"])).await
    }

    /// Reads a piece of the log of an attempt, the last one unless told; waits for more of it if asked.
    ///
    /// # Errors
    /// When there is none, or the node cannot be asked or refuses.
    pub async fn log(&self, task: &str, query: &LogQuery) -> Result<LogChunk, Error> {
        let wait = Duration::from_millis(query.wait_ms.unwrap_or(0));
        self.send(Ask::get(["tasks", task, "log"]).with_fields(query)?.long_poll(wait)).await
    }
}
