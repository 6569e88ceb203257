//! Work of agents that the nodes themselves run: an attempt is begun by one program, and what is shown as completed was
//! worked to its end under that attempt.
//!
//! Source: issue "What moves", a node that dies or stalls with hosted work; docs/FLEET.md, "a program is started once
//! for each attempt". The programs say themselves what they do, in a file that no fault reaches. A program that a stalled
//! node starts late is no mistake, for delivery is at least once: only its result must not count.

use std::collections::{BTreeMap, BTreeSet};

use super::{Judge, Verdict, broken};
use crate::history::{Answer, Fact, Record, Request, Status, Step, calls, is_hosted};

pub(super) const JUDGE: Judge = Judge {
    name: "hosted work",
    says: "an attempt of a hosted agent is begun once, and a completed one was worked to its end",
    look,
};

fn look(history: &[Record]) -> Verdict {
    let mut begun: BTreeSet<(&str, u32)> = BTreeSet::new();
    let mut ended: BTreeSet<(&str, u32)> = BTreeSet::new();
    let mut checked = 0;
    for (place, record) in history.iter().enumerate() {
        let Fact::Worked { task, attempt, agent, step } = &record.fact else { continue };
        checked += 1;
        let of = match step {
            Step::Began => &mut begun,
            Step::Ended => &mut ended,
        };
        if !of.insert((task, *attempt)) {
            let what = format!("attempt {attempt} {step:?} twice, the second time at {agent}");
            return broken(place, Some(task), what);
        }
        if !begun.contains(&(task.as_str(), *attempt)) {
            return broken(place, Some(task), format!("attempt {attempt} ended and never began, at {agent}"));
        }
    }
    let mut acknowledged = BTreeMap::new();
    for call in calls(history) {
        if let (Request::Submit { mark, .. }, Some(Answer::Submitted { task })) = (call.request, call.answer)
            && is_hosted(mark)
        {
            acknowledged.entry(task.as_str()).or_insert(call.record);
        }
    }
    let mut completed = 0;
    for (place, record) in history.iter().enumerate() {
        let Fact::Found { node, task } = &record.fact else { continue };
        if !task.mark.as_deref().is_some_and(is_hosted) {
            continue;
        }
        checked += 1;
        if task.status == Status::Completed {
            completed += 1;
            if !ended.contains(&(task.task.as_str(), task.attempt)) {
                let what =
                    format!("node {node} shows attempt {} as completed, which no agent ended", task.attempt);
                return broken(place, Some(&task.task), what);
            }
        }
    }
    match acknowledged.first_key_value() {
        Some((task, record)) if completed == 0 => {
            broken(*record, Some(task), "work for hosted agents was acknowledged and none was completed")
        }
        _ => Ok(checked),
    }
}
