//! Budgets: what may be spent, by whom and in which time, and the ledger that counts it.
//!
//! ```text
//!  lease given ──► reserve the estimate ──► reports raise it ──► settle: what was used counts, the rest comes back
//!                  in every budget that                          (nothing was said: the reservation counts)
//!                  covers the task, or in none
//! ```
//!
//! Everything here is a rule about one budget, in whole numbers: it has no task, no agent and no clock. Which budgets
//! cover a task, who waits for them and what is told is in [`crate::state`].
//!
//! What the ledger promises, for each hard limit and each window: what is settled and what is reserved, together, pass
//! the limit by one report at most. What was used without leave after that is counted apart, as overrun.

pub mod amount;
pub mod average;
pub mod book;
pub mod command;
pub mod hold;
pub mod line;
pub mod row;
pub mod scope;
pub mod spec;
pub mod tally;
pub mod window;

mod record;

#[cfg(test)]
mod laws;

pub use record::{Alert, AlertKind, Budget, Raise, Short};
