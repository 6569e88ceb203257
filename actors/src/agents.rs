//! The agents of this node: one child for each pool that has a share here, or had one.
//!
//! Which pools there are is agreed, so this actor only compares the state with its children.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use ractor::{Actor, ActorCell, ActorProcessingErr, ActorRef, SupervisionEvent};
use synod_domain::agent::{Host, PoolSpec, RuntimeSpec};
use synod_domain::chance::Chance;
use synod_domain::command::Command;
use synod_domain::id::AgentId;
use synod_domain::name::Name;
use synod_domain::restart::{Decision, Exit, RestartHistory, RestartPolicy, decide};

use crate::address::{Address, AskError, Gone, Reply};
use crate::directory::Directory;
use crate::pool;
use crate::propose::World;
use crate::supervisor::{STOP_PATIENCE, start_at, why_not_started};
use crate::tether::Tether;

/// How long a restart that somebody asked for may take: an attempt in hand may take its runtime's grace to
/// stop, and one that hangs is cut off before this.
const RESTART_PATIENCE: Duration = Duration::from_secs(90);

/// What a start or a restart needs.
#[derive(Clone)]
pub(crate) struct Args {
    pub(crate) world: World,
    pub(crate) directory: Directory,
}

/// The only way to talk to it. Stays valid when it restarts.
#[derive(Debug, Clone, Default)]
pub(crate) struct Handle(pub(crate) Address<Message>);

impl Handle {
    /// Tells it that any pool may have changed.
    pub(crate) fn look(&self) -> Result<(), Gone> {
        self.0.tell(Message::LookAtPools)
    }

    /// Tells it that a pool may have changed.
    pub(crate) fn look_at(&self, pool: Name) -> Result<(), Gone> {
        self.0.tell(Message::LookAtPool { pool })
    }

    /// Tells it to try an agent again that had failed too often.
    pub(crate) fn revive(&self, pool: Name, agent: AgentId) -> Result<(), Gone> {
        self.0.tell(Message::Revive { pool, agent })
    }

    /// Tells it that nothing is agreed about an agent of a pool any more: it was retired.
    pub(crate) fn retired(&self, pool: Name, agent: AgentId) -> Result<(), Gone> {
        self.0.tell(Message::Retired { pool, agent })
    }

    /// Tells it not to wait for what an agent that leaves has in hand.
    pub(crate) fn evict(&self, pool: Name, agent: AgentId) -> Result<(), Gone> {
        self.0.tell(Message::Evict { pool, agent })
    }

    /// Lets an agent of this node begin afresh, as [`pool::Handle::restart`] does.
    pub(crate) async fn restart(&self, pool: Name, agent: AgentId) -> Result<Result<(), String>, AskError> {
        self.0.ask(RESTART_PATIENCE, |reply| Message::Restart { pool, agent, reply }).await
    }

    /// Drains all agents and answers when they have gone.
    pub(crate) async fn drain(&self, patience: Duration) -> Result<(), AskError> {
        self.0.ask(patience + 3 * STOP_PATIENCE, |reply| Message::Drain { patience, reply }).await
    }
}

/// What it is told.
#[derive(Debug)]
pub(crate) enum Message {
    LookAtPools,
    LookAtPool { pool: Name },
    Revive { pool: Name, agent: AgentId },
    Retired { pool: Name, agent: AgentId },
    Evict { pool: Name, agent: AgentId },
    Restart { pool: Name, agent: AgentId, reply: Reply<Result<(), String>> },
    RestartElapsed { pool: Name },
    Drain { patience: Duration, reply: Reply<()> },
}

struct Child {
    /// What it was started with.
    spec: Arc<PoolSpec>,
    handle: pool::Handle,
    running: Option<ActorCell>,
    history: RestartHistory,
}

pub(crate) struct State {
    args: Args,
    children: BTreeMap<Name, Child>,
    chance: Chance,
    draining: bool,
    beside: Tether,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Agents;

impl Actor for Agents {
    type Msg = Message;
    type State = State;
    type Arguments = Args;

