//! Describes a node and starts it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::RwLock;
use synod_actors::events::EventHub;
use synod_actors::ids::Ids;
use synod_actors::liveness::AGENT_TIMEOUT_DEFAULT;
use synod_actors::ports::AgentRuntime;
use synod_actors::runtimes::native::{NativeAgent, NativeRuntime};
use synod_actors::runtimes::process::{ProcessNode, ProcessSettings};
use synod_actors::system::{System, World};
use synod_cluster::checkpointer::Policy;
use synod_cluster::consensus::{self, Consensus, Options, Timing};
use synod_cluster::records::live_prefixes;
use synod_domain::command::Command;
use synod_domain::id::{IdGenerator, NodeId};
use synod_domain::limits::Limits;
use synod_domain::name::Name;
use synod_domain::sources::{Clock, Entropy};
use synod_storage::{Repair, Storage, Verify};
use tokio::sync::{Mutex, oneshot, watch};

use crate::clock::{SeededEntropy, SystemClock};
use crate::node::feed::Feed;
use crate::node::wiring::{HubSink, NodeRuntimes, RaftJournal, StoredBlobs};
use crate::node::{Error, Ground, Node, Running};

/// The number of the only voter of a group of one.
const ONLY_VOTER: u64 = 1;

/// Where the log keeps the node's id.
const NODE_ID_NOTE: &str = "synod.node-id";

/// How long a start waits until the node leads. A group of one leads within milliseconds; longer than
/// this, its disk hangs.
const LEAD_PATIENCE: Duration = Duration::from_secs(60);

/// How long agents may finish what they have when the node stops, unless set.
const DRAIN_DEFAULT: Duration = Duration::from_secs(10);

enum Home {
    Nowhere,
    Folder(PathBuf),
    Storage(Storage),
}

/// Describes a node. What is not said gets its default.
pub struct Builder {
    home: Home,
    clock: Arc<dyn Clock>,
    entropy: Option<Arc<dyn Entropy>>,
    natives: BTreeMap<Name, Arc<dyn AgentRuntime>>,
    limits: Option<Limits>,
    policy: Policy,
    drain: Duration,
    agent_timeout: Duration,
    kill_grace: Option<Duration>,
    inline: bool,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            home: Home::Nowhere,
            clock: Arc::new(SystemClock),
            entropy: None,
            natives: BTreeMap::new(),
            limits: None,
            policy: Policy::default(),
            drain: DRAIN_DEFAULT,
            agent_timeout: AGENT_TIMEOUT_DEFAULT,
            kill_grace: None,
            inline: false,
        }
    }
}

impl std::fmt::Debug for Builder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Builder").field("natives", &self.natives.keys()).finish_non_exhaustive()
    }
}

impl Builder {
    /// Keeps everything in this folder, which is created if need be; one process at a time.
    #[must_use]
    pub fn data(mut self, folder: impl Into<PathBuf>) -> Self {
        self.home = Home::Folder(folder.into());
        self
    }

    /// Keeps everything in the given storage instead of a folder, and does all disk work on the spot:
    /// for tests and simulations. Such a node runs no programs.
    #[must_use]
    pub fn storage(mut self, storage: Storage) -> Self {
        self.home = Home::Storage(storage);
        self.inline = true;
        self
    }

    /// Takes the time from here instead of the system.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Takes chance from here instead of the system.
    #[must_use]
    pub fn entropy(mut self, entropy: Arc<dyn Entropy>) -> Self {
        self.entropy = Some(entropy);
        self
    }

    /// Registers a Rust type as an agent; pools refer to it by this name.
    ///
    /// # Errors
    /// When the name is not a name.
    pub fn native<A: NativeAgent>(mut self, name: &str, agent: A) -> Result<Self, Error> {
        self.natives.insert(Name::new(name)?, Arc::new(NativeRuntime::new(agent)));
        Ok(self)
    }

