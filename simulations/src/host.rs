//! One life of the node in its host: starts the real node, lets clients at it, and tells what it sees.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::Value;
use synod::node::domain::id::TaskId;
use synod::node::domain::limits::Limits;
use synod::node::domain::task::Task;
use synod::node::events::{Heard, Subscription};
use synod::node::{Error, Node};
use tokio::task::JoinSet;

use crate::agent::ScriptedAgent;
use crate::history::{Answer, Fact, History, Standing};
use crate::shared::{Phase, Shared};
use crate::{disk, workload};

/// How often the host looks at the world's phase and counts unfinished work.
const LOOK: Duration = Duration::from_millis(10);

/// How long after a start silence is not held against agents. Longer than their pause between two words.
const GRACE: Duration = Duration::from_secs(2);

/// Lives once, to a crash, a failure or the end of the world.
pub(crate) async fn live(shared: Arc<Shared>) {
    let life = shared.next_life();
    shared.note(Fact::Starting { life });
    // Until it has counted, there may be something.
    shared.unfinished.store(1, Ordering::Relaxed);
    let mut tasks = JoinSet::new();
    let node = match begin(&shared, life, &mut tasks).await {
        Ok(node) => node,
        Err(error) => return shared.note(Fact::NodeFailed { reason: error.to_string() }),
    };
    while shared.phase() != Phase::Closing {
        shared.unfinished.store(node.read(synod::node::domain::state::State::unfinished), Ordering::Relaxed);
        tokio::select! {
            biased;
            reason = node.failed() => return shared.note(Fact::NodeFailed { reason }),
            () = tokio::time::sleep(LOOK) => {}
        }
    }
    tasks.shutdown().await;
    look(&shared, &node).await;
    shared.note(Fact::Closed);
    if let Some(node) = Arc::into_inner(node) {
        node.stop().await;
        shared.note(Fact::Stopped);
    }
}

async fn begin(shared: &Arc<Shared>, life: u32, tasks: &mut JoinSet<()>) -> Result<Arc<Node>, Error> {
    let opened = disk::open(&shared.disk, shared.disk_lies.load(Ordering::Relaxed))?;
    let node = Node::builder()
        .storage(opened.storage)
        .clock(shared.clock.clone())
        .entropy(shared.entropy.clone())
        .limits(Limits { grace: GRACE, ..Limits::default() })
        .native(workload::NATIVE, ScriptedAgent(shared.history.clone()))?
        .start()
        .await?;
    let node = Arc::new(node);
    // Nothing happens between these two, for what is read is here and nobody waits: what is not in the one is
    // in the other.
    let events = node.events();
    look(shared, &node).await;
    shared.note(Fact::Started { life });
    tasks.spawn(listen(events, shared.history.clone()));
    workload::start(&node, shared, life, tasks).await?;
    Ok(node)
}

async fn listen(mut events: Subscription, history: History) {
    loop {
        match events.next().await {
            Heard::Happening(happening) => {
                for event in &happening.events {
                    history.note(Fact::Happened { index: happening.index, event: event.clone() });
                }
            }
            // The hub holds thousands and this never waits.
            Heard::Missed(_) => {}
            Heard::Closed => return,
        }
    }
}

/// Notes how every task stands that anybody ever heard of, what is paused, and which tokens open.
async fn look(shared: &Shared, node: &Node) {
    let mut known: BTreeSet<TaskId> =
        shared.history.records().iter().filter_map(|record| named(&record.fact)).collect();
    known.extend(node.read(|state| state.tasks().map(|task| task.spec.id).collect::<Vec<_>>()));
    for task in known {
        let standing = match node.task(task) {
            Ok(found) => standing(node, &found).await,
            Err(_) => Standing { task, phase: None, attempt: 0, holder: None, result_of: None },
        };
        shared.note(Fact::Stands(standing));
    }
    shared.note(Fact::Paused(node.read(|state| state.pauses().map(|pause| pause.what.clone()).collect())));
    workload::look(shared, node);
}

fn named(fact: &Fact) -> Option<TaskId> {
    match fact {
        Fact::Happened { event, .. } => event.task(),
        Fact::Answered { answer: Answer::Submitted(task), .. } => Some(*task),
        Fact::Stands(standing) => Some(standing.task),
        _ => None,
    }
}

async fn standing(node: &Node, task: &Task) -> Standing {
    let result = node.result(task).await.ok();
    let result = result.and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
    let of = result.and_then(|value| value.get("attempt")?.as_u64());
    Standing {
        task: task.spec.id,
        phase: Some(task.phase()),
        attempt: task.attempt,
        holder: task.lease().map(|lease| lease.agent),
        result_of: of.and_then(|of| u32::try_from(of).ok()),
    }
}
