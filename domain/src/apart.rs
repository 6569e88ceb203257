//! Which pools a pool is kept apart from: its agents are on nodes that have none of theirs.
//!
//! Said of one of two pools it holds for both, and the one that says it yields: its agents move when agents of the
//! other come to its nodes. Of two that say it of each other, the one whose name comes later yields. So it is always
//! clear whose places are chosen first.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::name::Name;

/// The most pools that one pool is kept apart from. The nodes of each are looked at whenever its agents are spread.
pub const APART_MAX: usize = 16;

/// What a pool is kept apart from. It need not be there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Apart {
    /// Which pools.
    pub from: BTreeSet<Name>,
    /// Whether it has rather fewer agents than one beside one of theirs. Otherwise nodes without theirs are preferred.
    pub strictly: bool,
}

impl Apart {
    /// Says what is wrong with it, if anything is: the field and why.
    pub fn fault(&self, pool: &Name) -> Option<(&'static str, &'static str)> {
        if self.from.len() > APART_MAX {
            return Some(("spread.apart_from", "a pool is kept apart from 16 others at most"));
        }
        if self.from.contains(pool) {
            return Some(("spread.apart_from", "no pool is apart from itself; max_per_node is for that"));
        }
        if self.strictly && self.from.is_empty() {
            return Some(("spread.apart_strictly", "it needs apart_from"));
        }
        None
    }

    /// Tells whether it is kept apart from none.
    pub fn is_empty(&self) -> bool {
        self.from.is_empty()
    }
}
