//! Somebody who looks tasks up, through every node: a look shows nothing older than what anybody was told before it.
//!
//! It asks as the API does for whoever does not say that older will do, and knows the tasks of all clients, so that what
//! one node acknowledged is looked up through another at once.

use std::sync::Arc;
use std::time::Duration;

use synod::node::domain::id::TaskId;
use synod::node::domain::task;
use synod::node::{Error, Node};
use tokio::time::{sleep, timeout};

use crate::chance::Stream;
use crate::history::{Answer, Request};
use crate::machine::Machine;
use crate::shared::Phase;
use crate::workload::question::ask;
use crate::workload::{CLIENTS, client_name};

/// The longest pause between two looks, in milliseconds: a few of them fall into the time between an election and the
/// moment in which the old leader notices.
const PAUSE_MAX: u64 = 200;

/// How long a client waits for an answer before it asks something else.
const PATIENCE: Duration = Duration::from_secs(2);

/// Looks until the world closes.
pub(super) async fn run(node: Arc<Node>, machine: Arc<Machine>, life: u32) {
    let name: Arc<str> = format!("reader-{}", machine.node).into();
    let mut stream = machine.streams.open(&format!("{name} life {life}"));
    while machine.phase() != Phase::Closing {
        if let Some(task) = any_task(&machine, &mut stream) {
            let call =
                ask(&machine, &name, Request::Look { task }, look(&node, task), |seen| Answer::Looked(*seen));
            // One that gets no answer in time is as good as one that never does.
            let _ = timeout(PATIENCE, call).await;
        }
        sleep(stream.millis(10, PAUSE_MAX)).await;
    }
}

async fn look(node: &Node, task: TaskId) -> Result<Option<(task::Phase, u32)>, Error> {
    node.linearize().await?;
    match node.task(task) {
        Ok(found) => Ok(Some((found.phase(), found.attempt))),
        Err(Error::NoTask(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Picks what some client was told of lately.
fn any_task(machine: &Machine, stream: &mut Stream) -> Option<TaskId> {
    /// How many of the last of a client: old ones have ended, and nothing changes with them.
    const YOUNG: usize = 4;
    let client = usize::try_from(stream.between(0, CLIENTS as u64 - 1)).unwrap_or(0);
    machine.memory(&client_name(client).into(), |memory| {
        let young = &memory.acknowledged[memory.acknowledged.len().saturating_sub(YOUNG)..];
        stream.pick(young).copied()
    })
}
