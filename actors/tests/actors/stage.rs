//! A node's tree of actors with everything around it that a test looks at.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use synod_actors::events::{EventHub, Heard};
use synod_actors::ids::Ids;
use synod_actors::ports::{Alone, Blobs, Finish, NoRegions, Work};
use synod_actors::system::{System, World};
use synod_domain::agent::{Agent, AgentSpec, AgentStatus, Host, PoolSpec, RuntimeSpec, Standing};
use synod_domain::capability::Capabilities;
use synod_domain::command::{Command, Request};
use synod_domain::id::{AgentId, NodeId, TaskId};
use synod_domain::name::Name;
use synod_domain::node::NodeSpec;
use synod_domain::payload::Payload;
use synod_domain::placement::Strategy;
use synod_domain::refusal::Refusal;
use synod_domain::reply::{Answer, Reply};
use synod_domain::restart::RestartPolicy;
use synod_domain::retry::RetryPolicy;
use synod_domain::spread::{Recovery, SpreadSpec};
use synod_domain::state::State;
use synod_domain::task::{Lane, MailboxId, Phase, Task, TaskSpec, Timeouts};

use crate::journal::{FakeJournal, Faults, PausedClock, SeededEntropy};
use crate::puppet::Puppet;

/// Nothing that a test waits for takes this long, in simulated time.
pub(crate) const PATIENCE: Duration = Duration::from_secs(48 * 3600);

pub(crate) const SECOND: Duration = Duration::from_secs(1);

/// How long an agent that runs elsewhere may be silent on a stage.
pub(crate) const AGENT_TIMEOUT: Duration = Duration::from_secs(90);

pub(crate) struct Stage {
    pub(crate) world: World,
    pub(crate) journal: Arc<FakeJournal>,
    pub(crate) puppet: Puppet,
    pub(crate) system: System,
}

/// No test has payloads that large.
pub(crate) struct NoBlobs;

#[async_trait]
impl Blobs for NoBlobs {
    async fn put(&self, _: &Bytes) -> Result<[u8; 32], String> {
        Err("there is no blob store".to_owned())
    }

    async fn get(&self, _: &[u8; 32]) -> Result<Bytes, String> {
        Err("there is no blob store".to_owned())
    }
}

pub(crate) fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

/// A pool of this many agents that take one task at a time.
pub(crate) fn pool(pool: &str, size: u32) -> PoolSpec {
    PoolSpec {
        name: name(pool),
        runtime: RuntimeSpec::Native(name("puppet")),
        capabilities: Capabilities::default(),
        min: size,
        max: size,
        concurrency: 1,
        strategy: Strategy::default(),
        restart: RestartPolicy::default(),
        spread: SpreadSpec::default(),
        recovery: Recovery::default(),
    }
}

pub(crate) fn capabilities(text: &str) -> Capabilities {
    text.split_whitespace().map(|one| one.parse().unwrap()).collect::<Vec<_>>().into()
}

impl Stage {
    /// A node that leads, whose agents do as told.
    pub(crate) async fn start<F>(acting: impl Fn(Work) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Finish> + Send + 'static,
    {
        Self::start_seeded(1, Puppet::new(acting)).await
    }

    pub(crate) async fn start_seeded(seed: u64, puppet: Puppet) -> Self {
        let (world, journal) = Self::world(seed, &puppet);
        let mut system = System::start(world.clone()).await.unwrap();
        system.lead(journal.clone(), 1).await.unwrap();
        Self { world, journal, puppet, system }
    }

    /// What a node stands on, without a node.
    pub(crate) fn world(seed: u64, puppet: &Puppet) -> (World, Arc<FakeJournal>) {
        let (clock, hub) = (Arc::new(PausedClock::new()), EventHub::default());
        let journal = Arc::new(FakeJournal::start(clock.clone(), hub.clone(), seed));
        let entropy = Arc::new(SeededEntropy::new(seed));
        let world = World {
            node: NodeId::from_raw(1),
            spec: Arc::new(NodeSpec::alone(NodeId::from_raw(1))),
            generation: 1,
            journal: journal.clone(),
            blobs: Arc::new(NoBlobs),
            runtimes: Arc::new(puppet.clone()),
            neighbours: Arc::new(Alone::default()),
            relay: Arc::new(Alone::default()),
            regions: Arc::new(NoRegions::default()),
            receivers: None,
            clock: clock.clone(),
            entropy: entropy.clone(),
            ids: Arc::new(Ids::new(clock, entropy)),
            hub,
            agent_timeout: AGENT_TIMEOUT,
            farewell: Default::default(),
        };
        (world, journal)
    }

    pub(crate) fn read<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        self.world.read(look)
    }

