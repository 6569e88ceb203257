//! What a task has to pass before it is given out, and who is told what becomes of it.
//!
//! ```text
//!   submit ─► submitted     claim ─► gate ─► granted ─► attempt_closed ─► task_over
//!                                     │
//!                                     ├─► parked, until `let_go`
//!                                     └─► ended
//! ```
//!
//! One line here for each thing that governs; the rules are with each of them. A gate is asked when the task is the next
//! that its claimant would be given, and what is asked for in a gate is taken in `granted`, in the same step: nobody
//! comes in between, and a task that one gate holds back has taken nothing at another.

use std::sync::Arc;

use crate::agent::Agent;
use crate::id::{AgentId, TaskId};
use crate::name::Name;
use crate::parking::{ParkedOn, Parking};
use crate::state::wakes::Wake;
use crate::state::{State, Step};
use crate::task::{AttemptEnd, Outcome, Task, Usage};
use crate::time::Timestamp;
use crate::why::Why;

/// How many tasks one claim holds back or ends at most, on its way to one that may go. The next claim goes on; more
/// would let others wait for it.
pub(super) const HELD_BACK_AT_ONCE: usize = 1024;

/// What a gate says to a task.
#[derive(Debug, PartialEq)]
pub(super) enum Gate {
    /// It may go.
    Open,
    /// It is held back by this.
    Shut(ParkedOn),
    /// It will not go.
    End(Outcome),
    /// Its claimant is given nothing before something of this budget of its own comes free; another may take it.
    NotThisClaimant(Name),
}

/// An attempt that is over, as those who govern are told.
pub(super) struct Closed<'a> {
    /// The task, its lease still in its status.
    pub(super) task: &'a Task,
    /// Who held it.
    pub(super) agent: AgentId,
    /// How the attempt ended.
    pub(super) end: &'a AttemptEnd,
    /// What it reported to have used; `None` when nobody reported.
    pub(super) usage: Option<&'a Usage>,
}

impl State {
    /// Asks everything that governs whether the next task may go to a claimant.
    pub(super) fn gate(&self, step: &Step, task: &Task, claimant: &Agent) -> Gate {
        // Each gate returns early unless it is open.
        let shut = self
            .held_by_another(task.spec.id)
            .or_else(|| self.breaker_gate(task))
            .or_else(|| self.limit_gate(task));
        if let Some(on) = shut {
            return Gate::Shut(on);
        }
        match self.policy_gate(task, claimant) {
            Gate::Open => {}
            shut => return shut,
        }
        match self.budget_gate(step, task, claimant) {
            Gate::Open => {}
            shut => return shut,
        }
        // The last of all: what is set aside for a task is there for it when nothing else holds it back.
        if let Some(on) = self.held_by_resources(task) {
            return Gate::Shut(on);
        }
        Gate::Open
    }

    /// Tells everything that governs that a task was given out.
    pub(super) fn granted(&mut self, step: &mut Step, task: &Arc<Task>) {
        self.reserve_budgets(step, task);
        self.breaker_granted(step, task);
        self.quota_granted(step, task);
        self.limit_granted(step, task);
        self.take_resources(task.spec.id);
    }

    /// Tells everything that governs that an attempt is over, before its lease is taken away.
    pub(super) fn attempt_closed(&mut self, step: &mut Step, closed: &Closed<'_>) {
        self.settle_budgets(step, closed);
        self.breaker_closed(step, closed);
        self.quota_closed(step, closed);
        self.limit_closed(step, closed);
        self.give_resources_back(step, closed.task.spec.id);
    }

    /// Tells everything that governs that a task has ended.
    pub(super) fn task_over(&mut self, step: &mut Step, task: &Task) {
        self.note_over(step, task);
        self.breaker_passed(step, task);
        self.limit_over(step, task);
        self.leave_resources(step, task.spec.id);
        self.withdraw_approvals(step, task.spec.id);
    }

    /// Tells everything that governs that a task was accepted; it is not in its mailbox yet. What is returned holds it
    /// back from the start.
    pub(super) fn submitted(&mut self, step: &mut Step, task: &Task) -> Option<ParkedOn> {
        let limit = self.limit_submitted(task);
        // Approvals are asked for once, here; what else holds a task back is asked again by its gate.
        self.policies_on_submit(step, task).or_else(|| self.held_by_another(task.spec.id)).or(limit)
    }

    /// Returns when something that holds tasks back is looked at by itself; `None` when an event wakes it.
    pub(super) fn opens_at(&self, on: &ParkedOn) -> Option<Timestamp> {
        match on {
            ParkedOn::Task(_)
            | ParkedOn::Approval(_)
            | ParkedOn::Resource(_)
            | ParkedOn::Quota(_)
            | ParkedOn::Policy(_)
            | ParkedOn::Beyond(_) => None,
            ParkedOn::Budget(budget) => self.budget_opens_at(budget),
            ParkedOn::Account(account) => self.account_opens_at(account),
            ParkedOn::Breaker(of) => self.breaker_opens_at(of),
            ParkedOn::Limit { set, key } => self.limit_opens_at(set, key),
        }
    }

