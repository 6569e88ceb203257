//! What was spent and what is promised, slot by slot, for one limit.
//!
//! Three figures a slot: *settled* was used by leave, *reserved* is promised to attempts that are not over, *overrun*
//! was used beyond its reservation when the limit was passed already. The last is what nobody could prevent: it counts
//! as spent, and stands apart so that the first two keep their promise.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::budget::window::Window;
use crate::mutants::{Mutant, mutant};
use crate::time::Timestamp;

/// The figures of a slot, or of all that count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sums {
    /// Used by leave.
    pub settled: u64,
    /// Promised to attempts that are not over.
    pub reserved: u64,
    /// Used without leave.
    pub overrun: u64,
}

impl Sums {
    /// Returns what is gone for good.
    pub const fn spent(&self) -> u64 {
        self.settled.saturating_add(self.overrun)
    }

    /// Returns all that is not free.
    pub const fn used(&self) -> u64 {
        self.spent().saturating_add(self.reserved)
    }
}

/// What one attempt holds of one limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Booking {
    /// The slot it counts in: that of the lease, to the end.
    pub slot: Timestamp,
    /// What it holds of the reserved.
    pub reserved: u64,
    /// What it holds of the overrun.
    pub overrun: u64,
}

impl Booking {
    /// Returns what it is booked with in all.
    pub const fn total(&self) -> u64 {
        self.reserved.saturating_add(self.overrun)
    }
}

/// The slots that count.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    slots: BTreeMap<Timestamp, Sums>,
    /// Whether a sum would have passed 64 bits and was held there: it is not exact any more.
    saturated: bool,
}

impl Tally {
    /// Drops the slots that do not count any more. What is still reserved in them was let go by the window: it is not
    /// counted when it is settled later.
    pub fn turn(&mut self, window: Window, now: Timestamp) {
        while let Some(slot) = self.slots.first_entry()
            && window.ends(*slot.key()) <= now
        {
            slot.remove();
        }
    }

    /// Returns the sums of what counts at a time.
    pub fn sums(&self, window: Window, now: Timestamp) -> Sums {
        let mut all = Sums::default();
        for (_, sums) in self.slots.iter().filter(|(slot, _)| window.ends(**slot) > now) {
            all.settled = all.settled.saturating_add(sums.settled);
            all.reserved = all.reserved.saturating_add(sums.reserved);
            all.overrun = all.overrun.saturating_add(sums.overrun);
        }
        all
    }

    /// Tells whether a sum was held at 64 bits.
    pub const fn is_saturated(&self) -> bool {
        self.saturated
    }

    /// Returns when something that counts stops counting, if anything counts.
    pub fn turns_at(&self, window: Window, now: Timestamp) -> Option<Timestamp> {
        self.slots.keys().map(|slot| window.ends(*slot)).find(|ends| *ends > now)
    }

    /// Returns how many slots are held.
    #[cfg(test)]
    pub(super) fn slots(&self) -> usize {
        self.slots.len()
    }

    /// Returns the slot of a moment.
    pub fn slot(&self, window: Window, now: Timestamp) -> Timestamp {
        window.slot(now, self.slots.last_key_value().map(|(slot, _)| *slot))
    }

    /// Promises `amount` to an attempt.
    pub fn reserve(&mut self, window: Window, now: Timestamp, amount: u64) -> Booking {
        let slot = self.slot(window, now);
        let sums = self.slots.entry(slot).or_default();
        sums.reserved = add(&mut self.saturated, sums.reserved, amount);
        Booking { slot, reserved: amount, overrun: 0 }
    }

    /// Raises what an attempt is booked with to `to`. Beyond `most`, the first report that passes it is let through;
    /// what comes after it is overrun. Without `most` there is none.
    pub fn raise(
        &mut self,
        window: Window,
        now: Timestamp,
        booking: &mut Booking,
        to: u64,
        most: Option<u64>,
    ) {
        let more = to.saturating_sub(booking.total());
        let passed = most.is_some_and(|most| self.sums(window, now).used() >= most);
        if more == 0 || window.ends(booking.slot) <= now {
            return;
        }
        // A slot in which nothing was left may have been forgotten with what was spent in it.
        let sums = self.slots.entry(booking.slot).or_default();
        if passed {
            sums.overrun = add(&mut self.saturated, sums.overrun, more);
            booking.overrun += more;
        } else {
            sums.reserved = add(&mut self.saturated, sums.reserved, more);
            booking.reserved += more;
        }
    }

    /// Ends what an attempt is booked with: what it used is settled, and what it did not use comes back.
    pub fn settle(
        &mut self,
        window: Window,
        now: Timestamp,
        mut booking: Booking,
        used: u64,
        most: Option<u64>,
    ) {
        self.raise(window, now, &mut booking, used, most);
        let Some(sums) = self.slots.get_mut(&booking.slot) else { return };
        let by_leave = used.saturating_sub(booking.overrun).min(booking.reserved);
        sums.reserved = sums.reserved.saturating_sub(booking.reserved);
        if mutant(Mutant::RefundABudgetTwice) {
            sums.reserved = sums.reserved.saturating_sub(booking.reserved);
        }
        sums.settled = add(&mut self.saturated, sums.settled, by_leave);
    }

    /// Counts what was used without a reservation.
    pub fn record(&mut self, window: Window, now: Timestamp, used: u64, most: Option<u64>) {
        let booking = self.reserve(window, now, 0);
        self.settle(window, now, booking, used, most);
    }

    /// Forgets what was spent. What is reserved stays reserved: its attempts are not over.
    pub fn reset(&mut self) {
        for sums in self.slots.values_mut() {
            *sums = Sums { reserved: sums.reserved, ..Sums::default() };
        }
        self.slots.retain(|_, sums| sums.reserved > 0);
        self.saturated = false;
    }
}

fn add(saturated: &mut bool, sum: u64, more: u64) -> u64 {
    sum.checked_add(more).unwrap_or_else(|| {
        *saturated = true;
        u64::MAX
    })
}
