//! Verbs about budgets and usage.

use super::ask::Ask;
use super::{Client, Error};
use crate::api::{
    Budget, BudgetAlert, BudgetSettings, BudgetSummary, BudgetVerdict, Estimate, NewBudget, OverrideBudget,
    Page, PageQuery, RecordUsage, ResetBudget, UsageQuery, UsageReport,
};

impl Client {
    /// Lists budgets with how they stand, a page at a time.
    ///
    /// # Errors
    /// When the node cannot be asked or refuses.
    pub async fn budgets(&self, page: &PageQuery) -> Result<Page<Budget>, Error> {
        self.send(Ask::get(["budgets"]).with_fields(page)?).await
    }

    /// Reads one budget.
    ///
    /// # Errors
    /// When there is none, or the node cannot be asked or refuses.
    pub async fn budget(&self, budget: &str) -> Result<Budget, Error> {
        self.send(Ask::get(["budgets", budget])).await
    }

    /// Tells how all budgets stand at a glance.
    ///
    /// # Errors
    /// When the node cannot be asked or refuses.
    pub async fn budget_summary(&self) -> Result<BudgetSummary, Error> {
        self.send(Ask::get(["budgets", "summary"])).await
    }

    /// Makes a budget, or changes the one of that name.
    ///
    /// # Errors
    /// When the node cannot be asked or refuses.
    pub async fn put_budget(&self, budget: &NewBudget) -> Result<Budget, Error> {
        self.send(self.post(["budgets"]).body(budget)?).await
    }

    /// Reads what holds for all budgets.
    ///
    /// # Errors
    /// When the node cannot be asked or refuses.
    pub async fn budget_settings(&self) -> Result<BudgetSettings, Error> {
        self.send(Ask::get(["budgets", "settings"])).await
    }

    /// Sets what holds for all budgets.
    ///
    /// # Errors
    /// When the node cannot be asked or refuses.
    pub async fn set_budget_settings(&self, settings: &BudgetSettings) -> Result<BudgetSettings, Error> {
        self.send(self.put(["budgets", "settings"]).body(settings)?).await
    }

    /// Removes a budget.
    ///
    /// # Errors
    /// When there is none, or the node cannot be asked or refuses.
    pub async fn remove_budget(&self, budget: &str) -> Result<(), Error> {
        self.tell(self.delete(["budgets", budget])).await
    }

    /// Asks whether a budget would cover so much now. Nothing is reserved.
    ///
    /// # Errors
    /// When there is none, or the node cannot be asked or refuses.
    pub async fn check_budget(&self, budget: &str, asked: &Estimate) -> Result<BudgetVerdict, Error> {
        self.send(Ask::post(["budgets", budget, "check"]).body(asked)?.repeatable()).await
    }

    /// Returns what was told of a budget, oldest first.
    ///
    /// # Errors
    /// When there is none, or the node cannot be asked or refuses.
    pub async fn budget_alerts(&self, budget: &str) -> Result<Page<BudgetAlert>, Error> {
        self.send(Ask::get(["budgets", budget, "alerts"])).await
    }

    /// Raises the limits of a budget for a while.
    ///
    /// # Errors
    /// When there is none, or the node cannot be asked or refuses.
    pub async fn override_budget(&self, budget: &str, raise: &OverrideBudget) -> Result<Budget, Error> {
        self.send(self.post(["budgets", budget, "override"]).body(raise)?).await
    }

    /// Forgets what was spent of a budget in the windows that are open.
    ///
    /// # Errors
    /// When there is none, or the node cannot be asked or refuses.
    pub async fn reset_budget(&self, budget: &str, reset: &ResetBudget) -> Result<Budget, Error> {
        self.send(self.post(["budgets", budget, "reset"]).body(reset)?).await
    }

    /// Sums what was used.
    ///
    /// # Errors
    /// When the node cannot be asked or refuses.
    pub async fn usage(&self, query: &UsageQuery) -> Result<UsageReport, Error> {
        self.send(Ask::get(["usage"]).with_fields(query)?).await
    }

    /// Records what an agent used outside of tasks.
    ///
    /// # Errors
    /// When there is no such agent, or the node cannot be asked or refuses.
    pub async fn record_usage(&self, used: &RecordUsage) -> Result<(), Error> {
        self.tell(self.post(["usage"]).body(used)?).await
    }
}
