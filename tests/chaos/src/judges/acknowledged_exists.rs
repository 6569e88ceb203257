//! A task whose submit was acknowledged exists on every node in the end.
//!
//! Source: reliability plan T1 to T5, "0 acked lost"; README, "nothing is acknowledged before it is on the disk".

use std::collections::{BTreeMap, BTreeSet};

use super::{Judge, Verdict, broken};
use crate::history::{Answer, Fact, Record, calls};

pub(super) const JUDGE: Judge = Judge {
    name: "acknowledged exists",
    says: "every task whose submit was acknowledged is on every node that was looked at",
    look,
};

fn look(history: &[Record]) -> Verdict {
    let mut found: BTreeMap<usize, BTreeSet<&str>> = BTreeMap::new();
    let mut looked = Vec::new();
    for (place, record) in history.iter().enumerate() {
        match &record.fact {
            Fact::Found { node, task } => {
                found.entry(*node).or_default().insert(&task.task);
            }
            Fact::Looked { node, tasks } => looked.push((place, *node, *tasks)),
            _ => {}
        }
    }
    for (place, node, tasks) in &looked {
        let seen = found.get(node).map_or(0, BTreeSet::len);
        if seen != *tasks {
            let what = format!("node {node} lists {tasks} tasks and showed {seen} different ones");
            return broken(*place, None, what);
        }
    }
    let mut checked = 0;
    for call in calls(history) {
        let Some(Answer::Submitted { task }) = call.answer else { continue };
        for (_, node, _) in &looked {
            checked += 1;
            if !found.get(node).is_some_and(|tasks| tasks.contains(task.as_str())) {
                let what = format!("node {} acknowledged it and node {node} does not have it", call.node);
                return broken(call.record, Some(task), what);
            }
        }
    }
    Ok(checked)
}
