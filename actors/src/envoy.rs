//! Brings tasks that are kept for other regions there; only where this node leads.
//!
//! ```text
//!   touched, a region came ─► queue ─► in hand, so many at a time ─► there, here, or refused
//!                               ▲                │
//!                               └─ after a wait ◄┘  no answer, no room
//! ```
//!
//! One step of a task is what [`Forwarding::next`](synod_domain::region::Forwarding::next) says: note durably that a
//! region is asked, ask it, note durably what it said. Nothing of that is held in memory alone, so who begins anew goes
//! on with what the state says, and asks the same region under the same request. A task that no region can take waits
//! without costing anything until it is touched or regions change.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use synod_domain::command::Command;
use synod_domain::id::TaskId;
use synod_domain::name::Name;
use synod_domain::region::{Outcome, Way, outcome, request_for};
use synod_domain::reply::Answer;
use synod_domain::task::TaskSpec;
use tokio::time::Instant;

use crate::address::Address;
use crate::propose::World;
use crate::tether::Tether;

/// How many tasks are brought somewhere at a time. Their notes share their syncs. How many of them hold a large payload
/// at a time is bounded by whoever sends them.
const IN_HAND_MAX: usize = 16;

/// How many of them go to one region. One that is there and answers nothing keeps what was offered to it in hand for as
/// long as [`OFFER_PATIENCE`]; the others shall not wait for it.
const IN_HAND_OF_A_REGION_MAX: usize = 6;

/// How long a region may take to answer. It syncs on a majority of its nodes, far from here, after it has the payload.
const OFFER_PATIENCE: Duration = Duration::from_secs(30);

/// The first wait before a task is tried again, doubled up to [`AGAIN_MAX`].
const AGAIN_FIRST: Duration = Duration::from_millis(200);

/// The longest wait before a task is tried again: a region that is back or has room again is noticed by then.
const AGAIN_MAX: Duration = Duration::from_secs(20);

/// What a start or a restart needs.
#[derive(Clone)]
pub(crate) struct Args {
    pub(crate) world: World,
    pub(crate) handle: Handle,
}

/// The only way to talk to it. Stays valid when it restarts.
#[derive(Debug, Clone, Default)]
pub(crate) struct Handle {
    pub(crate) address: Address<Message>,
    touched: Arc<Mutex<Touched>>,
}

/// What it was told and has not looked at.
#[derive(Debug, Default)]
struct Touched {
    tasks: BTreeSet<TaskId>,
    /// Whether it must look at all that is kept.
    everything: bool,
}

impl Handle {
    /// Tells it that something about a kept task has changed. Where it does not run, that costs nothing: it looks at
    /// everything when it starts.
    pub(crate) fn touch(&self, task: TaskId) {
        let was_empty = {
            let mut touched = self.touched.lock();
            // Once it looks at everything, names are not needed, and do not pile up where nobody leads.
            if touched.everything {
                return;
            }
            let was_empty = touched.tasks.is_empty();
            touched.tasks.insert(task);
            was_empty
        };
        if was_empty && self.address.tell(Message::LookAtTouched).is_err() {
            self.forget();
        }
    }

    /// Tells it that anything may have changed.
    pub(crate) fn look(&self) {
        self.touched.lock().everything = true;
        if self.address.tell(Message::LookAtTouched).is_err() {
            self.forget();
        }
    }

    /// One that does not run will look at everything.
    fn forget(&self) {
        *self.touched.lock() = Touched::default();
    }

    fn take(&self) -> Touched {
        std::mem::take(&mut *self.touched.lock())
    }
}

/// What it is told.
#[derive(Debug)]
pub(crate) enum Message {
    LookAtTouched,
    RegionsChanged,
    WaitElapsed,
    Tried { task: TaskId, tried: Tried },
}

/// How far a task came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tried {
    /// What came of it is in the state.
    Noted,
    /// It must be tried again after a while.
    Again,
    /// There is nothing to do with it until something changes.
    Parked,
}

pub(crate) struct State {
    args: Args,
    /// Those to be tried, in order, each once.
    queue: VecDeque<TaskId>,
    queued: BTreeSet<TaskId>,
    /// Those that are brought somewhere, and to which region if to another.
    in_hand: BTreeMap<TaskId, Option<Name>>,
    /// Those out of the queue whose region has as many in hand as it may; they count as queued.
    held_back: BTreeMap<Name, VecDeque<TaskId>>,
    /// Those in hand about which something has changed meanwhile.
    touched_in_hand: BTreeSet<TaskId>,
    /// Those that wait, and until when.
    waiting: BTreeSet<(Instant, TaskId)>,
    /// How often in a row one was tried that waits or is tried again.
    tries: BTreeMap<TaskId, u32>,
    /// The sleep until the first of those that wait; replaced by each.
    sleep: Tether,
    beside: Tether,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Envoy;

impl Actor for Envoy {
    type Msg = Message;
    type State = State;
    type Arguments = Args;

