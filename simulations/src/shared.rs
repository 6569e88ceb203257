//! What outlives all nodes: the world as the machines and the clients in it see it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use synod::node::Node;
use synod::node::domain::id::NodeId;
use synod::node::domain::name::Name;
use synod::node::events::Happening;

use crate::admission::Admissions;
use crate::chance::Streams;
use crate::clock::SimulatedClock;
use crate::entries::Entries;
use crate::history::{Fact, History};
use crate::left_out::LeftOut;
use crate::net::Wires;
use crate::scenario::Cast;
use crate::story::{Pace, Story};
use crate::workload::Memory;

/// Where the world is in its course.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// New work and faults.
    Busy,
    /// Neither; what is there shall end.
    Settling,
    /// One node looks at everything once more, and all stop.
    Closing,
}

/// Hears how much time has passed.
pub(crate) type OnTime = Arc<dyn Fn(Duration) + Send + Sync>;

/// Everything of a world that is not inside of a machine.
pub(crate) struct Shared {
    pub(crate) streams: Streams,
    /// How many nodes the world begins with.
    pub(crate) nodes: u64,
    pub(crate) story: Story,
    pub(crate) pace: Pace,
    /// Who wants to know how much time has passed.
    pub(crate) on_time: Option<OnTime>,
    /// Whether the story has come to its end.
    finished: AtomicBool,
    pub(crate) world_clock: Arc<SimulatedClock>,
    pub(crate) history: History,
    pub(crate) wires: Wires,
    pub(crate) phase: Mutex<Phase>,
    /// What each client remembers, by its name.
    pub(crate) memories: Mutex<BTreeMap<Arc<str>, Memory>>,
    pub(crate) admissions: Admissions,
    /// What entries of the log are.
    pub(crate) entries: Entries,
    /// What each entry of the log brought about, as it was told first.
    told: Mutex<BTreeMap<u64, Arc<Happening>>>,
    /// Whether somebody has looked at everything for the last time, or is about to.
    closing: Mutex<bool>,
    /// Who waits for all to stand at one place at the end.
    resting: Mutex<BTreeMap<u64, Weak<Node>>>,
    rested: AtomicBool,
    /// Which machines there are.
    there: Mutex<BTreeSet<u64>>,
    left_out: LeftOut,
    /// Who is in it.
    pub(crate) cast: Cast,
    /// Whether somebody asks for another vote to be given or taken, and not every node may have heard of it.
    pub(crate) votes_move: AtomicBool,
    /// Whether a machine is away, or has a damaged disk that will be found out and replaced.
    pub(crate) misses_one: AtomicBool,
    /// How many operations each client has done or left out.
    operations: Mutex<BTreeMap<Arc<str>, u64>>,
    questions: AtomicU64,
}

impl Shared {
    pub(crate) fn new(streams: Streams, nodes: u64, left_out: LeftOut, cast: Cast, story: Story) -> Self {
        let clock = Arc::<SimulatedClock>::default();
        Self {
            streams,
            nodes,
            pace: story.pace(nodes),
            story,
            on_time: None,
            finished: AtomicBool::new(false),
            history: History::new(Arc::clone(&clock)),
            world_clock: clock,
            wires: Wires::new(streams.open("datagrams")),
            phase: Mutex::new(Phase::Busy),
            memories: Mutex::default(),
            admissions: Admissions::default(),
            entries: Entries::default(),
            told: Mutex::default(),
            closing: Mutex::new(false),
            resting: Mutex::default(),
            rested: AtomicBool::new(false),
            there: Mutex::default(),
            left_out,
            cast,
            votes_move: AtomicBool::new(false),
            misses_one: AtomicBool::new(false),
            operations: Mutex::default(),
            questions: AtomicU64::new(0),
        }
    }

    /// Numbers the next operation of a client and tells whether it is left out.
    pub(crate) fn leaves_out(&self, client: &Arc<str>) -> bool {
        let mut operations = self.operations.lock();
        let number = operations.entry(Arc::clone(client)).or_default();
        *number += 1;
        self.left_out.has_operation(client, *number)
    }

