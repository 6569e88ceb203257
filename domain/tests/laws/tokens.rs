//! Laws of tokens, against a list that does everything the slow and obvious way; examples of the refusals.

use proptest::prelude::*;
use synod_domain::command::{Command, Entry, Request};
use synod_domain::event::Event;
use synod_domain::id::{RequestId, TokenId};
use synod_domain::limits::Limits;
use synod_domain::permission::Permissions;
use synod_domain::refusal::{Bound, Refusal};
use synod_domain::state::State;
use synod_domain::token::{TOKENS_MAX, TokenKind, TokenSpec};

use super::histories::config;
use super::world::{World, at, hash, name, token};

const TEXTS: u64 = 8;

/// A token as the model sees it.
#[derive(Debug, Clone)]
struct Known {
    id: TokenId,
    text: u64,
    old: Option<(u64, u64)>,
    ends: Option<u64>,
}

impl Known {
    fn opens(&self, text: u64, now: u64) -> bool {
        let fits = self.text == text || self.old.is_some_and(|(old, until)| old == text && now < until);
        fits && self.lives(now)
    }

    fn lives(&self, now: u64) -> bool {
        self.ends.is_none_or(|ends| now < ends)
    }
}

#[derive(Debug, Clone)]
enum Step {
    Put { id: u64, text: u64, lasts: Option<u64> },
    Rotate { id: u64, text: u64, keep: Option<u64> },
    Revoke(u64),
    Pass(u64),
    Restart,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0..4_u64, 0..TEXTS, prop::option::of(1..60_u64)).prop_map(|(id, text, lasts)| Step::Put { id, text, lasts }),
        4 => (0..4_u64, 0..TEXTS, prop::option::of(0..40_u64)).prop_map(|(id, text, keep)| Step::Rotate { id, text, keep }),
        1 => (0..4_u64).prop_map(Step::Revoke),
        3 => (0..30_u64).prop_map(Step::Pass),
        1 => Just(Step::Restart),
    ];
    prop::collection::vec(step, 1..60)
}

fn token_spec(id: u64, text: u64, ends: Option<u64>) -> TokenSpec {
    TokenSpec {
        id: token(id),
        name: name("token"),
        kind: TokenKind::Worker,
        hash: hash(text),
        permissions: Permissions::of_worker(),
        expires_at: ends.map(at),
        created_by: None,
    }
}

fn put(id: u64, text: u64, ends: Option<u64>) -> Command {
    Command::PutToken { spec: token_spec(id, text, ends).into() }
}

