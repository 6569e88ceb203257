//! A supervisor: starts its children in order, restarts those that fail, stops them in reverse.
//!
//! The decision about an exit is pure ([`synod_domain::restart::decide`]); this actor carries it out.
//! A child that fails too often makes its supervisor fail, which is a matter for the one above.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use ractor::{Actor, ActorCell, ActorProcessingErr, ActorRef, ActorRuntime, SpawnErr, SupervisionEvent};
use synod_domain::chance::Chance;
use synod_domain::restart::{Decision, Exit, RestartHistory, RestartPolicy, decide};
use synod_domain::sources::{Clock, Entropy};

use crate::address::{Address, Reply};

/// How long a child may take to stop before it is killed. Agents get their own, longer bound before.
pub const STOP_PATIENCE: Duration = Duration::from_secs(10);

type Start = Arc<dyn Fn(ActorCell) -> BoxFuture<'static, Result<ActorCell, SpawnErr>> + Send + Sync>;

/// One row of a supervision table.
#[derive(Clone)]
pub struct ChildSpec {
    name: &'static str,
    policy: RestartPolicy,
    start: Start,
    forget: Arc<dyn Fn() + Send + Sync>,
}

impl fmt::Debug for ChildSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChildSpec").field("name", &self.name).field("policy", &self.policy).finish()
    }
}

/// Describes a child: how it is started, and which address follows it.
pub fn child<A>(
    name: &'static str,
    policy: RestartPolicy,
    actor: A,
    args: A::Arguments,
    address: Address<A::Msg>,
) -> ChildSpec
where
    A: Actor + Clone,
    A::Arguments: Clone + Sync,
{
    let forgotten = address.clone();
    let start: Start = Arc::new(move |supervisor| {
        let (actor, args, address) = (actor.clone(), args.clone(), address.clone());
        Box::pin(async move { start_at(&address, actor, args, supervisor).await })
    });
    ChildSpec { name, policy, start, forget: Arc::new(move || forgotten.clear()) }
}

/// Starts an actor under its supervisor, at an address.
///
/// The address points at the mailbox before the actor runs: whatever it is told while it first looks at the
/// state is kept, and not refused as if it were gone. Otherwise a change between that look and the end of
/// the start would reach nobody.
pub(crate) async fn start_at<A: Actor>(
    address: &Address<A::Msg>,
    actor: A,
    args: A::Arguments,
    supervisor: ActorCell,
) -> Result<ActorCell, SpawnErr> {
    let (mailbox, started) = ActorRuntime::spawn_linked_instant(None, actor, args, supervisor)?;
    address.point_at(mailbox.clone());
    let started = match started.await {
        Ok(started) => started,
        Err(error) => Err(SpawnErr::StartupFailed(error.into())),
    };
    match started {
        Ok(_) => Ok(mailbox.get_cell()),
        Err(error) => {
            address.clear();
            Err(error)
        }
    }
}

/// Says why an actor did not start; ractor says of every error that it was a panic.
pub(crate) fn why_not_started(error: SpawnErr) -> String {
    match error {
        SpawnErr::StartupFailed(error) => error.to_string(),
        SpawnErr::ActorAlreadyStarted | SpawnErr::ActorAlreadyRegistered(_) => error.to_string(),
    }
}

/// What a supervisor needs.
#[derive(Clone)]
pub struct Args {
    /// Its name in the log.
    pub name: &'static str,
    /// Its table, in order of start.
    pub children: Vec<ChildSpec>,
    /// For counting restarts.
    pub clock: Arc<dyn Clock>,
    /// For the jitter of waits.
    pub entropy: Arc<dyn Entropy>,
    /// Told the reason when it gives up.
    pub failed: Arc<dyn Fn(&str) + Send + Sync>,
}

/// What a supervisor is told.
#[derive(Debug)]
pub enum Message {
    /// Stop all children, last first, then itself.
    Stop {
        /// Answered when all have stopped.
        reply: Reply<()>,
    },
    /// A wait before a restart is over.
    RestartElapsed {
        /// Which row of the table.
        child: usize,
    },
}

struct Child {
    spec: ChildSpec,
    running: Option<ActorCell>,
    history: RestartHistory,
}

/// The state of a running supervisor.
pub struct State {
    name: &'static str,
    children: Vec<Child>,
    clock: Arc<dyn Clock>,
    chance: Chance,
    failed: Arc<dyn Fn(&str) + Send + Sync>,
    end: End,
}