    pub(crate) async fn propose(&self, command: Command) -> Answer {
        self.world.propose(command).await.unwrap()
    }

    /// Applies a command at once: no actor runs before it and its events are there.
    pub(crate) fn apply(&self, command: Command) -> Answer {
        let request = Request { id: self.world.ids.request(), command };
        self.journal.core().apply(vec![request]).remove(0)
    }

    pub(crate) fn faults(&self, change: impl FnOnce(&mut Faults)) {
        change(&mut self.journal.core().faults.lock());
    }

    /// Puts a pool and waits until it has as many agents in service as it shall have at least.
    pub(crate) async fn pool(&self, spec: PoolSpec) {
        let (pool, size) = (spec.name.clone(), spec.min as usize);
        self.propose(Command::PutPool { spec: Arc::new(spec) }).await.unwrap();
        self.until("the pool's agents serve", |state| serving(state, &pool) >= size).await;
    }

    /// An agent that runs elsewhere and belongs to no pool, to be changed and then registered.
    /// Its name begins with the one given.
    pub(crate) fn outside(&self, name: &str) -> AgentSpec {
        outside_of(self.world.ids.agent(), name)
    }

    /// Registers an agent that runs elsewhere, ready for work.
    pub(crate) async fn register(&self, spec: AgentSpec) -> AgentId {
        let agent = spec.id;
        self.propose(Command::RegisterAgent { spec: Arc::new(spec) }).await.unwrap();
        let reason = "here".into();
        let ready = Command::SetStanding { agent, standing: Standing::Ready, reason };
        self.propose(ready).await.unwrap();
        agent
    }

    /// Work for whoever can do it, to be changed and then submitted.
    pub(crate) fn open_task(&self, demand: &str) -> TaskSpec {
        TaskSpec { mailbox: MailboxId::Open, demand: capabilities(demand), ..self.task("nowhere") }
    }

    /// Submits so many tasks for whoever can do them, all in one moment.
    pub(crate) fn open_burst(&self, demand: &str, count: usize) -> Vec<TaskId> {
        self.burst((0..count).map(|_| self.open_task(demand)).collect())
    }

    /// Work for a pool, to be changed and then submitted.
    pub(crate) fn task(&self, pool: &str) -> TaskSpec {
        task_for(self.world.ids.task(), pool)
    }

    pub(crate) async fn submit(&self, spec: TaskSpec) -> TaskId {
        match self.propose(Command::Submit { spec: Arc::new(spec) }).await {
            Ok(Reply::Submitted { task, .. }) => task,
            // A submit whose outcome was unknown is found to be there when it is sent again.
            Err(Refusal::TaskExists(task)) => task,
            other => panic!("a submit was answered with {other:?}"),
        }
    }

    /// Submits so many tasks to a pool, all in one moment.
    pub(crate) fn submit_burst(&self, pool: &str, count: usize) -> Vec<TaskId> {
        self.burst((0..count).map(|_| self.task(pool)).collect())
    }

    fn burst(&self, specs: Vec<TaskSpec>) -> Vec<TaskId> {
        let ids = specs.iter().map(|spec| spec.id).collect();
        let specs = specs.into_iter().map(Arc::new);
        let request = |spec| Request { id: self.world.ids.request(), command: Command::Submit { spec } };
        for answer in self.journal.core().apply(specs.map(request).collect()) {
            answer.unwrap();
        }
        ids
    }

