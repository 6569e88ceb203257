//! What is wrong with the wires between the nodes, as the driver says.

use std::collections::{BTreeMap, BTreeSet};
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;
use synod::node::domain::id::NodeId;

use crate::chance::Stream as Chance;

/// What is wrong with one way, from one node to another.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Trouble {
    /// Nothing gets through: streams wait, datagrams are lost.
    pub(crate) blocked: bool,
    /// Streams can be opened and datagrams arrive, but no byte of a stream does.
    pub(crate) mute: bool,
    /// How many of a hundred datagrams are lost.
    pub(crate) lost: u64,
    /// How many of a hundred datagrams arrive twice.
    pub(crate) doubled: u64,
    /// How many of a hundred datagrams are overtaken by the next one.
    pub(crate) late: u64,
}

/// All wires of a world. Clones are the same wires.
#[derive(Clone)]
pub(crate) struct Wires(Arc<Mutex<Inner>>);

struct Inner {
    ways: BTreeMap<(u64, u64), Trouble>,
    /// How often all streams between two nodes were cut.
    cuts: BTreeMap<(u64, u64), u64>,
    /// Whose machine is up without anybody listening.
    refusing: BTreeSet<u64>,
    /// Who lives on each host now.
    living: BTreeMap<u64, NodeId>,
    /// Who waits for a way or a cut, by a number of their own.
    waiting: BTreeMap<u64, Waker>,
    next: u64,
    chance: Chance,
    /// How many datagrams were lost, came twice, and were overtaken.
    lost: u64,
    doubled: u64,
    late: u64,
}

/// What becomes of a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Lost,
    Once,
    Twice,
    /// After the next one.
    Late,
}

impl Wires {
    pub(crate) fn new(chance: Chance) -> Self {
        Self(Arc::new(Mutex::new(Inner {
            ways: BTreeMap::new(),
            cuts: BTreeMap::new(),
            refusing: BTreeSet::new(),
            living: BTreeMap::new(),
            waiting: BTreeMap::new(),
            next: 0,
            chance,
            lost: 0,
            doubled: 0,
            late: 0,
        })))
    }

    /// Changes what is wrong with a way.
    pub(crate) fn change(&self, from: u64, to: u64, change: impl FnOnce(&mut Trouble)) {
        let mut inner = self.0.lock();
        change(inner.ways.entry((from, to)).or_default());
        inner.wake();
    }

    /// Ends all streams between two nodes.
    pub(crate) fn cut(&self, one: u64, other: u64) {
        let mut inner = self.0.lock();
        *inner.cuts.entry(link(one, other)).or_default() += 1;
        inner.wake();
    }

    /// Lets connections to a node be refused at once, or ends that.
    pub(crate) fn refuse(&self, node: u64, refuses: bool) {
        let refusing = &mut self.0.lock().refusing;
        if refuses {
            refusing.insert(node)
        } else {
            refusing.remove(&node)
        };
    }

    /// Takes note who lives on a host from here on.
    pub(crate) fn lives(&self, host: u64, node: NodeId) {
        self.0.lock().living.insert(host, node);
    }

    /// Ends everything that is wrong.
    pub(crate) fn heal(&self) {
        let mut inner = self.0.lock();
        inner.ways.clear();
        inner.wake();
    }

    /// Returns how many datagrams were lost, doubled and overtaken so far.
    pub(crate) fn counts(&self) -> (u64, u64, u64) {
        let inner = self.0.lock();
        (inner.lost, inner.doubled, inner.late)
    }

    pub(super) fn living(&self, host: u64) -> Option<NodeId> {
        self.0.lock().living.get(&host).copied()
    }

    pub(super) fn refuses(&self, node: u64) -> bool {
        self.0.lock().refusing.contains(&node)
    }

    /// Numbers somebody who may wait, and says how often the link was cut.
    pub(super) fn enter(&self, one: u64, other: u64) -> (u64, u64) {
        let mut inner = self.0.lock();
        inner.next += 1;
        (inner.next, inner.cuts.get(&link(one, other)).copied().unwrap_or(0))
    }

    pub(super) fn leave(&self, number: u64) {
        self.0.lock().waiting.remove(&number);
    }

    /// Looks whether bytes of a stream get through, and whether it was cut since `cuts`; whoever looks is woken
    /// when that changes.
    pub(super) fn look(
        &self,
        from: u64,
        to: u64,
        (number, cuts): (u64, u64),
        context: &Context<'_>,
    ) -> Poll<Result<(), ()>> {
        let mut inner = self.0.lock();
        match inner.waiting.get_mut(&number) {
            Some(waker) if waker.will_wake(context.waker()) => {}
            Some(waker) => waker.clone_from(context.waker()),
            None => drop(inner.waiting.insert(number, context.waker().clone())),
        }
        if inner.cuts.get(&link(from, to)).copied().unwrap_or(0) > cuts {
            return Poll::Ready(Err(()));
        }
        match inner.ways.get(&(from, to)) {
            Some(trouble) if trouble.blocked || trouble.mute => Poll::Pending,
            Some(_) | None => Poll::Ready(Ok(())),
        }
    }

    /// Waits until a way is not blocked.
    pub(super) async fn pass(&self, from: u64, to: u64) {
        let (number, _) = self.enter(from, to);
        let left = Left { wires: self, number };
        poll_fn(|context| {
            let mut inner = self.0.lock();
            if !inner.ways.get(&(from, to)).is_some_and(|trouble| trouble.blocked) {
                return Poll::Ready(());
            }
            inner.waiting.insert(number, context.waker().clone());
            Poll::Pending
        })
        .await;
        drop(left);
    }

    /// Decides what becomes of a datagram that has come over a way.
    pub(super) fn fate(&self, from: u64, to: u64) -> Fate {
        let mut inner = self.0.lock();
        let Some(trouble) = inner.ways.get(&(from, to)).copied() else { return Fate::Once };
        if trouble.blocked {
            return Fate::Lost;
        }
        if trouble.lost > 0 && inner.chance.happens(trouble.lost) {
            inner.lost += 1;
            return Fate::Lost;
        }
        if trouble.doubled > 0 && inner.chance.happens(trouble.doubled) {
            inner.doubled += 1;
            return Fate::Twice;
        }
        if trouble.late > 0 && inner.chance.happens(trouble.late) {
            inner.late += 1;
            return Fate::Late;
        }
        Fate::Once
    }
}

/// Takes somebody out who waits no more.
struct Left<'a> {
    wires: &'a Wires,
    number: u64,
}

impl Drop for Left<'_> {
    fn drop(&mut self) {
        self.wires.leave(self.number);
    }
}

impl Inner {
    fn wake(&mut self) {
        self.waiting.values().for_each(Waker::wake_by_ref);
    }
}

const fn link(one: u64, other: u64) -> (u64, u64) {
    if one <= other { (one, other) } else { (other, one) }
}
