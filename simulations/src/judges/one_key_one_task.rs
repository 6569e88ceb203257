//! An idempotency key names one task, however often it is sent and whatever crashed in between.
//!
//! A key is remembered for a day. Clocks of a world jump by as much, so whoever asks again later may be given a new task:
//! later by the time of the log, which the events tell, or by that of the ids where nobody told the events.
//!
//! Source: issue 2, idempotency keys. The same key with other content is refused, never answered.

use std::collections::BTreeMap;
use std::time::Duration;

use synod::node::domain::event::Event;
use synod::node::domain::id::TaskId;
use synod::node::domain::limits::Limits;

use crate::history::{Answer, Fact, Record, Request};
use crate::judges::{Judge, Verdict, broken};

pub(super) const JUDGE: Judge = Judge {
    name: "one key, one task",
    says: "every answered submit under one key gave the same task and asked for the same content, and nobody else's key counts",
    look,
};

/// The code of a refusal because of a key's other content.
const CONFLICT: &str = "idempotency_conflict";

/// How much later than its id was made a task may have been taken: by then its key was older than the ids tell.
const ON_ITS_WAY: Duration = Duration::from_secs(10 * 60);

/// When tasks were taken, by the time of the log.
struct Taken(BTreeMap<TaskId, Duration>);

impl Taken {
    fn of(history: &[Record]) -> Self {
        let submitted = history.iter().filter_map(|record| match &record.fact {
            Fact::Happened { at, event: Event::TaskSubmitted { task, .. }, .. } => {
                Some((*task, Duration::from_millis(at.as_millis())))
            }
            _ => None,
        });
        Self(submitted.collect())
    }

    /// Tells whether the key of one task was forgotten when the other was taken.
    fn forgotten_between(&self, first: TaskId, second: TaskId) -> bool {
        let made = |task: TaskId| Duration::from_millis(u64::try_from(task.raw() >> 80).unwrap_or(u64::MAX));
        let remembered = Limits::default().idempotency;
        match (self.0.get(&first), self.0.get(&second)) {
            (Some(first), Some(second)) => second.saturating_sub(*first) > remembered,
            _ => made(second).saturating_sub(made(first)) + ON_ITS_WAY > remembered,
        }
    }
}

fn look(history: &[Record]) -> Verdict {
    let taken = Taken::of(history);
    let mut asked = BTreeMap::new();
    let mut named = BTreeMap::new();
    let mut checked = 0;
    for (place, record) in history.iter().enumerate() {
        match &record.fact {
            Fact::Asked { question, client, request: Request::Submit { key: Some(key), content, .. } } => {
                asked.insert(*question, ((client, key), *content));
            }
            Fact::Answered { question, answer: Answer::Submitted(task) } => {
                let Some((key, content)) = asked.get(question) else { continue };
                checked += 1;
                let (_, key_text) = key;
                let (first, of) = named.entry(*key).or_insert((*task, *content));
                if taken.forgotten_between(*first, *task) {
                    (*first, *of) = (*task, *content);
                }
                if first != task {
                    return broken(place, Some(*task), format!("key {key_text} named {first} before"));
                }
                if of != content {
                    return broken(
                        place,
                        Some(*task),
                        format!("key {key_text} was taken with other content"),
                    );
                }
            }
            Fact::Answered { question, answer: Answer::Refused { code, .. } } if *code == CONFLICT => {
                let Some((key, content)) = asked.get(question) else { continue };
                checked += 1;
                let own = asked.range(..question).any(|(_, (other, of))| other == key && of != content);
                if !own {
                    return broken(place, None, format!("key {} is new and was refused as used", key.1));
                }
            }
            _ => {}
        }
    }
    Ok(checked)
}

#[cfg(test)]
mod tests {
    use crate::judges::histories::*;

    use super::*;

    fn submit(question: u64, content: u64, number: u128) -> [Fact; 2] {
        let request = Request::Submit { key: Some("k".into()), content, pool: "p".into() };
        [asked(question, request), answered(question, Answer::Submitted(task(number)))]
    }

    #[test]
    fn a_key_with_two_tasks_is_found() {
        assert_eq!(look(&history([submit(1, 7, 1), submit(2, 7, 1)].concat())), Ok(2));
        assert!(look(&history([submit(1, 7, 1), submit(2, 7, 2)].concat())).is_err());
    }

    #[test]
    fn a_day_later_a_key_names_a_new_task() {
        let at = |hours: u128| (hours * 3_600_000) << 80;
        assert!(
            look(&history([submit(1, 7, at(0)), submit(2, 8, at(25)), submit(3, 8, at(25))].concat()))
                .is_ok()
        );
        assert!(look(&history([submit(1, 7, at(0)), submit(2, 7, at(23))].concat())).is_err());
        assert!(
            look(&history([submit(1, 7, at(0)), submit(2, 8, at(25)), submit(3, 8, at(26))].concat()))
                .is_err()
        );
    }

    #[test]
    fn a_day_later_by_the_log_a_key_names_a_new_task_whatever_the_ids_say() {
        let taken = |number: u64, hours: u64| match submitted(number, number.into()) {
            Fact::Happened { index, event, .. } => happened_at(index, hours * 3_600_000, event),
            other => other,
        };
        let [first, second] = [submit(1, 7, 1), submit(2, 7, 2)];
        let told = |hours| [first.to_vec(), vec![taken(1, 0), taken(2, hours)], second.to_vec()].concat();
        assert!(look(&history(told(25))).is_ok());
        assert!(look(&history(told(23))).is_err());
    }

    #[test]
    fn a_key_that_somebody_else_has_used_is_found() {
        let refused = Answer::Refused { code: CONFLICT, text: String::new() };
        let other = |question, content| {
            let request = Request::Submit { key: Some("k".into()), content, pool: "p".into() };
            [Fact::Asked { question, client: "other".into(), request }, answered(question, refused.clone())]
        };
        assert!(look(&history([submit(1, 7, 1), other(2, 8)].concat())).is_err());
        let [unanswered, _] = other(2, 8);
        assert!(look(&history([unanswered].into_iter().chain(other(3, 9)))).is_ok());
    }

    #[test]
    fn a_key_taken_for_other_content_is_found() {
        assert!(look(&history([submit(1, 7, 1), submit(2, 8, 1)].concat())).is_err());
    }
}
