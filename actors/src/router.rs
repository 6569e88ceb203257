//! Takes events to the actors they concern.
//!
//! Nothing it does waits: handles note or tell. When it missed happenings it tells everybody to look
//! at the state, which is what counts. A happening costs one look at the state and one note for the
//! scheduler, however many events it holds.

use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;

use futures::FutureExt;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use synod_domain::agent::AgentStatus;
use synod_domain::event::{Event, Governing};
use synod_domain::id::{AgentId, NodeId, TaskId};
use synod_domain::name::Name;
use synod_domain::state::State as Agreed;
use synod_domain::task::{MailboxId, TaskStatus};

use crate::desk::Desk;
use crate::directory::Directory;
use crate::events::{Happening, Heard, Subscription};
use crate::propose::World;
use crate::scheduler::Touched;
use crate::tether::Tether;
use crate::{agents, census, clockwork, envoy, foreman, herald, liveness, scheduler, steward};

/// What a start or a restart needs.
#[derive(Clone)]
pub(crate) struct Args {
    pub(crate) world: World,
    pub(crate) directory: Directory,
    pub(crate) agents: agents::Handle,
    pub(crate) scheduler: scheduler::Handle,
    pub(crate) clockwork: clockwork::Handle,
    pub(crate) steward: steward::Handle,
    pub(crate) census: census::Handle,
    pub(crate) liveness: liveness::Handle,
    pub(crate) envoy: envoy::Handle,
    pub(crate) foreman: foreman::Handle,
    pub(crate) herald: herald::Handle,
    pub(crate) desk: Desk,
}

/// It is told one thing: that it does not listen any more.
#[derive(Debug)]
pub(crate) enum Message {
    StreamEnded { reason: &'static str },
}

/// Dropping it ends the listening.
pub(crate) struct State {
    _beside: Tether,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Router;

impl Actor for Router {
    type Msg = Message;
    type State = State;
    type Arguments = Args;

    async fn pre_start(&self, me: ActorRef<Message>, args: Args) -> Result<State, ActorProcessingErr> {
        let mut subscription = args.world.hub.subscribe();
        let beside = Tether::default();
        beside.spawn(async move {
            // What happened before this start was not heard.
            args.look_at_everything();
            let reason = match AssertUnwindSafe(args.listen(&mut subscription)).catch_unwind().await {
                Ok(()) => "the event hub is gone",
                Err(_) => "taking an event to its actors panicked",
            };
            // An error means that the router is gone.
            let _ = me.send_message(Message::StreamEnded { reason });
        });
        Ok(State { _beside: beside })
    }

    async fn handle(
        &self,
        _: ActorRef<Message>,
        message: Message,
        _: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            Message::StreamEnded { reason } => Err(reason.into()),
        }
    }
}

// Everywhere below, `let _ =` on a handle's verb: an actor that is being restarted looks at the state
// when it starts, so what it is not told now is not lost.
impl Args {
    async fn listen(&self, subscription: &mut Subscription) {
        loop {
            match subscription.next().await {
                Heard::Happening(happening) => self.route(&happening),
                Heard::Missed(missed) => {
                    tracing::info!(missed, "the router fell behind; everybody looks at the state");
                    self.look_at_everything();
                }
                Heard::Closed => return,
            }
        }
    }

    fn route(&self, happening: &Happening) {
        let mut touched = Touched::default();
        let mut moved = Vec::new();
        let mut freed = BTreeSet::new();
        let mut barred = Vec::new();
        // Before a pool hears that it has become smaller, so that it knows whom to let go.
        for event in &happening.events {
            if let Event::AgentRemoved { agent, .. } = event
                && let Some(pool) = self.directory.pool_of(*agent)
            {
                let _ = self.agents.retired(pool, *agent);
            }
        }
        for event in &happening.events {
            self.route_event(event, &mut touched, &mut moved);
            if let Event::TaskParked { task, .. } = event {
                barred.push(*task);
            }
            if let Event::TaskReturned { workspace, .. } | Event::TaskEnded { workspace, agent: Some(_), .. } =
                event
                && !freed.contains(workspace)
            {
                freed.insert(workspace.clone());
            }
        }
        let (due, tended, stirred) = self.world.read(|state| {
            touched.mailboxes.extend(moved.into_iter().filter_map(|task| waits_in(state, task)));
            touched.barred.extend(barred.into_iter().filter_map(|task| barred_in(state, task)));
            // With a task less in hand a quota may have room for another, wherever it waits.
            touched
                .mailboxes
                .extend(freed.iter().flat_map(|workspace| state.bounded_mailboxes_of(workspace)));
            (state.next_due(), tended(state, &touched, happening), state.outboxes_stirred())
        });
        self.clockwork.due(due);
        self.herald.stirred(stirred);
        self.foreman.touch(tended);
        if touched.everything {
            self.foreman.look();
        }
        self.desk.touch(&touched);
        self.scheduler.touch(touched);
    }

