//! A task ends once, in one way, and stays ended.
//!
//! Source: domain, life of a task. Every word about its end must be the same: events, answers to those who
//! wait or complete, and every look at it after.

use std::collections::BTreeMap;

use synod::node::domain::event::Event;
use synod::node::domain::id::TaskId;
use synod::node::domain::task::Phase;

use crate::history::{Answer, Fact, Record, Request};
use crate::judges::{Judge, Verdict, Violation, broken};

pub(super) const JUDGE: Judge = Judge {
    name: "ends once",
    says: "one end is told of each task, every later word agrees with it, and nothing happens to it after",
    look,
};

#[derive(Debug, Default)]
struct Ends {
    /// What anybody said about the end of each task.
    said: BTreeMap<TaskId, Phase>,
    /// The tasks whose end was told as an event.
    told: BTreeMap<TaskId, usize>,
}

fn look(history: &[Record]) -> Verdict {
    let mut ends = Ends::default();
    let mut asked = BTreeMap::new();
    let mut checked = 0;
    for (place, record) in history.iter().enumerate() {
        match &record.fact {
            Fact::Asked {
                question,
                request: Request::Wait { task } | Request::Complete { task, .. },
                ..
            } => {
                asked.insert(*question, *task);
            }
            Fact::Answered { question, answer: Answer::Ended(phase) } => {
                if let Some(task) = asked.get(question) {
                    ends.say(place, *task, *phase)?;
                    checked += 1;
                }
            }
            Fact::Stands(standing) => match standing.phase {
                Some(phase) if phase.is_end() => {
                    ends.say(place, standing.task, phase)?;
                    checked += 1;
                }
                // A look waits for what was told, not for what was answered: who fell behind may not know of it yet.
                Some(phase) if ends.told.contains_key(&standing.task) => {
                    ends.lives(place, standing.task, &format!("it is {phase} again"))?;
                }
                Some(_) | None => {}
            },
            Fact::Happened { event, .. } => ends.hear(place, event)?,
            _ => {}
        }
    }
    Ok(checked + ends.told.len())
}

impl Ends {
    fn hear(&mut self, place: usize, event: &Event) -> Result<(), Violation> {
        match event {
            Event::TaskEnded { task, phase, .. } => {
                if let Some(before) = self.told.insert(*task, place) {
                    return broken(
                        place,
                        Some(*task),
                        format!("its end was told before, in record {before}"),
                    );
                }
                self.say(place, *task, *phase)
            }
            // Answers may be noted before the events of the same entry, so only told ends count here.
            Event::TaskLeased { task, .. }
            | Event::TaskStarted { task, .. }
            | Event::TaskReturned { task, .. }
                if self.told.contains_key(task) =>
            {
                self.lives(place, *task, "something happened to it")
            }
            _ => Ok(()),
        }
    }

    fn say(&mut self, place: usize, task: TaskId, phase: Phase) -> Result<(), Violation> {
        let first = *self.said.entry(task).or_insert(phase);
        if first == phase {
            return Ok(());
        }
        broken(place, Some(task), format!("it ended {first} before and {phase} here"))
    }

    fn lives(&self, place: usize, task: TaskId, how: &str) -> Result<(), Violation> {
        match self.said.get(&task) {
            Some(phase) => broken(place, Some(task), format!("it ended {phase}, and {how}")),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::judges::histories::*;

    use super::*;

    #[test]
    fn an_end_that_is_told_twice_is_found() {
        assert_eq!(look(&history([ended(1, 1, Phase::Completed), ended(1, 2, Phase::Failed)])), Ok(2));
        assert!(look(&history([ended(1, 1, Phase::Completed), ended(2, 1, Phase::Completed)])).is_err());
    }

    #[test]
    fn two_ways_to_end_are_found() {
        let other = stands(1, Some(Phase::Cancelled), 1);
        assert!(look(&history([ended(1, 1, Phase::Completed), other])).is_err());
        let waited = [asked(1, Request::Wait { task: task(1) }), answered(1, Answer::Ended(Phase::Failed))];
        assert!(look(&history([ended(1, 1, Phase::Completed)].into_iter().chain(waited))).is_err());
    }

    #[test]
    fn a_task_that_lives_after_its_end_is_found() {
        let after = |fact| look(&history([ended(1, 1, Phase::Completed), fact]));
        assert!(after(leased(2, 1, 2)).is_err());
        assert!(after(stands(1, Some(Phase::Running), 1)).is_err());
        assert!(after(stands(1, Some(Phase::Completed), 1)).is_ok());
    }

    #[test]
    fn a_node_that_has_not_heard_of_an_end_that_was_only_answered_is_no_finding() {
        let waited =
            [asked(1, Request::Wait { task: task(1) }), answered(1, Answer::Ended(Phase::Completed))];
        let behind = stands(1, Some(Phase::Running), 1);
        let heard = ended(2, 1, Phase::Completed);
        assert_eq!(look(&history(waited.into_iter().chain([behind.clone(), heard.clone()]))), Ok(2));
        assert!(look(&history([heard, behind])).is_err());
    }
}
