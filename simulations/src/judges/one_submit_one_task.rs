//! Two submits are never answered with one task, unless they are one submit by its key.
//!
//! Source: ids of `synod_domain::id` never repeat; issue 5. With what has no key, every answer names a new task.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::history::{Answer, Fact, Record, Request};
use crate::judges::{Judge, Verdict, broken};

pub(super) const JUDGE: Judge =
    Judge { name: "one submit, one task", says: "no task is the answer to two different submits", look };

/// What makes a submit the same: its client and key, or itself.
type Same<'a> = (&'a Arc<str>, Result<&'a Arc<str>, u64>);

fn look(history: &[Record]) -> Verdict {
    let mut asked: BTreeMap<u64, Same<'_>> = BTreeMap::new();
    let mut named = BTreeMap::new();
    let mut checked = 0;
    for (place, record) in history.iter().enumerate() {
        match &record.fact {
            Fact::Asked { question, client, request: Request::Submit { key, .. } } => {
                asked.insert(*question, (client, key.as_ref().ok_or(*question)));
            }
            Fact::Answered { question, answer: Answer::Submitted(task) } => {
                let Some(same) = asked.get(question) else { continue };
                checked += 1;
                if named.insert(*task, *same).is_some_and(|before| before != *same) {
                    return broken(place, Some(*task), "it was the answer to another submit before");
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

    fn submit(question: u64, key: Option<&str>, number: u128) -> [Fact; 2] {
        let request = Request::Submit { key: key.map(Into::into), content: 1, pool: "p".into() };
        [asked(question, request), answered(question, Answer::Submitted(task(number)))]
    }

    #[test]
    fn a_task_for_two_submits_is_found() {
        let once = || submit(1, None, 1);
        assert_eq!(look(&history([once(), submit(2, None, 2)].concat())), Ok(2));
        assert!(look(&history([once(), submit(2, None, 1)].concat())).is_err());
        assert!(look(&history([once(), submit(2, Some("k"), 1)].concat())).is_err());
        assert!(look(&history([submit(1, Some("k"), 1), submit(2, Some("k"), 1)].concat())).is_ok());
    }
}
