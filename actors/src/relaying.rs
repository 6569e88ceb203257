//! Takes the signs of life of agents that run elsewhere to the node that leads, where silence is counted.
//!
//! Signs that are noted on a node that does not lead wait in a set, one for each agent, and are told together: at
//! once after a while without any, else after a part of the shortest silence that anybody among them is allowed.
//! Whoever waits at this node's [claims desk](crate::desk) is told of with every batch. What could not be told waits
//! for the next; while nobody leads nothing is lost, because a new leader counts silence from its own beginning.
//! Where nothing was heard, nothing is told and nothing wakes.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use synod_domain::agent::{AGENTS_MAX, Host};
use synod_domain::id::AgentId;
use tokio::time::Instant;

use crate::address::Address;
use crate::desk::Desk;
use crate::liveness;
use crate::propose::World;
use crate::tether::Tether;

/// How many batches go out within the shortest silence that is allowed: three may be lost before anybody is taken
/// for silent.
const BATCHES_IN_SILENCE: u32 = 4;

/// The shortest wait between two batches: agents whose timeouts are shorter than some seconds had better talk to the
/// leader.
const WAIT_MIN: Duration = Duration::from_millis(100);

/// The longest wait between two batches, so that what is shown of agents is not much older.
const WAIT_MAX: Duration = Duration::from_secs(10);

/// How many agents one batch tells of; a larger one would hold up the others of its link.
const BATCH_MAX: usize = 4096;

/// How long a batch may take. A leader that is slower has other troubles, and the next batch says the same again.
const TELL_PATIENCE: Duration = Duration::from_secs(2);

/// What a start or a restart needs.
#[derive(Clone)]
pub(crate) struct Args {
    pub(crate) world: World,
    pub(crate) liveness: liveness::Handle,
    pub(crate) desk: Desk,
}

/// Where signs are left. Stays valid when the actor restarts; what is there then is told.
#[derive(Debug, Clone, Default)]
pub(crate) struct Handle {
    pub(crate) address: Address<Message>,
    signs: Arc<Mutex<BTreeSet<AgentId>>>,
}

impl Handle {
    /// Leaves a sign of life.
    pub(crate) fn leave(&self, agent: AgentId) {
        let was_empty = {
            let mut signs = self.signs.lock();
            let was_empty = signs.is_empty();
            // There are no more agents than that; whoever claims to be heard may not fill the memory.
            if signs.len() < AGENTS_MAX {
                signs.insert(agent);
            }
            was_empty
        };
        if was_empty {
            self.look();
        }
    }

    /// Tells it that there may be somebody to tell of.
    pub(crate) fn look(&self) {
        // One that is being restarted looks when it starts.
        let _ = self.address.tell(Message::LookAtSigns);
    }

    fn take(&self) -> BTreeSet<AgentId> {
        std::mem::take(&mut *self.signs.lock())
    }

    fn put_back(&self, agents: impl IntoIterator<Item = AgentId>) {
        self.signs.lock().extend(agents);
    }
}

/// What it is told.
#[derive(Debug)]
pub(crate) enum Message {
    LookAtSigns,
    WaitElapsed,
}

/// Where it is between two batches.
#[derive(Debug, PartialEq, Eq)]
enum Phase {
    /// Nothing is on its way, and nobody waits.
    Idle,
    /// A batch is on its way, or the wait after one runs.
    Waiting,
}

pub(crate) struct State {
    args: Args,
    handle: Handle,
    phase: Phase,
    beside: Tether,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Relaying;

impl Actor for Relaying {
    type Msg = Message;
    type State = State;
    type Arguments = (Args, Handle);

    async fn pre_start(
        &self,
        me: ActorRef<Message>,
        (args, handle): (Args, Handle),
    ) -> Result<State, ActorProcessingErr> {
        me.send_message(Message::LookAtSigns)?;
        Ok(State { args, handle, phase: Phase::Idle, beside: Tether::default() })
    }

    async fn handle(
        &self,
        me: ActorRef<Message>,
        message: Message,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            Message::LookAtSigns if state.phase == Phase::Waiting => {}
            Message::LookAtSigns | Message::WaitElapsed => state.tell(&me),
        }
        Ok(())
    }
}

impl State {
    /// Tells what there is to tell, and waits before the next.
    fn tell(&mut self, me: &ActorRef<Message>) {
        let mut agents = self.handle.take();
        agents.extend(self.args.desk.claimants());
        if self.args.liveness.listens() {
            // It has begun to lead meanwhile, and its own ears count.
            agents.iter().for_each(|agent| self.args.liveness.heard(*agent));
            agents.clear();
        }
        let wait = self.wait_of(&mut agents);
        if agents.is_empty() {
            self.phase = Phase::Idle;
            return;
        }
        self.phase = Phase::Waiting;
        let rest: Vec<AgentId> = agents.iter().copied().skip(BATCH_MAX).collect();
        let batch: Vec<AgentId> = agents.into_iter().take(BATCH_MAX).collect();
        self.handle.put_back(rest);
        let (relay, handle, me) = (self.args.world.relay.clone(), self.handle.clone(), me.clone());
        self.beside.spawn(async move {
            let began = Instant::now();
            let told = tokio::time::timeout(TELL_PATIENCE, relay.heard(batch.clone())).await;
            match told {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    tracing::debug!(error, "signs of life were not told");
                    handle.put_back(batch);
                }
                Err(_) => {
                    tracing::debug!("signs of life were not told within {TELL_PATIENCE:?}");
                    handle.put_back(batch);
                }
            }
            tokio::time::sleep_until(began + wait).await;
            // An error means that this actor is gone.
            let _ = me.send_message(Message::WaitElapsed);
        });
    }

    /// Drops those of whom nothing is known, and returns how long to wait before the next batch.
    fn wait_of(&self, agents: &mut BTreeSet<AgentId>) -> Duration {
        let default = self.args.world.agent_timeout;
        let mut shortest = WAIT_MAX * BATCHES_IN_SILENCE;
        self.args.world.read(|state| {
            agents.retain(|id| {
                let Some(agent) = state.agent(*id).filter(|agent| agent.spec.host == Host::External) else {
                    return false;
                };
                shortest = shortest.min(agent.spec.heartbeat_timeout.unwrap_or(default));
                true
            });
        });
        (shortest / BATCHES_IN_SILENCE).clamp(WAIT_MIN, WAIT_MAX)
    }
}
