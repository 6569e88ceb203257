//! A budget is never passed: whoever is given a lease finds room for what it is expected to use beside everything that
//! was used and is promised, and what is settled and promised together passes a limit by one report at most.
//!
//! Source: issue 6, "the sum of settled + reserved never passes a hard limit by more than one report"; domain, `budget`.
//! The figures of a lease are those of the world and not of the ledger: what the types of tasks say, and what agents say
//! that completed. What became of an attempt that was lost is not known, and counts as nothing. A budget is called by the
//! most that it ever allows.

use std::collections::BTreeMap;

use synod::node::domain::budget::amount::FIGURE_MAX;
use synod::node::domain::event::Governing;
use synod::node::domain::id::TaskId;
use synod::node::domain::time::Timestamp;

use crate::history::{Fact, Governance, Record};
use crate::judges::work::{Heard, Lease, Work, figure};
use crate::judges::{Judge, Verdict, broken};

pub(super) const JUDGE: Judge = Judge {
    name: "budgets hold",
    says: "no lease and no report passes a budget by more than one report",
    look,
};

/// How long the windows of a world are.
const WINDOW_MS: u64 = 60_000;

/// What an attempt takes of a budget.
#[derive(Debug, Clone)]
struct Taken {
    task: TaskId,
    /// When its lease was given.
    at: Timestamp,
    tokens: u64,
    /// Whether it is over.
    settled: bool,
}

#[derive(Debug, Default)]
struct Budgets {
    there: BTreeMap<String, Vec<Taken>>,
    /// What attempts said that they used, each at its end.
    said: BTreeMap<(TaskId, u32), u64>,
    /// What attempts said so far.
    telling: BTreeMap<(TaskId, u32), u64>,
}

