//! The supervision tree of a node, as tables, and its start and stop in order.
//!
//! Two branches: what runs on every node, and what runs only where the node leads. Each is a table
//! below; intensities are small because nested ones multiply.

use std::sync::Arc;
use std::time::Duration;

use ractor::{Actor, ActorRef};
use synod_domain::command::Command;
use synod_domain::id::RequestId;
use synod_domain::refusal::Refusal;
use synod_domain::restart::RestartPolicy;
use tokio::sync::watch;

pub use crate::hosted::{Hosted, RestartError};
pub use crate::propose::World;

use crate::address::Address;
use crate::desk::Desk;
use crate::directory::Directory;
use crate::gate::Gate;
use crate::ports::Journal;
use crate::supervisor::{self, ChildSpec, STOP_PATIENCE, Supervisor, child, why_not_started};
use crate::{
    agents, census, clockwork, envoy, foreman, herald, liveness, relaying, router, scheduler, steward,
};

/// Restarts of one system actor: five in a minute, then its branch fails and with it the node.
fn restart() -> RestartPolicy {
    RestartPolicy::default()
}

/// Why the system did not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An actor of a branch did not start.
    #[error("the {branch} branch did not start: {reason}")]
    Start {
        /// Which branch.
        branch: &'static str,
        /// Why.
        reason: String,
    },
    /// The rules refuse that this node starts: it was removed, or its disk has forgotten something.
    #[error("this node may not start: {0}; {hint}", hint = .0.hint())]
    Refused(Refusal),
    /// The log did not take the note that this node started or leads.
    #[error("the start could not be recorded: {0}")]
    Record(String),
}

/// The running tree of one node.
#[derive(Debug)]
pub struct System {
    world: World,
    node: Option<ActorRef<supervisor::Message>>,
    leader: Option<(ActorRef<supervisor::Message>, Arc<Gate>)>,
    /// Under which the start is recorded, however often that is tried: a second record would be refused.
    start_request: RequestId,
    handles: Handles,
    failed: watch::Sender<Option<String>>,
}

/// Handles of everything in the tables, and of the desk, which the router keeps going.
#[derive(Debug, Clone)]
struct Handles {
    directory: Directory,
    agents: agents::Handle,
    scheduler: scheduler::Handle,
    clockwork: clockwork::Handle,
    steward: steward::Handle,
    census: census::Handle,
    liveness: liveness::Handle,
    relaying: relaying::Handle,
    envoy: envoy::Handle,
    foreman: foreman::Handle,
    herald: herald::Handle,
    desk: Desk,
}

impl Handles {
    fn new(world: &World) -> Self {
        let relaying = relaying::Handle::default();
        Self {
            directory: Directory::default(),
            agents: agents::Handle::default(),
            scheduler: scheduler::Handle::default(),
            clockwork: clockwork::Handle::default(),
            steward: steward::Handle::default(),
            census: census::Handle::default(),
            liveness: liveness::Handle::new(world.clone(), relaying.clone()),
            relaying,
            envoy: envoy::Handle::default(),
            foreman: foreman::Handle::default(),
            herald: herald::Handle::default(),
            desk: Desk::new(world.clone()),
        }
    }
}

/// What runs on every node, in order of start.
fn node_table(world: &World, handles: &Handles) -> Vec<ChildSpec> {
    let router = router::Args {
        world: world.clone(),
        directory: handles.directory.clone(),
        agents: handles.agents.clone(),
        scheduler: handles.scheduler.clone(),
        clockwork: handles.clockwork.clone(),
        steward: handles.steward.clone(),
        census: handles.census.clone(),
        liveness: handles.liveness.clone(),
        envoy: handles.envoy.clone(),
        foreman: handles.foreman.clone(),
        herald: handles.herald.clone(),
        desk: handles.desk.clone(),
    };
    let agents = agents::Args { world: world.clone(), directory: handles.directory.clone() };
    let steward = steward::Args { world: world.clone(), agents: handles.agents.clone() };
    let relaying = relaying::Args {
        world: world.clone(),
        liveness: handles.liveness.clone(),
        desk: handles.desk.clone(),
    };
    let relaying = (relaying, handles.relaying.clone());
    vec![
        child("router", restart(), router::Router, router, Address::default()),
        child("agents", restart(), agents::Agents, agents, handles.agents.0.clone()),
        child("steward", restart(), steward::Steward, steward, handles.steward.0.clone()),
        child("relaying", restart(), relaying::Relaying, relaying, handles.relaying.address.clone()),
    ]
}

