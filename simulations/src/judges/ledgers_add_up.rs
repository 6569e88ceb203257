//! The ledger of a budget adds up: what it has promised is what those hold who have a lease under it, no more and no
//! less, and what it has counted as used is what the others said.
//!
//! Source: docs, "Reserve, settle, refund": the reservation is made in the step that grants the lease, and in the step
//! that ends it what was used is settled and the rest is free. Whether a limit is passed is for "budgets hold" to say: a
//! ledger that forgets a promise passes one only where the others leave it no room, which is seldom.
//!
//! A look says after which entry of the log it was taken, and is judged when all is heard up to there. What an attempt has
//! said by then bounds what it holds; what became of one that was lost lies between nothing and all that it said. Of a
//! budget that was there before anything was known of it, and of one that covers work of others as well, only the lesser
//! bounds are known.

use std::collections::BTreeMap;

use synod::node::domain::budget::amount::FIGURE_MAX;
use synod::node::domain::event::Governing;
use synod::node::domain::id::TaskId;
use synod::node::domain::time::Timestamp;

use crate::history::{Covers, Fact, Governance, Ledger, Plan, Promise, Record};
use crate::judges::work::{Heard, Lease, Work, figure};
use crate::judges::{Judge, Verdict, broken};
use crate::workload::Workload;

pub(super) const JUDGE: Judge = Judge {
    name: "ledgers add up",
    says: "a budget has promised what those hold who have a lease under it, and has counted what the others used",
    look,
};

/// How the types of tasks begin that say what they are expected to use.
const SPENDS: &str = "spends-";

/// The most that one report counts.
const REPORT_MAX: u64 = FIGURE_MAX / 2;

/// How far an attempt is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Course {
    /// It has its lease.
    Runs,
    /// It completed, and used this by all it said.
    Used(u64),
    /// Its lease ended in another way.
    Lost,
}

/// What an attempt takes of a budget.
#[derive(Debug, Clone)]
struct Taken {
    task: TaskId,
    attempt: u32,
    /// When its lease was given.
    at: Timestamp,
    expected: u64,
    course: Course,
    /// Whether its budget was reset while it ran: what it had used beyond its reservation by then was forgotten.
    forgiven: bool,
}

/// What is known of a budget.
#[derive(Debug, Default)]
struct Book {
    /// The last entry of the log of whose leases it knows nothing.
    from: u64,
    /// Whether it was made then.
    whole: bool,
    taken: Vec<Taken>,
}

#[derive(Debug, Default)]
struct Books {
    plan: Plan,
    /// Those budgets of the plan that there are.
    there: BTreeMap<String, Book>,
    /// What attempts said so far, and at their end.
    said: BTreeMap<(TaskId, u32), u64>,
    /// Attempts that spoke while they worked: a zero of theirs is one.
    spoke: BTreeMap<(TaskId, u32), u64>,
    /// Whether budgets may be there of which nobody told.
    blind: bool,
    /// What was looked up, and is judged when all that it shows was heard.
    waits: Vec<(usize, Governance)>,
}

fn look(history: &[Record]) -> Verdict {
    let mut books = Books { plan: Plan::said(history), ..Books::default() };
    if !books.plan.has(Workload::Budgets) {
        return Ok(0);
    }
    let (mut work, mut checked) = (Work::default(), 0);
    for (place, record) in history.iter().enumerate() {
        let mut index = 0;
        match &record.fact {
            Fact::Uses { task, attempt, usage } => {
                let tokens = usage.tokens_in.saturating_add(usage.tokens_out).min(REPORT_MAX);
                books.said.insert((*task, *attempt), tokens);
            }
            Fact::Spends { task, attempt, tokens } => {
                let spoke = books.spoke.entry((*task, *attempt)).or_default();
                *spoke = spoke.saturating_add(*tokens).min(REPORT_MAX);
            }
            Fact::Happened { index: of, .. } => {
                index = *of;
                checked += books.judge(index)?;
            }
            _ => {}
        }
        match work.hear(record) {
            Heard::Forgot => books.forget(),
            Heard::Governs(governance) => books.looked_up(place, governance),
            Heard::Governed { what: Governing::BudgetPut, subject, .. }
                if books.plan.of_tokens(subject).is_some() =>
            {
                let book = Book { from: index.saturating_sub(1), whole: !books.blind, taken: Vec::new() };
                books.there.entry(subject.to_owned()).or_insert(book);
            }
            Heard::Governed { what: Governing::BudgetRemoved, subject, .. } => {
                books.there.remove(subject);
            }
            // What is promised stays promised.
            Heard::Governed { what: Governing::BudgetReset, subject, .. } => {
                if let Some(book) = books.there.get_mut(subject) {
                    book.taken.retain(|one| one.course == Course::Runs);
                    book.taken.iter_mut().for_each(|one| one.forgiven = true);
                }
            }
            Heard::Leased(lease) => books.leased(index, &lease, work.kind(lease.task)),
            Heard::Completed(lease) => books.over(&lease, true),
            Heard::Returned(lease) => books.over(&lease, false),
            Heard::Governed { .. } | Heard::Other => {}
        }
    }
    Ok(checked + books.judge(u64::MAX)?)
}

