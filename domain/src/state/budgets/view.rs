//! What can be asked about budgets.

use crate::budget::amount::Amount;
use crate::budget::average::Average;
use crate::budget::book::{UsageKey, Used};
use crate::budget::command::BudgetSettings;
use crate::budget::hold::Hold;
use crate::budget::row::HeldAccount;
use crate::budget::{Budget, Short};
use crate::id::TaskId;
use crate::name::Name;
use crate::state::State;

impl State {
    /// Walks the budgets in order of name.
    pub fn budgets(&self) -> impl Iterator<Item = &Budget> {
        self.budgets.all.values()
    }

    /// Returns a budget.
    pub fn budget(&self, name: &Name) -> Option<&Budget> {
        self.budgets.all.get(name)
    }

    /// Returns what holds for all budgets.
    pub const fn budget_settings(&self) -> &BudgetSettings {
        &self.budgets.common.settings
    }

    /// Tells whether a budget would cover an amount now; `None` for a budget that is not there.
    pub fn budget_covers(&self, name: &Name, asked: &Amount) -> Option<Result<(), Short>> {
        Some(self.budgets.all.get(name)?.covers(asked, self.meta.now))
    }

    /// Returns what the running attempt of a task holds of budgets, if some cover it or it said what it uses.
    pub fn hold_of(&self, task: TaskId) -> Option<&Hold> {
        self.budgets.holds.get(&task)
    }

    /// Walks what was used from a day on, in order of day, counted from 1970-01-01 UTC.
    pub fn usage_since(&self, day: u32) -> impl Iterator<Item = (&UsageKey, &Used)> {
        self.budgets.book.iter().skip_while(move |(key, _)| key.day < day)
    }

    /// Returns what a kind of task uses by experience, with how many reports that is.
    pub fn average_use(&self, workspace: &Name, kind: &Name) -> Option<&Average> {
        self.budgets.averages.get(&(workspace.clone(), kind.clone()))
    }

    /// Walks the accounts of providers that are left alone, in order of name.
    pub fn held_accounts(&self) -> impl Iterator<Item = (&Name, &HeldAccount)> {
        self.budgets.accounts.iter()
    }
}
