//! Pools that are kept apart, and the order in which their agents are spread.
//!
//! A pool [`yields`](State::yields_to) to those that it is kept apart from. That makes no ring, so whenever the agents of
//! one come to another node or leave one, those that yield to it are spread anew, each once and behind all that it yields
//! to.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::agent::{Pool, PoolSpec};
use crate::apart::Apart;
use crate::id::NodeId;
use crate::name::Name;
use crate::refusal::Refusal;
use crate::reply::{Answer, Reply};
use crate::row::RowKey;
use crate::state::retiring::Idle;
use crate::state::tending::check;
use crate::state::{State, Step};
use crate::tending::{TendingKey, TendingRow};
use std::sync::Arc;

/// Which pools are kept apart from which.
#[derive(Debug, Default)]
pub(super) struct Aparts {
    of: BTreeMap<Name, Apart>,
    /// The other way round: who names a pool.
    named_by: BTreeMap<Name, BTreeSet<Name>>,
}

impl Aparts {
    pub(super) fn keys(&self) -> impl Iterator<Item = TendingKey> {
        self.of.keys().cloned().map(TendingKey::Apart)
    }

    pub(super) fn row(&self, pool: &Name) -> Option<TendingRow> {
        Some(TendingRow::Apart(pool.clone(), self.of.get(pool)?.clone()))
    }

    pub(super) fn set(&mut self, pool: Name, apart: Apart) {
        for other in self.of.get(&pool).into_iter().flat_map(|before| &before.from) {
            if let Some(named_by) = self.named_by.get_mut(other) {
                named_by.remove(&pool);
                if named_by.is_empty() {
                    self.named_by.remove(other);
                }
            }
        }
        for other in &apart.from {
            self.named_by.entry(other.clone()).or_default().insert(pool.clone());
        }
        if apart.is_empty() {
            self.of.remove(&pool);
        } else {
            self.of.insert(pool, apart);
        }
    }

    fn names(&self, pool: &Name, other: &Name) -> bool {
        self.of.get(pool).is_some_and(|apart| apart.from.contains(other))
    }

    /// Walks the pools that a pool yields to.
    fn yields_to<'a>(&'a self, pool: &'a Name) -> impl Iterator<Item = &'a Name> {
        let from = self.of.get(pool).into_iter().flat_map(|apart| &apart.from);
        from.filter(move |other| *other < pool || !self.names(other, pool))
    }

    /// Walks the pools that yield to a pool.
    fn yielding<'a>(&'a self, pool: &'a Name) -> impl Iterator<Item = &'a Name> {
        let named_by = self.named_by.get(pool).into_iter().flatten();
        named_by.filter(move |other| pool < *other || !self.names(pool, other))
    }

    /// Tells whether a pool yields to itself by way of others, so that nobody could be first.
    fn is_ring(&self, pool: &Name) -> bool {
        let mut left: Vec<&Name> = self.yields_to(pool).collect();
        let mut met: BTreeSet<&Name> = BTreeSet::new();
        while let Some(next) = left.pop() {
            if next == pool {
                return true;
            }
            if met.insert(next) {
                left.extend(self.yields_to(next));
            }
        }
        false
    }

    /// Puts those of some pools that yield to others of them behind those, and keeps the order of names otherwise.
    fn in_order(&self, pools: BTreeSet<Name>) -> Vec<Name> {
        let awaited = |pool: &Name| self.yields_to(pool).filter(|other| pools.contains(*other)).count();
        let mut awaits: BTreeMap<&Name, usize> = pools.iter().map(|pool| (pool, awaited(pool))).collect();
        let mut next: VecDeque<&Name> = pools.iter().filter(|pool| awaits.get(pool) == Some(&0)).collect();
        let mut order = Vec::with_capacity(pools.len());
        while let Some(pool) = next.pop_front() {
            order.push(pool.clone());
            for other in self.yielding(pool) {
                if let Some(left) = awaits.get_mut(other) {
                    *left -= 1;
                    if *left == 0 {
                        next.push_back(other);
                    }
                }
            }
        }
        order
    }

    /// Returns everybody who yields to one of some pools, or to one who does.
    fn touched_by(&self, moved: BTreeSet<Name>) -> BTreeSet<Name> {
        let mut touched: BTreeSet<Name> = BTreeSet::new();
        let mut left: Vec<Name> = moved.into_iter().collect();
        while let Some(pool) = left.pop() {
            for other in self.yielding(&pool) {
                if touched.insert(other.clone()) {
                    left.push(other.clone());
                }
            }
        }
        touched
    }
}

