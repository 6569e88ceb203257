//! Watches the agents that run elsewhere: who is silent for too long is offline, and its work goes to others.
//!
//! Signs of life do not go through the log. Whoever hears an agent notes it at the [`Handle`], which costs
//! one look-up under a lock; only a change of standing is proposed. Silence is measured on the machine's
//! steady clock, so a wall clock that jumps makes nobody silent.
//!
//! Promises: nobody is called silent before a full timeout of listening after a start of this actor, which
//! starts anew wherever the node begins to lead; whoever waits at the [claims desk](crate::desk) is not
//! silent; one that was called silent and is heard again takes work again. It sleeps until somebody could
//! be silent for too long, and for ever when there are no such agents. A deadline is not moved by each sign of
//! life: when it is reached, the last sign is looked at, so an agent is looked at once in a timeout.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use synod_domain::agent::{Agent, Host, Standing};
use synod_domain::command::Command;
use synod_domain::id::AgentId;
use synod_domain::refusal::Refusal;
use synod_domain::reply::Answer;
use tokio::time::Instant;

use crate::address::{Address, Gone};
use crate::desk::Desk;
use crate::ports::JournalError;
use crate::propose::World;
use crate::relaying;
use crate::tether::Tether;

/// How long an agent that runs elsewhere may be silent, unless it or the node says otherwise: three of the
/// usual heartbeats of thirty seconds, so that two may be lost.
pub const AGENT_TIMEOUT_DEFAULT: Duration = Duration::from_secs(90);

/// How the reason begins for which a silent agent is offline. By it a sign of life knows that the agent is
/// offline for its silence and not for anything else.
const SILENT: &str = "it was silent for ";

/// The reason of an agent that was silent and takes work again.
const BACK: &str = "heard from again";

/// The wait after a standing that was not recorded, before the agent is looked at again.
const AGAIN: Duration = Duration::from_millis(500);

/// What a start or a restart needs.
#[derive(Clone)]
pub(crate) struct Args {
    pub(crate) world: World,
    pub(crate) heard: Arc<Mutex<Heard>>,
    pub(crate) desk: Desk,
}

/// When each watched agent was heard last. Only agents that are watched have a place, so its size is bounded
/// by theirs, whoever claims to be heard.
#[derive(Debug, Default)]
pub(crate) struct Heard(BTreeMap<AgentId, Instant>);

/// Where signs of life are noted, and the only way to talk to the actor. Stays valid when it restarts.
#[derive(Clone)]
pub struct Handle {
    pub(crate) world: World,
    pub(crate) address: Address<Message>,
    pub(crate) heard: Arc<Mutex<Heard>>,
    /// Whether silence is counted here, which is where the node leads.
    listens: Arc<AtomicBool>,
    relaying: relaying::Handle,
}

impl std::fmt::Debug for Handle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("liveness::Handle")
    }
}

impl Handle {
    pub(crate) fn new(world: World, relaying: relaying::Handle) -> Self {
        let (address, heard, listens) = (Address::default(), Arc::default(), Arc::default());
        Self { world, address, heard, listens, relaying }
    }

    pub(crate) fn set_listens(&self, listens: bool) {
        self.listens.store(listens, Ordering::Release);
        if !listens {
            // Whoever waits at the desk gives no other sign.
            self.relaying.look();
        }
    }

    pub(crate) fn listens(&self) -> bool {
        self.listens.load(Ordering::Acquire)
    }

    /// Notes that an agent lives. O(log n), and nothing is written. Where this node does not lead, the one that
    /// does is told.
    pub fn heard(&self, agent: AgentId) {
        if !self.listens() {
            return self.relaying.leave(agent);
        }
        if let Some(last) = self.heard.lock().0.get_mut(&agent) {
            *last = Instant::now();
        }
    }

    /// Notes that an agent was given work: it had asked for some, through whichever node, and what that node heard
    /// may still be on its way here. Counts only where silence is counted.
    pub(crate) fn leased(&self, agent: AgentId) {
        if self.listens() {
            self.heard(agent);
        }
    }