    /// Looks at something whose time has come.
    pub(super) fn wake(&mut self, step: &mut Step, what: &Wake) {
        match what {
            Wake::Parked(on) => self.look_at_parked(step, on),
            Wake::Resources(task) => self.wait_is_over(step, *task),
            Wake::Hook(hook) => self.look_at_hook(step, *hook),
            Wake::Budget(what) => self.wake_budget(step, what),
            Wake::Breaker(of) => self.breaker_elapsed(step, of),
            Wake::Approvals => self.expire_approvals(step),
        }
    }

    /// Tells those for whom a task was about to go that something else holds it back: others may go in its place.
    pub(super) fn passed_over(&mut self, step: &mut Step, task: TaskId, on: &ParkedOn) {
        let Some(task) = self.tasks.get(&task).cloned() else { return };
        if !matches!(on, ParkedOn::Breaker(_)) {
            self.breaker_passed(step, &task);
        }
        self.limit_passed(step, &task, on);
    }

    /// Lets go what may go, of what something holds back.
    pub(super) fn look_at_parked(&mut self, step: &mut Step, on: &ParkedOn) {
        // Some choose which may go.
        if let ParkedOn::Budget(budget) = on
            && self.budget(budget).is_some()
        {
            return self.review_budget(step, budget, true);
        }
        if let ParkedOn::Breaker(of) = on {
            return self.look_behind_breaker(step, of);
        }
        if let ParkedOn::Limit { set, key } = on {
            return self.look_behind_limit(step, set, key);
        }
        let room = self.room_for(on);
        self.let_go(step, on, room);
    }

    /// Returns how many of those that something holds back may go now.
    fn room_for(&self, on: &ParkedOn) -> usize {
        match on {
            ParkedOn::Task(_)
            | ParkedOn::Approval(_)
            | ParkedOn::Budget(_)
            | ParkedOn::Account(_)
            | ParkedOn::Resource(_)
            | ParkedOn::Quota(_)
            | ParkedOn::Policy(_)
            | ParkedOn::Beyond(_) => usize::MAX,
            ParkedOn::Breaker(_) | ParkedOn::Limit { .. } => 0,
        }
    }

    /// Says what a parked task lacks, and what to do.
    pub(super) fn why_parked(&self, task: &Task, parking: &Parking) -> Why {
        if let ParkedOn::Budget(budget) = &parking.on
            && let Some(short) = self.short_of_budget(task.spec.id, budget)
        {
            let hint = format!("{short}; raise the budget, or wait until something comes free").into();
            return Why::HeldBack { on: parking.on.clone(), since: parking.at, until: short.turns_at, hint };
        }
        if let ParkedOn::Beyond(budget) = &parking.on
            && let Some(short) = self.beyond_budget(task, budget)
        {
            let hint = format!("{short}; raise the budget, or submit it with a smaller estimate").into();
            return Why::HeldBack { on: parking.on.clone(), since: parking.at, until: None, hint };
        }
        let lacking;
        let hint = match &parking.on {
            ParkedOn::Breaker(of) => return self.why_of_breaker(of, parking.at),
            ParkedOn::Limit { set, key } => return self.why_of_limit(set, key, parking),
            ParkedOn::Task(_) => "it completes first; wait, or cancel one of them",
            ParkedOn::Approval(approval) => {
                return Why::HeldBack {
                    on: parking.on.clone(),
                    since: parking.at,
                    until: self.approval_ends(approval),
                    hint: self.approval_hint(approval),
                };
            }
            ParkedOn::Budget(_) | ParkedOn::Beyond(_) => {
                "nothing is left for it; raise the budget, or wait until its window turns"
            }
            ParkedOn::Account(_) => "its provider takes nothing for a while; wait",
            ParkedOn::Resource(name) => {
                lacking = self.why_lacking(task, name);
                &lacking
            }
            ParkedOn::Quota(_) => "as much is in hand as it allows; wait, or raise the quota",
            ParkedOn::Policy(_) => self.hint_of_barred(task),
        };
        Why::HeldBack {
            on: parking.on.clone(),
            since: parking.at,
            until: self.opens_at(&parking.on),
            hint: hint.into(),
        }
    }

    /// Returns the terms of a task that has some of its own.
    pub fn terms(&self, task: TaskId) -> Option<&Arc<crate::terms::Terms>> {
        self.terms.get(&task)
    }
}
