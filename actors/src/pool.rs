//! A pool: keeps as many agents on this node as the pool should have here, and restarts those that fail.
//!
//! How many that is, is agreed: the node's share, and those on standby. Agents that have their place on another node
//! leave when they are served there, or after a while. A node that was taken for gone stops what it runs.
//!
//! An agent keeps its id across restarts of itself, of its pool and of the node. One that fails too often is given up:
//! another has its place, or the steward decides when to try it afresh. Surplus agents are drained: they finish what
//! they have.

mod failing;

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use ractor::{Actor, ActorId, ActorProcessingErr, ActorRef, SupervisionEvent};
use synod_domain::agent::{AgentSpec, Host, Pool as PoolRecord, PoolSpec};
use synod_domain::chance::Chance;
use synod_domain::command::Command;
use synod_domain::id::AgentId;
use synod_domain::name::Name;
use synod_domain::node::NodeStanding;
use synod_domain::restart::{Decision, RestartHistory};
use synod_domain::state::State as Agreed;

use crate::address::{Address, AskError, Gone, Reply};
use crate::agent::{self, Cause};
use crate::directory::Directory;
use crate::handover::Handover;
use crate::names;
use crate::ports::{AgentRuntime, Finish, Work};
use crate::propose::World;
use crate::supervisor::{STOP_PATIENCE, start_at};
use crate::tether::Tether;

/// How long a surplus agent may go on with what it has before it must give it back.
const SURPLUS_PATIENCE: Duration = Duration::from_secs(300);

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

    /// Tells it that nothing is agreed about an agent of its any more: it was retired.
    pub(crate) fn retired(&self, agent: AgentId) -> Result<(), Gone> {
        self.0.tell(Message::Retired { agent })
    }

    /// Tells it not to wait for what an agent that leaves has in hand.
    pub(crate) fn evict(&self, agent: AgentId) -> Result<(), Gone> {
        self.0.tell(Message::Evict { agent })
    }

    /// Lets an agent begin afresh: what it has goes back, and it is started again however often it failed.
    /// Answers when it has been started; with a text for people when it will not be.
    pub(crate) fn restart(&self, agent: AgentId, reply: Reply<Result<(), String>>) -> Result<(), Gone> {
        self.0.tell(Message::Restart { agent, reply })
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
    Retired { agent: AgentId },
    Evict { agent: AgentId },
    Restart { agent: AgentId, reply: Reply<Result<(), String>> },
    Restarted { agent: AgentId },
    FailureRecorded { agent: AgentId, decision: Decision },
    RestartElapsed { agent: AgentId },
    AgentRemoved { agent: AgentId },
    HandedOver,
    Drain { patience: Duration, reply: Reply<()> },
}

struct Child {
    spec: Arc<AgentSpec>,
    handle: agent::Handle,
    life: Life,
    history: RestartHistory,
    leaving: bool,
    /// Whether it finishes what it has to begin anew then; its end is wanted.
    renewing: bool,
    /// Who waits for it to begin afresh; while there is anybody, its end is wanted.
    afresh: Vec<Reply<Result<(), String>>>,
}

/// Where an agent is between its restarts. It is started only after its last failure is recorded, so that
/// the record cannot speak of the life that follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Life {
    Running(ActorId),
    /// Its failure is being recorded, or the wait before its restart runs.
    Restarting,
    /// It failed too often; the steward may revive it.
    GivenUp,
    /// It shall not be started again.
    Over,
}

pub(crate) struct State {
    args: Args,
    /// By version of the blueprint.
    runtimes: BTreeMap<u64, Arc<dyn AgentRuntime>>,
    children: BTreeMap<AgentId, Child>,
    by_actor: BTreeMap<ActorId, AgentId>,
    chance: Chance,
    draining: bool,
    handover: Handover,
    beside: Tether,
}

