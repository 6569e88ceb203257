//! Faults that somebody asked for by hand, and when each is due: at a time, or after something was seen.
//!
//! Everything is decided between two steps of the world, by what the history says then; so it follows from the seed.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::faults::Fault;
use crate::history::{Fact, History, Record};
use crate::script::Act;

/// How long after it began an agent takes its machine down with it.
const DEATH_AFTER: Duration = Duration::from_millis(100);

/// How long a machine is down that an agent took with it.
const DEATH: Duration = Duration::from_secs(1);

/// How many agents of a world may: the others fall silent, so that it does not die of them.
const DEATHS_MAX: usize = 3;

type Sees = Arc<dyn Fn(&Record) -> bool + Send + Sync>;
type Chooses = Arc<dyn Fn(&Scene) -> Fault + Send + Sync>;

/// What somebody sees who chooses a fault.
#[derive(Debug, Clone, Default)]
pub struct Scene {
    /// Since the world began.
    pub now: Duration,
    /// The record that it comes after, if it does.
    pub cause: Option<Record>,
    leads: BTreeMap<u64, u64>,
    up: BTreeSet<u64>,
    nodes: BTreeSet<u64>,
}

impl Scene {
    /// Returns who leads in the highest term, as far as it said so and is up; the first who is up if nobody leads.
    pub fn leader(&self) -> u64 {
        let leads = self.leads.iter().filter(|(node, _)| self.up.contains(node));
        leads.max_by_key(|(_, term)| **term).map_or_else(|| self.first_of(|_| true), |(node, _)| *node)
    }

    /// Returns the first who is up and does not lead.
    pub fn follower(&self) -> u64 {
        let leader = self.leader();
        self.first_of(|node| node != leader)
    }

    /// Returns the others who are up.
    pub fn others(&self, than: u64) -> BTreeSet<u64> {
        self.up.iter().copied().filter(|node| *node != than).collect()
    }

    /// Returns all nodes, also those that are down.
    pub const fn nodes(&self) -> &BTreeSet<u64> {
        &self.nodes
    }

    /// Returns the node that the cause is about, or the first that is up.
    pub fn there(&self) -> u64 {
        let there = self.cause.as_ref().and_then(|record| record.node);
        there.unwrap_or_else(|| self.first_of(|_| true))
    }

    fn first_of(&self, is: impl Fn(u64) -> bool) -> u64 {
        self.up.iter().copied().find(|node| is(*node)).unwrap_or(1)
    }
}

#[derive(Clone)]
struct Step {
    /// What it waits for; nothing when it has a time.
    after: Option<After>,
    chooses: Chooses,
}

#[derive(Clone)]
struct After {
    sees: Sees,
    pause: Duration,
    /// How often it may still come.
    left: usize,
}

/// A step whose time has come.
#[derive(Debug, Clone)]
pub(crate) struct Due {
    pub(crate) at: Duration,
    place: usize,
    cause: Option<Record>,
}

/// What was asked for by hand.
#[derive(Clone, Default)]
pub(crate) struct Schedule {
    steps: Vec<Step>,
    /// What is due, now or later, in the order in which it was found out.
    waiting: Vec<Due>,
    leads: BTreeMap<u64, u64>,
    seen: usize,
    now: Duration,
}

impl fmt::Debug for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Schedule of {} steps", self.steps.len())
    }
}

impl Schedule {
    pub(super) fn at(&mut self, at: Duration, chooses: impl Fn(&Scene) -> Fault + Send + Sync + 'static) {
        self.waiting.push(Due { at, place: self.steps.len(), cause: None });
        self.steps.push(Step { after: None, chooses: Arc::new(chooses) });
    }

    pub(super) fn after(
        &mut self,
        sees: impl Fn(&Record) -> bool + Send + Sync + 'static,
        pause: Duration,
        most: usize,
        chooses: impl Fn(&Scene) -> Fault + Send + Sync + 'static,
    ) {
        let after = Some(After { sees: Arc::new(sees), pause, left: most });
        self.steps.push(Step { after, chooses: Arc::new(chooses) });
    }

