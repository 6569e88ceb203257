//! Budgets through the fabric: what an agent may spend, and what it has spent.
//!
//! A budget is the node's own and holds for all work of its agent, whoever scheduled it: what tasks report is counted by
//! itself, and nothing is given to the agent that would pass a limit.

use std::sync::Arc;

use synod_domain::budget::amount::{Measure, Report};
use synod_domain::budget::command::BudgetCommand;
use synod_domain::budget::line::Line;
use synod_domain::budget::scope::Scope;
use synod_domain::budget::spec::{BudgetSpec, Enforcement, Limit, WARN_PERCENT};
use synod_domain::budget::window::Window;
use synod_domain::command::Command;
use synod_domain::id::AgentId;
use synod_domain::name::Name;
use synod_domain::refusal::Refusal;
use synod_domain::time::Timestamp;

use crate::fabric::{Error, Fabric};

/// What an agent may spend. What is not said is not limited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BudgetConfig {
    /// Tokens, read and written, in an hour.
    pub max_tokens_per_hour: Option<u64>,
    /// Cost in a day, in millionths of a US dollar.
    pub max_cost_per_day_microusd: Option<u64>,
    /// At which part of a limit it is warned, in percent.
    pub warn_at_percent: u8,
    /// Whether what would pass a limit is held back; otherwise it is only told of.
    pub hard_limit: bool,
}

impl Default for BudgetConfig {
    /// No limits; those that are set are hard and warned of at 80 percent.
    fn default() -> Self {
        Self {
            max_tokens_per_hour: None,
            max_cost_per_day_microusd: None,
            warn_at_percent: WARN_PERCENT,
            hard_limit: true,
        }
    }
}

impl BudgetConfig {
    fn spec(&self, name: Name, scope: Scope) -> BudgetSpec {
        let limit = |measure, most: Option<u64>, window| most.map(|most| Limit { measure, most, window });
        let tokens = limit(Measure::Tokens, self.max_tokens_per_hour, Window::Hour);
        let cost = limit(Measure::Cost, self.max_cost_per_day_microusd, Window::Day);
        BudgetSpec {
            name,
            scope,
            limits: tokens.into_iter().chain(cost).collect(),
            enforcement: if self.hard_limit { Enforcement::Hard } else { Enforcement::Soft },
            warn_percent: self.warn_at_percent,
            note: Some("set through the fabric".into()),
        }
    }
}

/// How an agent stands against its budget, in the hour and the day that run. Hours and days begin as those of UTC do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BudgetStatus {
    /// Tokens used in this hour.
    pub tokens_used: u64,
    /// How many it may use in an hour.
    pub tokens_limit: Option<u64>,
    /// Cost of this day, in millionths of a US dollar.
    pub cost_used_microusd: u64,
    /// How much it may cost in a day.
    pub cost_limit_microusd: Option<u64>,
    /// How much of the limit is used that is used most, in whole percent.
    pub percent_used: u64,
    /// Whether that is at least the part that is warned of.
    pub warned: bool,
    /// Whether a limit is reached.
    pub over_limit: bool,
}

/// The budgets of the fabric's agents.
#[derive(Debug, Clone, Copy)]
pub struct Budgets<'a>(&'a Fabric);

impl Fabric {
    /// Returns the budgets of its agents.
    ///
    /// ```no_run
    /// # async fn example(fabric: &synod::fabric::Fabric, agent: synod::fabric::AgentInfo) -> Result<(), synod::fabric::Error> {
    /// use synod::fabric::BudgetConfig;
    ///
    /// let budget = fabric.budgets();
    /// let config = BudgetConfig {
    ///     max_tokens_per_hour: Some(100_000),
    ///     max_cost_per_day_microusd: Some(10_000_000),
    ///     ..BudgetConfig::default()
    /// };
    /// budget.set_budget(agent.id, &config).await?;
    /// budget.record_usage(agent.id, 1500, 50_000).await?;
    /// let status = budget.get_status(agent.id)?;
    /// println!("Tokens used: {}/{:?}", status.tokens_used, status.tokens_limit);
    /// # Ok(())
    /// # }
    /// ```
    pub const fn budgets(&self) -> Budgets<'_> {
        Budgets(self)
    }
}

