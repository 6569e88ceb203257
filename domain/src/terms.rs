//! The terms on which a task is given out: what it may cost, who pays, and what it needs besides an agent.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::name::Name;

/// The terms of a task. A task without any is given out on the default ones.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// What one attempt is expected to use; reserved before it is given out.
    pub estimate: Option<Estimate>,
    /// The account of a provider that it is charged to.
    pub account: Option<Name>,
    /// The model that it uses, for reports.
    pub model: Option<Name>,
    /// What becomes of it when a budget has nothing left for it.
    pub over_budget: OverBudget,
    /// How much of each named resource it needs while an agent has it.
    pub resources: BTreeMap<Name, u64>,
    /// How long it may wait for its resources; for ever when `None`.
    pub resources_within: Option<Duration>,
}

/// What one attempt is expected to use.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Estimate {
    /// Tokens, read and written.
    pub tokens: u64,
    /// Cost in millionths of a US dollar.
    pub cost_microusd: u64,
    /// Time of work.
    pub compute: Duration,
}

/// What becomes of a task that a budget has nothing left for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OverBudget {
    /// It waits until there is something.
    #[default]
    Wait,
    /// It fails.
    Fail,
}
