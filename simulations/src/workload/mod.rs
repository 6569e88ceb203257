//! What is asked of the node in a simulated world.
//!
//! Clients run in the node's host, as embedded callers. What they remember lies outside of it, so after a
//! crash they go on: they send again what had no answer, and say results that nobody waits for any more.

mod client;
mod operator;
mod outside;
mod question;
mod wish;

pub(crate) use operator::look;

use std::sync::Arc;
use std::time::Duration;

use synod::node::domain::id::{TaskId, TokenId};
use synod::node::domain::token::TokenHash;
use synod::node::{Error, Node, Pool};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::machine::Machine;

/// The pool of native agents.
const INSIDE: &str = "inside";
/// The pool of agents that claim and complete from outside.
const OUTSIDE: &str = "outside";
/// The name under which hosts register the native agent.
pub(crate) const NATIVE: &str = "scripted";

/// How many tasks a native agent may hold.
pub(crate) const SLOTS_INSIDE: u32 = 4;
/// How many tasks an agent outside may hold.
pub(crate) const SLOTS_OUTSIDE: u32 = 2;

/// Clients that submit, wait and cancel.
const CLIENTS: usize = 3;
/// Who governs.
const OPERATOR: &str = "operator";
/// Agents outside.
const AGENTS: usize = 2;

/// What a client keeps through the lives of the node.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    /// Submits under a key, and whether they were answered.
    keyed: Vec<Keyed>,
    /// How many keys it has used.
    keys: u64,
    /// Tasks that the node acknowledged.
    acknowledged: Vec<TaskId>,
    /// Attempts that an agent has in hand.
    held: Vec<Held>,
    /// Tokens with the hash of the text that opens them, as far as that was acknowledged.
    tokens: Vec<(TokenId, TokenHash)>,
}

#[derive(Debug, Clone)]
struct Keyed {
    key: Arc<str>,
    content: u64,
    answered: bool,
}

#[derive(Debug, Clone)]
struct Held {
    task: TaskId,
    attempt: u32,
    /// When it says its result, since the world began.
    due: Duration,
    /// Whether it says that it lives until then.
    lively: bool,
    fails: bool,
}

/// The pause before pools are put again that could not be.
const AGAIN: Duration = Duration::from_millis(200);

/// Creates the pools and lets those clients go on that work with this node.
pub(crate) async fn start(node: Arc<Node>, machine: Arc<Machine>, life: u32) {
    while put_pools(&node).await.is_err() {
        sleep(AGAIN).await;
    }
    let mut tasks = JoinSet::new();
    let here = |number: usize| machine.node_of(number) == machine.node;
    for number in (0..CLIENTS).filter(|number| here(*number)) {
        let name = client_name(number).into();
        tasks.spawn(client::run(Arc::clone(&node), Arc::clone(&machine), name, life));
    }
    if here(CLIENTS) {
        tasks.spawn(operator::run(Arc::clone(&node), Arc::clone(&machine), life));
    }
    for number in (0..AGENTS).filter(|number| here(CLIENTS + 1 + number)) {
        let name = format!("agent-{number}").into();
        tasks.spawn(outside::run(Arc::clone(&node), Arc::clone(&machine), name, life));
    }
    while tasks.join_next().await.is_some() {}
}

async fn put_pools(node: &Node) -> Result<(), Error> {
    node.put_pool(Pool::native(INSIDE, NATIVE)?.size(4).concurrency(SLOTS_INSIDE)).await?;
    node.put_pool(Pool::external(OUTSIDE)?).await.map(drop)
}

/// The name of a client, and of the workspace in which it works.
fn client_name(number: usize) -> String {
    format!("client-{number}")
}
