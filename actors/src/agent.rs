//! An agent hosted on this node: takes its leases up and lets its runtime work on them.
//!
//! It registers itself, says that it is ready, and from then on hears of its leases through the
//! router. What it holds is agreed, so it reads the state and not its memory to learn what to do; a
//! restarted agent begins with nothing in hand, because its registration gave the old leases back. An
//! attempt whose lease is over keeps its slot until nothing of it runs any more.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use synod_domain::agent::{AgentSpec, Standing};
use synod_domain::command::Command;
use synod_domain::id::{AgentId, TaskId};
use synod_domain::mutants::{Mutant, mutant};
use synod_domain::node::NodeStanding;
use synod_domain::state::State as Agreed;
use synod_domain::task::{TaskSpec, TaskStatus};
use synod_domain::tending::PoolCommand;
use synod_domain::time::Timestamp;
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;

use crate::address::{Address, AskError, Gone, Reply};
use crate::attempt::Attempt;
use crate::ports::AgentRuntime;
use crate::propose::World;
use crate::tether::Tether;

/// How long an attempt may take to stop before it is dropped where it stands. Runtimes have graces of
/// seconds and keep to them; this is for one that hangs, which would keep its slot for ever.
const STOP_MAX: Duration = Duration::from_secs(60);

/// What a start or a restart needs.
#[derive(Clone)]
pub(crate) struct Args {
    pub(crate) world: World,
    pub(crate) spec: Arc<AgentSpec>,
    /// From which version of its pool's blueprint it is started.
    pub(crate) version: u64,
    pub(crate) runtime: Arc<dyn AgentRuntime>,
}

/// The only way to talk to an agent. Stays valid when it restarts.
#[derive(Debug, Clone, Default)]
pub(crate) struct Handle(pub(crate) Address<Message>);

impl Handle {
    /// Tells it that any of its leases may have changed.
    pub(crate) fn look(&self) -> Result<(), Gone> {
        self.0.tell(Message::LookAtLeases)
    }

    /// Tells it that it got a lease on a task.
    pub(crate) fn take_up(&self, task: TaskId) -> Result<(), Gone> {
        self.0.tell(Message::Leased { task })
    }

    /// Tells it that its lease on a task is over.
    pub(crate) fn revoke(&self, task: TaskId) -> Result<(), Gone> {
        self.0.tell(Message::LeaseEnded { task })
    }

    /// Lets it finish what it has, for at most `patience`, then gives the rest back and answers. The first
    /// cause counts.
    pub(crate) async fn drain(&self, patience: Duration, cause: Cause) -> Result<(), AskError> {
        // The agent keeps to its patience itself; this bound is for an agent that hangs.
        let bound = patience + crate::supervisor::STOP_PATIENCE;
        self.0.ask(bound, |reply| Message::Drain { patience, cause, reply }).await
    }

    /// Lets it give back what it has, and answers when nothing of it runs any more.
    pub(crate) async fn leave(&self, cause: Cause) -> Result<(), AskError> {
        let (bound, patience) = (STOP_MAX + crate::supervisor::STOP_PATIENCE, Duration::ZERO);
        self.0.ask(bound, |reply| Message::Drain { patience, cause, reply }).await
    }
}

/// Why an agent leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// Its node stops.
    NodeStops,
    /// Its pool has become smaller.
    Surplus,
    /// Somebody wants it to begin afresh.
    Restart,
    /// Its place in the pool is on another node.
    Moved,
    /// It is agreed that it begins anew.
    Renewed,
}

