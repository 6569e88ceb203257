//! How a pool's agents are spread over nodes.
//!
//! A pool says how many agents it should have; the rule here says how many of them each node keeps. It is computed
//! within [`State::apply`](crate::state::State::apply), so every node knows the same shares and nobody is asked.
//!
//! Promises: the shares add up to the target or to what fits, whichever is less; no node gets more than fits on it;
//! a pool that grows takes from no node, one that shrinks gives to none, and one that changes in nothing moves
//! nobody; the same places give the same shares. Left to others: which nodes may be used at all, and the agents.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::id::{AgentId, NodeId};
use crate::name::Name;
use crate::node::NodeSpec;

/// The most labels that a pool demands of its nodes. Each node is compared with them whenever anything changes.
pub const LABELS_DEMANDED_MAX: usize = 16;

/// The most standby agents of one pool. They cost as much as others and do nothing.
pub const STANDBY_MAX: u32 = 100;

/// In which manner agents are put on nodes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Manner {
    /// As many on each as on any other, as far as that goes; the loss of a node costs the least.
    #[default]
    Even,
    /// On as few nodes as possible; nobody moves to make it fewer.
    Packed,
    /// As many in each zone as in any other, and within a zone as [`Manner::Even`] does; the loss of a zone costs the
    /// least. Zones are told apart by the label [`ZONE_LABEL`].
    Zones,
}

/// The label that says in which zone a node is: what may be lost at once, such as a rack, a room, a power line. All
/// nodes without it are one zone.
pub const ZONE_LABEL: &str = "zone";

impl fmt::Display for Manner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Even => "even",
            Self::Packed => "packed",
            Self::Zones => "zones",
        })
    }
}

/// Where a pool's agents may be, and in which manner.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SpreadSpec {
    /// In which manner.
    pub manner: Manner,
    /// How many agents one node may have at most; no bound of the pool's own when `None`.
    pub max_per_node: Option<u32>,
    /// What a node must be labelled with.
    pub labels: BTreeMap<Name, Arc<str>>,
    /// Where a node must be; anywhere when `None`.
    pub region: Option<Name>,
}

impl SpreadSpec {
    /// Tells whether agents may be on a node, going by what the node says of itself.
    pub fn suits(&self, node: &NodeSpec) -> bool {
        let is_there = self.region.as_ref().is_none_or(|region| node.region == *region);
        is_there && self.labels.iter().all(|(label, value)| node.labels.get(label) == Some(value))
    }
}

/// What becomes of a pool's agents whose node goes down, or which fail for good on one that is there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Recovery {
    /// They wait for their node; what the pool should have beyond them is put elsewhere. One that fails is tried again.
    Restart,
    /// Other nodes start new ones; so they do for one that fails.
    #[default]
    Replacement,
    /// Standby agents on other nodes take their place at once; for one that fails, on any node.
    Failover {
        /// How many agents are kept on standby.
        standby: u32,
    },
    /// The pool goes on smaller until the node is back, or the one that failed serves again.
    Degraded,
}

impl Recovery {
    /// Returns how many agents are kept on standby.
    pub const fn standby(self) -> u32 {
        match self {
            Self::Failover { standby } => standby,
            Self::Restart | Self::Replacement | Self::Degraded => 0,
        }
    }

    /// Tells whether the share of a node that is down stays where it is.
    pub const fn waits(self) -> bool {
        matches!(self, Self::Restart | Self::Degraded)
    }
}

impl fmt::Display for Recovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Restart => "restart",
            Self::Replacement => "replacement",
            Self::Failover { .. } => "failover",
            Self::Degraded => "degraded",
        })
    }
}

/// Why a pool has fewer agents than it should have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Shortfall {
    /// How many agents are missing.
    pub missing: u32,
    /// Why.
    pub lack: Lack,
}

/// What keeps a pool from having more agents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "lack", rename_all = "snake_case")]
pub enum Lack {
    /// Its agents wait for these nodes, which are down.
    NodesDown {
        /// Which.
        nodes: Vec<NodeId>,
    },
    /// Nodes that would suit it take no agents now.
    NodesAway {
        /// How many of them are down or have not started.
        down: usize,
        /// How many of them drain.
        draining: usize,
    },
    /// No node is as the pool demands.
    Unsuited {
        /// Where it demands to be.
        region: Option<Name>,
        /// The labels it demands.
        labels: BTreeMap<Name, Arc<str>>,
    },
    /// The nodes that suit it are full.
    Full {
        /// How many nodes suit it.
        nodes: usize,
        /// How many agents of it each may have.
        max_per_node: Option<u32>,
    },
    /// Nodes that suit it have agents of pools that it is strictly kept apart from.
    Beside {
        /// How many of them.
        nodes: usize,
        /// The pools that it makes room for.
        from: Vec<Name>,
    },
    /// It has them, and some failed for good.
    GivenUp {
        /// How many.
        agents: u32,
        /// One of them.
        example: AgentId,
    },
}

