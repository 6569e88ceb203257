//! A dead letter waits until somebody decides about it, once: submitted again it is one new task, and the letter is gone.
//!
//! Source: domain, `state/letters.rs`. What had no answer may have been done or not; however often a letter was asked for,
//! it became one task at most.

use std::collections::{BTreeMap, BTreeSet};

use synod::node::domain::event::Event;
use synod::node::domain::id::TaskId;
use synod::node::domain::task::Phase;

use crate::history::{Answer, Fact, Record, Request};
use crate::judges::{Judge, Verdict, broken};

pub(super) const JUDGE: Judge = Judge {
    name: "one redrive, one task",
    says: "a dead letter becomes one new task at most and is gone then; without being asked for it stays",
    look,
};

#[derive(Default)]
struct Letters {
    /// Which letter each new task was to be made of.
    of: BTreeMap<TaskId, TaskId>,
    /// What became of each letter.
    became: BTreeMap<TaskId, TaskId>,
    /// Which somebody asked to remove, one way or the other.
    decided: BTreeSet<TaskId>,
    /// Which are gone, as was answered or told.
    gone: BTreeSet<TaskId>,
    /// How each task stands.
    stands: BTreeMap<TaskId, Phase>,
}

fn look(history: &[Record]) -> Verdict {
    let mut letters = Letters::default();
    let mut asked = BTreeMap::new();
    let mut checked = 0;
    for (place, record) in history.iter().enumerate() {
        match &record.fact {
            Fact::Asked { question, request: Request::Redrive { letter, task }, .. } => {
                asked.insert(*question, *letter);
                letters.of.insert(*task, *letter);
                letters.decided.insert(*letter);
            }
            Fact::Asked { question, request: Request::Purge { letter }, .. } => {
                asked.insert(*question, *letter);
                letters.decided.insert(*letter);
            }
            Fact::Answered { question, answer: answer @ (Answer::Submitted(_) | Answer::Done) } => {
                let Some(letter) = asked.remove(question) else { continue };
                checked += 1;
                letters.gone.insert(letter);
                if let Answer::Submitted(task) = answer
                    && letters.of.get(task) != Some(&letter)
                {
                    return broken(
                        place,
                        Some(letter),
                        format!("it was answered with {task}, not asked for"),
                    );
                }
                if let Answer::Submitted(task) = answer
                    && let Some(other) = letters.makes(letter, *task)
                {
                    return broken(place, Some(letter), format!("it became {other} and {task}"));
                }
            }
            Fact::Happened { event: Event::TaskSubmitted { task, .. }, .. } => {
                let Some(letter) = letters.of.get(task).copied() else { continue };
                checked += 1;
                if let Some(other) = letters.makes(letter, *task) {
                    return broken(place, Some(letter), format!("it became {other} and {task}"));
                }
            }
            Fact::Happened { event: Event::DeadLetterRemoved { task, .. }, .. } => {
                letters.gone.insert(*task);
                if !letters.decided.contains(task) {
                    return broken(place, Some(*task), "it was removed, and nobody asked for that");
                }
            }
            Fact::Stands(standing) => {
                letters.stands.extend(standing.phase.map(|phase| (standing.task, phase)));
            }
            Fact::Letters(there) => {
                let there: BTreeSet<TaskId> = there.iter().copied().collect();
                if let Some((letter, what)) = letters.wrong(&there) {
                    return broken(place, Some(letter), what);
                }
                checked += there.len();
            }
            _ => {}
        }
    }
    Ok(checked)
}

impl Letters {
    /// Takes note of what a letter became; returns what else it had become.
    fn makes(&mut self, letter: TaskId, task: TaskId) -> Option<TaskId> {
        self.became.insert(letter, task).filter(|other| *other != task)
    }

    fn wrong(&self, there: &BTreeSet<TaskId>) -> Option<(TaskId, &'static str)> {
        let gone = |letter: &&TaskId| self.gone.contains(*letter) || self.became.contains_key(*letter);
        if let Some(letter) = there.iter().find(gone) {
            return Some((*letter, "it was submitted again or dropped, and is still a dead letter"));
        }
        let given_up = |phase: &Phase| matches!(phase, Phase::Failed | Phase::TimedOut);
        let (lost, _) = self.stands.iter().find(|(task, phase)| {
            given_up(phase) && !self.decided.contains(*task) && !there.contains(*task)
        })?;
        Some((*lost, "it was given up, nobody decided about it, and it is no dead letter"))
    }
}

#[cfg(test)]
mod tests {
    use synod::node::domain::name::Name;

    use crate::judges::histories::*;

    use super::*;

    fn redrive(question: u64, letter: u128, new: u128) -> Fact {
        asked(question, Request::Redrive { letter: task(letter), task: task(new) })
    }

    fn given(question: u64, new: u128) -> Fact {
        answered(question, Answer::Submitted(task(new)))
    }

    fn letters(numbers: &[u128]) -> Fact {
        Fact::Letters(numbers.iter().map(|number| task(*number)).collect())
    }

    #[test]
    fn one_letter_that_becomes_two_tasks_is_found() {
        let twice = || [redrive(1, 1, 10), redrive(2, 1, 11)];
        assert!(look(&history(twice().into_iter().chain([submitted(1, 10)]))).is_ok());
        assert!(look(&history(twice().into_iter().chain([submitted(1, 10), submitted(2, 11)]))).is_err());
        assert!(look(&history(twice().into_iter().chain([given(1, 10), given(2, 11)]))).is_err());
        assert!(look(&history([redrive(1, 1, 10), given(1, 12)])).is_err());
    }

    #[test]
    fn a_letter_that_stays_after_it_was_redriven_is_found() {
        let redriven = |there: &[u128]| look(&history([redrive(1, 1, 10), given(1, 10), letters(there)]));
        assert!(redriven(&[]).is_ok() && redriven(&[1]).is_err());
        let unknown = |there: &[u128]| look(&history([redrive(1, 1, 10), letters(there)]));
        assert!(unknown(&[]).is_ok() && unknown(&[1]).is_ok(), "nobody knows what became of it");
    }

    #[test]
    fn a_letter_that_goes_unasked_is_found() {
        let failed = || stands(1, Some(Phase::Failed), 1);
        assert!(look(&history([failed(), letters(&[1])])).is_ok());
        assert!(look(&history([failed(), letters(&[])])).is_err());
        let removed = Event::DeadLetterRemoved { task: task(1), workspace: Name::default() };
        assert!(look(&history([happened(1, removed)])).is_err());
    }
}
