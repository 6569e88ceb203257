//! Where somebody sits who works with a node, in one of its lives.
//!
//! What is asked here is noted with its answer, as the ordinary clients' questions are, so the judges judge it. What is
//! asked of [`Seat::node`] itself is not.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;
use synod::node::domain::agent::{AgentSpec, Host};
use synod::node::domain::capability::Capabilities;
use synod::node::domain::id::{AgentId, TaskId};
use synod::node::domain::name::Name;
use synod::node::domain::task::{MailboxId, Phase, Task, Usage};
use synod::node::{Error, NewTask, Node};
use tokio::time::sleep;

use crate::chance::Stream;
use crate::history::{Answer, Request};
use crate::machine::Machine;
use crate::scenario::cast::note;
use crate::shared::Phase as Course;
use crate::trace;
use crate::workload::{self, ask};

/// The pause before something is asked again, and between two looks at the world's course.
const AGAIN: Duration = Duration::from_millis(100);

/// A seat at a node. Clones are the same seat.
#[derive(Clone)]
pub struct Seat {
    name: Arc<str>,
    node: Arc<Node>,
    machine: Arc<Machine>,
    life: u32,
}

/// What a claim gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// Which task.
    pub task: TaskId,
    /// Under which attempt.
    pub attempt: u32,
}

impl Seat {
    pub(super) const fn new(name: Arc<str>, node: Arc<Node>, machine: Arc<Machine>, life: u32) -> Self {
        Self { name, node, machine, life }
    }

    /// Returns the node, which takes work.
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// Returns the number of the machine, from 1.
    pub fn number(&self) -> u64 {
        self.machine.node
    }

    /// Returns which life of the node it is, from 1.
    pub const fn life(&self) -> u32 {
        self.life
    }

    /// Returns the time since the world began.
    pub fn elapsed(&self) -> Duration {
        self.machine.elapsed()
    }

    /// Opens the chance of this client in this life.
    pub fn chance(&self) -> Stream {
        self.machine.streams.open(&format!("{} of n{} life {}", self.name, self.machine.node, self.life))
    }

    /// Tells whether the world still wants new work.
    pub fn is_busy(&self) -> bool {
        self.machine.phase() == Course::Busy
    }

    /// Waits until so long after the world began; not at all if that is past.
    pub async fn until(&self, elapsed: Duration) {
        sleep(elapsed.saturating_sub(self.elapsed())).await;
    }

    /// Waits until the world wants no new work.
    pub async fn until_settling(&self) {
        while self.is_busy() {
            sleep(AGAIN).await;
        }
    }

    /// Notes something for judges and expectations of the scenario.
    pub fn note(&self, what: &impl Serialize) {
        note(&self.machine.history, Arc::clone(&self.name), what);
    }

    /// Opens [`INSIDE`](crate::scenario::INSIDE) and [`OUTSIDE`](crate::scenario::OUTSIDE), however long it takes.
    pub async fn open_pools(&self) {
        while workload::put_pools(&self.node).await.is_err() {
            sleep(AGAIN).await;
        }
    }

    /// Submits a task, in a workspace that has the name of this client: its keys are its own.
    ///
    /// # Errors
    /// As [`Node::submit`]: what is not a refusal leaves open whether the task exists.
    pub async fn submit(&self, task: NewTask) -> Result<TaskId, Error> {
        self.send(None, task).await
    }

    /// Submits a task under a key, so that it is safe to submit it again.
    ///
    /// # Errors
    /// As [`Self::submit`].
    pub async fn submit_once(&self, key: &str, task: NewTask) -> Result<TaskId, Error> {
        self.send(Some(key), task.idempotency_key(key)).await
    }

    async fn send(&self, key: Option<&str>, task: NewTask) -> Result<TaskId, Error> {
        let task = task.workspace(Name::new(&self.name)?);
        let content = trace::hash(format!("{task:?}").as_bytes());
        let pool = match task.mailbox() {
            MailboxId::Pool(pool) => pool.as_str().into(),
            other => other.path().into(),
        };
        let request = Request::Submit { key: key.map(Into::into), content, pool };
        self.ask(request, self.node.submit(task), |task| Answer::Submitted(*task)).await
    }

