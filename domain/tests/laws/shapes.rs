//! The JSON of events and causes: what programs read, and that it agrees with what the rules say of it.

use proptest::prelude::*;
use serde_json::{Value, json};
use synod_domain::event::Event;
use synod_domain::id::TokenId;
use synod_domain::pause::Pausable;
use synod_domain::state::State;
use synod_domain::task::MailboxId;

use super::histories::{config, histories};
use super::world::{name, spec, task};

fn text(value: Option<impl ToString>) -> Value {
    value.map_or(Value::Null, |value| Value::String(value.to_string()))
}

proptest! {
    #![proptest_config(config(200))]

    #[test]
    fn events_say_in_json_what_they_say_of_themselves_and_are_read_back(history in histories()) {
        let mut state = State::default();
        for entry in &history {
            for event in state.apply(entry).events {
                let json = serde_json::to_value(&event).unwrap();
                prop_assert_eq!(&json["type"], event.kind());
                prop_assert_eq!(&json["task"], &text(event.task()));
                // What is paused, and where a task waits, name things within a longer text.
                let within = |field: &str| {
                    let places = [&json["what"], &json["mailbox"]];
                    places.iter().any(|place| place.as_str().is_some_and(|place| place.contains(field)))
                };
                for (field, named) in [
                    ("workspace", event.workspace().map(ToString::to_string)),
                    ("agent", event.agent().map(|agent| agent.to_string())),
                    ("pool", event.pool().map(ToString::to_string)),
                    ("node", event.node().map(|node| node.to_string())),
                ] {
                    let found = json[field].as_str().map(ToOwned::to_owned);
                    let hidden = found.is_none() && named.as_ref().is_some_and(|named| within(named));
                    prop_assert!(found == named || hidden, "{}: {:?} is not {:?}", json, field, named);
                }
                prop_assert_eq!(serde_json::from_value::<Event>(json).unwrap(), event);
            }
        }
    }

    #[test]
    fn causes_say_their_word_in_json(history in histories()) {
        let mut state = State::default();
        for entry in &history {
            state.apply(entry);
        }
        for task in state.tasks().chain(state.recently_ended()) {
            let why = state.why(task.spec.id).unwrap();
            prop_assert_eq!(&serde_json::to_value(&why).unwrap()["cause"], why.code());
        }
    }
}

#[test]
fn events_of_the_control_plane_keep_their_json() {
    let workspace = spec(1).workspace;
    let submitted = Event::TaskSubmitted {
        task: task(1),
        workspace: workspace.clone(),
        kind: name("audit"),
        mailbox: MailboxId::Pool(name("p")),
        lane: spec(1).lane,
        run: None,
    };
    let expected = json!({
        "type": "task_submitted",
        "task": "task_00000000000000000000000001",
        "workspace": "default",
        "kind": "audit",
        "mailbox": "pool/p",
        "lane": "normal",
        "run": null,
    });
    assert_eq!(serde_json::to_value(submitted).unwrap(), expected);
    let paused = Event::Paused { what: Pausable::Mailbox(MailboxId::Open), reason: "moving".into() };
    let expected = json!({ "type": "paused", "what": "mailbox/open", "reason": "moving" });
    assert_eq!(serde_json::to_value(paused).unwrap(), expected);
    let revoked = Event::TokenRevoked { token: TokenId::from_raw(1), name: workspace };
    let expected =
        json!({ "type": "token_revoked", "token": "token_00000000000000000000000001", "name": "default" });
    assert_eq!(serde_json::to_value(revoked).unwrap(), expected);
}
