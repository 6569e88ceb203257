//! Nothing of another workspace is visible: who submits is never shown a task of somebody else, nor that there is one.
//!
//! Source: issue 5; domain, `state/keys.rs`. Each client works in a workspace of its own, and all use the same idempotency
//! keys, so whoever looks a key up in the wrong place answers with a stranger's task, or refuses a key that its owner
//! never used.

use std::collections::{BTreeMap, BTreeSet};

use synod::node::domain::event::Event;

use crate::history::{Answer, Fact, Record, Request};
use crate::judges::{Judge, Verdict, broken};

pub(super) const JUDGE: Judge = Judge {
    name: "nothing foreign is visible",
    says: "no submit is answered with a task of another workspace, nor refused for a key of one",
    look,
};

/// The code of a refusal because of a key's other content.
const CONFLICT: &str = "idempotency_conflict";

fn look(history: &[Record]) -> Verdict {
    let mut owners = BTreeMap::new();
    let mut asked = BTreeMap::new();
    let mut used = BTreeSet::new();
    let mut checked = 0;
    for (place, record) in history.iter().enumerate() {
        match &record.fact {
            Fact::Happened { event: Event::TaskSubmitted { task, workspace, .. }, .. } => {
                owners.insert(*task, workspace.as_str());
            }
            Fact::Asked { question, client, request: Request::Submit { key, .. } } => {
                let new = key.as_deref().is_none_or(|key| used.insert((&**client, key)));
                asked.insert(*question, (&**client, new));
            }
            Fact::Answered { question, answer } => {
                let Some((client, new)) = asked.get(question).copied() else { continue };
                match answer {
                    Answer::Submitted(task) => {
                        checked += 1;
                        let owner = *owners.entry(*task).or_insert(client);
                        if owner != client {
                            return broken(
                                place,
                                Some(*task),
                                format!("{client} was given a task of {owner}"),
                            );
                        }
                    }
                    Answer::Refused { code, .. } if *code == CONFLICT && new => {
                        return broken(place, None, format!("{client} never used that key before"));
                    }
                    _ => {}
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

    fn asks(question: u64, client: &str) -> Fact {
        let request = Request::Submit { key: Some("k".into()), content: question, pool: "p".into() };
        Fact::Asked { question, client: client.into(), request }
    }

    fn given(question: u64, number: u128) -> Fact {
        answered(question, Answer::Submitted(task(number)))
    }

    #[test]
    fn a_task_of_somebody_else_is_found() {
        assert_eq!(look(&history([asks(1, "a"), given(1, 1), asks(2, "b"), given(2, 2)])), Ok(2));
        assert!(look(&history([asks(1, "a"), given(1, 1), asks(2, "b"), given(2, 1)])).is_err());
        // Told by the event alone: whoever submitted it was not answered.
        assert!(look(&history([submitted(1, 1), asks(2, "b"), given(2, 1)])).is_err());
    }

    #[test]
    fn a_key_that_only_somebody_else_has_used_is_not_refused() {
        let refused = || answered(2, Answer::Refused { code: CONFLICT, text: String::new() });
        assert!(look(&history([asks(1, "a"), given(1, 1), asks(2, "b"), refused()])).is_err());
        assert!(look(&history([asks(1, "a"), given(1, 1), asks(2, "a"), refused()])).is_ok());
    }
}