    /// Says that the story has come to its end.
    pub(crate) fn finish(&self) {
        self.finished.store(true, Ordering::Relaxed);
    }

    /// Tells whether the story has come to its end.
    pub(crate) fn is_finished(&self) -> bool {
        self.finished.load(Ordering::Relaxed)
    }

    /// Numbers a question.
    pub(crate) fn next_question(&self) -> u64 {
        self.questions.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub(crate) fn note(&self, fact: Fact) {
        self.history.note(fact);
    }

    /// Returns the time since the world began.
    pub(crate) fn elapsed(&self) -> Duration {
        self.world_clock.elapsed()
    }

    pub(crate) fn phase(&self) -> Phase {
        *self.phase.lock()
    }

    /// Lets a client look at what it remembers, and change it.
    pub(crate) fn memory<T>(&self, client: &Arc<str>, look: impl FnOnce(&mut Memory) -> T) -> T {
        look(self.memories.lock().entry(Arc::clone(client)).or_default())
    }

    /// Takes what a node tells of an entry; true when it is news, or not what was told of that entry before.
    pub(crate) fn is_news(&self, happening: &Arc<Happening>) -> bool {
        let index = happening.index;
        let mut told = self.told.lock();
        match told.get(&index) {
            Some(before) => before.events != happening.events,
            // An entry in a gap was skipped by whoever told the later ones; a look at everything made up for it.
            None if told.last_key_value().is_some_and(|(last, _)| *last > index) => false,
            None => {
                told.insert(index, Arc::clone(happening));
                true
            }
        }
    }

    /// Returns the last entry of which anybody has told anything.
    pub(crate) fn last_told(&self) -> u64 {
        self.told.lock().last_key_value().map_or(0, |(index, _)| *index)
    }

    /// Takes the duty of the last look; true for the first who asks.
    pub(crate) fn takes_last_look(&self) -> bool {
        !std::mem::replace(&mut *self.closing.lock(), true)
    }

    /// Takes note that the node of a host has nothing left to do but to stand where all others do.
    pub(crate) fn now_waits(&self, host: u64, node: &Arc<Node>) {
        self.resting.lock().insert(host, Arc::downgrade(node));
    }

    /// Returns those who have nothing else left to do, by host.
    pub(crate) fn closing_nodes(&self) -> BTreeMap<u64, Arc<Node>> {
        let resting = self.resting.lock();
        resting.iter().filter_map(|(host, node)| Some((*host, node.upgrade()?))).collect()
    }

    /// Takes note that a machine is there, or that it has gone for good.
    pub(crate) fn now_is_there(&self, host: u64, is: bool) {
        let mut there = self.there.lock();
        if is {
            there.insert(host)
        } else {
            there.remove(&host)
        };
    }

    /// Returns which machines there are.
    pub(crate) fn machines(&self) -> BTreeSet<u64> {
        self.there.lock().clone()
    }

    /// Takes note that all nodes have stood at one place.
    pub(crate) fn now_rests(&self) {
        self.rested.store(true, Ordering::Relaxed);
    }

    /// Tells whether all nodes have stood at one place at the end.
    pub(crate) fn has_rested(&self) -> bool {
        self.rested.load(Ordering::Relaxed)
    }

    /// Tells which of the world's nodes somebody works with.
    pub(crate) fn node_of(&self, number: usize) -> u64 {
        u64::try_from(number).unwrap_or(0) % self.nodes + 1
    }
}

/// Names a node as people would.
pub(crate) fn name_of(node: u64, id: NodeId) -> Name {
    /// Enough to tell the identities of one machine apart.
    const LETTERS: usize = 6;
    let text = id.to_string();
    let short = &text[text.len() - LETTERS..];
    Name::new(&format!("n{node}-{short}")).unwrap_or_default()
}
