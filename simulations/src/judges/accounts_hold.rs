//! A provider is left alone: nothing of its account begins before the pause is over that it asked for, nor beyond its
//! quota in one window. What waits for either goes when its time has come, and a refusal uses up no attempt.
//!
//! Source: issue 5, "providers: 429, quota windows, timeouts"; docs, "Accounts of providers". The pause is the one that
//! the agent asked for, at least a second from the time of the entry that took its word. A type `asks-acme` is work of
//! account `acme`. How often the window of a quota lets it begin was said before the world began.
//!
//! Time passes with each entry of the log, and with it what waits for a time: so a look that shows a pause which is over
//! by the time of its state is wrong at once, and so is work that waits for a pause that there is not. A window that has
//! turned has more to give than those who wait for it may take at once: these go one after the other, so a quota is given
//! a while in which nothing of it is used.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use synod::node::domain::budget::window::Window;
use synod::node::domain::event::{Event, Governing};
use synod::node::domain::id::TaskId;
use synod::node::domain::task::Phase;
use synod::node::domain::time::Timestamp;

use crate::history::{Fact, Governance, Plan, Record, Request};
use crate::judges::work::{Heard, Lease, Work, is_failure};
use crate::judges::{Judge, Verdict, broken};
use crate::workload::{ASKS, ATTEMPTS, REFUSAL, Workload};

pub(super) const JUDGE: Judge = Judge {
    name: "accounts hold",
    says: "nothing of an account begins in a pause of its provider or beyond its quota, and nothing waits longer than for these",
    look,
};

/// The shortest pause: who asks for less is left alone for this long.
const PAUSE_MIN: Duration = Duration::from_secs(1);

/// How long the minutes of a world are.
const MINUTE_MS: u64 = 60_000;

/// How long work may wait for a quota of which nothing is used: longer than those have it to themselves that were let go.
const UNUSED: Duration = Duration::from_secs(6);

/// What began of an account since its quota was made.
#[derive(Debug, Default)]
struct Quota {
    /// The last entry of the log of whose leases it knows nothing.
    from: u64,
    /// Whether it was there before: nobody knows when its window opened.
    blind: bool,
    began: Vec<Begun>,
}

/// An attempt that was given out.
#[derive(Debug)]
struct Begun {
    task: TaskId,
    attempt: u32,
    at: Timestamp,
    /// Whether it counts: one that ends before it began opens a window and is not in it.
    counts: bool,
}

#[derive(Debug, Default)]
struct Accounts {
    plan: Plan,
    /// How long agents asked for, by their attempt.
    asked: BTreeMap<(TaskId, u32), Duration>,
    /// Until when each account is to be left alone.
    until: BTreeMap<String, Timestamp>,
    quotas: BTreeMap<String, Quota>,
    started: BTreeSet<(TaskId, u32)>,
    /// How often a task of which everything is known failed by itself.
    failures: BTreeMap<TaskId, u32>,
    /// Whether the next look says which quotas there are.
    blind: bool,
    /// Since when work waits for a quota of which nothing is used.
    idle: BTreeMap<String, Timestamp>,
}