/// What runs only where this node leads, in order of start.
fn leader_table(world: &World, handles: &Handles) -> Vec<ChildSpec> {
    let scheduler = scheduler::Args { world: world.clone(), notes: handles.scheduler.notes.clone() };
    let clockwork = clockwork::Args { world: world.clone(), armed_for: handles.clockwork.armed_for.clone() };
    let census = census::Args { world: world.clone() };
    let liveness = liveness::Args {
        world: world.clone(),
        heard: handles.liveness.heard.clone(),
        desk: handles.desk.clone(),
    };
    let envoy = envoy::Args { world: world.clone(), handle: handles.envoy.clone() };
    let foreman = foreman::Args { world: world.clone(), notes: handles.foreman.notes.clone() };
    let herald = herald::Args { world: world.clone() };
    vec![
        child("scheduler", restart(), scheduler::Scheduler, scheduler, handles.scheduler.address.clone()),
        child("clockwork", restart(), clockwork::Clockwork, clockwork, handles.clockwork.address.clone()),
        child("census", restart(), census::Census, census, handles.census.0.clone()),
        child("liveness", restart(), liveness::Liveness, liveness, handles.liveness.address.clone()),
        child("envoy", restart(), envoy::Envoy, envoy, handles.envoy.address.clone()),
        child("foreman", restart(), foreman::Foreman, foreman, handles.foreman.address.clone()),
        child("herald", restart(), herald::Herald, herald, handles.herald.address.clone()),
    ]
}

impl System {
    /// Makes the tree without starting anything, so that a node can be asked things before it takes work.
    pub fn new(world: World) -> Self {
        let handles = Handles::new(&world);
        let start_request = world.ids.request();
        Self { world, node: None, leader: None, start_request, handles, failed: watch::Sender::new(None) }
    }

    /// Makes the tree and [begins](System::begin).
    ///
    /// # Errors
    /// When the log does not take the record or an actor does not start.
    pub async fn start(world: World) -> Result<Self, Error> {
        let mut system = Self::new(world);
        system.begin().await?;
        Ok(system)
    }

    /// Records that this node started, which ends the leases of its earlier life, and starts the
    /// actors that run on every node. Does nothing if they run already.
    ///
    /// # Errors
    /// When the log does not take the record or an actor does not start.
    pub async fn begin(&mut self) -> Result<(), Error> {
        if self.node.is_some() {
            return Ok(());
        }
        let (spec, generation) = (self.world.spec.clone(), self.world.generation);
        match self.world.propose_as(self.start_request, Command::StartNode { spec, generation }).await {
            Ok(Ok(_)) => {}
            Ok(Err(refusal)) => return Err(Error::Refused(refusal)),
            Err(error) => return Err(Error::Record(error.to_string())),
        }
        let table = node_table(&self.world, &self.handles);
        self.node = Some(start_branch("node", table, &self.world, self.failed.clone()).await?);
        Ok(())
    }