    /// Notes that an agent lives, and answers once it counts: one that was offline because it was silent is
    /// in service again by then. Whoever drains, failed or went offline for another reason stays so.
    ///
    /// # Errors
    /// When there is no such agent, or its return cannot be recorded.
    pub async fn hear(&self, agent: AgentId) -> Result<Answer, JournalError> {
        self.heard(agent);
        let known = self.world.read(|state| state.agent(agent).map(|agent| was_silent(agent)));
        match known {
            None => Ok(Err(Refusal::AgentUnknown(agent))),
            Some(false) => Ok(Ok(synod_domain::reply::Reply::Done)),
            Some(true) => self.world.propose(back(agent)).await,
        }
    }

    /// Returns how long ago an agent was heard of here; `None` when it was not, since this node listens.
    pub fn heard_ago(&self, agent: AgentId) -> Option<Duration> {
        self.heard.lock().0.get(&agent).map(|at| at.elapsed())
    }

    /// Tells it that an agent was registered, changed or removed.
    pub(crate) fn touch(&self, agent: AgentId) -> Result<(), Gone> {
        self.address.tell(Message::AgentTouched { agent })
    }

    /// Tells it that any agent may have changed.
    pub(crate) fn look(&self) -> Result<(), Gone> {
        self.address.tell(Message::LookAtAgents)
    }
}

fn was_silent(agent: &Agent) -> bool {
    agent.standing == Standing::Offline && agent.reason.starts_with(SILENT)
}

fn back(agent: AgentId) -> Command {
    Command::SetStanding { agent, standing: Standing::Ready, reason: BACK.into() }
}

/// What it is told.
#[derive(Debug)]
pub(crate) enum Message {
    LookAtAgents,
    AgentTouched { agent: AgentId },
    SleepElapsed,
    SilenceRecorded { agent: AgentId },
}

pub(crate) struct State {
    args: Args,
    /// When each watched agent is looked at next.
    watched: BTreeMap<AgentId, Instant>,
    deadlines: BTreeSet<(Instant, AgentId)>,
    /// Whose silence is being recorded.
    recording: BTreeSet<AgentId>,
    /// What the running sleep is for.
    armed_for: Option<Instant>,
    sleep: Tether,
    beside: Tether,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Liveness;

impl Actor for Liveness {
    type Msg = Message;
    type State = State;
    type Arguments = Args;

    async fn pre_start(&self, me: ActorRef<Message>, args: Args) -> Result<State, ActorProcessingErr> {
        // What was heard before this start is not held against anybody: listening begins now.
        args.heard.lock().0.clear();
        me.send_message(Message::LookAtAgents)?;
        Ok(State {
            args,
            watched: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            recording: BTreeSet::new(),
            armed_for: None,
            sleep: Tether::default(),
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
            Message::LookAtAgents => state.look_at_agents(),
            Message::AgentTouched { agent } => state.look_at(agent),
            Message::SleepElapsed => state.armed_for = None,
            Message::SilenceRecorded { agent } => {
                state.recording.remove(&agent);
                state.look_at(agent);
            }
        }
        state.declare_silent(&me);
        state.sleep(&me);
        Ok(())
    }
}

impl State {
    fn look_at_agents(&mut self) {
        let mut agents: BTreeSet<AgentId> = self.watched.keys().copied().collect();
        self.args.world.read(|state| {
            let watched = state.agents().filter(|agent| is_watched(agent));
            agents.extend(watched.map(|agent| agent.spec.id));
        });
        for agent in agents {
            self.look_at(agent);
        }
    }

    /// Begins or ceases to watch an agent, and gives it a deadline by its timeout.
    fn look_at(&mut self, id: AgentId) {
        let default = self.args.world.agent_timeout;
        let timeout = self.args.world.read(|state| {
            let agent = state.agent(id).filter(|agent| is_watched(agent))?;
            Some(timeout_of(agent, default))
        });
        let Some(timeout) = timeout else { return self.forget(id) };
        let last = *self.args.heard.lock().0.entry(id).or_insert_with(Instant::now);
        self.set_deadline(id, last, timeout);
    }

    fn set_deadline(&mut self, id: AgentId, last: Instant, timeout: Duration) {
        if let Some(earlier) = self.watched.remove(&id) {
            self.deadlines.remove(&(earlier, id));
        }
        // A timeout beyond the end of time is none.
        if let Some(deadline) = last.checked_add(timeout) {
            self.watched.insert(id, deadline);
            self.deadlines.insert((deadline, id));
        }
    }

    fn forget(&mut self, id: AgentId) {
        if let Some(deadline) = self.watched.remove(&id) {
            self.deadlines.remove(&(deadline, id));
        }
        self.args.heard.lock().0.remove(&id);
    }

