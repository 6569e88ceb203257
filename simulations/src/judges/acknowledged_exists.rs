//! What the node acknowledged, it has: the durability that a submit buys.
//!
//! Source: architecture, section 6 (an answer follows the sync). An answer that never came promises nothing.

use std::collections::BTreeSet;

use crate::faults::{Fault, Part};
use crate::history::{Answer, Fact, Record};
use crate::judges::{Judge, Verdict, broken};

pub(super) const JUDGE: Judge = Judge {
    name: "acknowledged exists",
    says: "a task whose submit was answered is there in every life after, and at the end",
    look,
};

fn look(history: &[Record]) -> Verdict {
    let mut acknowledged = BTreeSet::new();
    let (mut checked, mut seen) = (0, BTreeSet::new());
    let mut damaged = BTreeSet::new();
    for (place, record) in history.iter().enumerate() {
        match &record.fact {
            Fact::Answered { answer: Answer::Submitted(task), .. } => {
                acknowledged.insert(*task);
            }
            Fact::Stands(standing) if standing.phase.is_some() => {
                seen.insert(standing.task);
                checked += 1;
            }
            Fact::Stands(standing) if acknowledged.contains(&standing.task) => {
                return broken(
                    place,
                    Some(standing.task),
                    "the task was acknowledged and is not known any more",
                );
            }
            // Its disk is another than it wrote, or fails: it says so, the others have the task, and the next start mends it.
            Fact::Unread { task, .. } if damaged.contains(&record.node.unwrap_or_default()) => {
                seen.insert(*task);
            }
            Fact::Unread { task, why } if acknowledged.contains(task) => {
                return broken(
                    place,
                    Some(*task),
                    format!("the task was acknowledged and cannot be read: {why}"),
                );
            }
            Fact::Injected(
                Fault::BitFlip { node, part: Part::State, .. }
                | Fault::FailedRead { node, part: Part::State },
            ) => {
                damaged.insert(*node);
            }
            Fact::Repaired { .. } => {
                damaged.remove(&record.node.unwrap_or_default());
            }
            // A look at everything follows the start and precedes the close.
            Fact::Starting { .. } => seen.clear(),
            Fact::Started { .. } | Fact::Closed => {
                if let Some(missing) = acknowledged.difference(&seen).next() {
                    return broken(
                        place,
                        Some(*missing),
                        "the task was acknowledged and nobody looked for it",
                    );
                }
                seen.clear();
            }
            _ => {}
        }
    }
    Ok(checked)
}

#[cfg(test)]
mod tests {
    use synod::node::domain::task::Phase;

    use crate::judges::histories::*;

    use super::*;

    #[test]
    fn a_task_that_is_gone_after_a_crash_is_found() {
        let acknowledged = || answered(1, Answer::Submitted(task(1)));
        let there = || stands(1, Some(Phase::Pending), 0);
        let starting = || Fact::Starting { life: 2 };
        assert_eq!(look(&history([acknowledged(), starting(), there(), Fact::Started { life: 2 }])), Ok(1));
        assert!(look(&history([acknowledged(), starting(), stands(1, None, 0)])).is_err());
        assert!(look(&history([acknowledged(), starting(), Fact::Started { life: 2 }])).is_err());
        assert!(look(&history([acknowledged(), Fact::Closed])).is_err());
    }

    #[test]
    fn a_task_that_cannot_be_read_is_found_unless_the_mirror_was_damaged() {
        let acknowledged = || answered(1, Answer::Submitted(task(1)));
        let unread = || Fact::Unread { task: task(1), why: "no".to_owned() };
        let flip = |part| Fact::Injected(Fault::BitFlip { node: 1, part, position: 0 });
        assert!(look(&history([acknowledged(), unread()])).is_err());
        assert!(look(&history([acknowledged(), flip(Part::Log), unread()])).is_err());
        assert_eq!(look(&history([acknowledged(), flip(Part::State), unread(), Fact::Closed])), Ok(0));
    }

    #[test]
    fn a_submit_without_an_answer_may_be_gone() {
        assert_eq!(look(&history([submitted(1, 1), stands(1, None, 0), Fact::Closed])), Ok(0));
    }
}
