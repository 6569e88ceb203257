//! The audit log is one chain, the same on every node and for ever, and every change of what governs that was told has its
//! record, with the time of the entry that made the change.
//!
//! Source: issue 6, "hash-chained"; domain, `audit`. A node whose disk was damaged on purpose may not be able to read a
//! record and says so; what it does read is what all others read.

use std::collections::{BTreeMap, BTreeSet};

use synod::node::domain::event::{Event, Governing};
use synod::node::domain::time::Timestamp;

use crate::faults::Fault;
use crate::history::{Fact, Record};
use crate::judges::{Judge, Verdict, broken};

pub(super) const JUDGE: Judge = Judge {
    name: "audit unbroken",
    says: "the audit log is one chain on every node, and has a record of every change of what governs",
    look,
};

fn look(history: &[Record]) -> Verdict {
    let mut seen = BTreeMap::<u64, u64>::new();
    let mut damaged = BTreeSet::new();
    let mut checked = 0;
    let mut whole = None;
    for (place, record) in history.iter().enumerate() {
        match &record.fact {
            Fact::Injected(Fault::BitFlip { node, .. } | Fault::LostFile { node, .. }) => {
                damaged.insert(*node);
            }
            Fact::Trail(records) => {
                for one in records {
                    let first = *seen.entry(one.seq).or_insert(one.hash);
                    if first != one.hash {
                        let what = format!("record {} is {:016x}, and was {first:016x}", one.seq, one.hash);
                        return broken(place, None, what);
                    }
                }
                checked += records.len();
                whole = Some((place, records));
            }
            Fact::Checked { broken: Some(what), .. }
                if !damaged.contains(&record.node.unwrap_or_default()) =>
            {
                return broken(place, None, what.clone());
            }
            Fact::Checked { .. } => checked += 1,
            _ => {}
        }
    }
    // The last one is of everything, where the world came to its end; of a damaged disk not all of it can be read.
    let closed = history.iter().any(|record| record.fact == Fact::Closed);
    let Some((place, records)) = whole.filter(|_| closed) else { return Ok(checked) };
    if history[place].node.is_some_and(|node| damaged.contains(&node)) {
        return Ok(checked);
    }
    let mut there = BTreeMap::<(Timestamp, String, String), usize>::new();
    for one in records.iter().filter(|one| one.accepted) {
        *there.entry((one.at, one.action.clone(), one.resource.clone())).or_default() += 1;
    }
    let first = records.first().map_or(Timestamp::ZERO, |one| one.at);
    for (place, record) in history.iter().enumerate() {
        let Fact::Happened { event, at, .. } = &record.fact else { continue };
        let Some((action, resource)) = change(event).filter(|_| *at >= first) else { continue };
        match there.get_mut(&(*at, action.to_owned(), resource.clone())) {
            Some(left) if *left > 0 => *left -= 1,
            Some(_) | None => return broken(place, None, format!("{action} of {resource} has no record")),
        }
        checked += 1;
    }
    Ok(checked)
}

/// Returns what the record of a change says that brings an event about: its action, and of what.
fn change(event: &Event) -> Option<(&'static str, String)> {
    Some(match event {
        Event::Paused { what, .. } => ("pause", format!("pause/{}", what.path())),
        Event::Resumed { what } => ("resume", format!("pause/{}", what.path())),
        Event::TokenCreated { token, .. } => ("token.create", format!("token/{token}")),
        Event::TokenRotated { token, .. } => ("token.rotate", format!("token/{token}")),
        Event::TokenRevoked { token, .. } => ("token.revoke", format!("token/{token}")),
        Event::NodeDraining { node, .. } => ("node.drain", format!("node/{node}")),
        Event::NodeRoleChanged { node, .. } => ("node.role", format!("node/{node}")),
        Event::Governed { what, subject, .. } => {
            let (action, kind) = match what {
                Governing::BudgetPut => ("budget.put", "budget"),
                Governing::BudgetRemoved => ("budget.remove", "budget"),
                Governing::BudgetReset => ("budget.reset", "budget"),
                Governing::BudgetRaised => ("budget.override", "budget"),
                Governing::PolicyPut => ("policy.put", "policy"),
                Governing::PolicyRemoved => ("policy.remove", "policy"),
                Governing::ApprovalVoted | Governing::ApprovalGranted => ("approval.approve", "approval"),
                Governing::LimitPut => ("limit.put", "limit"),
                Governing::LimitRemoved => ("limit.remove", "limit"),
                Governing::ResourcePut => ("resource.put", "resource"),
                Governing::QuotaPut => ("workspace.quota", "workspace"),
                _ => return None,
            };
            (action, format!("{kind}/{subject}"))
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use crate::faults::Part;
    use crate::history::Recorded;
    use crate::judges::histories::*;

    use super::*;

    fn recorded(seq: u64, hash: u64, millis: u64) -> Recorded {
        let (action, resource) = ("limit.put".to_owned(), "limit/one".to_owned());
        Recorded { seq, hash, at: Timestamp::from_millis(millis), action, resource, accepted: true }
    }

    fn put(millis: u64) -> Fact {
        happened_at(1, millis, governed_event(Governing::LimitPut, "one", None, ""))
    }

    #[test]
    fn a_record_that_is_another_elsewhere_or_later_is_found() {
        let trail = |hash| Fact::Trail(vec![recorded(1, hash, 0)]);
        assert_eq!(look(&history([trail(7), trail(7)])), Ok(2));
        assert!(look(&history([trail(7), trail(8)])).is_err());
    }

    #[test]
    fn a_chain_that_does_not_hold_is_found_unless_its_disk_was_damaged() {
        let checked = || Fact::Checked { to: 4, broken: Some("record 3 is missing".to_owned()) };
        assert!(look(&history([checked()])).is_err());
        let flip = Fact::Injected(Fault::BitFlip { node: 1, part: Part::State, position: 0 });
        assert_eq!(look(&history([flip, checked()])), Ok(1));
    }

    #[test]
    fn a_change_without_its_record_is_found() {
        let whole = |records: Vec<Recorded>| [Fact::Trail(records), Fact::Closed];
        let story = |events: Vec<Fact>, records| look(&history(events.into_iter().chain(whole(records))));
        let two = || vec![recorded(1, 1, 0), recorded(2, 2, 5)];
        assert_eq!(story(vec![put(0), put(5)], two()), Ok(4));
        assert!(story(vec![put(0), put(4)], two()).is_err());
        assert!(story(vec![put(5), put(5)], two()).is_err());
        let refused = vec![recorded(1, 1, 0), Recorded { accepted: false, ..recorded(2, 2, 5) }];
        assert!(story(vec![put(5)], refused).is_err());
    }
}
