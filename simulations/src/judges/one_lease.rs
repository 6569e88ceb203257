//! At most one lease on a task is valid, and attempts are numbered upwards.
//!
//! Source: domain, laws of leases; fencing tokens (Kleppmann, "How to do distributed locking", 2016).
//!
//! Events can be lost with a crash of all nodes, between the entry and whoever listens. So whoever is the first to start
//! again begins with how the tasks stand; as long as one node lives, no event is missed.

use std::collections::{BTreeMap, BTreeSet};

use synod::node::domain::event::Event;
use synod::node::domain::id::TaskId;

use crate::history::{Answer, Fact, Record};
use crate::judges::lives::Lives;
use crate::judges::{Judge, Verdict, broken};

pub(super) const JUDGE: Judge = Judge {
    name: "one lease",
    says: "a lease is granted only while no other holds, under a higher number, and to one claim",
    look,
};

#[derive(Debug, Default)]
struct Leases {
    /// The open lease of each task, as far as it is known.
    open: BTreeMap<TaskId, u32>,
    /// The highest attempt ever seen of each task.
    highest: BTreeMap<TaskId, u32>,
    /// What was granted to claims.
    claimed: BTreeSet<(TaskId, u32)>,
}

fn look(history: &[Record]) -> Verdict {
    let mut leases = Leases::default();
    let (mut lives, mut checked) = (Lives::default(), 0);
    for (place, record) in history.iter().enumerate() {
        if lives.forget(record) {
            leases.open.clear();
        }
        let wrong = match &record.fact {
            Fact::Stands(standing) => leases.stands(
                standing.task,
                standing.attempt,
                standing.phase.is_some(),
                standing.holder.is_some(),
            ),
            Fact::Happened { event: Event::TaskLeased { task, attempt, .. }, .. } => {
                checked += 1;
                leases.granted(*task, *attempt)
            }
            Fact::Happened { event: Event::TaskReturned { task, attempt, .. }, .. } => {
                leases.returned(*task, *attempt)
            }
            Fact::Happened { event: Event::TaskEnded { task, .. }, .. } => {
                leases.open.remove(task);
                None
            }
            Fact::Answered { answer: Answer::Claimed(given), .. } => {
                let again = given.iter().find(|lease| !leases.claimed.insert(**lease));
                again.map(|(task, attempt)| (*task, format!("attempt {attempt} was given to two claims")))
            }
            _ => None,
        };
        if let Some((task, what)) = wrong {
            return broken(place, Some(task), what);
        }
    }
    Ok(checked)
}

/// The task and what is wrong about its leases.
type Wrong = Option<(TaskId, String)>;

impl Leases {
    fn stands(&mut self, task: TaskId, attempt: u32, known: bool, held: bool) -> Wrong {
        let before = self.highest.get(&task).copied().unwrap_or(0);
        if known && attempt < before {
            return Some((task, format!("attempt {before} was granted and {attempt} is the last known")));
        }
        self.highest.insert(task, attempt.max(before));
        if held {
            self.open.insert(task, attempt);
        } else {
            self.open.remove(&task);
        }
        None
    }

    fn granted(&mut self, task: TaskId, attempt: u32) -> Wrong {
        let before = self.highest.get(&task).copied().unwrap_or(0);
        if attempt <= before {
            return Some((task, format!("attempt {attempt} was granted after attempt {before}")));
        }
        self.highest.insert(task, attempt);
        let other = self.open.insert(task, attempt)?;
        Some((task, format!("attempt {attempt} was granted while attempt {other} holds the lease")))
    }

    fn returned(&mut self, task: TaskId, attempt: u32) -> Wrong {
        match self.open.remove(&task) {
            Some(open) if open != attempt => {
                Some((task, format!("attempt {attempt} was returned while attempt {open} holds the lease")))
            }
            Some(_) | None => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use synod::node::domain::name::Name;
    use synod::node::domain::task::Phase;
    use synod::node::domain::time::Timestamp;

    use crate::judges::histories::*;

    use super::*;

    fn returned(index: u64, attempt: u32) -> Fact {
        let (reason, until) = ("gone".into(), Timestamp::ZERO);
        happened(
            index,
            Event::TaskReturned {
                task: task(1),
                workspace: Name::default(),
                agent: agent(9),
                attempt,
                reason,
                until,
            },
        )
    }

    #[test]
    fn two_leases_at_once_are_found() {
        assert_eq!(look(&history([leased(1, 1, 1), returned(2, 1), leased(3, 1, 2)])), Ok(2));
        assert!(look(&history([leased(1, 1, 1), leased(2, 1, 2)])).is_err());
    }

    #[test]
    fn a_number_that_is_granted_again_is_found() {
        assert!(look(&history([leased(1, 1, 2), returned(2, 2), leased(3, 1, 2)])).is_err());
        let forgotten =
            [leased(1, 1, 2), Fact::Stopped, Fact::Starting { life: 2 }, stands(1, Some(Phase::Pending), 1)];
        assert!(look(&history(forgotten)).is_err());
    }

    #[test]
    fn a_lease_that_two_claims_were_given_is_found() {
        let claimed = || answered(1, Answer::Claimed(vec![(task(1), 1)]));
        assert!(look(&history([claimed(), claimed()])).is_err());
    }

    #[test]
    fn a_lease_stays_known_when_another_node_starts() {
        let starts = |node| of(node, Fact::Starting { life: 1 });
        let (first, second) = (of(1, leased(1, 1, 1)), of(2, leased(2, 1, 2)));
        assert!(look(&[starts(1), starts(2), first.clone(), starts(3), second.clone()]).is_err());
        let lost = || of(1, Fact::Lost { unsynced: 0, kept: 0 });
        assert_eq!(look(&[starts(1), first, lost(), starts(2), second]), Ok(2));
    }

    #[test]
    fn a_lease_that_ended_while_the_node_was_down_is_not_held_against_the_next() {
        let facts = [
            leased(1, 1, 1),
            Fact::Stopped,
            Fact::Starting { life: 2 },
            stands(1, Some(Phase::Pending), 1),
            leased(5, 1, 2),
        ];
        assert_eq!(look(&history(facts)), Ok(2));
    }
}
