//! The agents of this node: one child for each pool that can run here.
//!
//! Which pools there are is agreed, so this actor only compares the state with its children.

use std::collections::BTreeMap;
use std::time::Duration;

use ractor::{Actor, ActorCell, ActorProcessingErr, ActorRef, SupervisionEvent};
use synod_domain::agent::RuntimeSpec;
use synod_domain::chance::Chance;
use synod_domain::id::AgentId;
use synod_domain::name::Name;
use synod_domain::restart::{Decision, Exit, RestartHistory, RestartPolicy, decide};

use crate::address::{Address, AskError, Gone, Reply};
use crate::pool::{self, Directory};
use crate::propose::World;
use crate::supervisor::STOP_PATIENCE;

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
    /// Tells it that pools may have changed.
    pub(crate) fn look(&self) -> Result<(), Gone> {
        self.0.tell(Message::LookAtPools)
    }

    /// Tells it to try an agent again that had failed too often.
    pub(crate) fn revive(&self, pool: Name, agent: AgentId) -> Result<(), Gone> {
        self.0.tell(Message::Revive { pool, agent })
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
    Revive { pool: Name, agent: AgentId },
    RestartElapsed { pool: Name },
    Drain { patience: Duration, reply: Reply<()> },
}

struct Child {
    handle: pool::Handle,
    running: Option<ActorCell>,
    history: RestartHistory,
}

pub(crate) struct State {
    args: Args,
    children: BTreeMap<Name, Child>,
    chance: Chance,
    draining: bool,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Agents;

impl Actor for Agents {
    type Msg = Message;
    type State = State;
    type Arguments = Args;

    async fn pre_start(&self, me: ActorRef<Message>, args: Args) -> Result<State, ActorProcessingErr> {
        let chance = Chance::new(args.world.entropy.draw());
        let mut state = State { args, children: BTreeMap::new(), chance, draining: false };
        state.look_at_pools(&me).await?;
        Ok(state)
    }

    async fn handle(
        &self,
        me: ActorRef<Message>,
        message: Message,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            Message::LookAtPools => state.look_at_pools(&me).await?,
            Message::Revive { pool, agent } => state.revive(&pool, agent),
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
            SupervisionEvent::ActorTerminated(..)
            | SupervisionEvent::ActorStarted(_)
            | SupervisionEvent::ProcessGroupChanged(_) => Ok(()),
        }
    }
}

impl State {
    /// Starts a child for each new pool, stops those whose pool is gone, and lets the others look.
    async fn look_at_pools(&mut self, me: &ActorRef<Message>) -> Result<(), ActorProcessingErr> {
        if self.draining {
            return Ok(());
        }
        let wanted: Vec<Name> = self.args.world.read(|state| {
            let here = state.pools().filter(|pool| pool.spec.runtime != RuntimeSpec::External);
            here.map(|pool| pool.spec.name.clone()).collect()
        });
        let gone: Vec<Name> = self.children.keys().filter(|pool| !wanted.contains(pool)).cloned().collect();
        for pool in gone {
            if let Some(cell) = self.children.remove(&pool).and_then(|child| child.running) {
                cell.stop(None);
            }
        }
        for pool in wanted {
            if let Some(child) = self.children.get(&pool) {
                // A pool that is being restarted looks when it starts.
                let _ = child.handle.look();
            } else {
                let handle = pool::Handle::default();
                let child = Child { handle, running: None, history: RestartHistory::default() };
                self.children.insert(pool.clone(), child);
                self.start_pool(me, &pool).await?;
            }
        }
        Ok(())
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
        let (actor, _) = pool::Pool::spawn_linked(None, pool::Pool, args, me.get_cell()).await?;
        child.running = Some(actor.get_cell());
        child.handle.0.point_at(actor);
        Ok(())
    }

    fn on_failure(
        &mut self,
        me: &ActorRef<Message>,
        who: &ActorCell,
        reason: &str,
    ) -> Result<(), ActorProcessingErr> {
        let is_it = |child: &Child| child.running.as_ref().is_some_and(|cell| cell.get_id() == who.get_id());
        let now = self.args.world.clock.now();
        let Some((name, child)) = self.children.iter_mut().find(|(_, child)| is_it(child)) else {
            return Ok(());
        };
        child.running = None;
        child.handle.0.clear();
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

    fn revive(&self, pool: &Name, agent: AgentId) {
        if let Some(child) = self.children.get(pool) {
            // A pool that is being restarted starts all its agents.
            let _ = child.handle.revive(agent);
        }
    }

    fn drain(&mut self, patience: Duration, reply: Reply<()>) {
        self.draining = true;
        let handles: Vec<pool::Handle> = self.children.values().map(|child| child.handle.clone()).collect();
        tokio::spawn(async move {
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