impl Cause {
    /// Why it takes nothing new, for a person.
    fn draining(self) -> &'static str {
        match self {
            Self::NodeStops => "its node is stopping",
            Self::Surplus => "its pool has become smaller",
            Self::Restart => "it is being restarted",
            Self::Moved => "its place is on another node",
            Self::Renewed => "it begins anew when it has finished what it has",
        }
    }

    /// Why its leases go back, for a person.
    fn gave_back(self) -> &'static str {
        match self {
            Self::NodeStops => "its node stopped before it was done",
            Self::Surplus => "its pool has become smaller, and its agent left before it was done",
            Self::Restart => "its agent was restarted before it was done",
            Self::Moved => "its place moved to another node before it was done",
            Self::Renewed => "its agent was to begin anew, and was not done in time",
        }
    }

    /// Why it is gone, for a person.
    fn left(self) -> &'static str {
        match self {
            Self::NodeStops => "its node stopped",
            Self::Surplus => "it left its pool",
            Self::Restart => "it is being restarted",
            Self::Moved => "its place is on another node",
            Self::Renewed => "it begins anew",
        }
    }
}

/// What an agent is told.
#[derive(Debug)]
pub(crate) enum Message {
    Registered { outcome: Result<(), String> },
    LookAtLeases,
    Leased { task: TaskId },
    LeaseEnded { task: TaskId },
    AttemptEnded { task: TaskId, attempt: u32 },
    StopElapsed { task: TaskId, attempt: u32 },
    Drain { patience: Duration, cause: Cause, reply: Reply<()> },
    DrainRecorded,
    DrainElapsed,
    GaveBack,
}

struct InHand {
    stop: CancellationToken,
    work: AbortHandle,
    /// Nothing of it runs any more, but its lease is still there: its end was not recorded, or this node's
    /// state has not got there. Kept, so that the attempt is not begun a second time.
    over: bool,
}

/// Dropping it stops every attempt in hand.
pub(crate) struct State {
    args: Args,
    registered: bool,
    registration: Option<Tether>,
    in_hand: BTreeMap<(TaskId, u32), InHand>,
    /// How many of those in hand still run.
    working: usize,
    /// Whether a lease waits for an earlier attempt to have stopped.
    crowded: bool,
    draining: Vec<Reply<()>>,
    leaving: Leaving,
    cause: Cause,
    beside: Tether,
}

/// How far an agent is with leaving.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Leaving {
    No,
    /// It was asked to, and that it takes nothing new is being recorded.
    Asked,
    /// Nothing new is leased to it; it finishes what it has.
    Finishing,
    /// What was in hand was told to stop, and its leases are being given back.
    GivingBack,
    /// The leases are back; only attempts that are still stopping keep it here.
    GaveBack,
}

impl Drop for State {
    fn drop(&mut self) {
        for held in self.in_hand.values() {
            held.stop.cancel();
        }
    }
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Agent;

impl Actor for Agent {
    type Msg = Message;
    type State = State;
    type Arguments = Args;

    /// Registers beside the mailbox, so that a pool's agents share a sync instead of queueing for it.
    async fn pre_start(&self, me: ActorRef<Message>, args: Args) -> Result<State, ActorProcessingErr> {
        let registration = begin_registration(&args, me);
        Ok(State {
            args,
            registered: false,
            registration: Some(registration),
            in_hand: BTreeMap::new(),
            working: 0,
            crowded: false,
            draining: Vec::new(),
            leaving: Leaving::No,
            cause: Cause::NodeStops,
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
            Message::Registered { outcome } => state.enter_service(&me, outcome)?,
            Message::LookAtLeases => {
                state.check_record(&me)?;
                state.look_at_leases(&me);
            }
            Message::Leased { task } => state.take_up(&me, task),
            Message::LeaseEnded { task } => state.stop_unless_leased(&me, task),
            Message::AttemptEnded { task, attempt } => state.attempt_ended(&me, task, attempt),
            Message::StopElapsed { task, attempt } => state.drop_attempt(&me, task, attempt),
            Message::Drain { patience, cause, reply } => state.drain(&me, patience, cause, reply),
            Message::DrainRecorded => state.finish_first(&me),
            Message::DrainElapsed => state.give_back(&me),
            Message::GaveBack => state.gave_back(&me),
        }
        Ok(())
    }
}

fn begin_registration(args: &Args, me: ActorRef<Message>) -> Tether {
    let (world, spec, runtime) = (args.world.clone(), args.spec.clone(), args.runtime.clone());
    let version = args.version;
    let registration = Tether::default();
    registration.spawn(async move {
        let registering = AssertUnwindSafe(register(&world, spec, version, &*runtime)).catch_unwind();
        let outcome = registering.await.unwrap_or_else(|_| Err("its runtime panicked at its start".into()));
        // An error means that the agent was stopped meanwhile.
        let _ = me.send_message(Message::Registered { outcome });
    });
    registration
}

async fn register(
    world: &World,
    spec: Arc<AgentSpec>,
    version: u64,
    runtime: &dyn AgentRuntime,
) -> Result<(), String> {
    let agent = spec.id;
    let command = match version {
        // What a pool's agents are made from until it is changed with them.
        0 => Command::RegisterAgent { spec },
        version => Command::Pool(PoolCommand::RegisterAgent { spec, version }),
    };
    propose(world, command).await?;
    // Its pool records a failure, with the reason.
    runtime.prepare().await?;
    let reason = "started".into();
    propose(world, Command::SetStanding { agent, standing: Standing::Ready, reason }).await
}

async fn propose(world: &World, command: Command) -> Result<(), String> {
    match world.persist(command).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(refusal)) => Err(refusal.to_string()),
        Err(error) => Err(error.to_string()),
    }
}