impl Drop for State {
    fn drop(&mut self) {
        for (agent, child) in &self.children {
            self.args.directory.leave(*agent, &child.handle);
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
        let pool =
            args.world.read(|state| Some((state.version_of(&args.pool), state.pool(&args.pool)?.clone())));
        let (version, pool) = pool.ok_or_else(|| format!("there is no pool {}", args.pool))?;
        let runtimes = BTreeMap::from([(version, runtime_of(&args.world, &pool.spec))]);
        // Its agents are started by its first message: a pool whose start fails must not leave any behind.
        me.send_message(Message::LookAtSize)?;
        Ok(State {
            chance: Chance::new(args.world.entropy.draw()),
            args,
            runtimes,
            children: BTreeMap::new(),
            by_actor: BTreeMap::new(),
            draining: false,
            handover: Handover::default(),
            beside: Tether::default(),
        })
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
            Message::Retired { agent } => state.retired(&me, agent),
            Message::Evict { agent } => state.evict(&me, agent),
            Message::Restart { agent, reply } => state.restart_afresh(&me, agent, reply).await?,
            Message::Restarted { agent } => state.restarted(&me, agent).await?,
            Message::FailureRecorded { agent, decision } => state.failure_recorded(&me, agent, decision),
            Message::RestartElapsed { agent } => state.restart(&me, agent).await?,
            Message::AgentRemoved { agent } => {
                state.forget(agent);
                // Nobody is missed who was surplus; one that was removed by hand is.
                state.look_at_size(&me).await?;
            }
            Message::HandedOver => {
                state.handover.over();
                state.look_at_size(&me).await?;
            }
            Message::Drain { patience, reply } => state.drain(patience, reply),
        }
        Ok(())
    }

    /// Cuts what runs beside it. Its state itself outlives it: it travels to its supervisor.
    async fn post_stop(&self, _: ActorRef<Message>, state: &mut State) -> Result<(), ActorProcessingErr> {
        state.beside = Tether::default();
        state.handover = Handover::default();
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        me: ActorRef<Message>,
        event: SupervisionEvent,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        match event {
            SupervisionEvent::ActorTerminated(who, _, _) => state.on_stop(&me, &who),
            SupervisionEvent::ActorFailed(who, error) => state.on_failure(&me, &who, &error.to_string()),
            SupervisionEvent::ActorStarted(_) | SupervisionEvent::ProcessGroupChanged(_) => {}
        }
        Ok(())
    }
}

impl State {
    async fn look_at_size(&mut self, me: &ActorRef<Message>) -> Result<(), ActorProcessingErr> {
        if self.draining {
            return Ok(());
        }
        let here = self.args.world.node;
        if !self.is_counted_on() {
            self.abandon();
            return Ok(());
        }
        let (pool, kept) = self.args.world.read(|state| {
            let kept = state.kept_on(&self.args.pool, here) as usize;
            (state.pool(&self.args.pool).cloned(), kept)
        });
        let Some(pool) = pool else { return Ok(()) };
        for id in self.retiring() {
            self.retire(me, id, Cause::Surplus);
        }
        for id in self.to_renew() {
            self.renew(me, id).await?;
        }
        let surplus = self.staying().saturating_sub(kept);
        if self.handover.may_leave(&self.args, surplus, me) {
            // Without a place on any node the pool has become smaller; else the place is elsewhere.
            let cause = if pool.shares.is_empty() { Cause::Surplus } else { Cause::Moved };
            let cause = if self.staying() > pool.target as usize { Cause::Surplus } else { cause };
            for id in self.first_to_leave(surplus) {
                self.retire(me, id, cause);
            }
        }
        self.fill(me, &pool, kept).await
    }

    fn is_counted_on(&self) -> bool {
        let here = self.args.world.node;
        self.args.world.read(|state| state.node(here).is_some_and(|node| node.standing == NodeStanding::Up))
    }

    /// Lets an agent leave of whom nothing is agreed any more.
    fn retired(&mut self, me: &ActorRef<Message>, id: AgentId) {
        if self.is_counted_on() {
            self.retire(me, id, Cause::Surplus);
        } else {
            self.abandon();
        }
    }

    /// Stops all agents where they are, because this node was taken for gone: their leases have ended, and nothing
    /// that would be said of them holds. They begin anew when the node is counted on again.
    fn abandon(&mut self) {
        let agents: Vec<AgentId> = self.children.keys().copied().collect();
        for id in agents {
            self.forget(id);
        }
    }

