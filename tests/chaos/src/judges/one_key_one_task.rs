//! One idempotency key, one task; one request without a key, at most one task; and no task out of nothing.
//!
//! Source: reliability plan T21; domain, law of submits.

use std::collections::BTreeMap;

use super::{Judge, Verdict, broken};
use crate::history::{Answer, Fact, Record, Request, calls};

pub(super) const JUDGE: Judge = Judge {
    name: "one key, one task",
    says: "submits under one key give one task, no submit makes two, and no task comes out of nothing",
    look,
};

fn look(history: &[Record]) -> Verdict {
    let mut by_key: BTreeMap<&str, &str> = BTreeMap::new();
    let mut by_mark: BTreeMap<&str, Option<&str>> = BTreeMap::new();
    let mut checked = 0;
    for call in calls(history) {
        let Request::Submit { key, mark, .. } = call.request else { continue };
        by_mark.entry(mark).or_default();
        let Some(Answer::Submitted { task }) = call.answer else { continue };
        checked += 1;
        if let Some(other) = by_mark.insert(mark, Some(task)).flatten()
            && other != task
        {
            return broken(call.record, Some(task), format!("the submit {mark} made {other} as well"));
        }
        if let Some(key) = key
            && let Some(other) = by_key.insert(key, task)
            && other != task
        {
            return broken(call.record, Some(task), format!("the key {key} had given {other}"));
        }
    }
    let mut found: BTreeMap<(usize, &str), &str> = BTreeMap::new();
    for (place, record) in history.iter().enumerate() {
        let Fact::Found { node, task } = &record.fact else { continue };
        let Some(mark) = &task.mark else { continue };
        checked += 1;
        let Some(acknowledged) = by_mark.get(mark.as_str()) else {
            return broken(place, Some(&task.task), format!("nobody submitted {mark}"));
        };
        if let Some(other) = acknowledged.filter(|other| *other != task.task) {
            let what = format!("the submit {mark} was acknowledged as {other} and made this one too");
            return broken(place, Some(&task.task), what);
        }
        if let Some(other) = found.insert((*node, mark), &task.task)
            && other != task.task
        {
            return broken(place, Some(&task.task), format!("the submit {mark} made {other} as well"));
        }
    }
    Ok(checked)
}
