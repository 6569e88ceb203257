//! Watches the agents: one that failed for good is tried afresh after a while.
//!
//! A pool restarts its agents within their restart policy and then leaves them failed, so that a
//! broken program does not burn the machine. The cause is often elsewhere and passes: a full disk, a
//! missing file, a service that is down. So the steward tries again, each time after a longer wait.

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
    /// Tells it that an agent's standing changed.
    pub(crate) fn standing_changed(&self, agent: AgentId) -> Result<(), Gone> {
        self.0.tell(Message::StandingChanged { agent })
    }
}

/// What it is told.
#[derive(Debug)]
pub(crate) enum Message {
    StandingChanged { agent: AgentId },
    ReviveElapsed { agent: AgentId },
}

pub(crate) struct State {
    args: Args,
    /// The next wait of agents that are failed or were lately.
    waits: BTreeMap<AgentId, Wait>,
}

struct Wait {
    next: Duration,
    pending: bool,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Steward;

impl Actor for Steward {
    type Msg = Message;
    type State = State;
    type Arguments = Args;

    async fn pre_start(&self, me: ActorRef<Message>, args: Args) -> Result<State, ActorProcessingErr> {
        let failed: Vec<AgentId> = args.world.read(|state| {
            let failed = state.agents().filter(|agent| agent.standing == Standing::Failed);
            failed.map(|agent| agent.spec.id).collect()
        });
        for agent in failed {
            me.send_message(Message::StandingChanged { agent })?;
        }
        Ok(State { args, waits: BTreeMap::new() })
    }

    async fn handle(
        &self,
        me: ActorRef<Message>,
        message: Message,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            Message::StandingChanged { agent } => state.look_at(&me, agent),
            Message::ReviveElapsed { agent } => state.revive(agent),
        }
        Ok(())
    }
}

impl State {
    fn look_at(&mut self, me: &ActorRef<Message>, id: AgentId) {
        let here = Host::Node(self.args.world.node);
        let standing = self.args.world.read(|state| {
            let agent = state.agent(id).filter(|agent| agent.spec.host == here)?;
            Some(agent.standing)
        });
        match standing {
            Some(Standing::Failed) => {
                let wait = self.waits.entry(id).or_insert(Wait { next: REVIVE_FIRST, pending: false });
                if !wait.pending {
                    wait.pending = true;
                    me.send_after(wait.next, move || Message::ReviveElapsed { agent: id });
                    wait.next = (wait.next * 2).min(REVIVE_MAX);
                }
            }
            Some(_) => {}
            None => {
                self.waits.remove(&id);
            }
        }
    }

    fn revive(&mut self, id: AgentId) {
        if let Some(wait) = self.waits.get_mut(&id) {
            wait.pending = false;
        }
        let failed = self.args.world.read(|state| {
            let agent = state.agent(id)?;
            (agent.standing == Standing::Failed).then(|| agent.spec.pool.clone()).flatten()
        });
        if let Some(pool) = failed {
            tracing::info!(agent = %id, %pool, "trying a failed agent afresh");
            // If the agents' supervisor is being restarted, it starts every agent anyway.
            let _ = self.args.agents.revive(pool, id);
        } else {
            self.waits.remove(&id);
        }
    }
}
