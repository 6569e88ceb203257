//! Making, changing and removing budgets.

use std::sync::Arc;

use crate::budget::amount::Amount;
use crate::budget::command::{BudgetCommand, BudgetSettings};
use crate::budget::row::BudgetKey;
use crate::budget::scope::Scope;
use crate::budget::spec::BudgetSpec;
use crate::budget::{Budget, Raise};
use crate::event::{Event, Governing};
use crate::name::Name;
use crate::parking::ParkedOn;
use crate::refusal::{Bound, Refusal};
use crate::reply::{Answer, Reply};
use crate::state::{State, Step};
use crate::task::bounded_reason;

/// How many budgets there may be. Each is some kilobytes in memory, mostly the slots of rolling windows.
const BUDGETS_MAX: usize = 10_000;

/// How many budgets may count the same spending; all are looked at with every lease.
const SAME_SCOPE_MAX: usize = 8;

/// The greatest raise, in percent: ten times the limit.
const RAISE_PERCENT_MAX: u32 = 900;

impl State {
    pub(in crate::state) fn budget_command(&mut self, step: &mut Step, command: &BudgetCommand) -> Answer {
        match command {
            BudgetCommand::Put { spec } => self.put_budget(step, spec),
            BudgetCommand::Remove { budget } => self.remove_budget(step, budget),
            BudgetCommand::Reset { budget, .. } => self.reset_budget(step, budget),
            BudgetCommand::Override { budget, raise } => self.override_budget(step, budget, raise),
            BudgetCommand::Configure { settings } => self.configure_budgets(step, settings),
            BudgetCommand::Record { agent, workspace, account, model, report } => {
                self.record_usage(step, *agent, (workspace, account.as_ref(), model.as_ref()), report)
            }
            BudgetCommand::Report { task, attempt, report, model } => {
                self.report_usage(step, *task, *attempt, report, model.as_ref())
            }
            BudgetCommand::RateLimited { task, attempt, retry_after, reason, usage } => {
                self.rate_limited(step, (*task, *attempt), *retry_after, reason, usage)
            }
        }
    }

    fn put_budget(&mut self, step: &mut Step, spec: &Arc<BudgetSpec>) -> Answer {
        spec.check()?;
        if let Scope::Agent(agent) = &spec.scope
            && !self.agents.contains_key(agent)
        {
            return Err(Refusal::AgentUnknown(*agent));
        }
        let before = self.budgets.remove(&spec.name);
        let room = if self.budgets.all.len() >= BUDGETS_MAX {
            Err(BUDGETS_MAX)
        } else if self.budgets.of(&spec.scope).count() >= SAME_SCOPE_MAX {
            Err(SAME_SCOPE_MAX)
        } else {
            Ok(())
        };
        if let Err(limit) = room {
            if let Some(before) = before {
                self.budgets.insert(before);
            }
            return Err(Refusal::Full { bound: Bound::Budgets, limit: limit as u64 });
        }
        let lines = &mut self.budgets.common.lines;
        let budget = match before {
            Some(mut budget) => {
                budget.change(spec.clone(), lines);
                budget
            }
            None => Budget::new(spec.clone(), step.now, lines),
        };
        self.budgets.insert(budget);
        self.touch_budget(BudgetKey::Common);
        self.govern_budget(step, Governing::BudgetPut, &spec.name, &spec.to_string());
        self.call_beyond(step, &spec.name);
        self.review_budget(step, &spec.name, true);
        Ok(Reply::Done)
    }

    fn remove_budget(&mut self, step: &mut Step, name: &Name) -> Answer {
        self.known_budget(name)?;
        self.govern_budget(step, Governing::BudgetRemoved, name, "");
        self.budgets.remove(name);
        self.touch_budget(BudgetKey::Budget(name.clone()));
        self.rearm_budget(name);
        // Whoever waits for it need not wait any more.
        self.let_go(step, &ParkedOn::Budget(name.clone()), usize::MAX);
        self.let_go(step, &ParkedOn::Beyond(name.clone()), usize::MAX);
        Ok(Reply::Done)
    }

    fn reset_budget(&mut self, step: &mut Step, name: &Name) -> Answer {
        self.known_budget(name)?;
        if let Some(budget) = self.budgets.all.get_mut(name) {
            budget.reset();
        }
        self.govern_budget(step, Governing::BudgetReset, name, "");
        self.review_budget(step, name, true);
        Ok(Reply::Done)
    }

    fn override_budget(&mut self, step: &mut Step, name: &Name, raise: &Raise) -> Answer {
        self.known_budget(name)?;
        if raise.percent > RAISE_PERCENT_MAX {
            let why = format!("it is at most {RAISE_PERCENT_MAX}");
            return Err(Refusal::Invalid { field: "percent".to_owned(), why });
        }
        let wanted = Raise { reason: bounded_reason(&raise.reason), ..raise.clone() };
        let wanted = Some(wanted).filter(|raise| raise.percent > 0 && raise.until > step.now);
        let detail = match &wanted {
            Some(raise) => format!("by {} percent: {}", raise.percent, raise.reason),
            None => "ended".to_owned(),
        };
        if let Some(budget) = self.budgets.all.get_mut(name) {
            budget.raise = wanted;
        }
        self.govern_budget(step, Governing::BudgetRaised, name, &detail);
        self.call_beyond(step, name);
        self.review_budget(step, name, true);
        Ok(Reply::Done)
    }

    fn configure_budgets(&mut self, step: &mut Step, settings: &BudgetSettings) -> Answer {
        let estimate = Amount { requests: settings.estimate.requests.max(1), ..settings.estimate }.bounded();
        self.budgets.common.settings = BudgetSettings { estimate, ..settings.clone() };
        self.touch_budget(BudgetKey::Common);
        self.call_cheaper(step, None);
        Ok(Reply::Done)
    }

    fn known_budget(&self, name: &Name) -> Result<&Budget, Refusal> {
        self.budgets.all.get(name).ok_or_else(|| Refusal::BudgetUnknown(name.clone()))
    }

    /// Tells what happened to a budget.
    pub(super) fn govern_budget(&self, step: &mut Step, what: Governing, name: &Name, detail: &str) {
        let scope = self.budgets.all.get(name).map(|budget| &budget.spec.scope);
        let (workspace, agent) = match scope {
            Some(Scope::Workspace(workspace)) => (Some(workspace.clone()), None),
            Some(Scope::Pool(pool)) => (Some(self.workspace_of_pool(pool)), None),
            Some(Scope::Agent(agent)) => {
                let known = self.agents.get(agent);
                (known.map(|known| self.workspace_of_agent(&known.spec)), Some(*agent))
            }
            _ => (None, None),
        };
        let (subject, detail) = (name.as_str().into(), detail.into());
        step.events.push(Event::Governed { what, subject, workspace, task: None, agent, detail });
    }
}
