//! One life of the node that is killed: it starts, takes up what an earlier life left, and works.

use std::io::BufRead;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use synod::native::{AgentError, Context, NativeAgent};
use synod::node::domain::command::Command;
use synod::node::domain::id::TaskId;
use synod::node::domain::retry::RetryPolicy;
use synod::node::domain::state::State;
use synod::node::domain::task::{Timeouts, Usage};
use synod::node::{Error, NewTask, Node, Pool};
use synod_cluster::checkpointer::Policy;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::ledger::{Fact, Ledger};
use crate::support::{external, quick_retry, sole};

/// Names the folder of a life; without it the hidden test does nothing.
pub(super) const FOLDER: &str = "KILL_LOOP_FOLDER";

/// Tells lives apart.
pub(super) const NUMBER: &str = "KILL_LOOP_LIFE";

/// Says that the node takes work.
pub(super) const READY: &str = "the node is ready";

/// How many submits of one life are on their way at a time.
pub(super) const SUBMITTERS: usize = 4;

/// Work that may wait before submitters pause, so that a life leaves some to the next but not too much.
const BACKLOG_MAX: u64 = 150;

/// Long enough that a checkpoint and a kill fall into it now and then.
const BACKOFF: Duration = Duration::from_millis(200);

const NATIVES: &str = "natives";
const EXTERNALS: &str = "externals";

/// Every tenth task fails at its first attempt, so that retries are interrupted as well.
fn fails_first(payload: &Value, attempt: u32) -> bool {
    attempt == 1 && payload["number"].as_u64().unwrap().is_multiple_of(10)
}

/// Writes down that it works, and says under which attempt.
struct Worker(Arc<Ledger>);

impl NativeAgent for Worker {
    type Input = Value;
    type Output = Value;

    async fn run(&self, context: Context, payload: Value) -> Result<Value, AgentError> {
        let (task, attempt) = (context.task, context.attempt);
        self.0.note(&Fact::Began { task, attempt });
        tokio::time::sleep(Duration::from_millis(payload["number"].as_u64().unwrap() % 3)).await;
        if fails_first(&payload, attempt) {
            return Err(AgentError::retry("the first attempt fails"));
        }
        Ok(json!({ "task": task, "attempt": attempt }))
    }
}

/// Starts a node that checkpoints and makes snapshots all the time, with its pools and its external agent.
pub(super) async fn start(folder: &Path, ledger: &Arc<Ledger>) -> Node {
    let policy = Policy {
        checkpoint_interval: Duration::from_millis(20),
        snapshot_log_bytes_min: 256 << 10,
        snapshot_log_entries: 300,
        ..Policy::default()
    };
    let worker = Worker(ledger.clone());
    let builder = Node::builder().data(folder.join("data")).policy(policy);
    let node = builder.native("worker", worker).unwrap().start().await.unwrap();
    node.put_pool(Pool::native(NATIVES, "worker").unwrap().size(4)).await.unwrap();
    node.put_pool(Pool::external(EXTERNALS).unwrap().between(0, 10)).await.unwrap();
    // What an external agent holds stays its own when the node restarts, unless it registers anew.
    let agent = external(EXTERNALS, 8);
    if node.read(|state| state.agent(agent.id).is_none()) {
        node.register_agent(agent).await.unwrap();
    }
    node
}

#[test]
#[ignore = "one life of the node of the kill loop, which starts it as a process of its own"]
fn one_life() {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else { return };
    let number: u64 = std::env::var(NUMBER).unwrap().parse().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(live(&folder, number));
}

async fn live(folder: &Path, number: u64) {
    let told = listen();
    let ledger = Arc::new(Ledger::open(folder));
    let node = Arc::new(start(folder, &ledger).await);
    let mut work = JoinSet::new();
    work.spawn(serve(node.clone(), ledger.clone()));
    for submitter in 0..SUBMITTERS as u64 {
        // Numbers of different lives and submitters never meet.
        let first = number * 1_000_000 + submitter * 100_000;
        work.spawn(submit(node.clone(), ledger.clone(), first));
    }
    println!("{READY}");
    tokio::select! {
        biased;
        _ = told => {}
        ended = work.join_next() => panic!("the work ended by itself: {ended:?}"),
    }
    work.shutdown().await;
    sole(node).await.stop().await;
}