fn look(history: &[Record]) -> Verdict {
    let (mut budgets, mut work, mut checked) = (Budgets::default(), Work::default(), 0);
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
            Heard::Forgot => budgets.there.clear(),
            Heard::Governs(governance) => {
                if let Some(what) = budgets.looked_up(governance) {
                    return broken(place, None, what);
                }
                checked += governance.budgets.len();
            }
            Heard::Governed { what: Governing::BudgetPut, subject, .. } => {
                budgets.there.entry(subject.to_owned()).or_default();
            }
            Heard::Governed { what: Governing::BudgetRemoved, subject, .. } => {
                budgets.there.remove(subject);
            }
            // What is promised stays promised.
            Heard::Governed { what: Governing::BudgetReset, subject, .. } => {
                if let Some(taken) = budgets.there.get_mut(subject) {
                    taken.retain(|one| !one.settled);
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
    if kind.starts_with("spends-") { figure(kind) } else { None }
}

impl Budgets {
    /// Returns the largest report so far. What an attempt says at its end is one like those on the way, and may be a lie as
    /// large as it likes.
    fn one_report(&self) -> u64 {
        self.telling.values().chain(self.said.values()).copied().max().unwrap_or(0)
    }

    fn looked_up(&mut self, governance: &Governance) -> Option<String> {
        let one_report = self.one_report();
        for ledger in &governance.budgets {
            let most = figure(ledger.budget.as_str())?;
            let both = ledger.settled.saturating_add(ledger.reserved);
            if both > most.saturating_add(one_report) {
                return Some(format!(
                    "{both} of budget {} are settled and reserved, and no attempt said more than {one_report}",
                    ledger.budget
                ));
            }
        }
        let names = governance.budgets.iter().map(|ledger| ledger.budget.to_string());
        self.there = names.map(|name| self.there.remove_entry(&name).unwrap_or((name, Vec::new()))).collect();
        None
    }

    /// Takes what a lease is expected to use, and says which budget had no room for it.
    fn leased(&mut self, lease: &Lease, tokens: u64) -> Option<String> {
        let mut passed = None;
        let one_report = self.one_report();
        for (name, taken) in &mut self.there {
            taken.push(Taken { task: lease.task, at: lease.at, tokens, settled: false });
            let counts = |one: &&Taken| counts(name, one.at, lease.at);
            let sum = taken.iter().filter(counts).fold(0_u64, |sum, one| sum.saturating_add(one.tokens));
            // World 107 counts 202 more than the ledger did, for a reason that is not understood: what is promised is
            // held to the same bound as what is looked up.
            if figure(name).is_some_and(|most| sum > most.saturating_add(one_report)) {
                passed = Some(format!("with it {sum} of budget {name} are used or promised"));
            }
        }
        passed
    }

    fn over(&mut self, lease: &Lease, completed: bool) {
        let said = self.said.get(&(lease.task, lease.attempt)).copied().filter(|_| completed);
        for taken in self.there.values_mut() {
            let this = |one: &Taken| one.task == lease.task && one.at == lease.at && !one.settled;
            let Some(place) = taken.iter().position(this) else { continue };
            match said {
                // Who says nothing has used what was expected.
                Some(0) => taken[place].settled = true,
                Some(said) => {
                    taken[place] =
                        Taken { tokens: said.min(FIGURE_MAX / 2), settled: true, ..taken[place].clone() };
                }
                None => {
                    taken.remove(place);
                }
            }
        }
    }
}

/// Tells whether what was given out at a time counts later. The name of a budget says which window it has.
fn counts(budget: &str, given: Timestamp, now: Timestamp) -> bool {
    let (given, now) = (given.as_millis(), now.as_millis());
    match budget.split('-').next() {
        Some("vault") => true,
        Some("lent") => given + WINDOW_MS > now,
        _ => given / WINDOW_MS == now / WINDOW_MS,
    }
}

#[cfg(test)]
mod tests {
    use synod::node::domain::task::{Phase, Usage};

    use crate::history::Ledger;
    use crate::judges::histories::*;

    use super::*;

    fn put() -> Fact {
        governed(1, Governing::BudgetPut, "vault-1000", None)
    }

    fn used(number: u128, tokens_out: u64) -> Fact {
        Fact::Uses { task: task(number), attempt: 1, usage: Usage { tokens_out, ..Usage::default() } }
    }

    fn of(number: u128) -> Fact {
        submitted_as(1, number, "spends-500")
    }

    #[test]
    fn a_lease_without_room_is_found_and_one_with_room_is_not() {
        let three = || [of(1), of(2), of(3), of(4), put(), leased(2, 1, 1), leased(3, 2, 1)];
        assert_eq!(look(&history(three())), Ok(2));
        assert!(look(&history(three().into_iter().chain([leased(4, 3, 1)]))).is_err());
        let ends =
            |used: Fact| three().into_iter().chain([used, ended(4, 1, Phase::Completed), leased(5, 3, 1)]);
        assert_eq!(look(&history(ends(used(1, 400)))), Ok(3), "passed by one report");
        assert!(look(&history(ends(used(1, 400)).chain([leased(6, 4, 1)]))).is_err(), "what was used counts");
        assert!(look(&history(ends(used(1, 0)))).is_err(), "what was not said counts as it was expected");
        let reset = governed(5, Governing::BudgetReset, "vault-1000", None);
        let renewed =
            three().into_iter().chain([used(1, 400), ended(4, 1, Phase::Completed), reset, leased(5, 3, 1)]);
        assert_eq!(look(&history(renewed)), Ok(3));
    }

    #[test]
    fn what_was_lost_or_is_of_another_window_is_not_held_against_a_budget() {
        let facts =
            [of(1), of(2), of(3), put(), leased(2, 1, 1), leased(3, 2, 1), ended(4, 1, Phase::TimedOut)];
        assert_eq!(look(&history(facts.into_iter().chain([leased(5, 3, 1)]))), Ok(3));
        assert!(counts("purse-1", Timestamp::from_millis(59_000), Timestamp::from_millis(59_999)));
        assert!(!counts("purse-1", Timestamp::from_millis(59_000), Timestamp::from_millis(60_000)));
        assert!(counts("lent-1", Timestamp::from_millis(59_000), Timestamp::from_millis(60_000)));
    }

    #[test]
    fn a_ledger_that_is_passed_by_more_than_one_report_is_found() {
        let says = |tokens| Fact::Spends { task: task(1), attempt: 1, tokens };
        let stands = |settled| {
            let ledger = Ledger { budget: "vault-1000".parse().unwrap(), settled, reserved: 600 };
            Fact::Governs(Governance { budgets: vec![ledger], ..Governance::default() })
        };
        assert_eq!(look(&history([says(300), stands(700)])), Ok(1));
        assert!(look(&history([says(300), stands(701)])).is_err());
    }
}
