//! What the actors need of the world, as traits.
//!
//! The root crate plugs the real things in (the Raft journal, processes, the operating system's clock);
//! tests and the simulator plug in theirs. [`Clock`](synod_domain::sources::Clock) and
//! [`Entropy`](synod_domain::sources::Entropy) stand in the domain crate.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use synod_domain::agent::PoolSpec;
use synod_domain::command::Command;
use synod_domain::id::{AgentId, NodeId, RequestId};
use synod_domain::name::Name;
use synod_domain::reply::Answer;
use synod_domain::state::State;
use synod_domain::task::{TaskSpec, Usage};
use synod_domain::time::Timestamp;
use synod_domain::webhook::{Delivery, Webhook};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

/// The way to the log: every durable change goes through here.
#[async_trait]
pub trait Journal: Send + Sync + 'static {
    /// Proposes a command and answers once it is durable and applied.
    ///
    /// The same `id` is applied once, so a caller who got [`JournalError::Unknown`] sends it again.
    async fn propose(&self, id: RequestId, command: Command) -> Result<Answer, JournalError>;

    /// Lets time pass in the log, so that what is due happens.
    async fn tick(&self) -> Result<(), JournalError>;

    /// Shows the state as applied here. Short: writers wait meanwhile.
    fn read(&self, look: &mut dyn FnMut(&State));
}

/// Why a proposal has no answer. It says nothing about whether the command is right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JournalError {
    /// Nothing was written: the node is stopping or not started.
    #[error("the node is stopping")]
    Stopped,
    /// Nothing was written: another node leads.
    #[error("this node does not lead")]
    NotLeader,
    /// Nothing was written: no leader is known, and none came to be known in time.
    #[error("no leader is known here: {0}")]
    NoLeader(String),
    /// Nothing was written: too many proposals wait. Try again shortly.
    #[error("too many proposals wait for the disk; try again shortly")]
    Overloaded,
    /// Nothing was written: the disk has no room for new work. Work in hand can still end.
    #[error("the disk has no room for new work; free some space and submit again")]
    NoSpace,
    /// It may have been written or not. Sending it again under the same id is safe.
    #[error("the outcome is not known; send it again under the same request id: {0}")]
    Unknown(String),
}

/// What is rumoured of another node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Neighbour {
    /// Which node.
    pub node: NodeId,
    /// The number of the start that the rumour speaks of.
    pub generation: u64,
    /// Whether it is taken to be alive.
    pub alive: Alive,
}

/// Whether a node is taken to be alive, by rumour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alive {
    /// It answers.
    Alive,
    /// It did not answer, and may still refute that.
    Suspect,
    /// It did not refute in time.
    Dead,
    /// It said that it goes.
    Left,
}

/// What gossip says of the other nodes. Rumours: only what the leader proposes because of them is agreed.
pub trait Neighbours: Send + Sync + 'static {
    /// Returns the latest rumour of each node that was ever heard of; this node may be among them.
    fn seen(&self) -> Vec<Neighbour>;

    /// Returns after how long a live node of so many has been heard of that was taken for dead without a reason, for
    /// instance because it was cut off together with this one.
    fn patience(&self, members: usize) -> Duration;

    /// Counts the changes of what [`Neighbours::seen`] returns.
    fn changes(&self) -> watch::Receiver<u64>;
}

/// Takes signs of life of agents that run elsewhere to whoever leads.
#[async_trait]
pub trait Relay: Send + Sync + 'static {
    /// Tells the leader that these agents were heard; there they are noted with
    /// [`Handle::heard`](crate::liveness::Handle::heard).
    ///
    /// # Errors
    /// With a text for people: no leader is known, or it did not answer. They may be told again.
    async fn heard(&self, agents: Vec<AgentId>) -> Result<(), String>;
}

/// The neighbourhood of a node that stands alone: nobody is there, and nobody else leads.
#[derive(Debug)]
pub struct Alone(watch::Sender<u64>);

impl Default for Alone {
    fn default() -> Self {
        Self(watch::Sender::new(0))
    }
}

