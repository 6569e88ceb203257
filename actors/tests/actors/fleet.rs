//! Several nodes on one journal: each sees the state by itself, and may be cut off from it.
//!
//! A node that is cut off sees the state as it was, hears of nothing, and what it proposes waits. When it is let in
//! again it hears of all that it missed, in order, and its proposals go through: so does a node whose process was
//! stopped and goes on.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use synod_actors::events::{EventHub, Heard};
use synod_actors::ids::Ids;
use synod_actors::liveness;
use synod_actors::ports::{Alive, Journal, JournalError, Neighbour, Neighbours, NoRegions, Relay};
use synod_actors::system::{System, World};
use synod_domain::agent::{Agent, AgentStatus, Host, PoolSpec};
use synod_domain::command::{Command, Request};
use synod_domain::id::{AgentId, NodeId, RequestId, TaskId, TokenId};
use synod_domain::name::Name;
use synod_domain::node::{JoinToken, NodeRole, NodeSpec, NodeStanding};
use synod_domain::reply::Answer;
use synod_domain::state::State;
use synod_domain::task::Task;
use synod_domain::time::Timestamp;
use tokio::sync::watch;

use crate::journal::{FakeJournal, PausedClock, SeededEntropy};
use crate::puppet::Puppet;
use crate::stage::{AGENT_TIMEOUT, NoBlobs, PATIENCE, name, serving};

/// What a node sees of the journal.
pub(crate) struct Sight {
    shared: Arc<FakeJournal>,
    /// The state as it was when the node was cut off.
    frozen: Mutex<Option<State>>,
    cut: watch::Sender<bool>,
    leaderless: watch::Sender<bool>,
}

impl Sight {
    async fn until_clear(&self) {
        let _ = self.cut.subscribe().wait_for(|cut| !cut).await;
    }

    fn check_leader(&self) -> Result<(), JournalError> {
        if *self.leaderless.borrow() { Err(JournalError::NotLeader) } else { Ok(()) }
    }
}

#[async_trait]
impl Journal for Sight {
    async fn propose(&self, id: RequestId, command: Command) -> Result<Answer, JournalError> {
        self.until_clear().await;
        self.check_leader()?;
        self.shared.propose(id, command).await
    }

    async fn tick(&self) -> Result<(), JournalError> {
        self.until_clear().await;
        self.check_leader()?;
        self.shared.tick().await
    }

    fn read(&self, look: &mut dyn FnMut(&State)) {
        match &*self.frozen.lock() {
            Some(state) => look(state),
            None => self.shared.read(look),
        }
    }
}

/// What is rumoured, the same everywhere.
pub(crate) struct Rumours {
    seen: Mutex<BTreeMap<NodeId, Neighbour>>,
    changes: watch::Sender<u64>,
    /// How patient they ask one to be, for each node that there is.
    patience: Mutex<Duration>,
}

impl Neighbours for Rumours {
    fn seen(&self) -> Vec<Neighbour> {
        self.seen.lock().values().copied().collect()
    }

    fn patience(&self, members: usize) -> Duration {
        *self.patience.lock() * u32::try_from(members).unwrap()
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
}

/// Takes signs of life to whoever is said to lead.
#[derive(Default)]
pub(crate) struct Wire {
    leader: Mutex<Option<liveness::Handle>>,
    pub(crate) batches: AtomicUsize,
}

#[async_trait]
impl Relay for Wire {
    async fn heard(&self, agents: Vec<AgentId>) -> Result<(), String> {
        self.batches.fetch_add(1, Ordering::SeqCst);
        let leader = self.leader.lock().clone().ok_or("nobody leads")?;
        agents.into_iter().for_each(|agent| leader.heard(agent));
        Ok(())
    }
}

/// One node.
pub(crate) struct Member {
    pub(crate) world: World,
    pub(crate) system: System,
    pub(crate) puppet: Puppet,
    pub(crate) sight: Arc<Sight>,
}

/// All of them; the first is number 1 in the list and has place 0.
pub(crate) struct Fleet {
    pub(crate) members: Vec<Member>,
    pub(crate) journal: Arc<FakeJournal>,
    pub(crate) wire: Arc<Wire>,
    rumours: Arc<Rumours>,
    term: u64,
}

pub(crate) fn node(place: usize) -> NodeId {
    NodeId::from_raw(place as u128 + 1)
}

impl Fleet {
    /// So many nodes, the first of which leads; each acts as its puppet does.
    pub(crate) async fn start(puppets: Vec<Puppet>) -> Self {
        let clock = Arc::new(PausedClock::new());
        let journal = Arc::new(FakeJournal::start(clock.clone(), EventHub::default(), 7));
        let patience = Mutex::new(Duration::from_millis(700));
        let rumours = Arc::new(Rumours { seen: Mutex::default(), changes: watch::Sender::new(0), patience });
        let wire = Arc::new(Wire::default());
        let mut fleet = Self { members: Vec::new(), journal, wire, rumours, term: 0 };
        for puppet in puppets {
            fleet.join(puppet, &clock).await;
        }
        fleet.lead(0).await;
        fleet
    }

