//! A budget is never passed: whoever is given a lease finds room for what it is expected to use beside everything that
//! was used and is promised, and what is settled and promised together passes a limit by one report at most.
//!
//! Source: issue 6, "the sum of settled + reserved never passes a hard limit by more than one report"; domain, `budget`.
//! The figures of a lease are those of the world and not of the ledger: what the types of tasks say, and what agents say
//! that completed. What became of an attempt that was lost is not known, and counts as nothing. The most that a budget ever
//! allows is what was said of it before the world began; of a budget that nobody spoke of nothing is expected.
//!
//! A lease is held to the limit itself, for the gate asks before it promises. What was used is known when it is too late,
//! so what is looked up may pass the limit by the largest report of those whom the budget covers.

use std::collections::BTreeMap;

use synod::node::domain::budget::amount::FIGURE_MAX;
use synod::node::domain::budget::window::Window;
use synod::node::domain::event::Governing;
use synod::node::domain::id::TaskId;
use synod::node::domain::time::Timestamp;

use crate::history::{Covers, Fact, Governance, Ledger, Plan, Record};
use crate::judges::work::{Heard, Lease, Work, figure};
use crate::judges::{Judge, Verdict, broken};
use crate::workload::Workload;

pub(super) const JUDGE: Judge = Judge {
    name: "budgets hold",
    says: "no lease passes a budget, and reports pass it by one of them at most",
    look,
};

/// How the types of tasks begin that say what they are expected to use.
const SPENDS: &str = "spends-";

/// How long the minutes of a world are.
const MINUTE_MS: u64 = 60_000;

/// What an attempt takes of a budget.
#[derive(Debug, Clone)]
struct Taken {
    task: TaskId,
    /// When its lease was given.
    at: Timestamp,
    tokens: u64,
    /// Whether it is over.
    settled: bool,
    /// Whether its budget was reset while it ran: what it had used beyond its reservation by then was forgotten.
    forgiven: bool,
}

#[derive(Debug, Default)]
struct Budgets {
    plan: Plan,
    /// Those of the plan that there are.
    there: BTreeMap<String, Vec<Taken>>,
    /// What attempts said that they used, each at its end.
    said: BTreeMap<(TaskId, u32), u64>,
    /// What attempts said so far.
    telling: BTreeMap<(TaskId, u32), u64>,
    /// Whether the next look says which budgets there are: what happened since the last one is not known.
    blind: bool,
}

fn look(history: &[Record]) -> Verdict {
    let mut budgets = Budgets { plan: Plan::said(history), ..Budgets::default() };
    if !budgets.plan.has(Workload::Budgets) {
        return Ok(0);
    }
    let (mut work, mut checked) = (Work::default(), 0);
    for (place, record) in history.iter().enumerate() {
        match &record.fact {
            Fact::Uses { task, attempt, usage } => {
                budgets.said.insert((*task, *attempt), usage.tokens_in.saturating_add(usage.tokens_out));
            }
            Fact::Spends { task, attempt, tokens } => {
                let said = budgets.telling.entry((*task, *attempt)).or_default();
                *said = said.saturating_add(*tokens).min(FIGURE_MAX);
            }
            _ => {}
        }
        match work.hear(record) {
            Heard::Forgot => {
                budgets.there.clear();
                budgets.blind = true;
            }
            Heard::Governs(governance) => {
                if let Some(what) = budgets.looked_up(governance, &work) {
                    return broken(place, None, what);
                }
                let known = |ledger: &&Ledger| budgets.plan.of_tokens(ledger.budget.as_str()).is_some();
                checked += governance.budgets.iter().filter(known).count();
            }
            Heard::Governed { what: Governing::BudgetPut, subject, .. }
                if budgets.plan.of_tokens(subject).is_some() =>
            {
                budgets.there.entry(subject.to_owned()).or_default();
            }
            Heard::Governed { what: Governing::BudgetRemoved, subject, .. } => {
                budgets.there.remove(subject);
            }
            // What is promised stays promised.
            Heard::Governed { what: Governing::BudgetReset, subject, .. } => {
                if let Some(taken) = budgets.there.get_mut(subject) {
                    taken.retain(|one| !one.settled);
                    taken.iter_mut().for_each(|one| one.forgiven = true);
                }
            }
            Heard::Leased(lease) => {
                let expected = estimate(work.kind(lease.task));
                let Some(tokens) = expected.filter(|_| !budgets.there.is_empty()) else { continue };
                if let Some(what) = budgets.leased(&lease, tokens) {
                    return broken(place, Some(lease.task), what);
                }
                checked += 1;
            }
            Heard::Completed(lease) => budgets.over(&lease, true),
            Heard::Returned(lease) => budgets.over(&lease, false),
            Heard::Governed { .. } | Heard::Other => {}
        }
    }
    Ok(checked)
}

