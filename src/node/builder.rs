//! Describes a node.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use synod_actors::liveness::AGENT_TIMEOUT_DEFAULT;
use synod_actors::ports::Regions;
use synod_actors::runtimes::native::{NativeAgent, NativeRuntime};
use synod_cluster::checkpointer::Policy;
use synod_cluster::transport::Network;
use synod_domain::limits::Limits;
use synod_domain::name::Name;
use synod_domain::sources::{Clock, Entropy};
use synod_storage::Storage;

use crate::clock::SystemClock;
use crate::hooks::HookSettings;
use crate::node::begin::begin;
use crate::node::closed::ClosedIdentity;
use crate::node::cluster::Cluster;
use crate::node::elsewhere::Elsewhere;
use crate::node::home::Home;
use crate::node::natives::Natives;
use crate::node::{Error, Node};
use crate::webhooks::{Receivers, WebhookSettings};

/// How long agents may finish what they have when the node stops, unless set.
const DRAIN_DEFAULT: Duration = Duration::from_secs(10);

/// Describes a node. What is not said gets its default.
pub struct Builder {
    pub(super) home: Home,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) entropy: Option<Arc<dyn Entropy>>,
    pub(super) natives: Natives,
    pub(super) limits: Option<Limits>,
    pub(super) policy: Policy,
    pub(super) drain: Duration,
    pub(super) agent_timeout: Duration,
    pub(super) kill_grace: Option<Duration>,
    pub(super) inline: bool,
    pub(super) cluster: Option<Cluster>,
    pub(super) network: Option<Arc<dyn Network>>,
    pub(super) closed: Option<ClosedIdentity>,
    pub(super) regions: Option<(Arc<dyn Regions>, Arc<dyn Elsewhere>)>,
    pub(super) hooks: Option<HookSettings>,
    pub(super) webhooks: Option<WebhookSettings>,
    pub(super) receivers: Option<Arc<dyn Receivers>>,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            home: Home::Nowhere,
            clock: Arc::new(SystemClock),
            entropy: None,
            natives: Natives::default(),
            limits: None,
            policy: Policy::default(),
            drain: DRAIN_DEFAULT,
            agent_timeout: AGENT_TIMEOUT_DEFAULT,
            kill_grace: None,
            inline: false,
            cluster: None,
            network: None,
            closed: None,
            regions: None,
            hooks: None,
            webhooks: Some(WebhookSettings::default()),
            receivers: None,
        }
    }
}

impl std::fmt::Debug for Builder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Builder").field("natives", &self.natives.names()).finish_non_exhaustive()
    }
}

impl Builder {
    /// Keeps everything in this folder, which is created if need be; one process at a time.
    #[must_use]
    pub fn data(mut self, folder: impl Into<PathBuf>) -> Self {
        self.home = Home::Folder(folder.into());
        self
    }

    /// Reaches other regions this way instead of its cluster's own: for tests and simulations.
    #[must_use]
    pub fn regions(mut self, regions: Arc<dyn Regions>, elsewhere: Arc<dyn Elsewhere>) -> Self {
        self.regions = Some((regions, elsewhere));
        self
    }

    /// Keeps everything in the given storage instead of a folder, and does all disk work on the spot:
    /// for tests and simulations. Such a node runs no programs, and tells webhooks what happens only over
    /// [`receivers`](Builder::receivers) that are brought.
    #[must_use]
    pub fn storage(mut self, storage: Storage) -> Self {
        self.home = Home::Storage(storage);
        self.inline = true;
        self.webhooks = None;
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
    pub fn native<A: NativeAgent>(self, name: &str, agent: A) -> Result<Self, Error> {
        self.natives.register(Name::new(name)?, Arc::new(NativeRuntime::new(agent)));
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

    /// Lets the node keep hooks: worktrees below its data folder, made with the git of the system.
    #[must_use]
    pub fn hooks(mut self, settings: HookSettings) -> Self {
        self.hooks = Some(settings);
        self
    }

    /// Sets how webhooks are told while this node leads; where they may be is said here too.
    #[must_use]
    pub fn webhooks(mut self, settings: WebhookSettings) -> Self {
        self.webhooks = Some(settings);
        self
    }

    /// Has webhooks told by whoever is brought, and not over HTTP: for embedders with a way of their own, tests and
    /// simulations.
    #[must_use]
    pub fn receivers(mut self, receivers: Arc<dyn Receivers>) -> Self {
        self.receivers = Some(receivers);
        self
    }

    /// Makes the node a member of a cluster. Its data folder says of which, or [`Join`](crate::node::Join) how it
    /// comes into one.
    #[must_use]
    pub fn cluster(mut self, cluster: Cluster) -> Self {
        self.cluster = Some(cluster);
        self
    }

    /// Reaches other nodes through this network instead of the system's, with the same certificates: for tests.
    #[must_use]
    pub fn network(mut self, network: Arc<dyn Network>) -> Self {
        self.network = Some(network);
        self
    }

    /// Makes the node a member of the cluster of a network that is closed by itself, without a folder and without
    /// certificates: for simulations and tests, with a given [storage](Builder::storage). Everybody who reaches
    /// that network is believed.
    #[must_use]
    pub fn closed(mut self, network: Arc<dyn Network>, identity: ClosedIdentity) -> Self {
        self.network = Some(network);
        self.closed = Some(identity);
        self
    }

    /// Starts the node and returns when it takes work: a member does when it knows a leader and has applied what was
    /// agreed by then, however long that takes.
    ///
    /// # Errors
    /// When the data folder cannot be used, an actor does not start, or the cluster does not take this node.
    pub async fn start(self) -> Result<Node, Error> {
        let node = self.begin().await?;
        node.ready().await?;
        Ok(node)
    }

    /// Starts what of the node needs nobody else, so that it can be asked how it is while it waits for others;
    /// [`Node::ready`] says when it takes work. A node that stands alone does at once.
    ///
    /// # Errors
    /// When the data folder cannot be used, an actor does not start, or the node may not join.
    pub async fn begin(self) -> Result<Node, Error> {
        // On the heap: it is many steps, and callers hold it.
        Box::pin(begin(self)).await
    }
}
