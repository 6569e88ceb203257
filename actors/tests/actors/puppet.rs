//! A runtime that does what the test says, and remembers what it was told to do.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use synod_actors::ports::{AgentRuntime, Finish, Runtimes, Work};
use synod_domain::agent::PoolSpec;
use synod_domain::id::{AgentId, TaskId};
use synod_domain::time::Timestamp;
use tokio_util::sync::CancellationToken;

type Acting = Arc<dyn Fn(Work) -> BoxFuture<'static, Finish> + Send + Sync>;

/// Runs the agents of every pool.
#[derive(Clone)]
pub(crate) struct Puppet {
    acting: Acting,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Default)]
pub(crate) struct Seen {
    /// Every attempt that was begun, in order.
    pub(crate) begun: Vec<Begun>,
    /// The pools whose runtime was asked for, one entry each time.
    pub(crate) made_for: Vec<PoolSpec>,
    /// How often preparing was tried.
    pub(crate) prepared: usize,
    /// What the next tries to prepare come to; they succeed when there is nothing.
    pub(crate) preparing: VecDeque<Prepare>,
    /// What each agent works on, until nothing of it runs any more; with what tells it to stop.
    pub(crate) running: BTreeMap<AgentId, BTreeMap<(TaskId, u32), CancellationToken>>,
    /// The most that any agent worked on at a time.
    pub(crate) running_most: usize,
    /// The same without what was told to stop and is only winding down.
    pub(crate) wanted_most: usize,
    /// Attempts that were told to stop.
    pub(crate) stopped: Vec<(TaskId, u32)>,
}

#[derive(Debug, Clone)]
pub(crate) struct Begun {
    pub(crate) task: TaskId,
    pub(crate) attempt: u32,
    pub(crate) agent: AgentId,
    pub(crate) deadline: Option<Timestamp>,
}

#[derive(Debug, Clone)]
pub(crate) enum Prepare {
    Fail(String),
    Panic,
    Hang,
}

impl Puppet {
    pub(crate) fn new<F>(acting: impl Fn(Work) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Finish> + Send + 'static,
    {
        Self { acting: Arc::new(move |work| acting(work).boxed()), seen: Arc::default() }
    }

    pub(crate) fn seen<T>(&self, look: impl FnOnce(&mut Seen) -> T) -> T {
        look(&mut self.seen.lock())
    }
}

impl Runtimes for Puppet {
    fn runtime_of(&self, pool: &PoolSpec) -> Result<Arc<dyn AgentRuntime>, String> {
        self.seen.lock().made_for.push(pool.clone());
        Ok(Arc::new(self.clone()))
    }
}

/// Counts an attempt as running for as long as anything of it is there.
struct Presence {
    seen: Arc<Mutex<Seen>>,
    agent: AgentId,
    attempt: (TaskId, u32),
}

impl Drop for Presence {
    fn drop(&mut self) {
        if let Some(tasks) = self.seen.lock().running.get_mut(&self.agent) {
            tasks.remove(&self.attempt);
        }
    }
}

#[async_trait]
impl AgentRuntime for Puppet {
    async fn prepare(&self) -> Result<(), String> {
        let script = self.seen(|seen| {
            seen.prepared += 1;
            seen.preparing.pop_front()
        });
        match script {
            None => Ok(()),
            Some(Prepare::Fail(reason)) => Err(reason),
            Some(Prepare::Panic) => panic!("the test wants the agent's start to panic"),
            Some(Prepare::Hang) => std::future::pending().await,
        }
    }

    async fn run(&self, work: Work) -> Finish {
        let (task, attempt, agent, stop) = (work.spec.id, work.attempt, work.agent, work.stop.clone());
        self.seen(|seen| {
            seen.begun.push(Begun { task, attempt, agent, deadline: work.deadline });
            let running = seen.running.entry(agent).or_default();
            running.insert((task, attempt), stop.clone());
            let wanted = running.values().filter(|stop| !stop.is_cancelled()).count();
            seen.running_most = seen.running_most.max(running.len());
            seen.wanted_most = seen.wanted_most.max(wanted);
        });
        let _presence = Presence { seen: self.seen.clone(), agent, attempt: (task, attempt) };
        let finish = (self.acting)(work).await;
        if stop.is_cancelled() {
            self.seen(|seen| seen.stopped.push((task, attempt)));
        }
        finish
    }
}

/// Works for a while and completes; heeds being stopped.
pub(crate) async fn complete_after(work: Work, time: Duration) -> Finish {
    tokio::select! {
        biased;
        () = work.stop.cancelled() => Finish::Stopped,
        () = tokio::time::sleep(time) => Finish::Completed { result: Bytes::from_static(b"null") },
    }
}

/// Fails at once.
pub(crate) fn fail(retryable: bool) -> Finish {
    Finish::Failed { reason: "the test wants it so".to_owned(), retryable }
}

/// Works until it is told to stop.
pub(crate) async fn until_stopped(work: Work) -> Finish {
    work.stop.cancelled().await;
    Finish::Stopped
}
