//! Takes events to the actors they concern.
//!
//! Nothing it does waits: handles note or tell. When it missed happenings it tells everybody to look
//! at the state, which is what counts.

use ractor::{Actor, ActorProcessingErr, ActorRef};
use synod_domain::event::Event;
use synod_domain::id::{AgentId, TaskId};
use synod_domain::task::MailboxId;
use tokio_util::sync::CancellationToken;

use crate::events::{Happening, Heard};
use crate::pool::Directory;
use crate::propose::World;
use crate::{agents, clockwork, scheduler, steward};

/// What a start or a restart needs.
#[derive(Clone)]
pub(crate) struct Args {
    pub(crate) world: World,
    pub(crate) directory: Directory,
    pub(crate) agents: agents::Handle,
    pub(crate) scheduler: scheduler::Handle,
    pub(crate) clockwork: clockwork::Handle,
    pub(crate) steward: steward::Handle,
}

/// It is told one thing: that its stream has ended.
#[derive(Debug)]
pub(crate) enum Message {
    StreamEnded,
}

pub(crate) struct State {
    stop: CancellationToken,
}

impl Drop for State {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Router;

impl Actor for Router {
    type Msg = Message;
    type State = State;
    type Arguments = Args;

    async fn pre_start(&self, me: ActorRef<Message>, args: Args) -> Result<State, ActorProcessingErr> {
        let mut subscription = args.world.hub.subscribe();
        // What happened before this start was not heard.
        args.look_at_everything();
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        tokio::spawn(async move {
            loop {
                let heard = tokio::select! {
                    biased;
                    () = stopped.cancelled() => return,
                    heard = subscription.next() => heard,
                };
                match heard {
                    Heard::Happening(happening) => args.route(&happening),
                    Heard::Missed(missed) => {
                        tracing::info!(missed, "the router fell behind; everybody looks at the state");
                        args.look_at_everything();
                    }
                    Heard::Closed => break,
                }
            }
            // An error means that the router is gone.
            let _ = me.send_message(Message::StreamEnded);
        });
        Ok(State { stop })
    }

    async fn handle(
        &self,
        _: ActorRef<Message>,
        message: Message,
        _: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            Message::StreamEnded => Err("the event hub is gone".into()),
        }
    }
}

// Everywhere below, `let _ =` on a handle's verb: an actor that is being restarted looks at the state
// when it starts, so what it is not told now is not lost.
impl Args {
    fn route(&self, happening: &Happening) {
        for event in &happening.events {
            self.route_event(event);
        }
        self.clockwork.due(self.world.read(|state| state.next_due()));
        self.scheduler.wake();
    }

    fn route_event(&self, event: &Event) {
        match event {
            Event::TaskSubmitted { mailbox, .. } | Event::TaskReady { mailbox, .. } => {
                if let Some(mailbox) = mailbox {
                    self.scheduler.touch_mailbox(mailbox);
                }
            }
            Event::TaskLeased { agent, .. } => {
                if let Some(agent) = self.directory.get(*agent) {
                    let _ = agent.look();
                }
            }
            Event::TaskReturned { task, agent, until, .. } => {
                self.lease_ended(*task, *agent);
                if *until <= self.world.clock.now() {
                    self.touch_mailbox_of(*task);
                }
            }
            Event::TaskEnded { task, agent, .. } => {
                if let Some(agent) = agent {
                    self.lease_ended(*task, *agent);
                }
            }
            Event::AgentRegistered { agent, .. } | Event::AgentRemoved { agent } => {
                self.scheduler.touch_agent(*agent);
            }
            Event::AgentChanged { agent, .. } => {
                self.scheduler.touch_agent(*agent);
                let _ = self.steward.standing_changed(*agent);
            }
            Event::PoolChanged { pool, .. } => {
                self.scheduler.touch_mailbox(&MailboxId::Pool(pool.clone()));
                let _ = self.agents.look();
            }
            Event::PoolRemoved { .. } => {
                let _ = self.agents.look();
            }
            Event::TaskRose { task, .. } => self.touch_mailbox_of(*task),
            Event::TaskStarted { .. }
            | Event::TaskProgressed { .. }
            | Event::DeadLetterRemoved { .. }
            | Event::RunStarted { .. }
            | Event::RunEnded { .. } => {}
        }
    }

    fn lease_ended(&self, task: TaskId, agent: AgentId) {
        self.scheduler.touch_agent(agent);
        if let Some(agent) = self.directory.get(agent) {
            let _ = agent.revoke(task);
        }
    }

    fn touch_mailbox_of(&self, task: TaskId) {
        let mailbox = self.world.read(|state| state.task(task).map(|task| task.spec.mailbox.clone()));
        if let Some(mailbox) = mailbox {
            self.scheduler.touch_mailbox(&mailbox);
        }
    }

    fn look_at_everything(&self) {
        for agent in self.directory.all() {
            let _ = agent.look();
        }
        let _ = self.agents.look();
        self.clockwork.due(self.world.read(|state| state.next_due()));
        self.scheduler.touch_everything();
        self.scheduler.wake();
    }
}
