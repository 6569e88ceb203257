//! An agent hosted on this node: takes its leases up and lets its runtime work on them.
//!
//! It registers itself, says that it is ready, and from then on hears of its leases through the
//! router. What it holds is agreed, so it reads the state and not its memory to learn what to do; a
//! restarted agent begins with nothing in hand, because its registration gave the old leases back.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef};
use synod_domain::agent::{AgentSpec, Standing};
use synod_domain::command::Command;
use synod_domain::id::{AgentId, TaskId};
use synod_domain::task::{TaskSpec, TaskStatus};
use synod_domain::time::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::address::{Address, AskError, Gone, Reply};
use crate::attempt::Attempt;
use crate::ports::AgentRuntime;
use crate::propose::World;

/// What a start or a restart needs.
#[derive(Clone)]
pub(crate) struct Args {
    pub(crate) world: World,
    pub(crate) spec: Arc<AgentSpec>,
    pub(crate) runtime: Arc<dyn AgentRuntime>,
}

/// The only way to talk to an agent. Stays valid when it restarts.
#[derive(Debug, Clone, Default)]
pub(crate) struct Handle(pub(crate) Address<Message>);

impl Handle {
    /// Tells it that its leases may have changed.
    pub(crate) fn look(&self) -> Result<(), Gone> {
        self.0.tell(Message::LookAtLeases)
    }

    /// Tells it that its lease on a task is over.
    pub(crate) fn revoke(&self, task: TaskId) -> Result<(), Gone> {
        self.0.tell(Message::LeaseEnded { task })
    }

    /// Lets it finish what it has, for at most `patience`, then gives the rest back and answers.
    pub(crate) async fn drain(&self, patience: Duration) -> Result<(), AskError> {
        // The agent keeps to its patience itself; this bound is for an agent that hangs.
        let bound = patience + crate::supervisor::STOP_PATIENCE;
        self.0.ask(bound, |reply| Message::Drain { patience, reply }).await
    }
}

/// What an agent is told.
#[derive(Debug)]
pub(crate) enum Message {
    Registered { outcome: Result<(), String> },
    LookAtLeases,
    LeaseEnded { task: TaskId },
    AttemptEnded { task: TaskId, attempt: u32 },
    Drain { patience: Duration, reply: Reply<()> },
    DrainElapsed,
    GaveBack,
}

struct InHand {
    attempt: u32,
    stop: CancellationToken,
}

/// Dropping it stops every attempt in hand.
pub(crate) struct State {
    args: Args,
    in_hand: BTreeMap<TaskId, InHand>,
    draining: Vec<Reply<()>>,
    leaving: Leaving,
}

/// How far an agent is with leaving.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Leaving {
    No,
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
        let (world, spec, runtime) = (args.world.clone(), args.spec.clone(), args.runtime.clone());
        tokio::spawn(async move {
            let outcome = register(&world, spec, &*runtime).await;
            // An error means that the agent was stopped meanwhile.
            let _ = me.send_message(Message::Registered { outcome });
        });
        Ok(State { args, in_hand: BTreeMap::new(), draining: Vec::new(), leaving: Leaving::No })
    }

    async fn handle(
        &self,
        me: ActorRef<Message>,
        message: Message,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            Message::Registered { outcome } => outcome.map_err(ActorProcessingErr::from)?,
            Message::LookAtLeases => state.take_up_leases(&me),
            Message::LeaseEnded { task } => state.drop_unless_leased(task),
            Message::AttemptEnded { task, attempt } => state.forget(&me, task, attempt),
            Message::Drain { patience, reply } => state.drain(&me, patience, reply),
            Message::DrainElapsed => state.give_back(&me),
            Message::GaveBack => state.gave_back(&me),
        }
        Ok(())
    }
}

async fn register(world: &World, spec: Arc<AgentSpec>, runtime: &dyn AgentRuntime) -> Result<(), String> {
    let agent = spec.id;
    propose(world, Command::RegisterAgent { spec }).await?;
    let (standing, reason) = match runtime.prepare().await {
        Ok(()) => (Standing::Ready, "started".to_owned()),
        Err(reason) => (Standing::Failed, reason),
    };
    let command = Command::SetStanding { agent, standing, reason: reason.as_str().into() };
    propose(world, command).await?;
    if standing == Standing::Failed { Err(reason) } else { Ok(()) }
}

async fn propose(world: &World, command: Command) -> Result<(), String> {
    match world.propose(command).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(refusal)) => Err(refusal.to_string()),
        Err(error) => Err(error.to_string()),
    }
}

impl State {
    fn id(&self) -> AgentId {
        self.args.spec.id
    }

