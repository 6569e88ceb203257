//! What happened in a world, in order: the only thing that judges look at.
//!
//! It lies outside of every host, so it survives their crashes. Promises that each record carries the
//! simulated time at which it was made. A question without an answer was cut off by a crash: its outcome is
//! unknown, and never "no".

mod concerns;
mod governing;
mod plan;
mod tenants;

pub use governing::{Account, Breaker, Change, Circuit, Governance, Ledger, Postbox, Recorded};
pub use plan::{Covers, Fuse, Plan, Promise};
pub use tenants::{Thing, Verb};

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::Value;
use synod::node::domain::event::Event;
use synod::node::domain::id::{AgentId, NodeId, TaskId, TokenId, WebhookId};
use synod::node::domain::name::Name;
use synod::node::domain::node::NodeRole;
use synod::node::domain::pause::Pausable;
use synod::node::domain::task::{Lane, Phase, Usage};
use synod::node::domain::time::Timestamp;

use crate::clock::SimulatedClock;
use crate::faults::Fault;
use crate::script::Act;

/// What a node says that the others have removed, in its own words.
pub(crate) const WAS_REMOVED: &str = "it was removed";

/// One fact and when it was noted.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// Since the world began.
    pub at: Duration,
    /// The node that it is about or that told it, by the number of its host from 1; `None` is the world.
    pub node: Option<u64>,
    /// What.
    pub fact: Fact,
}

