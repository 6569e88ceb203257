//! A task ends once, and the end that was told first stands for ever.
//!
//! Source: reliability plan T1, "0 double completions", and T22.

use std::collections::BTreeMap;

use super::{Judge, Verdict, broken};
use crate::history::{Answer, Fact, Record, Request, Status, calls};

pub(super) const JUDGE: Judge = Judge {
    name: "ends once",
    says: "no two ends of a task are told, none is completed twice, and the last look shows the end that was told",
    look,
};

fn look(history: &[Record]) -> Verdict {
    // How a task ended and under which attempt it was completed, as told first.
    let mut ends: BTreeMap<&str, (Status, Option<u32>)> = BTreeMap::new();
    let mut checked = 0;
    for call in calls(history) {
        let (task, status, attempt) = match (call.request, call.answer) {
            (Request::Complete { task, attempt }, Some(Answer::Stands { status })) => {
                (task, *status, (*status == Status::Completed).then_some(*attempt))
            }
            (Request::Fail { task, .. } | Request::Cancel { task }, Some(Answer::Stands { status })) => {
                (task, *status, None)
            }
            (Request::Read { task }, Some(Answer::Shown { status, attempt })) => {
                (task, *status, (*status == Status::Completed).then_some(*attempt))
            }
            _ => continue,
        };
        if !status.is_end() {
            continue;
        }
        checked += 1;
        let told = ends.entry(task).or_insert((status, attempt));
        if told.0 != status {
            return broken(call.record, Some(task), format!("it was told as {:?} and as {status:?}", told.0));
        }
        if let (Some(first), Some(attempt)) = (told.1, attempt)
            && first != attempt
        {
            let what = format!("attempts {first} and {attempt} are both told to have completed it");
            return broken(call.record, Some(task), what);
        }
        told.1 = told.1.or(attempt);
    }
    for (place, record) in history.iter().enumerate() {
        let Fact::Found { node, task: found } = &record.fact else { continue };
        checked += 1;
        if found.completions > 1 {
            let what = format!("node {node} shows {} completions", found.completions);
            return broken(place, Some(&found.task), what);
        }
        let Some((status, attempt)) = ends.get(found.task.as_str()) else { continue };
        if found.status != *status {
            let what = format!("it was told as {status:?} and node {node} shows {:?}", found.status);
            return broken(place, Some(&found.task), what);
        }
        if let Some(attempt) = attempt.filter(|attempt| *attempt != found.attempt) {
            let what = format!("attempt {attempt} completed it and node {node} shows {}", found.attempt);
            return broken(place, Some(&found.task), what);
        }
    }
    Ok(checked)
}
