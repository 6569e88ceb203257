//! A node in this process: storage, agreement and actors, started and stopped in order.
//!
//! ```text
//!  alone:   data folder ─► group of one voter ─► leads ─► actors      stop: the same, backwards
//!  member:  data folder ─► identity ─► listens ─► group ─► a leader is known ─► actors ─► leads? ─► leader branch
//! ```
//!
//! [`Node`] is the embedding facade; the binary uses nothing else. Every verb that changes something
//! answers after the change is durable.

mod abroad;
mod after;
mod agents;
mod asking;
mod audit;
mod begin;
mod builder;
mod closed;
pub mod cluster;
mod denied;
mod drive;
pub mod elsewhere;
mod error;
pub mod feed;
mod home;
mod hooks;
mod leases;
mod member;
mod natives;
mod new;
mod payloads;
mod pools;
mod regions;
pub mod sight;
mod tasks;
mod tending;
mod webhooks;
mod wiring;

pub use asking::asking;
pub use builder::Builder;
pub use closed::{ClosedIdentity, closed_id};
pub use cluster::{Cluster, ClusterStatus, Join, NodeStatus, Seeing, Seen};
pub use error::Error;
pub use hooks::NewHook;
pub use new::{NewTask, Pool};
pub use regions::Submission;
pub use synod_actors::desk::Ask;
pub use synod_actors::events;
pub use synod_actors::ports::JournalError;
pub use synod_cluster::audit::{AUDIT_PAGE_MAX, Checked, Kept};
pub use synod_cluster::checkpointer::Policy;
pub use synod_cluster::records::LogRecord;
pub use synod_cluster::transport;
pub use synod_domain as domain;
pub use synod_storage as storage;
pub use tending::PoolTending;

