//! A pool: keeps as many agents on this node as the pool should have, and restarts those that fail.
//!
//! An agent keeps its id across restarts of itself, of its pool and of the node. An agent that fails
//! too often is left failed; the steward decides when to try it afresh. Surplus agents are drained:
//! they finish what they have.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::RwLock;
use ractor::{Actor, ActorCell, ActorProcessingErr, ActorRef, SupervisionEvent};
use synod_domain::agent::{AgentSpec, Host, Pool as PoolRecord, Standing};
use synod_domain::chance::Chance;
use synod_domain::command::Command;
use synod_domain::id::AgentId;
use synod_domain::name::Name;
use synod_domain::restart::{Decision, Exit, RestartHistory, decide};

use crate::address::{Address, AskError, Gone, Reply};
use crate::agent;
use crate::ports::{AgentRuntime, Finish, Work};
use crate::propose::World;
use crate::supervisor::STOP_PATIENCE;

/// How long a surplus agent may go on with what it has before it must give it back.
const SURPLUS_PATIENCE: Duration = Duration::from_secs(300);

/// Finds the agents that run on this node. Shared by pools, which fill it, and the router.
#[derive(Debug, Clone, Default)]
pub(crate) struct Directory(Arc<RwLock<BTreeMap<AgentId, agent::Handle>>>);

impl Directory {
    pub(crate) fn get(&self, agent: AgentId) -> Option<agent::Handle> {
        self.0.read().get(&agent).cloned()
    }

    pub(crate) fn all(&self) -> Vec<agent::Handle> {
        self.0.read().values().cloned().collect()
    }
}

/// What a start or a restart needs.
#[derive(Clone)]
pub(crate) struct Args {
    pub(crate) world: World,
    pub(crate) pool: Name,
    pub(crate) directory: Directory,
}

/// The only way to talk to a pool. Stays valid when it restarts.
#[derive(Debug, Clone, Default)]
pub(crate) struct Handle(pub(crate) Address<Message>);

impl Handle {
    /// Tells it that its definition or size may have changed.
    pub(crate) fn look(&self) -> Result<(), Gone> {
        self.0.tell(Message::LookAtSize)
    }

    /// Tells it to try an agent again that had failed too often.
    pub(crate) fn revive(&self, agent: AgentId) -> Result<(), Gone> {
        self.0.tell(Message::Revive { agent })
    }

    /// Drains all its agents and answers when they have gone.
    pub(crate) async fn drain(&self, patience: Duration) -> Result<(), AskError> {
        self.0.ask(patience + 2 * STOP_PATIENCE, |reply| Message::Drain { patience, reply }).await
    }
}

/// What a pool is told.
#[derive(Debug)]
pub(crate) enum Message {
    LookAtSize,
    Revive { agent: AgentId },
    RestartElapsed { agent: AgentId },
    AgentRemoved { agent: AgentId },
    Drain { patience: Duration, reply: Reply<()> },
}

struct Child {
    spec: Arc<AgentSpec>,
    handle: agent::Handle,
    running: Option<ActorCell>,
    history: RestartHistory,
    leaving: bool,
}

pub(crate) struct State {
    args: Args,
    runtime: Arc<dyn AgentRuntime>,
    children: BTreeMap<AgentId, Child>,
    chance: Chance,
    draining: bool,
}

impl Drop for State {
    fn drop(&mut self) {
        let mut directory = self.args.directory.0.write();
        for agent in self.children.keys() {
            directory.remove(agent);
        }
    }
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Pool;

impl Actor for Pool {
    type Msg = Message;
    type State = State;
    type Arguments = Args;

    async fn pre_start(&self, me: ActorRef<Message>, args: Args) -> Result<State, ActorProcessingErr> {
        let pool = args.world.read(|state| state.pool(&args.pool).cloned());
        let pool = pool.ok_or_else(|| format!("there is no pool {}", args.pool))?;
        let runtime = args.world.runtimes.runtime_of(&pool.spec).unwrap_or_else(|reason| {
            tracing::error!(pool = %args.pool, error = reason, "no runtime");
            Arc::new(Unavailable(reason))
        });
        let chance = Chance::new(args.world.entropy.draw());
        let mut state = State { args, runtime, children: BTreeMap::new(), chance, draining: false };
        state.fill(&me, &pool).await?;
        Ok(state)
    }

