//! Who waits for a budget, and what happens when something of it comes free.
//!
//! A budget is reviewed whenever what it counts changed: what is to be told is told, and if something may have come
//! free, tasks that it holds back go to their mailboxes again, as many as there is room for. A task that goes may stay in
//! its mailbox because nobody can do it; so that it does not keep the room from those behind it, more are let go a little
//! later while there is room ([`AGAIN`]).
//!
//! What asks for more than a budget is as a whole stands apart ([`ParkedOn::Beyond`]): nothing that comes free helps it, and
//! it would stand in the way of those that it helps. It is looked at again when the budget may be more than it was, or it
//! may be expected to use less.
//!
//! Budgets of agents and pools hold back who claims and not what is claimed. One that had too little for the next task
//! *withholds*: its agents are given nothing until something comes free, so that nobody asks in vain again and again.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::agent::Agent;
use crate::budget::amount::Amount;
use crate::budget::amount::Figure;
use crate::budget::row::BudgetKey;
use crate::budget::{Alert, AlertKind, Budget, Short};
use crate::event::Governing;
use crate::id::TaskId;
use crate::name::Name;
use crate::parking::ParkedOn;
use crate::state::budgets::scopes_of_agent;
use crate::state::parking::Place;
use crate::state::wakes::Wake;
use crate::state::{State, Step};
use crate::task::Task;
use crate::terms::OverBudget;
use crate::time::Timestamp;
use crate::why::Why;

/// How many of those that wait are looked at when something comes free. Behind so many that ask for more than is left,
/// others are not seen before more comes free or the window turns.
const LOOKED_AT: usize = 256;

/// How long those that were let go have the room to themselves. Longer keeps others waiting behind what nobody takes;
/// shorter gives more of them a look in vain.
const AGAIN: Duration = Duration::from_secs(5);

/// What about budgets is looked at when a time has come.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::state) enum BudgetWake {
    /// Something of a budget comes free.
    Turn(Name),
    /// An account need not be left alone any more.
    Account(Name),
    /// The grace of an attempt that passed a hard limit is over.
    Grace(TaskId),
}

impl State {
    pub(in crate::state) fn wake_budget(&mut self, step: &mut Step, what: &BudgetWake) {
        match what {
            BudgetWake::Turn(name) => self.review_budget(step, name, true),
            BudgetWake::Account(account) => self.free_account(step, account),
            BudgetWake::Grace(task) => self.end_budget_grace(step, *task),
        }
    }

    /// Tells what has changed about a budget, and lets go who waits for it if something may have come free.
    pub(in crate::state) fn review_budget(&mut self, step: &mut Step, name: &Name, freed: bool) {
        let Some(budget) = self.budgets.all.get_mut(name) else { return };
        let told = budget.look(step.now);
        let full = budget.spec.scope.is_of_claimant() && budget.covers(&Amount::default(), step.now).is_err();
        let reopens = budget.withholds && freed && !full;
        budget.withholds = full || (budget.withholds && !freed);
        let reopens = reopens && !told.iter().any(|alert| alert.kind == AlertKind::Reopened);
        self.touch_budget(BudgetKey::Budget(name.clone()));
        for alert in &told {
            self.govern_budget(step, governing(alert.kind), name, &detail(alert));
        }
        if reopens {
            self.govern_budget(step, Governing::BudgetReopened, name, "something came free");
        }
        if freed {
            self.call_budget(step, name);
        }
        self.rearm_budget(name);
    }

    /// Lets go what was more than a budget as a whole, and is not any more: the budget is another one. O(those that it
    /// was too small for).
    pub(super) fn call_beyond(&mut self, step: &mut Step, name: &Name) {
        let on = ParkedOn::Beyond(name.clone());
        let waiting = self.parked.of(&on);
        let fits = |id: &TaskId| {
            let task = self.tasks.get(id);
            task.is_some_and(|task| self.beyond_budget(task, name).is_none())
        };
        let called: Vec<TaskId> = waiting.filter(fits).collect();
        for id in called {
            self.unpark(step, id);
        }
    }

    /// Lets go what was more than a budget as a whole by what work of its kind was expected to use, and is not any more;
    /// of one kind, or of all. O(sorts of it) and those that go.
    pub(super) fn call_cheaper(&mut self, step: &mut Step, kind: Option<(&Name, &Name)>) {
        let fits = |places: &&BTreeSet<Place>| {
            let first = places.first().and_then(|(_, _, _, id)| self.tasks.get(id));
            first.is_some_and(|task| match task.parking().map(|parking| &parking.on) {
                Some(ParkedOn::Beyond(budget)) => self.beyond_budget(task, budget).is_none(),
                _ => false,
            })
        };
        let sorts = self.barred.unestimated(kind).filter(fits);
        let called: Vec<TaskId> = sorts.flatten().map(|(_, _, _, id)| *id).collect();
        for id in called {
            self.unpark(step, id);
        }
    }

    /// Says what a task asks for that is more than a budget is as a whole.
    pub(in crate::state) fn beyond_budget(&self, task: &Task, name: &Name) -> Option<Short> {
        self.budgets.all.get(name)?.beyond(&self.estimate(task), self.meta.now)
    }

    /// Notes that a budget of claimants had too little for the next task of one of them.
    pub(in crate::state) fn withhold(&mut self, name: &Name) {
        if let Some(budget) = self.budgets.all.get_mut(name) {
            budget.withholds = true;
            self.touch_budget(BudgetKey::Budget(name.clone()));
            self.rearm_budget(name);
        }
    }

    /// Tells whether no budget keeps an agent from being given work.
    pub(in crate::state) fn may_spend(&self, agent: &Agent) -> bool {
        self.withholding(agent).is_none()
    }