/// How a supervisor comes to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    NotYet,
    Stopping,
    GaveUp,
}

impl Drop for State {
    /// A supervisor that failed itself has nobody above it who would notice.
    fn drop(&mut self) {
        if self.end == End::NotYet {
            (self.failed)("its supervisor failed");
        }
    }
}

/// The actor.
#[derive(Debug, Clone, Copy)]
pub struct Supervisor;

impl Actor for Supervisor {
    type Msg = Message;
    type State = State;
    type Arguments = Args;

    async fn pre_start(&self, me: ActorRef<Message>, args: Args) -> Result<State, ActorProcessingErr> {
        let mut children = Vec::new();
        for spec in args.children {
            tracing::debug!(supervisor = args.name, actor = spec.name, "starting");
            let running = (spec.start)(me.get_cell()).await?;
            children.push(Child { spec, running: Some(running), history: RestartHistory::default() });
        }
        let chance = Chance::new(args.entropy.draw());
        Ok(State {
            name: args.name,
            children,
            clock: args.clock,
            chance,
            failed: args.failed,
            end: End::NotYet,
        })
    }

    async fn handle(
        &self,
        me: ActorRef<Message>,
        message: Message,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            Message::Stop { reply } => {
                state.stop_children().await;
                reply.send(());
                me.stop(None);
            }
            Message::RestartElapsed { child } => state.restart(&me, child).await?,
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
            SupervisionEvent::ActorTerminated(who, _, _) => state.on_exit(&me, &who, Exit::Normal, "stopped"),
            SupervisionEvent::ActorFailed(who, error) => {
                state.on_exit(&me, &who, Exit::Failed, &error.to_string())
            }
            SupervisionEvent::ActorStarted(_) | SupervisionEvent::ProcessGroupChanged(_) => Ok(()),
        }
    }
}

impl State {
    fn on_exit(
        &mut self,
        me: &ActorRef<Message>,
        who: &ActorCell,
        exit: Exit,
        reason: &str,
    ) -> Result<(), ActorProcessingErr> {
        let is_it = |child: &Child| child.running.as_ref().is_some_and(|cell| cell.get_id() == who.get_id());
        let Some(place) = self.children.iter().position(is_it) else { return Ok(()) };
        if self.end != End::NotYet {
            return Ok(());
        }
        self.children[place].running = None;
        (self.children[place].spec.forget)();
        self.decide(me, place, exit, reason)
    }

    fn decide(
        &mut self,
        me: &ActorRef<Message>,
        place: usize,
        exit: Exit,
        reason: &str,
    ) -> Result<(), ActorProcessingErr> {
        let now = self.clock.now();
        let child = &mut self.children[place];
        let name = child.spec.name;
        match decide(&child.spec.policy, &mut child.history, exit, now, &mut self.chance) {
            Decision::Restart { after } => {
                tracing::warn!(supervisor = self.name, actor = name, error = reason, ?after, "restarting");
                me.send_after(after, move || Message::RestartElapsed { child: place });
                Ok(())
            }
            Decision::Leave => Ok(()),
            Decision::GiveUp => {
                self.end = End::GaveUp;
                let reason = format!("{name} failed too often; the last time: {reason}");
                tracing::error!(supervisor = self.name, actor = name, error = reason, "giving up");
                (self.failed)(&reason);
                Err(reason.into())
            }
        }
    }

    async fn restart(&mut self, me: &ActorRef<Message>, place: usize) -> Result<(), ActorProcessingErr> {
        if self.end != End::NotYet {
            return Ok(());
        }
        let start = self.children[place].spec.start.clone();
        match start(me.get_cell()).await {
            Ok(cell) => {
                self.children[place].running = Some(cell);
                Ok(())
            }
            Err(error) => self.decide(me, place, Exit::Failed, &why_not_started(error)),
        }
    }

    async fn stop_children(&mut self) {
        self.end = End::Stopping;
        for child in self.children.iter_mut().rev() {
            (child.spec.forget)();
            if let Some(cell) = child.running.take() {
                tracing::debug!(supervisor = self.name, actor = child.spec.name, "stopping");
                if cell.stop_and_wait(None, Some(STOP_PATIENCE)).await.is_err() {
                    cell.kill();
                }
            }
        }
    }
}
