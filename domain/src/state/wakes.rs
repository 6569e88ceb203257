//! What is to be looked at when a time has come, besides the timers of tasks.
//!
//! At most one time for each thing. Every time follows from the agreed state and is set again by a restore; a look that
//! comes although nothing is due changes nothing. Cost: O(log n) to set, clear and fire.

use std::collections::{BTreeMap, BTreeSet};

use crate::id::{HookId, TaskId};
use crate::parking::{Guarded, ParkedOn};
use crate::state::budgets::BudgetWake;
use crate::time::Timestamp;

/// What is looked at.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Wake {
    /// Something that holds tasks back may let some go.
    Parked(ParkedOn),
    /// A task may have waited too long for its resources.
    Resources(TaskId),
    /// A hook may be silent for too long.
    Hook(HookId),
    /// Something about budgets.
    Budget(BudgetWake),
    /// A breaker has been open for as long as it should.
    Breaker(Guarded),
    /// An approval may have expired.
    Approvals,
}

/// The times at which something is looked at.
#[derive(Debug, Default)]
pub(super) struct Wakes {
    by_time: BTreeSet<(Timestamp, Wake)>,
    of: BTreeMap<Wake, Timestamp>,
}

impl Wakes {
    /// Sets the time of a look, in place of the one before, or clears it.
    pub(super) fn set(&mut self, what: Wake, at: Option<Timestamp>) {
        let before = match at {
            Some(at) => self.of.insert(what.clone(), at),
            None => self.of.remove(&what),
        };
        if before == at {
            return;
        }
        if let Some(before) = before {
            self.by_time.remove(&(before, what.clone()));
        }
        if let Some(at) = at {
            self.by_time.insert((at, what));
        }
    }

    /// Returns the first time at which something is looked at.
    pub(super) fn first(&self) -> Option<Timestamp> {
        self.by_time.first().map(|(at, _)| *at)
    }

    /// Takes the first look that is due.
    pub(super) fn take_due(&mut self, now: Timestamp) -> Option<Wake> {
        let (at, _) = self.by_time.first()?;
        if *at > now {
            return None;
        }
        let (_, what) = self.by_time.pop_first()?;
        self.of.remove(&what);
        Some(what)
    }
}
