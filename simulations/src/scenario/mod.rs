//! A world in which something is said instead of drawn: which faults come when, who works there, what else must hold.
//!
//! ```
//! use std::time::Duration;
//! use synod_simulations::Scenario;
//! use synod_simulations::faults::Fault;
//!
//! let second = Duration::from_secs(1);
//! let outcome = Scenario::of(7)
//!     .lasts(4 * second)
//!     .at(2 * second, Fault::Pause { node: 3, lasts: second })
//!     .run();
//! assert!(outcome.report.holds(), "{}", outcome.report);
//! ```
//!
//! Promises that what is not said is drawn from the seed as in any other world, and that all judges are asked. A fault
//! that is said comes even if the cluster does not survive it: whoever says it knows. Leaves to others that each
//! scenario has a process of its own, without which its seed does not say everything: [`crate::process`].

mod cast;
mod outcome;
mod schedule;
mod seat;

use std::time::Duration;

use synod::node::{Builder, Error};

use crate::faults::{Fault, Kinds};
use crate::history::Record;
use crate::judges::Judge;
use crate::story::Story;
use crate::world::{Settings, World};

pub(crate) use cast::Cast;
pub use cast::Notes;
pub use outcome::Outcome;
pub use schedule::Scene;
pub(crate) use schedule::Schedule;
pub use seat::{Lease, Seat};

pub use crate::workload::{INSIDE, OUTSIDE, Workload, Workloads};

/// How long faults and new work go on unless something else is said.
const LASTS: Duration = Duration::from_secs(15);

/// A world before it begins, as somebody tells it.
#[derive(Debug, Clone)]
#[must_use = "a scenario does nothing before it runs"]
pub struct Scenario {
    world: World,
    judges: Vec<Judge>,
}

impl Scenario {
    /// Begins with a world of three nodes and its ordinary clients, without faults. They change neither pools nor who
    /// votes and leads: who says what happens says that, too.
    pub fn of(seed: u64) -> Self {
        let faults = Kinds(Vec::new());
        let settings = Settings { duration: LASTS, faults, ..Settings::new(seed) };
        let asked = settings.workloads.drawn(seed).plain();
        Self { world: World::of(settings, Story::Clients(asked)), judges: Vec::new() }
    }

    /// Begins with the world that `synod simulate` makes of a seed, in which everything is drawn.
    pub fn drawn(seed: u64, nodes: u64, duration: Duration) -> Self {
        let settings = Settings { nodes, duration, ..Settings::new(seed) };
        Self { world: World::new(settings), judges: Vec::new() }
    }

    /// Says what the ordinary clients ask for, instead of what is drawn.
    pub fn asks(mut self, workloads: Workloads) -> Self {
        self.world = self.world.asks(workloads);
        self
    }

    /// Says with how many nodes it begins. One alone is no cluster.
    pub const fn nodes(mut self, nodes: u64) -> Self {
        self.world.settings.nodes = nodes;
        self
    }

    /// Says how long faults and new work go on, in simulated time.
    pub const fn lasts(mut self, duration: Duration) -> Self {
        self.world.settings.duration = duration;
        self
    }

    /// Says how long after that all acknowledged work must have ended; a minute without it.
    pub const fn settles_within(mut self, settle: Duration) -> Self {
        self.world.settings.settle = settle;
        self
    }

    /// Lets faults of these kinds be drawn besides those that are said.
    pub fn draws(mut self, kinds: Kinds) -> Self {
        self.world.settings.faults = kinds;
        self
    }

    /// Lets a fault come at a time.
    pub fn at(mut self, at: Duration, fault: Fault) -> Self {
        self.world.schedule.at(at, move |_| fault.clone());
        self
    }

    /// Lets a fault come at a time, and says which one only then: it may depend on who leads.
    pub fn at_sight(mut self, at: Duration, fault: impl Fn(&Scene) -> Fault + Send + Sync + 'static) -> Self {
        self.world.schedule.at(at, fault);
        self
    }

    /// Lets a fault come so long after the first record that looks so.
    pub fn once(
        mut self,
        sees: impl Fn(&Record) -> bool + Send + Sync + 'static,
        pause: Duration,
        fault: impl Fn(&Scene) -> Fault + Send + Sync + 'static,
    ) -> Self {
        self.world.schedule.after(sees, pause, 1, fault);
        self
    }

    /// Lets a fault come so long after each of the first `most` records that look so.
    pub fn whenever(
        mut self,
        sees: impl Fn(&Record) -> bool + Send + Sync + 'static,
        pause: Duration,
        most: usize,
        fault: impl Fn(&Scene) -> Fault + Send + Sync + 'static,
    ) -> Self {
        self.world.schedule.after(sees, pause, most, fault);
        self
    }

    /// Leaves the ordinary clients out, and the pools that they work with: nobody asks for anything but those that are
    /// named with [`Self::client`].
    pub const fn without_ordinary_clients(mut self) -> Self {
        self.world.cast.ordinary = false;
        self
    }

    /// Lets somebody work with a node, once in each of its lives. What shall outlive a life lies outside of the closure.
    pub fn client<F, Fut>(mut self, name: &str, node: u64, act: F) -> Self
    where
        F: Fn(Seat) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), Error>> + Send + 'static,
    {
        self.world.cast.client(name, node, act);
        self
    }

    /// Builds each node with more than the world gives it: agents of an embedder, policies, limits. [`Notes`] are for
    /// agents that tell the history something.
    pub fn equip(
        mut self,
        with: impl Fn(Builder, Notes) -> Result<Builder, Error> + Send + Sync + 'static,
    ) -> Self {
        self.world.cast.also(with);
        self
    }

    /// Asks one more judge at the end.
    pub fn judge(mut self, judge: Judge) -> Self {
        self.judges.push(judge);
        self
    }

    /// Lets it run its course. Watches the panics of the whole process meanwhile.
    pub fn run(self) -> Outcome {
        Outcome::of(self.world.run(), &self.judges)
    }
}