    /// Sets the limits that the node enforces; without it, those of the last start stay.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = Some(limits);
        self
    }

    /// Sets when checkpoints and snapshots are made and how long history is kept.
    #[must_use]
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// Sets how long agents may finish what they have when the node stops.
    #[must_use]
    pub fn drain(mut self, patience: Duration) -> Self {
        self.drain = patience;
        self
    }

    /// Sets how long an agent that runs outside of the node may be silent before it is offline and its work
    /// goes to others, unless the agent says otherwise itself.
    #[must_use]
    pub fn agent_timeout(mut self, timeout: Duration) -> Self {
        self.agent_timeout = timeout;
        self
    }

    /// Sets how long a program may take to end after SIGTERM before it is killed.
    #[must_use]
    pub fn kill_grace(mut self, grace: Duration) -> Self {
        self.kill_grace = Some(grace);
        self
    }

    /// Starts the node and returns when it leads and takes work.
    ///
    /// # Errors
    /// When the data folder cannot be used, or an actor does not start.
    pub async fn start(self) -> Result<Node, Error> {
        let entropy = match self.entropy {
            Some(entropy) => entropy,
            None => Arc::new(SeededEntropy::from_system().map_err(Error::Start)?),
        };
        // The start reads every row of the state once, when it loads it; a second reading only to check them
        // would double its time.
        let (mut storage, mut repaired, folder) = open(self.home, Verify::Prefixes(Vec::new()))?;
        let node = node_id(&storage, &*self.clock, &*entropy).await?;
        let processes = match &folder {
            Some(folder) => {
                let mut settings = ProcessSettings::new(folder.join("logs"), node.to_string());
                if let Some(grace) = self.kill_grace {
                    settings.grace = grace;
                }
                let started = ProcessNode::start(settings).await;
                Some(started.map_err(|error| Error::Start(format!("programs cannot be run: {error}")))?)
            }
            None => None,
        };
        let hub = EventHub::default();
        let feed = Feed::default();
        let options = |storage: &Storage| Options {
            node: ONLY_VOTER,
            storage: storage.clone(),
            clock: self.clock.clone(),
            entropy: entropy.clone(),
            events: Arc::new(HubSink { hub: hub.clone(), feed: feed.clone() }),
            timing: Timing::default(),
            policy: self.policy.clone(),
            inline: self.inline,
            peers: None,
        };
        let consensus = match (Consensus::start(options(&storage)).await, &folder) {
            (Err(consensus::Error::Machine(error)), Some(folder)) => {
                tracing::warn!(%error, "the state does not load; it is checked and rebuilt");
                // The folder is free again when nobody has its parts any more.
                drop(storage);
                let home = Home::Folder(folder.clone());
                (storage, repaired, _) = open(home, Verify::Prefixes(live_prefixes()))?;
                Consensus::start(options(&storage)).await?
            }
            (started, _) => started?,
        };
        let blobs = Arc::new(StoredBlobs::new(storage.blobs.clone()));
        drop(storage);
        let consensus = Arc::new(consensus);
        wait_to_lead(&consensus).await?;
        let journal = Arc::new(RaftJournal::new(consensus.proposer(), consensus.state()));
        let world = World {
            node,
            journal: journal.clone(),
            blobs: blobs.clone(),
            runtimes: Arc::new(NodeRuntimes { processes: processes.clone(), natives: self.natives }),
            clock: self.clock.clone(),
            entropy: entropy.clone(),
            ids: Arc::new(Ids::new(self.clock, entropy)),
            hub,
            agent_timeout: self.agent_timeout,
        };
        if let Some(limits) = self.limits {
            world.propose(Command::SetLimits { limits }).await??;
        }
        let mut system = System::start(world.clone()).await?;
        system.lead().await?;
        let (told, failed) = watch::channel(None);
        let watchers = vec![
            tokio::spawn(pass_on(system.failed(), told.clone(), "")),
            tokio::spawn(pass_on(consensus.fatal(), told, "the log has failed: ")),
        ];
        Ok(Node {
            feed,
            desk: system.desk().clone(),
            liveness: system.liveness().clone(),
            hosted: system.hosted(),
            world,
            processes,
            repaired,
            failed,
            drain: self.drain,
            running: Mutex::new(Some(Running { system, watchers })),
            ground: RwLock::new(Ground::Held { history: consensus.history(), consensus }),
            journal,
            blobs,
        })
    }
}

/// Opens the home, with as much of the state checked as `verify` says. History may be large and is checked
/// row by row when it is read.
fn open(home: Home, verify: Verify) -> Result<(Storage, Option<Repair>, Option<PathBuf>), Error> {
    match home {
        Home::Folder(folder) => {
            let options = synod_storage::Options { verify, ..synod_storage::Options::default() };
            let opened = synod_storage::open(&folder, &options)?;
            Ok((opened.storage, opened.repaired, Some(folder)))
        }
        Home::Storage(storage) => Ok((storage, None, None)),
        Home::Nowhere => Err(Error::Start("no data folder was given; call `data`".to_owned())),
    }
}

/// Returns the id that the log holds, or makes one and writes it there.
async fn node_id(storage: &Storage, clock: &dyn Clock, entropy: &dyn Entropy) -> Result<NodeId, Error> {
    if let Some(bytes) = storage.log.note(NODE_ID_NOTE)? {
        let raw = <[u8; 16]>::try_from(&bytes[..])
            .map_err(|_| Error::Start(format!("the node's id in the log has {} bytes", bytes.len())))?;
        return Ok(NodeId::from_raw(u128::from_be_bytes(raw)));
    }
    let raw = IdGenerator::default().next(clock.now(), entropy.draw());
    let (done, durable) = oneshot::channel();
    let value = Bytes::copy_from_slice(&raw.to_be_bytes());
    storage.log.put_note(
        NODE_ID_NOTE,
        value,
        Box::new(move |outcome| {
            // An error means that the start was given up.
            let _ = done.send(outcome);
        }),
    );
    durable.await.map_err(|_| Error::Start("the log stopped while it wrote the node's id".to_owned()))??;
    Ok(NodeId::from_raw(raw))
}

async fn wait_to_lead(consensus: &Consensus) -> Result<(), Error> {
    let mut leadership = consensus.leadership();
    let mut fatal = consensus.fatal();
    let waited = tokio::time::timeout(LEAD_PATIENCE, async {
        tokio::select! {
            biased;
            died = fatal.wait_for(Option::is_some) => {
                let reason = died.ok().and_then(|reason| reason.clone());
                Err(Error::Failed(reason.unwrap_or_else(|| "the log stopped".to_owned())))
            }
            led = leadership.wait_for(Option::is_some) => {
                led.map(drop).map_err(|_| Error::Failed("the log stopped".to_owned()))
            }
        }
    });
    waited.await.unwrap_or_else(|_| {
        Err(Error::Start(format!("the node did not lead its group within {LEAD_PATIENCE:?}")))
    })
}

async fn pass_on(
    mut from: watch::Receiver<Option<String>>,
    to: watch::Sender<Option<String>>,
    prefix: &'static str,
) {
    while let Ok(reason) = from.wait_for(Option::is_some).await.map(|reason| reason.clone()) {
        if let Some(reason) = reason {
            to.send_replace(Some(format!("{prefix}{reason}")));
            return;
        }
    }
}
