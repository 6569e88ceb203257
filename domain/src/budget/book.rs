//! What was used: by whom, with which model, on which day. For reports; budgets do not ask it.

use serde::{Deserialize, Serialize};

use crate::budget::amount::Report;
use crate::budget::window::DAY_MS;
use crate::id::AgentId;
use crate::name::Name;
use crate::time::Timestamp;

/// How many days are kept, the present one among them.
pub const DAYS_KEPT: u32 = 35;

/// How many entries are kept, some 200 bytes each: a thousand agents with three models on every day. What is used beyond
/// them counts under its workspace, without agent and model.
pub const ENTRIES_MAX: usize = 100_000;

/// What one entry is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct UsageKey {
    /// The day, counted from 1970-01-01 UTC.
    pub day: u32,
    /// Whose work it was.
    pub workspace: Name,
    /// Who did it.
    pub agent: Option<AgentId>,
    /// With which model, if that was said.
    pub model: Option<Name>,
}

/// What was used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Used {
    /// Tokens read by models.
    pub tokens_in: u64,
    /// Tokens written by models.
    pub tokens_out: u64,
    /// Tokens that were taken for used because nothing was said.
    pub tokens_assumed: u64,
    /// Millionths of a US dollar, as reported.
    pub cost_microusd: u64,
    /// Millionths of a US dollar that were taken for used because nothing was said.
    pub cost_assumed_microusd: u64,
    /// Requests.
    pub requests: u64,
    /// Milliseconds of work.
    pub compute_ms: u64,
    /// Attempts that ended.
    pub attempts: u64,
    /// How many of them said nothing.
    pub silent: u64,
}

impl Used {
    /// Adds a report.
    pub const fn add_report(&mut self, report: &Report) {
        self.tokens_in = self.tokens_in.saturating_add(report.tokens_in);
        self.tokens_out = self.tokens_out.saturating_add(report.tokens_out);
        self.cost_microusd = self.cost_microusd.saturating_add(report.cost_microusd);
        self.requests = self.requests.saturating_add(report.requests);
    }

    /// Adds another sum.
    pub const fn add(&mut self, other: &Self) {
        self.tokens_in = self.tokens_in.saturating_add(other.tokens_in);
        self.tokens_out = self.tokens_out.saturating_add(other.tokens_out);
        self.tokens_assumed = self.tokens_assumed.saturating_add(other.tokens_assumed);
        self.cost_microusd = self.cost_microusd.saturating_add(other.cost_microusd);
        self.cost_assumed_microusd = self.cost_assumed_microusd.saturating_add(other.cost_assumed_microusd);
        self.requests = self.requests.saturating_add(other.requests);
        self.compute_ms = self.compute_ms.saturating_add(other.compute_ms);
        self.attempts = self.attempts.saturating_add(other.attempts);
        self.silent = self.silent.saturating_add(other.silent);
    }
}

/// Returns the day of a moment, counted from 1970-01-01 UTC.
pub fn day(at: Timestamp) -> u32 {
    u32::try_from(at.as_millis() / DAY_MS).unwrap_or(u32::MAX)
}
