//! Lets time pass in the log when something is due: a lease, a deadline, a backoff.
//!
//! Time passes with every entry anyway; this actor only proposes an empty one when something is due
//! and nobody else proposes. While nothing is due, it sleeps and costs nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::address::Address;
use crate::propose::World;
use crate::tether::Tether;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use synod_domain::time::Timestamp;

/// The longest sleep while something is due later: a wall clock that jumps ahead is noticed by then.
const SLEEP_MAX: Duration = Duration::from_secs(30);

/// The shortest sleep. Ticks more often than this would only compete with real work for the disk.
const SLEEP_MIN: Duration = Duration::from_millis(1);

/// The wait after a tick that was not recorded, before the next try.
const TICK_AGAIN: Duration = Duration::from_millis(500);

/// What a start or a restart needs.
#[derive(Clone)]
pub(crate) struct Args {
    pub(crate) world: World,
    pub(crate) armed_for: Arc<AtomicU64>,
}

/// The only way to talk to the clockwork. Stays valid when it restarts.
#[derive(Debug, Clone)]
pub(crate) struct Handle {
    pub(crate) address: Address<Message>,
    /// The time that it is awake for next, in milliseconds; the greatest number when there is none.
    pub(crate) armed_for: Arc<AtomicU64>,
}

impl Default for Handle {
    fn default() -> Self {
        Self { address: Address::default(), armed_for: Arc::new(AtomicU64::new(u64::MAX)) }
    }
}

impl Handle {
    /// Tells it what is due next. Costs one comparison unless that is earlier than what it waits for.
    pub(crate) fn due(&self, next: Option<Timestamp>) {
        let Some(next) = next else { return };
        if next.as_millis() < self.armed_for.load(Ordering::Acquire) {
            self.armed_for.store(next.as_millis(), Ordering::Release);
            // While it is down nothing is lost: it looks at the state when it starts.
            let _ = self.address.tell(Message::LookAtTime);
        }
    }
}

/// What it is told.
#[derive(Debug)]
pub(crate) enum Message {
    LookAtTime,
    SleepElapsed,
    Ticked,
}

pub(crate) struct State {
    args: Args,
    /// The sleep until something is due; replaced by each look.
    sleep: Tether,
    tick: Tether,
    ticking: bool,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Clockwork;

impl Actor for Clockwork {
    type Msg = Message;
    type State = State;
    type Arguments = Args;

    async fn pre_start(&self, me: ActorRef<Message>, args: Args) -> Result<State, ActorProcessingErr> {
        me.send_message(Message::LookAtTime)?;
        Ok(State { args, sleep: Tether::default(), tick: Tether::default(), ticking: false })
    }

    async fn handle(
        &self,
        me: ActorRef<Message>,
        message: Message,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            Message::LookAtTime | Message::SleepElapsed => state.look(&me),
            Message::Ticked => {
                state.ticking = false;
                state.look(&me);
            }
        }
        Ok(())
    }
}

impl State {
    fn look(&mut self, me: &ActorRef<Message>) {
        if self.ticking {
            return;
        }
        self.sleep = Tether::default();
        // First, so that whoever sees a change that the look below does not see tells of it.
        self.args.armed_for.store(u64::MAX, Ordering::Release);
        let next = self.args.world.read(|state| state.next_due());
        let armed = next.map_or(u64::MAX, Timestamp::as_millis);
        self.args.armed_for.store(armed, Ordering::Release);
        let Some(next) = next else { return };
        let wait = next.since(self.args.world.clock.now());
        if wait.is_zero() {
            return self.tick(me);
        }
        let me = me.clone();
        self.sleep.spawn(async move {
            tokio::time::sleep(wait.clamp(SLEEP_MIN, SLEEP_MAX)).await;
            // An error means that this clockwork is gone.
            let _ = me.send_message(Message::SleepElapsed);
        });
    }

    fn tick(&mut self, me: &ActorRef<Message>) {
        self.ticking = true;
        let (world, me) = (self.args.world.clone(), me.clone());
        self.tick.spawn(async move {
            if let Err(error) = world.journal.tick().await {
                tracing::debug!(%error, "a tick was not recorded");
                tokio::time::sleep(TICK_AGAIN).await;
            }
            // An error means that this clockwork is gone.
            let _ = me.send_message(Message::Ticked);
        });
    }
}