/// Returns what a task of this type is expected to use.
fn estimate(kind: &str) -> Option<u64> {
    if kind.starts_with(SPENDS) { figure(kind) } else { None }
}

impl Budgets {
    /// Returns the largest report so far of those whom a budget covers: the pool takes other work as well, whose agents say
    /// what they like.
    fn one_report(&self, covers: &Covers, work: &Work) -> u64 {
        let covers = |task: TaskId| {
            let kind = work.kind(task);
            *covers == Covers::Pool || kind.is_empty() || kind.starts_with(SPENDS)
        };
        let reports = self.telling.iter().chain(&self.said).filter(|((task, _), _)| covers(*task));
        reports.map(|(_, tokens)| *tokens).max().unwrap_or(0).min(FIGURE_MAX)
    }

    fn looked_up(&mut self, governance: &Governance, work: &Work) -> Option<String> {
        for ledger in &governance.budgets {
            let name = ledger.budget.as_str();
            let Some(promise) = self.plan.of_tokens(name) else { continue };
            let one_report = self.one_report(&promise.covers, work);
            let both = ledger.settled.saturating_add(ledger.reserved);
            if both > promise.most.saturating_add(one_report) {
                return Some(format!(
                    "{both} of budget {name} are settled and reserved, and no attempt said more than {one_report}"
                ));
            }
        }
        // Whoever is looked at may be ahead of what was told, and know budgets that come after leases that are yet to be told.
        if std::mem::take(&mut self.blind) {
            let names = governance.budgets.iter().map(|ledger| ledger.budget.to_string());
            let names = names.filter(|name| self.plan.of_tokens(name).is_some());
            self.there = names.map(|name| (name, Vec::new())).collect();
        }
        None
    }

    /// Takes what a lease is expected to use, and says which budget had no room for it.
    fn leased(&mut self, lease: &Lease, tokens: u64) -> Option<String> {
        let mut passed = None;
        for (name, taken) in &mut self.there {
            let Some(promise) = self.plan.of_tokens(name) else { continue };
            taken.push(Taken { task: lease.task, at: lease.at, tokens, settled: false, forgiven: false });
            let counts = |one: &&Taken| counts(promise.window, one.at, lease.at);
            let sum = taken.iter().filter(counts).fold(0_u64, |sum, one| sum.saturating_add(one.tokens));
            if sum > promise.most {
                passed = Some(format!("with it {sum} of budget {name} are used or promised"));
            }
        }
        passed
    }

    fn over(&mut self, lease: &Lease, completed: bool) {
        let attempt = (lease.task, lease.attempt);
        let said = self.said.get(&attempt).copied().filter(|_| completed);
        // A zero at the end says nothing, unless it was reported before it.
        let silent = said == Some(0) && !self.telling.contains_key(&attempt);
        for taken in self.there.values_mut() {
            let this = |one: &Taken| one.task == lease.task && one.at == lease.at && !one.settled;
            let Some(place) = taken.iter().position(this) else { continue };
            let one = &mut taken[place];
            match said {
                // Who says nothing has used what was expected.
                Some(_) if silent => one.settled = true,
                Some(said) => {
                    let most = if one.forgiven { one.tokens } else { FIGURE_MAX / 2 };
                    (one.tokens, one.settled) = (said.min(most), true);
                }
                None => {
                    taken.remove(place);
                }
            }
        }
    }
}

/// Tells whether what was given out at a time counts later. Of windows that no world has, nothing does.
const fn counts(window: Window, given: Timestamp, now: Timestamp) -> bool {
    let (given, now) = (given.as_millis(), now.as_millis());
    match window {
        Window::Whole => true,
        Window::Rolling { length_ms } => given + length_ms > now,
        Window::Minute => given / MINUTE_MS == now / MINUTE_MS,
        Window::Hour | Window::Day | Window::Week | Window::Month | Window::Opened { .. } => false,
    }
}

#[cfg(test)]
mod tests {
    use synod::node::domain::task::{Phase, Usage};

    use crate::judges::histories::*;

    use super::*;

    /// A world in which there may be one budget.
    fn planned(facts: impl IntoIterator<Item = Fact>) -> Vec<Record> {
        history(
            [may_have_budgets([("vault-1000", 1_000, Window::Whole, Covers::Spenders)])]
                .into_iter()
                .chain(facts),
        )
    }

    fn put() -> Fact {
        governed(1, Governing::BudgetPut, "vault-1000", None)
    }

    fn used(number: u128, tokens_out: u64) -> Fact {
        Fact::Uses { task: task(number), attempt: 1, usage: Usage { tokens_out, ..Usage::default() } }
    }