    async fn handle(
        &self,
        me: ActorRef<Message>,
        message: Message,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            Message::LookAtSize => state.look_at_size(&me).await?,
            Message::Revive { agent } => state.revive(&me, agent).await?,
            Message::RestartElapsed { agent } => state.start_child(&me, agent).await?,
            Message::AgentRemoved { agent } => state.forget(agent),
            Message::Drain { patience, reply } => state.drain(patience, reply),
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        me: ActorRef<Message>,
        event: SupervisionEvent,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        match event {
            SupervisionEvent::ActorTerminated(who, _, _) => state.on_stop(&who),
            SupervisionEvent::ActorFailed(who, error) => state.on_failure(&me, &who, &error.to_string()),
            SupervisionEvent::ActorStarted(_) | SupervisionEvent::ProcessGroupChanged(_) => {}
        }
        Ok(())
    }
}

impl State {
    /// Starts agents until there are as many as there should be, those first that the state knows.
    async fn fill(&mut self, me: &ActorRef<Message>, pool: &PoolRecord) -> Result<(), ActorProcessingErr> {
        let here = Host::Node(self.args.world.node);
        let known: Vec<Arc<AgentSpec>> = self.args.world.read(|state| {
            let members = state.agents_of(&self.args.pool);
            members.filter(|agent| agent.spec.host == here).map(|agent| agent.spec.clone()).collect()
        });
        let target = pool.target as usize;
        for spec in known {
            if self.children.contains_key(&spec.id) {
                continue;
            }
            if self.staying() < target {
                self.adopt(me, pool, spec.id, spec.name.clone()).await?;
            } else {
                self.remove_record(spec.id);
            }
        }
        while self.staying() < target {
            let name = self.free_name()?;
            self.adopt(me, pool, self.args.world.ids.agent(), name).await?;
        }
        Ok(())
    }

    fn staying(&self) -> usize {
        self.children.values().filter(|child| !child.leaving).count()
    }

    /// The first of `pool-1`, `pool-2`, … that no agent has.
    fn free_name(&self) -> Result<Name, ActorProcessingErr> {
        let mut number = 1;
        loop {
            let name = Name::new(&format!("{}-{number}", self.args.pool))?;
            if self.children.values().all(|child| child.spec.name != name) {
                return Ok(name);
            }
            number += 1;
        }
    }

    async fn adopt(
        &mut self,
        me: &ActorRef<Message>,
        pool: &PoolRecord,
        id: AgentId,
        name: Name,
    ) -> Result<(), ActorProcessingErr> {
        let spec = Arc::new(AgentSpec {
            id,
            name,
            pool: Some(self.args.pool.clone()),
            capabilities: pool.spec.capabilities.clone(),
            labels: BTreeMap::new(),
            region: None,
            concurrency: pool.spec.concurrency,
            host: Host::Node(self.args.world.node),
        });
        let handle = agent::Handle::default();
        self.args.directory.0.write().insert(id, handle.clone());
        let history = RestartHistory::default();
        self.children.insert(id, Child { spec, handle, running: None, history, leaving: false });
        self.start_child(me, id).await
    }

    async fn start_child(&mut self, me: &ActorRef<Message>, id: AgentId) -> Result<(), ActorProcessingErr> {
        let Some(child) = self.children.get_mut(&id) else { return Ok(()) };
        if child.leaving || child.running.is_some() || self.draining {
            return Ok(());
        }
        let args = agent::Args {
            world: self.args.world.clone(),
            spec: child.spec.clone(),
            runtime: self.runtime.clone(),
        };
        let (actor, _) = agent::Agent::spawn_linked(None, agent::Agent, args, me.get_cell()).await?;
        child.running = Some(actor.get_cell());
        child.handle.0.point_at(actor);
        Ok(())
    }

    async fn revive(&mut self, me: &ActorRef<Message>, id: AgentId) -> Result<(), ActorProcessingErr> {
        if let Some(child) = self.children.get_mut(&id) {
            child.history = RestartHistory::default();
        }
        self.start_child(me, id).await
    }

