//! Plugs the cluster, the storage and the runtimes into the ports of the actors.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::RwLock;
use synod_actors::events::{EventHub, Happening};
use synod_actors::ports::{AgentRuntime, Blobs, Journal, JournalError, Runtimes};
use synod_actors::runtimes::process::{ProcessNode, ProcessRuntime};
use synod_cluster::blobs::{Copies, Logs};
use synod_cluster::consensus::Consensus;
use synod_cluster::journal::{AskError, Forwarder};
use synod_cluster::machine::EventSink;
use synod_cluster::proposer::{ProposeError, Proposer};
use synod_domain::agent::{PoolSpec, RuntimeSpec};
use synod_domain::audit::{Actor, ActorKind};
use synod_domain::command::Command;
use synod_domain::event::Event;
use synod_domain::id::{NodeId, RequestId, TaskId};
use synod_domain::name::Name;
use synod_domain::reply::Answer;
use synod_domain::state::State;
use synod_domain::time::Timestamp;
use synod_storage::BlobId;
use tokio::sync::watch;

use crate::node::feed::Feed;
use crate::node::natives::Natives;

/// How a node gets into the log.
enum Way {
    /// It is alone and leads.
    Alone(Proposer),
    /// It asks whoever leads.
    Member(Forwarder),
}

/// The Raft log as the actors' journal, until the node stops.
pub(super) struct RaftJournal {
    way: RwLock<Option<Arc<Way>>>,
    state: Arc<RwLock<State>>,
    /// Asks for what nobody else does.
    itself: Arc<Actor>,
}

/// Returns a node as it asks for what it sees to by itself.
fn itself(node: NodeId) -> Arc<Actor> {
    Arc::new(Actor::of(ActorKind::Node, &node.to_string()))
}

impl RaftJournal {
    pub(super) fn alone(proposer: Proposer, state: Arc<RwLock<State>>, node: NodeId) -> Self {
        Self { way: RwLock::new(Some(Arc::new(Way::Alone(proposer)))), state, itself: itself(node) }
    }

    pub(super) fn member(forwarder: Forwarder, state: Arc<RwLock<State>>, node: NodeId) -> Self {
        Self { way: RwLock::new(Some(Arc::new(Way::Member(forwarder)))), state, itself: itself(node) }
    }

    /// Lets go of the log, and with it of the data folder. The state can still be read.
    pub(super) fn close(&self) {
        *self.way.write() = None;
    }

    fn way(&self) -> Result<Arc<Way>, JournalError> {
        self.way.read().clone().ok_or(JournalError::Stopped)
    }
}

#[async_trait]
impl Journal for RaftJournal {
    async fn propose(&self, id: RequestId, command: Command) -> Result<Answer, JournalError> {
        let command = command.by(&self.itself);
        match &*self.way()? {
            Way::Alone(proposer) => {
                let settled = proposer.propose(id, command).await;
                settled.map(|settled| settled.answer).map_err(journal_error)
            }
            Way::Member(forwarder) => forwarder.propose(id, command).await.map_err(ask_error),
        }
    }

    async fn tick(&self) -> Result<(), JournalError> {
        match &*self.way()? {
            Way::Alone(proposer) => proposer.tick().await.map_err(journal_error),
            Way::Member(forwarder) => forwarder.tick().await.map_err(ask_error),
        }
    }

    fn read(&self, look: &mut dyn FnMut(&State)) {
        look(&self.state.read());
    }
}

/// The log for what runs only where this node leads: bound to one term, and never asks another node.
pub(super) struct TermJournal {
    proposer: Proposer,
    state: Arc<RwLock<State>>,
    leadership: watch::Receiver<Option<u64>>,
    term: u64,
    itself: Arc<Actor>,
}

impl TermJournal {
    pub(super) fn new(consensus: &Consensus, term: u64, node: NodeId) -> Self {
        let (proposer, state) = (consensus.proposer().of_term(term), consensus.state());
        Self { proposer, state, leadership: consensus.leadership(), term, itself: itself(node) }
    }

    /// Does something while the term lasts.
    async fn within_term<T>(
        &self,
        proposal: impl Future<Output = Result<T, ProposeError>>,
    ) -> Result<T, JournalError> {
        let mut leadership = self.leadership.clone();
        if *leadership.borrow_and_update() != Some(self.term) {
            return Err(JournalError::NotLeader);
        }
        tokio::select! {
            biased;
            outcome = proposal => outcome.map_err(journal_error),
            _ = leadership.wait_for(|term| *term != Some(self.term)) => {
                Err(JournalError::Unknown("the term ended meanwhile".to_owned()))
            }
        }
    }
}

#[async_trait]
impl Journal for TermJournal {
    async fn propose(&self, id: RequestId, command: Command) -> Result<Answer, JournalError> {
        let command = command.by(&self.itself);
        self.within_term(self.proposer.propose(id, command)).await.map(|settled| settled.answer)
    }

    async fn tick(&self) -> Result<(), JournalError> {
        self.within_term(self.proposer.tick()).await
    }

    fn read(&self, look: &mut dyn FnMut(&State)) {
        look(&self.state.read());
    }
}

