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
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use openraft::error::{InitializeError, RaftError};
use openraft::{Config, SnapshotPolicy};
use parking_lot::{Mutex, RwLock};
use synod_domain::id::NodeId;
use synod_domain::sources::{Clock, Entropy};
use synod_domain::state::State;
use synod_storage::Storage;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::arrival::Arrivals;
use crate::backup::Backup;
use crate::checkpointer::{Checkpointer, MirrorStatus, Policy, adopt};
use crate::clock::ClusterClock;
use crate::forgetting::{FORGOT_NOTE, Memory, what_to_do};
use crate::group::{Peer, Raft};
use crate::hearing::{Hearing, Here};
use crate::history::History;
use crate::keeper::Keeper;
use crate::lasting::Lasting;
use crate::life::watch_life;
use crate::log_store::{LogMeter, LogStore};
use crate::machine::{EventSink, Machine, StateMachine};
use crate::network::{BATCHES_MAX, Colleagues, LEASE, RaftHandler, RaftPeers};
use crate::offload::Offload;
use crate::proposer::{Parts, Proposer};
use crate::reads::Reads;
use crate::runtime::seed_thread;
use crate::transfer::Transfer;
use crate::transport::links::Links;
use crate::transport::serve::Handler;
use crate::view::{GroupView, Leader, look};
use crate::{elections, leadership, pulse};

pub use crate::reads::ReadError;
pub use crate::transfer::TransferError;

/// How long members wait for each other. A group of one waits for nobody.
#[derive(Debug, Clone)]
pub struct Timing {
    /// Between two signs of life of a leader. Shorter notices a loss sooner and costs more messages.
    pub heartbeat: Duration,
    /// The least and the most silence before an election, drawn anew for each. A voter refuses candidates until
    /// the least has passed, and a leader that no quorum answers lets go after the most.
    pub election: (Duration, Duration),
    /// How long a snapshot may take on its way.
    pub install_snapshot: Duration,
    /// Batches that may be on their way to a member at once. With 1, each waits for the answer to the one before it.
    pub batches_on_the_way: usize,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_millis(100),
            election: (Duration::from_millis(500), Duration::from_millis(1000)),
            install_snapshot: Duration::from_secs(60),
            batches_on_the_way: BATCHES_MAX,
        }
    }
}

/// How a node comes into its group on its first start. Later starts find it in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Formation {
    /// It forms the group of these voters, itself among them, by number. All of them may do so at once.
    Found(BTreeMap<u64, NodeId>),
    /// The leader of a group that is there takes it in.
    Join,
}

/// What a node needs to take part.
pub struct Options {
    /// This node's number in the group.
    pub number: u64,
    /// Who it is.
    pub me: NodeId,
    /// The disk.
    pub storage: Storage,
    /// The wall clock of this node. Entries carry the time of the cluster, see [`ClusterClock`].
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
    /// How the node comes into its group.
    pub formation: Formation,
    /// The connections to other members; `None` on a node that stands alone.
    pub links: Option<Links>,
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
    /// The node has lost what it had acknowledged, and may not go on.
    #[error("this node may not take part: {0}")]
    Forgot(String),
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
    me: NodeId,
    here: Arc<Here>,
    reads: Reads,
    transfer: Arc<Transfer>,
    arrivals: Arc<Arrivals>,
    leader: watch::Receiver<Option<Leader>>,
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
        if let Some(through) = log.note(FORGOT_NOTE)? {
            let through = through.as_ref().try_into().map_or(0, u64::from_be_bytes);
            return Err(Error::Forgot(what_to_do(through)));
        }
        let log_store = LogStore::open_with(
            Arc::clone(&log),
            thread("synod-log-tidy")?,
            Arc::clone(&meter),
            stop.clone(),
        )?;
        if options.links.is_some() {
            log_store.lead_no_more();
        }
        let log_end = log_store.clone();
        finish_install(&*store, &*snapshots)?;
        let machine = Arc::new(Machine::load(&*store, options.events)?);
        // Nobody else sets it.
        let _ = meter.applied.set(machine.reached.subscribe());
        let now = machine.state.read().now();
        let clock = Arc::new(ClusterClock::new(options.clock, now, options.links.is_none()));
        machine.set_clock(Arc::clone(&clock));
        let here = Arc::new(Here {
            number: options.number,
            timing: options.timing.clone(),
            clock: Arc::clone(&clock),
            entropy: Arc::clone(&options.entropy),
            hearing: Hearing::default(),
            leading: watch::Sender::new(None),
            answered: Mutex::default(),
            appointed: AtomicU64::new(0),
            retires: watch::Sender::new(false),
            memory: Memory::default(),
            forgot: watch::Sender::new(None),
            sending: Arc::default(),
        });
        let colleagues = Colleagues::new(options.links.clone());
        let arrivals = Arc::new(Arrivals::new(Arc::clone(&snapshots), thread("synod-arrivals")?));
        let checkpointer = Arc::new(Checkpointer::new(
            Arc::clone(&machine),
            Arc::clone(&store),
            snapshots,
            meter,
            thread("synod-checkpoint")?,
            options.policy,
            stop.clone(),
        )?);
        let config = config(&options.timing)?;
        let raft = Raft::new(
            options.number,
            Arc::new(config),
            RaftPeers::new(colleagues.clone(), Arc::clone(&here), log_store.clone()),
            log_store,
            StateMachine::new(Arc::clone(&machine), Arc::clone(&checkpointer)),
        )
        .await
        .map_err(|fatal| Error::Group(fatal.to_string()))?;
        form(&raft, options.formation).await?;
        // Replaying the log may have taken longer than any election timeout.
        here.hearing.begin();