impl Budgets<'_> {
    /// Sets what an agent may spend. What it has spent in this hour and day stays counted.
    ///
    /// # Errors
    /// When there is no such agent, or no limit is given.
    pub async fn set_budget(&self, agent: AgentId, config: &BudgetConfig) -> Result<(), Error> {
        self.0.agent_info(agent)?;
        self.put(config.spec(name_of(agent)?, Scope::Agent(agent))).await
    }

    /// Sets what the agents of a pool may spend together.
    pub(super) async fn set_budget_of_pool(&self, pool: &Name, config: &BudgetConfig) -> Result<(), Error> {
        self.put(config.spec(name_of_pool(pool)?, Scope::Pool(pool.clone()))).await
    }

    async fn put(&self, spec: BudgetSpec) -> Result<(), Error> {
        self.propose(BudgetCommand::Put { spec: Arc::new(spec) }).await
    }

    /// Ends the budget of a pool that goes, if it has one.
    pub(super) async fn remove_budget_of_pool(&self, pool: &Name) -> Result<(), Error> {
        let budget = name_of_pool(pool)?;
        if self.0.node().read(|state| state.budget(&budget).is_some()) {
            self.propose(BudgetCommand::Remove { budget }).await?;
        }
        Ok(())
    }

    /// Counts what an agent used outside of tasks. What tasks report is counted by itself.
    ///
    /// # Errors
    /// When there is no such agent.
    pub async fn record_usage(&self, agent: AgentId, tokens: u64, cost_microusd: u64) -> Result<(), Error> {
        let info = self.0.agent_info(agent)?;
        let report = Report { tokens_in: tokens, cost_microusd, requests: 1, ..Report::default() };
        // A model is free text here; one that is no name is counted without.
        let model = info.model.and_then(|model| Name::new(&model).ok());
        let workspace = self.0.workspace.clone();
        self.propose(BudgetCommand::Record { agent, workspace, account: None, model, report }).await
    }

    /// Returns how an agent stands against its budget.
    ///
    /// # Errors
    /// When none was set for it.
    pub fn get_status(&self, agent: AgentId) -> Result<BudgetStatus, Error> {
        let name = name_of(agent)?;
        let node = self.0.node();
        let now = node.now();
        node.read(|state| {
            let budget = state.budget(&name).ok_or_else(|| Refusal::BudgetUnknown(name.clone()))?;
            let mut status = BudgetStatus::default();
            for line in &budget.lines {
                let most = budget.most(line, now);
                status.add(line, most, now);
            }
            status.warned = status.percent_used >= u64::from(budget.spec.warn_percent);
            Ok(status)
        })
    }

    /// Ends the budget of an agent; nothing limits it then, but what covers others as well.
    ///
    /// # Errors
    /// When none was set for it.
    pub async fn remove_budget(&self, agent: AgentId) -> Result<(), Error> {
        self.propose(BudgetCommand::Remove { budget: name_of(agent)? }).await
    }

    async fn propose(&self, command: BudgetCommand) -> Result<(), Error> {
        self.0.node().propose(Command::Budget(command)).await?;
        Ok(())
    }
}

impl BudgetStatus {
    fn add(&mut self, line: &Line, most: u64, now: Timestamp) {
        let spent = line.sums(now).spent();
        match line.limit.measure {
            Measure::Tokens => (self.tokens_used, self.tokens_limit) = (spent, Some(most)),
            Measure::Cost => (self.cost_used_microusd, self.cost_limit_microusd) = (spent, Some(most)),
            Measure::Compute | Measure::Requests => {}
        }
        let percent = u128::from(spent) * 100 / u128::from(most.max(1));
        self.percent_used = self.percent_used.max(u64::try_from(percent).unwrap_or(u64::MAX));
        self.over_limit |= spent >= most;
    }
}

/// Returns what the budget of an agent is called.
pub(super) fn name_of(agent: AgentId) -> Result<Name, Error> {
    Ok(Name::new(&format!("fabric/{agent}"))?)
}

/// Returns what the budget of a pool is called.
fn name_of_pool(pool: &Name) -> Result<Name, Error> {
    Ok(Name::new(&format!("fabric/{pool}"))?)
}
