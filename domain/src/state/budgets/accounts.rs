//! Accounts of providers that want to be left alone for a while.
//!
//! A provider that answers "too many requests" says nothing about the task: the attempt is over, the task is not at
//! fault, and all work of the account waits. A quota that is used up is another thing: that is a budget of the account.

use std::time::Duration;

use crate::budget::row::{BudgetKey, HeldAccount};
use crate::event::{Event, Governing};
use crate::id::TaskId;
use crate::mutants::{Mutant, mutant};
use crate::name::Name;
use crate::parking::ParkedOn;
use crate::reply::{Answer, Reply};
use crate::state::budgets::BudgetWake;
use crate::state::wakes::Wake;
use crate::state::{State, Step};
use crate::task::{AttemptEnd, Task, Usage, bounded_reason};
use crate::time::Timestamp;

/// The shortest pause: providers that ask for none would be asked again at once.
const RETRY_AFTER_MIN: Duration = Duration::from_secs(1);

/// The longest pause. What takes longer is a quota, and a budget is for that.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// How many accounts may be held at a time; of more, only the task that was refused waits.
const ACCOUNTS_MAX: usize = 10_000;

impl State {
    pub(super) fn rate_limited(
        &mut self,
        step: &mut Step,
        (id, attempt): (TaskId, u32),
        retry_after: Duration,
        reason: &str,
        usage: &Usage,
    ) -> Answer {
        let task = self.leased_task(id, attempt)?.clone();
        let until = step.now.after(retry_after.clamp(RETRY_AFTER_MIN, RETRY_AFTER_MAX));
        let reason = bounded_reason(reason);
        let account = self.terms(id).and_then(|terms| terms.account.clone());
        if let Some(account) = account.filter(|_| !mutant(Mutant::DisturbTheProvider)) {
            self.hold_account(step, &account, &task, HeldAccount { until, reason: reason.clone() });
        }
        drop(task);
        if mutant(Mutant::CountTheRefusal) {
            self.stop_attempt(step, id, &reason, true);
            return Ok(Reply::WillRetry { until });
        }
        self.close_attempt(step, id, AttemptEnd::Lost(reason.clone()), Some(usage));
        self.put_back(step, id, &reason, until);
        Ok(Reply::WillRetry { until })
    }

    fn hold_account(&mut self, step: &mut Step, account: &Name, task: &Task, held: HeldAccount) {
        let accounts = &mut self.budgets.accounts;
        let known = accounts.get(account).map(|known| known.until);
        // The later of two pauses counts.
        if known.is_some_and(|known| known >= held.until)
            || (known.is_none() && accounts.len() >= ACCOUNTS_MAX)
        {
            return;
        }
        step.events.push(Event::Governed {
            what: Governing::AccountHeld,
            subject: account.as_str().into(),
            workspace: Some(task.spec.workspace.clone()),
            task: Some(task.spec.id),
            agent: task.lease().map(|lease| lease.agent),
            detail: held.reason.clone(),
        });
        accounts.insert(account.clone(), held);
        self.touch_budget(BudgetKey::Account(account.clone()));
        self.rearm_account(account);
        self.rearm(&ParkedOn::Account(account.clone()));
    }

    /// Returns the account for which a task waits.
    pub(super) fn account_held(&self, task: &Task, now: Timestamp) -> Option<Name> {
        if self.budgets.accounts.is_empty() {
            return None;
        }
        let account = self.terms(task.spec.id)?.account.as_ref()?;
        self.budgets.accounts.get(account).filter(|held| held.until > now).map(|_| account.clone())
    }

    /// Returns when an account need not be left alone any more.
    pub(in crate::state) fn account_opens_at(&self, account: &Name) -> Option<Timestamp> {
        self.budgets.accounts.get(account).map(|held| held.until)
    }

    /// Lets the work of an account go when its time has come.
    pub(super) fn free_account(&mut self, step: &mut Step, account: &Name) {
        if self.account_opens_at(account).is_none_or(|until| until > step.now) {
            return;
        }
        self.budgets.accounts.remove(account);
        self.touch_budget(BudgetKey::Account(account.clone()));
        self.let_go(step, &ParkedOn::Account(account.clone()), usize::MAX);
    }

    pub(super) fn rearm_account(&mut self, account: &Name) {
        let at = self.account_opens_at(account);
        self.wakes.set(Wake::Budget(BudgetWake::Account(account.clone())), at);
    }
}
