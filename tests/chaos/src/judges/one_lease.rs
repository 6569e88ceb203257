//! At most one lease on a task is valid, attempts are numbered upwards, and none is given out before the one
//! before it is over.
//!
//! Source: reliability plan T20; fencing tokens (Kleppmann, "How to do distributed locking", 2016).
//!
//! A lease is certainly valid for its silence timeout after its last acknowledged sign of life, counted from
//! when that was asked: the node counts from when it heard it, which is later. That goes for a claim, too, that its
//! client once gave up waiting for and asked another node for under the same key.

use std::collections::BTreeMap;

use super::{Judge, Verdict, broken, seconds};
use crate::history::{Answer, Call, Fact, Micros, Record, Request, calls};

pub(super) const JUDGE: Judge = Judge {
    name: "one lease",
    says: "a lease is given to one claim, under a higher attempt, and only when the one before is over",
    look,
};

/// Nodes that follow each other's time may run this much fast, in hundredths: part of the promise, not of a lease.
const SLACK_PERCENT: u64 = 80;

#[derive(Debug)]
struct Lease<'a> {
    key: &'a str,
    /// When its claimer first heard of it.
    answered: Micros,
    /// Until when it is certainly valid, unless its holder ends it.
    valid_until: Micros,
    /// When its holder, or whoever cancelled, first asked for its end.
    ended_from: Option<Micros>,
}

#[derive(Debug, Default)]
struct Leases<'a> {
    of: BTreeMap<&'a str, BTreeMap<u32, Lease<'a>>>,
    silence: BTreeMap<&'a str, Micros>,
}

fn look(history: &[Record]) -> Verdict {
    let timeout = match history.first().map(|record| &record.fact) {
        Some(Fact::Began { agent_timeout, .. }) => *agent_timeout,
        _ => 0,
    };
    let calls = calls(history);
    let silence = calls
        .iter()
        .filter_map(|call| match (call.request, call.answer?) {
            (Request::Submit { silence: Some(silence), .. }, Answer::Submitted { task }) => {
                Some((task.as_str(), (*silence).min(timeout)))
            }
            _ => None,
        })
        .collect();
    let mut leases = Leases { silence, ..Leases::default() };
    // Signs of life and ends first, whatever their answers' order: a claim is judged with all of them.
    let mut granted: Vec<(&Call<'_>, &str, u32, &str, Micros)> = Vec::new();
    for call in &calls {
        if let (Request::Claim { key, .. }, Some(Answer::Claimed { leases })) = (call.request, call.answer) {
            let answered = call.answered.unwrap_or(call.asked);
            granted.extend(
                leases.iter().map(|(task, attempt)| (call, task.as_str(), *attempt, key.as_str(), answered)),
            );
        }
    }
    for (call, task, attempt, key, answered) in &granted {
        leases.granted(call, task, *attempt, key, *answered)?;
    }
    for call in &calls {
        leases.told(call);
    }
    for (call, task, attempt, _, answered) in &granted {
        leases.after_the_one_before(call, task, *attempt, *answered)?;
    }
    Ok(granted.len())
}

impl<'a> Leases<'a> {
    fn granted(
        &mut self,
        call: &Call<'a>,
        task: &'a str,
        attempt: u32,
        key: &'a str,
        answered: Micros,
    ) -> Result<(), super::Violation> {
        let silence = self.silence.get(task).copied().unwrap_or(0);
        let valid_until = call.asked + silence * SLACK_PERCENT / 100;
        let of = self.of.entry(task).or_default();
        match of.get_mut(&attempt) {
            Some(lease) if lease.key != key => {
                broken(call.record, Some(task), format!("attempt {attempt} was given to two claims"))
            }
            Some(lease) => {
                lease.valid_until = lease.valid_until.max(valid_until);
                lease.answered = lease.answered.min(answered);
                Ok(())
            }
            None => {
                of.insert(attempt, Lease { key, answered, valid_until, ended_from: None });
                Ok(())
            }
        }
    }

    /// Notes what was said about a lease: a renewal that was acknowledged, an end that was asked for.
    fn told(&mut self, call: &Call<'a>) {
        match call.request {
            Request::Heartbeat { task, attempt } if call.answer == Some(&Answer::Renewed) => {
                let silence = self.silence.get(task.as_str()).copied().unwrap_or(0);
                if let Some(lease) = self.of.get_mut(task.as_str()).and_then(|of| of.get_mut(attempt)) {
                    lease.valid_until = lease.valid_until.max(call.asked + silence * SLACK_PERCENT / 100);
                }
            }
            Request::Complete { task, attempt } | Request::Fail { task, attempt } => {
                if let Some(lease) = self.of.get_mut(task.as_str()).and_then(|of| of.get_mut(attempt)) {
                    lease.ended_from = Some(lease.ended_from.map_or(call.asked, |from| from.min(call.asked)));
                }
            }
            _ => {}
        }
    }

    fn after_the_one_before(
        &self,
        call: &Call<'_>,
        task: &str,
        attempt: u32,
        answered: Micros,
    ) -> Result<(), super::Violation> {
        let Some(of) = self.of.get(task) else { return Ok(()) };
        for (before, lease) in of.range(..attempt) {
            let held = lease.ended_from.is_none_or(|from| from > answered);
            if held && answered < lease.valid_until {
                let what = format!(
                    "attempt {attempt} was granted by {} while attempt {before} was valid until {} at least",
                    seconds(answered),
                    seconds(lease.valid_until)
                );
                return broken(call.record, Some(task), what);
            }
        }
        // A higher attempt that was answered before this one was asked for: numbers went down.
        for (after, lease) in of.range(attempt + 1..) {
            if lease.answered < call.asked {
                let what = format!("attempt {attempt} was granted after attempt {after}");
                return broken(call.record, Some(task), what);
            }
        }
        Ok(())
    }
}
