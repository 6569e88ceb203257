//! What outlives the nodes of a fleet's world: the plan, who plays what, and what was seen.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use synod::fleet::{Behaviour, EntryPlan, Plan, Simulation, Target};
use synod::node::domain::agent::RuntimeSpec;
use synod::node::domain::id::AgentId;
use synod::node::domain::name::Name;
use synod::node::domain::task::Task;
use synod::node::{Builder, Error};
use synod::run::Outcome;

use super::agents::Performer;
use super::answer::Kill;
use super::outside::Held;
use super::seats::Seats;
use super::watch::{Openings, Waited};
use crate::machine::Machine;
use crate::story::Pace;

/// The label by which an agent knows which item of its entry a task is for.
pub(super) const ITEM_LABEL: &str = "synod-simulate/item";

/// How many agents an external pool has when nobody says it.
const OUTSIDE_ASSUMED: u32 = 1;

/// The longest step: what nodes say to each other takes one, and their elections must not notice it.
const STEP_MAX: Duration = Duration::from_millis(25);

/// How many steps the middle attempt of the quickest entry has at least, so that steps do not show in the answer.
const STEPS_PER_ATTEMPT: u32 = 200;

/// How often hosts look around in a world in which nobody breaks anything.
const LOOK: Duration = Duration::from_millis(250);

/// How often the states of its nodes are compared.
const HASH_EVERY: Duration = Duration::from_secs(600);

/// How long nothing may happen before nothing will, beyond the longest time that anything in the plan may wait. What
/// governs is not in it: the node says when that opens.
const STILL: Duration = Duration::from_secs(600);

/// A fleet and what is assumed of its agents.
#[derive(Clone)]
pub struct Play {
    /// What is to be done.
    pub plan: Plan,
    /// How agents behave.
    pub simulation: Simulation,
    /// Which node dies, and when.
    pub kill: Option<Kill>,
    /// Hears how far it is: tasks that ended, tasks that were submitted.
    pub heard: Option<Arc<dyn Fn(u64, u64) + Send + Sync>>,
}

/// How it ended, besides the tasks themselves.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Finish {
    /// Everything that could be done was.
    Done(Box<Outcome>, Vec<Arc<Task>>),
    /// Nothing will happen any more, although not all is done.
    Stuck(Vec<Arc<Task>>),
    /// It could not begin, or not go on.
    Refused(String),
}

/// The stage of one world.
pub(crate) struct Stage {
    pub(super) play: Play,
    /// The plan with agents that this world has.
    pub(super) plan: Plan,
    pub(super) seats: Seats,
    pub(super) finish: Mutex<Option<Finish>>,
    pub(super) begun_at: Mutex<Option<Duration>>,
    pub(super) waits: Mutex<BTreeMap<(Name, &'static str), Waited>>,
    /// When those that something holds back go on by themselves.
    pub(super) openings: Mutex<Openings>,
    /// When anything happened last.
    pub(super) moved_at: Mutex<Duration>,
    /// How many attempts will end by themselves.
    pub(super) working: AtomicU64,
    pub(super) submitted: AtomicU64,
    pub(super) ended: AtomicU64,
    /// What each agent of an external pool has in hand.
    pub(super) hands: Mutex<BTreeMap<AgentId, Vec<Held>>>,
}

impl fmt::Debug for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stage").field("fleet", &self.plan.name).finish_non_exhaustive()
    }
}

impl Stage {
    pub(crate) fn new(play: Play) -> Self {
        let plan = simulated(play.plan.clone());
        Self {
            play,
            plan,
            seats: Seats::default(),
            finish: Mutex::default(),
            begun_at: Mutex::default(),
            waits: Mutex::default(),
            openings: Mutex::default(),
            moved_at: Mutex::default(),
            working: AtomicU64::new(0),
            submitted: AtomicU64::new(0),
            ended: AtomicU64::new(0),
            hands: Mutex::default(),
        }
    }