    /// Begins whatever it holds a lease on and has not begun.
    fn take_up_leases(&mut self, me: &ActorRef<Message>) {
        let id = self.id();
        let leased: Vec<_> = self.args.world.read(|state| {
            let Some(agent) = state.agent(id) else { return Vec::new() };
            let held = agent.held.iter().filter_map(|task| state.task(*task));
            held.filter_map(|task| {
                let lease = task.lease()?;
                let running = match &task.status {
                    TaskStatus::Running { started_at, .. } => *started_at,
                    _ => lease.granted_at,
                };
                let limit = task.spec.timeouts.running.map(|limit| running.after(limit));
                Some((task.spec.clone(), lease.attempt, limit.into_iter().chain(task.spec.deadline).min()))
            })
            .collect()
        });
        for (spec, attempt, deadline) in leased {
            let begun = self.in_hand.get(&spec.id).is_some_and(|held| held.attempt == attempt);
            if !begun && self.leaving == Leaving::No {
                self.begin(me, spec, attempt, deadline);
            }
        }
    }

    fn begin(
        &mut self,
        me: &ActorRef<Message>,
        spec: Arc<TaskSpec>,
        number: u32,
        deadline: Option<Timestamp>,
    ) {
        let task = spec.id;
        let stop = CancellationToken::new();
        let earlier = self.in_hand.insert(task, InHand { attempt: number, stop: stop.clone() });
        if let Some(earlier) = earlier {
            earlier.stop.cancel();
        }
        tracing::debug!(%task, attempt = number, agent = %self.args.spec.name, "beginning");
        let attempt = Attempt {
            world: self.args.world.clone(),
            runtime: self.args.runtime.clone(),
            agent: self.id(),
            agent_name: self.args.spec.name.clone(),
            spec,
            number,
            deadline,
            stop,
        };
        let me = me.clone();
        tokio::spawn(async move {
            attempt.run().await;
            // An error means that the agent is gone, and with it what it had in hand.
            let _ = me.send_message(Message::AttemptEnded { task, attempt: number });
        });
    }

    /// Stops an attempt whose lease is over, unless it already is another one.
    fn drop_unless_leased(&mut self, task: TaskId) {
        let Some(held) = self.in_hand.get(&task) else { return };
        let valid = self.args.world.read(|state| {
            let lease = state.task(task).and_then(|task| task.lease().cloned());
            lease.is_some_and(|lease| lease.agent == self.args.spec.id && lease.attempt == held.attempt)
        });
        if !valid {
            held.stop.cancel();
        }
    }

    fn forget(&mut self, me: &ActorRef<Message>, task: TaskId, attempt: u32) {
        if self.in_hand.get(&task).is_some_and(|held| held.attempt == attempt) {
            self.in_hand.remove(&task);
        }
        if !self.draining.is_empty() && self.in_hand.is_empty() {
            self.give_back(me);
            self.leave_when_done(me);
        }
    }

    fn drain(&mut self, me: &ActorRef<Message>, patience: Duration, reply: Reply<()>) {
        self.draining.push(reply);
        if self.draining.len() > 1 {
            return;
        }
        let (world, agent) = (self.args.world.clone(), self.id());
        let idle = self.in_hand.is_empty();
        let drained = me.clone();
        tokio::spawn(async move {
            let reason = "its node is stopping".into();
            let command = Command::SetStanding { agent, standing: Standing::Draining, reason };
            if let Err(error) = propose(&world, command).await {
                tracing::debug!(%agent, error, "the standing was not recorded");
            }
            if idle {
                // An error means that the agent is gone.
                let _ = drained.send_message(Message::DrainElapsed);
            }
        });
        if !idle {
            me.send_after(patience, || Message::DrainElapsed);
        }
    }

    /// Stops what is still in hand and gives the leases back, so that the work need not wait for the node.
    fn give_back(&mut self, me: &ActorRef<Message>) {
        if self.draining.is_empty() || self.leaving != Leaving::No {
            return;
        }
        self.leaving = Leaving::GivingBack;
        let held: Vec<_> = self.in_hand.iter().map(|(task, held)| (*task, held.attempt)).collect();
        for held in self.in_hand.values() {
            held.stop.cancel();
        }
        let (world, agent, me) = (self.args.world.clone(), self.id(), me.clone());
        tokio::spawn(async move {
            let reason: Arc<str> = "its node stopped before it was done".into();
            for (task, attempt) in held {
                let command = Command::Release { task, attempt, reason: reason.clone() };
                if let Err(error) = propose(&world, command).await {
                    tracing::debug!(%task, error, "the lease was not given back");
                }
            }
            let reason = "its node stopped".into();
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
        if self.leaving != Leaving::GaveBack || !self.in_hand.is_empty() {
            return;
        }
        for reply in self.draining.drain(..) {
            reply.send(());
        }
        me.stop(None);
    }
}