impl Neighbours for Alone {
    fn seen(&self) -> Vec<Neighbour> {
        Vec::new()
    }

    fn patience(&self, _: usize) -> Duration {
        Duration::ZERO
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.0.subscribe()
    }
}

#[async_trait]
impl Relay for Alone {
    async fn heard(&self, _: Vec<AgentId>) -> Result<(), String> {
        Ok(())
    }
}

/// The way to other regions, each a group of its own.
#[async_trait]
pub trait Regions: Send + Sync + 'static {
    /// Returns the region that this node belongs to.
    fn here(&self) -> &Name;

    /// Returns the other regions of which somebody is alive, by rumour.
    fn reachable(&self) -> BTreeSet<Name>;

    /// Counts the changes of what [`Regions::reachable`] returns.
    fn changes(&self) -> watch::Receiver<u64>;

    /// Offers a task that is kept here to another region, its payload with it. There it is proposed under `request`
    /// as [`Command::TakeOffered`]; the answer is that of its group.
    ///
    /// # Errors
    /// With a text for people: it is not known whether that region has it. It may be offered there again.
    async fn offer(&self, region: &Name, request: RequestId, spec: Arc<TaskSpec>) -> Result<Answer, String>;

    /// Submits a task of which nothing is kept here to another region, its payload beside it: what the spec says of
    /// its payload counts for nothing, and the other region stores the bytes. There it is proposed under `request` as
    /// [`Command::Submit`].
    ///
    /// # Errors
    /// With a text for people: it is not known whether that region has it. It may be sent again under that request.
    async fn submit_direct(
        &self,
        region: &Name,
        request: RequestId,
        spec: Arc<TaskSpec>,
        payload: Bytes,
    ) -> Result<Answer, String>;
}

/// The regions of a node that knows no others.
#[derive(Debug)]
pub struct NoRegions {
    here: Name,
    changes: watch::Sender<u64>,
}

impl NoRegions {
    /// Says in which region the node is.
    pub fn new(here: Name) -> Self {
        Self { here, changes: watch::Sender::new(0) }
    }
}

impl Default for NoRegions {
    fn default() -> Self {
        Self::new(Name::default())
    }
}

#[async_trait]
impl Regions for NoRegions {
    fn here(&self) -> &Name {
        &self.here
    }

    fn reachable(&self) -> BTreeSet<Name> {
        BTreeSet::new()
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    async fn offer(&self, region: &Name, _: RequestId, _: Arc<TaskSpec>) -> Result<Answer, String> {
        Err(format!("no region {region} is known here"))
    }

    async fn submit_direct(
        &self,
        region: &Name,
        _: RequestId,
        _: Arc<TaskSpec>,
        _: Bytes,
    ) -> Result<Answer, String> {
        Err(format!("no region {region} is known here"))
    }
}

/// Tells those who want to know what happens, over whatever they listen to.
#[async_trait]
pub trait Receivers: Send + Sync + 'static {
    /// Sends a message of a webhook, signed with the secrets that hold now, and returns when it was taken.
    ///
    /// # Errors
    /// When it was not, or may not have been: it is told again.
    async fn tell(&self, webhook: &Webhook, delivery: &Delivery, now: Timestamp) -> Result<(), NotTaken>;
}

/// Why a message was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotTaken {
    /// What was answered, if anything was.
    pub status: Option<u16>,
    /// Why, for a person.
    pub why: String,
    /// How long the receiver asks to be left alone.
    pub wait: Option<Duration>,
}

impl NotTaken {
    /// Says why, where nothing was answered.
    pub fn because(why: impl Into<String>) -> Self {
        Self { status: None, why: why.into(), wait: None }
    }
}

/// Finds the runtime that a pool's agents are run by.
pub trait Runtimes: Send + Sync + 'static {
    /// Returns the runtime for a pool.
    ///
    /// # Errors
    /// With a text for people: this node has no such runtime, and what to do.
    fn runtime_of(&self, pool: &PoolSpec) -> Result<Arc<dyn AgentRuntime>, String>;
}