    async fn join(&mut self, puppet: Puppet, clock: &Arc<PausedClock>) {
        let place = self.members.len();
        let id = node(place);
        let spec = NodeSpec { name: name(&format!("node-{place}")), ..NodeSpec::alone(id) };
        let spec = Arc::new(spec);
        if place > 0 {
            let mut hash = [0; 32];
            hash[0] = u8::try_from(place).unwrap();
            let (role, expires_at) = (NodeRole::Voter, Timestamp::NEVER);
            let token =
                JoinToken { id: TokenId::from_raw(place as u128), hash, role, expires_at, used_by: None };
            self.apply(Command::PutJoinToken { token }).unwrap();
            self.apply(Command::AdmitNode { spec: spec.clone(), role, token: hash }).unwrap();
        }
        let sight = Arc::new(Sight {
            shared: self.journal.clone(),
            frozen: Mutex::default(),
            cut: watch::Sender::new(false),
            leaderless: watch::Sender::new(false),
        });
        let (hub, entropy) = (EventHub::default(), Arc::new(SeededEntropy::new(place as u64)));
        let (mut told, passed_on, seen) = (self.journal.core().hub.subscribe(), hub.clone(), sight.clone());
        tokio::spawn(async move {
            while let Heard::Happening(happening) = told.next().await {
                seen.until_clear().await;
                passed_on.publish(happening);
            }
        });
        let world = World {
            node: id,
            spec,
            generation: 1,
            journal: sight.clone(),
            blobs: Arc::new(NoBlobs),
            runtimes: Arc::new(puppet.clone()),
            neighbours: self.rumours.clone(),
            relay: self.wire.clone(),
            regions: Arc::new(NoRegions::default()),
            receivers: None,
            clock: clock.clone(),
            entropy: entropy.clone(),
            ids: Arc::new(Ids::new(clock.clone(), entropy)),
            hub,
            agent_timeout: AGENT_TIMEOUT,
            farewell: Default::default(),
        };
        let system = System::start(world.clone()).await.unwrap();
        self.members.push(Member { world, system, puppet, sight });
        self.rumour(place, Alive::Alive);
    }

    /// Lets a node lead; whoever led before does not any more.
    pub(crate) async fn lead(&mut self, place: usize) {
        for member in &mut self.members {
            member.system.step_down().await;
        }
        self.term += 1;
        let term = self.term;
        let member = &mut self.members[place];
        member.system.lead(member.sight.clone(), term).await.unwrap();
        *self.wire.leader.lock() = Some(member.system.liveness().clone());
    }

    /// Says of a node what gossip says.
    pub(crate) fn rumour(&self, place: usize, alive: Alive) {
        self.rumour_of(place, 1, alive);
    }

    pub(crate) fn rumour_of(&self, place: usize, generation: u64, alive: Alive) {
        let rumour = Neighbour { node: node(place), generation, alive };
        self.rumours.seen.lock().insert(rumour.node, rumour);
        self.rumours.changes.send_modify(|changes| *changes += 1);
    }

    /// Says how patient a leader has to be that begins from here on, for each node that there is.
    pub(crate) fn ask_for_patience(&self, each: Duration) {
        *self.rumours.patience.lock() = each;
    }

