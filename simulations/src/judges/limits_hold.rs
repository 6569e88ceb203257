//! Never more tasks of a key are in hand at once, nor begin in any stretch of time as long as a window, than a limit set
//! lets through; and none begins when those of the last minute have used more tokens than it lets through.
//!
//! Source: issue 6, "limit sets"; docs, "Limits". A set is called by the most that it ever lets through, and the key of
//! those of a world is the type of a task, where clients ask for limits. What ran before a set was made counts for how many
//! run at once.

use std::collections::BTreeMap;

use synod::node::domain::event::Governing;
use synod::node::domain::time::Timestamp;

use crate::history::{Fact, Plan, Record};
use crate::judges::work::{Heard, Work, figure};
use crate::judges::{Judge, Verdict, broken};
use crate::workload::Workload;

pub(super) const JUDGE: Judge = Judge {
    name: "limits hold",
    says: "of one key never more is in hand at once, nor begins within a window, nor after more was used, than its limit set says",
    look,
};

/// How the types of tasks begin that are limited.
const LIMITED: &str = "tight-";

/// Over how long tokens are counted.
const MINUTE_MS: u64 = 60_000;

/// What tasks of a type did since a set was made.
#[derive(Debug, Default)]
struct Flows {
    began: Vec<Timestamp>,
    /// What those used that completed, and when their leases were given.
    used: Vec<(Timestamp, u64)>,
}

fn look(history: &[Record]) -> Verdict {
    if !Plan::said(history).has(Workload::Limits) {
        return Ok(0);
    }
    // By set and type.
    let mut sets = BTreeMap::<String, BTreeMap<String, Flows>>::new();
    let mut said = BTreeMap::new();
    let (mut work, mut checked) = (Work::default(), 0);
    for (place, record) in history.iter().enumerate() {
        if let Fact::Uses { task, attempt, usage } = &record.fact {
            said.insert((*task, *attempt), usage.tokens_in.saturating_add(usage.tokens_out));
        }
        match work.hear(record) {
            Heard::Forgot => sets.clear(),
            Heard::Governs(governance) => {
                let names = governance.limit_sets.iter().map(ToString::to_string);
                sets =
                    names.map(|name| sets.remove_entry(&name).unwrap_or((name, BTreeMap::new()))).collect();
            }
            Heard::Governed { what: Governing::LimitPut, subject, .. } => {
                sets.entry(subject.to_owned()).or_default();
            }
            Heard::Governed { what: Governing::LimitRemoved, subject, .. } => {
                sets.remove(subject);
            }
            Heard::Leased(lease) => {
                let kind = work.kind(lease.task);
                if !kind.starts_with(LIMITED) {
                    continue;
                }
                let at_once = work.held().filter(|other| work.kind(other.task) == kind).count() as u64;
                for (set, flows) in &mut sets {
                    let flows = flows.entry(kind.to_owned()).or_default();
                    flows.began.push(lease.at);
                    let Some(held) = held(set, at_once, flows) else { continue };
                    if let Err(what) = held {
                        return broken(
                            place,
                            Some(lease.task),
                            format!("{what} of {kind}, under limit {set}"),
                        );
                    }
                    checked += 1;
                }
            }
            // A zero says nothing; what was expected of it is not known here.
            Heard::Completed(lease) => {
                let kind = work.kind(lease.task);
                let Some(tokens) =
                    said.get(&(lease.task, lease.attempt)).filter(|_| kind.starts_with(LIMITED))
                else {
                    continue;
                };
                for flows in sets.values_mut().filter_map(|flows| flows.get_mut(kind)) {
                    // What began before the set was made is not in its count.
                    if flows.began.contains(&lease.at) {
                        flows.used.push((lease.at, *tokens));
                    }
                }
            }
            Heard::Governed { .. } | Heard::Returned(_) | Heard::Other => {}
        }
    }
    Ok(checked)
}

