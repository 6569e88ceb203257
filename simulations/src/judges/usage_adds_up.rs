//! What a task has used is what its attempts said, each at most once: nothing that was refused counts, nothing that was
//! taken is missing, and what is said twice counts once.
//!
//! Source: domain, `Task::usage`. Agents lie about it on purpose, so sums end at the greatest number. Of an attempt whose
//! end was acknowledged one word counts: that one, or an earlier one without an answer. Where no answer tells, each may
//! have counted or none.

use std::collections::{BTreeMap, BTreeSet};

use synod::node::domain::event::Event;
use synod::node::domain::id::TaskId;
use synod::node::domain::task::{Phase, Usage};

use crate::agent::SCRIPTED_FAILURE;
use crate::history::{Answer, Fact, Record, Request};
use crate::judges::{Judge, Verdict, broken};
use crate::spending::sum;

pub(super) const JUDGE: Judge = Judge {
    name: "usage adds up",
    says: "a task has used what its attempts said when their end was taken, each once",
    look,
};

/// More sums than this are not told apart.
const SUMS_MAX: usize = 4_096;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Taken {
    Yes,
    No,
    Unknown,
}

/// One attempt: what it said, and what became of each word.
#[derive(Debug, Default)]
struct Attempt {
    words: Vec<(Usage, Option<Taken>)>,
    /// Whether something besides an answer shows that its end was taken.
    shown: bool,
}

impl Attempt {
    /// Returns what of it may have counted.
    fn choices(&self) -> Vec<Usage> {
        let taken = |word: &Option<Taken>| word.unwrap_or(Taken::Unknown);
        let first = self.words.iter().position(|(_, word)| taken(word) == Taken::Yes);
        let until = first.map_or(self.words.len(), |place| place + 1);
        let could = self.words[..until].iter().filter(|(_, word)| taken(word) != Taken::No);
        let nothing = (first.is_none() && (!self.shown || self.words.is_empty())).then(Usage::default);
        could.map(|(usage, _)| usage.clone()).chain(nothing).collect()
    }
}

type Attempts = BTreeMap<u32, Attempt>;

fn look(history: &[Record]) -> Verdict {
    let mut tasks = BTreeMap::<TaskId, Attempts>::new();
    let mut asked = BTreeMap::new();
    let mut totals = BTreeMap::new();
    for (place, record) in history.iter().enumerate() {
        match &record.fact {
            Fact::Uses { task, attempt, usage } => {
                let attempt = tasks.entry(*task).or_default().entry(*attempt).or_default();
                attempt.words.push((usage.clone(), None));
            }
            Fact::Asked {
                question,
                request: Request::Complete { task, attempt } | Request::Fail { task, attempt },
                ..
            } => {
                if let Some(said) = tasks.get(task).and_then(|attempts| attempts.get(attempt)) {
                    asked.insert(*question, (*task, *attempt, said.words.len() - 1));
                }
            }
            Fact::Answered { question, answer } => {
                let Some((task, attempt, word)) = asked.remove(question) else { continue };
                let said = tasks.get_mut(&task).and_then(|attempts| attempts.get_mut(&attempt));
                if let Some((_, taken)) = said.and_then(|said| said.words.get_mut(word)) {
                    *taken = Some(match answer {
                        Answer::Refused { .. } => Taken::No,
                        Answer::Failed(_) => Taken::Unknown,
                        _ => Taken::Yes,
                    });
                }
            }
            Fact::Happened { event: Event::TaskReturned { task, attempt, reason, .. }, .. }
                if &**reason == SCRIPTED_FAILURE =>
            {
                show(&mut tasks, *task, *attempt);
            }
            Fact::Stands(standing) if standing.phase == Some(Phase::Completed) => {
                if let Some(attempt) = standing.result_of {
                    show(&mut tasks, standing.task, attempt);
                }
            }
            Fact::Used { task, usage } => {
                totals.insert(*task, (place, usage));
            }
            _ => {}
        }
    }
    for (task, (place, total)) in &totals {
        let attempts = tasks.get(task);
        let mut sums = BTreeSet::from([of(&Usage::default())]);
        for attempt in attempts.into_iter().flat_map(BTreeMap::values) {
            let choices = attempt.choices();
            let added = |known: &Numbers| -> Vec<Numbers> {
                choices.iter().map(|choice| of(&sum([&usage(*known), choice]))).collect()
            };
            sums = sums.iter().flat_map(added).collect();
            if sums.len() > SUMS_MAX {
                break;
            }
        }
        if sums.len() <= SUMS_MAX && !sums.contains(&of(total)) {
            let what = format!("it used {:?}, and its attempts said {attempts:?}", of(total));
            return broken(*place, Some(*task), what);
        }
    }
    Ok(totals.len())
}