        let stop_proposer = Arc::new(Notify::new());
        let hold = watch::Sender::new(false);
        let (hand, in_hand) = watch::channel(0);
        let parts = Parts {
            raft: raft.clone(),
            clock,
            entropy: options.entropy,
            log: Arc::clone(&log),
            stop: Arc::clone(&stop_proposer),
            leading: here.leading.subscribe(),
            held: hold.subscribe(),
            in_hand: hand,
            in_flight_max: options.timing.batches_on_the_way.clamp(1, BATCHES_MAX),
        };
        let (proposer, batching) = Proposer::start(parts);
        let (led, leadership) = watch::channel(None);
        let (died, fatal) = watch::channel(None);
        let (known, leader) = watch::channel(None);
        let snapshotter = raft.clone();
        let sending = Arc::clone(&here.sending);
        let checkpointing = Arc::clone(&checkpointer).run(sending, async move || {
            // A stopped core makes no snapshots; there is nobody to tell.
            let _ = snapshotter.trigger().snapshot().await;
        });
        // They end by themselves with the core, which is watched.
        let lasting = Lasting::noticing_panics(died.clone());
        let i = Arc::clone(&here);
        let part = || (raft.clone(), Arc::clone(&here));
        let ((a, b), (c, d), (e, f), (g, h)) = (part(), part(), part(), part());
        let mut tasks = vec![
            lasting.watch("batching proposals", batching),
            lasting.spawn("checkpointing", checkpointing),
            lasting.spawn("standing for leader", elections::run(a, b, colleagues.clone(), stop.clone())),
            lasting.spawn("leading", pulse::run(c, d, colleagues.clone(), log_end.clone(), stop.clone())),
            lasting.spawn("announcing the lead", leadership::announce(e, f, led, stop.clone())),
            lasting.spawn("telling who leads", leadership::tell(g, h, known, stop.clone())),
            lasting
                .spawn("watching the log", watch_life(raft.clone(), i, Arc::clone(&log), died, stop.clone())),
        ];
        let reads = Reads::start(raft.clone(), options.timing.election.0, &lasting);
        let transfer = Arc::new(Transfer {
            raft: raft.clone(),
            here: Arc::clone(&here),
            colleagues,
            log: log_end,
            hold,
            in_hand,
            one_change: tokio::sync::Mutex::default(),
        });
        let keeper = Keeper {
            raft: raft.clone(),
            here: Arc::clone(&here),
            machine: Arc::clone(&machine),
            transfer: Arc::clone(&transfer),
        };
        tasks.push(lasting.spawn("keeping the group", keeper.run(leadership.clone(), stop.clone())));
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
            me: options.me,
            here,
            reads,
            transfer,
            arrivals,
            leader,
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

    /// Returns what answers other members, for
    /// [`Service::Agreement`](crate::transport::links::Service::Agreement).
    pub fn handler(&self) -> Arc<dyn Handler> {
        let (raft, here, arrivals) = (self.raft.clone(), Arc::clone(&self.here), Arc::clone(&self.arrivals));
        Arc::new(RaftHandler::new(raft, here, arrivals, self.transfer.log.clone()))
    }

    /// Returns who this node is.
    pub fn me(&self) -> (u64, NodeId) {
        (self.here.number, self.me)
    }

    /// Returns the time of the cluster, as this node tells it.
    pub fn clock(&self) -> Arc<ClusterClock> {
        Arc::clone(&self.here.clock)
    }

    /// Returns who leads, as far as is known here.
    pub fn leader(&self) -> watch::Receiver<Option<Leader>> {
        self.leader.clone()
    }

    /// Returns through which index the state is applied here; 0 before the first entry.
    pub fn applied(&self) -> u64 {
        *self.machine.reached.borrow()
    }

    /// Waits until the state is applied through `index`; false when it is not within `patience`.
    pub async fn wait_applied(&self, index: u64, patience: Duration) -> bool {
        let mut reached = self.machine.reached.subscribe();
        let wait = reached.wait_for(|reached| *reached >= index);
        matches!(tokio::time::timeout(patience, wait).await, Ok(Ok(_)))
    }

