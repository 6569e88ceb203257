//! Budgets in the agreed state: which cover a task, what its attempt holds of them, and who waits for them.
//!
//! ```text
//!   gate ──► granted: reserve ──► report: raise ──► attempt_closed: settle ──► review: alerts, and who waits goes
//!    │                               │                                            ▲
//!    └► parked on the budget         └► passed a hard limit: told, then stopped    └── a window turned, a raise, a reset
//! ```
//!
//! The rules about one budget are in [`crate::budget`]. What is written down is told in [`crate::budget::row`]; the
//! rest follows from it and is rebuilt.

mod accounts;
mod commands;
mod lending;
mod usage;
mod view;
mod waiting;

use std::collections::{BTreeMap, BTreeSet};

use crate::agent::Agent;
use crate::budget::Budget;
use crate::budget::average::Average;
use crate::budget::book::{UsageKey, Used};
use crate::budget::hold::Hold;
use crate::budget::row::{BudgetKey, BudgetRow, Common, HeldAccount};
use crate::budget::scope::Scope;
use crate::id::TaskId;
use crate::mutants::{Mutant, mutant};
use crate::name::Name;
use crate::row::RowKey;
use crate::state::State;
use crate::task::Task;

pub(super) use waiting::BudgetWake;

/// Everything about budgets.
#[derive(Debug, Default)]
pub(super) struct Budgets {
    common: Common,
    all: BTreeMap<Name, Budget>,
    /// Their names by whose spending they count.
    by_scope: BTreeMap<Scope, BTreeSet<Name>>,
    holds: BTreeMap<TaskId, Hold>,
    averages: BTreeMap<(Name, Name), Average>,
    accounts: BTreeMap<Name, HeldAccount>,
    book: BTreeMap<UsageKey, Used>,
}

impl Budgets {
    pub(super) fn row(&self, key: &BudgetKey) -> Option<BudgetRow> {
        Some(match key {
            BudgetKey::Common => BudgetRow::Common(self.common.clone()),
            BudgetKey::Budget(name) => BudgetRow::Budget(Box::new(self.all.get(name)?.clone())),
            BudgetKey::Hold(task) => BudgetRow::Hold(*task, Box::new(self.holds.get(task)?.clone())),
            BudgetKey::Average(workspace, kind) => {
                let average = self.averages.get(&(workspace.clone(), kind.clone()))?;
                BudgetRow::Average(workspace.clone(), kind.clone(), *average)
            }
            BudgetKey::Account(name) => BudgetRow::Account(name.clone(), self.accounts.get(name)?.clone()),
            BudgetKey::Used(key) => BudgetRow::Used(key.clone(), *self.book.get(key)?),
        })
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = BudgetKey> {
        let common = (self.common != Common::default()).then_some(BudgetKey::Common);
        let all = self.all.keys().cloned().map(BudgetKey::Budget);
        let holds = self.holds.keys().copied().map(BudgetKey::Hold);
        let averages =
            self.averages.keys().map(|(workspace, kind)| BudgetKey::Average(workspace.clone(), kind.clone()));
        let accounts = self.accounts.keys().cloned().map(BudgetKey::Account);
        let book = self.book.keys().cloned().map(BudgetKey::Used);
        common.into_iter().chain(all).chain(holds).chain(averages).chain(accounts).chain(book)
    }

    pub(super) fn restore(&mut self, row: BudgetRow) {
        match row {
            BudgetRow::Common(common) => self.common = common,
            BudgetRow::Budget(budget) => self.insert(*budget),
            BudgetRow::Hold(task, hold) => {
                self.holds.insert(task, *hold);
            }
            BudgetRow::Average(workspace, kind, average) => {
                self.averages.insert((workspace, kind), average);
            }
            BudgetRow::Account(name, held) => {
                self.accounts.insert(name, held);
            }
            BudgetRow::Used(key, used) => {
                self.book.insert(key, used);
            }
        }
    }

    fn insert(&mut self, budget: Budget) {
        let name = budget.spec.name.clone();
        self.remove(&name);
        self.by_scope.entry(budget.spec.scope.clone()).or_default().insert(name.clone());
        self.all.insert(name, budget);
    }

    fn remove(&mut self, name: &Name) -> Option<Budget> {
        let budget = self.all.remove(name)?;
        if let Some(names) = self.by_scope.get_mut(&budget.spec.scope) {
            names.remove(name);
            if names.is_empty() {
                self.by_scope.remove(&budget.spec.scope);
            }
        }
        Some(budget)
    }

    /// Walks the budgets of a scope.
    fn of(&self, scope: &Scope) -> impl Iterator<Item = &Budget> {
        self.by_scope.get(scope).into_iter().flatten().filter_map(|name| self.all.get(name))
    }
}

impl State {
    /// Returns whose spending a task in the hands of an agent is.
    fn scopes_of(&self, task: &Task, agent: &Agent) -> impl Iterator<Item = Scope> {
        let spec = &task.spec;
        let run = self.run_of(task);
        let fleet = run.and_then(|run| self.runs.get(&run)).map(|run| Scope::Fleet(run.fleet.clone()));
        let account = self.terms(spec.id).and_then(|terms| terms.account.clone()).map(Scope::Account);
        let account = account.filter(|_| !mutant(Mutant::ForgetTheAccount));
        let of_task = [
            Some(Scope::Global),
            Some(Scope::Workspace(spec.workspace.clone())),
            run.map(Scope::Run),
            fleet,
            account,
        ];
        of_task.into_iter().flatten().chain(scopes_of_agent(agent))
    }

    /// Returns the budgets that cover a task in the hands of an agent, in an order that every replica has.
    fn covering(&self, task: &Task, agent: &Agent) -> Vec<Name> {
        if self.budgets.all.is_empty() {
            return Vec::new();
        }
        let scopes = self.scopes_of(task, agent);
        scopes
            .flat_map(|scope| {
                self.budgets.of(&scope).map(|budget| budget.spec.name.clone()).collect::<Vec<_>>()
            })
            .collect()
    }

    fn touch_budget(&mut self, key: BudgetKey) {
        self.changes.touch(RowKey::Budget(key));
    }
}

/// Returns whose spending everything is that an agent does.
fn scopes_of_agent(agent: &Agent) -> impl Iterator<Item = Scope> {
    let pool = agent.spec.pool.clone().map(Scope::Pool);
    pool.into_iter().chain([Scope::Agent(agent.spec.id)])
}
