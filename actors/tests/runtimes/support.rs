//! Work to do, nodes to do it on, and a look at who is alive.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use synod_actors::ports::{AgentRuntime, Finish, Report, ToolRequest, Work};
use synod_actors::runtimes::process::{ProcessNode, ProcessRuntime, ProcessSettings};
use synod_domain::agent::ProcessSpec;
use synod_domain::capability::Capabilities;
use synod_domain::id::{AgentId, TaskId};
use synod_domain::name::Name;
use synod_domain::payload::Payload;
use synod_domain::retry::RetryPolicy;
use synod_domain::task::{Lane, MailboxId, TaskSpec, Timeouts};
use synod_domain::time::Timestamp;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// No condition of these tests takes this long on a machine that works.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A program and a grandchild that both ignore SIGTERM; `ready` appears once both do.
pub(crate) const STUBBORN: &str = r#"
    trap '' TERM
    sh -c 'trap "" TERM; touch ready; while :; do sleep 0.1; done' &
    while :; do sleep 0.1; done
"#;

pub(crate) fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

pub(crate) fn task() -> TaskId {
    TaskId::from_raw(7)
}

/// An attempt with its ends: what stops it, what it reports and what it asks.
pub(crate) struct Order {
    pub(crate) work: Work,
    pub(crate) stop: CancellationToken,
    pub(crate) reports: mpsc::Receiver<Report>,
    pub(crate) tools: mpsc::Receiver<ToolRequest>,
}

pub(crate) fn order(payload: impl Into<Bytes>) -> Order {
    let stop = CancellationToken::new();
    let (sender, reports) = mpsc::channel(64);
    let (asking, tools) = mpsc::channel(64);
    let spec = TaskSpec {
        id: task(),
        workspace: name("acme"),
        kind: name("review"),
        mailbox: MailboxId::Open,
        demand: Capabilities::default(),
        lane: Lane::Normal,
        deadline: None,
        timeouts: Timeouts::default(),
        retry: RetryPolicy::default(),
        payload: Payload::default(),
        idempotency_key: None,
        labels: BTreeMap::from([(name("team"), "core".into())]),
        run: None,
        redriven_from: None,
        metadata: None,
    };
    let work = Work {
        spec: Arc::new(spec),
        payload: payload.into(),
        agent: AgentId::from_raw(9),
        agent_name: name("coder-1"),
        attempt: 2,
        deadline: Some(Timestamp::from_millis(1234)),
        stop: stop.clone(),
        reports: sender,
        tools: asking,
    };
    Order { work, stop, reports, tools }
}

/// A node of its own for a test, in a folder of its own.
pub(crate) struct World {
    pub(crate) node: ProcessNode,
    pub(crate) mark: String,
    folder: tempfile::TempDir,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut ProcessSettings)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mark = fresh_mark();
        let mut settings = ProcessSettings::new(folder.path().join("logs"), &mark);
        change(&mut settings);
        let node = ProcessNode::start(settings).await.unwrap();
        Self { node, mark, folder }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A runtime for a command that is run in the test's folder.
    pub(crate) fn runtime(&self, command: &[&str]) -> ProcessRuntime {
        let spec = ProcessSpec {
            command: command.iter().map(|part| (*part).to_owned()).collect(),
            cwd: Some(self.folder.path().to_str().unwrap().to_owned()),
            env: BTreeMap::from([("FROM_POOL".to_owned(), "yes".to_owned())]),
        };
        ProcessRuntime::new(spec, self.node.clone())
    }

    pub(crate) fn shell(&self, script: &str) -> ProcessRuntime {
        self.runtime(&["sh", "-c", script])
    }

    /// Runs a script to its end.
    pub(crate) async fn run(&self, script: &str) -> Finish {
        within(self.shell(script).run(order("null").work)).await
    }

    pub(crate) async fn log(&self) -> String {
        let bytes = self.node.read_log(task(), 2).await.unwrap().unwrap();
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    pub(crate) fn alive(&self) -> Vec<String> {
        alive(&self.mark)
    }
}

pub(crate) fn fresh_mark() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("test-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// Lists the processes that carry a node's mark, as `pid command`.
pub(crate) fn alive(mark: &str) -> Vec<String> {
    let mark = format!("SYNOD_NODE={mark}");
    processes()
        .into_iter()
        .filter(|path| {
            let environment = fs::read(path.join("environ")).unwrap_or_default();
            environment.split(|byte| *byte == 0).any(|entry| entry == mark.as_bytes())
        })
        .map(|path| format!("{} {}", path.display(), command(&path)))
        .collect()
}

/// The living children of a process whose command line holds `text`.
pub(crate) fn children(parent: u32, text: &str) -> Vec<i32> {
    let wanted = |path: &PathBuf| {
        let stat = fs::read_to_string(path.join("stat")).unwrap_or_default();
        let fields: Vec<_> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        let child = fields.get(1) == Some(&parent.to_string().as_str()) && fields.first() != Some(&"Z");
        child && command(path).contains(text)
    };
    let found = processes().into_iter().filter(wanted);
    found.map(|path| path.file_name().unwrap().to_str().unwrap().parse().unwrap()).collect()
}

fn processes() -> Vec<PathBuf> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let is_process = |path: &PathBuf| path.file_name().unwrap().as_encoded_bytes()[0].is_ascii_digit();
    entries.map(|entry| entry.path()).filter(is_process).collect()
}

fn command(process: &Path) -> String {
    String::from_utf8_lossy(&fs::read(process.join("cmdline")).unwrap_or_default()).replace('\0', " ")
}

/// Waits for a condition; panics with `what` when it does not come true in time.
pub(crate) async fn until(what: &str, limit: Duration, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < limit, "{what}: not within {limit:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

pub(crate) async fn until_exists(path: &Path) {
    until(&format!("{} exists", path.display()), PATIENCE, || path.exists()).await;
}

pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("it ends in time")
}

pub(crate) fn completed(finish: Finish) -> serde_json::Value {
    match finish {
        Finish::Completed { result } => serde_json::from_slice(&result).unwrap(),
        Finish::Failed { .. } | Finish::Stopped => panic!("not completed: {finish:?}"),
    }
}

/// The reason of a failure and whether it may be retried.
pub(crate) fn failed(finish: Finish) -> (String, bool) {
    match finish {
        Finish::Failed { reason, retryable } => (reason, retryable),
        Finish::Completed { .. } | Finish::Stopped => panic!("not failed: {finish:?}"),
    }
}
