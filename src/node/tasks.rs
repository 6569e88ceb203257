//! A node's verbs for those who submit work and wait for it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use synod_actors::events::Heard;
use synod_domain::command::Command;
use synod_domain::event::Event;
use synod_domain::id::TaskId;
use synod_domain::payload::Payload;
use synod_domain::refusal::Refusal;
use synod_domain::task::{Outcome, Task, TaskSpec};

use crate::node::{Error, NewTask, Node};

impl Node {
    /// Submits a task and returns its id once it is durable. With an idempotency key that was used
    /// before for the same content, it returns the task of that time.
    ///
    /// # Errors
    /// When it is refused (a limit, an unknown pool, a key used for other content) or cannot be stored, or when it has a
    /// route as [`Node::submit_task`].
    pub async fn submit(&self, task: NewTask) -> Result<TaskId, Error> {
        self.submit_task(task).await.map(|submission| submission.task)
    }

    /// Submits many tasks at once, so that they share their syncs. Each is accepted or refused by itself; the
    /// answers come in the order of the tasks.
    pub async fn submit_many(&self, tasks: Vec<NewTask>) -> Vec<Result<TaskId, Error>> {
        futures::future::join_all(tasks.into_iter().map(|task| self.submit(task))).await
    }

    /// Makes a task of what was described: gives it an id, and puts its payload where it belongs.
    ///
    /// # Errors
    /// When the payload cannot be stored.
    pub async fn spec_of(&self, task: NewTask) -> Result<TaskSpec, Error> {
        let payload = self.store(&task.payload).await?;
        Ok(self.spec_with(task, payload))
    }

    /// Makes a task of what was described, with a payload that is stored already.
    pub(super) fn spec_with(&self, task: NewTask, payload: Payload) -> TaskSpec {
        TaskSpec {
            id: self.world.ids.task(),
            workspace: task.workspace,
            kind: task.kind,
            mailbox: task.mailbox,
            demand: task.demand,
            lane: task.lane,
            deadline: task.deadline.map(|deadline| self.world.clock.now().after(deadline)),
            timeouts: task.timeouts,
            retry: task.retry,
            payload,
            idempotency_key: task.idempotency_key,
            labels: task.labels,
            run: task.run,
            redriven_from: None,
            metadata: task.metadata,
        }
    }

    /// Calls a task off; an attempt in hand is stopped.
    ///
    /// # Errors
    /// When it has ended otherwise.
    pub async fn cancel(&self, task: TaskId, reason: &str) -> Result<(), Error> {
        self.propose(Command::Cancel { task, reason: reason.into() }).await.map(drop)
    }

    /// Returns a task, unfinished or from history.
    ///
    /// # Errors
    /// When there is none, another region has it, or history cannot be read.
    pub fn task(&self, task: TaskId) -> Result<Arc<Task>, Error> {
        if let Some(found) = self.read(|state| state.task(task).cloned()) {
            return Ok(found);
        }
        if let Some(found) = self.history()?.task(task)? {
            return Ok(found);
        }
        let region = self.read(|state| state.pointer(task).map(|pointer| pointer.region.clone()));
        Err(match region {
            Some(region) => Refusal::TaskElsewhere { task, region }.into(),
            None => Error::NoTask(task),
        })
    }

    /// Returns ended tasks, latest submit first, below `before`; at most 1000 at a time.
    ///
    /// # Errors
    /// When history cannot be read.
    pub fn ended(&self, before: Option<TaskId>, limit: usize) -> Result<Vec<Arc<Task>>, Error> {
        Ok(self.history()?.page(before, limit)?)
    }

    /// Waits until a task has ended, and returns it.
    ///
    /// # Errors
    /// When there is no such task, or the node fails meanwhile.
    pub async fn wait(&self, task: TaskId) -> Result<Arc<Task>, Error> {
        let mut events = self.events();
        loop {
            let found = self.task(task)?;
            if found.phase().is_end() {
                return Ok(found);
            }
            loop {
                let heard = tokio::select! {
                    biased;
                    heard = events.next() => heard,
                    reason = self.failed() => return Err(Error::Failed(reason)),
                };
                match heard {
                    Heard::Happening(happening) => {
                        let over = |event: &Event| {
                            let is_over =
                                matches!(event, Event::TaskEnded { .. } | Event::TaskForwarded { .. });
                            is_over && event.task() == Some(task)
                        };
                        if happening.events.iter().any(over) {
                            break;
                        }
                    }
                    Heard::Missed(_) => break,
                    Heard::Closed => return Err(Error::Failed("the node has stopped".to_owned())),
                }
            }
        }
    }

    /// Waits until a task has ended, but no longer than this, and returns it as it is then.
    ///
    /// # Errors
    /// When there is no such task, or the node fails meanwhile.
    pub async fn wait_at_most(&self, task: TaskId, patience: Duration) -> Result<Arc<Task>, Error> {
        match tokio::time::timeout(patience, self.wait(task)).await {
            Ok(ended) => ended,
            Err(_) => self.task(task),
        }
    }

    /// Returns the bytes of a completed task's result: JSON text.
    ///
    /// # Errors
    /// When it did not complete, or its result cannot be fetched.
    pub async fn result(&self, task: &Task) -> Result<Bytes, Error> {
        match task.end().map(|end| &end.outcome) {
            Some(Outcome::Completed { result }) => self.fetch(result).await,
            _ => Err(Error::NoResult(task.spec.id, task.phase())),
        }
    }
}
