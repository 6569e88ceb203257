//! Plugs the cluster, the storage and the runtimes into the ports of the actors.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::RwLock;
use synod_actors::events::{EventHub, Happening};
use synod_actors::ports::{AgentRuntime, Blobs, Journal, JournalError, Runtimes};
use synod_actors::runtimes::process::{ProcessNode, ProcessRuntime};
use synod_cluster::machine::EventSink;
use synod_cluster::proposer::{ProposeError, Proposer};
use synod_domain::agent::{PoolSpec, RuntimeSpec};
use synod_domain::command::Command;
use synod_domain::event::Event;
use synod_domain::id::RequestId;
use synod_domain::name::Name;
use synod_domain::reply::Answer;
use synod_domain::state::State;
use synod_domain::time::Timestamp;
use synod_storage::BlobId;

use crate::node::feed::Feed;

/// The Raft log as the actors' journal, until the node stops.
pub(super) struct RaftJournal {
    proposer: RwLock<Option<Proposer>>,
    state: Arc<RwLock<State>>,
}

impl RaftJournal {
    pub(super) fn new(proposer: Proposer, state: Arc<RwLock<State>>) -> Self {
        Self { proposer: RwLock::new(Some(proposer)), state }
    }

    /// Lets go of the log, and with it of the data folder. The state can still be read.
    pub(super) fn close(&self) {
        *self.proposer.write() = None;
    }

    fn proposer(&self) -> Result<Proposer, JournalError> {
        self.proposer.read().clone().ok_or(JournalError::Stopped)
    }
}

#[async_trait]
impl Journal for RaftJournal {
    async fn propose(&self, id: RequestId, command: Command) -> Result<Answer, JournalError> {
        self.proposer()?.propose(id, command).await.map_err(journal_error)
    }

    async fn tick(&self) -> Result<(), JournalError> {
        self.proposer()?.tick().await.map_err(journal_error)
    }

    fn read(&self, look: &mut dyn FnMut(&State)) {
        look(&self.state.read());
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
}

impl EventSink for HubSink {
    fn publish(&self, index: u64, at: Timestamp, events: Vec<Event>) {
        let happening = Arc::new(Happening { index, at, events });
        self.feed.tell(happening.clone());
        self.hub.publish(happening);
    }
}

/// The node's blob store as the actors' blobs, until the node stops.
pub(super) struct StoredBlobs(RwLock<Option<Arc<dyn synod_storage::Blobs>>>);

impl StoredBlobs {
    pub(super) fn new(blobs: Arc<dyn synod_storage::Blobs>) -> Self {
        Self(RwLock::new(Some(blobs)))
    }

    /// Lets go of the store, and with it of the data folder.
    pub(super) fn close(&self) {
        *self.0.write() = None;
    }

    fn store(&self) -> Result<Arc<dyn synod_storage::Blobs>, String> {
        self.0.read().clone().ok_or_else(|| "the node has stopped".to_owned())
    }
}

impl Blobs for StoredBlobs {
    fn put(&self, bytes: &[u8]) -> Result<[u8; 32], String> {
        self.store()?.put(bytes).map(|id| *id.digest()).map_err(|error| error.to_string())
    }

    fn get(&self, hash: &[u8; 32]) -> Result<Bytes, String> {
        self.store()?.get(&BlobId::from_digest(*hash)).map_err(|error| error.to_string())
    }
}

/// What this node can run agents with.
pub(super) struct NodeRuntimes {
    pub(super) processes: Option<ProcessNode>,
    pub(super) natives: BTreeMap<Name, Arc<dyn AgentRuntime>>,
}

impl Runtimes for NodeRuntimes {
    fn runtime_of(&self, pool: &PoolSpec) -> Result<Arc<dyn AgentRuntime>, String> {
        match &pool.runtime {
            RuntimeSpec::Process(process) => match &self.processes {
                Some(node) => Ok(Arc::new(ProcessRuntime::new(process.clone(), node.clone()))),
                None => Err("this node runs no programs; give it a data folder".to_owned()),
            },
            RuntimeSpec::Native(name) => self.natives.get(name).cloned().ok_or_else(|| {
                let known: Vec<&str> = self.natives.keys().map(Name::as_str).collect();
                format!(
                    "no native agent {name} is registered with this node; it has: {}",
                    if known.is_empty() { "none".to_owned() } else { known.join(", ") }
                )
            }),
            RuntimeSpec::External => Err("external agents register themselves".to_owned()),
        }
    }
}
