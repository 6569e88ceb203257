//! Watches the agents: one that failed for good is tried afresh after a while.
//!
//! A pool restarts its agents within their restart policy and then leaves them failed, so that a
//! broken program does not burn the machine. The cause is often elsewhere and passes: a full disk, a
//! missing file, a service that is down. So the steward tries again, each time after a longer wait.
//!
//! One whose pool would take another in its place and has taken too many of late is tried when the next may be taken:
//! if it fails again, that is done.

use std::collections::BTreeMap;
use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef};
use synod_domain::agent::{Host, Standing};
use synod_domain::id::AgentId;

use crate::address::{Address, Gone};
use crate::agents;
use crate::propose::World;

/// The wait before the first new try, doubled with each further one up to [`REVIVE_MAX`].
const REVIVE_FIRST: Duration = Duration::from_secs(60);

/// The longest wait before a new try.
const REVIVE_MAX: Duration = Duration::from_secs(3600);

/// What a start or a restart needs.
#[derive(Clone)]
pub(crate) struct Args {
    pub(crate) world: World,
    pub(crate) agents: agents::Handle,
}

/// The only way to talk to the steward. Stays valid when it restarts.
#[derive(Debug, Clone, Default)]
pub(crate) struct Handle(pub(crate) Address<Message>);

impl Handle {
    /// Tells it that an agent failed.
    pub(crate) fn agent_failed(&self, agent: AgentId) -> Result<(), Gone> {
        self.0.tell(Message::AgentFailed { agent })
    }

    /// Tells it that an agent is no more.
    pub(crate) fn agent_removed(&self, agent: AgentId) -> Result<(), Gone> {
        self.0.tell(Message::AgentRemoved { agent })
    }

    /// Tells it that any agent may have failed.
    pub(crate) fn look(&self) -> Result<(), Gone> {
        self.0.tell(Message::LookAtAgents)
    }
}

/// What it is told.
#[derive(Debug)]
pub(crate) enum Message {
    LookAtAgents,
    AgentFailed { agent: AgentId },
    AgentRemoved { agent: AgentId },
    ReviveElapsed { agent: AgentId },
}

pub(crate) struct State {
    args: Args,
    /// The wait now running for each agent that was failed when it began.
    waits: BTreeMap<AgentId, Duration>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Steward;

impl Actor for Steward {
    type Msg = Message;
    type State = State;
    type Arguments = Args;

    async fn pre_start(&self, me: ActorRef<Message>, args: Args) -> Result<State, ActorProcessingErr> {
        me.send_message(Message::LookAtAgents)?;
        Ok(State { args, waits: BTreeMap::new() })
    }

    async fn handle(
        &self,
        me: ActorRef<Message>,
        message: Message,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            Message::LookAtAgents => state.look_at_agents(&me),
            Message::AgentFailed { agent } => state.look_at(&me, agent),
            Message::AgentRemoved { agent } => state.forget(agent),
            Message::ReviveElapsed { agent } => state.revive(&me, agent),
        }
        Ok(())
    }
}

impl State {
    fn look_at_agents(&mut self, me: &ActorRef<Message>) {
        let failed: Vec<AgentId> = self.args.world.read(|state| {
            let failed = state.agents().filter(|agent| agent.standing == Standing::Failed);
            failed.map(|agent| agent.spec.id).collect()
        });
        for agent in failed {
            self.look_at(me, agent);
        }
    }

    /// Sets a time for a new try, if the agent is failed and none is set.
    fn look_at(&mut self, me: &ActorRef<Message>, id: AgentId) {
        if self.has_failed(id) && !self.waits.contains_key(&id) {
            self.wait(me, id, REVIVE_FIRST);
        }
    }

    /// Returns how long it takes until an agent's pool may take another in its place.
    fn until_replaced(&self, id: AgentId) -> Duration {
        let now = self.args.world.clock.now();
        self.args.world.read(|state| {
            let pool = state.agent(id).and_then(|agent| agent.spec.pool.as_ref());
            let next = pool.and_then(|pool| state.replaces_next(pool, now));
            next.map_or(Duration::ZERO, |next| next.since(now))
        })
    }

    fn has_failed(&self, id: AgentId) -> bool {
        let here = Host::Node(self.args.world.node);
        self.args.world.read(|state| {
            let agent = state.agent(id);
            agent.is_some_and(|agent| agent.spec.host == here && agent.standing == Standing::Failed)
        })
    }

    fn wait(&mut self, me: &ActorRef<Message>, id: AgentId, wait: Duration) {
        self.waits.insert(id, wait);
        me.send_after(wait, move || Message::ReviveElapsed { agent: id });
    }

    fn forget(&mut self, id: AgentId) {
        self.waits.remove(&id);
    }

    /// Tries a failed agent afresh, and sets a time for looking whether that helped.
    fn revive(&mut self, me: &ActorRef<Message>, id: AgentId) {
        let Some(waited) = self.waits.remove(&id) else { return };
        if !self.has_failed(id) {
            return;
        }
        let hold = self.until_replaced(id);
        if !hold.is_zero() {
            return self.wait(me, id, hold);
        }
        let pool = self.args.world.read(|state| state.agent(id).and_then(|agent| agent.spec.pool.clone()));
        if let Some(pool) = pool {
            tracing::info!(agent = %id, %pool, "trying a failed agent afresh");
            // If the agents' supervisor is being restarted, it starts every agent anyway.
            let _ = self.args.agents.revive(pool, id);
        }
        self.wait(me, id, (waited * 2).min(REVIVE_MAX));
    }
}
