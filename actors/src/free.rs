//! Agents with a free slot, kept in the orders in which they are served.
//!
//! A mailbox with three waiting tasks concerns at most three of ten thousand idle agents; this index finds
//! them without walking the others. Agents that can do the same and belong to the same pool form a class,
//! because within a class only the order matters; so a pick holds whoever can do the work, if anybody can.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use synod_domain::agent::Agent;
use synod_domain::capability::Capabilities;
use synod_domain::id::AgentId;
use synod_domain::name::Name;
use synod_domain::task::MailboxId;

/// What agents of one sort have in common; pool first, so that a pool's classes stand together.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Class {
    pool: Option<Name>,
    capabilities: Capabilities,
    /// Whether they take from the open mailbox.
    open: bool,
}

/// By how much they hold, then by how much they have done.
type Load = (usize, u64, AgentId);

#[derive(Debug, Default)]
struct Members {
    by_id: BTreeSet<AgentId>,
    by_load: BTreeSet<Load>,
}

/// In which order a class is picked from.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Order {
    /// The least busy first.
    Load,
    /// The busiest first, and of those whoever has done the most.
    Full,
    /// By id, after this agent and round to it.
    After(Option<AgentId>),
    /// By id, from a place drawn by this lot and round to it.
    Lot(u64),
}

/// The index. O(log n) to put and to remove.
#[derive(Debug, Default)]
pub(crate) struct Free {
    classes: BTreeMap<Arc<Class>, Members>,
    places: BTreeMap<AgentId, (Arc<Class>, Load)>,
}

impl Free {
    /// Puts an agent in, or in its new place; `open` tells whether it takes from the open mailbox.
    pub(crate) fn put(&mut self, agent: &Agent, open: bool) {
        let id = agent.spec.id;
        self.remove(id);
        let load = (agent.held.len(), agent.completed, id);
        let (pool, capabilities) = (agent.spec.pool.clone(), agent.spec.capabilities.clone());
        let class = Class { pool, capabilities, open };
        let class = match self.classes.get_key_value(&class) {
            Some((known, _)) => known.clone(),
            None => Arc::new(class),
        };
        let members = self.classes.entry(class.clone()).or_default();
        members.by_id.insert(id);
        members.by_load.insert(load);
        self.places.insert(id, (class, load));
    }

    /// Takes an agent out, if it is in.
    pub(crate) fn remove(&mut self, id: AgentId) {
        let Some((class, load)) = self.places.remove(&id) else { return };
        let Some(members) = self.classes.get_mut(&class) else { return };
        members.by_id.remove(&id);
        members.by_load.remove(&load);
        if members.by_id.is_empty() {
            self.classes.remove(&class);
        }
    }

    /// Tells whether an agent is in.
    pub(crate) fn holds(&self, id: AgentId) -> bool {
        self.places.contains_key(&id)
    }

    /// Walks all agents that are in.
    pub(crate) fn agents(&self) -> impl Iterator<Item = AgentId> + '_ {
        self.places.keys().copied()
    }

    /// Returns the first `most` agents of every class that may take from a mailbox, in order of id.
    pub(crate) fn pick(&self, mailbox: &MailboxId, most: usize, order: Order) -> Vec<AgentId> {
        let mut picked: Vec<AgentId> = match mailbox {
            MailboxId::Agent(agent) => {
                self.places.get_key_value(agent).map(|(id, _)| *id).into_iter().collect()
            }
            MailboxId::Pool(pool) => {
                let from =
                    Class { pool: Some(pool.clone()), capabilities: Capabilities::default(), open: false };
                let classes =
                    self.classes.range(from..).take_while(|(class, _)| class.pool.as_ref() == Some(pool));
                classes.flat_map(|(_, members)| members.first(most, order)).collect()
            }
            MailboxId::Open => {
                let classes = self.classes.iter().filter(|(class, _)| class.open);
                classes.flat_map(|(_, members)| members.first(most, order)).collect()
            }
        };
        picked.sort_unstable();
        picked
    }
}