/// What can happen in a world.
#[derive(Debug, Clone, PartialEq)]
pub enum Fact {
    /// The world began.
    Began {
        /// Its whole input, besides what follows.
        seed: u64,
        /// How long faults and new work go on.
        duration: Duration,
        /// Whether faults were asked for.
        faults: bool,
        /// How many nodes it begins with.
        nodes: u64,
    },
    /// What its clients ask for was drawn or said.
    Planned(Plan),
    /// The world did something, to this node or to several.
    Injected(Fault),
    /// A fault of some length is over.
    Healed(Fault),
    /// What a crash found waiting for the disk, and what survived of it.
    Lost {
        /// Writes that were not synced.
        unsynced: usize,
        /// How many of them, from the first, are on the disk all the same.
        kept: usize,
    },
    /// What became of datagrams in all.
    Datagrams {
        /// How many were lost on purpose.
        lost: u64,
        /// How many came twice on purpose.
        doubled: u64,
        /// How many were held back until another had come.
        late: u64,
    },
    /// No fault and no new work from here on.
    FaultsEnded,
    /// The node was started.
    Starting {
        /// Its life, from 1.
        life: u32,
    },
    /// The node takes work, and everything was looked at.
    Started {
        /// Its life.
        life: u32,
    },
    /// The node was let into the cluster.
    Admitted {
        /// Under this number in the group.
        number: u64,
    },
    /// The node says that it leads, or that it leads no more.
    Leads {
        /// In which term.
        term: Option<u64>,
    },
    /// The node has applied an entry of its log.
    Applied {
        /// Its place.
        index: u64,
        /// The term of the leader who proposed it.
        term: u64,
        /// Of its bytes.
        hash: u64,
    },
    /// The node's log had an entry at its start that its state did not have: it may never be decided.
    Stored {
        /// Its place.
        index: u64,
        /// The term of the leader who proposed it.
        term: u64,
        /// Of its bytes.
        hash: u64,
    },
    /// The node passed over entries of which nobody has told anything: what they brought about is looked up.
    Skipped,
    /// The node's state after an entry.
    State {
        /// The last entry in it.
        index: u64,
        /// Of all its rows.
        hash: u64,
    },
    /// Every node stands at one place in the log, and this is the state of this one: the last word of each.
    Rests {
        /// The last entry in it.
        index: u64,
        /// Of all its rows.
        hash: u64,
    },
    /// The node ended by itself.
    NodeFailed {
        /// What it said.
        reason: String,
    },
    /// The node found something on its disk that was not what it had written, and made it anew from what was.
    Repaired {
        /// What was wrong.
        reason: String,
    },
    /// The node stopped because it was told to.
    Stopped,
    /// The machine has gone for good: its node has left the cluster.
    Gone,
    /// Something that a client or an agent of an embedder said, for judges of their own.
    Noted {
        /// Who.
        by: Arc<str>,
        /// What, as JSON.
        what: Value,
    },
    /// A fault of a schedule was due and could not be: its node was away.
    Missed(Fault),
    /// A panic that no script asked for.
    Panicked {
        /// Where and why.
        message: String,
    },
    /// How a task stands in the node's state or history, looked up.
    Stands(Standing),
    /// The node could not read how a task stands, and said so.
    Unread {
        /// Which.
        task: TaskId,
        /// What it said.
        why: String,
    },
    /// The node could not read the result of a task, and said so; it is asked again.
    NoResult {
        /// Of which.
        task: TaskId,
        /// What it said.
        why: String,
    },
    /// Everything that is paused, looked up.
    Paused(Vec<Pausable>),
    /// A token that was acknowledged, looked up.
    Token {
        /// Which.
        token: TokenId,
        /// Whether its text is taken.
        opens: bool,
    },
    /// The node told an event.
    Happened {
        /// The entry of the log that brought it about.
        index: u64,
        /// The time of that entry.
        at: Timestamp,
        /// The event.
        event: Event,
    },
    /// A native agent began an attempt.
    Acts {
        /// Which task.
        task: TaskId,
        /// Under which attempt.
        attempt: u32,
        /// What it is going to do.
        act: Act,
    },
    /// An attempt is about to say what it used, with its end. Whether that is taken is said elsewhere.
    Uses {
        /// Which task.
        task: TaskId,
        /// Under which attempt.
        attempt: u32,
        /// What it says.
        usage: Usage,
    },
    /// What the node says that all attempts of a task used, looked up at the end.
    Used {
        /// Which task.
        task: TaskId,
        /// In all.
        usage: Usage,
    },
    /// An agent is about to say that it used so many tokens more, while it works.
    Spends {
        /// For which task.
        task: TaskId,
        /// Under which attempt.
        attempt: u32,
        /// How many.
        tokens: u64,
    },
    /// How everything that governs stands, looked up.
    Governs(Governance),
    /// A receiver was told something by the node.
    Told {
        /// By which webhook.
        webhook: WebhookId,
        /// The number of the message.
        seq: u64,
        /// What happened, as a word.
        topic: Arc<str>,
        /// Whose it is, if it is somebody's.
        workspace: Option<Name>,
        /// Of what is told.
        hash: u64,
        /// Whether it took it. Whether the node hears that is another question.
        taken: bool,
    },
    /// Records of the audit log, looked up; of the whole log at the end.
    Trail(Vec<Recorded>),
    /// The node has checked its audit log.
    Checked {
        /// Up to which record.
        to: u64,
        /// What is wrong with it.
        broken: Option<String>,
    },
    /// What somebody of a workspace is shown in lists.
    Shown {
        /// Of which workspace they are.
        workspace: Name,
        /// What they are shown: the first of everything.
        things: Vec<Thing>,
    },
    /// The dead letters that wait for somebody to decide about them, looked up at the end.
    Letters(Vec<TaskId>),
    /// A client asked something of the node.
    Asked {
        /// Pairs it with its answer.
        question: u64,
        /// Who asked.
        client: Arc<str>,
        /// What.
        request: Request,
    },
    /// The node answered.
    Answered {
        /// What was asked.
        question: u64,
        /// What it said.
        answer: Answer,
    },
    /// The world was closed and looked at for the last time.
    Closed,
}

/// How a task stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Standing {
    /// Which task.
    pub task: TaskId,
    /// Where it is in its life; `None` when the node knows of no such task.
    pub phase: Option<Phase>,
    /// The number of its last lease.
    pub attempt: u32,
    /// Who holds its lease.
    pub holder: Option<AgentId>,
    /// The attempt that its result says it is of.
    pub result_of: Option<u32>,
}