    /// Waits until nothing is decided by this node's vote: a group without it has been agreed on, and no half of a change
    /// asks for it. False when that is not so within `patience`.
    pub async fn wait_voteless(&self, patience: Duration) -> bool {
        let number = self.here.number;
        let mut reached = self.machine.reached.subscribe();
        // As applied: what openraft shows of the group is in force before it is agreed on.
        let wait = reached.wait_for(|_| {
            let membership = self.machine.place().membership;
            let voters = membership.membership().get_joint_config();
            voters.iter().all(|voters| !voters.contains(&number))
        });
        matches!(tokio::time::timeout(patience, wait).await, Ok(Ok(_)))
    }

    /// Returns the time since the last word of a leader; `None` while this node leads.
    ///
    /// A node that never heard one says [`Duration::MAX`].
    pub fn heard(&self) -> Option<Duration> {
        match *self.leadership.borrow() {
            Some(_) => None,
            None => Some(self.here.hearing.last().map_or(Duration::MAX, |at| at.elapsed())),
        }
    }

    /// Returns an index such that a state applied through it has everything that was acknowledged before this
    /// call. Only a leader that a quorum still follows can tell.
    ///
    /// # Errors
    /// When this node does not lead, or no quorum answers.
    pub async fn read_index(&self) -> Result<u64, ReadError> {
        self.reads.index().await
    }

    /// Gives the lead to another voter: to `to`, or to whichever has most of the log.
    ///
    /// # Errors
    /// When this node does not lead, or the other did not take over in time; then this node may lead on.
    pub async fn transfer(&self, to: Option<NodeId>) -> Result<NodeId, TransferError> {
        self.transfer.give(to).await
    }

    /// Lets this node stand for leader no more, as long as there are other voters: it is about to go, and another
    /// election would follow. It votes on, and leads on if it leads.
    pub fn retire(&self) {
        self.here.retires.send_replace(true);
    }

    /// Returns the group, as this node knows it.
    pub fn group(&self) -> GroupView {
        look(&self.raft, &self.here.memory)
    }

    /// Makes a snapshot of everything applied here and returns it. The work of the group goes on meanwhile.
    ///
    /// # Errors
    /// When the disk refuses, or nothing has been applied yet.
    pub async fn backup(&self) -> Result<Backup, crate::checkpointer::Error> {
        self.checkpointer.backup().await
    }

    /// Writes a checkpoint now.
    pub async fn checkpoint(&self) {
        self.checkpointer.checkpoint().await;
    }

    /// Makes a snapshot now and lets the log be purged behind it; returns before it is done.
    pub async fn snapshot(&self) {
        let _ = self.raft.trigger().snapshot().await;
    }

    /// Ends this node's part in order: gives the lead to another, takes no more proposals, answers those on their way,
    /// writes a last checkpoint. Calling it twice is fine.
    pub async fn shutdown(&self) {
        self.retire();
        if self.transfer.may_give() {
            let given = tokio::time::timeout(2 * self.here.timing.election.1, self.transfer.give(None)).await;
            if !matches!(given, Ok(Ok(_))) {
                tracing::info!("the others elect a leader by themselves");
            }
        }
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

/// Ticks of openraft, in heartbeats: each makes it send what it has to say again, for members that lost it. The
/// signs of life that count are the pulses.
const TICK_HEARTBEATS: u32 = 3;

fn config(timing: &Timing) -> Result<Config, Error> {
    let (least, most) = timing.election;
    if timing.heartbeat.is_zero() || timing.heartbeat * 2 > least || least >= most {
        return Err(Error::Timing(format!(
            "{timing:?}: twice the heartbeat ≤ the least election < the most"
        )));
    }
    let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    Ok(Config {
        cluster_name: "synod".to_owned(),
        // openraft ticks at one and a half of it.
        heartbeat_interval: millis(timing.heartbeat * TICK_HEARTBEATS * 2 / 3).max(2),
        // Elections and who may vote when are decided here: openraft's lease is as short as it can be, so that
        // an appointed leader is not refused for a word that the old one has just said.
        enable_elect: false,
        election_timeout_min: 1,
        election_timeout_max: millis(LEASE),
        install_snapshot_timeout: millis(timing.install_snapshot),
        // Snapshots are ours to time: see the checkpointer.
        snapshot_policy: SnapshotPolicy::Never,
        // A follower a little behind gets entries; nothing else needs what a snapshot holds.
        max_in_snapshot_log_to_keep: 0,
        replication_lag_threshold: u64::MAX,
        ..Config::default()
    })
}

/// Forms the group on the first start.
async fn form(raft: &Raft, formation: Formation) -> Result<(), Error> {
    let Formation::Found(members) = formation else { return Ok(()) };
    let members: BTreeMap<u64, Peer> =
        members.into_iter().map(|(number, node)| (number, Peer { node })).collect();
    match raft.initialize(members).await {
        Ok(()) | Err(RaftError::APIError(InitializeError::NotAllowed(_))) => Ok(()),
        Err(error) => Err(Error::Group(error.to_string())),
    }
}