use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use synod_actors::desk::Desk;
use synod_actors::events::Subscription;
use synod_actors::liveness;
use synod_actors::runtimes::process::ProcessNode;
use synod_actors::system::{Hosted, World};
use synod_cluster::consensus::{Consensus, Status, TransferError};
use synod_cluster::gossip::Counters;
use synod_cluster::history::History;
use synod_domain::audit::Actor;
use synod_domain::command::Command;
use synod_domain::id::{NodeId, RequestId};
use synod_domain::refusal::Refusal;
use synod_domain::reply::Reply;
use synod_domain::sources::Entropy;
use synod_domain::state::State;
use synod_domain::task::Phase;
use synod_domain::time::Timestamp;
use synod_storage::Repair;
use tokio::sync::{Mutex, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::courier::Courier;
use crate::node::drive::{Readiness, Tree};
use crate::node::elsewhere::{Elsewhere, Handed};
use crate::node::feed::Feed;
use crate::node::member::Member;
use crate::node::natives::Natives;
use crate::webhooks::Rules;
use wiring::{RaftJournal, StoredBlobs};

/// How long a change is proposed whose outcome stays unknown. Whoever asks for longer asks again.
const PROPOSE_PATIENCE: Duration = Duration::from_secs(10);

/// How long a stop waits at a time until another node leads in this one's place.
const TRANSFER_PATIENCE: Duration = Duration::from_secs(2);

/// The rest before it is tried again, while agents drain: whoever was to lead may be behind, or the group changing.
const TRANSFER_AGAIN: Duration = Duration::from_millis(200);

/// A running node. Dropping it without [`Node::stop`] is like a crash: nothing acknowledged is lost,
/// and work in hand is redelivered at the next start.
pub struct Node {
    world: World,
    feed: Feed,
    desk: Desk,
    liveness: liveness::Handle,
    hosted: Hosted,
    processes: Option<ProcessNode>,
    natives: Natives,
    repaired: Option<Repair>,
    failed: watch::Receiver<Option<String>>,
    ready: watch::Receiver<Readiness>,
    drain: Duration,
    /// The node's part in its cluster; `None` when it stands alone.
    member: Option<Arc<Member>>,
    /// Ends what brings the node up and follows the lead.
    stop: CancellationToken,
    /// What a stop ends; nothing once it has begun.
    running: Mutex<Option<Running>>,
    ground: RwLock<Ground>,
    journal: Arc<RaftJournal>,
    blobs: Arc<StoredBlobs>,
    courier: Courier,
    /// The way of requests to other regions, and who serves those that come from them.
    elsewhere: Arc<dyn Elsewhere>,
    handed: Handed,
    /// What hooks need; `None` on a node that keeps none.
    hooks: Option<hooks::Keeping>,
    /// Where webhooks may be, as far as this node is concerned.
    webhook_rules: Rules,
    /// In whose name is proposed what nobody else asks for.
    itself: Arc<Actor>,
}

/// What runs.
struct Running {
    tree: Tree,
    tasks: Vec<JoinHandle<()>>,
}

/// What holds the data folder. A stop lets go of it although the node may still be asked things.
enum Ground {
    Held {
        consensus: Arc<Consensus>,
        history: History,
    },
    /// Where the node stood at its end.
    Left(Status),
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

    /// Returns the courier: actors of an embedder's, reached by name from any node.
    pub fn courier(&self) -> &Courier {
        &self.courier
    }

    /// Returns what became of the datagrams of gossip since the start; `None` on a node that stands alone.
    pub fn datagrams(&self) -> Option<Counters> {
        self.member.as_ref().map(|member| member.gossip.counters())
    }

    /// Returns what had to be repaired in the data folder at the start.
    pub fn repaired(&self) -> Option<&Repair> {
        self.repaired.as_ref()
    }

    /// Returns the node's time.
    pub fn now(&self) -> Timestamp {
        self.world.clock.now()
    }

    /// Returns where the node draws chance, as for secrets.
    pub fn entropy(&self) -> &dyn Entropy {
        &*self.world.entropy
    }

    /// Reads something from the agreed state. Short: writers wait meanwhile.
    pub fn read<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        self.world.read(look)
    }

    /// Listens to what happens from here on.
    pub fn events(&self) -> Subscription {
        self.world.hub.subscribe()
    }

    /// Returns the latest events, kept so that a listener who comes back misses none.
    pub fn feed(&self) -> &Feed {
        &self.feed
    }

    /// Returns where the node stands in the log.
    pub fn status(&self) -> Status {
        match &*self.ground.read() {
            Ground::Held { consensus, .. } => consensus.status(),
            Ground::Left(status) => status.clone(),
        }
    }

    /// Returns the logs that process agents left, if this node runs any.
    pub fn processes(&self) -> Option<&ProcessNode> {
        self.processes.as_ref()
    }

    /// Tells the term in which this node leads, whenever that changes; `None` while it does not.
    ///
    /// # Errors
    /// When the node has stopped.
    pub fn leading(&self) -> Result<watch::Receiver<Option<u64>>, Error> {
        Ok(self.consensus()?.leadership())
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
        self.propose_as(self.new_request_id(), command).await
    }

    /// Proposes a command as [`Node::propose`] does, under a request id that the caller chose: the same id is
    /// applied once, and answered again as it was then.
    ///
    /// # Errors
    /// When it is refused, or the node cannot take it.
    pub async fn propose_as(&self, request: RequestId, command: Command) -> Result<Reply, Error> {
        let asks = self.asks();
        self.check_lease(&asks, &command)?;
        self.note_speaker(&command);
        let change = match command {
            Command::Cancel { task, .. } => Some((task, Some(Phase::Cancelled))),
            Command::SetLane { task, .. } => Some((task, None)),
            _ => None,
        };
        match (self.propose_for(request, command.by(&asks)).await, change) {
            (Err(Error::Refused(Refusal::TaskUnknown(_))), Some((task, to))) => {
                self.of_unknown(&asks, task, to).await
            }
            (answer, _) => answer,
        }
    }

    async fn propose_for(&self, request: RequestId, command: Command) -> Result<Reply, Error> {
        let proposed = self.world.propose_as(request, command);
        if self.member.is_none() {
            return Ok(proposed.await??);
        }
        match tokio::time::timeout(PROPOSE_PATIENCE, proposed).await {
            Ok(answer) => Ok(answer??),
            Err(_) => Err(JournalError::Unknown("no leader confirmed it in time".to_owned()).into()),
        }
    }

    /// Stops in order, within the bound given at the start: no new work is handed out, agents finish
    /// what they have, the rest is given back, everything is flushed, and the data folder is free again.
    /// Whoever calls it a second time waits for the first, and nothing more happens. The state can still be
    /// read afterwards; nothing else can be had.
    pub async fn stop(&self) {
        let mut running = self.running.lock().await;
        let Some(Running { tree, tasks }) = running.take() else { return };
        if let (Some(_), Ok(consensus)) = (&self.member, self.consensus()) {
            consensus.retire();
        }
        // Listeners are gone first, so that nobody waits for their streams.
        self.feed.close();
        // Guests of the embedder's may still use the node while they finish.
        self.courier.stop().await;
        self.retire(&tree).await;
        self.stop.cancel();
        let system = tree.lock().await.take();
        if let Some(system) = system {
            system.stop(self.drain).await;
        }
        if let Some(processes) = &self.processes {
            // What left its group outlives its attempt; it does not outlive an orderly stop.
            processes.sweep().await;
        }
        for task in tasks {
            task.abort();
            // What it held is free when it has ended.
            let _ = task.await;
        }
        let consensus = match &*self.ground.read() {
            Ground::Held { consensus, .. } => consensus.clone(),
            Ground::Left(_) => return,
        };
        if let Some(member) = &self.member {
            member.leave().await;
        }
        consensus.shutdown().await;
        let status = consensus.status();
        drop(consensus);
        *self.ground.write() = Ground::Left(status);
        self.journal.close();
        self.blobs.close();
    }

    /// Lets the agents drain, and meanwhile another node lead in this one's place, so that nobody waits for an
    /// election. As long as this node leads all the same, what runs where a node leads goes on here.
    async fn retire(&self, tree: &Tree) {
        let (Some(_), Ok(consensus)) = (&self.member, self.consensus()) else { return };
        // A node that never came up has no agents, and what brings it up may wait for others.
        if *self.ready.borrow() != Readiness::Ready {
            return;
        }
        let Some(drained) = tree.lock().await.as_ref().map(|system| system.drain(self.drain)) else { return };
        let mut drained = tokio::spawn(drained);
        while !gave_the_lead_away(&consensus).await {
            tokio::select! {
                biased;
                _ = &mut drained => break,
                () = tokio::time::sleep(TRANSFER_AGAIN) => {}
            }
        }
        if !drained.is_finished() {
            // An error means that it panicked; the agents are stopped with the tree.
            let _ = drained.await;
        }
        gave_the_lead_away(&consensus).await;
    }

    fn consensus(&self) -> Result<Arc<Consensus>, Error> {
        match &*self.ground.read() {
            Ground::Held { consensus, .. } => Ok(consensus.clone()),
            Ground::Left(_) => Err(Error::Failed("the node has stopped".to_owned())),
        }
    }

    fn history(&self) -> Result<History, Error> {
        match &*self.ground.read() {
            Ground::Held { history, .. } => Ok(history.clone()),
            Ground::Left(_) => Err(Error::Failed("the node has stopped".to_owned())),
        }
    }
}

/// Lets another node lead, if this one does; false when it is worth another try.
async fn gave_the_lead_away(consensus: &Consensus) -> bool {
    if consensus.leadership().borrow().is_none() {
        return true;
    }
    match tokio::time::timeout(TRANSFER_PATIENCE, consensus.transfer(None)).await {
        Ok(Ok(node)) => {
            tracing::info!(%node, "leads from here on");
            true
        }
        Ok(Err(TransferError::NotLeader | TransferError::NoTarget)) => true,
        Ok(Err(error @ (TransferError::Changing | TransferError::Behind | TransferError::Refused(_)))) => {
            tracing::info!(%error, "the lead was not given away");
            false
        }
        Err(_) => {
            tracing::info!("nobody took the lead in time");
            false
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(member) = &self.member {
            member.sever();
        }
    }
}

impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Node({})", self.world.node)
    }
}