/// A usage as numbers, which have an order.
type Numbers = (u64, u64, u64);

const fn of(usage: &Usage) -> Numbers {
    (usage.tokens_in, usage.tokens_out, usage.cost_microusd)
}

const fn usage((tokens_in, tokens_out, cost_microusd): Numbers) -> Usage {
    Usage { tokens_in, tokens_out, cost_microusd }
}

fn show(tasks: &mut BTreeMap<TaskId, Attempts>, task: TaskId, attempt: u32) {
    if let Some(said) = tasks.get_mut(&task).and_then(|attempts| attempts.get_mut(&attempt)) {
        said.shown = true;
    }
}

#[cfg(test)]
mod tests {
    use crate::judges::histories::*;

    use super::*;

    fn says(attempt: u32, number: u64) -> Fact {
        Fact::Uses { task: task(1), attempt, usage: usage((number, 0, 0)) }
    }

    fn fails(question: u64, attempt: u32, answer: Answer) -> [Fact; 2] {
        [asked(question, Request::Fail { task: task(1), attempt }), answered(question, answer)]
    }

    fn used(number: u64) -> Fact {
        Fact::Used { task: task(1), usage: usage((number, 0, 0)) }
    }

    fn refused() -> Answer {
        Answer::Refused { code: "lease_lost", text: String::new() }
    }

    #[test]
    fn what_was_taken_counts_and_what_was_refused_does_not() {
        let story = |total| {
            let facts = [says(1, 5)].into_iter().chain(fails(1, 1, refused()));
            let facts = facts.chain([says(2, 7)]).chain(fails(2, 2, Answer::Done));
            look(&history(facts.chain([used(total)])))
        };
        assert_eq!(story(7), Ok(1));
        assert!(story(12).is_err() && story(5).is_err() && story(0).is_err());
    }

    #[test]
    fn what_is_said_twice_counts_once() {
        let twice = |first: Answer, total| {
            let facts = [says(1, 5)].into_iter().chain(fails(1, 1, first));
            let facts = facts.chain([says(1, 9)]).chain(fails(2, 1, Answer::Done));
            look(&history(facts.chain([used(total)])))
        };
        assert_eq!(twice(Answer::Done, 5), Ok(1));
        assert!(twice(Answer::Done, 9).is_err() && twice(Answer::Done, 14).is_err());
        let unknown = || Answer::Failed(String::new());
        assert!(twice(unknown(), 5).is_ok() && twice(unknown(), 9).is_ok());
        assert!(twice(unknown(), 14).is_err() && twice(unknown(), 0).is_err());
    }

    #[test]
    fn what_nobody_answered_may_count_unless_its_result_is_there() {
        let sum_of = |total, shown: bool| {
            let stands = shown.then(|| stands(1, Some(Phase::Completed), 1));
            look(&history([says(1, 5)].into_iter().chain(stands).chain([used(total)])))
        };
        assert!(sum_of(0, false).is_ok() && sum_of(5, false).is_ok() && sum_of(6, false).is_err());
        assert!(sum_of(5, true).is_ok() && sum_of(0, true).is_err());
    }

    #[test]
    fn sums_end_at_the_greatest_number() {
        let said = [says(1, u64::MAX), says(2, 3)];
        let taken = [fails(1, 1, Answer::Done), fails(2, 2, Answer::Done)].concat();
        let facts = |total| history(said.iter().cloned().chain(taken.clone()).chain([used(total)]));
        assert!(look(&facts(u64::MAX)).is_ok());
        assert!(look(&facts(2)).is_err());
    }
}
