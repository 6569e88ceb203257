//! Once the faults are over, every acknowledged task ends.
//!
//! Source: reliability plan T2, "all tasks terminal after heal". A scenario that stops its workers before the
//! work is done does not look at its nodes, so it is not judged by this.

use std::collections::BTreeSet;

use super::{Judge, Verdict, broken};
use crate::history::{Answer, Fact, Record, calls};

pub(super) const JUDGE: Judge =
    Judge { name: "all work ends", says: "every acknowledged task is over in the last look", look };

fn look(history: &[Record]) -> Verdict {
    let acknowledged: BTreeSet<&str> = calls(history)
        .iter()
        .filter_map(|call| match call.answer {
            Some(Answer::Submitted { task }) => Some(task.as_str()),
            _ => None,
        })
        .collect();
    let mut checked = 0;
    for (place, record) in history.iter().enumerate() {
        let Fact::Found { node, task } = &record.fact else { continue };
        if !acknowledged.contains(task.task.as_str()) {
            continue;
        }
        checked += 1;
        if !task.status.is_end() {
            let what = format!("node {node} shows it as {:?}, attempt {}", task.status, task.attempt);
            return broken(place, Some(&task.task), what);
        }
    }
    Ok(checked)
}