    /// Looks at those whose deadline is reached: sets a new one for who was heard, records who was not.
    fn declare_silent(&mut self, me: &ActorRef<Message>) {
        let now = Instant::now();
        let default = self.args.world.agent_timeout;
        while let Some((deadline, id)) = self.deadlines.first().copied().filter(|(at, _)| *at <= now) {
            self.deadlines.remove(&(deadline, id));
            self.watched.remove(&id);
            if self.args.desk.has_claim_of(id) {
                // It has asked for work and is being answered: its connection is its sign of life.
                self.args.heard.lock().0.insert(id, now);
            }
            let watched = self.args.world.read(|state| {
                let agent = state.agent(id).filter(|agent| is_watched(agent))?;
                Some((timeout_of(agent, default), agent.standing))
            });
            let Some((timeout, standing)) = watched else {
                self.forget(id);
                continue;
            };
            let last = self.args.heard.lock().0.get(&id).copied().unwrap_or(now);
            if now.saturating_duration_since(last) < timeout {
                self.set_deadline(id, last, timeout);
            } else if self.recording.insert(id) {
                self.record(me, id, standing, last);
            }
        }
    }

    /// Proposes that an agent is offline. If it was heard while that was on its way, it is in service again.
    fn record(&self, me: &ActorRef<Message>, id: AgentId, standing: Standing, last: Instant) {
        let silent = last.elapsed();
        let reason = reason(silent, standing);
        tracing::info!(agent = %id, reason, "an agent is silent");
        let (world, heard, me) = (self.args.world.clone(), self.args.heard.clone(), me.clone());
        self.beside.spawn(async move {
            let command =
                Command::SetStanding { agent: id, standing: Standing::Offline, reason: reason.into() };
            match world.propose(command).await {
                Ok(Ok(_)) => {
                    let again = heard.lock().0.get(&id).is_some_and(|at| *at > last);
                    if again && world.read(|state| state.agent(id).is_some_and(|agent| was_silent(agent))) {
                        record_return(&world, id).await;
                    }
                }
                Ok(Err(refusal)) => tracing::debug!(agent = %id, %refusal, "its silence was refused"),
                Err(error) => {
                    tracing::debug!(agent = %id, %error, "its silence was not recorded");
                    tokio::time::sleep(AGAIN).await;
                }
            }
            // An error means that this actor is gone; the next listens afresh.
            let _ = me.send_message(Message::SilenceRecorded { agent: id });
        });
    }

    /// Sleeps until the first deadline, unless it does already.
    fn sleep(&mut self, me: &ActorRef<Message>) {
        let next = self.deadlines.first().map(|(deadline, _)| *deadline);
        if next == self.armed_for {
            return;
        }
        self.armed_for = next;
        self.sleep = Tether::default();
        let Some(next) = next else { return };
        let me = me.clone();
        self.sleep.spawn(async move {
            tokio::time::sleep_until(next).await;
            // An error means that this actor is gone.
            let _ = me.send_message(Message::SleepElapsed);
        });
    }
}

async fn record_return(world: &World, agent: AgentId) {
    match world.propose(back(agent)).await {
        Ok(Ok(_)) => {}
        Ok(Err(refusal)) => tracing::debug!(%agent, %refusal, "its return was refused"),
        // Its next heartbeat says it again.
        Err(error) => tracing::debug!(%agent, %error, "its return was not recorded"),
    }
}

/// Says how long an agent was silent. One that drained stays offline when it is heard again: it was on its
/// way out, and its reason does not begin as that of others.
fn reason(silent: Duration, standing: Standing) -> String {
    let silent = Duration::from_millis(u64::try_from(silent.as_millis()).unwrap_or(u64::MAX));
    match standing {
        Standing::Draining => format!("it drained and was silent for {silent:?}"),
        Standing::Starting | Standing::Ready | Standing::Offline | Standing::Failed => {
            format!("{SILENT}{silent:?}")
        }
    }
}

/// Tells whether an agent lives by its signs of life: it runs elsewhere and has not left.
fn is_watched(agent: &Agent) -> bool {
    let there = matches!(agent.standing, Standing::Starting | Standing::Ready | Standing::Draining);
    agent.spec.host == Host::External && there
}

fn timeout_of(agent: &Agent, default: Duration) -> Duration {
    agent.spec.heartbeat_timeout.unwrap_or(default)
}