    fn of(number: u128) -> Fact {
        submitted_as(1, number, "spends-500")
    }

    fn says(number: u128, tokens: u64) -> Fact {
        Fact::Spends { task: task(number), attempt: 1, tokens }
    }

    fn stands(settled: u64) -> Fact {
        let (budget, reserved) = ("vault-1000".parse().unwrap(), 600);
        let ledger = Ledger { budget, settled, reserved, overrun: 0, waiting: 0 };
        Fact::Governs(Governance { budgets: vec![ledger], ..Governance::default() })
    }

    /// Two that were given a lease, and all there was with it.
    fn two(more: impl IntoIterator<Item = Fact>) -> Verdict {
        let facts = [of(1), of(2), of(3), put(), leased(2, 1, 1), leased(3, 2, 1)];
        look(&planned(facts.into_iter().chain(more)))
    }

    #[test]
    fn a_lease_without_room_is_found_and_one_with_room_is_not() {
        assert_eq!(two([]), Ok(2));
        assert!(two([leased(4, 3, 1)]).is_err());
        let ended = || ended(4, 1, Phase::Completed);
        assert!(two([used(1, 1), ended(), leased(5, 3, 1)]).is_err(), "what was used counts");
        assert!(two([used(1, 0), ended(), leased(5, 3, 1)]).is_err(), "what was not said counts as expected");
        assert_eq!(two([says(1, 0), used(1, 0), ended(), leased(5, 3, 1)]), Ok(3), "a zero was meant");
        let reset = || governed(5, Governing::BudgetReset, "vault-1000", None);
        assert_eq!(two([used(1, 400), ended(), reset(), leased(6, 3, 1)]), Ok(3));
        let over = crate::judges::histories::ended(6, 2, Phase::Completed);
        let forgiven = [reset(), used(1, 5_000), ended(), says(2, 0), used(2, 0), over, leased(7, 3, 1)];
        assert_eq!(two(forgiven), Ok(3), "a reset forgets what was used beyond the reservation");
    }

    #[test]
    fn a_budget_is_known_by_a_look_when_what_was_told_is_not_known() {
        let leases = || [leased(2, 1, 1), leased(3, 2, 1), leased(4, 3, 1)];
        let all = |first: Vec<Fact>| {
            let facts = [of(1), of(2), of(3)].into_iter().chain(first).chain(leases());
            look(&planned(facts))
        };
        assert_eq!(all(vec![stands(0)]), Ok(1), "who is looked at may be ahead");
        assert!(all(vec![Fact::Skipped, stands(0)]).is_err());
    }

    #[test]
    fn what_was_lost_or_is_of_another_window_is_not_held_against_a_budget() {
        let facts =
            [of(1), of(2), of(3), put(), leased(2, 1, 1), leased(3, 2, 1), ended(4, 1, Phase::TimedOut)];
        assert_eq!(look(&planned(facts.into_iter().chain([leased(5, 3, 1)]))), Ok(3));
        assert!(counts(Window::Minute, Timestamp::from_millis(59_000), Timestamp::from_millis(59_999)));
        assert!(!counts(Window::Minute, Timestamp::from_millis(59_000), Timestamp::from_millis(60_000)));
        assert!(counts(
            Window::Rolling { length_ms: 60_000 },
            Timestamp::from_millis(59_000),
            Timestamp::from_millis(60_000)
        ));
    }

    #[test]
    fn a_ledger_that_is_passed_by_more_than_one_report_is_found() {
        assert_eq!(look(&planned([says(1, 300), stands(700)])), Ok(1));
        assert!(look(&planned([says(1, 300), stands(701)])).is_err());
        let lies = || [submitted_as(1, 9, "noise"), used(9, u64::MAX / 2)];
        assert!(
            look(&planned(lies().into_iter().chain([stands(1_000)]))).is_err(),
            "it is not of that budget"
        );
    }

    #[test]
    fn a_budget_of_which_nothing_was_said_is_nobodys_whatever_it_is_called() {
        let purse = |plan: Vec<Fact>| {
            let put = governed(1, Governing::BudgetPut, "vault-1000", None);
            let facts =
                [of(1), of(2), of(3), put, leased(2, 1, 1), leased(3, 2, 1), leased(4, 3, 1), stands(5_000)];
            look(&history(plan.into_iter().chain(facts)))
        };
        let others = may_have_budgets([("vault-5000", 5_000, Window::Whole, Covers::Spenders)]);
        assert_eq!((purse(vec![]), purse(vec![others])), (Ok(0), Ok(0)));
        let this = may_have_budgets([("vault-1000", 1_000, Window::Whole, Covers::Spenders)]);
        assert!(purse(vec![this]).is_err());
    }
}
