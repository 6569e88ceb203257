//! After the faults, all nodes show the same.
//!
//! Source: reliability plan T6 and T24, "replicas identical after heal".

use std::collections::{BTreeMap, BTreeSet};

use super::{Judge, Verdict, broken};
use crate::history::{Fact, Found, Record};

pub(super) const JUDGE: Judge =
    Judge { name: "all nodes agree", says: "every node shows every task alike in the last look", look };

fn look(history: &[Record]) -> Verdict {
    let mut first: BTreeMap<&str, (usize, &Found)> = BTreeMap::new();
    let mut seen: BTreeMap<&str, BTreeSet<usize>> = BTreeMap::new();
    let mut looked = BTreeSet::new();
    let mut checked = 0;
    for (place, record) in history.iter().enumerate() {
        match &record.fact {
            Fact::Looked { node, .. } => {
                looked.insert(*node);
            }
            Fact::Found { node, task } => {
                checked += 1;
                seen.entry(&task.task).or_default().insert(*node);
                let (other, as_there) = first.entry(&task.task).or_insert((*node, task));
                if **as_there != **task {
                    let what =
                        format!("node {other} shows {} and node {node} {}", as_there.whole, task.whole);
                    return broken(place, Some(&task.task), what);
                }
            }
            _ => {}
        }
    }
    for (task, nodes) in seen {
        if let Some(missing) = looked.difference(&nodes).next() {
            return broken(0, Some(task), format!("node {missing} does not have it, others do"));
        }
    }
    Ok(checked)
}
