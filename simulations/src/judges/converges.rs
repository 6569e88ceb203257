//! After healing, all nodes come to one place in the log and one state, and stay there.
//!
//! Source: issue 5, "after healing: converges, serves, all acknowledged work ends, within a bound of simulated time". The
//! bound is the world's: a node says where it rests when every other is there too, and not when time is up first. A node
//! that is down, was not let in again, or does not hear what the others agree on never says it.

use std::collections::{BTreeMap, BTreeSet};

use crate::faults::Fault;
use crate::history::{Fact, Record};
use crate::judges::{Judge, Verdict, broken};

pub(super) const JUDGE: Judge = Judge {
    name: "converges",
    says: "at the end every node has applied the same entries, to the same state",
    look,
};

fn look(history: &[Record]) -> Verdict {
    let mut nodes = BTreeSet::new();
    let mut rest = BTreeMap::new();
    for (place, record) in history.iter().enumerate() {
        match record.fact {
            Fact::Began { nodes: begins_with, .. } => nodes.extend(1..=begins_with),
            Fact::Injected(Fault::Join { node }) => {
                nodes.insert(node);
            }
            Fact::Gone => {
                nodes.remove(&record.node.unwrap_or_default());
            }
            Fact::Rests { index, hash } => {
                rest.insert(record.node.unwrap_or_default(), (place, index, hash));
            }
            _ => {}
        }
    }
    let end = history.len().saturating_sub(1);
    if let Some(missing) = nodes.iter().find(|node| !rest.contains_key(node)) {
        return broken(end, None, format!("n{missing} has not come to where the others are"));
    }
    let mut places = rest.iter();
    if let Some((first, (_, index, hash))) = places.next()
        && let Some((other, (place, there, _))) = places.find(|(_, (_, at, of))| (at, of) != (index, hash))
    {
        return broken(*place, None, format!("n{other} rests after {there} and n{first} after {index}"));
    }
    Ok(rest.len())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::judges::histories::*;

    use super::*;

    fn three() -> Record {
        of(0, Fact::Began { seed: 1, duration: Duration::ZERO, faults: true, nodes: 3 })
    }

    fn rests(node: u64, index: u64, hash: u64) -> Record {
        of(node, Fact::Rests { index, hash })
    }

    #[test]
    fn nodes_that_rest_in_one_place_have_converged() {
        assert_eq!(look(&[three(), rests(1, 9, 7), rests(2, 9, 7), rests(3, 9, 7)]), Ok(3));
    }

    #[test]
    fn a_node_that_is_behind_differs_or_is_missing_is_found() {
        assert!(look(&[three(), rests(1, 9, 7), rests(2, 9, 7), rests(3, 8, 6)]).is_err());
        assert!(look(&[three(), rests(1, 9, 7), rests(2, 9, 6), rests(3, 9, 7)]).is_err());
        assert!(look(&[three(), rests(1, 9, 7), rests(3, 9, 7)]).is_err());
    }

    #[test]
    fn a_machine_that_joined_must_be_there_and_one_that_has_gone_need_not() {
        let joins = || of(0, Fact::Injected(Fault::Join { node: 4 }));
        let old = || [rests(1, 9, 7), rests(3, 9, 7)];
        let gone = || of(2, Fact::Gone);
        assert!(look(&[vec![three(), joins(), gone()], old().to_vec()].concat()).is_err());
        assert_eq!(look(&[vec![three(), joins(), gone(), rests(4, 9, 7)], old().to_vec()].concat()), Ok(3));
    }
}
