//! A node's verbs about tasks, pools and the agents that serve them.

use std::sync::Arc;

use bytes::Bytes;
use synod_actors::events::Heard;
use synod_domain::agent::{AgentSpec, PoolSpec, RuntimeSpec};
use synod_domain::command::Command;
use synod_domain::event::Event;
use synod_domain::id::{AgentId, TaskId};
use synod_domain::payload::{INLINE_BYTES_MAX, Payload};
use synod_domain::reply::{Assignment, Reply};
use synod_domain::task::{Outcome, Phase, Task, TaskSpec, Usage};

use crate::node::{Error, NewTask, Node, Pool};

impl Node {
    /// Submits a task and returns its id once it is durable. With an idempotency key that was used
    /// before for the same content, it returns the task of that time.
    ///
    /// # Errors
    /// When it is refused (a limit, an unknown pool, a key used for other content) or cannot be stored.
    pub async fn submit(&self, task: NewTask) -> Result<TaskId, Error> {
        let spec = TaskSpec {
            id: self.world.ids.task(),
            workspace: task.workspace,
            kind: task.kind,
            mailbox: task.mailbox,
            demand: task.demand,
            lane: task.lane,
            deadline: task.deadline.map(|deadline| self.world.clock.now().after(deadline)),
            timeouts: task.timeouts,
            retry: task.retry,
            payload: self.store(&task.payload)?,
            idempotency_key: task.idempotency_key,
            labels: task.labels,
            run: task.run,
            redriven_from: None,
        };
        let id = spec.id;
        match self.propose(Command::Submit { spec: Arc::new(spec) }).await? {
            Reply::Submitted { task, .. } => Ok(task),
            Reply::Done | Reply::Claimed(_) | Reply::Ended { .. } | Reply::WillRetry { .. } => Ok(id),
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
    /// When there is none, or history cannot be read.
    pub fn task(&self, task: TaskId) -> Result<Arc<Task>, Error> {
        if let Some(found) = self.read(|state| state.task(task).cloned()) {
            return Ok(found);
        }
        self.history.task(task)?.ok_or(Error::NoTask(task))
    }

    /// Returns ended tasks, latest submit first, below `before`; at most 1000 at a time.
    ///
    /// # Errors
    /// When history cannot be read.
    pub fn ended(&self, before: Option<TaskId>, limit: usize) -> Result<Vec<Arc<Task>>, Error> {
        Ok(self.history.page(before, limit)?)
    }

    /// Waits until a task has ended, and returns it.
    ///
    /// # Errors
    /// When there is no such task, or the node fails meanwhile.
    pub async fn wait(&self, task: TaskId) -> Result<Arc<Task>, Error> {
        let mut events = self.hub().subscribe();
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
                        let ended = |event: &Event| matches!(event, Event::TaskEnded { task: ended, .. } if *ended == task);
                        if happening.events.iter().any(ended) {
                            break;
                        }
                    }
                    Heard::Missed(_) => break,
                    Heard::Closed => return Err(Error::Failed("the node has stopped".to_owned())),
                }
            }
        }
    }

    /// Returns the bytes of a completed task's result: JSON text.
    ///
    /// # Errors
    /// When it did not complete, or its result cannot be fetched.
    pub fn result(&self, task: &Task) -> Result<Bytes, Error> {
        match task.end().map(|end| &end.outcome) {
            Some(Outcome::Completed { result }) => self.fetch(result),
            _ => Err(Error::NoResult(task.spec.id, task.phase())),
        }
    }

    /// Creates a pool or changes it.
    ///
    /// # Errors
    /// When its sizes are not valid.
    pub async fn put_pool(&self, pool: impl Into<Pool>) -> Result<(), Error> {
        self.propose(Command::PutPool { spec: Arc::new(pool.into().0) }).await.map(drop)
    }

    /// Registers an agent that runs outside of the node and is ready for work.
    ///
    /// # Errors
    /// When its pool does not exist or its numbers are not valid.
    pub async fn register_agent(&self, spec: AgentSpec) -> Result<(), Error> {
        let agent = spec.id;
        self.propose(Command::RegisterAgent { spec: Arc::new(spec) }).await?;
        let standing = synod_domain::agent::Standing::Ready;
        self.propose(Command::SetStanding { agent, standing, reason: "registered".into() }).await.map(drop)
    }

    /// Takes the next tasks for an agent, in order, and starts them; none when nothing fits.
    ///
    /// # Errors
    /// When the agent is unknown or takes no work.
    pub async fn claim(&self, agent: AgentId, max: u32) -> Result<Vec<Assignment>, Error> {
        match self.propose(Command::Claim { agent, max, start: true }).await? {
            Reply::Claimed(assignments) => Ok(assignments),
            Reply::Done | Reply::Submitted { .. } | Reply::Ended { .. } | Reply::WillRetry { .. } => {
                Ok(Vec::new())
            }
        }
    }

    /// Completes a task under a lease, with a JSON text as result.
    ///
    /// # Errors
    /// When the attempt does not hold the lease any more; its result is dropped then.
    pub async fn complete(&self, task: TaskId, attempt: u32, result: &[u8]) -> Result<Phase, Error> {
        let result = self.store(result)?;
        let usage = Usage::default();
        match self.propose(Command::Complete { task, attempt, result, usage }).await? {
            Reply::Ended { phase } => Ok(phase),
            Reply::Done | Reply::Submitted { .. } | Reply::Claimed(_) | Reply::WillRetry { .. } => {
                Ok(Phase::Completed)
            }
        }
    }

    /// Returns the bytes of a payload or result.
    ///
    /// # Errors
    /// When the blob store does not have them whole.
    pub fn fetch(&self, payload: &Payload) -> Result<Bytes, Error> {
        match payload {
            Payload::Inline(bytes) => Ok(Bytes::copy_from_slice(bytes)),
            Payload::Blob { hash, .. } => self.world.blobs.get(hash).map_err(Error::Blob),
        }
    }

    /// Stores bytes as a payload: in the log when they are small, else as a blob, durable on return.
    ///
    /// # Errors
    /// When they are too large or the disk does not take them.
    pub fn store(&self, bytes: &[u8]) -> Result<Payload, Error> {
        if bytes.len() <= INLINE_BYTES_MAX {
            return Ok(Payload::inline(bytes));
        }
        let hash = self.world.blobs.put(bytes).map_err(Error::Blob)?;
        Ok(Payload::Blob { hash, size: bytes.len() as u64 })
    }
}

impl Node {
    /// Makes the id of a new run.
    pub fn new_run_id(&self) -> synod_domain::id::RunId {
        self.world.ids.run()
    }

    /// Checks that agents of such a pool could work on this node: that its program is there, that its
    /// Rust type is registered.
    ///
    /// # Errors
    /// With a text for people: what is wrong and what to do.
    pub async fn check_pool(&self, pool: &PoolSpec) -> Result<(), String> {
        match pool.runtime {
            RuntimeSpec::External => Ok(()),
            RuntimeSpec::Process(_) | RuntimeSpec::Native(_) => {
                self.world.runtimes.runtime_of(pool)?.prepare().await
            }
        }
    }
}
