//! Who stands abreast: nodes that are quiet after the same entry, whose states can be compared.
//!
//! A state is hashed only where there is another to compare it with, because a hash is of all of it. A node that stands alone
//! is compared with itself in other lives.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use synod::node::Node;

/// Where each node is quiet, and when states are compared again.
#[derive(Default)]
pub(crate) struct Abreast {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    /// By host: the node of its present life, and the entry after which it is quiet.
    quiet: BTreeMap<u64, (Weak<Node>, u64)>,
    /// When states are compared again.
    next: Duration,
    /// The entry after which they were compared last, and by how many.
    last: (u64, usize),
}

impl Abreast {
    /// Takes note that a node is quiet after an entry. Returns all that are quiet there, by host, when their states are to be
    /// compared now: those of two, or of the only one of its world, so long after the last time, and not in the same place as
    /// the last time unless by more.
    pub(crate) fn meet(
        &self,
        (host, node): (u64, &Arc<Node>),
        applied: u64,
        alone: bool,
        (now, every): (Duration, Duration),
    ) -> BTreeMap<u64, Arc<Node>> {
        let mut inner = self.inner.lock();
        inner.quiet.insert(host, (Arc::downgrade(node), applied));
        if now < inner.next {
            return BTreeMap::new();
        }
        let there = inner.quiet.iter().filter(|(_, (_, place))| *place == applied);
        let there = there.filter_map(|(host, (node, _))| Some((*host, node.upgrade()?)));
        let there = there.collect::<BTreeMap<_, _>>();
        if there.len() < 2 && !alone || inner.last.0 == applied && inner.last.1 >= there.len() {
            return BTreeMap::new();
        }
        inner.next = now + every;
        inner.last = (applied, there.len());
        there
    }
}
