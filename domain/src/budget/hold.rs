//! What a running attempt holds of budgets.

use serde::{Deserialize, Serialize};

use crate::budget::amount::{Amount, Report};
use crate::budget::tally::Booking;
use crate::name::Name;
use crate::time::Timestamp;

/// What an attempt was booked with for one limit of a budget.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Booked {
    /// Which budget.
    pub budget: Name,
    /// The number of its line.
    pub line: u64,
    /// How much, and in which slot.
    pub booking: Booking,
}

/// An attempt that passed a hard limit, and what becomes of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stop {
    /// When it is stopped unless it ends before.
    pub at: Timestamp,
    /// For which budget.
    pub budget: Name,
}

/// What a running attempt holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Under which lease.
    pub attempt: u32,
    /// What was reserved for it.
    pub estimate: Amount,
    /// What it said that it used so far; `None` before its first word.
    pub told: Option<Report>,
    /// With which model, if that was said.
    pub model: Option<Name>,
    /// What it is booked with, in every limit of every budget that covers it.
    pub booked: Vec<Booked>,
    /// Whether it is to stop.
    pub stop: Option<Stop>,
}
