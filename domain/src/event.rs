//! What happened, told to everybody who listens after it is durable.
//!
//! In JSON each is an object whose `type` is its [kind](Event::kind). What an event is about, for those who listen
//! to some only, is in [`about`].

mod about;
mod governing;

pub use governing::Governing;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::agent::AgentStatus;
use crate::id::{AgentId, NodeId, RunId, TaskId, TokenId};
use crate::name::Name;
use crate::node::NodeRole;
use crate::pause::Pausable;
use crate::task::{Lane, MailboxId, Phase, Progress};
use crate::time::Timestamp;
use crate::{mailbox_path, pause};

/// One fact. Events of one entry are told together and in order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Event {
    /// A task was accepted.
    TaskSubmitted {
        /// Which.
        task: TaskId,
        /// Whose.
        workspace: Name,
        /// What sort of work it is.
        kind: Name,
        /// Where it waits.
        #[serde(with = "mailbox_path::text")]
        mailbox: MailboxId,
        /// In which lane.
        lane: Lane,
        /// The run it belongs to.
        run: Option<RunId>,
    },
    /// An agent got a lease.
    TaskLeased {
        /// Which task.
        task: TaskId,
        /// Whose.
        workspace: Name,
        /// Who has it.
        agent: AgentId,
        /// Under which attempt.
        attempt: u32,
    },
    /// Work began.
    TaskStarted {
        /// Which task.
        task: TaskId,
        /// Whose.
        workspace: Name,
        /// Who does it.
        agent: AgentId,
        /// Under which attempt.
        attempt: u32,
    },
    /// An attempt said how far it is.
    TaskProgressed {
        /// Which task.
        task: TaskId,
        /// Whose.
        workspace: Name,
        /// How far.
        progress: Progress,
    },
    /// A lease ended without an end of the task; it waits again.
    TaskReturned {
        /// Which task.
        task: TaskId,
        /// Whose.
        workspace: Name,
        /// Who had it.
        agent: AgentId,
        /// The attempt that is over.
        attempt: u32,
        /// Why.
        reason: Arc<str>,
        /// When it is taken up again at the earliest.
        until: Timestamp,
    },
    /// The task is in its mailbox again: its backoff is over, or it is kept for no other region any more.
    TaskReady {
        /// Which task.
        task: TaskId,
        /// Whose.
        workspace: Name,
        /// Where it waits.
        #[serde(with = "mailbox_path::text")]
        mailbox: MailboxId,
    },
    /// A waiting task moved to another lane.
    TaskRose {
        /// Which task.
        task: TaskId,
        /// Whose.
        workspace: Name,
        /// Its lane.
        lane: Lane,
    },
    /// A task is over.
    TaskEnded {
        /// Which task.
        task: TaskId,
        /// Whose.
        workspace: Name,
        /// How.
        phase: Phase,
        /// Why, unless it completed.
        reason: Option<Arc<str>>,
        /// Who held its lease.
        agent: Option<AgentId>,
        /// The run it belongs to.
        run: Option<RunId>,
    },
    /// A dead letter was redriven or purged.
    DeadLetterRemoved {
        /// Which task.
        task: TaskId,
        /// Whose.
        workspace: Name,
    },
    /// An agent was registered.
    AgentRegistered {
        /// Which.
        agent: AgentId,
        /// Its name.
        name: Name,
        /// Its pool.
        pool: Option<Name>,
    },
    /// An agent's status changed.
    AgentChanged {
        /// Which.
        agent: AgentId,
        /// What it is from here on.
        status: AgentStatus,
        /// Why.
        reason: Arc<str>,
        /// Whose it is.
        #[serde(default)]
        workspace: Name,
    },
    /// An agent was forgotten.
    AgentRemoved {
        /// Which.
        agent: AgentId,
        /// Whose it was.
        #[serde(default)]
        workspace: Name,
    },
    /// A pool was created or changed.
    PoolChanged {
        /// Which.
        pool: Name,
        /// How many agents it should have.
        target: u32,
    },
    /// A pool was removed.
    PoolRemoved {
        /// Which.
        pool: Name,
        /// Whose it was.
        #[serde(default)]
        workspace: Name,
    },
    /// A run was opened.
    RunStarted {
        /// Which.
        run: RunId,
        /// Of which fleet.
        fleet: Name,
    },
    /// A run was closed.
    RunEnded {
        /// Which.
        run: RunId,
    },
    /// Nothing of it is given out from here on.
    Paused {
        /// What.
        #[serde(with = "pause::text")]
        what: Pausable,
        /// Why.
        reason: Arc<str>,
    },
    /// A pause is over.
    Resumed {
        /// Of what.
        #[serde(with = "pause::text")]
        what: Pausable,
    },
    /// A token was made.
    TokenCreated {
        /// Which.
        token: TokenId,
        /// Its name.
        name: Name,
    },
    /// A token got a new text.
    TokenRotated {
        /// Which.
        token: TokenId,
        /// Its name.
        name: Name,
    },
    /// A token was ended before its time.
    TokenRevoked {
        /// Which.
        token: TokenId,
        /// Its name.
        name: Name,
    },
    /// A node was admitted to the cluster.
    NodeAdmitted {
        /// Which.
        node: NodeId,
        /// Its name.
        name: Name,
        /// What it is called in the Raft group.
        number: u64,
        /// What it does there.
        role: NodeRole,
    },
    /// A node has started and is counted on.
    NodeStarted {
        /// Which.
        node: NodeId,
        /// Its name.
        name: Name,
        /// The number of its start.
        generation: u64,
    },
    /// A node was taken for gone; the leases of its agents have ended.
    NodeDown {
        /// Which.
        node: NodeId,
        /// Why.
        reason: Arc<str>,
    },
    /// A node that was taken for gone is counted on again.
    NodeUp {
        /// Which.
        node: NodeId,
        /// Why.
        reason: Arc<str>,
    },
    /// A node gives its agents away, or does not do so any more.
    NodeDraining {
        /// Which.
        node: NodeId,
        /// Whether it does from here on.
        draining: bool,
        /// Why.
        reason: Arc<str>,
    },
    /// A node became a voter or a worker.
    NodeRoleChanged {
        /// Which.
        node: NodeId,
        /// What it is from here on.
        role: NodeRole,
    },
    /// A node was taken out of the cluster.
    NodeRemoved {
        /// Which.
        node: NodeId,
        /// Why.
        reason: Arc<str>,
    },
    /// A node began to lead.
    TermBegun {
        /// Which.
        node: NodeId,
        /// In which term.
        term: u64,
    },
    /// A task was accepted and is kept here until another region has it.
    TaskKept {
        /// Which task.
        task: TaskId,
        /// Whose.
        workspace: Name,
        /// What sort of work it is.
        kind: Name,
        /// The region that it is for.
        region: Name,
    },
    /// A kept task is offered to a region, which may have it from here on.
    TaskOffered {
        /// Which task.
        task: TaskId,
        /// Whose.
        workspace: Name,
        /// To which region.
        region: Name,
    },
    /// A region does not take a kept task.
    TaskRefusedThere {
        /// Which task.
        task: TaskId,
        /// Whose.
        workspace: Name,
        /// Which region.
        region: Name,
        /// Why.
        reason: Arc<str>,
    },
    /// A region has a task that was kept here; here only a pointer is left of it.
    TaskForwarded {
        /// Which task.
        task: TaskId,
        /// Whose.
        workspace: Name,
        /// Which region has it.
        region: Name,
    },
    /// A task's turn had come, and something holds it back.
    TaskParked {
        /// Which task.
        task: TaskId,
        /// Whose.
        workspace: Name,
        /// The word for what holds it back, as [`ParkedOn::word`](crate::parking::ParkedOn::word) says it.
        on: Arc<str>,
        /// What holds it back, for a person.
        what: Arc<str>,
    },
    /// Something happened to what governs.
    Governed {
        /// What.
        what: Governing,
        /// To which policy, budget, breaker and so on: its name or id.
        subject: Arc<str>,
        /// Whose it is, if it is somebody's.
        workspace: Option<Name>,
        /// The task that it is about, if it is about one.
        task: Option<TaskId>,
        /// The agent that it is about, if it is about one.
        agent: Option<AgentId>,
        /// More of it, for a person.
        detail: Arc<str>,
    },
}
