//! Looks after pools while their work goes on: scales them by their rule, lets agents that have served for long begin
//! anew, and moves rollouts on.
//!
//! ```text
//!   what happened ─► router ─► note ─► look at the pool ─► one proposal ─► its answer ─► look again
//!                                            │
//!                                            └─► asleep until the rule wants to look again, if it does
//! ```
//!
//! The rules are [`autoscale`], [`renewal`] and [`rollout`]; what they decide is judged again in `State::apply`, so a
//! decision made from a stale look changes nothing. At most one proposal is on its way for a pool. What this actor
//! remembers by itself is since when a pool has had little to do: a new leader begins to count anew, so agents leave
//! later after an election and never sooner. Pools that nobody wants looked after cost nothing, and while nothing
//! happens and nothing is due it sleeps.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use synod_domain::autoscale::{self, Calm};
use synod_domain::command::Command;
use synod_domain::name::Name;
use synod_domain::renewal;
use synod_domain::rollout;
use synod_domain::state::State as Agreed;
use synod_domain::tending::PoolCommand;
use synod_domain::time::Timestamp;

use crate::address::Address;
use crate::propose::World;
use crate::tether::Tether;

/// How often one pool is looked at, at most: a look counts its agents, and a busy pool has thousands of events in a
/// second. Rules that work in seconds lose nothing by it.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// The longest sleep while something is due later: a wall clock that jumps ahead is noticed by then.
const SLEEP_MAX: Duration = Duration::from_secs(30);

/// The wait after a proposal that the journal did not take, before its cause is looked at again.
const REFUSED_PAUSE: Duration = Duration::from_secs(1);

/// What a start or a restart needs.
#[derive(Clone)]
pub(crate) struct Args {
    pub(crate) world: World,
    pub(crate) notes: Arc<Mutex<Notes>>,
}

/// What the router noted since the last look.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    pools: BTreeSet<Name>,
    everything: bool,
    woken: bool,
}

/// The only way to talk to it. Stays valid when it restarts.
#[derive(Debug, Clone, Default)]
pub(crate) struct Handle {
    pub(crate) address: Address<Message>,
    pub(crate) notes: Arc<Mutex<Notes>>,
}

impl Handle {
    /// Notes pools about which something happened, and wakes it unless a wake-up waits already.
    pub(crate) fn touch(&self, pools: BTreeSet<Name>) {
        if !pools.is_empty() {
            self.note(|notes| notes.pools.extend(pools));
        }
    }

    /// Notes that anything may have happened.
    pub(crate) fn look(&self) {
        self.note(|notes| notes.everything = true);
    }

    fn note(&self, note: impl FnOnce(&mut Notes)) {
        let mut notes = self.notes.lock();
        note(&mut notes);
        if !notes.woken {
            notes.woken = self.address.tell(Message::Woken).is_ok();
            if !notes.woken {
                // It is down and looks at everything when it starts.
                *notes = Notes::default();
            }
        }
    }
}

/// What it is told.
#[derive(Debug)]
pub(crate) enum Message {
    Woken,
    SleepElapsed,
    Proposed { pool: Name },
}

/// What is remembered of a pool that is looked after.
#[derive(Debug, Default)]
struct Care {
    calm: Calm,
    looked_at: Option<Timestamp>,
    /// When to look again.
    wake: Option<Timestamp>,
    /// Whether a proposal is on its way.
    proposing: bool,
}

pub(crate) struct State {
    args: Args,
    pools: BTreeMap<Name, Care>,
    /// The sleep until a pool is to be looked at; replaced by each.
    sleep: Tether,
    beside: Tether,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Foreman;

impl Actor for Foreman {
    type Msg = Message;
    type State = State;
    type Arguments = Args;

    async fn pre_start(&self, me: ActorRef<Message>, args: Args) -> Result<State, ActorProcessingErr> {
        *args.notes.lock() = Notes { everything: true, woken: true, ..Notes::default() };
        me.send_message(Message::Woken)?;
        Ok(State { args, pools: BTreeMap::new(), sleep: Tether::default(), beside: Tether::default() })
    }

    async fn handle(
        &self,
        me: ActorRef<Message>,
        message: Message,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            Message::Woken => state.look_at_noted(&me),
            Message::SleepElapsed => state.look_at_due(&me),
            Message::Proposed { pool } => state.proposed(&me, pool),
        }
        state.sleep_on(&me);
        Ok(())
    }
}

/// What a look at a pool came to.
struct Outlook {
    command: Option<PoolCommand>,
    look_at: Option<Timestamp>,
}

impl State {
    fn look_at_noted(&mut self, me: &ActorRef<Message>) {
        let notes = std::mem::take(&mut *self.args.notes.lock());
        let mut pools = notes.pools;
        if notes.everything {
            pools.extend(self.pools.keys().cloned());
            self.args.world.read(|state| pools.extend(state.pools().map(|pool| pool.spec.name.clone())));
        }
        for pool in pools {
            self.look_at(me, pool);
        }
    }

    fn look_at_due(&mut self, me: &ActorRef<Message>) {
        let now = self.now();
        let is_due = |(_, care): &(&Name, &Care)| care.wake.is_some_and(|at| at <= now);
        let due: Vec<Name> = self.pools.iter().filter(is_due).map(|(pool, _)| pool.clone()).collect();
        for pool in due {
            self.look_at(me, pool);
        }
    }

