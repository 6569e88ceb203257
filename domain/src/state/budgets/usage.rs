//! What was used, written down by day, and what kinds of task use by experience.

use crate::budget::amount::{Amount, Report};
use crate::budget::book::{DAYS_KEPT, ENTRIES_MAX, UsageKey, Used, day};
use crate::budget::row::BudgetKey;
use crate::budget::scope::Scope;
use crate::id::AgentId;
use crate::name::Name;
use crate::refusal::Refusal;
use crate::reply::{Answer, Reply};
use crate::state::budgets::scopes_of_agent;
use crate::state::{State, Step};
use crate::task::Task;

/// How many kinds are learned of. A kind beyond them is expected to use what is set for all.
const KINDS_MAX: usize = 10_000;

/// How many old entries one report forgets at most, so that none pays for a whole day of them.
const FORGOTTEN_AT_ONCE: usize = 16;

impl State {
    /// Counts what an agent used outside of tasks.
    pub(super) fn record_usage(
        &mut self,
        step: &mut Step,
        agent: AgentId,
        (workspace, account, model): (&Name, Option<&Name>, Option<&Name>),
        report: &Report,
    ) -> Answer {
        let known = self.agents.get(&agent).ok_or(Refusal::AgentUnknown(agent))?.clone();
        let report = report.bounded();
        let used = report.amount();
        let account = account.cloned().map(Scope::Account);
        let scopes = [Scope::Global, Scope::Workspace(workspace.clone())].into_iter().chain(account);
        let names: Vec<Name> = scopes
            .chain(scopes_of_agent(&known))
            .flat_map(|scope| {
                self.budgets.by_scope.get(&scope).into_iter().flatten().cloned().collect::<Vec<_>>()
            })
            .collect();
        for name in &names {
            if let Some(budget) = self.budgets.all.get_mut(name) {
                budget.record(&used, step.now);
            }
        }
        let mut entry = Used::default();
        entry.add_report(&report);
        self.write_down(step, workspace, agent, model.cloned(), &entry);
        for name in names {
            self.review_budget(step, &name, false);
        }
        Ok(Reply::Done)
    }

    /// Adds to what was used today, and forgets what is too old.
    pub(super) fn write_down(
        &mut self,
        step: &Step,
        workspace: &Name,
        agent: AgentId,
        model: Option<Name>,
        entry: &Used,
    ) {
        let today = day(step.now);
        let mut key = UsageKey { day: today, workspace: workspace.clone(), agent: Some(agent), model };
        if self.budgets.book.len() >= ENTRIES_MAX && !self.budgets.book.contains_key(&key) {
            key = UsageKey { agent: None, model: None, ..key };
        }
        self.budgets.book.entry(key.clone()).or_default().add(entry);
        self.touch_budget(BudgetKey::Used(key));
        for _ in 0..FORGOTTEN_AT_ONCE {
            let Some((oldest, _)) = self.budgets.book.first_key_value() else { break };
            if oldest.day + DAYS_KEPT > today {
                break;
            }
            let oldest = oldest.clone();
            self.budgets.book.remove(&oldest);
            self.touch_budget(BudgetKey::Used(oldest));
        }
    }

    /// Learns what a task of this kind used.
    pub(super) fn learn(&mut self, step: &mut Step, task: &Task, used: &Amount) {
        let (workspace, kind) = (task.spec.workspace.clone(), task.spec.kind.clone());
        let averages = &mut self.budgets.averages;
        let key = (workspace.clone(), kind.clone());
        if averages.len() >= KINDS_MAX && !averages.contains_key(&key) {
            return;
        }
        averages.entry(key).or_default().learn(used);
        self.call_cheaper(step, Some((&workspace, &kind)));
        self.touch_budget(BudgetKey::Average(workspace, kind));
    }

    /// Returns what a task of this kind uses by experience.
    pub(super) fn average_of(&self, task: &Task) -> Option<Amount> {
        let key = (task.spec.workspace.clone(), task.spec.kind.clone());
        self.budgets.averages.get(&key)?.estimate()
    }
}
