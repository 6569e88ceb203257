//! What is asked of the node in a simulated world.
//!
//! Clients run in the node's host, as embedded callers. What they remember lies outside of it, so after a
//! crash they go on: they send again what had no answer, and say results that nobody waits for any more.
//! What kinds of things they ask is drawn for each world, [`Workloads`].

mod client;
mod governed;
mod impatient;
mod kinds;
mod letters;
mod operator;
mod outside;
mod pools;
mod question;
mod reader;
mod roles;
mod steward;
mod tenants;
mod wish;

pub(crate) use governed::{ASKS, ATTEMPTS, CALLERS, REFUSAL};
pub(crate) use governed::{Work, check as check_audit, needs_of, note_all as note_audit, wants_of};
pub(crate) use wish::Manners;

pub(crate) use governed::{look as look_at_governance, plan};
pub use kinds::{UnknownWorkload, Workload, Workloads};
pub(crate) use operator::look;
pub(crate) use question::ask;

use std::sync::Arc;
use std::time::Duration;

use synod::node::domain::command::Command;
use synod::node::domain::id::{RequestId, TaskId, TokenId};
use synod::node::domain::token::TokenHash;
use synod::node::{Error, Node, Pool};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::machine::Machine;
use crate::story::Story;

/// The pool of native agents, which do what the [`Script`](crate::script::Script) in a task's payload says.
pub const INSIDE: &str = "inside";
/// The pool of agents that register, claim and complete from outside.
pub const OUTSIDE: &str = "outside";
/// The name under which hosts register the native agent.
pub(crate) const NATIVE: &str = "scripted";

/// How many tasks a native agent may hold.
pub(crate) const SLOTS_INSIDE: u32 = 4;
/// How many tasks an agent outside may hold.
pub(crate) const SLOTS_OUTSIDE: u32 = 2;

/// Clients that submit, wait and cancel.
const CLIENTS: usize = 3;
/// Clients that do not wait long for an answer.
const IMPATIENT: usize = 1;
/// Who governs.
const OPERATOR: &str = "operator";
/// Who changes the cluster.
const STEWARD: &str = "steward";
/// Who decides about dead letters.
const CLERK: &str = "clerk";
/// Who changes pools.
const STOREKEEPER: &str = "storekeeper";
/// Who changes who votes and who leads.
const REGENT: &str = "regent";
/// Agents outside.
const AGENTS: usize = 2;

/// What a client keeps through the lives of the node.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    /// Submits under a key, and whether they were answered.
    keyed: Vec<Keyed>,
    /// How many keys it has used.
    keys: u64,
    /// Submits under a request id that nobody has answered.
    open: Vec<Open>,
    /// Tasks that the node acknowledged.
    acknowledged: Vec<TaskId>,
    /// Attempts that an agent has in hand.
    held: Vec<Held>,
    /// What an agent has asked a provider.
    calls: Vec<governed::Call>,
    /// When a provider was asked.
    requests: Vec<Duration>,
    /// Tokens with the hash of the text that opens them, as far as that was acknowledged.
    tokens: Vec<(TokenId, TokenHash)>,
}

#[derive(Debug, Clone)]
struct Keyed {
    key: Arc<str>,
    content: u64,
    answered: bool,
}

/// A submit that may have been taken or not.
#[derive(Debug, Clone)]
struct Open {
    request: RequestId,
    command: Command,
    content: u64,
    pool: &'static str,
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
    /// Whether its result is large.
    large: bool,
    /// How often it has said how it ended.
    said: u32,
}

/// The machine that never goes for good: whoever must be there to the end works with it.
const FIRST: u64 = 1;

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
    let governs = machine.has(Workload::Pauses) || machine.has(Workload::Tokens);
    if machine.node == FIRST && governs {
        tasks.spawn(operator::run(Arc::clone(&node), Arc::clone(&machine), life));
    }
    for number in (0..AGENTS).filter(|_| machine.has(Workload::Claims)) {
        let home = machine.node_of(CLIENTS + 1 + number);
        if machine.node == home || machine.node == FIRST {
            let name = format!("agent-{number}").into();
            tasks.spawn(outside::run(Arc::clone(&node), Arc::clone(&machine), name, home, life));
        }
    }
    for number in (0..IMPATIENT).filter(|number| here(CLIENTS + 2 + number) && machine.has(Workload::Retries))
    {
        let name = format!("{}{number}", kinds::IMPATIENT).into();
        tasks.spawn(impatient::run(Arc::clone(&node), Arc::clone(&machine), name, life));
    }
    if machine.node == FIRST && machine.has(Workload::Membership) {
        tasks.spawn(steward::run(Arc::clone(&node), Arc::clone(&machine), life));
    }
    if machine.node == FIRST && machine.has(Workload::Redrives) {
        tasks.spawn(letters::run(Arc::clone(&node), Arc::clone(&machine), life));
    }
    if machine.node == FIRST && machine.has(Workload::Pools) {
        tasks.spawn(pools::run(Arc::clone(&node), Arc::clone(&machine), life));
    }
    if machine.node == FIRST && machine.has(Workload::Roles) {
        tasks.spawn(roles::run(Arc::clone(&node), Arc::clone(&machine), life));
    }
    tasks.spawn(governed::run(Arc::clone(&node), Arc::clone(&machine), life));
    if machine.has(Workload::Tenants) {
        tasks.spawn(tenants::run(Arc::clone(&node), Arc::clone(&machine), life));
    }
    // One beside each node: whoever reads through a node that led shall not see what was.
    tasks.spawn(reader::run(Arc::clone(&node), Arc::clone(&machine), life));
    while tasks.join_next().await.is_some() {}
}

pub(crate) async fn put_pools(node: &Node) -> Result<(), Error> {
    node.put_pool(Pool::native(INSIDE, NATIVE)?.size(4).concurrency(SLOTS_INSIDE)).await?;
    node.put_pool(Pool::external(OUTSIDE)?).await.map(drop)
}

/// The name of a client, and of the workspace in which it works.
fn client_name(number: usize) -> String {
    format!("client-{number}")
}

impl Machine {
    /// Says what tasks may be like in this world.
    fn manners(&self) -> Manners {
        let has = |workload| self.has(workload);
        Manners { outside: has(Workload::Claims), large: has(Workload::Large), deadly: has(Workload::Deadly) }
    }

    /// Tells whether clients of this world ask for such things.
    fn has(&self, workload: Workload) -> bool {
        match &self.story {
            Story::Clients(workloads) => workloads.has(workload),
            Story::Fleet(_) | Story::Replay(_) => false,
        }
    }
}
