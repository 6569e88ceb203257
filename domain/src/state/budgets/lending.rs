//! Reserve before an attempt, settle after it: what a task takes from budgets and what comes back.
//!
//! All or none: the gate asks every budget that covers the task, and what was asked for there is taken in the same step.
//! What is not said counts as what was reserved. A late report is refused with its lease, so what was settled for an
//! attempt that was lost stays.

use std::time::Duration;

use crate::agent::Agent;
use crate::budget::amount::{Amount, Report};
use crate::budget::book::Used;
use crate::budget::hold::{Booked, Hold, Stop};
use crate::budget::row::BudgetKey;
use crate::budget::scope::Scope;
use crate::event::{Event, Governing};
use crate::id::TaskId;
use crate::mutants::{Mutant, mutant};
use crate::name::Name;
use crate::parking::ParkedOn;
use crate::refusal::Refusal;
use crate::reply::{Answer, Reply};
use crate::state::gates::{Closed, Gate};
use crate::state::{State, Step};
use crate::task::{AttemptEnd, MailboxId, Outcome, Task, TaskStatus};
use crate::terms::OverBudget;
use crate::time::Timestamp;

impl State {
    /// Asks the budgets and the account of a task whether it may go to a claimant.
    pub(in crate::state) fn budget_gate(&self, step: &Step, task: &Task, claimant: &Agent) -> Gate {
        if let Some(account) = self.account_held(task, step.now) {
            return Gate::Shut(ParkedOn::Account(account));
        }
        let covering = self.covering(task, claimant);
        if covering.is_empty() {
            return Gate::Open;
        }
        let asked = self.estimate(task);
        let budgets = || covering.iter().filter_map(|name| self.budgets.all.get(name));
        // First what no time helps: it has to keep neither its claimant nor those behind it waiting.
        let beyond = budgets().find_map(|budget| Some((budget, budget.beyond(&asked, step.now)?)));
        let lacking = || budgets().find_map(|budget| Some((budget, budget.covers(&asked, step.now).err()?)));
        let Some((budget, short)) = beyond.or_else(lacking) else { return Gate::Open };
        let scope = &budget.spec.scope;
        let is_anothers = scope.is_of_claimant() && !is_only_for(&task.spec.mailbox, scope);
        if is_anothers && !short.is_beyond() {
            return Gate::NotThisClaimant(short.budget);
        }
        let fails = self.terms(task.spec.id).is_some_and(|terms| terms.over_budget == OverBudget::Fail);
        if fails && !is_anothers {
            return Gate::End(Outcome::Failed { reason: short.to_string().into() });
        }
        Gate::Shut(match short.is_beyond() {
            true => ParkedOn::Beyond(short.budget),
            false => ParkedOn::Budget(short.budget),
        })
    }

    /// Tells whether no budget that covers a task in the hands of an agent is less, as a whole, than what it asks for.
    pub(in crate::state) fn could_afford(&self, task: &Task, agent: &Agent) -> bool {
        let asked = self.estimate(task);
        let covering = self.covering(task, agent);
        let mut budgets = covering.iter().filter_map(|name| self.budgets.all.get(name));
        budgets.all(|budget| budget.beyond(&asked, self.meta.now).is_none())
    }

    /// Returns what an attempt of a task is expected to use: as its terms say, as its kind does by experience, or as is
    /// set for all.
    pub(super) fn estimate(&self, task: &Task) -> Amount {
        let said = self.terms(task.spec.id).and_then(|terms| terms.estimate.as_ref());
        let asked = said.map(|estimate| Amount {
            tokens: estimate.tokens,
            cost_microusd: estimate.cost_microusd,
            compute_ms: millis(estimate.compute),
            requests: 1,
        });
        let asked = asked.or_else(|| self.average_of(task)).unwrap_or(self.budgets.common.settings.estimate);
        Amount { requests: asked.requests.max(1), ..asked }.bounded()
    }

    /// Reserves what a task that was just given out is expected to use.
    pub(in crate::state) fn reserve_budgets(&mut self, step: &mut Step, task: &Task) {
        let Some(lease) = task.lease() else { return };
        let covering = match self.agents.get(&lease.agent) {
            Some(agent) => self.covering(task, agent),
            None => return,
        };
        if covering.is_empty() || mutant(Mutant::SkipTheReserve) {
            return;
        }
        let estimate = self.estimate(task);
        let mut booked = Vec::new();
        for name in &covering {
            let Some(budget) = self.budgets.all.get_mut(name) else { continue };
            let bookings = budget.reserve(&estimate, step.now);
            booked.extend(bookings.map(|(line, booking)| Booked { budget: name.clone(), line, booking }));
        }
        let hold = Hold { attempt: lease.attempt, estimate, told: None, model: None, booked, stop: None };
        self.budgets.holds.insert(task.spec.id, hold);
        self.touch_budget(BudgetKey::Hold(task.spec.id));
        for name in covering {
            self.review_budget(step, &name, false);
        }
    }