    fn proposed(&mut self, me: &ActorRef<Message>, pool: Name) {
        if let Some(care) = self.pools.get_mut(&pool) {
            care.proposing = false;
            // What it brought about is to be seen before anything else is decided.
            care.looked_at = None;
        }
        self.look_at(me, pool);
    }

    fn now(&self) -> Timestamp {
        // A log that is ahead of this clock has the time that counts.
        self.args.world.clock.now().max(self.args.world.read(|state| state.now()))
    }

    fn look_at(&mut self, me: &ActorRef<Message>, pool: Name) {
        if !self.args.world.read(|state| state.is_tended(&pool)) {
            self.pools.remove(&pool);
            return;
        }
        let now = self.now();
        let care = self.pools.entry(pool.clone()).or_default();
        if care.proposing {
            return;
        }
        if let Some(again) = care.looked_at.map(|at| at.after(LOOK_EVERY)).filter(|again| *again > now) {
            care.wake = Some(care.wake.map_or(again, |wake| wake.min(again)));
            return;
        }
        care.looked_at = Some(now);
        let calm = &mut care.calm;
        let outlook = self.args.world.read(|state| outlook(state, &pool, now, calm));
        care.wake = outlook.look_at;
        if let Some(command) = outlook.command {
            care.proposing = true;
            self.propose(me, pool, command);
        }
    }

    fn propose(&self, me: &ActorRef<Message>, pool: Name, command: PoolCommand) {
        tracing::info!(%pool, ?command, "a pool is looked after");
        let (world, me) = (self.args.world.clone(), me.clone());
        self.beside.spawn(async move {
            match world.propose(Command::Pool(command)).await {
                Ok(Ok(_)) => {}
                Ok(Err(refusal)) => {
                    tracing::debug!(%pool, %refusal, "a change of a pool was refused");
                    tokio::time::sleep(REFUSED_PAUSE).await;
                }
                Err(error) => {
                    tracing::debug!(%pool, %error, "a change of a pool was not recorded");
                    tokio::time::sleep(REFUSED_PAUSE).await;
                }
            }
            // An error means that this foreman is gone; the next looks at everything.
            let _ = me.send_message(Message::Proposed { pool });
        });
    }

    /// Sleeps until a pool is to be looked at, if one is.
    fn sleep_on(&mut self, me: &ActorRef<Message>) {
        self.sleep = Tether::default();
        let waking = self.pools.values().filter(|care| !care.proposing);
        let Some(next) = waking.filter_map(|care| care.wake).min() else { return };
        let wait = next.since(self.now()).clamp(Duration::from_millis(1), SLEEP_MAX);
        let me = me.clone();
        self.sleep.spawn(async move {
            tokio::time::sleep(wait).await;
            // An error means that this foreman is gone.
            let _ = me.send_message(Message::SleepElapsed);
        });
    }
}

/// Says what is next for a pool. One thing at a time: what it brings about is looked at before the next.
fn outlook(state: &Agreed, pool: &Name, now: Timestamp, calm: &mut Calm) -> Outlook {
    let retires = state.pool(pool).is_none_or(|pool| pool.retiring.is_some());
    if retires {
        return Outlook { command: None, look_at: None };
    }
    let mut rolls = false;
    if let Some(rollout) = state.rollout(pool) {
        rolls = !rollout.stage.is_over();
        let members = state.rollout_members(pool);
        let version = rollout.to.number;
        let command = match rollout::next(rollout, &members) {
            rollout::Step::Wait(_) => None,
            rollout::Step::Renew { agents, version } => Some(PoolCommand::RenewAgents {
                pool: pool.clone(),
                agents,
                version,
                reason: format!("it begins anew from version {version}").into(),
            }),
            rollout::Step::Enter { stage, reason } => Some(PoolCommand::MoveRollout {
                pool: pool.clone(),
                version,
                from: rollout.stage,
                to: stage,
                reason: reason.into(),
            }),
        };
        if command.is_some() {
            return Outlook { command, look_at: None };
        }
    }
    let mut look_at = None;
    // Those of an old version begin anew anyway.
    if let Some(settings) = state.restart_after(pool).filter(|_| !rolls) {
        let turnover = renewal::turn(settings, &state.veterans(pool), now);
        if let Some((agent, reason)) = turnover.renew {
            let (pool, version) = (pool.clone(), state.version_of(pool));
            let (agents, reason) = (vec![agent], reason.into());
            let command = Some(PoolCommand::RenewAgents { pool, agents, version, reason });
            return Outlook { command, look_at: None };
        }
        look_at = turnover.look_at;
    }
    if let Some((scaling, mut load)) = state.autoscaling(pool).zip(state.load_of(pool)) {
        load.now = now;
        calm.note(&load);
        let decision = autoscale::decide(&scaling.spec, &load, *calm);
        if let Some((to, reason)) = decision.change {
            let (pool, from, reason) = (pool.clone(), load.target, reason.into());
            let command = Some(PoolCommand::Autoscale { pool, from, to, reason });
            return Outlook { command, look_at: None };
        }
        look_at = look_at.into_iter().chain(decision.look_at).min();
    }
    Outlook { command: None, look_at }
}