impl Members {
    fn first(&self, most: usize, order: Order) -> Vec<AgentId> {
        match order {
            Order::Load => self.by_load.iter().take(most).map(|(_, _, id)| *id).collect(),
            Order::Full => self.by_load.iter().rev().take(most).map(|(_, _, id)| *id).collect(),
            Order::After(None) => self.by_id.iter().take(most).copied().collect(),
            Order::After(Some(cursor)) => {
                let after = (std::ops::Bound::Excluded(cursor), std::ops::Bound::Unbounded);
                self.by_id.range(after).chain(self.by_id.range(..=cursor)).take(most).copied().collect()
            }
            Order::Lot(lot) => {
                let skipped = usize::try_from(lot % self.by_id.len().max(1) as u64).unwrap_or(0);
                let round = self.by_id.iter().cycle().skip(skipped);
                round.take(most.min(self.by_id.len())).copied().collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use synod_domain::agent::{AgentSpec, Host, Standing};
    use synod_domain::id::{NodeId, TaskId};
    use synod_domain::time::Timestamp;

    use super::*;

    fn name(text: &str) -> Name {
        Name::new(text).unwrap()
    }

    fn agent(raw: u128, pool: &str, capability: Option<&str>, held: u128) -> Agent {
        let capabilities: Vec<_> = capability.map(|one| one.parse().unwrap()).into_iter().collect();
        Agent {
            spec: Arc::new(AgentSpec {
                id: AgentId::from_raw(raw),
                name: name(&format!("{pool}-{raw}")),
                pool: Some(name(pool)),
                capabilities: capabilities.into(),
                labels: BTreeMap::new(),
                region: None,
                concurrency: 9,
                host: Host::Node(NodeId::from_raw(1)),
                heartbeat_timeout: None,
                metadata: None,
            }),
            standing: Standing::Ready,
            reason: "".into(),
            since: Timestamp::ZERO,
            held: (0..held).map(TaskId::from_raw).collect(),
            registered_at: Timestamp::ZERO,
            completed: 0,
            failed: 0,
            restarts: 0,
            worked: std::time::Duration::ZERO,
            retiring: false,
            standby: false,
        }
    }

    fn picked(free: &Free, mailbox: &MailboxId, most: usize, order: Order) -> Vec<u128> {
        free.pick(mailbox, most, order).into_iter().map(AgentId::raw).collect()
    }

    #[test]
    fn pool_is_picked_from_in_the_order_asked_for_and_every_class_is_heard() {
        let mut free = Free::default();
        for (raw, held) in [(1, 2), (2, 0), (3, 1)] {
            free.put(&agent(raw, "b", None, held), true);
        }
        free.put(&agent(4, "b", Some("gpu"), 3), true);
        free.put(&agent(5, "a", None, 0), true);
        free.put(&agent(6, "c", None, 0), true);
        let pool = MailboxId::Pool(name("b"));
        assert_eq!(picked(&free, &pool, 1, Order::Load), [2, 4]);
        assert_eq!(picked(&free, &pool, 2, Order::Load), [2, 3, 4]);
        assert_eq!(picked(&free, &pool, 1, Order::Full), [1, 4]);
        assert_eq!(picked(&free, &pool, 1, Order::After(Some(AgentId::from_raw(1)))), [2, 4]);
        assert_eq!(picked(&free, &pool, 1, Order::After(Some(AgentId::from_raw(3)))), [1, 4]);
        assert_eq!(picked(&free, &pool, 1, Order::Lot(5)), [3, 4]);
        assert_eq!(picked(&free, &pool, 9, Order::Lot(1)), [1, 2, 3, 4]);
        assert_eq!(picked(&free, &MailboxId::Open, 1, Order::Load), [2, 4, 5, 6]);
        assert_eq!(picked(&free, &MailboxId::Agent(AgentId::from_raw(3)), 1, Order::Load), [3]);
    }

    #[test]
    fn agent_that_is_put_again_stands_in_its_new_place_only_and_leaves_nothing_behind() {
        let mut free = Free::default();
        free.put(&agent(1, "b", None, 2), true);
        free.put(&agent(1, "a", None, 0), true);
        assert!(picked(&free, &MailboxId::Pool(name("b")), 9, Order::Load).is_empty());
        assert_eq!(picked(&free, &MailboxId::Pool(name("a")), 9, Order::Load), [1]);
        free.remove(AgentId::from_raw(1));
        assert!(free.classes.is_empty() && free.places.is_empty());
    }
}