/// Tells whether a set of this name holds: so many at once, and what its tasks did, the last of which begins now. Nothing is
/// known of a set whose name says nothing.
fn held(set: &str, at_once: u64, flows: &Flows) -> Option<Result<(), String>> {
    let now = flows.began.last()?.as_millis();
    let within = |at: &Timestamp, window: u64| at.as_millis().saturating_add(window) > now;
    let (sum, most, what) = if let Some(most) = set.strip_prefix("at-once-") {
        (at_once, most, "at once")
    } else if let Some(rate) = set.strip_prefix("rate-") {
        let (most, window) = (rate.split('-').next()?, figure(set)?);
        (flows.began.iter().filter(|at| within(at, window)).count() as u64, most, "began within a window")
    } else {
        let used = flows.used.iter().filter(|(at, _)| within(at, MINUTE_MS));
        let used = used.fold(0_u64, |sum, (_, tokens)| sum.saturating_add(*tokens));
        (used, set.strip_prefix("tokens-")?, "tokens were used within a minute before it began")
    };
    let most: u64 = most.parse().ok()?;
    Some(if sum > most { Err(format!("{sum} {what}")) } else { Ok(()) })
}

#[cfg(test)]
mod tests {
    use synod::node::domain::task::{Phase, Usage};

    use crate::history::Governance;
    use crate::judges::histories::*;

    use super::*;

    fn planned(facts: impl IntoIterator<Item = Fact>) -> Vec<Record> {
        history([clients_ask_for(Workload::Limits)].into_iter().chain(facts))
    }

    fn of(number: u128, kind: &str) -> Fact {
        submitted_as(1, number, kind)
    }

    fn put(set: &str) -> Fact {
        governed(1, Governing::LimitPut, set, None)
    }

    #[test]
    fn more_at_once_than_a_set_says_is_found_for_each_key() {
        let ran = || [of(1, "tight-a"), of(2, "tight-a"), of(3, "tight-b"), leased(2, 1, 1)];
        let then = |more: Vec<Fact>| look(&planned(ran().into_iter().chain([put("at-once-1")]).chain(more)));
        assert!(then(vec![leased(3, 2, 1)]).is_err(), "what ran before counts");
        assert_eq!(then(vec![leased(3, 3, 1)]), Ok(1));
        assert_eq!(then(vec![ended(3, 1, Phase::Failed), leased(4, 2, 1)]), Ok(1));
        let removed = governed(3, Governing::LimitRemoved, "at-once-1", None);
        assert_eq!(then(vec![removed, leased(4, 2, 1)]), Ok(0));
        let looked = Fact::Governs(Governance {
            limit_sets: vec!["at-once-1".parse().unwrap()],
            ..Governance::default()
        });
        assert!(look(&planned(ran().into_iter().chain([looked, leased(3, 2, 1)]))).is_err());
    }

    fn began(times: &[u64]) -> Flows {
        let began = times.iter().copied().map(Timestamp::from_millis).collect();
        Flows { began, used: Vec::new() }
    }

    #[test]
    fn more_within_a_window_than_a_set_says_is_found() {
        assert!(held("rate-2-1000", 1, &began(&[0, 500, 999])).unwrap().is_err());
        assert_eq!(held("rate-2-1000", 1, &began(&[0, 500, 1000])), Some(Ok(())));
        assert_eq!(held("strange", 99, &began(&[0, 0, 0])), None, "it is not counted as looked at");
    }

    #[test]
    fn what_begins_after_more_tokens_than_a_set_says_is_found_and_an_older_use_is_not() {
        let used = |number, tokens_out| Fact::Uses {
            task: task(number),
            attempt: 1,
            usage: Usage { tokens_out, ..Usage::default() },
        };
        let then = |tokens| {
            let facts = [of(1, "tight-a"), of(2, "tight-a"), put("tokens-100"), leased(2, 1, 1)];
            let ends = [used(1, tokens), ended(3, 1, Phase::Completed), leased(4, 2, 1)];
            look(&planned(facts.into_iter().chain(ends)))
        };
        assert_eq!(then(100), Ok(2));
        assert!(then(101).is_err());
        let minutes = |now| Flows { used: vec![(Timestamp::from_millis(0), 101)], ..began(&[0, now]) };
        assert!(held("tokens-100", 1, &minutes(59_999)).unwrap().is_err());
        assert_eq!(held("tokens-100", 1, &minutes(60_000)), Some(Ok(())));
    }
}