    async fn pre_start(&self, me: ActorRef<Message>, args: Args) -> Result<State, ActorProcessingErr> {
        // What was told to an earlier start is seen by the look that follows.
        drop(args.handle.take());
        let beside = Tether::default();
        let mut changes = args.world.regions.changes();
        me.send_message(Message::RegionsChanged)?;
        beside.spawn(async move {
            // Ends with whoever tells of regions, or with this actor.
            while changes.changed().await.is_ok() {
                if me.send_message(Message::RegionsChanged).is_err() {
                    return;
                }
            }
        });
        Ok(State {
            args,
            queue: VecDeque::new(),
            queued: BTreeSet::new(),
            in_hand: BTreeMap::new(),
            held_back: BTreeMap::new(),
            touched_in_hand: BTreeSet::new(),
            waiting: BTreeSet::new(),
            tries: BTreeMap::new(),
            sleep: Tether::default(),
            beside,
        })
    }

    async fn handle(
        &self,
        me: ActorRef<Message>,
        message: Message,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            Message::LookAtTouched => state.look_at_touched(),
            Message::RegionsChanged => state.look_at_everything(),
            Message::WaitElapsed => state.wake(&me),
            Message::Tried { task, tried } => state.tried(&me, task, tried),
        }
        state.set_out(&me);
        Ok(())
    }
}

impl State {
    fn look_at_touched(&mut self) {
        let Touched { tasks, everything } = self.args.handle.take();
        if everything {
            return self.look_at_everything();
        }
        tasks.into_iter().for_each(|task| self.enqueue(task));
    }

    /// Puts all that is kept and can go somewhere into the queue. Those that wait for their next try do so still: a
    /// region that comes and goes may not be flooded each time.
    fn look_at_everything(&mut self) {
        // They may go elsewhere now.
        self.queue.extend(std::mem::take(&mut self.held_back).into_values().flatten());
        let regions = self.args.world.regions.clone();
        let (here, reachable) = (regions.here(), regions.reachable());
        let can_go = self.args.world.read(|state| {
            let kept = state.kept_tasks().filter(|task| {
                let next = task.forwarding().map(|forwarding| forwarding.next(here, &reachable));
                next.is_some_and(|way| way != Way::Wait)
            });
            kept.map(|task| task.spec.id).collect::<Vec<TaskId>>()
        });
        can_go.into_iter().for_each(|task| self.enqueue(task));
    }

    fn enqueue(&mut self, task: TaskId) {
        if self.in_hand.contains_key(&task) {
            self.touched_in_hand.insert(task);
            return;
        }
        // One that has tries behind it and is not in hand waits.
        if !self.tries.contains_key(&task) && self.queued.insert(task) {
            self.queue.push_back(task);
        }
    }

    /// Takes tasks in hand while there is room.
    fn set_out(&mut self, me: &ActorRef<Message>) {
        while self.in_hand.len() < IN_HAND_MAX
            && let Some(task) = self.queue.pop_front()
        {
            let region = self.region_of(task);
            if let Some(region) = &region {
                let goes = self.in_hand.values().filter(|other| other.as_ref() == Some(region));
                if goes.count() >= IN_HAND_OF_A_REGION_MAX {
                    self.held_back.entry(region.clone()).or_default().push_back(task);
                    continue;
                }
            }
            self.queued.remove(&task);
            self.in_hand.insert(task, region);
            let (world, me) = (self.args.world.clone(), me.clone());
            self.beside.spawn(async move {
                let tried = attempt(&world, task).await;
                // An error means that this actor is gone.
                let _ = me.send_message(Message::Tried { task, tried });
            });
        }
    }

    /// Returns the region that a task would be offered to now.
    fn region_of(&self, task: TaskId) -> Option<Name> {
        let regions = &self.args.world.regions;
        let (here, reachable) = (regions.here(), regions.reachable());
        let way = self.args.world.read(|state| Some(state.task(task)?.forwarding()?.next(here, &reachable)));
        match way {
            Some(Way::Offer(region)) => Some(region),
            Some(Way::Here | Way::Wait | Way::Refuse(_) | Way::Direct(_)) | None => None,
        }
    }

