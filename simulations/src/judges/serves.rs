//! After healing, every node of the cluster takes work again.
//!
//! Source: issue 5, "after healing: converges, serves, all acknowledged work ends, within a bound of simulated time". The
//! bound is the world's `settle`: it closes when that has passed. One submit is sent through each machine, and again as
//! long as it is not acknowledged. Worlds without ordinary clients have nobody who sends it.

use std::collections::{BTreeMap, BTreeSet};

use crate::faults::Fault;
use crate::history::{Answer, Fact, Record, Request};
use crate::judges::{Judge, Verdict, broken};
use crate::probe;

pub(super) const JUDGE: Judge = Judge {
    name: "serves",
    says: "after the last fault a submit through each node of the cluster is acknowledged",
    look,
};

fn look(history: &[Record]) -> Verdict {
    let mut nodes = BTreeSet::new();
    let mut asked = BTreeMap::new();
    let mut served = BTreeSet::new();
    for record in history {
        match &record.fact {
            Fact::Began { nodes: begins_with, .. } => nodes.extend(1..=*begins_with),
            Fact::Injected(Fault::Join { node }) => {
                nodes.insert(*node);
            }
            Fact::Gone => {
                nodes.remove(&record.node.unwrap_or_default());
            }
            Fact::Asked { question, client, request: Request::Submit { .. } } if probe::is_one(client) => {
                asked.insert(*question, record.node.unwrap_or_default());
            }
            Fact::Answered { question, answer: Answer::Submitted(_) } => {
                served.extend(asked.get(question).copied());
            }
            _ => {}
        }
    }
    // Who is down for all the time is missed by another judge.
    if asked.is_empty() {
        return Ok(0);
    }
    match nodes.difference(&served).next() {
        Some(node) => broken(
            history.len().saturating_sub(1),
            None,
            format!("no submit through n{node} was acknowledged"),
        ),
        None => Ok(served.len()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::judges::histories::*;

    use super::*;

    fn probed(node: u64) -> Record {
        let request = Request::Submit { key: None, content: 0, pool: "inside".into() };
        of(node, Fact::Asked { question: node, client: probe::name_of(node).into(), request })
    }

    fn served(node: u64) -> Record {
        of(node, answered(node, Answer::Submitted(task(u128::from(node)))))
    }

    fn two() -> Record {
        of(0, Fact::Began { seed: 1, duration: Duration::ZERO, faults: true, nodes: 2 })
    }

    #[test]
    fn a_node_that_acknowledges_nothing_any_more_is_found() {
        assert_eq!(look(&[two(), probed(1), probed(2), served(2), served(1)]), Ok(2));
        assert!(look(&[two(), probed(1), probed(2), served(2)]).is_err());
        assert!(look(&[two(), probed(1), served(1)]).is_err());
        let failed = of(2, answered(2, Answer::Failed("no leader".to_owned())));
        assert!(look(&[two(), probed(1), served(1), probed(2), failed]).is_err());
    }

    #[test]
    fn a_machine_that_has_gone_need_not_and_one_that_joined_must() {
        let gone = || of(2, Fact::Gone);
        assert_eq!(look(&[two(), gone(), probed(1), served(1)]), Ok(1));
        let joins = of(0, Fact::Injected(Fault::Join { node: 3 }));
        assert!(look(&[two(), gone(), joins, probed(1), served(1)]).is_err());
    }
}
