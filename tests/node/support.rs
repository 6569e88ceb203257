//! What the tests of a node share: folders, an agent that does as it is told, waiting with a deadline.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use synod::native::{AgentError, Context, NativeAgent};
use synod::node::domain::agent::{AgentSpec, AgentStatus, Host};
use synod::node::domain::capability::Capabilities;
use synod::node::domain::id::{AgentId, TaskId};
use synod::node::domain::name::Name;
use synod::node::domain::retry::RetryPolicy;
use synod::node::{Builder, NewTask, Node};
use tempfile::TempDir;
use tokio::time::Instant;

/// How long anything may take that takes milliseconds on a quiet machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The pause between two looks at a condition.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Makes a folder on the disk that cargo builds on; `/tmp` may be memory.
pub(crate) fn folder() -> TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
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

/// What a scripted agent does with one task.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Script {
    /// Gives this back.
    Echo(Value),
    /// Takes so many milliseconds.
    Wait(u64),
    /// Goes on until it is told to stop.
    Hang,
    /// The first attempt hangs, the others complete.
    HangFirst,
    /// Fails, for this reason; another attempt may help.
    Fail(String),
    /// Fails until this attempt.
    FailUntil(u32),
    /// Panics with these words.
    Panic(String),
}

/// An agent that does what its payload says. What it gives back names the attempt and the agent.
pub(crate) struct Scripted(pub(crate) &'static str);

impl NativeAgent for Scripted {
    type Input = Script;
    type Output = Value;

    async fn run(&self, context: Context, script: Script) -> Result<Value, AgentError> {
        let mut echo = Value::Null;
        match script {
            Script::Echo(value) => echo = value,
            Script::Wait(millis) => tokio::time::sleep(Duration::from_millis(millis)).await,
            Script::Hang => context.cancelled().await,
            Script::HangFirst if context.attempt == 1 => context.cancelled().await,
            Script::HangFirst => {}
            Script::Fail(reason) => return Err(AgentError::retry(reason)),
            Script::FailUntil(attempt) if context.attempt < attempt => {
                return Err(AgentError::retry(format!("attempt {} is too early", context.attempt)));
            }
            Script::FailUntil(_) => {}
            Script::Panic(words) => panic!("{words}"),
        }
        let agent = context.agent.to_string();
        Ok(json!({ "attempt": context.attempt, "agent": agent, "by": self.0, "echo": echo }))
    }
}

/// Describes a node in this folder with the scripted agent, registered as `script`.
pub(crate) fn scripted(data: &Path) -> Builder {
    Node::builder().data(data).native("script", Scripted("script")).unwrap()
}

/// Describes a task for a pool of scripted agents; failures are tried again almost at once.
pub(crate) fn task(pool: &str, script: &Script) -> NewTask {
    NewTask::to_pool(pool, "work", script).unwrap().retry(quick_retry(3))
}

/// A retry policy that does not keep a test waiting.
pub(crate) fn quick_retry(max_attempts: u32) -> RetryPolicy {
    RetryPolicy {
        max_attempts,
        initial: Duration::from_millis(10),
        factor_percent: 100,
        max: Duration::from_millis(10),
    }
}

/// Describes an agent of an external pool, always the same one.
pub(crate) fn external(pool: &str, concurrency: u32) -> AgentSpec {
    AgentSpec {
        id: AgentId::from_raw(7),
        name: Name::new("outside").unwrap(),
        pool: Some(Name::new(pool).unwrap()),
        capabilities: Capabilities::default(),
        labels: Default::default(),
        region: None,
        concurrency,
        host: Host::External,
        heartbeat_timeout: None,
        metadata: None,
    }
}

/// Waits for a task's end and returns its result; it must have completed.
pub(crate) async fn completed(node: &Node, task: TaskId) -> Value {
    let ended = tokio::time::timeout(PATIENCE, node.wait(task)).await.expect("the task ends").unwrap();
    let bytes = node.result(&ended).await.unwrap_or_else(|error| panic!("{error}: {ended:#?}"));
    serde_json::from_slice(&bytes).unwrap()
}

/// Waits for a task's end and returns how and why it ended; it must not have completed.
pub(crate) async fn reason(node: &Node, task: TaskId) -> (String, String) {
    let ended = tokio::time::timeout(PATIENCE, node.wait(task)).await.expect("the task ends").unwrap();
    let end = ended.end().unwrap();
    let reason = end.outcome.reason().unwrap_or_else(|| panic!("it completed: {ended:#?}"));
    (ended.phase().to_string(), reason.to_owned())
}

/// Returns how many agents of a pool have this status.
pub(crate) fn agents(node: &Node, pool: &str, status: AgentStatus) -> usize {
    let pool = Name::new(pool).unwrap();
    node.read(|state| state.agents_of(&pool).filter(|agent| agent.status() == status).count())
}

/// Waits until so many agents of a pool are ready.
pub(crate) async fn ready(node: &Node, pool: &str, count: usize) {
    let what = format!("{count} agents of {pool} are ready");
    eventually(&what, || (agents(node, pool, AgentStatus::Ready) == count).then_some(())).await;
}

/// Waits until an attempt of a task runs.
pub(crate) async fn running(node: &Node, task: TaskId) {
    let is_running = || (node.task(task).unwrap().phase().as_str() == "running").then_some(());
    eventually("the task runs", is_running).await;
}

/// Takes a node back from tasks that were aborted a moment ago.
pub(crate) async fn sole(mut node: Arc<Node>) -> Node {
    let until = Instant::now() + PATIENCE;
    loop {
        match Arc::try_unwrap(node) {
            Ok(node) => return node,
            Err(shared) => node = shared,
        }
        assert!(Instant::now() < until, "somebody holds the node");
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Copies a folder with everything in it.
pub(crate) fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
