//! A node in this process: storage, agreement and actors, started and stopped in order.
//!
//! ```text
//!  start: data folder ─► group of one voter ─► leads ─► actors        stop: the same, backwards
//! ```
//!
//! [`Node`] is the embedding facade; the binary uses nothing else. Every verb that changes something
//! answers after the change is durable.

mod builder;
mod error;
mod new;
mod tasks;
mod wiring;

pub use builder::Builder;
pub use error::Error;
pub use new::{NewTask, Pool};
pub use synod_actors::events;
pub use synod_domain as domain;
pub use synod_storage as storage;

use std::sync::Arc;
use std::time::Duration;

use synod_actors::events::{EventHub, Subscription};
use synod_actors::runtimes::process::ProcessNode;
use synod_actors::system::{System, World};
use synod_cluster::consensus::{Consensus, Status};
use synod_cluster::history::History;
use synod_domain::command::Command;
use synod_domain::id::NodeId;
use synod_domain::reply::Reply;
use synod_domain::state::State;
use synod_storage::Repair;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A running node. Dropping it without [`Node::stop`] is like a crash: nothing acknowledged is lost,
/// and work in hand is redelivered at the next start.
pub struct Node {
    world: World,
    consensus: Arc<Consensus>,
    system: System,
    history: History,
    processes: Option<ProcessNode>,
    repaired: Option<Repair>,
    failed: watch::Receiver<Option<String>>,
    drain: Duration,
    watchers: Vec<JoinHandle<()>>,
}

impl Node {
    /// Begins to describe a node.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Returns the node's id; it is bound to the data folder.
    pub fn id(&self) -> NodeId {
        self.world.node
    }

    /// Returns what had to be repaired in the data folder at the start.
    pub fn repaired(&self) -> Option<&Repair> {
        self.repaired.as_ref()
    }

    /// Reads something from the agreed state. Short: writers wait meanwhile.
    pub fn read<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        self.world.read(look)
    }

    /// Listens to what happens from here on.
    pub fn events(&self) -> Subscription {
        self.world.hub.subscribe()
    }

    /// Returns where the node stands in the log.
    pub fn status(&self) -> Status {
        self.consensus.status()
    }

    /// Returns the logs that process agents left, if this node runs any.
    pub fn processes(&self) -> Option<&ProcessNode> {
        self.processes.as_ref()
    }

    /// Waits until the node has failed for good, and returns why. Then only its end is left.
    pub async fn failed(&self) -> String {
        let mut failed = self.failed.clone();
        loop {
            if let Some(reason) = failed.borrow_and_update().clone() {
                return reason;
            }
            if failed.changed().await.is_err() {
                return "the node has stopped".to_owned();
            }
        }
    }

    /// Proposes a command and returns its reply once it is durable and applied. Sends it again under the
    /// same request id while the outcome is not known.
    ///
    /// # Errors
    /// When it is refused, or the node cannot take it.
    pub async fn propose(&self, command: Command) -> Result<Reply, Error> {
        Ok(self.world.propose(command).await??)
    }

    /// Stops in order, within the bound given at the start: no new work is handed out, agents finish
    /// what they have, the rest is given back, everything is flushed.
    pub async fn stop(mut self) {
        self.system.stop(self.drain).await;
        if let Some(processes) = &self.processes {
            // What left its group outlives its attempt; it does not outlive an orderly stop.
            processes.sweep().await;
        }
        for watcher in self.watchers.drain(..) {
            watcher.abort();
        }
        self.consensus.shutdown().await;
    }

    fn hub(&self) -> &EventHub {
        &self.world.hub
    }
}

impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Node({})", self.world.node)
    }
}