/// Large payloads and results, by content.
#[async_trait]
pub trait Blobs: Send + Sync + 'static {
    /// Stores bytes durably, here and where they outlive this node; returns their SHA-256.
    ///
    /// # Errors
    /// With a text for people: too large, no room, disk error, too few nodes that take them.
    async fn put(&self, bytes: &Bytes) -> Result<[u8; 32], String>;

    /// Reads bytes back, verified; fetches them from another node when this one does not have them.
    ///
    /// # Errors
    /// With a text for people: missing, damaged, disk error.
    async fn get(&self, hash: &[u8; 32]) -> Result<Bytes, String>;
}

/// Something that can do an attempt: a program, a Rust type, later a session or a container.
#[async_trait]
pub trait AgentRuntime: Send + Sync + 'static {
    /// Checks what can be checked before any task is given, for example that the program is there.
    ///
    /// # Errors
    /// With a text for people: what is wrong and what to do.
    async fn prepare(&self) -> Result<(), String>;

    /// Does one attempt, to its end. Returns soon after `work.stop` is cancelled, and leaves nothing running.
    async fn run(&self, work: Work) -> Finish;
}

/// One attempt, as its runtime sees it.
#[derive(Debug)]
pub struct Work {
    /// What to do.
    pub spec: Arc<TaskSpec>,
    /// The payload's bytes, fetched.
    pub payload: Bytes,
    /// Who does it.
    pub agent: AgentId,
    /// What people call that agent.
    pub agent_name: Name,
    /// The attempt's number, the fencing token.
    pub attempt: u32,
    /// When the attempt is stopped at the latest.
    pub deadline: Option<Timestamp>,
    /// Cancelled when the attempt must stop: cancel, timeout, lease lost, node stopping.
    pub stop: CancellationToken,
    /// Where the attempt tells that it lives and how far it is. A full channel drops what is newest;
    /// reports are hints.
    pub reports: mpsc::Sender<Report>,
    /// Where the attempt asks whether it may use a tool. Each question is answered; a full channel waits.
    pub tools: mpsc::Sender<ToolRequest>,
}

/// May this tool be used? Asked by a running attempt.
#[derive(Debug)]
pub struct ToolRequest {
    /// Which tool, such as `shell.execute`.
    pub tool: String,
    /// What is said of its use; rules look at it, and exactly this is agreed to.
    pub attributes: serde_json::Map<String, serde_json::Value>,
    /// More of it for those who may have to agree.
    pub content: Option<String>,
    /// Where the answer goes, when there is one: as late as people take.
    pub answer: oneshot::Sender<ToolAnswer>,
}

/// What policies, and people where they had to agree, say to the use of a tool.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct ToolAnswer {
    /// Whether it may be used.
    pub allowed: bool,
    /// Why, for a person.
    pub reason: String,
    /// The policy that decided; none when a default did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// The approval that it took.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approval_id: Option<String>,
    /// What came of that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approval_status: Option<String>,
}

impl ToolAnswer {
    /// A no that no policy said: the question could not be asked.
    pub fn no(reason: String) -> Self {
        Self { allowed: false, reason, policy: None, approval_id: None, approval_status: None }
    }
}

/// What a running attempt says of itself.
#[derive(Debug, Clone, PartialEq)]
pub enum Report {
    /// It lives.
    Heartbeat,
    /// It lives and is this far.
    Progress {
        /// 0 to 100.
        percent: Option<u8>,
        /// For a person.
        message: Option<String>,
    },
    /// It lives and has used this much since its last report of usage.
    Usage {
        /// What it used.
        usage: Usage,
        /// By which model.
        model: Option<String>,
    },
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Finish {
    /// With a result: JSON text if it is JSON, else a JSON string holding the text.
    Completed {
        /// The result's bytes.
        result: Bytes,
    },
    /// Without one.
    Failed {
        /// Why, for a person.
        reason: String,
        /// Whether another attempt makes sense.
        retryable: bool,
    },
    /// Because it was told to stop; nothing of it runs any more.
    Stopped,
}
