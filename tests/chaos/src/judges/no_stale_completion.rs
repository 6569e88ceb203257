//! No result is taken from an attempt after another one has the task.
//!
//! Source: reliability plan T19; the attempt is the fencing token.

use std::collections::BTreeMap;

use super::{Judge, Verdict, broken};
use crate::history::{Answer, Micros, Record, Request, calls};

pub(super) const JUDGE: Judge = Judge {
    name: "no stale completion",
    says: "what is said under an attempt is refused once a later attempt was granted",
    look,
};

fn look(history: &[Record]) -> Verdict {
    let calls = calls(history);
    // The first time that somebody certainly had each attempt.
    let mut granted: BTreeMap<(&str, u32), Micros> = BTreeMap::new();
    // What an attempt had achieved before: saying it again is answered as the first time.
    let mut ended: BTreeMap<(&str, u32), Micros> = BTreeMap::new();
    for call in &calls {
        match (call.request, call.answer, call.answered) {
            (Request::Claim { .. }, Some(Answer::Claimed { leases }), Some(at)) => {
                for (task, attempt) in leases {
                    let first = granted.entry((task, *attempt)).or_insert(at);
                    *first = (*first).min(at);
                }
            }
            (Request::Complete { task, attempt } | Request::Fail { task, attempt }, _, _) => {
                let first = ended.entry((task, *attempt)).or_insert(call.asked);
                *first = (*first).min(call.asked);
            }
            _ => {}
        }
    }
    let mut checked = 0;
    for call in &calls {
        let (task, attempt, accepted) = match (call.request, call.answer) {
            (Request::Complete { task, attempt }, Some(Answer::Stands { .. }))
            | (Request::Heartbeat { task, attempt }, Some(Answer::Renewed)) => (task, *attempt, true),
            (Request::Complete { task, attempt } | Request::Heartbeat { task, attempt }, Some(_)) => {
                (task, *attempt, false)
            }
            _ => continue,
        };
        checked += 1;
        if !accepted {
            continue;
        }
        let later = granted.range((task.as_str(), attempt + 1)..=(task.as_str(), u32::MAX)).next();
        let Some(((_, later), at)) = later else { continue };
        // Asked before the other one existed: an earlier try may have been taken in time.
        let first = ended.get(&(task.as_str(), attempt)).copied().unwrap_or(call.asked).min(call.asked);
        if first > *at {
            let what = format!("attempt {attempt} was heard though attempt {later} had been granted before");
            return broken(call.record, Some(task), what);
        }
    }
    Ok(checked)
}
