//! What of budgets is written down, row by row.

use serde::{Deserialize, Serialize};

use crate::budget::Budget;
use crate::budget::average::Average;
use crate::budget::book::{UsageKey, Used};
use crate::budget::command::BudgetSettings;
use crate::budget::hold::Hold;
use crate::id::TaskId;
use crate::name::Name;
use crate::time::Timestamp;

/// Names one row about budgets.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum BudgetKey {
    /// What holds for all.
    Common,
    /// A budget.
    Budget(Name),
    /// What a running attempt of a task holds.
    Hold(TaskId),
    /// The average of a kind of task in a workspace.
    Average(Name, Name),
    /// An account that is left alone.
    Account(Name),
    /// What was used.
    Used(UsageKey),
}

impl BudgetKey {
    /// Returns the key's bytes; they sort as the keys do within a sort.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Common => vec![b'c'],
            Self::Budget(name) => [b"b", name.as_str().as_bytes()].concat(),
            Self::Hold(task) => [&b"h"[..], &task.raw().to_be_bytes()].concat(),
            // A name holds no zero byte, so it ends where the next begins.
            Self::Average(workspace, kind) => {
                [b"a", workspace.as_str().as_bytes(), b"\0", kind.as_str().as_bytes()].concat()
            }
            Self::Account(name) => [b"p", name.as_str().as_bytes()].concat(),
            Self::Used(UsageKey { day, workspace, agent, model }) => {
                let agent = agent.map_or_else(Vec::new, |agent| agent.raw().to_be_bytes().to_vec());
                let model = model.as_ref().map_or("", Name::as_str);
                let (sort, day, workspace) =
                    (&b"u"[..], &day.to_be_bytes()[..], workspace.as_str().as_bytes());
                [sort, day, workspace, b"\0", model.as_bytes(), b"\0", &agent].concat()
            }
        }
    }
}

/// What holds for all budgets, and how far their lines are numbered.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Common {
    /// What somebody set.
    pub settings: BudgetSettings,
    /// The number of the last line.
    pub lines: u64,
}

/// An account of a provider that is left alone for a while.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldAccount {
    /// Until when.
    pub until: Timestamp,
    /// Why, as its agent said.
    pub reason: std::sync::Arc<str>,
}

/// One row about budgets. A format: variants are only appended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum BudgetRow {
    /// What holds for all.
    Common(Common),
    /// A budget.
    Budget(Box<Budget>),
    /// What a running attempt of a task holds.
    Hold(TaskId, Box<Hold>),
    /// The average of a kind of task in a workspace.
    Average(Name, Name, Average),
    /// An account that is left alone.
    Account(Name, HeldAccount),
    /// What was used.
    Used(UsageKey, Used),
}
