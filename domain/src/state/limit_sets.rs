//! Limit sets: what each key uses, who is held back by it, and who goes on when there is room.
//!
//! ```text
//!  submit ─► keys made ─► gate: room for each key? ─► granted: counted ─► closed: given back ─► the next of each line
//!                              │ no                                                                   ▲
//!                              └─► parked under the key ──────────── time makes room ─────────────────┘
//! ```
//!
//! A key is made once, when a task is submitted (or first asked for, if the set is younger), and kept in a row: nobody
//! reads a payload again when work is given out. How many run follows from the tasks; what went through is kept in a row
//! for as long as it counts, and a key that nothing counts for any more is forgotten.
//!
//! Whenever there is room, one task of each line of agents goes on that could take it, for each slot; those that come too
//! late are parked again. So a slot is never lost to a task that nobody is there to take, and never are all woken for one.

mod flows;
mod rows;
mod rules;
mod shown;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::id::TaskId;
use crate::limit_set::{Flows, KeyOf, LimitSet};
use crate::name::Name;
use crate::time::Timestamp;

/// How many tasks of each line go on at once when there is room for more. Each that begins lets the next go on.
const HEADS_AT_ONCE: u64 = 64;

/// A key of a set.
type Key = (Name, Arc<str>);

/// All limit sets, the keys of tasks, and what keys use.
#[derive(Debug, Default)]
pub(super) struct LimitSets {
    sets: BTreeMap<Name, Known>,
    keys: BTreeMap<TaskId, Arc<Vec<KeyOf>>>,
    uses: BTreeMap<Key, Use>,
    /// When what went through a key is forgotten.
    by_end: BTreeSet<(Timestamp, Key)>,
}

/// A set, with the digest of what makes its keys.
#[derive(Debug)]
struct Known {
    set: Arc<LimitSet>,
    digest: u64,
}

/// What one key uses.
#[derive(Debug, Default)]
struct Use {
    /// How many of its tasks have a lease.
    running: u64,
    flows: Flows,
    /// When the flows are forgotten, as it stands in the order of ends.
    end: Option<Timestamp>,
}