    /// Tells whom an event concerns. Adds what the scheduler must look at to `touched`, and tasks that may
    /// have moved into a mailbox without the event saying which to `moved`.
    fn route_event(&self, event: &Event, touched: &mut Touched, moved: &mut Vec<TaskId>) {
        match event {
            Event::TaskSubmitted { mailbox, .. } | Event::TaskReady { mailbox, .. } => {
                if !touched.mailboxes.contains(mailbox) {
                    touched.mailboxes.insert(mailbox.clone());
                }
            }
            Event::TaskLeased { task, agent, .. } => {
                self.liveness.leased(*agent);
                if let Some(agent) = self.directory.get(*agent) {
                    let _ = agent.take_up(*task);
                }
            }
            Event::TaskReturned { task, agent, .. } => {
                self.lease_ended(*task, *agent, touched);
                moved.push(*task);
            }
            Event::TaskEnded { task, agent, .. } => {
                if let Some(agent) = agent {
                    self.lease_ended(*task, *agent, touched);
                }
            }
            Event::AgentRegistered { agent, .. } => self.agent_changed(*agent, touched),
            Event::AgentChanged { agent, status, .. } => {
                self.agent_changed(*agent, touched);
                if *status == AgentStatus::Failed {
                    let _ = self.steward.agent_failed(*agent);
                }
            }
            Event::AgentRemoved { agent, .. } => {
                self.agent_changed(*agent, touched);
                let _ = self.steward.agent_removed(*agent);
            }
            Event::PoolChanged { pool, .. } | Event::PoolRemoved { pool, .. } => {
                touched.mailboxes.insert(MailboxId::Pool(pool.clone()));
                let _ = self.agents.look_at(pool.clone());
            }
            Event::TaskRose { task, .. } => moved.push(*task),
            // Whatever was held back may be given out, by agents that were passed over. It is rare.
            Event::Resumed { .. }
            | Event::Governed { what: Governing::BreakerHalfOpened | Governing::BreakerClosed, .. }
            | Event::Governed { what: Governing::BudgetReopened | Governing::BudgetRemoved, .. }
            | Event::Governed { what: Governing::QuotaPut, .. }
            // Its agents take work from elsewhere from then on.
            | Event::Governed { what: Governing::OwnerSet, .. }
            // Who was asked about something may be answered otherwise.
            | Event::Governed { what: Governing::PolicyPut | Governing::PolicyRemoved, .. } => {
                touched.everything = true;
            }
            Event::NodeDown { node, .. } | Event::NodeUp { node, .. } | Event::NodeRemoved { node, .. } => {
                self.node_changed(*node, touched);
            }
            Event::NodeDraining { .. } | Event::NodeAdmitted { .. } | Event::NodeStarted { .. } => {
                let _ = self.census.look();
            }
            Event::TaskKept { task, .. } | Event::TaskRefusedThere { task, .. } => self.envoy.touch(*task),
            Event::TaskOffered { .. }
            | Event::TaskForwarded { .. }
            | Event::TaskParked { .. }
            | Event::Governed { .. }
            | Event::TaskStarted { .. }
            | Event::TaskProgressed { .. }
            | Event::DeadLetterRemoved { .. }
            | Event::RunStarted { .. }
            | Event::RunEnded { .. }
            // What is paused is not given out because the scheduler does not see it any more.
            | Event::Paused { .. }
            | Event::TokenCreated { .. }
            | Event::TokenRotated { .. }
            | Event::TokenRevoked { .. }
            | Event::NodeRoleChanged { .. }
            | Event::TermBegun { .. } => {}
        }
    }

    /// What is agreed of this node itself concerns every agent here. What others lose or get is told pool by pool.
    fn node_changed(&self, node: NodeId, touched: &mut Touched) {
        let _ = self.census.look();
        if node == self.world.node {
            for agent in self.directory.all() {
                let _ = agent.look();
            }
            let _ = self.agents.look();
        }
        touched.everything = true;
    }

    fn agent_changed(&self, agent: AgentId, touched: &mut Touched) {
        touched.agents.insert(agent);
        // Those that run here live by their supervision.
        if self.directory.pool_of(agent).is_none() {
            let _ = self.liveness.touch(agent);
        }
    }

    fn lease_ended(&self, task: TaskId, agent: AgentId, touched: &mut Touched) {
        touched.agents.insert(agent);
        if let Some(agent) = self.directory.get(agent) {
            let _ = agent.revoke(task);
        }
    }

    fn look_at_everything(&self) {
        for agent in self.directory.all() {
            let _ = agent.look();
        }
        let _ = self.agents.look();
        let _ = self.steward.look();
        let _ = self.census.look();
        let _ = self.liveness.look();
        self.envoy.look();
        self.foreman.look();
        self.herald.look();
        self.clockwork.due(self.world.read(Agreed::next_due));
        let everything = Touched { everything: true, ..Touched::default() };
        self.desk.touch(&everything);
        self.scheduler.touch(everything);
    }
}

/// Returns the mailbox that a task waits in. What the state says counts: the node's clock may differ from
/// the one that judged whether a returned task waits or backs off.
fn waits_in(state: &Agreed, task: TaskId) -> Option<MailboxId> {
    let task = state.task(task)?;
    matches!(task.status, TaskStatus::Waiting { .. }).then(|| task.spec.mailbox.clone())
}

/// Returns the mailbox of a task that a policy or a budget keeps from somebody and that might be another's.
fn barred_in(state: &Agreed, task: TaskId) -> Option<MailboxId> {
    let task = state.task(task).filter(|task| state.is_barred(task))?;
    Some(task.spec.mailbox.clone())
}

/// Returns the pools that somebody looks after, of those that were touched.
fn tended(state: &Agreed, touched: &Touched, happening: &Happening) -> BTreeSet<Name> {
    if !state.tends_any() {
        return BTreeSet::new();
    }
    let leased = happening.events.iter().filter_map(|event| match event {
        Event::TaskLeased { agent, .. } => Some(*agent),
        _ => None,
    });
    let agents = touched.agents.iter().copied().chain(leased);
    let of_agents = agents.filter_map(|agent| state.agent(agent)?.spec.pool.clone());
    let mailboxes = touched.mailboxes.iter().chain(&touched.barred);
    let of_mailboxes = mailboxes.filter_map(|mailbox| match mailbox {
        MailboxId::Pool(pool) => Some(pool.clone()),
        MailboxId::Agent(_) | MailboxId::Open => None,
    });
    of_agents.chain(of_mailboxes).filter(|pool| state.is_tended(pool)).collect()
}