/// A lease of this agent, with what it needs to be begun.
struct Leased {
    spec: Arc<TaskSpec>,
    attempt: u32,
    deadline: Option<Timestamp>,
}

fn lease_of(state: &Agreed, agent: AgentId, task: TaskId) -> Option<Leased> {
    let task = state.task(task)?;
    let lease = task.lease().filter(|lease| lease.agent == agent)?;
    let began = match &task.status {
        TaskStatus::Running { started_at, .. } => *started_at,
        _ => lease.granted_at,
    };
    let limit = task.spec.timeouts.running.map(|limit| began.after(limit));
    let deadline = limit.into_iter().chain(task.spec.deadline).min();
    Some(Leased { spec: task.spec.clone(), attempt: lease.attempt, deadline })
}

impl State {
    fn id(&self) -> AgentId {
        self.args.spec.id
    }

    fn enter_service(
        &mut self,
        me: &ActorRef<Message>,
        outcome: Result<(), String>,
    ) -> Result<(), ActorProcessingErr> {
        self.registration = None;
        outcome?;
        self.registered = true;
        self.look_at_leases(me);
        Ok(())
    }

    /// Fails when nothing is agreed about it any more, unless it leaves anyway. Its pool then decides whether
    /// there should be one like it. If its node was taken for gone and is counted on again, it begins anew.
    fn check_record(&mut self, me: &ActorRef<Message>) -> Result<(), ActorProcessingErr> {
        if !self.registered || self.leaving != Leaving::No {
            return Ok(());
        }
        let (id, here) = (self.id(), self.args.world.node);
        let (standing, counted_on) = self.args.world.read(|state| {
            let node = state.node(here);
            let is_up = node.is_some_and(|node| node.standing == NodeStanding::Up);
            (state.agent(id).map(|agent| agent.standing), is_up)
        });
        if !counted_on {
            // Its pool stops it: nothing that it could say holds.
            return Ok(());
        }
        match standing {
            None => return Err("it is not registered any more".into()),
            Some(Standing::Offline) => {
                self.registered = false;
                self.registration = Some(begin_registration(&self.args, me.clone()));
            }
            Some(_) => {}
        }
        Ok(())
    }

    /// Stops what it holds no lease on any more, and begins what it holds one on and has not begun.
    fn look_at_leases(&mut self, me: &ActorRef<Message>) {
        let tasks: Vec<TaskId> = self.in_hand.keys().map(|(task, _)| *task).collect();
        for task in tasks {
            self.stop_unless_leased(me, task);
        }
        let id = self.id();
        let held = self.args.world.read(|state| state.agent(id).map(|agent| agent.held.clone()));
        self.crowded = false;
        for task in held.unwrap_or_default() {
            self.take_up(me, task);
        }
    }