    /// Waits until the state is as wanted.
    pub(crate) async fn until(&self, what: &str, wanted: impl Fn(&State) -> bool) {
        let mut events = self.world.hub.subscribe();
        let waiting = async {
            while !self.read(&wanted) {
                assert_ne!(events.next().await, Heard::Closed);
            }
        };
        let outcome = tokio::time::timeout(PATIENCE, waiting).await;
        assert!(outcome.is_ok(), "{what}: it did not come to that; {}", self.picture());
    }

    pub(crate) async fn until_ended(&self, task: TaskId) -> Arc<Task> {
        let ended = |state: &State| state.task(task).is_some_and(|task| task.phase().is_end());
        self.until("the task ends", ended).await;
        self.read(|state| state.task(task).cloned()).unwrap()
    }

    pub(crate) async fn until_all_ended(&self) {
        self.until("all tasks end", |state| state.unfinished() == 0).await;
    }

    pub(crate) fn phase(&self, task: TaskId) -> Phase {
        self.read(|state| state.task(task).map(|task| task.phase())).unwrap()
    }

    pub(crate) fn agents(&self, pool: &str) -> Vec<Arc<Agent>> {
        self.read(|state| state.agents_of(&name(pool)).cloned().collect())
    }

    pub(crate) fn only_agent(&self, pool: &str) -> Arc<Agent> {
        let agents = self.agents(pool);
        assert_eq!(agents.len(), 1, "{agents:?}");
        agents[0].clone()
    }

    pub(crate) async fn until_status(&self, agent: AgentId, status: AgentStatus) {
        let is_it = |state: &State| state.agent(agent).is_some_and(|agent| agent.status() == status);
        self.until("the agent has the status", is_it).await;
    }

    /// How many proposals and ticks were made so far.
    pub(crate) fn asked(&self) -> usize {
        let asked = self.journal.core().asked.lock();
        asked.commands.len() + asked.ticks
    }

    pub(crate) fn asked_for(&self, is_it: impl Fn(&Command) -> bool) -> usize {
        self.journal.core().asked.lock().commands.iter().filter(|command| is_it(command)).count()
    }

    fn picture(&self) -> String {
        self.read(|state| {
            let agents: Vec<_> = state.agents().map(|agent| (agent.status(), agent.held.len())).collect();
            let tasks: Vec<_> = state.tasks().map(|task| task.status.clone()).take(5).collect();
            let waiting: Vec<_> =
                state.mailboxes().map(|(id, mailbox)| (id.clone(), mailbox.depth())).collect();
            format!("agents {agents:?}, waiting {waiting:?}, the first tasks {tasks:?}")
        })
    }
}

/// Work for a pool, to be changed and then submitted.
pub(crate) fn task_for(id: TaskId, pool: &str) -> TaskSpec {
    TaskSpec {
        id,
        workspace: Name::default(),
        kind: name("test"),
        mailbox: MailboxId::Pool(name(pool)),
        demand: Capabilities::default(),
        lane: Lane::Normal,
        deadline: None,
        timeouts: Timeouts::default(),
        retry: RetryPolicy::default(),
        payload: Payload::default(),
        idempotency_key: None,
        labels: BTreeMap::new(),
        run: None,
        redriven_from: None,
        metadata: None,
    }
}

/// An agent that runs elsewhere and belongs to no pool, to be changed and then registered.
pub(crate) fn outside_of(id: AgentId, name: &str) -> AgentSpec {
    AgentSpec {
        id,
        name: self::name(&format!("{name}-{}", id.raw() >> 64)),
        pool: None,
        capabilities: Capabilities::default(),
        labels: BTreeMap::new(),
        region: None,
        concurrency: 1,
        host: Host::External,
        heartbeat_timeout: None,
        metadata: None,
    }
}

pub(crate) fn serving(state: &State, pool: &Name) -> usize {
    let serves = |agent: &&Arc<Agent>| matches!(agent.status(), AgentStatus::Ready | AgentStatus::Busy);
    state.agents_of(pool).filter(serves).count()
}

/// Lets simulated time pass; whatever is due within it happens.
pub(crate) async fn pass(time: Duration) {
    tokio::time::sleep(time).await;
}

/// Lets everything happen that can happen without waiting for a time. Timers keep to milliseconds, so even a
/// wait of no time at all may take one.
pub(crate) async fn settle() {
    pass(Duration::from_millis(5)).await;
}
