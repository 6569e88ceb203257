//! What outlives the lives of a node: the world as its host and the clients in it see it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use parking_lot::Mutex;
use synod::clock::SeededEntropy;
use synod::node::storage::MemoryDisk;

use crate::chance::Streams;
use crate::clock::SimulatedClock;
use crate::history::{Fact, History};
use crate::workload::Memory;

/// Where the world is in its course.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// New work and faults.
    Busy,
    /// Neither; what is there shall end.
    Settling,
    /// The node looks at everything once more and stops.
    Closing,
}

/// Everything of a world that is not inside of the node.
pub(crate) struct Shared {
    pub(crate) streams: Streams,
    pub(crate) clock: Arc<SimulatedClock>,
    /// The node's chance; one stream for all its lives.
    pub(crate) entropy: Arc<SeededEntropy>,
    pub(crate) history: History,
    pub(crate) disk: MemoryDisk,
    /// Whether the disk acknowledges what it has not synced.
    pub(crate) disk_lies: AtomicBool,
    pub(crate) phase: Mutex<Phase>,
    /// What each client remembers, by its name.
    pub(crate) memories: Mutex<BTreeMap<Arc<str>, Memory>>,
    /// How many tasks the node last said are unfinished.
    pub(crate) unfinished: AtomicU64,
    lives: AtomicU32,
    questions: AtomicU64,
}

impl Shared {
    pub(crate) fn new(streams: Streams, disk: MemoryDisk) -> Self {
        let clock = Arc::<SimulatedClock>::default();
        Self {
            streams,
            entropy: Arc::new(streams.entropy("node")),
            history: History::new(Arc::clone(&clock)),
            clock,
            disk,
            disk_lies: AtomicBool::new(false),
            phase: Mutex::new(Phase::Busy),
            memories: Mutex::default(),
            unfinished: AtomicU64::new(0),
            lives: AtomicU32::new(0),
            questions: AtomicU64::new(0),
        }
    }

    /// Begins the next life of the node and returns its number, from 1.
    pub(crate) fn next_life(&self) -> u32 {
        self.lives.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Numbers a question.
    pub(crate) fn next_question(&self) -> u64 {
        self.questions.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub(crate) fn note(&self, fact: Fact) {
        self.history.note(fact);
    }

    pub(crate) fn phase(&self) -> Phase {
        *self.phase.lock()
    }

    /// Lets a client look at what it remembers, and change it.
    pub(crate) fn memory<T>(&self, client: &Arc<str>, look: impl FnOnce(&mut Memory) -> T) -> T {
        look(self.memories.lock().entry(Arc::clone(client)).or_default())
    }
}