impl Books {
    fn forget(&mut self) {
        self.there.clear();
        self.waits.clear();
        self.blind = true;
    }

    fn looked_up(&mut self, place: usize, governance: &Governance) {
        if std::mem::take(&mut self.blind) {
            let names = governance.budgets.iter().map(|ledger| ledger.budget.to_string());
            let names = names.filter(|name| self.plan.of_tokens(name).is_some());
            let book = || Book { from: governance.index, ..Book::default() };
            self.there = names.map(|name| (name, book())).collect();
        }
        self.waits.push((place, governance.clone()));
    }

    fn leased(&mut self, index: u64, lease: &Lease, kind: &str) {
        for book in self.there.values_mut().filter(|book| index > book.from) {
            let Some(expected) = figure(kind).filter(|_| kind.starts_with(SPENDS)) else {
                // Whether it is covered is not known of work of which nobody told what it is.
                book.whole &= !kind.is_empty();
                continue;
            };
            let (task, attempt, at) = (lease.task, lease.attempt, lease.at);
            let course = Course::Runs;
            book.taken.push(Taken { task, attempt, at, expected, course, forgiven: false });
        }
    }

    fn over(&mut self, lease: &Lease, completed: bool) {
        let attempt = (lease.task, lease.attempt);
        let said = self.said.get(&attempt).copied().filter(|_| completed);
        // A zero at the end says nothing, unless it was reported before it.
        let silent = said == Some(0) && !self.spoke.contains_key(&attempt);
        for taken in self.there.values_mut().flat_map(|book| &mut book.taken) {
            if (taken.task, taken.attempt) != attempt || taken.course != Course::Runs {
                continue;
            }
            taken.course = match said {
                Some(_) if silent => Course::Used(taken.expected),
                Some(said) => Course::Used(said),
                None => Course::Lost,
            };
        }
    }

    /// Judges what was looked up before an entry.
    fn judge(&mut self, before: u64) -> Verdict {
        let mut checked = 0;
        while let Some((place, governance)) = self.waits.first().filter(|(_, one)| one.index < before) {
            for ledger in &governance.budgets {
                let (name, from) = (ledger.budget.as_str(), governance.index);
                let Some(promise) = self.plan.of_tokens(name) else { continue };
                let Some(book) = self.there.get(name).filter(|book| book.from <= from) else { continue };
                if let Err((task, what)) = self.adds_up(ledger, (promise, book), governance.now) {
                    return broken(*place, task, what);
                }
                checked += 1;
            }
            self.waits.remove(0);
        }
        Ok(checked)
    }

    /// Holds a ledger to what is known of it.
    fn adds_up(
        &self,
        ledger: &Ledger,
        (promise, book): (&Promise, &Book),
        now: Timestamp,
    ) -> Result<(), (Option<TaskId>, String)> {
        let (name, window) = (&ledger.budget, promise.window);
        let (mut promised, mut used) = (Bounds::default(), Bounds::default());
        let counts = |one: &&Taken| window.ends(window.slot(one.at, None)) > now;
        let mut one_of_them = None;
        for one in book.taken.iter().filter(counts) {
            let attempt = (one.task, one.attempt);
            let told = [&self.said, &self.spoke].map(|told| told.get(&attempt).copied().unwrap_or(0));
            let most = one.expected.max(told[0]).max(told[1]);
            match one.course {
                Course::Runs => {
                    promised.add(one.expected, most);
                    // What it was booked with beyond its reservation may be overrun.
                    used.add(0, most - one.expected);
                    one_of_them = Some(one.task);
                }
                Course::Used(tokens) if one.forgiven => used.add(tokens.min(one.expected), tokens),
                Course::Used(tokens) => used.add(tokens, tokens),
                Course::Lost => used.add(0, most),
            }
        }
        let spent = ledger.settled.saturating_add(ledger.overrun);
        let bounded = book.whole && promise.covers != Covers::Pool;
        for (figure, bounds, what) in [(ledger.reserved, promised, "promised"), (spent, used, "used")] {
            if figure < bounds.least {
                let what =
                    format!("{} of budget {name} are {what}, and its ledger says {figure}", bounds.least);
                return Err((one_of_them, what));
            }
            if bounded && figure > bounds.most {
                let most = bounds.most;
                return Err((
                    None,
                    format!("no more than {most} of budget {name} are {what}, and its ledger says {figure}"),
                ));
            }
        }
        Ok(())
    }
}

/// Between what a sum lies.
#[derive(Debug, Clone, Copy, Default)]
struct Bounds {
    least: u64,
    most: u64,
}

impl Bounds {
    fn add(&mut self, least: u64, most: u64) {
        self.least = self.least.saturating_add(least);
        self.most = self.most.saturating_add(most);
    }
}

#[cfg(test)]
mod tests {
    use synod::node::domain::budget::window::Window;
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

    fn used(number: u128, tokens_out: u64) -> Fact {
        Fact::Uses { task: task(number), attempt: 1, usage: Usage { tokens_out, ..Usage::default() } }
    }