    /// Waits until a task has ended, and returns it.
    ///
    /// # Errors
    /// As [`Node::wait`].
    pub async fn wait(&self, task: TaskId) -> Result<Arc<Task>, Error> {
        self.ask(Request::Wait { task }, self.node.wait(task), |ended| Answer::Ended(ended.phase())).await
    }

    /// Calls a task off.
    ///
    /// # Errors
    /// As [`Node::cancel`].
    pub async fn cancel(&self, task: TaskId) -> Result<(), Error> {
        let call = self.node.cancel(task, "the scenario says so");
        self.ask(Request::Cancel { task }, call, |()| Answer::Done).await
    }

    /// Returns the id of this client as an agent: the same in all its lives and at all nodes.
    pub fn agent(&self) -> AgentId {
        AgentId::from_raw(u128::from(self.machine.streams.seed_of(&self.name)))
    }

    /// Registers this client as an agent of a pool of agents from outside.
    ///
    /// # Errors
    /// As [`Node::register_agent`].
    pub async fn register(&self, pool: &str, slots: u32) -> Result<(), Error> {
        let agent = self.agent();
        let register = async {
            let spec = AgentSpec {
                id: agent,
                name: Name::new(&self.name)?,
                pool: Some(Name::new(pool)?),
                capabilities: Capabilities::default(),
                labels: BTreeMap::new(),
                region: None,
                concurrency: slots,
                host: Host::External,
                heartbeat_timeout: None,
                metadata: None,
            };
            self.node.register_agent(spec).await
        };
        self.ask(Request::Register { agent, slots }, register, |()| Answer::Done).await
    }

    /// Takes work as an agent.
    ///
    /// # Errors
    /// As [`Node::claim`].
    pub async fn claim(&self, max: u32) -> Result<Vec<Lease>, Error> {
        let agent = self.agent();
        let claim = async {
            let given = self.node.claim(agent, max).await?;
            Ok(given.iter().map(|one| Lease { task: one.spec.id, attempt: one.attempt }).collect())
        };
        let answer =
            |given: &Vec<Lease>| Answer::Claimed(given.iter().map(|one| (one.task, one.attempt)).collect());
        self.ask(Request::Claim { agent }, claim, answer).await
    }

    /// Says that an attempt goes on.
    ///
    /// # Errors
    /// As [`Node::heartbeat_task`].
    pub async fn heartbeat(&self, lease: &Lease) -> Result<(), Error> {
        let Lease { task, attempt } = *lease;
        let call = self.node.heartbeat_task(task, attempt, None);
        self.ask(Request::Heartbeat { task, attempt }, call, |()| Answer::Done).await
    }

    /// Completes an attempt. A result that is an object says of which attempt it is, for the judges.
    ///
    /// # Errors
    /// As [`Node::complete`].
    pub async fn complete(&self, lease: &Lease, mut result: Value) -> Result<Phase, Error> {
        let Lease { task, attempt } = *lease;
        if let Some(result) = result.as_object_mut() {
            result.insert("attempt".to_owned(), attempt.into());
        }
        let result = result.to_string();
        let call = self.node.complete(task, attempt, result.as_bytes(), Usage::default());
        self.ask(Request::Complete { task, attempt }, call, |phase| Answer::Ended(*phase)).await
    }

    /// Ends an attempt without a result; another may do better.
    ///
    /// # Errors
    /// As [`Node::fail`].
    pub async fn fail(&self, lease: &Lease, reason: &str) -> Result<(), Error> {
        let Lease { task, attempt } = *lease;
        let call = async { self.node.fail(task, attempt, reason, true, Usage::default()).await.map(drop) };
        self.ask(Request::Fail { task, attempt }, call, |()| Answer::Done).await
    }

    async fn ask<T>(
        &self,
        request: Request,
        call: impl Future<Output = Result<T, Error>>,
        answer: impl FnOnce(&T) -> Answer,
    ) -> Result<T, Error> {
        ask(&self.machine, &self.name, request, call, answer).await
    }
}