    async fn pre_start(&self, me: ActorRef<Message>, args: Args) -> Result<State, ActorProcessingErr> {
        let chance = Chance::new(args.world.entropy.draw());
        // Pools are started by its first message, where a failure of theirs is one that can be handled.
        me.send_message(Message::LookAtPools)?;
        let beside = Tether::default();
        Ok(State { args, children: BTreeMap::new(), chance, draining: false, beside })
    }

    async fn handle(
        &self,
        me: ActorRef<Message>,
        message: Message,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            Message::LookAtPools => state.look_at_pools(&me).await?,
            Message::LookAtPool { pool } => state.look_at_pool(&me, &pool).await?,
            Message::Revive { pool, agent } => state.tell(&pool, |handle| handle.revive(agent)),
            Message::Retired { pool, agent } => state.tell(&pool, |handle| handle.retired(agent)),
            Message::Evict { pool, agent } => state.tell(&pool, |handle| handle.evict(agent)),
            Message::Restart { pool, agent, reply } => state.restart(&pool, agent, reply),
            Message::RestartElapsed { pool } => state.start_pool(&me, &pool).await?,
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
            SupervisionEvent::ActorFailed(who, error) => state.on_failure(&me, &who, &error.to_string()),
            SupervisionEvent::ActorTerminated(who, _, _) => state.on_failure(&me, &who, "it stopped"),
            SupervisionEvent::ActorStarted(_) | SupervisionEvent::ProcessGroupChanged(_) => Ok(()),
        }
    }
}

impl State {
    async fn look_at_pools(&mut self, me: &ActorRef<Message>) -> Result<(), ActorProcessingErr> {
        let mut pools: BTreeSet<Name> = self.children.keys().cloned().collect();
        self.args.world.read(|state| pools.extend(state.pools().map(|pool| pool.spec.name.clone())));
        for pool in pools {
            self.look_at_pool(me, &pool).await?;
        }
        Ok(())
    }

    /// Starts a child for a new pool, anew for one whose agents have all become others, stops that of a pool
    /// that is gone or not for this node, and lets it look for itself otherwise: also while a new blueprint is brought
    /// to its agents one after the other.
    async fn look_at_pool(&mut self, me: &ActorRef<Message>, name: &Name) -> Result<(), ActorProcessingErr> {
        if self.draining {
            return Ok(());
        }
        let here = self.args.world.node;
        let is_child = self.children.contains_key(name);
        let found = self.args.world.read(|state| {
            let pool = state.pool(name).filter(|pool| pool.spec.runtime != RuntimeSpec::External)?;
            let known = || state.agents_of(name).any(|agent| agent.spec.host == Host::Node(here));
            let concerns_us = is_child || state.kept_on(name, here) > 0 || known();
            Some((pool.spec.clone(), concerns_us, state.rollout(name).is_some()))
        });
        let wanted = match found {
            Some((_, false, _)) => return Ok(()),
            Some((spec, true, rolls)) => Some((spec, rolls)),
            None => None,
        };
        let kept = |child: &Child| {
            wanted.as_ref().is_some_and(|(spec, rolls)| *rolls || same_agents(spec, &child.spec))
        };
        if self.children.get(name).is_some_and(|child| !kept(child)) {
            self.stop_pool(name).await;
        }
        let Some((spec, _)) = wanted else {
            self.remove_records(name);
            return Ok(());
        };
        if let Some(child) = self.children.get_mut(name) {
            child.spec = spec;
            // A pool that is being restarted looks when it starts.
            let _ = child.handle.look();
            return Ok(());
        }
        let history = RestartHistory::default();
        let child = Child { spec, handle: pool::Handle::default(), running: None, history };
        self.children.insert(name.clone(), child);
        self.start_pool(me, name).await
    }

    async fn stop_pool(&mut self, name: &Name) {
        let Some(child) = self.children.remove(name) else { return };
        child.handle.0.clear();
        if let Some(cell) = child.running
            && cell.stop_and_wait(None, Some(STOP_PATIENCE)).await.is_err()
        {
            cell.kill();
        }
    }