    /// Finds those whose retirement is agreed.
    fn retiring(&self) -> Vec<AgentId> {
        let staying = self.children.iter().filter(|(_, child)| !child.leaving).map(|(id, _)| *id);
        self.args
            .world
            .read(|state| staying.filter(|id| state.agent(*id).is_some_and(|agent| agent.retiring)).collect())
    }

    /// Finds those of whom it is agreed that they begin anew.
    fn to_renew(&self) -> Vec<AgentId> {
        let staying = self.children.iter().filter(|(_, child)| !child.leaving && !child.renewing);
        let shall = |state: &Agreed, id| state.life(id).is_some_and(|life| life.renewal.is_some());
        self.args.world.read(|state| staying.map(|(id, _)| *id).filter(|id| shall(state, *id)).collect())
    }

    /// Lets an agent finish what it has and then begin anew.
    async fn renew(&mut self, me: &ActorRef<Message>, id: AgentId) -> Result<(), ActorProcessingErr> {
        let Some(child) = self.children.get_mut(&id) else { return Ok(()) };
        match child.life {
            Life::Running(_) => {
                child.renewing = true;
                let handle = child.handle.clone();
                self.beside.spawn(async move {
                    if let Err(error) = handle.drain(SURPLUS_PATIENCE, Cause::Renewed).await {
                        tracing::warn!(agent = %id, %error, "an agent that begins anew is stopped where it is");
                        handle.0.stop();
                    }
                });
            }
            // It is about to be started anyway.
            Life::Restarting => {}
            Life::GivenUp | Life::Over => {
                child.history = RestartHistory::default();
                self.start_child(me, id).await?;
            }
        }
        Ok(())
    }

    /// Chooses who leaves a pool that has become smaller: those that failed for good first, then those without work, and
    /// among them the newest; the oldest know most.
    fn first_to_leave(&self, count: usize) -> Vec<AgentId> {
        if count == 0 {
            return Vec::new();
        }
        let staying = self.children.iter().filter(|(_, child)| !child.leaving).map(|(id, _)| *id);
        let mut staying: Vec<(bool, usize, Reverse<AgentId>)> = self.args.world.read(|state| {
            let held = |id| state.agent(id).map_or(0, |agent| agent.held.len());
            staying.map(|id| (!state.is_given_up(id), held(id), Reverse(id))).collect()
        });
        staying.sort_unstable();
        staying.into_iter().take(count).map(|(_, _, Reverse(id))| id).collect()
    }

    fn staying(&self) -> usize {
        self.children.values().filter(|child| !child.leaving).count()
    }

    /// Starts agents until there are as many as there should be, those first that the state knows.
    async fn fill(
        &mut self,
        me: &ActorRef<Message>,
        pool: &PoolRecord,
        kept: usize,
    ) -> Result<(), ActorProcessingErr> {
        let here = Host::Node(self.args.world.node);
        let known: Vec<Arc<AgentSpec>> = self.args.world.read(|state| {
            let members = state.agents_of(&self.args.pool).filter(|agent| !agent.retiring);
            let ours = members.map(|agent| &agent.spec);
            let ours = ours.filter(|spec| spec.host == here && !self.children.contains_key(&spec.id));
            ours.cloned().collect()
        });
        let mut missing = kept.saturating_sub(self.staying());
        for spec in known {
            if missing > 0 {
                self.adopt(me, pool, spec.id, spec.name.clone()).await?;
                missing -= 1;
            } else {
                self.remove_record(spec.id);
            }
        }
        for name in self.free_names(pool, missing)? {
            self.adopt(me, pool, self.args.world.ids.agent(), name).await?;
        }
        Ok(())
    }