    /// Begins a task, if it has a lease on it that it has not begun.
    fn take_up(&mut self, me: &ActorRef<Message>, task: TaskId) {
        // Before it is registered, leases are those of its earlier life, about to be lost.
        if !self.registered || matches!(self.leaving, Leaving::GivingBack | Leaving::GaveBack) {
            return;
        }
        let id = self.id();
        let Some(leased) = self.args.world.read(|state| lease_of(state, id, task)) else { return };
        if self.in_hand.contains_key(&(task, leased.attempt)) {
            return;
        }
        if self.working >= self.args.spec.concurrency as usize {
            self.crowded = true;
            return;
        }
        self.begin(me, leased);
    }

    fn begin(&mut self, me: &ActorRef<Message>, leased: Leased) {
        let Leased { spec, attempt: number, deadline } = leased;
        let task = spec.id;
        let stop = CancellationToken::new();
        tracing::debug!(%task, attempt = number, agent = %self.args.spec.name, "beginning");
        let attempt = Attempt {
            world: self.args.world.clone(),
            runtime: self.args.runtime.clone(),
            agent: self.id(),
            agent_name: self.args.spec.name.clone(),
            spec,
            number,
            deadline,
            stop: stop.clone(),
        };
        let me = me.clone();
        // Not under the tether: it is told to stop and then has its runtime's grace.
        let work = tokio::spawn(async move {
            attempt.run().await;
            // An error means that the agent is gone, and with it what it had in hand.
            let _ = me.send_message(Message::AttemptEnded { task, attempt: number });
        });
        self.in_hand.insert((task, number), InHand { stop, work: work.abort_handle(), over: false });
        self.working += 1;
    }

    /// Stops the attempts at a task that hold no lease on it any more.
    fn stop_unless_leased(&mut self, me: &ActorRef<Message>, task: TaskId) {
        let mut in_hand = self.in_hand.range((task, 0)..=(task, u32::MAX)).peekable();
        if in_hand.peek().is_none() {
            return;
        }
        let id = self.id();
        let valid = self.args.world.read(|state| lease_of(state, id, task).map(|leased| leased.attempt));
        let ended: Vec<u32> =
            in_hand.map(|((_, attempt), _)| *attempt).filter(|attempt| Some(*attempt) != valid).collect();
        for attempt in ended {
            self.stop(me, task, attempt);
        }
    }

    fn stop(&mut self, me: &ActorRef<Message>, task: TaskId, attempt: u32) {
        let Some(held) = self.in_hand.get(&(task, attempt)) else { return };
        if held.over {
            self.in_hand.remove(&(task, attempt));
        } else if !held.stop.is_cancelled() {
            held.stop.cancel();
            self.watch_stop(me, task, attempt);
        }
    }

    fn watch_stop(&self, me: &ActorRef<Message>, task: TaskId, attempt: u32) {
        let me = me.clone();
        self.beside.spawn(async move {
            tokio::time::sleep(STOP_MAX).await;
            // An error means that the agent is gone.
            let _ = me.send_message(Message::StopElapsed { task, attempt });
        });
    }

    /// Drops an attempt that was told to stop and has not.
    fn drop_attempt(&mut self, me: &ActorRef<Message>, task: TaskId, attempt: u32) {
        let Some(held) = self.in_hand.get(&(task, attempt)) else { return };
        if !held.over {
            tracing::warn!(%task, attempt, "an attempt did not stop within {STOP_MAX:?} and is dropped");
            held.work.abort();
            self.attempt_ended(me, task, attempt);
        }
    }

    fn attempt_ended(&mut self, me: &ActorRef<Message>, task: TaskId, attempt: u32) {
        let Some(held) = self.in_hand.get_mut(&(task, attempt)).filter(|held| !held.over) else { return };
        held.over = true;
        self.working -= 1;
        self.stop_unless_leased(me, task);
        if self.crowded {
            self.look_at_leases(me);
        }
        if self.leaving == Leaving::Finishing && self.working == 0 {
            self.give_back(me);
        }
        self.leave_when_done(me);
    }