    /// Returns the budget for which an agent is given nothing.
    pub(in crate::state) fn withholding(&self, agent: &Agent) -> Option<&Budget> {
        if self.budgets.all.is_empty() {
            return None;
        }
        scopes_of_agent(agent).find_map(|scope| {
            let names = self.budgets.by_scope.get(&scope)?;
            names.iter().filter_map(|name| self.budgets.all.get(name)).find(|budget| budget.withholds)
        })
    }

    /// Lets go as many of those that wait for a budget as there is room for.
    fn call_budget(&mut self, step: &mut Step, name: &Name) {
        let on = ParkedOn::Budget(name.clone());
        let Some(budget) = self.budgets.all.get(name) else { return };
        let (mut called, mut beyond) = (Vec::new(), Vec::new());
        let mut more = false;
        if self.parked_on(&on) > 0 && budget.covers(&Amount::default(), step.now).is_ok() {
            let mut together = Amount::default();
            for id in self.parked.of(&on).take(LOOKED_AT) {
                let Some(task) = self.tasks.get(&id) else { continue };
                let asked = self.estimate(task);
                if let Err(short) = budget.covers(&asked, step.now) {
                    if short.is_beyond() {
                        beyond.push(id);
                    }
                    continue;
                }
                together = together.plus(&asked);
                if !called.is_empty() && budget.covers(&together, step.now).is_err() {
                    more = true;
                    break;
                }
                called.push(id);
            }
            // Those that it has become too small for make place to look at others.
            more |= called.len() == LOOKED_AT || !beyond.is_empty();
        }
        let again = more.then(|| step.now.after(AGAIN));
        if let Some(budget) = self.budgets.all.get_mut(name) {
            budget.again = again;
        }
        for id in beyond {
            self.park_elsewhere(step, id, ParkedOn::Beyond(name.clone()));
        }
        for id in called {
            self.unpark(step, id);
        }
        self.rearm(&on);
    }

    /// Returns when those that wait for a budget are looked at by themselves.
    pub(in crate::state) fn budget_opens_at(&self, name: &Name) -> Option<Timestamp> {
        let budget = self.budgets.all.get(name)?;
        budget.turns_at(self.meta.now).into_iter().chain(budget.again).min()
    }

    /// Sets when a budget is looked at although nobody waits for it: to tell that it is open again.
    pub(super) fn rearm_budget(&mut self, name: &Name) {
        let watched = self.budgets.all.get(name).filter(|budget| budget.withholds || budget.is_exhausted());
        let at = watched.and_then(|budget| budget.turns_at(self.meta.now));
        let at = at.filter(|at| *at > self.meta.now);
        self.wakes.set(Wake::Budget(BudgetWake::Turn(name.clone())), at);
        self.rearm(&ParkedOn::Budget(name.clone()));
    }

    pub(super) fn rearm_hold(&mut self, task: TaskId) {
        let at = self.budgets.holds.get(&task).and_then(|hold| hold.stop.as_ref()).map(|stop| stop.at);
        self.wakes.set(Wake::Budget(BudgetWake::Grace(task)), at);
    }

    /// Sets all times about budgets, after a restore.
    pub(in crate::state) fn rearm_budgets(&mut self) {
        let names: Vec<Name> = self.budgets.all.keys().cloned().collect();
        for name in names {
            self.rearm_budget(&name);
        }
        let holds: Vec<TaskId> = self.budgets.holds.keys().copied().collect();
        for task in holds {
            self.rearm_hold(task);
        }
        let accounts: Vec<Name> = self.budgets.accounts.keys().cloned().collect();
        for account in accounts {
            self.rearm_account(&account);
        }
    }

    /// Stops an attempt that passed a hard limit and did not end within its grace.
    fn end_budget_grace(&mut self, step: &mut Step, id: TaskId) {
        let Some(hold) = self.budgets.holds.get_mut(&id) else { return };
        let Some(stop) = hold.stop.take() else { return };
        self.touch_budget(BudgetKey::Hold(id));
        let passed = self.budgets.all.get(&stop.budget).is_some_and(|budget| budget.is_passed(step.now));
        // A raise, a reset or the next window came first.
        if !passed {
            return;
        }
        let reason = format!("budget exhausted: it used more than it had of budget {}", stop.budget);
        let fails = self.terms(id).is_some_and(|terms| terms.over_budget == OverBudget::Fail);
        self.stop_attempt(step, id, &reason, !fails);
    }

    /// Says that the agents that could do a task are given nothing for a budget of theirs.
    pub(in crate::state) fn why_withheld(&self, budget: &Budget, since: Timestamp) -> Why {
        let hint = format!("it has too little left for the next task of {}", budget.spec.scope).into();
        let until = budget.turns_at(self.meta.now);
        Why::HeldBack { on: ParkedOn::Budget(budget.spec.name.clone()), since, until, hint }
    }

    /// Says what a parked task lacks of a budget.
    pub(in crate::state) fn short_of_budget(&self, task: TaskId, name: &Name) -> Option<Short> {
        let (budget, task) = (self.budgets.all.get(name)?, self.tasks.get(&task)?);
        budget.covers(&self.estimate(task), self.meta.now).err()
    }
}

const fn governing(kind: AlertKind) -> Governing {
    match kind {
        AlertKind::Warned => Governing::BudgetWarned,
        AlertKind::Exhausted => Governing::BudgetExhausted,
        AlertKind::Reopened => Governing::BudgetReopened,
    }
}

fn detail(alert: &Alert) -> String {
    let figure = |figure| Figure(alert.measure, figure);
    format!("{} of {} are spent in its window ({})", figure(alert.spent), figure(alert.most), alert.window)
}