    fn tried(&mut self, me: &ActorRef<Message>, task: TaskId, tried: Tried) {
        if let Some(region) = self.in_hand.remove(&task).flatten()
            && let Some(held_back) = self.held_back.get_mut(&region)
        {
            self.queue.extend(held_back.pop_front());
            if held_back.is_empty() {
                self.held_back.remove(&region);
            }
        }
        let touched = self.touched_in_hand.remove(&task);
        match tried {
            Tried::Again => self.wait(me, task),
            Tried::Noted | Tried::Parked => {
                self.tries.remove(&task);
                // What was noted may leave another step, and what changed meanwhile may have been what it lacked.
                if tried == Tried::Noted || touched {
                    self.enqueue(task);
                }
            }
        }
    }

    fn wait(&mut self, me: &ActorRef<Message>, task: TaskId) {
        let tries = self.tries.entry(task).or_default();
        let wait = AGAIN_FIRST.saturating_mul(1 << (*tries).min(16)).min(AGAIN_MAX);
        *tries = tries.saturating_add(1);
        self.waiting.insert((Instant::now() + wait, task));
        self.sleep(me);
    }

    /// Lets those be tried whose wait is over.
    fn wake(&mut self, me: &ActorRef<Message>) {
        let now = Instant::now();
        while let Some((until, task)) = self.waiting.first().copied()
            && until <= now
        {
            self.waiting.remove(&(until, task));
            if self.queued.insert(task) {
                self.queue.push_back(task);
            }
        }
        self.sleep(me);
    }

    fn sleep(&mut self, me: &ActorRef<Message>) {
        self.sleep = Tether::default();
        let Some((until, _)) = self.waiting.first().copied() else { return };
        let me = me.clone();
        self.sleep.spawn(async move {
            tokio::time::sleep_until(until).await;
            // An error means that this actor is gone.
            let _ = me.send_message(Message::WaitElapsed);
        });
    }
}

/// Takes a kept task one step further.
async fn attempt(world: &World, task: TaskId) -> Tried {
    let (here, reachable) = (world.regions.here(), world.regions.reachable());
    let next = world.read(|state| {
        let found = state.task(task)?;
        let forwarding = found.forwarding()?;
        Some((found.spec.clone(), forwarding.next(here, &reachable), forwarding.offered.clone()))
    });
    // It has ended, or it is where it should be.
    let Some((spec, way, offered)) = next else { return Tried::Parked };
    match way {
        Way::Here => note(world, Command::TakeHere { task, here: here.clone() }).await,
        Way::Offer(region) => {
            if offered.as_ref() != Some(&region) {
                let noted = note(world, Command::OfferToRegion { task, region: region.clone() }).await;
                if noted == Tried::Again {
                    return noted;
                }
                let may = world.read(|state| {
                    let offered = state.task(task)?.forwarding()?.offered.as_ref();
                    Some(offered == Some(&region))
                });
                // It was called off meanwhile.
                if may != Some(true) {
                    return Tried::Noted;
                }
            }
            offer(world, task, region, spec).await
        }
        Way::Wait => Tried::Parked,
        // The rules end what goes nowhere, and a strict task is never kept.
        Way::Refuse(_) | Way::Direct(_) => Tried::Parked,
    }
}

async fn offer(world: &World, task: TaskId, region: Name, spec: Arc<TaskSpec>) -> Tried {
    let offered = world.regions.offer(&region, request_for(task), spec);
    let answer: Answer = match tokio::time::timeout(OFFER_PATIENCE, offered).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => {
            tracing::debug!(%task, %region, error, "a task was offered and not answered");
            return Tried::Again;
        }
        Err(_) => {
            tracing::debug!(%task, %region, "a task was offered and not answered within {OFFER_PATIENCE:?}");
            return Tried::Again;
        }
    };
    match outcome(task, &answer) {
        Outcome::Taken { known_as } => note(world, Command::ForwardedTo { task, region, known_as }).await,
        Outcome::Refused(why) => {
            tracing::info!(%task, %region, %why, "a region does not take a task");
            note(world, Command::RegionRefused { task, region, why }).await
        }
        Outcome::Later => Tried::Again,
    }
}

/// Makes a step durable.
async fn note(world: &World, command: Command) -> Tried {
    match world.propose(command).await {
        Ok(Err(refusal)) if refusal.is_temporary() => Tried::Again,
        // A refusal says that the state has gone on by itself: it says what is next.
        Ok(Ok(_) | Err(_)) => Tried::Noted,
        Err(error) => {
            tracing::debug!(%error, "a step of a task for another region was not recorded");
            Tried::Again
        }
    }
}
