//! The machine of a node: what outlives the node's lives on it.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use parking_lot::Mutex;
use synod::clock::SeededEntropy;
use synod::node::ClosedIdentity;
use synod::node::domain::id::NodeId;
use synod::node::storage::MemoryDisk;

use crate::clock::NodeClock;
use crate::history::{Fact, History, WAS_REMOVED};
use crate::shared::Shared;

/// What a node is told to do from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// Nothing.
    None,
    /// To stop in order.
    Stop,
    /// To leave the cluster, and to stop then.
    Leave,
}

/// One machine, with the world around it.
pub(crate) struct Machine {
    shared: Arc<Shared>,
    /// The number of its host, from 1.
    pub(crate) node: u64,
    pub(crate) clock: Arc<NodeClock>,
    /// The node's chance; one stream for all its lives.
    pub(crate) entropy: Arc<SeededEntropy>,
    /// The history, as this node writes into it.
    pub(crate) history: History,
    disk: Mutex<MemoryDisk>,
    /// Whether the disk acknowledges what it has not synced.
    pub(crate) disk_lies: AtomicBool,
    /// Who the node is, once it is admitted.
    pub(crate) identity: Mutex<Option<ClosedIdentity>>,
    /// Who it was before its disk was emptied; whoever admits it removes that one.
    pub(crate) was: Mutex<Option<NodeId>>,
    /// How many tasks the node last said are unfinished, messages not told, and what is not in order.
    pub(crate) unfinished: AtomicU64,
    order: Mutex<Order>,
    /// Whether it was told to leave since it was admitted, in whatever life.
    leaves: AtomicBool,
    /// Whether it has left without having heard so: the others refused it as one who was removed.
    has_left: AtomicBool,
    takes_work: AtomicBool,
    /// Whether a submit was acknowledged after the last fault.
    serves: AtomicBool,
    /// How many voters the node last said the group has.
    pub(crate) voters: AtomicU64,
    lives: AtomicU32,
}

impl Deref for Machine {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.shared
    }
}

impl Machine {
    pub(crate) fn new(shared: Arc<Shared>, node: u64, disk: MemoryDisk) -> Self {
        Self {
            clock: Arc::new(NodeClock::new(Arc::clone(&shared.world_clock))),
            entropy: Arc::new(shared.streams.entropy(&format!("node {node}"))),
            history: shared.history.of(node),
            node,
            disk: Mutex::new(disk),
            disk_lies: AtomicBool::new(false),
            identity: Mutex::new(None),
            was: Mutex::new(None),
            unfinished: AtomicU64::new(0),
            order: Mutex::new(Order::None),
            leaves: AtomicBool::new(false),
            has_left: AtomicBool::new(false),
            takes_work: AtomicBool::new(false),
            serves: AtomicBool::new(false),
            voters: AtomicU64::new(0),
            lives: AtomicU32::new(0),
            shared,
        }
    }

    /// Returns the disk that is in it now.
    pub(crate) fn disk(&self) -> MemoryDisk {
        self.disk.lock().clone()
    }

    /// Begins the next life of the node and returns its number, from 1.
    pub(crate) fn next_life(&self) -> u32 {
        self.tell(Order::None);
        self.now_takes_work(false);
        self.voters.store(0, Ordering::Relaxed);
        self.lives.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub(crate) fn note(&self, fact: Fact) {
        self.history.note(fact);
    }

    /// Tells the node what to do.
    pub(crate) fn tell(&self, order: Order) {
        self.leaves.fetch_or(order == Order::Leave, Ordering::Relaxed);
        *self.order.lock() = order;
    }

    /// Takes note that the node has failed. Whoever was told to leave and is refused as removed has left.
    pub(crate) fn has_failed(&self, reason: String) {
        // Who has no power says nothing.
        if self.disk().has_lost_power() {
            return;
        }
        let was_removed = reason.contains(WAS_REMOVED) && self.leaves.load(Ordering::Relaxed);
        self.has_left.store(was_removed, Ordering::Relaxed);
        self.note(Fact::NodeFailed { reason });
    }

    /// Tells whether the node had left when it failed.
    pub(crate) fn has_left(&self) -> bool {
        self.has_left.load(Ordering::Relaxed)
    }

    /// Returns what the node was told in this life.
    pub(crate) fn order(&self) -> Order {
        *self.order.lock()
    }

    pub(crate) fn now_takes_work(&self, takes: bool) {
        self.takes_work.store(takes, Ordering::Relaxed);
    }

    /// Tells whether the node takes work.
    pub(crate) fn takes_work(&self) -> bool {
        self.takes_work.load(Ordering::Relaxed)
    }

    pub(crate) fn now_serves(&self) {
        self.serves.store(true, Ordering::Relaxed);
    }

    /// Tells whether the node has acknowledged a submit after the last fault.
    pub(crate) fn serves(&self) -> bool {
        self.serves.load(Ordering::Relaxed)
    }

    /// Puts an empty disk in, and forgets who the node was; `is_member` when the cluster does not.
    pub(crate) fn replace_disk(&self, with: MemoryDisk, is_member: bool) {
        *self.disk.lock() = with;
        self.leaves.store(false, Ordering::Relaxed);
        self.has_left.store(false, Ordering::Relaxed);
        if let Some(identity) = self.identity.lock().take() {
            *self.was.lock() = is_member.then_some(identity.node);
        }
    }
}