    fn drain(&mut self, me: &ActorRef<Message>, patience: Duration, cause: Cause, reply: Reply<()>) {
        self.draining.push(reply);
        self.give_back_after(me, patience);
        if self.leaving != Leaving::No {
            return;
        }
        self.leaving = Leaving::Asked;
        self.cause = cause;
        // Its last word would be that it is ready.
        self.registration = None;
        let (world, agent, drained) = (self.args.world.clone(), self.id(), me.clone());
        let reason = cause.draining().into();
        self.beside.spawn(async move {
            let command = Command::SetStanding { agent, standing: Standing::Draining, reason };
            if let Err(error) = propose(&world, command).await {
                tracing::debug!(%agent, error, "the standing was not recorded");
            }
            // An error means that the agent is gone.
            let _ = drained.send_message(Message::DrainRecorded);
        });
    }

    /// Whoever asks it to leave brings a patience of its own; the shortest counts. Nobody is patient when no end of
    /// its work could be agreed.
    fn give_back_after(&self, me: &ActorRef<Message>, patience: Duration) {
        let (me, farewell) = (me.clone(), self.args.world.farewell.clone());
        self.beside.spawn(async move {
            tokio::select! {
                biased;
                () = farewell.is_hopeless() => {}
                () = tokio::time::sleep(patience) => {}
            }
            // An error means that the agent is gone.
            let _ = me.send_message(Message::DrainElapsed);
        });
    }

    /// From here on nothing new is leased to it: takes up what was leased before, and leaves when that is done.
    fn finish_first(&mut self, me: &ActorRef<Message>) {
        if self.leaving != Leaving::Asked {
            return;
        }
        self.leaving = Leaving::Finishing;
        self.look_at_leases(me);
        if self.working == 0 || mutant(Mutant::LeaveAtOnce) {
            self.give_back(me);
        }
    }

    /// Stops what is still in hand and gives the leases back, so that the work need not wait for the node.
    fn give_back(&mut self, me: &ActorRef<Message>) {
        if !matches!(self.leaving, Leaving::Asked | Leaving::Finishing) {
            return;
        }
        self.leaving = Leaving::GivingBack;
        let held: Vec<_> = self.in_hand.keys().copied().collect();
        for (key, held) in &self.in_hand {
            held.stop.cancel();
            if !held.over {
                self.watch_stop(me, key.0, key.1);
            }
        }
        let (world, agent, me) = (self.args.world.clone(), self.id(), me.clone());
        let cause = self.cause;
        self.beside.spawn(async move {
            let reason: Arc<str> = cause.gave_back().into();
            // Side by side, so that all share a sync.
            let releases = held.into_iter().map(|(task, attempt)| {
                let command = Command::Release { task, attempt, reason: reason.clone() };
                propose(&world, command)
            });
            for error in futures::future::join_all(releases).await.into_iter().filter_map(Result::err) {
                tracing::debug!(%agent, error, "a lease was not given back");
            }
            let reason = cause.left().into();
            let command = Command::SetStanding { agent, standing: Standing::Offline, reason };
            if let Err(error) = propose(&world, command).await {
                tracing::debug!(%agent, error, "the standing was not recorded");
            }
            // An error means that the agent is gone.
            let _ = me.send_message(Message::GaveBack);
        });
    }

    fn gave_back(&mut self, me: &ActorRef<Message>) {
        self.leaving = Leaving::GaveBack;
        self.leave_when_done(me);
    }

    fn leave_when_done(&mut self, me: &ActorRef<Message>) {
        if self.leaving != Leaving::GaveBack || self.working > 0 {
            return;
        }
        for reply in self.draining.drain(..) {
            reply.send(());
        }
        me.stop(None);
    }
}
