//! Laws of agreement: the same entries give the same state, a refusal gives none, a repeat changes nothing.

use proptest::prelude::*;
use synod_domain::command::{Command, Entry, Request};
use synod_domain::event::Event;
use synod_domain::reply::{Answer, Reply};
use synod_domain::state::State;

use super::histories::{config, histories, one_by_one};
use super::world::rows_but_audit;

proptest! {
    #![proptest_config(config(400))]

    #[test]
    fn the_same_entries_give_the_same_state_and_effects(history in histories()) {
        let (mut one, mut other) = (State::default(), State::default());
        for entry in &history {
            prop_assert_eq!(one.apply(entry), other.apply(entry));
        }
        prop_assert_eq!(one.rows(), other.rows());
        prop_assert_eq!(one.next_due(), other.next_due());
    }

    #[test]
    fn a_refusal_leaves_the_state_unchanged_and_tells_nothing(history in histories()) {
        let mut state = State::default();
        for entry in &one_by_one(&history) {
            let before = (rows_but_audit(&state), state.next_due());
            let effects = state.apply(entry);
            if let [Err(refusal)] = &effects.answers[..] {
                prop_assert_eq!(&effects.events, &Vec::<Event>::new(), "told about {}", refusal);
                prop_assert_eq!(before, (rows_but_audit(&state), state.next_due()), "changed by {}", refusal);
            }
        }
    }

    #[test]
    fn a_repeated_request_changes_nothing_and_is_answered_the_same(history in histories()) {
        let mut state = State::default();
        let mut accepted: Vec<(Request, Answer)> = Vec::new();
        for entry in &one_by_one(&history) {
            let effects = state.apply(entry);
            accepted.extend(
                entry.commands.iter().cloned().zip(effects.answers).filter(|(_, answer)| answer.is_ok()),
            );
            let before = state.rows();
            let recent = accepted.iter().rev().take(3);
            for (request, answer) in recent.chain(accepted.first()) {
                let again = Entry { at: entry.at, seed: 99, commands: vec![request.clone()] };
                let effects = state.apply(&again);
                prop_assert!(effects.events.is_empty(), "{:?}", effects.events);
                match (&effects.answers[0], answer) {
                    // Leases that were lost meanwhile are left out, so that nobody works under them.
                    (Ok(Reply::Claimed(now)), Ok(Reply::Claimed(then))) => {
                        let held = |one: &synod_domain::reply::Assignment| then.iter().any(|other| {
                            (other.spec.id, other.attempt) == (one.spec.id, one.attempt)
                        });
                        prop_assert!(now.iter().all(held));
                    }
                    (now, then) => prop_assert_eq!(now, then),
                }
            }
            prop_assert_eq!(before, state.rows());
        }
    }

    #[test]
    fn who_says_again_how_an_attempt_ended_gets_the_same_answer(history in histories()) {
        let mut state = State::default();
        for entry in &one_by_one(&history) {
            let effects = state.apply(entry);
            let (Some(request), Some(Ok(Reply::Ended { phase }))) = (entry.commands.first(), effects.answers.first())
            else {
                continue;
            };
            if matches!(request.command, Command::Complete { .. } | Command::Fail { .. } | Command::Cancel { .. }) {
                // A client that lost its request id, too.
                let id = synod_domain::id::RequestId::from_raw(u128::MAX - request.id.raw());
                let again = Request { id, command: request.command.clone() };
                let effects = state.apply(&Entry { at: entry.at, seed: 99, commands: vec![again] });
                prop_assert_eq!(&effects.answers[0], &Ok(Reply::Ended { phase: *phase }));
                prop_assert!(effects.events.is_empty());
            }
        }
    }
}