    /// Lets the first agents that want it take their machines down with them.
    pub(crate) fn deaths(&mut self) {
        let kills = |record: &Record| matches!(record.fact, Fact::Acts { act: Act::Kill, .. });
        self.after(kills, DEATH_AFTER, DEATHS_MAX, |scene| Fault::Crash {
            node: scene.there(),
            down: DEATH,
            keep_percent: 100,
            silent: false,
        });
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Looks at what was noted since the last time, and returns what is due.
    pub(crate) fn look(&mut self, now: Duration, history: &History) -> VecDeque<Due> {
        self.now = now;
        if self.steps.is_empty() {
            return VecDeque::new();
        }
        let from = self.seen;
        self.seen = history.look(from, |record| self.see(record));
        let due = self.waiting.extract_if(.., |due| due.at <= now);
        due.collect()
    }

    fn see(&mut self, record: &Record) {
        match (&record.fact, record.node) {
            (Fact::Leads { term: Some(term) }, Some(node)) => {
                self.leads.insert(node, *term);
            }
            (Fact::Leads { term: None } | Fact::Starting { .. }, Some(node)) => {
                self.leads.remove(&node);
            }
            _ => {}
        }
        for (place, step) in self.steps.iter_mut().enumerate() {
            let Some(after) = &mut step.after else { continue };
            if after.left > 0 && (after.sees)(record) {
                after.left -= 1;
                self.waiting.push(Due { at: record.at + after.pause, place, cause: Some(record.clone()) });
            }
        }
    }

    /// Chooses the fault of a step that is due.
    pub(crate) fn choose(&self, due: &Due, nodes: BTreeSet<u64>, up: BTreeSet<u64>) -> Fault {
        let scene = Scene { now: self.now, cause: due.cause.clone(), leads: self.leads.clone(), up, nodes };
        (self.steps[due.place].chooses)(&scene)
    }

    /// Lets a step come the next time.
    pub(crate) fn put_back(&mut self, due: Due) {
        self.waiting.push(due);
    }

    /// Ends it: nothing more comes.
    pub(crate) fn end(&mut self) {
        self.steps.clear();
        self.waiting.clear();
    }
}

#[cfg(test)]
mod tests {
    use crate::clock::SimulatedClock;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn chosen(schedule: &mut Schedule, now: Duration, history: &History) -> Vec<Fault> {
        let due = schedule.look(now, history);
        let all = || BTreeSet::from([1, 2, 3]);
        due.iter().map(|due| schedule.choose(due, all(), all())).collect()
    }

    #[test]
    fn a_step_comes_at_its_time_and_once() {
        let history = History::new(Arc::default());
        let mut schedule = Schedule::default();
        schedule.at(2 * SECOND, |scene| Fault::Restart { node: scene.leader() });
        assert_eq!(chosen(&mut schedule, SECOND, &history), []);
        history.of(2).note(Fact::Leads { term: Some(4) });
        assert_eq!(chosen(&mut schedule, 2 * SECOND, &history), [Fault::Restart { node: 2 }]);
        assert_eq!(chosen(&mut schedule, 3 * SECOND, &history), []);
    }

    #[test]
    fn a_step_comes_after_what_it_waits_for_as_often_as_it_may() {
        let clock = Arc::<SimulatedClock>::default();
        let history = History::new(Arc::clone(&clock));
        let mut schedule = Schedule::default();
        let stopped = |record: &Record| record.fact == Fact::Stopped;
        schedule.after(stopped, SECOND, 2, |scene| Fault::Restart { node: scene.there() });
        for node in 1..=3 {
            history.of(node).note(Fact::Stopped);
        }
        assert_eq!(chosen(&mut schedule, Duration::ZERO, &history), []);
        let both = [Fault::Restart { node: 1 }, Fault::Restart { node: 2 }];
        assert_eq!(chosen(&mut schedule, SECOND, &history), both);
    }

    #[test]
    fn who_leads_no_more_is_not_the_leader() {
        let history = History::new(Arc::default());
        let mut schedule = Schedule::default();
        schedule.at(SECOND, |scene| Fault::Restart { node: scene.leader() });
        schedule.at(SECOND, |scene| Fault::Restart { node: scene.follower() });
        history.of(3).note(Fact::Leads { term: Some(1) });
        history.of(2).note(Fact::Leads { term: Some(2) });
        history.of(2).note(Fact::Leads { term: None });
        let both = [Fault::Restart { node: 3 }, Fault::Restart { node: 1 }];
        assert_eq!(chosen(&mut schedule, SECOND, &history), both);
    }
}