    /// Starts what runs only where this node leads, after the grace that a new leader gives is agreed. Does
    /// nothing if it runs already.
    ///
    /// What it starts proposes through `journal` alone, which must be bound to `term`: it never forwards, and
    /// takes nothing once the term is over.
    ///
    /// # Errors
    /// When the grace cannot be recorded, which mostly means that the term is over, or an actor does not start.
    pub async fn lead(&mut self, journal: Arc<dyn Journal>, term: u64) -> Result<(), Error> {
        if self.leader.is_some() {
            return Ok(());
        }
        let gate = Arc::new(Gate::new(journal));
        let world = World { journal: gate.clone(), ..self.world.clone() };
        let begin = Command::BeginTerm { node: world.node, term };
        match world.propose(begin).await {
            Ok(Ok(_)) => {}
            Ok(Err(refusal)) => return Err(Error::Record(refusal.to_string())),
            Err(error) => return Err(Error::Record(error.to_string())),
        }
        let table = leader_table(&world, &self.handles);
        self.handles.liveness.set_listens(true);
        match start_branch("leader", table, &world, self.failed.clone()).await {
            Ok(branch) => {
                self.leader = Some((branch, gate));
                Ok(())
            }
            Err(error) => {
                self.handles.liveness.set_listens(false);
                Err(error)
            }
        }
    }

    /// Stops what runs only where this node leads. Nothing of it proposes any more from the call on.
    pub async fn step_down(&mut self) {
        if let Some((leader, gate)) = self.leader.take() {
            gate.shut();
            self.handles.liveness.set_listens(false);
            stop_branch("leader", &leader).await;
        }
    }

    /// Tells when a branch failed for good, with the reason; then the node should end.
    pub fn failed(&self) -> watch::Receiver<Option<String>> {
        self.failed.subscribe()
    }

    /// Returns where agents that run elsewhere wait for work.
    pub fn desk(&self) -> &Desk {
        &self.handles.desk
    }

    /// Returns where signs of life of agents that run elsewhere are noted.
    pub fn liveness(&self) -> &liveness::Handle {
        &self.handles.liveness
    }

    /// Returns how agents that this node runs are restarted.
    pub fn hosted(&self) -> Hosted {
        Hosted { world: self.world.clone(), agents: self.handles.agents.clone() }
    }

    /// Lets the agents finish what they have for at most `patience` and give the rest back; they take nothing new.
    /// What runs where this node leads goes on meanwhile, whoever leads then. What cannot be agreed is not waited for.
    pub fn drain(&self, patience: Duration) -> impl Future<Output = ()> + Send + 'static {
        let (handles, begun) = (self.handles.clone(), self.node.is_some());
        let farewell = self.world.farewell.clone();
        async move {
            handles.desk.close();
            farewell.begin();
            if begun && let Err(error) = handles.agents.drain(patience).await {
                tracing::warn!(%error, "the agents did not drain");
            }
        }
    }

    /// Stops in order: no new work is handed out, agents finish what they have for at most `patience`
    /// and give the rest back, then everything stops. Agents that have [drained](System::drain) are not waited for.
    pub async fn stop(mut self, patience: Duration) {
        self.handles.desk.close();
        self.step_down().await;
        self.drain(patience).await;
        if let Some(node) = &self.node {
            stop_branch("node", node).await;
        }
    }
}

async fn start_branch(
    branch: &'static str,
    children: Vec<ChildSpec>,
    world: &World,
    failed: watch::Sender<Option<String>>,
) -> Result<ActorRef<supervisor::Message>, Error> {
    let args = supervisor::Args {
        name: branch,
        children,
        clock: world.clock.clone(),
        entropy: world.entropy.clone(),
        failed: Arc::new(move |reason| {
            failed.send_replace(Some(format!("the {branch} branch failed: {reason}")));
        }),
    };
    match Supervisor::spawn(None, Supervisor, args).await {
        Ok((supervisor, _)) => Ok(supervisor),
        Err(error) => Err(Error::Start { branch, reason: why_not_started(error) }),
    }
}

async fn stop_branch(branch: &'static str, supervisor: &ActorRef<supervisor::Message>) {
    let address = Address::default();
    address.point_at(supervisor.clone());
    let stopped = address.ask(3 * STOP_PATIENCE, |reply| supervisor::Message::Stop { reply }).await;
    if let Err(error) = stopped {
        tracing::warn!(branch, %error, "a branch did not stop in time");
        supervisor.get_cell().kill();
    }
}