proptest! {
    #![proptest_config(config(400))]

    #[test]
    fn a_text_opens_what_it_should_and_nothing_else_through_rotation_revocation_expiry_and_restarts(
        steps in steps(),
    ) {
        let (mut state, mut model, mut now) = (State::default(), Vec::<Known>::new(), 1000_u64);
        for (number, step) in (0..).zip(steps) {
            let command = match step.clone() {
                Step::Put { id, text, lasts } => put(id, text, lasts.map(|lasts| now + lasts)),
                Step::Rotate { id, text, keep } => Command::RotateToken {
                    token: token(id),
                    hash: hash(text),
                    keep_old_until: keep.map(|keep| at(now + keep)),
                },
                Step::Revoke(id) => Command::RevokeToken { token: token(id), reason: "lost".into() },
                Step::Pass(millis) => {
                    now += millis;
                    continue;
                }
                Step::Restart => {
                    state = State::restore(state.rows().into_iter().map(|(_, row)| row)).unwrap();
                    continue;
                }
            };
            let request = Request { id: RequestId::from_raw(number), command };
            let accepted = state.apply(&Entry { at: at(now), seed: 1, commands: vec![request] }).answers[0].is_ok();
            model.retain(|known| known.lives(now));
            let text_is_known = |text: u64| {
                let old = |known: &Known| known.old.is_some_and(|(old, until)| old == text && now < until);
                model.iter().any(|known| known.text == text || old(known))
            };
            let place = |id: u64| model.iter().position(|known| known.id == token(id));
            let expected = match step {
                Step::Put { id, text, .. } => place(id).is_none() && !text_is_known(text),
                Step::Rotate { id, text, .. } => place(id).is_some() && !text_is_known(text),
                Step::Revoke(id) => place(id).is_some(),
                Step::Pass(_) | Step::Restart => unreachable!("they ask for nothing"),
            };
            prop_assert_eq!(accepted, expected);
            match step {
                Step::Put { id, text, lasts } if accepted => {
                    model.push(Known { id: token(id), text, old: None, ends: lasts.map(|lasts| now + lasts) });
                }
                Step::Rotate { id, text, keep } if accepted => {
                    let known = model.iter_mut().find(|known| known.id == token(id)).unwrap();
                    known.old = keep.map(|keep| (known.text, now + keep));
                    known.text = text;
                }
                Step::Revoke(id) => model.retain(|known| known.id != token(id)),
                _ => {}
            }
            for text in 0..TEXTS {
                let found = state.token_by_hash(&hash(text)).filter(|one| one.is_valid(&hash(text), at(now)));
                let expected = model.iter().find(|known| known.opens(text, now));
                prop_assert_eq!(found.map(|one| one.spec.id), expected.map(|known| known.id));
            }
            prop_assert_eq!(state.tokens().count(), model.len());
        }
    }
}

#[test]
fn a_token_that_allows_nothing_or_is_over_is_not_made() {
    let mut world = World::new(Limits::default());
    let nothing = TokenSpec { permissions: Permissions::default(), ..token_spec(1, 1, None) };
    let code = |refusal: Refusal| refusal.code();
    assert_eq!(world.ask(Command::PutToken { spec: nothing.into() }).map_err(code), Err("invalid"));
    let now = world.now;
    assert_eq!(world.ask(put(1, 1, Some(now))).map_err(code), Err("invalid"));
    world.ask(put(1, 1, Some(now + 1))).unwrap();
    assert!(matches!(world.events.last(), Some(Event::TokenCreated { token: id, .. }) if *id == token(1)));
}

#[test]
fn tokens_are_bounded_and_those_that_are_over_make_room() {
    let mut world = World::new(Limits::default());
    let ends = world.now + 10;
    for number in 0..TOKENS_MAX as u64 {
        world.ask(put(number, number, (number == 0).then_some(ends))).unwrap();
    }
    let one_more = || put(u64::MAX, u64::MAX, None);
    let full = Refusal::Full { bound: Bound::Tokens, limit: TOKENS_MAX as u64 };
    assert_eq!(world.ask(one_more()), Err(full));
    world.pass(10);
    world.ask(one_more()).unwrap();
    assert!(world.state.token(token(0)).is_none());
}

#[test]
fn the_last_token_that_makes_others_stays_until_there_is_another_that_lives() {
    let mut world = World::new(Limits::default());
    let maker = |id, ends| TokenSpec { permissions: Permissions::all(), ..token_spec(id, id, ends) };
    let put = |spec: TokenSpec| Command::PutToken { spec: spec.into() };
    let revoke = |id| Command::RevokeToken { token: token(id), reason: "lost".into() };
    world.ask(put(maker(1, None))).unwrap();
    world.ask(put(token_spec(2, 2, None))).unwrap();
    world.ask(put(maker(3, Some(1_005_000)))).unwrap();
    world.now += 6_000;
    assert_eq!(world.ask(revoke(1)), Err(Refusal::LastToken(token(1))), "the other one is over");
    world.ask(revoke(2)).unwrap();
    world.ask(put(maker(4, None))).unwrap();
    world.ask(revoke(1)).unwrap();
    assert_eq!(world.ask(revoke(4)), Err(Refusal::LastToken(token(4))));
}