/// Hears on standard input that it should stop. A parent that is gone ends this process.
fn listen() -> oneshot::Receiver<()> {
    let (tell, told) = oneshot::channel();
    std::thread::spawn(move || {
        let mut lines = std::io::stdin().lock().lines();
        if lines.next().is_some_and(|line| line.is_ok()) {
            let _ = tell.send(());
        }
        for _ in lines {}
        #[expect(clippy::disallowed_methods, reason = "nobody is left who could kill this process")]
        std::process::exit(0);
    });
    told
}

/// Describes the task of a key; the same key always gives the same content.
pub(super) fn keyed_task(key: &str) -> NewTask {
    let number = key.rsplit('-').next().unwrap().parse().unwrap();
    described(number).idempotency_key(key)
}

fn described(number: u64) -> NewTask {
    let pool = if number.is_multiple_of(3) { EXTERNALS } else { NATIVES };
    NewTask::to_pool(pool, "work", &json!({ "number": number }))
        .unwrap()
        .timeouts(Timeouts::default())
        .retry(RetryPolicy { initial: BACKOFF, max: BACKOFF, ..quick_retry(100) })
}

/// Submits for ever, every second task under a key, and writes down what was acknowledged.
async fn submit(node: Arc<Node>, ledger: Arc<Ledger>, first: u64) {
    let mut waits = JoinSet::new();
    for number in first.. {
        let key = number.is_multiple_of(2).then(|| format!("key-{number}"));
        let new = || key.as_deref().map_or_else(|| described(number), keyed_task);
        let task = node.submit(new()).await.unwrap();
        ledger.note(&Fact::Submitted { task, key: key.clone() });
        if key.is_some() && number.is_multiple_of(8) {
            let again = node.submit(new()).await.unwrap();
            ledger.note(&Fact::Submitted { task: again, key });
        }
        if !number.is_multiple_of(3) {
            let (node, ledger) = (node.clone(), ledger.clone());
            waits.spawn(async move {
                let attempt = node.wait(task).await.unwrap().attempt;
                ledger.note(&Fact::Completed { task, attempt });
            });
        }
        while waits.try_join_next().is_some() {}
        while node.read(State::unfinished) > BACKLOG_MAX {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

/// Is the external agent: finishes what it held when its last life was killed, then claims for ever.
pub(super) async fn serve(node: Arc<Node>, ledger: Arc<Ledger>) {
    let agent = external(EXTERNALS, 8).id;
    let held: Vec<_> = node.read(|state| {
        let held = state.agent(agent).unwrap().held.iter().filter_map(|task| state.task(*task));
        held.map(|task| (task.spec.id, task.attempt)).collect()
    });
    for (task, attempt) in held {
        let payload = node.task(task).unwrap().spec.payload.clone();
        work(&node, &ledger, task, attempt, &node.fetch(&payload).await.unwrap()).await.unwrap();
    }
    loop {
        let claimed = node.claim(agent, 4).await.unwrap();
        if claimed.is_empty() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        for one in claimed {
            ledger.note(&Fact::Began { task: one.spec.id, attempt: one.attempt });
            let payload = node.fetch(&one.spec.payload).await.unwrap();
            work(&node, &ledger, one.spec.id, one.attempt, &payload).await.unwrap();
        }
    }
}

async fn work(node: &Node, ledger: &Ledger, task: TaskId, attempt: u32, payload: &[u8]) -> Result<(), Error> {
    if fails_first(&serde_json::from_slice(payload).unwrap(), attempt) {
        let (reason, usage) = ("the first attempt fails".into(), Usage::default());
        node.propose(Command::Fail { task, attempt, reason, retryable: true, usage }).await?;
        return Ok(());
    }
    let result = json!({ "task": task, "attempt": attempt }).to_string();
    node.complete(task, attempt, result.as_bytes(), Usage::default()).await?;
    ledger.note(&Fact::Completed { task, attempt });
    Ok(())
}