    /// Forgets the agents that this node ran for a pool that is run elsewhere.
    fn remove_records(&self, pool: &Name) {
        let here = Host::Node(self.args.world.node);
        let agents: Vec<AgentId> = self.args.world.read(|state| {
            let ours = state.agents_of(pool).filter(|agent| agent.spec.host == here);
            ours.map(|agent| agent.spec.id).collect()
        });
        for agent in agents {
            let world = self.args.world.clone();
            self.beside.spawn(async move {
                if let Err(error) = world.propose(Command::RemoveAgent { agent }).await {
                    tracing::debug!(%agent, %error, "the agent was not removed");
                }
            });
        }
    }

    async fn start_pool(&mut self, me: &ActorRef<Message>, pool: &Name) -> Result<(), ActorProcessingErr> {
        let Some(child) = self.children.get_mut(pool) else { return Ok(()) };
        if child.running.is_some() || self.draining {
            return Ok(());
        }
        let args = pool::Args {
            world: self.args.world.clone(),
            pool: pool.clone(),
            directory: self.args.directory.clone(),
        };
        match start_at(&child.handle.0, pool::Pool, args, me.get_cell()).await {
            Ok(cell) => {
                child.running = Some(cell);
                Ok(())
            }
            Err(error) => self.failed(me, pool, &why_not_started(error)),
        }
    }

    fn on_failure(
        &mut self,
        me: &ActorRef<Message>,
        who: &ActorCell,
        reason: &str,
    ) -> Result<(), ActorProcessingErr> {
        let is_it = |child: &Child| child.running.as_ref().is_some_and(|cell| cell.get_id() == who.get_id());
        let Some((name, child)) = self.children.iter_mut().find(|(_, child)| is_it(child)) else {
            return Ok(());
        };
        child.running = None;
        child.handle.0.clear();
        let pool = name.clone();
        self.failed(me, &pool, reason)
    }

    /// Sets a time for the restart of a pool, or gives up with it.
    fn failed(
        &mut self,
        me: &ActorRef<Message>,
        name: &Name,
        reason: &str,
    ) -> Result<(), ActorProcessingErr> {
        let now = self.args.world.clock.now();
        let Some(child) = self.children.get_mut(name) else { return Ok(()) };
        let policy = RestartPolicy::default();
        match decide(&policy, &mut child.history, Exit::Failed, now, &mut self.chance) {
            Decision::Restart { after } => {
                tracing::warn!(pool = %name, error = reason, ?after, "restarting a pool");
                let pool = name.clone();
                me.send_after(after, move || Message::RestartElapsed { pool });
                Ok(())
            }
            Decision::Leave => Ok(()),
            Decision::GiveUp => Err(format!("pool {name} failed too often; the last time: {reason}").into()),
        }
    }

    fn tell(&self, pool: &Name, what: impl FnOnce(&pool::Handle) -> Result<(), Gone>) {
        if let Some(child) = self.children.get(pool) {
            // A pool that is being restarted looks at the state and starts its agents afresh.
            let _ = what(&child.handle);
        }
    }

    fn restart(&self, pool: &Name, agent: AgentId, reply: Reply<Result<(), String>>) {
        match self.children.get(pool) {
            // A pool that is being restarted drops the reply, and starts every agent afresh.
            Some(child) => drop(child.handle.restart(agent, reply)),
            None => reply.send(Err(format!("pool {pool} does not run on this node"))),
        }
    }

    fn drain(&mut self, patience: Duration, reply: Reply<()>) {
        self.draining = true;
        let handles: Vec<pool::Handle> = self.children.values().map(|child| child.handle.clone()).collect();
        self.beside.spawn(async move {
            let drains = handles.iter().map(|handle| handle.drain(patience));
            for outcome in futures::future::join_all(drains).await {
                if let Err(error) = outcome {
                    tracing::warn!(%error, "a pool did not drain");
                }
            }
            reply.send(());
        });
    }
}

/// Tells whether agents made from one definition are as those made from the other; then the pool goes on,
/// else its agents are started anew and what they had in hand is redelivered.
fn same_agents(left: &PoolSpec, right: &PoolSpec) -> bool {
    left.runtime == right.runtime
        && left.capabilities == right.capabilities
        && left.concurrency == right.concurrency
}