impl State {
    /// Puts a pool together with what it is kept apart from, so that no agent of it begins where it may not be.
    pub(super) fn put_pool_apart(&mut self, step: &mut Step, spec: &Arc<PoolSpec>, apart: &Apart) -> Answer {
        let name = &spec.name;
        check(apart.fault(name))?;
        let before = self.apart(name).clone();
        if before == *apart {
            return self.put_pool(step, spec);
        }
        self.tending.aparts.set(name.clone(), apart.clone());
        let put = if self.tending.aparts.is_ring(name) {
            let why = "it would be apart from itself by way of the others; leave one of them out";
            Err(Refusal::Invalid { field: "spread.apart_from".to_owned(), why: why.to_owned() })
        } else {
            self.put_pool(step, spec)
        };
        if let Err(refusal) = put {
            self.tending.aparts.set(name.clone(), before);
            return Err(refusal);
        }
        self.changes.touch(RowKey::Tending(TendingKey::Apart(name.clone())));
        // One that yielded to it may not any more.
        let others = before.from.iter().chain(&apart.from).cloned();
        step.idle.extend(others.chain([name.clone()]).map(Idle::Moved));
        Ok(Reply::Done)
    }

    /// Forgets what a pool that is removed was kept apart from.
    pub(super) fn forget_apart(&mut self, pool: &Name) {
        if !self.apart(pool).is_empty() {
            self.tending.aparts.set(pool.clone(), Apart::default());
            self.changes.touch(RowKey::Tending(TendingKey::Apart(pool.clone())));
        }
    }

    /// Takes note that a pool's agents are on other nodes than before, if that is anybody's concern.
    pub(super) fn note_moved(&self, step: &mut Step, pool: &Name, before: Option<&Pool>) {
        let mut yielding = self.tending.aparts.yielding(pool).peekable();
        if yielding.peek().is_none() {
            return;
        }
        let now = self.pools.get(pool).map(|pool| hosts(pool));
        if now.unwrap_or_default() != before.map(hosts).unwrap_or_default() {
            step.idle.push(Idle::Moved(pool.clone()));
        }
    }

    /// Spreads those anew that yield to pools whose agents have moved.
    pub(super) fn settle_apart(&mut self, step: &mut Step, pool: Name) {
        let mut moved = BTreeSet::from([pool]);
        step.idle.retain(|idle| match idle {
            Idle::Moved(other) => {
                moved.insert(other.clone());
                false
            }
            _ => true,
        });
        let aparts = &self.tending.aparts;
        // Those that have moved because they yield less than before are themselves among the touched.
        let mut touched = aparts.touched_by(moved.clone());
        touched.extend(moved.into_iter().filter(|pool| aparts.of.contains_key(pool)));
        for name in aparts.in_order(touched) {
            self.respread(step, &name);
        }
    }

    /// Returns the pools in an order in which each is behind those that it yields to.
    pub(super) fn pools_in_order(&self) -> Vec<Name> {
        let aparts = &self.tending.aparts;
        let (apart, others): (BTreeSet<Name>, BTreeSet<Name>) =
            self.pools.keys().cloned().partition(|pool| aparts.of.contains_key(pool));
        others.into_iter().chain(aparts.in_order(apart)).collect()
    }

    /// Returns the nodes that have agents of pools that a pool yields to.
    pub(super) fn taken_for(&self, pool: &Name) -> BTreeSet<NodeId> {
        let others = self.tending.aparts.yields_to(pool).filter_map(|other| self.pools.get(other));
        others.flat_map(|other| hosts(other)).collect()
    }

    /// Returns what a pool is kept apart from.
    pub fn apart(&self, pool: &Name) -> &Apart {
        static NONE: Apart = Apart { from: BTreeSet::new(), strictly: false };
        self.tending.aparts.of.get(pool).unwrap_or(&NONE)
    }

    /// Walks the pools that a pool makes room for: those it is kept apart from, but for those that make room for it.
    pub fn yields_to<'a>(&'a self, pool: &'a Name) -> impl Iterator<Item = &'a Name> {
        self.tending.aparts.yields_to(pool)
    }
}

fn hosts(pool: &Pool) -> BTreeSet<NodeId> {
    pool.shares.keys().chain(pool.standbys.keys()).copied().collect()
}