    /// Cuts a node off.
    pub(crate) fn cut(&self, place: usize) {
        let sight = &self.members[place].sight;
        let state = self.read(|state| State::restore(state.rows().into_iter().map(|(_, row)| row)).unwrap());
        *sight.frozen.lock() = Some(state);
        sight.cut.send_replace(true);
    }

    /// Lets a node in again that was cut off.
    pub(crate) fn let_in(&self, place: usize) {
        let sight = &self.members[place].sight;
        *sight.frozen.lock() = None;
        sight.cut.send_replace(false);
    }

    /// Says to everybody who proposes whether there is a leader to take it.
    pub(crate) fn set_leaderless(&self, leaderless: bool) {
        for member in &self.members {
            member.sight.leaderless.send_replace(leaderless);
        }
    }

    pub(crate) fn read<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        let (mut look, mut seen) = (Some(look), None);
        self.journal.read(&mut |state| seen = look.take().map(|look| look(state)));
        seen.unwrap()
    }

    /// Applies a command at once.
    pub(crate) fn apply(&self, command: Command) -> Answer {
        let id = self
            .members
            .first()
            .map_or(RequestId::from_raw(self.read(|state| state.rows().len()) as u128), |one| {
                one.world.ids.request()
            });
        self.journal.core().apply(vec![Request { id, command }]).remove(0)
    }

    /// Puts a pool and waits until it has the agents that it shall have.
    pub(crate) async fn pool(&self, spec: PoolSpec) {
        let (pool, size) = (spec.name.clone(), spec.min as usize);
        self.apply(Command::PutPool { spec: Arc::new(spec) }).unwrap();
        self.until("the pool's agents serve", |state| serving(state, &pool) >= size).await;
    }

    /// Waits until the state is as wanted.
    pub(crate) async fn until(&self, what: &str, wanted: impl Fn(&State) -> bool) {
        let mut events = self.journal.core().hub.subscribe();
        let waiting = async {
            while !self.read(&wanted) {
                assert_ne!(events.next().await, Heard::Closed);
            }
        };
        let outcome = tokio::time::timeout(PATIENCE, waiting).await;
        assert!(outcome.is_ok(), "{what}: it did not come to that; {}", self.picture());
    }

    pub(crate) async fn until_all_ended(&self) {
        self.until("all tasks end", |state| state.unfinished() == 0).await;
    }

    pub(crate) async fn until_standing(&self, place: usize, standing: NodeStanding) {
        let is_it = |state: &State| state.node(node(place)).is_some_and(|node| node.standing == standing);
        self.until("the node has the standing", is_it).await;
    }

    pub(crate) fn task(&self, task: TaskId) -> Arc<Task> {
        self.read(|state| state.task(task).cloned()).unwrap()
    }

    /// The agents of a pool on a node.
    pub(crate) fn agents(&self, pool: &str, place: usize) -> Vec<Arc<Agent>> {
        let here = Host::Node(node(place));
        self.read(|state| state.agents_of(&name(pool)).filter(|one| one.spec.host == here).cloned().collect())
    }

    /// How many agents of a pool serve on each node.
    pub(crate) fn serving(&self, pool: &str) -> Vec<usize> {
        let serves = |agent: &&Arc<Agent>| matches!(agent.status(), AgentStatus::Ready | AgentStatus::Busy);
        (0..self.members.len()).map(|place| self.agents(pool, place).iter().filter(serves).count()).collect()
    }

    pub(crate) fn names(&self, pool: &str) -> Vec<Name> {
        self.read(|state| {
            let mut names: Vec<Name> =
                state.agents_of(&name(pool)).map(|agent| agent.spec.name.clone()).collect();
            names.sort();
            names
        })
    }

    pub(crate) fn drain(&self, place: usize, drain: bool) {
        self.apply(Command::DrainNode { node: node(place), drain, reason: "moving".into() }).unwrap();
    }

    fn picture(&self) -> String {
        self.read(|state| {
            let agents: Vec<_> = state
                .agents()
                .map(|agent| {
                    (agent.spec.name.clone(), agent.status(), agent.reason.clone(), agent.held.len())
                })
                .collect();
            let nodes: Vec<_> = state.nodes().map(|node| (node.spec.id, node.standing)).collect();
            format!("nodes {nodes:?}, agents {agents:?}, unfinished {}", state.unfinished())
        })
    }
}