    /// Counts what an attempt has used so far.
    pub(super) fn report_usage(
        &mut self,
        step: &mut Step,
        id: TaskId,
        attempt: u32,
        report: &Report,
        model: Option<&Name>,
    ) -> Answer {
        let task = self.leased_task(id, attempt)?.clone();
        let Some(agent) = task.lease().map(|lease| lease.agent) else {
            return Err(Refusal::LeaseLost { task: id, attempt });
        };
        let estimate = self.estimate(&task);
        let grace = self.budgets.common.settings.grace;
        let unbooked = || Hold { attempt, estimate, told: None, model: None, booked: Vec::new(), stop: None };
        let hold = self.budgets.holds.entry(id).or_insert_with(unbooked);
        let told = hold.told.unwrap_or_default().at_least(report.bounded());
        hold.told = Some(told);
        hold.model = model.cloned().or_else(|| hold.model.take());
        let used = Amount { compute_ms: worked(&task, step.now), ..told.amount() };
        let mut passed = None;
        let mut names: Vec<Name> = Vec::new();
        for Booked { budget: name, line, booking } in &mut hold.booked {
            let Some(budget) = self.budgets.all.get_mut(name) else { continue };
            if budget.raise(*line, booking, &used, step.now) {
                passed = passed.or_else(|| Some(name.clone()));
            }
            if names.last() != Some(name) {
                names.push(name.clone());
            }
        }
        if let (None, Some(budget)) = (&hold.stop, passed) {
            let detail = format!("it is stopped in {grace:?} unless it ends before").into();
            let (subject, workspace) = (budget.as_str().into(), Some(task.spec.workspace.clone()));
            let what = Governing::AttemptOverBudget;
            step.events.push(Event::Governed {
                what,
                subject,
                workspace,
                task: Some(id),
                agent: Some(agent),
                detail,
            });
            hold.stop = Some(Stop { at: step.now.after(grace), budget });
        }
        self.touch_budget(BudgetKey::Hold(id));
        self.rearm_hold(id);
        for name in names {
            self.review_budget(step, &name, false);
        }
        Ok(Reply::Done)
    }

    /// Settles what an attempt used that is over, and gives the rest back.
    pub(in crate::state) fn settle_budgets(&mut self, step: &mut Step, closed: &Closed<'_>) {
        let id = closed.task.spec.id;
        let said = closed.usage.map(|usage| Report::from(usage).bounded()).filter(|said| !said.is_zero());
        let hold = self.budgets.holds.remove(&id);
        if hold.is_none() && said.is_none() {
            return;
        }
        if hold.is_some() {
            self.touch_budget(BudgetKey::Hold(id));
            self.rearm_hold(id);
        }
        let told = hold.as_ref().and_then(|hold| hold.told);
        // Sums do not become smaller: who reports more while it works than at its end has used the more.
        let report = match (told, said) {
            (Some(told), Some(said)) => Some(told.at_least(said)),
            (told, said) => told.or(said),
        };
        let compute_ms = worked(closed.task, step.now);
        let began = matches!(closed.task.status, TaskStatus::Running { .. });
        let estimate = hold.as_ref().map(|hold| hold.estimate).unwrap_or_default();
        let used = match &report {
            Some(report) => {
                let used = report.amount();
                Amount { compute_ms, requests: used.requests.max(1), ..used }.bounded()
            }
            // Given back or lost before it said that it began: there was nothing to be used.
            None if !began && matches!(closed.end, AttemptEnd::Lost(_)) => Amount::default(),
            None => Amount { compute_ms, ..estimate },
        };
        let (model, booked) = hold.map_or((None, Vec::new()), |hold| (hold.model, hold.booked));
        let mut names: Vec<Name> = Vec::new();
        for Booked { budget: name, line, booking } in booked {
            let Some(budget) = self.budgets.all.get_mut(&name) else { continue };
            budget.settle(line, booking, &used, step.now);
            if names.last() != Some(&name) {
                names.push(name);
            }
        }
        let mut entry = Used { requests: used.requests, compute_ms, attempts: 1, ..Used::default() };
        match &report {
            Some(report) => {
                entry.add_report(&Report { requests: 0, ..*report });
                self.learn(step, closed.task, &used);
            }
            None => {
                entry.tokens_assumed = used.tokens;
                entry.cost_assumed_microusd = used.cost_microusd;
                entry.silent = 1;
            }
        }
        let model = model.or_else(|| self.terms(id).and_then(|terms| terms.model.clone()));
        self.write_down(step, &closed.task.spec.workspace, closed.agent, model, &entry);
        for name in names {
            self.review_budget(step, &name, true);
        }
    }
}

/// Returns how long an attempt has worked, in milliseconds.
fn worked(task: &Task, now: Timestamp) -> u64 {
    match &task.status {
        TaskStatus::Running { started_at, .. } => millis(now.since(*started_at)),
        _ => 0,
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Tells whether nobody outside of a scope could take what waits in a mailbox.
fn is_only_for(mailbox: &MailboxId, scope: &Scope) -> bool {
    match (mailbox, scope) {
        (MailboxId::Agent(agent), Scope::Agent(of)) => agent == of,
        (MailboxId::Agent(_), Scope::Pool(_)) => true,
        (MailboxId::Pool(pool), Scope::Pool(of)) => pool == of,
        _ => false,
    }
}