pub(super) fn ask_error(error: AskError) -> JournalError {
    match error {
        AskError::Stopped => JournalError::Stopped,
        AskError::NoLeader(missing) => JournalError::NoLeader(missing),
        AskError::Overloaded => JournalError::Overloaded,
        AskError::NoSpace => JournalError::NoSpace,
        AskError::Unknown(why) => JournalError::Unknown(why),
        AskError::Failed(why) => JournalError::NoLeader(format!("the leader does not take it: {why}")),
    }
}

fn journal_error(error: ProposeError) -> JournalError {
    match error {
        ProposeError::Stopped => JournalError::Stopped,
        ProposeError::NotLeader => JournalError::NotLeader,
        ProposeError::Overloaded => JournalError::Overloaded,
        ProposeError::NoSpace => JournalError::NoSpace,
        ProposeError::Unknown(why) => JournalError::Unknown(why),
    }
}

/// The actors' event hub and the feed as the log's event sink.
pub(super) struct HubSink {
    pub(super) hub: EventHub,
    pub(super) feed: Feed,
    /// What was agreed, once it is there.
    pub(super) state: Arc<OnceLock<Arc<RwLock<State>>>>,
}

impl HubSink {
    /// Says whose those events are that do not say it themselves: rare ones, about agents, pools and their like. The next
    /// entry is applied when this one was told, so the state is as it was left by this one.
    fn whose(&self, events: &[Event]) -> BTreeMap<usize, Name> {
        let mut silent =
            events.iter().enumerate().filter(|(_, event)| event.workspace().is_none()).peekable();
        let Some(state) = self.state.get().filter(|_| silent.peek().is_some()) else {
            return BTreeMap::new();
        };
        let state = state.read();
        silent
            .filter_map(|(slot, event)| Some((slot, state.workspace_of_event(event)?.into_owned())))
            .collect()
    }
}

impl EventSink for HubSink {
    fn publish(&self, index: u64, at: Timestamp, events: Vec<Event>) {
        let whose = self.whose(&events);
        let happening = Arc::new(Happening { index, at, events, whose });
        self.feed.tell(happening.clone());
        self.hub.publish(happening);
    }

    fn skip(&self, index: u64, at: Timestamp) {
        self.feed.skip(index);
        self.hub.skip(index, at);
    }
}

/// The node's blob store as the actors' blobs, until the node stops. On a member, what is put is on a majority of
/// the voters too, and what is missing comes from others.
pub(super) struct StoredBlobs(RwLock<Option<Store>>);

#[derive(Clone)]
enum Store {
    Alone(Arc<dyn synod_storage::Blobs>),
    Member(Copies),
}

impl StoredBlobs {
    pub(super) fn alone(blobs: Arc<dyn synod_storage::Blobs>) -> Self {
        Self(RwLock::new(Some(Store::Alone(blobs))))
    }

    pub(super) fn member(copies: Copies) -> Self {
        Self(RwLock::new(Some(Store::Member(copies))))
    }

    /// Lets go of the store, and with it of the data folder.
    pub(super) fn close(&self) {
        *self.0.write() = None;
    }

    /// Returns the log of an attempt that another node has, asking `first` before the others.
    pub(super) async fn log_elsewhere(
        &self,
        task: TaskId,
        attempt: u32,
        first: Option<NodeId>,
        bytes_max: usize,
    ) -> Result<Option<Bytes>, String> {
        match self.store()? {
            Store::Alone(_) => Ok(None),
            Store::Member(copies) => copies.log(task, attempt, first, bytes_max).await,
        }
    }

    fn store(&self) -> Result<Store, String> {
        self.0.read().clone().ok_or_else(|| "the node has stopped".to_owned())
    }
}

#[async_trait]
impl Blobs for StoredBlobs {
    async fn put(&self, bytes: &Bytes) -> Result<[u8; 32], String> {
        match self.store()? {
            Store::Alone(blobs) => blobs.put(bytes).map(|id| *id.digest()).map_err(|error| error.to_string()),
            Store::Member(copies) => copies.put(bytes).await,
        }
    }

    async fn get(&self, hash: &[u8; 32]) -> Result<Bytes, String> {
        match self.store()? {
            Store::Alone(blobs) => blobs.get(&BlobId::from_digest(*hash)).map_err(|error| error.to_string()),
            Store::Member(copies) => copies.get(hash).await,
        }
    }
}

/// The logs that programs left on this node, for others.
pub(super) struct ProgramLogs(pub(super) Option<ProcessNode>);

#[async_trait]
impl Logs for ProgramLogs {
    async fn read(&self, task: TaskId, attempt: u32) -> Result<Option<Bytes>, String> {
        match &self.0 {
            Some(processes) => processes.read_log(task, attempt).await.map_err(|error| error.to_string()),
            None => Ok(None),
        }
    }
}

/// What this node can run agents with.
pub(super) struct NodeRuntimes {
    pub(super) processes: Option<ProcessNode>,
    pub(super) natives: Natives,
}

impl Runtimes for NodeRuntimes {
    fn runtime_of(&self, pool: &PoolSpec) -> Result<Arc<dyn AgentRuntime>, String> {
        match &pool.runtime {
            RuntimeSpec::Process(process) => match &self.processes {
                Some(node) => Ok(Arc::new(ProcessRuntime::new(process.clone(), node.clone()))),
                None => Err("this node runs no programs; give it a data folder".to_owned()),
            },
            RuntimeSpec::Native(name) => Ok(self.natives.runtime(name)),
            RuntimeSpec::External => Err("external agents register themselves".to_owned()),
        }
    }
}
