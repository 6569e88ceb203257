//! Never more tasks of a key are in hand at once, nor begin in any stretch of time as long as a window, than a limit set
//! lets through.
//!
//! Source: issue 6, "limit sets"; docs, "Limits". A set is called by the most that it ever lets through, and the key of
//! those of a world is the type of a task. What ran before a set was made counts for how many run at once.

use std::collections::BTreeMap;

use synod::node::domain::event::Governing;
use synod::node::domain::time::Timestamp;

use crate::history::Record;
use crate::judges::work::{Heard, Work, figure};
use crate::judges::{Judge, Verdict, broken};

pub(super) const JUDGE: Judge = Judge {
    name: "limits hold",
    says: "of one key never more is in hand at once, nor begins within a window, than its limit set says",
    look,
};

/// How the types of tasks begin that are limited.
const LIMITED: &str = "tight-";

fn look(history: &[Record]) -> Verdict {
    // By set: when tasks of a type began since it was made.
    let mut sets = BTreeMap::<String, BTreeMap<String, Vec<Timestamp>>>::new();
    let (mut work, mut checked) = (Work::default(), 0);
    for (place, record) in history.iter().enumerate() {
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
                for (set, began) in &mut sets {
                    let began = began.entry(kind.to_owned()).or_default();
                    began.push(lease.at);
                    if let Some(what) = passed(set, at_once, began) {
                        return broken(
                            place,
                            Some(lease.task),
                            format!("{what} of {kind}, under limit {set}"),
                        );
                    }
                    checked += 1;
                }
            }
            Heard::Governed { .. } | Heard::Completed(_) | Heard::Returned(_) | Heard::Other => {}
        }
    }
    Ok(checked)
}

/// Says what passes a set of this name: so many at once, and those that began, the last one now.
fn passed(set: &str, at_once: u64, began: &[Timestamp]) -> Option<String> {
    if let Some(most) = set.strip_prefix("at-once-").and_then(|most| most.parse::<u64>().ok()) {
        return (at_once > most).then(|| format!("{at_once} run at once"));
    }
    let rate = set.strip_prefix("rate-")?;
    let (most, window) = (rate.split('-').next()?.parse::<u64>().ok()?, figure(set)?);
    let now = began.last()?.as_millis();
    let within = began.iter().filter(|at| at.as_millis() + window > now).count() as u64;
    (within > most).then(|| format!("{within} began within {window} ms"))
}

#[cfg(test)]
mod tests {
    use synod::node::domain::task::Phase;

    use crate::history::{Fact, Governance};
    use crate::judges::histories::*;

    use super::*;

    fn of(number: u128, kind: &str) -> Fact {
        submitted_as(1, number, kind)
    }

    fn put(set: &str) -> Fact {
        governed(1, Governing::LimitPut, set, None)
    }

    #[test]
    fn more_at_once_than_a_set_says_is_found_for_each_key() {
        let ran = || [of(1, "tight-a"), of(2, "tight-a"), of(3, "tight-b"), leased(2, 1, 1)];
        let then = |more: Vec<Fact>| look(&history(ran().into_iter().chain([put("at-once-1")]).chain(more)));
        assert!(then(vec![leased(3, 2, 1)]).is_err(), "what ran before counts");
        assert_eq!(then(vec![leased(3, 3, 1)]), Ok(1));
        assert_eq!(then(vec![ended(3, 1, Phase::Failed), leased(4, 2, 1)]), Ok(1));
        let removed = governed(3, Governing::LimitRemoved, "at-once-1", None);
        assert_eq!(then(vec![removed, leased(4, 2, 1)]), Ok(0));
        let looked = Fact::Governs(Governance {
            limit_sets: vec!["at-once-1".parse().unwrap()],
            ..Governance::default()
        });
        assert!(look(&history(ran().into_iter().chain([looked, leased(3, 2, 1)]))).is_err());
    }

    #[test]
    fn more_within_a_window_than_a_set_says_is_found() {
        let began =
            |times: &[u64]| -> Vec<Timestamp> { times.iter().copied().map(Timestamp::from_millis).collect() };
        assert!(passed("rate-2-1000", 1, &began(&[0, 500, 999])).is_some());
        assert!(passed("rate-2-1000", 1, &began(&[0, 500, 1000])).is_none());
        assert!(passed("tokens", 99, &began(&[0, 0, 0])).is_none());
    }
}
