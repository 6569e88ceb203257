//! One node's part in the group: starts it, shows it, ends it.
//!
//! ```text
//!   proposer ─► openraft ─► log store ─► disk
//!                  └──────► machine ─► state, events ─► checkpointer ─► mirror, snapshots
//! ```
//!
//! Promises that a group of one voter is formed on the first start and leads at once on every other, that
//! leadership is announced only when everything committed is applied, and that whatever ends the log is
//! told to `fatal`. Leaves ending the process to the caller, and who joins the group to a later membership.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use openraft::error::{InitializeError, RaftError};
use openraft::{Config, ServerState, SnapshotPolicy};
use parking_lot::{Mutex, RwLock};
use synod_domain::sources::{Clock, Entropy};
use synod_domain::state::State;
use synod_storage::Storage;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::checkpointer::{Checkpointer, MirrorStatus, Policy, adopt};
use crate::group::{Peer, Raft};
use crate::history::History;
use crate::log_store::{LogMeter, LogStore};
use crate::machine::{EventSink, Machine, StateMachine};
use crate::network::RaftPeers;
use crate::offload::Offload;
use crate::proposer::{Parts, Proposer};
use crate::runtime::seed_thread;
use crate::transport::Network;

/// How long members wait for each other. A group of one waits for nobody.
#[derive(Debug, Clone)]
pub struct Timing {
    /// Between two signs of life of a leader. Shorter notices a loss sooner and costs more messages.
    pub heartbeat: Duration,
    /// The least and the most silence before an election; drawn once at each start. A new election waits
    /// for the most first, then for the draw: their sum is how long a lost leader is missed.
    pub election: (Duration, Duration),
    /// How long a snapshot may take on its way.
    pub install_snapshot: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_millis(150),
            election: (Duration::from_millis(600), Duration::from_millis(1200)),
            install_snapshot: Duration::from_secs(60),
        }
    }
}

/// The other members, and how to reach them.
#[derive(Clone)]
pub struct Peers {
    /// Opens connections.
    pub network: Arc<dyn Network>,
    /// Every voter with its address, this node included; the group is formed of them on the first start.
    pub members: BTreeMap<u64, String>,
}

/// What a node needs to take part.
pub struct Options {
    /// This node's number in the group.
    pub node: u64,
    /// The disk.
    pub storage: Storage,
    /// The time that entries carry.
    pub clock: Arc<dyn Clock>,
    /// Where seeds come from.
    pub entropy: Arc<dyn Entropy>,
    /// Who hears what happened.
    pub events: Arc<dyn EventSink>,
    /// How long members wait for each other.
    pub timing: Timing,
    /// Checkpoints, snapshots, history.
    pub policy: Policy,
    /// Does disk work on the spot instead of on threads: for simulations.
    pub inline: bool,
    /// The other voters; `None` is a group of one.
    pub peers: Option<Peers>,
}