    fn free_names(&self, pool: &PoolRecord, count: usize) -> Result<Vec<Name>, ActorProcessingErr> {
        let ours = self.children.values().map(|child| child.spec.name.clone()).collect();
        Ok(names::free(&self.args.world, pool, count, ours)?)
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
            heartbeat_timeout: None,
            metadata: None,
        });
        let handle = agent::Handle::default();
        self.args.directory.enter(id, handle.clone(), self.args.pool.clone());
        let history = RestartHistory::default();
        let life = Life::Restarting;
        let (leaving, renewing, afresh) = (false, false, Vec::new());
        self.children.insert(id, Child { spec, handle, life, history, leaving, renewing, afresh });
        self.start_child(me, id).await
    }

    async fn start_child(&mut self, me: &ActorRef<Message>, id: AgentId) -> Result<(), ActorProcessingErr> {
        self.settle_name(id)?;
        let definition = self.args.world.read(|state| state.definition_for(&self.args.pool, id));
        // A pool that is gone starts nobody; its supervisor is about to stop it.
        let Some((version, definition)) = definition else { return Ok(()) };
        let runtime = self.runtime_for(version, &definition);
        let Some(child) = self.children.get_mut(&id) else { return Ok(()) };
        if child.leaving || self.draining {
            return Ok(());
        }
        child.renewing = false;
        child.spec = Arc::new(AgentSpec {
            capabilities: definition.capabilities.clone(),
            concurrency: definition.concurrency,
            ..AgentSpec::clone(&child.spec)
        });
        let args = agent::Args { world: self.args.world.clone(), spec: child.spec.clone(), version, runtime };
        let actor = start_at(&child.handle.0, agent::Agent, args, me.get_cell()).await?;
        child.life = Life::Running(actor.get_id());
        self.by_actor.insert(actor.get_id(), id);
        Ok(())
    }

    /// Returns the runtime of a version of the blueprint. The two latest are kept, for a rollout goes between two.
    fn runtime_for(&mut self, version: u64, definition: &PoolSpec) -> Arc<dyn AgentRuntime> {
        if let Some(runtime) = self.runtimes.get(&version) {
            return runtime.clone();
        }
        let runtime = runtime_of(&self.args.world, definition);
        while self.runtimes.len() >= 2 {
            self.runtimes.pop_first();
        }
        self.runtimes.insert(version, runtime.clone());
        runtime
    }

    /// Gives an agent another name if one of another node was registered under it meanwhile.
    fn settle_name(&mut self, id: AgentId) -> Result<(), ActorProcessingErr> {
        let Some(child) = self.children.get(&id) else { return Ok(()) };
        let (pool, taken) = self.args.world.read(|state| {
            let other = state.hosted_agent_named(&child.spec.name).is_some_and(|other| other.spec.id != id);
            (state.pool(&self.args.pool).cloned(), other)
        });
        let Some(pool) = pool.filter(|_| taken) else { return Ok(()) };
        let name = self.free_names(&pool, 1)?.pop();
        if let (Some(name), Some(child)) = (name, self.children.get_mut(&id)) {
            child.spec = Arc::new(AgentSpec { name, ..AgentSpec::clone(&child.spec) });
        }
        Ok(())
    }

    async fn restart(&mut self, me: &ActorRef<Message>, id: AgentId) -> Result<(), ActorProcessingErr> {
        match self.children.get(&id).map(|child| child.life) {
            Some(Life::Restarting) => self.start_child(me, id).await,
            Some(Life::Running(_) | Life::GivenUp | Life::Over) | None => Ok(()),
        }
    }

    async fn revive(&mut self, me: &ActorRef<Message>, id: AgentId) -> Result<(), ActorProcessingErr> {
        match self.children.get_mut(&id) {
            Some(child) if child.life == Life::GivenUp => {
                child.history = RestartHistory::default();
                self.start_child(me, id).await
            }
            Some(_) | None => Ok(()),
        }
    }

    async fn restart_afresh(
        &mut self,
        me: &ActorRef<Message>,
        id: AgentId,
        reply: Reply<Result<(), String>>,
    ) -> Result<(), ActorProcessingErr> {
        let Some(child) = self.children.get_mut(&id).filter(|child| !child.leaving) else {
            reply.send(Err(format!("{id} is leaving its pool")));
            return Ok(());
        };
        child.history = RestartHistory::default();
        match child.life {
            Life::Running(_) => {
                child.afresh.push(reply);
                if child.afresh.len() == 1 {
                    let handle = child.handle.clone();
                    self.beside.spawn(async move {
                        if let Err(error) = handle.leave(Cause::Restart).await {
                            tracing::warn!(agent = %id, %error, "an agent that is restarted is stopped where it is");
                            handle.0.stop();
                        }
                    });
                }
            }
            // It is about to be started anyway.
            Life::Restarting => reply.send(Ok(())),
            Life::GivenUp | Life::Over => {
                self.start_child(me, id).await?;
                reply.send(Ok(()));
            }
        }
        Ok(())
    }

    /// Starts an agent whose earlier life has ended because somebody wanted it to begin afresh.
    async fn restarted(&mut self, me: &ActorRef<Message>, id: AgentId) -> Result<(), ActorProcessingErr> {
        self.restart(me, id).await?;
        let Some(child) = self.children.get_mut(&id) else { return Ok(()) };
        let outcome = match child.life {
            Life::Running(_) => Ok(()),
            Life::Restarting | Life::GivenUp | Life::Over => Err(format!("{id} is leaving its pool")),
        };
        for reply in child.afresh.drain(..) {
            reply.send(outcome.clone());
        }
        Ok(())
    }

    /// Lets an agent finish and then removes it.
    fn retire(&mut self, me: &ActorRef<Message>, id: AgentId, cause: Cause) {
        let Some(child) = self.children.get_mut(&id).filter(|child| !child.leaving) else { return };
        child.leaving = true;
        let (handle, world, me) = (child.handle.clone(), self.args.world.clone(), me.clone());
        self.beside.spawn(async move {
            if let Err(error) = handle.drain(SURPLUS_PATIENCE, cause).await {
                tracing::debug!(agent = %id, %error, "a surplus agent did not drain");
            }
            remove_record(&world, id).await;
            // An error means that the pool is gone.
            let _ = me.send_message(Message::AgentRemoved { agent: id });
        });
    }

    /// Does not wait for the work of an agent that leaves.
    fn evict(&mut self, me: &ActorRef<Message>, id: AgentId) {
        // That it retires may be heard of later than this.
        if self.retiring().contains(&id) {
            self.retire(me, id, Cause::Surplus);
        }
        let Some(child) = self.children.get(&id).filter(|child| child.leaving) else { return };
        let handle = child.handle.clone();
        self.beside.spawn(async move {
            // The one who lets it leave tells of what goes wrong.
            let _ = handle.leave(Cause::Surplus).await;
        });
    }

    fn remove_record(&self, id: AgentId) {
        let world = self.args.world.clone();
        self.beside.spawn(async move { remove_record(&world, id).await });
    }

    fn forget(&mut self, id: AgentId) {
        let Some(child) = self.children.remove(&id) else { return };
        self.args.directory.leave(id, &child.handle);
        // One that did not drain in time still runs.
        if let Life::Running(actor) = child.life {
            self.by_actor.remove(&actor);
            child.handle.0.stop();
        }
    }

    fn drain(&mut self, patience: Duration, reply: Reply<()>) {
        self.draining = true;
        let running = self.children.values().filter(|child| matches!(child.life, Life::Running(_)));
        let handles: Vec<agent::Handle> = running.map(|child| child.handle.clone()).collect();
        self.beside.spawn(async move {
            let drains = handles.iter().map(|handle| handle.drain(patience, Cause::NodeStops));
            for error in futures::future::join_all(drains).await.into_iter().filter_map(Result::err) {
                tracing::warn!(%error, "an agent did not drain");
            }
            reply.send(());
        });
    }
}

fn runtime_of(world: &World, definition: &PoolSpec) -> Arc<dyn AgentRuntime> {
    world.runtimes.runtime_of(definition).unwrap_or_else(|reason| {
        tracing::error!(pool = %definition.name, error = reason, "no runtime");
        Arc::new(Unavailable(reason))
    })
}

async fn remove_record(world: &World, agent: AgentId) {
    if let Err(error) = world.persist(Command::RemoveAgent { agent }).await {
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