/// A node that may have agents of a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Which node.
    pub node: NodeId,
    /// In which zone; the same number is the same zone.
    pub zone: u32,
    /// How many it has.
    pub present: u32,
    /// How many it may have.
    pub room: u32,
    /// Among equals, those with more come first.
    pub favour: u32,
    /// Among equals, those with less come first.
    pub burden: (u32, u32),
}

/// Returns how many agents each place gets; those that get none are left out.
///
/// O(n log n) for n places, however many the agents are.
pub fn spread(manner: Manner, target: u32, places: &[Place]) -> BTreeMap<NodeId, u32> {
    let mut shares = match manner {
        Manner::Even => even(target, places),
        Manner::Packed => packed(target, places),
        Manner::Zones => zoned(target, places),
    };
    shares.retain(|_, share| *share > 0);
    shares
}

/// Fills all places to one level. What is left over goes to those that are above that level already, and then to
/// those that have the least otherwise.
fn even(target: u32, places: &[Place]) -> BTreeMap<NodeId, u32> {
    let fits = |level: u32| places.iter().map(|place| u64::from(place.room.min(level))).sum::<u64>();
    let highest = places.iter().map(|place| place.room).max().unwrap_or(0);
    let total = u64::from(target).min(fits(highest));
    let (mut level, mut above) = (0, highest.saturating_add(1));
    while above - level > 1 {
        let middle = level + (above - level) / 2;
        if fits(middle) <= total { level = middle } else { above = middle }
    }
    let mut left = total - fits(level);
    let mut order: Vec<&Place> = places.iter().filter(|place| place.room > level).collect();
    order.sort_by_key(|place| (place.present <= level, Reverse(place.favour), place.burden, place.node));
    let mut shares: BTreeMap<NodeId, u32> =
        places.iter().map(|place| (place.node, place.room.min(level))).collect();
    for place in order {
        if left == 0 {
            break;
        }
        left -= 1;
        shares.insert(place.node, level + 1);
    }
    shares
}

/// Fills the zones as if each were one place, and then the places of each.
fn zoned(target: u32, places: &[Place]) -> BTreeMap<NodeId, u32> {
    let mut zones: BTreeMap<u32, Vec<Place>> = BTreeMap::new();
    for place in places {
        zones.entry(place.zone).or_default().push(*place);
    }
    let wholes: Vec<Place> = zones.values().filter_map(|zone| together(zone)).collect();
    let shares = even(target, &wholes);
    let of_zone = |zone: &Vec<Place>| {
        let whole = together(zone)?;
        Some(even(shares.get(&whole.node).copied().unwrap_or(0), zone))
    };
    zones.values().filter_map(of_zone).flatten().collect()
}

/// Returns the places of a zone as one, under the least of their names; `None` of none.
fn together(zone: &[Place]) -> Option<Place> {
    zone.iter().copied().reduce(|whole, place| Place {
        node: whole.node.min(place.node),
        zone: place.zone,
        present: whole.present.saturating_add(place.present),
        room: whole.room.saturating_add(place.room),
        favour: whole.favour.saturating_add(place.favour),
        burden: (
            whole.burden.0.saturating_add(place.burden.0),
            whole.burden.1.saturating_add(place.burden.1),
        ),
    })
}

/// Keeps what is there. More goes to the places that have the most already; less is taken from those that have the
/// fewest.
fn packed(target: u32, places: &[Place]) -> BTreeMap<NodeId, u32> {
    let mut order: Vec<&Place> = places.iter().collect();
    order.sort_by_key(|place| {
        let kept = place.present.min(place.room);
        (Reverse(kept), Reverse(place.favour), Reverse(place.burden), place.node)
    });
    let mut left = target;
    let mut shares = BTreeMap::new();
    for place in &order {
        let kept = place.present.min(place.room).min(left);
        left -= kept;
        shares.insert(place.node, kept);
    }
    for place in &order {
        let kept = shares.entry(place.node).or_insert(0);
        let more = place.room.saturating_sub(*kept).min(left);
        left -= more;
        *kept += more;
    }
    shares
}

#[cfg(test)]
mod laws;