/// Why a node cannot take part.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The disk does not give what is needed.
    #[error("the log or the state cannot be opened: {0}")]
    Storage(#[from] synod_storage::Error),
    /// The mirror does not make a state. Moved aside, it is rebuilt from the snapshot and the log.
    #[error("the state cannot be loaded: {0}")]
    Machine(#[from] crate::machine::Error),
    /// The latest snapshot cannot be read.
    #[error("the snapshots cannot be read: {0}")]
    Checkpointer(#[from] crate::checkpointer::Error),
    /// The system gives no thread.
    #[error("disk work has no thread: {0}")]
    Offload(#[from] crate::offload::Error),
    /// The timings contradict each other.
    #[error("the timings are not valid: {0}")]
    Timing(String),
    /// The group did not start.
    #[error("the group did not start: {0}")]
    Group(String),
}

/// What a node says of its part.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Status {
    /// The term of the last vote.
    pub term: u64,
    /// Who leads, as far as is known here.
    pub leader: Option<u64>,
    /// The last index of the log.
    pub last_log: Option<u64>,
    /// The last applied index.
    pub applied: Option<u64>,
    /// The last purged index.
    pub purged: Option<u64>,
    /// The mirror and the snapshots.
    pub mirror: MirrorStatus,
}

/// A node's part in the group.
pub struct Consensus {
    raft: Raft,
    machine: Arc<Machine>,
    checkpointer: Arc<Checkpointer>,
    proposer: Proposer,
    history: History,
    leadership: watch::Receiver<Option<u64>>,
    fatal: watch::Receiver<Option<String>>,
    stop: CancellationToken,
    stop_proposer: Arc<Notify>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

impl Consensus {
    /// Loads the state, opens the log and starts the group. Needs a running tokio.
    ///
    /// # Errors
    /// When the disk does not give what is needed, or the group does not start.
    pub async fn start(options: Options) -> Result<Self, Error> {
        // Openraft draws its election timeout on this thread, before the next await.
        seed_thread(options.entropy.draw());
        let stop = CancellationToken::new();
        let meter = Arc::<LogMeter>::default();
        let Storage { log, state: store, snapshots, .. } = options.storage;
        let thread = |name| if options.inline { Ok(Offload::Inline) } else { Offload::thread(name) };
        let log_store = LogStore::open_with(
            Arc::clone(&log),
            thread("synod-log-tidy")?,
            Arc::clone(&meter),
            stop.clone(),
        )?;
        finish_install(&*store, &*snapshots)?;
        let machine = Arc::new(Machine::load(&*store, options.events)?);
        let checkpointer = Arc::new(Checkpointer::new(
            Arc::clone(&machine),
            Arc::clone(&store),
            snapshots,
            meter,
            thread("synod-checkpoint")?,
            options.policy,
        )?);
        let (network, members) = match options.peers {
            Some(Peers { network, members }) => (Some(network), members),
            None => (None, BTreeMap::from([(options.node, String::new())])),
        };
        let config = config(&options.timing)?;
        let raft = Raft::new(
            options.node,
            Arc::new(config),
            RaftPeers::new(network),
            log_store,
            StateMachine::new(Arc::clone(&machine), Arc::clone(&checkpointer)),
        )
        .await
        .map_err(|fatal| Error::Group(fatal.to_string()))?;
        form(&raft, options.node, members).await?;

        let stop_proposer = Arc::new(Notify::new());
        let parts = Parts {
            raft: raft.clone(),
            clock: options.clock,
            entropy: options.entropy,
            log,
            stop: Arc::clone(&stop_proposer),
        };
        let (proposer, batching) = Proposer::start(parts);
        let (led, leadership) = watch::channel(None);
        let (died, fatal) = watch::channel(None);
        let snapshotter = raft.clone();
        let checkpointing = Arc::clone(&checkpointer).run(stop.clone(), async move || {
            // A stopped core makes no snapshots; there is nobody to tell.
            let _ = snapshotter.trigger().snapshot().await;
        });
        let tasks = vec![
            batching,
            tokio::spawn(checkpointing),
            tokio::spawn(watch_leadership(raft.clone(), options.node, led, stop.clone())),
            tokio::spawn(watch_life(raft.clone(), died, stop.clone())),
        ];
        let history = History::new(Arc::clone(&machine.state), store);
        let tasks = Mutex::new(tasks);
        Ok(Self {
            raft,
            machine,
            checkpointer,
            proposer,
            history,
            leadership,
            fatal,
            stop,
            stop_proposer,
            tasks,
        })
    }

    /// Returns the way into the log.
    pub fn proposer(&self) -> Proposer {
        self.proposer.clone()
    }

    /// Returns the state as applied here. Keep the lock short: entries wait for it.
    pub fn state(&self) -> Arc<RwLock<State>> {
        Arc::clone(&self.machine.state)
    }

    /// Returns whether this node leads: its term once everything committed before is applied, else `None`.
    pub fn leadership(&self) -> watch::Receiver<Option<u64>> {
        self.leadership.clone()
    }

    /// Returns why the log has ended for good; `None` while it lives or was shut down in order.
    pub fn fatal(&self) -> watch::Receiver<Option<String>> {
        self.fatal.clone()
    }

    /// Returns the reader of ended tasks.
    pub fn history(&self) -> History {
        self.history.clone()
    }

    /// Returns where the node stands.
    pub fn status(&self) -> Status {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow();
        Status {
            term: metrics.current_term,
            leader: metrics.current_leader,
            last_log: metrics.last_log_index,
            applied: self.machine.place().applied.map(|id| id.index),
            purged: metrics.purged.map(|id| id.index),
            mirror: self.checkpointer.status(),
        }
    }

    /// Returns openraft's own handle, for a handler of requests from other members.
    pub fn raft(&self) -> Raft {
        self.raft.clone()
    }

    /// Writes a checkpoint now.
    pub async fn checkpoint(&self) {
        self.checkpointer.checkpoint().await;
    }

    /// Makes a snapshot now and lets the log be purged behind it; returns before it is done.
    pub async fn snapshot(&self) {
        let _ = self.raft.trigger().snapshot().await;
    }

    /// Ends this node's part in order: takes no more proposals, answers those on their way, writes a last
    /// checkpoint. Calling it twice is fine.
    pub async fn shutdown(&self) {
        self.stop_proposer.notify_one();
        let tasks = std::mem::take(&mut *self.tasks.lock());
        let mut tasks = tasks.into_iter();
        // The proposer first, while the core still answers it.
        if let Some(batching) = tasks.next() {
            let _ = tokio::time::timeout(DRAIN, batching).await;
        }
        self.stop.cancel();
        let _ = self.raft.shutdown().await;
        for task in tasks {
            let _ = task.await;
        }
        self.checkpointer.checkpoint().await;
    }
}

/// How long a shutdown waits for proposals on their way. A disk that takes longer leaves them unknown.
const DRAIN: Duration = Duration::from_secs(5);

/// Finishes an install that a crash interrupted between the snapshot and the store.
fn finish_install(
    store: &dyn synod_storage::StateStore,
    snapshots: &dyn synod_storage::Snapshots,
) -> Result<(), synod_storage::Error> {
    let newest = snapshots.latest_raw()?.map_or(0, |raw| raw.info().applied);
    if newest > store.applied() { adopt(store, snapshots) } else { Ok(()) }
}

fn config(timing: &Timing) -> Result<Config, Error> {
    let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let config = Config {
        cluster_name: "synod".to_owned(),
        heartbeat_interval: millis(timing.heartbeat),
        election_timeout_min: millis(timing.election.0),
        election_timeout_max: millis(timing.election.1),
        install_snapshot_timeout: millis(timing.install_snapshot),
        // Snapshots are ours to time: see the checkpointer.
        snapshot_policy: SnapshotPolicy::Never,
        // A follower a little behind gets entries; nothing else needs what a snapshot holds.
        max_in_snapshot_log_to_keep: 0,
        replication_lag_threshold: u64::MAX,
        ..Config::default()
    };
    config.validate().map_err(|error| Error::Timing(error.to_string()))
}

/// Forms the group on the first start; makes a single voter lead at once on every other.
async fn form(raft: &Raft, node: u64, members: BTreeMap<u64, String>) -> Result<(), Error> {
    let alone = members.len() == 1;
    let members: BTreeMap<u64, Peer> =
        members.into_iter().map(|(node, address)| (node, Peer { address })).collect();
    match raft.initialize(members).await {
        Ok(()) => return Ok(()),
        Err(RaftError::APIError(InitializeError::NotAllowed(_))) => {}
        Err(error) => return Err(Error::Group(error.to_string())),
    }
    // A single voter that crashed between its vote and its election would wait for a tick.
    let leads = raft.server_metrics().borrow().current_leader == Some(node);
    if alone && !leads {
        raft.trigger().elect().await.map_err(|fatal| Error::Group(fatal.to_string()))?;
    }
    Ok(())
}

async fn watch_leadership(raft: Raft, node: u64, led: watch::Sender<Option<u64>>, stop: CancellationToken) {
    let mut metrics = raft.server_metrics();
    loop {
        let term = {
            let now = metrics.borrow_and_update();
            let leads = now.state == ServerState::Leader && now.current_leader == Some(node);
            leads.then(|| now.vote.leader_id.term)
        };
        let announced = *led.borrow();
        if term.is_none() && announced.is_some() {
            led.send_replace(None);
        }
        // Leading means to know everything that was ever promised: wait until it is applied.
        let mut retry = false;
        if term.is_some() && term != announced {
            let ready = tokio::select! {
                biased;
                () = stop.cancelled() => false,
                ready = raft.ensure_linearizable() => ready.is_ok(),
            };
            if ready {
                led.send_replace(term);
            }
            retry = !ready;
        }
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            changed = metrics.changed() => if changed.is_err() { break },
            () = tokio::time::sleep(Duration::from_millis(50)), if retry => {}
        }
    }
    led.send_replace(None);
}

async fn watch_life(raft: Raft, died: watch::Sender<Option<String>>, stop: CancellationToken) {
    let mut metrics = raft.metrics();
    loop {
        let running = metrics.borrow_and_update().running_state.clone();
        match running {
            Ok(()) => {}
            Err(openraft::error::Fatal::Stopped) if stop.is_cancelled() => return,
            Err(fatal) => {
                tracing::error!(error = %fatal, "the log has ended");
                died.send_replace(Some(fatal.to_string()));
                return;
            }
        }
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            // The sender is gone without a word when the core panicked.
            changed = metrics.changed() => if changed.is_err() {
                died.send_replace(Some("the core of the log has panicked".to_owned()));
                return;
            },
        }
    }
}