fn look(history: &[Record]) -> Verdict {
    let mut accounts = Accounts { plan: Plan::said(history), ..Accounts::default() };
    if !accounts.plan.has(Workload::Providers) {
        return Ok(0);
    }
    let (mut work, mut checked) = (Work::default(), 0);
    for (place, record) in history.iter().enumerate() {
        let mut index = 0;
        if let Fact::Asked { request: Request::Limited { task, attempt, pause }, .. } = &record.fact {
            accounts.asked.insert((*task, *attempt), *pause);
        }
        if let Fact::Happened { index: of, event, at } = &record.fact {
            index = *of;
            if let Err((task, what)) = accounts.told(event, *at, &work) {
                return broken(place, Some(task), what);
            }
        }
        match work.hear(record) {
            Heard::Forgot => accounts.forget(),
            Heard::Governs(governance) => {
                if let Err(what) = accounts.looked_up(governance) {
                    return broken(place, None, what);
                }
                checked += governance.accounts.len();
            }
            Heard::Governed { what: Governing::BudgetPut, subject, .. }
                if accounts.plan.of_account(subject).is_some() =>
            {
                let quota = Quota { from: index.saturating_sub(1), blind: accounts.blind, began: Vec::new() };
                accounts.quotas.entry(subject.to_owned()).or_insert(quota);
                accounts.idle.remove(subject);
            }
            Heard::Governed { what: Governing::BudgetRemoved, subject, .. } => {
                accounts.quotas.remove(subject);
                accounts.idle.remove(subject);
            }
            Heard::Leased(lease) => {
                let Some(account) = work.kind(lease.task).strip_prefix(ASKS) else { continue };
                if let Err(what) = accounts.leased(account, index, &lease) {
                    return broken(place, Some(lease.task), what);
                }
                checked += 1;
            }
            // What was never begun has asked its provider for nothing.
            Heard::Returned(lease) => {
                let attempt = (lease.task, lease.attempt);
                if !accounts.started.contains(&attempt) {
                    let began = accounts.quotas.values_mut().flat_map(|quota| &mut quota.began);
                    let this = began.filter(|begun| (begun.task, begun.attempt) == attempt);
                    this.for_each(|begun| begun.counts = false);
                }
            }
            Heard::Governed { .. } | Heard::Completed(_) | Heard::Other => {}
        }
    }
    Ok(checked)
}

impl Accounts {
    /// What was asked for and granted stays so; what came of it since is not known.
    fn forget(&mut self) {
        self.quotas.clear();
        self.failures.clear();
        self.idle.clear();
        self.blind = true;
    }