/// What clients ask.
#[derive(Debug, Clone, PartialEq)]
pub enum Request {
    /// To take a task.
    Submit {
        /// The client's own name for it.
        key: Option<Arc<str>>,
        /// Differs when the content does.
        content: u64,
        /// The pool it is for.
        pool: Arc<str>,
    },
    /// To tell when a task has ended.
    Wait {
        /// Which.
        task: TaskId,
    },
    /// To show how a task stands, as new as anything that was answered before.
    Look {
        /// Which.
        task: TaskId,
    },
    /// To call a task off.
    Cancel {
        /// Which.
        task: TaskId,
    },
    /// To take an agent in.
    Register {
        /// Which.
        agent: AgentId,
        /// How many tasks it may hold.
        slots: u32,
    },
    /// To give an agent work.
    Claim {
        /// Which agent.
        agent: AgentId,
    },
    /// To take a sign of life.
    Heartbeat {
        /// Of which task.
        task: TaskId,
        /// Of which attempt.
        attempt: u32,
    },
    /// To take a result.
    Complete {
        /// Of which task.
        task: TaskId,
        /// Of which attempt.
        attempt: u32,
    },
    /// To take a failure.
    Fail {
        /// Of which task.
        task: TaskId,
        /// Of which attempt.
        attempt: u32,
    },
    /// To take the word that a provider wants a pause.
    Limited {
        /// Of which task.
        task: TaskId,
        /// Of which attempt.
        attempt: u32,
        /// How long.
        pause: Duration,
    },
    /// To give something out no more.
    Pause {
        /// What.
        what: Pausable,
    },
    /// To give it out again.
    Resume {
        /// What.
        what: Pausable,
    },
    /// To make a token.
    PutToken {
        /// Which.
        token: TokenId,
    },
    /// To give a token a new text.
    RotateToken {
        /// Which.
        token: TokenId,
    },
    /// To end a token.
    RevokeToken {
        /// Which.
        token: TokenId,
    },
    /// To submit a dead letter again.
    Redrive {
        /// Which.
        letter: TaskId,
        /// As which task.
        task: TaskId,
    },
    /// To drop a dead letter.
    Purge {
        /// Which.
        letter: TaskId,
    },
    /// To let a pool have so many agents.
    Scale {
        /// Which pool.
        pool: Name,
        /// How many.
        target: u32,
    },
    /// To let a pool finish its work and be gone.
    Retire {
        /// Which pool.
        pool: Name,
    },
    /// To create a pool, or to change it.
    PutPool {
        /// Which pool.
        pool: Name,
    },
    /// To move a task to another lane.
    SetLane {
        /// Which task.
        task: TaskId,
        /// Which lane.
        lane: Lane,
    },
    /// To take a lease back that was not used.
    Release {
        /// Of which task.
        task: TaskId,
        /// Of which attempt.
        attempt: u32,
    },
    /// To give a node a vote, or to take it.
    SetRole {
        /// Which node.
        node: NodeId,
        /// What it is to be.
        role: NodeRole,
    },
    /// To let another node lead.
    Transfer,
    /// To let a node give its agents away, or to keep them again.
    Drain {
        /// Which.
        node: NodeId,
        /// Whether it gives them away.
        drains: bool,
    },
    /// To change something that governs, or to look at it.
    Govern(Change),
    /// To have something, as somebody of a workspace: it may be another's.
    Reach {
        /// Of which workspace they are.
        workspace: Name,
        /// For what.
        thing: Thing,
        /// What they want of it.
        verb: Verb,
    },
}

/// What the node answers.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// Nothing more to say.
    Done,
    /// The task is durable.
    Submitted(TaskId),
    /// The task is over.
    Ended(Phase),
    /// The task stands so, under this last attempt; `None` when the node knows of no such task.
    Looked(Option<(Phase, u32)>),
    /// These leases are granted: task and attempt.
    Claimed(Vec<(TaskId, u32)>),
    /// The rules refuse it, with their code.
    Refused {
        /// For programs.
        code: &'static str,
        /// For people.
        text: String,
    },
    /// The node could not; what became of it is not known.
    Failed(String),
}

/// Takes facts. Clones write into the same history.
#[derive(Debug, Clone)]
pub struct History {
    clock: Arc<SimulatedClock>,
    node: Option<u64>,
    records: Arc<Mutex<Vec<Record>>>,
}

impl History {
    /// Begins an empty one, on the world's clock.
    pub fn new(clock: Arc<SimulatedClock>) -> Self {
        Self { clock, node: None, records: Arc::default() }
    }

    /// Returns it as a node writes into it.
    #[must_use]
    pub fn of(&self, node: u64) -> Self {
        Self { node: Some(node), ..self.clone() }
    }

    /// Notes a fact.
    pub fn note(&self, fact: Fact) {
        let at = self.clock.elapsed();
        self.records.lock().push(Record { at, node: self.node, fact });
    }

    /// Returns the time since the world began.
    pub fn elapsed(&self) -> Duration {
        self.clock.elapsed()
    }

    /// Lets somebody look at what was noted from a place on, and returns the place behind it.
    pub(crate) fn look(&self, from: usize, mut look: impl FnMut(&Record)) -> usize {
        let records = self.records.lock();
        records.iter().skip(from).for_each(&mut look);
        records.len()
    }

    /// Returns everything noted so far, and forgets it.
    pub(crate) fn take(&self) -> Vec<Record> {
        std::mem::take(&mut *self.records.lock())
    }
}
