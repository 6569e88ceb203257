//! Resources are never over their capacity when one is granted, and are granted all at once: who has a lease has all that
//! its task needs.
//!
//! Source: issue 6, "granted all at once"; domain, `resource`. Where clients ask for resources, the type of a task says what it
//! needs. What tasks have stays theirs when there is less of it, so only who is given a lease is held against a capacity.

use std::collections::BTreeMap;

use synod::node::domain::event::Governing;

use crate::history::{Plan, Record};
use crate::judges::work::{Heard, Work};
use crate::judges::{Judge, Verdict, broken};
use crate::workload::{Workload, needs_of};

pub(super) const JUDGE: Judge =
    Judge { name: "resources hold", says: "no lease is given unless all that its task needs is free", look };

fn look(history: &[Record]) -> Verdict {
    if !Plan::said(history).has(Workload::Resources) {
        return Ok(0);
    }
    let mut capacities = BTreeMap::<String, u64>::new();
    let (mut work, mut checked) = (Work::default(), 0);
    for (place, record) in history.iter().enumerate() {
        match work.hear(record) {
            Heard::Forgot => capacities.clear(),
            Heard::Governs(governance) => {
                let looked = governance.resources.iter();
                capacities = looked.map(|(name, capacity, _)| (name.to_string(), *capacity)).collect();
            }
            Heard::Governed { what: Governing::ResourcePut, subject, detail, .. } => {
                let said = detail.strip_prefix("capacity ").and_then(|capacity| capacity.parse().ok());
                let Some(capacity) = said else {
                    return broken(
                        place,
                        None,
                        format!("{subject} was made, and how much there is not said"),
                    );
                };
                capacities.insert(subject.to_owned(), capacity);
            }
            Heard::Governed { what: Governing::ResourceRemoved, subject, .. } => {
                capacities.remove(subject);
            }
            Heard::Leased(lease) => {
                for (resource, _) in needs_of(work.kind(lease.task)) {
                    let Some(capacity) = capacities.get(resource) else { continue };
                    let of_one = |other: &str| -> u64 {
                        let of_it = needs_of(other).into_iter().filter(|(name, _)| *name == resource);
                        of_it.map(|(_, amount)| amount).sum()
                    };
                    let held: u64 = work.held().map(|other| of_one(work.kind(other.task))).sum();
                    if held > *capacity {
                        let what =
                            format!("with it {held} of {resource} are in use, and there are {capacity}");
                        return broken(place, Some(lease.task), what);
                    }
                    checked += 1;
                }
            }
            Heard::Governed { .. } | Heard::Completed(_) | Heard::Returned(_) | Heard::Other => {}
        }
    }
    Ok(checked)
}

#[cfg(test)]
mod tests {
    use synod::node::domain::task::Phase;

    use crate::history::Fact;
    use crate::judges::histories::*;

    use super::*;

    fn planned(facts: impl IntoIterator<Item = Fact>) -> Vec<Record> {
        history([clients_ask_for(Workload::Resources)].into_iter().chain(facts))
    }

    fn there_are(index: u64, capacity: u64) -> Fact {
        told(index, Governing::ResourcePut, "gpu", None, &format!("capacity {capacity}"))
    }

    #[test]
    fn a_lease_beyond_the_capacity_is_found() {
        let begin = |capacity| {
            let of = |number, kind| submitted_as(1, number, kind);
            [there_are(1, capacity), of(1, "needs-2-gpu-1-seat"), of(2, "needs-1-gpu"), leased(2, 1, 1)]
        };
        let then = |capacity, more: Vec<Fact>| look(&planned(begin(capacity).into_iter().chain(more)));
        assert_eq!(then(3, vec![leased(3, 2, 1)]), Ok(2));
        assert!(then(2, vec![leased(3, 2, 1)]).is_err());
        assert!(then(1, vec![]).is_err());
        assert_eq!(then(2, vec![ended(3, 1, Phase::Failed), leased(4, 2, 1)]), Ok(2));
        assert_eq!(then(2, vec![there_are(3, 1)]), Ok(1), "what tasks have stays theirs");
        assert!(then(2, vec![there_are(3, 1), leased(4, 2, 1)]).is_err());
    }
}