    async fn look_at_size(&mut self, me: &ActorRef<Message>) -> Result<(), ActorProcessingErr> {
        if self.draining {
            return Ok(());
        }
        let pool = self.args.world.read(|state| state.pool(&self.args.pool).cloned());
        let Some(pool) = pool else { return Ok(()) };
        // The newest agents leave first; the oldest know most.
        while self.staying() > pool.target as usize {
            let newest = self.children.iter().rev().find(|(_, child)| !child.leaving);
            let Some(id) = newest.map(|(id, _)| *id) else { break };
            self.retire(me, id);
        }
        self.fill(me, &pool).await
    }

    /// Lets an agent finish and then removes it.
    fn retire(&mut self, me: &ActorRef<Message>, id: AgentId) {
        let Some(child) = self.children.get_mut(&id) else { return };
        child.leaving = true;
        let (handle, world, me) = (child.handle.clone(), self.args.world.clone(), me.clone());
        tokio::spawn(async move {
            if let Err(error) = handle.drain(SURPLUS_PATIENCE).await {
                tracing::warn!(agent = %id, %error, "a surplus agent did not drain");
            }
            remove_record(&world, id).await;
            // An error means that the pool is gone.
            let _ = me.send_message(Message::AgentRemoved { agent: id });
        });
    }

    fn remove_record(&self, id: AgentId) {
        let world = self.args.world.clone();
        tokio::spawn(async move { remove_record(&world, id).await });
    }

    fn forget(&mut self, id: AgentId) {
        self.children.remove(&id);
        self.args.directory.0.write().remove(&id);
    }

    fn child_of(&mut self, who: &ActorCell) -> Option<&mut Child> {
        let is_it =
            |child: &&mut Child| child.running.as_ref().is_some_and(|cell| cell.get_id() == who.get_id());
        self.children.values_mut().find(is_it)
    }

    fn on_stop(&mut self, who: &ActorCell) {
        if let Some(child) = self.child_of(who) {
            child.running = None;
            child.handle.0.clear();
        }
    }

    fn on_failure(&mut self, me: &ActorRef<Message>, who: &ActorCell, reason: &str) {
        let policy = self
            .args
            .world
            .read(|state| state.pool(&self.args.pool).map(|pool| pool.spec.restart.clone()))
            .unwrap_or_default();
        let now = self.args.world.clock.now();
        let mut chance = Chance::new(self.chance.draw());
        let Some(child) = self.child_of(who) else { return };
        child.running = None;
        child.handle.0.clear();
        let id = child.spec.id;
        let decision = decide(&policy, &mut child.history, Exit::Failed, now, &mut chance);
        tracing::warn!(agent = %child.spec.name, error = reason, ?decision, "an agent failed");
        let (world, me, reason) = (self.args.world.clone(), me.clone(), Arc::from(reason));
        tokio::spawn(async move {
            let command = Command::SetStanding { agent: id, standing: Standing::Failed, reason };
            if let Err(error) = world.propose(command).await {
                tracing::debug!(agent = %id, %error, "the standing was not recorded");
            }
            if let Decision::Restart { after } = decision {
                tokio::time::sleep(after).await;
                // An error means that the pool is gone.
                let _ = me.send_message(Message::RestartElapsed { agent: id });
            }
        });
    }

    fn drain(&mut self, patience: Duration, reply: Reply<()>) {
        self.draining = true;
        let running = self.children.values().filter(|child| child.running.is_some());
        let handles: Vec<agent::Handle> = running.map(|child| child.handle.clone()).collect();
        tokio::spawn(async move {
            let drains = handles.iter().map(|handle| handle.drain(patience));
            for outcome in futures::future::join_all(drains).await {
                if let Err(error) = outcome {
                    tracing::warn!(%error, "an agent did not drain");
                }
            }
            reply.send(());
        });
    }
}

async fn remove_record(world: &World, agent: AgentId) {
    if let Err(error) = world.propose(Command::RemoveAgent { agent }).await {
        tracing::debug!(%agent, %error, "the agent was not removed");
    }
}

/// Stands in for a runtime that this node does not have, so that its agents fail with the reason.
struct Unavailable(String);

#[async_trait]
impl AgentRuntime for Unavailable {
    async fn prepare(&self) -> Result<(), String> {
        Err(self.0.clone())
    }

    async fn run(&self, _: Work) -> Finish {
        Finish::Failed { reason: self.0.clone(), retryable: true }
    }
}