    fn says(number: u128, tokens: u64) -> Fact {
        Fact::Spends { task: task(number), attempt: 1, tokens }
    }

    fn stands(index: u64, settled: u64, reserved: u64, overrun: u64) -> Fact {
        let ledger = Ledger { budget: "vault-1000".parse().unwrap(), settled, reserved, overrun, waiting: 0 };
        Fact::Governs(Governance { index, budgets: vec![ledger], ..Governance::default() })
    }

    fn governs(index: u64, what: Governing) -> Fact {
        governed(index, what, "vault-1000", None)
    }

    /// Two that are expected to use 500 each, and were given a lease.
    fn two(more: impl IntoIterator<Item = Fact>) -> Verdict {
        let facts = [submitted_as(1, 1, "spends-500"), submitted_as(1, 2, "spends-500")];
        let leases = [governs(2, Governing::BudgetPut), leased(2, 1, 1), leased(3, 2, 1)];
        look(&planned(facts.into_iter().chain(leases).chain(more)))
    }

    #[test]
    fn a_promise_that_a_ledger_has_forgotten_is_found_and_one_too_many_is_too() {
        assert_eq!(two([stands(3, 0, 1_000, 0)]), Ok(1));
        assert!(two([stands(3, 0, 999, 0)]).is_err());
        assert!(two([stands(3, 0, 1_001, 0)]).is_err(), "nobody said more than was expected");
        assert_eq!(two([says(1, 700), stands(3, 0, 1_200, 0)]), Ok(1));
        assert_eq!(two([says(1, 700), stands(3, 0, 1_000, 0)]), Ok(1), "it may be on its way");
        let one_is_over = || [used(1, 300), ended(4, 1, Phase::Completed)];
        assert_eq!(two(one_is_over().into_iter().chain([stands(4, 300, 500, 0)])), Ok(1));
        assert!(two(one_is_over().into_iter().chain([stands(4, 300, 0, 0)])).is_err(), "refunded twice");
        assert!(two(one_is_over().into_iter().chain([stands(4, 300, 1_000, 0)])).is_err(), "not refunded");
    }

    #[test]
    fn what_was_used_is_counted_and_what_was_lost_is_not_known() {
        let over =
            |used, phase, settled, overrun| two([used, ended(4, 1, phase), stands(4, settled, 500, overrun)]);
        assert_eq!(over(used(1, 700), Phase::Completed, 500, 200), Ok(1));
        assert!(over(used(1, 700), Phase::Completed, 500, 100).is_err());
        assert!(over(used(1, 700), Phase::Completed, 500, 201).is_err());
        assert_eq!(
            over(used(1, 0), Phase::Completed, 500, 0),
            Ok(1),
            "who says nothing used what was expected"
        );
        assert!(over(used(1, 0), Phase::Completed, 0, 0).is_err());
        for settled in [0, 500, 700] {
            assert_eq!(over(used(1, 700), Phase::TimedOut, settled, 0), Ok(1));
        }
        assert!(over(used(1, 700), Phase::TimedOut, 701, 0).is_err());
        assert_eq!(two([says(1, 0), used(1, 0), ended(4, 1, Phase::Completed), stands(4, 0, 500, 0)]), Ok(1));
    }

    #[test]
    fn a_reset_forgets_what_was_used_and_not_what_is_promised() {
        let reset = |more: Vec<Fact>| {
            let first = [used(1, 300), ended(4, 1, Phase::Completed), governs(5, Governing::BudgetReset)];
            two(first.into_iter().chain(more))
        };
        assert_eq!(reset(vec![stands(5, 0, 500, 0)]), Ok(1));
        assert!(reset(vec![stands(5, 0, 0, 0)]).is_err());
        let beyond = |settled| vec![used(2, 900), ended(6, 2, Phase::Completed), stands(6, settled, 0, 0)];
        assert_eq!((reset(beyond(500)), reset(beyond(900))), (Ok(1), Ok(1)));
        assert!(reset(beyond(499)).is_err());
    }

    #[test]
    fn what_is_looked_up_is_judged_after_the_entry_that_it_shows() {
        let late = [stands(4, 300, 500, 0), used(1, 300), ended(4, 1, Phase::Completed), leased(5, 2, 2)];
        assert_eq!(two(late), Ok(1), "the end was told after the look");
        let early = [stands(3, 0, 1_000, 0), used(1, 300), ended(4, 1, Phase::Completed)];
        assert_eq!(two(early), Ok(1));
    }

    #[test]
    fn of_a_budget_that_was_there_before_only_the_lesser_bound_is_known() {
        let then = |index, reserved| {
            let first = [submitted_as(1, 1, "spends-500"), submitted_as(1, 2, "spends-500"), Fact::Skipped];
            let looks =
                [stands(2, 0, 5_000, 0), leased(2, 1, 1), leased(3, 2, 1), stands(index, 0, reserved, 0)];
            look(&planned(first.into_iter().chain(looks)))
        };
        assert_eq!(then(3, 5_500), Ok(2));
        assert_eq!(then(3, 500), Ok(2), "the first lease may have come before the budget");
        assert!(then(3, 499).is_err());
    }
}
