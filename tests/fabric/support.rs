//! What the tests of the fabric share: a fabric in a folder, agents that echo, fail or wait to be told.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::{Value, json};
use synod::fabric::{AgentConfig, Config, Fabric, TaskStatus};
use synod::native::AgentError;
use synod::node::Node;
use synod::node::domain::id::TaskId;
use tempfile::TempDir;
use tokio::sync::Semaphore;
use tokio::time::Instant;

/// How long anything may take that takes milliseconds on a quiet machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The pause between two looks at a condition.
const LOOK_EVERY: Duration = Duration::from_millis(5);

pub(crate) fn folder() -> TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

/// Starts a node in this folder and puts a fabric over it.
pub(crate) async fn fabric_in(data: &Path, config: Config) -> Fabric {
    let node = Node::builder().data(data).drain(Duration::from_secs(1)).start().await.unwrap();
    Fabric::new(Arc::new(node), config).await.unwrap()
}

pub(crate) async fn fabric(data: &TempDir) -> Fabric {
    fabric_in(data.path(), Config::default()).await
}

/// Looks until there is something to see.
pub(crate) async fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(Instant::now() < until, "not within {PATIENCE:?}: {what}");
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

pub(crate) async fn status(fabric: &Fabric, task: TaskId, status: TaskStatus) {
    let is_so = || (fabric.task(task).unwrap().status == status).then_some(());
    eventually(&format!("{task} is {status}"), is_so).await;
}

/// Waits for a result, but not for ever.
pub(crate) async fn result(fabric: &Fabric, task: TaskId) -> Value {
    let waited = tokio::time::timeout(PATIENCE, fabric.wait_for_task(task)).await;
    waited.expect("the task ends").unwrap()
}

/// Waits for the error that a task ends with.
pub(crate) async fn error(fabric: &Fabric, task: TaskId) -> String {
    let waited = tokio::time::timeout(PATIENCE, fabric.wait_for_task(task)).await;
    waited.expect("the task ends").unwrap_err().to_string()
}

/// Describes an agent that gives back what it gets, or fails if that is a text that says so.
pub(crate) fn echo(name: &str) -> AgentConfig {
    AgentConfig::new("claude-3-opus", name).handler(|context, payload: Value| async move {
        if let Some(why) = payload["fail"].as_str() {
            return Err(AgentError::retry(why));
        }
        Ok(json!({ "agent": context.agent.as_str(), "payload": payload }))
    })
}

/// Work that goes on when it is let, and writes down what began.
#[derive(Clone)]
pub(crate) struct Held {
    gate: Arc<Semaphore>,
    pub(crate) begun: Arc<Mutex<Vec<Value>>>,
}

impl Held {
    pub(crate) fn new() -> Self {
        Self { gate: Arc::new(Semaphore::new(0)), begun: Arc::default() }
    }

    /// Lets so many tasks go on, begun or not.
    pub(crate) fn release(&self, tasks: usize) {
        self.gate.add_permits(tasks);
    }

    /// Describes an agent that holds every task until it is let go on.
    pub(crate) fn agent(&self, name: &str) -> AgentConfig {
        let held = self.clone();
        AgentConfig::new("claude-3-opus", name).handler(move |context, payload: Value| {
            let held = held.clone();
            async move {
                held.begun.lock().push(payload.clone());
                tokio::select! {
                    biased;
                    permit = held.gate.acquire() => permit.map_err(AgentError::from)?.forget(),
                    () = context.cancelled() => return Err(AgentError::retry("told to stop")),
                }
                Ok(payload)
            }
        })
    }

    /// Waits until so many tasks have begun.
    pub(crate) async fn begun(&self, tasks: usize) {
        eventually(&format!("{tasks} tasks begin"), || (self.begun.lock().len() >= tasks).then_some(()))
            .await;
    }
}