    /// Follows how attempts end: by a refusal, which counts for nothing, or by themselves.
    fn told(&mut self, event: &Event, at: Timestamp, work: &Work) -> Result<(), (TaskId, String)> {
        match event {
            Event::TaskSubmitted { task, kind, .. } if kind.as_str().starts_with(ASKS) => {
                self.failures.insert(*task, 0);
            }
            Event::TaskStarted { task, attempt, .. } => {
                self.started.insert((*task, *attempt));
            }
            Event::TaskReady { task, .. } => {
                if let Some(account) = work.kind(*task).strip_prefix(ASKS) {
                    let is_of_another =
                        |quota: &str| self.plan.of_account(quota).is_none_or(|(of, _)| of != account);
                    self.idle.retain(|quota, _| is_of_another(quota));
                }
            }
            Event::TaskReturned { task, attempt, reason, until, .. } if **reason == *REFUSAL => {
                let asked = self.asked.get(&(*task, *attempt)).copied().unwrap_or_default();
                let over = at.after(asked.max(PAUSE_MIN));
                if *until < over {
                    return Err((
                        *task,
                        format!("its provider wants a pause until {over}, and it gets one until {until}"),
                    ));
                }
                if let Some(account) = work.kind(*task).strip_prefix(ASKS) {
                    let until = self.until.entry(account.to_owned()).or_default();
                    *until = over.max(*until);
                }
            }
            Event::TaskReturned { task, reason, .. } => {
                if let Some(failures) = self.failures.get_mut(task).filter(|_| is_failure(reason)) {
                    *failures += 1;
                }
            }
            Event::TaskEnded { task, phase: Phase::Failed | Phase::TimedOut, reason, .. } => {
                let Some(failures) = self.failures.remove(task) else { return Ok(()) };
                let reason = reason.as_deref().unwrap_or_default();
                if reason == REFUSAL {
                    return Err((*task, "it ended because its provider wanted a pause".to_owned()));
                }
                if is_failure(reason) && failures + 1 < ATTEMPTS {
                    return Err((
                        *task,
                        format!("it was given up, and only {} of its attempts failed", failures + 1),
                    ));
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn leased(&mut self, account: &str, index: u64, lease: &Lease) -> Result<(), String> {
        if let Some(until) = self.until.get(account).filter(|until| **until > lease.at) {
            return Err(format!(
                "it begins at {}, and account {account} is to be left alone until {until}",
                lease.at
            ));
        }
        for (name, quota) in &mut self.quotas {
            let Some((of, promise)) = self.plan.of_account(name) else { continue };
            if of != account || index <= quota.from {
                continue;
            }
            quota.began.push(Begun { task: lease.task, attempt: lease.attempt, at: lease.at, counts: true });
            let (count, most) = (in_window(promise.window, quota) as u64, promise.most);
            if count > most {
                return Err(format!(
                    "with it {count} of account {account} begin in one window, and {name} allows {most}"
                ));
            }
        }
        Ok(())
    }

    fn looked_up(&mut self, governance: &Governance) -> Result<(), String> {
        let now = governance.now;
        for one in &governance.accounts {
            match one.until {
                Some(until) if until <= now => {
                    return Err(format!("account {} is held until {until}, and it is {now}", one.account));
                }
                None => {
                    return Err(format!(
                        "{} wait for account {}, which is not held",
                        one.waiting, one.account
                    ));
                }
                Some(_) => {}
            }
        }
        for ledger in &governance.budgets {
            let name = ledger.budget.to_string();
            if self.plan.of_account(&name).is_none() {
                continue;
            }
            if ledger.waiting == 0 || ledger.settled + ledger.reserved + ledger.overrun > 0 {
                self.idle.remove(&name);
                continue;
            }
            let since = *self.idle.entry(name.clone()).or_insert(now);
            if since.after(UNUSED) < now {
                return Err(format!(
                    "{} wait for {name} since {since}, of which nothing is used",
                    ledger.waiting
                ));
            }
        }
        if std::mem::take(&mut self.blind) {
            let names = governance.budgets.iter().map(|ledger| ledger.budget.to_string());
            let names = names.filter(|name| self.plan.of_account(name).is_some());
            let quota = || Quota { from: governance.index, blind: true, began: Vec::new() };
            self.quotas = names.map(|name| (name, quota())).collect();
        }
        Ok(())
    }
}

/// Counts what began in the window of the last; nothing where it is not known when that opened.
fn in_window(window: Window, quota: &Quota) -> usize {
    let Some(last) = quota.began.last() else { return 0 };
    let of = |begun: &&Begun| begun.counts;
    let length = match window {
        Window::Opened { length_ms } if !quota.blind => Duration::from_millis(length_ms),
        Window::Minute => {
            let minute = |at: Timestamp| at.as_millis() / MINUTE_MS;
            return quota.began.iter().filter(of).filter(|begun| minute(begun.at) == minute(last.at)).count();
        }
        _ => return 0,
    };
    let (mut opened, mut count) = (Timestamp::ZERO, 0);
    for begun in &quota.began {
        if begun.at >= opened.after(length) {
            (opened, count) = (begun.at, 0);
        }
        count += usize::from(begun.counts);
    }
    count
}

#[cfg(test)]
mod tests {
    use crate::history::{Account, Covers, Ledger};
    use crate::judges::histories::*;

    use super::*;

    fn lease(millis: u64, number: u128, attempt: u32) -> Fact {
        let workspace = synod::node::domain::name::Name::default();
        happened_at(9, millis, Event::TaskLeased { task: task(number), workspace, agent: agent(9), attempt })
    }

    fn returns(millis: u64, number: u128, reason: &str, until: u64) -> Fact {
        let workspace = synod::node::domain::name::Name::default();
        let (reason, until) = (reason.into(), Timestamp::from_millis(until));
        let event =
            Event::TaskReturned { task: task(number), workspace, agent: agent(9), attempt: 1, reason, until };
        happened_at(9, millis, event)
    }

    fn starts(number: u128) -> Fact {
        let workspace = synod::node::domain::name::Name::default();
        happened(9, Event::TaskStarted { task: task(number), workspace, agent: agent(9), attempt: 1 })
    }

    fn limited(millis: u64) -> Fact {
        asked(1, Request::Limited { task: task(1), attempt: 1, pause: Duration::from_millis(millis) })
    }

    fn work(more: impl IntoIterator<Item = Fact>) -> Verdict {
        let facts = [(1, "asks-acme"), (2, "asks-acme"), (3, "asks-zeno")];
        let facts = facts.map(|(number, kind)| submitted_as(1, number, kind));
        let quota = |name, window, account: &str| (name, 1, window, Covers::Account(account.to_owned()));
        let opened = Window::Opened { length_ms: 60_000 };
        let plan = may_have_budgets([
            quota("minute-acme-1", Window::Minute, "acme"),
            quota("opened-acme-1", opened, "acme"),
            quota("minute-zeno-1", Window::Minute, "zeno"),
        ]);
        look(&history([plan].into_iter().chain(facts).chain(more)))
    }

    #[test]
    fn what_begins_in_the_pause_of_its_provider_is_found_and_work_of_another_account_is_not() {
        let then =
            |more: Fact| work([lease(100, 1, 1), limited(3_000), returns(200, 1, REFUSAL, 3_200), more]);
        assert_eq!(then(lease(3_200, 2, 1)), Ok(2));
        assert!(then(lease(3_199, 2, 1)).is_err());
        assert_eq!(then(lease(300, 3, 1)), Ok(2), "it is another's");
        let sooner = |until| work([lease(100, 1, 1), limited(3_000), returns(200, 1, REFUSAL, until)]);
        assert!(sooner(3_199).is_err() && sooner(3_200).is_ok());
        let brief = work([lease(100, 1, 1), limited(5), returns(200, 1, REFUSAL, 1_200), lease(1_199, 2, 1)]);
        assert!(brief.is_err(), "a pause lasts a second at least");
    }

    #[test]
    fn more_than_a_quota_allows_in_one_window_is_found() {
        let put = |name: &str| governed(2, Governing::BudgetPut, name, None);
        let two = |name: &str, first, second| work([put(name), lease(first, 1, 1), lease(second, 2, 1)]);
        assert!(two("minute-acme-1", 59_000, 59_999).is_err());
        assert_eq!(two("minute-acme-1", 59_999, 60_000), Ok(2));
        assert!(two("opened-acme-1", 100_000, 159_999).is_err());
        assert_eq!(two("opened-acme-1", 100_000, 160_000), Ok(2));
        assert_eq!(two("minute-zeno-1", 59_000, 59_999), Ok(2), "it is another's");
        let unbegun = |begins: bool| {
            let started = begins.then(|| starts(1));
            let facts = [put("minute-acme-1"), lease(1, 1, 1)].into_iter().chain(started);
            work(facts.chain([returns(2, 1, "its node is gone", 2), lease(3, 2, 1)]))
        };
        assert_eq!(unbegun(false), Ok(2));
        assert!(unbegun(true).is_err());
    }

    #[test]
    fn a_refusal_that_counts_as_a_failure_is_found() {
        let fails = || returns(1, 1, crate::agent::SCRIPTED_FAILURE, 1);
        let over = |reason: &str| {
            let (task, workspace) = (task(1), synod::node::domain::name::Name::default());
            let (phase, reason) = (Phase::Failed, Some(reason.into()));
            happened(9, Event::TaskEnded { task, workspace, phase, reason, agent: None, run: None })
        };
        let failed = || over(crate::agent::SCRIPTED_FAILURE);
        assert!(work([fails(), fails(), failed()]).is_ok());
        assert!(work([returns(1, 1, REFUSAL, 1_001), fails(), failed()]).is_err());
        assert!(work([fails(), fails(), over(REFUSAL)]).is_err());
        assert!(work([over("given up after 10 lost agents")]).is_ok());
    }

    #[test]
    fn what_waits_for_longer_than_it_must_is_found() {
        let account = |until: Option<u64>| {
            let until = until.map(Timestamp::from_millis);
            let accounts = vec![Account { account: "acme".parse().unwrap(), until, waiting: 2 }];
            let now = Timestamp::from_millis(500);
            work([Fact::Governs(Governance { accounts, now, ..Governance::default() })])
        };
        assert_eq!(account(Some(501)), Ok(1));
        assert!(account(Some(500)).is_err() && account(None).is_err());
        let quota = |millis, reserved| {
            let budget = "minute-acme-1".parse().unwrap();
            let budgets = vec![Ledger { budget, settled: 0, reserved, overrun: 0, waiting: 3 }];
            let now = Timestamp::from_millis(millis);
            Fact::Governs(Governance { budgets, now, ..Governance::default() })
        };
        assert!(work([quota(1, 0), quota(6_001, 0)]).is_ok());
        assert!(work([quota(1, 0), quota(6_002, 0)]).is_err());
        assert!(work([quota(1, 0), quota(3_000, 1), quota(6_002, 0)]).is_ok());
    }
}