    /// Says how closely a world is looked at in which this is played.
    pub(crate) fn pace(&self, close: Pace) -> Pace {
        let quickest = self.behaviours().map(|behaviour| behaviour.duration.median()).min();
        let step = quickest.unwrap_or(close.step) / STEPS_PER_ATTEMPT;
        let step = Duration::from_millis(super::draw::millis(step)).clamp(close.step, STEP_MAX);
        Pace { step, look: LOOK, hash_every: HASH_EVERY }
    }

    /// Gives a node the agents of its pools.
    pub(crate) fn equip(self: &Arc<Self>, machine: &Machine, builder: Builder) -> Result<Builder, Error> {
        self.plan.pools.iter().try_fold(builder, |builder, pool| {
            let performer = Performer::new(Arc::clone(self), pool.name.clone(), machine);
            builder.native(pool.name.as_str(), performer)
        })
    }

    /// Returns the entry of a task.
    pub(super) fn entry(&self, kind: &Name) -> Option<&EntryPlan> {
        self.plan.entry(kind.as_str())
    }

    /// Returns the pools whose agents may work on an entry.
    pub(super) fn pools_of<'a>(&'a self, entry: &'a EntryPlan) -> impl Iterator<Item = &'a Name> {
        let may = |pool: &&synod::node::domain::agent::PoolSpec| match &entry.target {
            Target::Pool(name) => pool.name == *name,
            Target::Capabilities(demand) => pool.capabilities.satisfy(demand),
        };
        self.plan.pools.iter().filter(may).map(|pool| &pool.name)
    }

    /// Returns how any agent may behave with any entry.
    pub(super) fn behaviours(&self) -> impl Iterator<Item = Behaviour> {
        self.plan.entries.iter().flat_map(|entry| {
            self.pools_of(entry).map(|pool| self.play.simulation.behaviour(&entry.name, pool))
        })
    }

    /// Returns how many agents of an external pool there are.
    pub(super) fn agents_outside(&self, pool: &Name) -> u32 {
        self.play.simulation.agents(pool).unwrap_or(OUTSIDE_ASSUMED)
    }

    /// Notes that something happened.
    pub(super) fn moved(&self, now: Duration) {
        *self.moved_at.lock() = now;
    }

    /// Tells how far it is.
    pub(super) fn tell(&self) {
        if let Some(heard) = &self.play.heard {
            heard(self.ended.load(Ordering::Relaxed), self.submitted.load(Ordering::Relaxed));
        }
    }

    /// Notes how it ended, once.
    pub(super) fn finish(&self, machine: &Machine, finish: Finish) {
        self.finish.lock().get_or_insert(finish);
        machine.finish();
    }

    /// Tells whether it has ended.
    pub(super) fn is_over(&self) -> bool {
        self.finish.lock().is_some()
    }

    /// Returns after how much silence nothing will happen any more.
    pub(super) fn patience(&self) -> Duration {
        let longest = self.plan.entries.iter().flat_map(|entry| {
            let timeouts = &entry.timeouts;
            [entry.deadline, timeouts.waiting, timeouts.running, timeouts.silence, Some(entry.retry.max)]
        });
        STILL + longest.flatten().max().unwrap_or_default()
    }
}

/// Puts agents of this world in place of programs, and lets tasks say for which item they are.
fn simulated(mut plan: Plan) -> Plan {
    for pool in &mut plan.pools {
        match pool.runtime {
            RuntimeSpec::External => {}
            RuntimeSpec::Process(_) | RuntimeSpec::Native(_) => {
                pool.runtime = RuntimeSpec::Native(pool.name.clone());
            }
        }
    }
    let Ok(label) = Name::new(ITEM_LABEL) else { return plan };
    for entry in &mut plan.entries {
        for (place, item) in entry.items.iter_mut().enumerate() {
            item.labels.insert(label.clone(), place.to_string());
        }
    }
    plan
}
