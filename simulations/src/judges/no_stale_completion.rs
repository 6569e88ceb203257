//! A completion counts only under the valid lease: a result is that of the last attempt granted.
//!
//! Source: issue 2, leases with attempt numbers; the number is the fencing token of every write.
//!
//! Results say of which attempt they are, so the judge need not guess in which order things reached the log.

use std::collections::BTreeMap;

use synod::node::domain::event::Event;
use synod::node::domain::task::Phase;

use crate::history::{Answer, Fact, Record, Request};
use crate::judges::{Judge, Verdict, broken};

pub(super) const JUDGE: Judge = Judge {
    name: "no stale completion",
    says: "a completed task has the result of its last attempt, and no other attempt was told that it completed it",
    look,
};

fn look(history: &[Record]) -> Verdict {
    let mut asked = BTreeMap::new();
    let mut completed_by = BTreeMap::new();
    let mut granted = BTreeMap::new();
    let mut unread = BTreeMap::new();
    let mut checked = 0;
    for (place, record) in history.iter().enumerate() {
        match &record.fact {
            Fact::Asked { question, request: Request::Complete { task, attempt }, .. } => {
                asked.insert(*question, (*task, *attempt));
            }
            Fact::Answered { question, answer: Answer::Ended(Phase::Completed) } => {
                let Some((task, attempt)) = asked.get(question).copied() else { continue };
                checked += 1;
                let first = *completed_by.entry(task).or_insert(attempt);
                if first != attempt {
                    let what =
                        format!("attempts {first} and {attempt} were both told that they completed it");
                    return broken(place, Some(task), what);
                }
            }
            Fact::Happened { event: Event::TaskLeased { task, attempt, .. }, .. } => {
                granted.insert(*task, *attempt);
            }
            Fact::Stands(standing) if standing.phase == Some(Phase::Completed) => {
                let task = standing.task;
                let last = granted.get(&task).copied().unwrap_or(0).max(standing.attempt);
                checked += 1;
                match standing.result_of {
                    Some(of) if of == last => drop(unread.remove(&task)),
                    // Only the last look reads results.
                    None => drop(unread.insert(task, place)),
                    Some(of) => {
                        let what = format!("its result is of attempt {of} and the last is {last}");
                        return broken(place, Some(task), what);
                    }
                }
                if let Some(told) = completed_by.get(&task).filter(|told| **told != last) {
                    let what =
                        format!("attempt {told} was told that it completed it, and {last} is the last");
                    return broken(place, Some(task), what);
                }
            }
            // Whether a task may be unreadable is for "acknowledged exists" to say.
            Fact::Unread { task, .. } => drop(unread.remove(task)),
            Fact::Closed => {
                if let Some((task, place)) = unread.first_key_value() {
                    return broken(*place, Some(*task), "it has completed and its result cannot be read");
                }
            }
            _ => {}
        }
    }
    Ok(checked)
}

#[cfg(test)]
mod tests {
    use crate::history::Standing;
    use crate::judges::histories::*;

    use super::*;

    fn complete(question: u64, attempt: u32) -> [Fact; 2] {
        let request = Request::Complete { task: task(1), attempt };
        [asked(question, request), answered(question, Answer::Ended(Phase::Completed))]
    }

    #[test]
    fn a_result_of_an_earlier_attempt_is_found() {
        let standing = |result_of| {
            Fact::Stands(Standing {
                task: task(1),
                phase: Some(Phase::Completed),
                attempt: 2,
                holder: None,
                result_of: Some(result_of),
            })
        };
        assert_eq!(look(&history([leased(1, 1, 1), leased(2, 1, 2), standing(2)])), Ok(1));
        assert!(look(&history([leased(1, 1, 1), leased(2, 1, 2), standing(1)])).is_err());
    }

    #[test]
    fn a_completed_task_without_a_result_at_the_end_is_found() {
        let completed = |result_of| {
            let standing = Standing {
                task: task(1),
                phase: Some(Phase::Completed),
                attempt: 1,
                holder: None,
                result_of,
            };
            Fact::Stands(standing)
        };
        assert_eq!(look(&history([completed(None), completed(Some(1)), Fact::Closed])), Ok(2));
        assert!(look(&history([completed(None), Fact::Closed])).is_err());
    }

    #[test]
    fn two_attempts_that_both_completed_are_found() {
        assert_eq!(look(&history([complete(1, 1), complete(2, 1)].concat())), Ok(2));
        assert!(look(&history([complete(1, 1), complete(2, 2)].concat())).is_err());
    }

    #[test]
    fn a_stale_attempt_that_was_told_yes_is_found() {
        let facts = complete(1, 1).into_iter().chain([stands(1, Some(Phase::Completed), 2)]);
        assert!(look(&history(facts)).is_err());
    }
}
