//! What can be asked about budgets.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::budget::Raise;
use crate::budget::amount::{Amount, Report};
use crate::budget::spec::BudgetSpec;
use crate::id::{AgentId, TaskId};
use crate::name::Name;
use crate::task::Usage;

/// How long an attempt that passed a hard limit may still say that it is done, unless set otherwise.
pub const GRACE: Duration = Duration::from_secs(10);

/// What holds for all budgets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BudgetSettings {
    /// What is reserved for a task that gives no estimate and whose kind was never reported of.
    pub estimate: Amount,
    /// How long an attempt that passed a hard limit may still say that it is done.
    pub grace: Duration,
}

impl Default for BudgetSettings {
    /// An ordinary request to a model: some 4000 tokens, two cents, half a minute.
    fn default() -> Self {
        Self {
            estimate: Amount { tokens: 4000, cost_microusd: 20_000, compute_ms: 30_000, requests: 1 },
            grace: GRACE,
        }
    }
}

/// One change about budgets. A format: variants are only appended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum BudgetCommand {
    /// Makes a budget or changes it.
    Put {
        /// What it shall be.
        spec: Arc<BudgetSpec>,
    },
    /// Removes a budget.
    Remove {
        /// Which.
        budget: Name,
    },
    /// Forgets what was spent in the windows that are open.
    Reset {
        /// Which.
        budget: Name,
        /// Why, for a person. It stands in the log only.
        reason: Arc<str>,
    },
    /// Raises all limits of a budget for a while, or ends that with 0 percent.
    Override {
        /// Which.
        budget: Name,
        /// By how much, until when and why.
        raise: Raise,
    },
    /// Changes what holds for all budgets.
    Configure {
        /// What shall hold.
        settings: BudgetSettings,
    },
    /// Counts what an agent used outside of tasks.
    Record {
        /// Who.
        agent: AgentId,
        /// Whose work it was.
        workspace: Name,
        /// With which account of a provider, if with one.
        account: Option<Name>,
        /// With which model, if that is known.
        model: Option<Name>,
        /// What was used.
        report: Report,
    },
    /// Says what a running attempt has used so far.
    Report {
        /// Which task.
        task: TaskId,
        /// Under which lease.
        attempt: u32,
        /// What it used since it began.
        report: Report,
        /// With which model, if that is known.
        model: Option<Name>,
    },
    /// Ends an attempt because its provider wants a pause. The task is not at fault, and nothing of its account is given
    /// out meanwhile.
    RateLimited {
        /// Which task.
        task: TaskId,
        /// Under which lease.
        attempt: u32,
        /// How long the provider wants to be left alone.
        retry_after: Duration,
        /// Why, for a person.
        reason: Arc<str>,
        /// What the attempt used.
        usage: Usage,
    },
}
