//! Webhooks: what is noted for them, in which order it is told, and what becomes of what is not taken.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use synod_domain::command::Command;
use synod_domain::event::{Event, Governing};
use synod_domain::id::WebhookId;
use synod_domain::limits::Limits;
use synod_domain::name::Name;
use synod_domain::refusal::{Bound, Refusal};
use synod_domain::retry::RetryPolicy;
use synod_domain::row::{Row, RowKey};
use synod_domain::state::{Outbox, State};
use synod_domain::task::TaskSpec;
use synod_domain::webhook::{
    OUTBOX_MAX, TEST_TOPIC, WEBHOOKS_MAX, WebhookCommand, WebhookSecret, WebhookSpec, topic_of, topics,
};

use super::histories::{Draw, config, governed_histories};
use super::world::{World, at, fail, millis, name, spec};

fn id(number: u64) -> WebhookId {
    WebhookId::from_raw(u128::from(number))
}

fn secret(byte: u8) -> WebhookSecret {
    WebhookSecret([byte; 32])
}

/// A webhook that wants a topic, tries three times, and waits a second after the first.
fn webhook(number: u64, topics: &[&str]) -> WebhookSpec {
    WebhookSpec {
        id: id(number),
        name: name("ops"),
        url: "https://example.org/hook".into(),
        topics: topics.iter().map(|topic| (*topic).into()).collect(),
        workspace: None,
        enabled: true,
        retry: RetryPolicy { max_attempts: 3, initial: millis(1000), factor_percent: 200, max: millis(9000) },
        owner: "somebody".into(),
    }
}

fn put(spec: WebhookSpec) -> Command {
    Command::Webhook(WebhookCommand::Put { spec: spec.into(), secret: secret(1) })
}

fn change(spec: WebhookSpec) -> Command {
    Command::Webhook(WebhookCommand::Change { spec: spec.into() })
}

fn delivered(number: u64, seq: u64) -> Command {
    Command::Webhook(WebhookCommand::Delivered { webhook: id(number), seq })
}

fn not_taken(number: u64, seq: u64) -> Command {
    failed(number, seq, None)
}

fn failed(number: u64, seq: u64, wait: Option<Duration>) -> Command {
    let (status, why) = (Some(503), "503 Service Unavailable".into());
    Command::Webhook(WebhookCommand::Failed { webhook: id(number), seq, status, why, wait })
}

/// A command about webhooks, for random histories; mostly about what is next.
pub(super) fn command(state: &State, draw: &mut Draw) -> Command {
    let number = 1 + draw.below(3);
    let next = state.outbox(id(number)).and_then(Outbox::next).map_or(1, |next| next.seq);
    let seq = if draw.one_in(8) { draw.below(9) } else { next };
    let (webhook, value) = (id(number), secret(draw.below(9) as u8));
    Command::Webhook(match draw.below(16) {
        0..4 => WebhookCommand::Put { spec: drawn(draw, number).into(), secret: value },
        4 => WebhookCommand::Change { spec: drawn(draw, number).into() },
        5 => WebhookCommand::Remove { webhook },
        6 => {
            let keep_old_until = draw.one_in(2).then(|| at(state.now().as_millis() + draw.below(900)));
            WebhookCommand::Rotate { webhook, secret: value, keep_old_until }
        }
        7 => WebhookCommand::Test { webhook },
        8 => WebhookCommand::Redeliver { webhook, seq: draw.one_in(2).then_some(seq) },
        9..13 => WebhookCommand::Delivered { webhook, seq },
        _ => {
            let wait = draw.one_in(3).then(|| millis(draw.below(900)));
            WebhookCommand::Failed { webhook, seq, status: None, why: "nobody there".into(), wait }
        }
    })
}

fn drawn(draw: &mut Draw, number: u64) -> WebhookSpec {
    let topics: &[&str] =
        draw.pick(&[&["*"][..], &["task_*", "dead_letter_*"], &["nothing"], &["approval_*"]]);
    let mut spec = webhook(number, topics);
    spec.enabled = !draw.one_in(5);
    spec.workspace = draw.one_in(3).then(|| draw.workspace());
    spec
}

fn of(workspace: &str, number: u128) -> TaskSpec {
    TaskSpec { workspace: name(workspace), ..spec(number) }
}

/// What is noted for a webhook, as topics.
fn noted(world: &World, number: u64) -> Vec<(u64, String)> {
    let outbox = world.state.outbox(id(number)).unwrap();
    outbox.deliveries().map(|one| (one.seq, one.message.topic.to_string())).collect()
}

fn next(world: &World, number: u64) -> Option<u64> {
    world.state.outbox(id(number)).unwrap().next().map(|next| next.seq)
}

fn told(world: &World, wanted: Governing) -> usize {
    let is_wanted = |event: &&Event| matches!(event, Event::Governed { what, .. } if *what == wanted);
    world.events.iter().filter(is_wanted).count()
}

/// A world with a webhook that wants to know what is submitted, and some such tasks.
fn with_submits(count: u128) -> World {
    let mut world = World::new(Limits::default());
    world.ask(put(webhook(1, &["task_submitted"]))).unwrap();
    for number in 1..=count {
        world.submit(spec(number));
    }
    world
}

#[test]
fn what_a_webhook_wants_is_noted_by_the_entry_that_makes_it_happen() {
    let mut world = World::new(Limits::default());
    world.ask(put(webhook(1, &["dead_letter_*"]))).unwrap();
    world.submit(spec(1));
    world.claim(1, 1);
    assert_eq!(noted(&world, 1), []);
    world.ask(fail(1, 1, false)).unwrap();
    assert_eq!(noted(&world, 1), [(1, "dead_letter_added".to_owned())]);
    let outbox = world.state.outbox(id(1)).unwrap();
    let message = &outbox.next().unwrap().message;
    let data: serde_json::Value = serde_json::from_str(&message.data).unwrap();
    assert_eq!(data["reason"], "attempt 1 broke");
    assert_eq!(message.subject.as_deref(), data["task"].as_str());
    assert_eq!(message.workspace, Some(Name::default()));
    assert_eq!(message.at, at(world.now));
}

#[test]
fn what_time_brings_about_is_noted_too() {
    let mut world = World::new(Limits::default());
    world.ask(put(webhook(1, &["dead_letter_added"]))).unwrap();
    world.submit(TaskSpec { deadline: Some(at(world.now + 100)), ..spec(1) });
    world.pass(200);
    assert_eq!(noted(&world, 1), [(1, "dead_letter_added".to_owned())]);
}

#[test]
fn a_webhook_of_a_workspace_is_told_of_that_one_alone() {
    let mut world = World::new(Limits::default());
    let mut mine = webhook(1, &["*"]);
    mine.workspace = Some(name("mine"));
    world.ask(put(mine)).unwrap();
    world.submit(of("other", 1));
    world.ready_agent(2);
    assert_eq!(noted(&world, 1), []);
    world.submit(of("mine", 2));
    assert_eq!(noted(&world, 1), [(1, "task_submitted".to_owned())]);
}

#[test]
fn a_webhook_that_is_off_is_told_nothing_and_keeps_what_is_noted() {
    let mut world = with_submits(1);
    let off = WebhookSpec { enabled: false, ..webhook(1, &["task_submitted"]) };
    world.ask(change(off)).unwrap();
    world.submit(spec(2));
    assert_eq!(noted(&world, 1), [(1, "task_submitted".to_owned())]);
    assert_eq!(world.state.to_be_told().count(), 0);
    world.ask(change(webhook(1, &["task_submitted"]))).unwrap();
    world.submit(spec(3));
    assert_eq!(world.state.to_be_told().count(), 1);
    assert_eq!(noted(&world, 1).len(), 2);
}

#[test]
fn messages_are_told_in_order_and_leave_when_they_were_taken() {
    let mut world = with_submits(3);
    for seq in 1..=3 {
        assert_eq!(next(&world, 1), Some(seq));
        world.ask(delivered(1, seq)).unwrap();
        let again = world.ask(delivered(1, seq));
        assert_eq!(again, Err(Refusal::DeliveryUnknown { webhook: id(1), seq }));
    }
    let outbox = world.state.outbox(id(1)).unwrap();
    assert_eq!((outbox.next(), outbox.standing.delivered, outbox.standing.last_seq), (None, 3, 3));
}

#[test]
fn a_message_that_is_not_taken_waits_longer_each_time_and_the_others_behind_it() {
    let mut world = with_submits(2);
    for (tries, least, most) in [(1, 500, 1000), (2, 1000, 2000)] {
        world.ask(not_taken(1, 1)).unwrap();
        let head = world.state.outbox(id(1)).unwrap().next().unwrap();
        let wait = head.next.since(at(world.now)).as_millis();
        assert_eq!((head.seq, head.tries), (1, tries));
        assert!((least..=most).contains(&wait), "it waits for {wait} ms");
    }
}

#[test]
fn a_receiver_that_asks_to_be_left_alone_is() {
    let mut world = with_submits(1);
    world.ask(failed(1, 1, Some(millis(60_000)))).unwrap();
    let head = world.state.outbox(id(1)).unwrap().next().unwrap();
    assert_eq!(head.next, at(world.now + 60_000));
    world.ask(failed(1, 1, Some(Duration::MAX))).unwrap();
    let head = world.state.outbox(id(1)).unwrap().next().unwrap();
    assert!(head.next.since(at(world.now)) <= Duration::from_secs(24 * 60 * 60));
}

#[test]
fn after_the_last_try_a_message_is_given_up_kept_and_told_of_and_the_next_is_told() {
    let mut world = with_submits(2);
    for _ in 0..3 {
        world.ask(not_taken(1, 1)).unwrap();
    }
    assert_eq!(next(&world, 1), Some(2));
    assert_eq!(told(&world, Governing::WebhookGaveUp), 1);
    let outbox = world.state.outbox(id(1)).unwrap();
    let given_up = outbox.delivery(1).unwrap();
    assert_eq!(given_up.given_up_at, Some(at(world.now)));
    assert_eq!(given_up.last.as_ref().unwrap().status, Some(503));
    assert_eq!((outbox.given_up(), outbox.waiting(), outbox.standing.given_up), (1, 1, 1));
    // Late word of it changes nothing.
    assert_eq!(world.ask(not_taken(1, 1)), Err(Refusal::DeliveryUnknown { webhook: id(1), seq: 1 }));
}

#[test]
fn what_was_given_up_is_tried_again_from_the_beginning_when_somebody_asks() {
    for seq in [Some(1), None] {
        let mut world = with_submits(2);
        for _ in 0..3 {
            world.ask(not_taken(1, 1)).unwrap();
        }
        world.ask(Command::Webhook(WebhookCommand::Redeliver { webhook: id(1), seq })).unwrap();
        let head = world.state.outbox(id(1)).unwrap().next().unwrap();
        assert_eq!((head.seq, head.tries, head.next), (1, 0, at(world.now)));
    }
    let mut world = with_submits(1);
    let nobody = Command::Webhook(WebhookCommand::Redeliver { webhook: id(1), seq: Some(7) });
    assert_eq!(world.ask(nobody), Err(Refusal::DeliveryUnknown { webhook: id(1), seq: 7 }));
}

#[test]
fn an_outbox_is_bounded_and_what_it_drops_is_counted_and_told_once() {
    let mut world = with_submits(OUTBOX_MAX as u128 + 2);
    let outbox = world.state.outbox(id(1)).unwrap();
    assert_eq!((outbox.deliveries().count(), outbox.standing.dropped), (OUTBOX_MAX, 2));
    assert!(outbox.standing.dropping_since.is_some());
    assert_eq!(next(&world, 1), Some(3), "the oldest went");
    assert_eq!(told(&world, Governing::WebhookOverflowed), 1);
    world.ask(delivered(1, 3)).unwrap();
    assert_eq!(world.state.outbox(id(1)).unwrap().standing.dropping_since, None);
    // What was given up makes room before what is still to be told.
    for _ in 0..3 {
        world.ask(not_taken(1, 4)).unwrap();
    }
    world.submit(spec(5000));
    world.submit(spec(5001));
    assert_eq!(world.state.outbox(id(1)).unwrap().delivery(4), None);
    assert_eq!(next(&world, 1), Some(5));
    assert_eq!(told(&world, Governing::WebhookOverflowed), 2);
}

#[test]
fn what_happens_to_webhooks_is_told_to_none() {
    let mut world = World::empty(Limits::default());
    let mine = WebhookSpec { workspace: Some(name("mine")), ..webhook(1, &["*"]) };
    world.ask(put(mine)).unwrap();
    world.ask(put(webhook(2, &["*"]))).unwrap();
    world.ask(Command::Webhook(WebhookCommand::Test { webhook: id(1) })).unwrap();
    for _ in 0..3 {
        world.ask(not_taken(1, 1)).unwrap();
    }
    assert_eq!(told(&world, Governing::WebhookGaveUp), 1);
    assert!(world.events.iter().all(|event| event.workspace().is_none()), "it is for operators alone");
    assert_eq!(noted(&world, 1), [(1, TEST_TOPIC.to_owned())]);
    assert_eq!(noted(&world, 2), []);
}

#[test]
fn a_rotated_secret_holds_until_its_end_beside_the_new_one() {
    let mut world = World::new(Limits::default());
    world.ask(put(webhook(1, &["*"]))).unwrap();
    let rotate = |byte, keep_old_until| WebhookCommand::Rotate {
        webhook: id(1),
        secret: secret(byte),
        keep_old_until,
    };
    let end = at(world.now + 500);
    world.ask(Command::Webhook(rotate(2, Some(end)))).unwrap();
    let held = |world: &World, now| -> Vec<WebhookSecret> {
        world.state.webhook(id(1)).unwrap().secrets_at(now).cloned().collect()
    };
    assert_eq!(held(&world, at(world.now)), [secret(2), secret(1)]);
    assert_eq!(held(&world, end), [secret(2)]);
    world.ask(Command::Webhook(rotate(3, None))).unwrap();
    assert_eq!(held(&world, at(world.now)), [secret(3)]);
    assert_eq!(format!("{:?}", secret(3)), "secret", "it is shown");
}

#[test]
fn settings_that_make_no_sense_are_refused_by_name() {
    let mut world = World::new(Limits::default());
    let mut refused = |spec: WebhookSpec| match world.ask(put(spec)) {
        Err(Refusal::Invalid { field, .. }) => field,
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(webhook(1, &[])), "topics");
    assert_eq!(refused(webhook(1, &["task_flown"])), "topics");
    assert_eq!(refused(WebhookSpec { url: "".into(), ..webhook(1, &["*"]) }), "url");
    let mut hasty = webhook(1, &["*"]);
    hasty.retry.max_attempts = 0;
    assert_eq!(refused(hasty), "tries");
    let mut slow = webhook(1, &["*"]);
    slow.retry.max = Duration::from_secs(1_000_000);
    assert_eq!(refused(slow), "longest_wait_ms");
    for number in 1..=WEBHOOKS_MAX as u64 {
        world.ask(put(webhook(number, &["*"]))).unwrap();
    }
    let full = Refusal::Full { bound: Bound::Webhooks, limit: WEBHOOKS_MAX as u64 };
    assert_eq!(world.ask(put(webhook(1000, &["*"]))), Err(full));
    assert_eq!(world.ask(put(webhook(1, &["*"]))), Err(Refusal::WebhookExists(id(1))));
}

#[test]
fn a_removed_webhook_leaves_nothing_behind() {
    let mut world = with_submits(3);
    world.ask(Command::Webhook(WebhookCommand::Remove { webhook: id(1) })).unwrap();
    let left = world.state.rows().into_iter().filter(|(key, _)| matches!(key, RowKey::Webhook(_)));
    assert_eq!(left.count(), 0);
    assert_eq!(world.ask(delivered(1, 1)), Err(Refusal::WebhookUnknown(id(1))));
}

proptest! {
    #![proptest_config(config(200))]

    /// A replica that heard everything, and one that begins from the rows after each entry, note the same.
    #[test]
    fn nothing_that_is_noted_is_lost_when_another_begins_from_the_rows(history in governed_histories()) {
        let mut state = State::default();
        for entry in &history {
            let before = state.rows().into_iter().map(|(_, row)| row);
            let mut successor = State::restore(before).unwrap();
            let effects = state.apply(entry);
            prop_assert_eq!(&successor.apply(entry).events, &effects.events);
            let of_webhooks = |state: &State| -> Vec<(RowKey, Row)> {
                state.rows().into_iter().filter(|(key, _)| matches!(key, RowKey::Webhook(_))).collect()
            };
            prop_assert_eq!(of_webhooks(&successor), of_webhooks(&state));
        }
    }

    /// What somebody who listens hears of a topic is what is noted, in order, without gaps but those of tests.
    #[test]
    fn what_is_noted_is_what_happened_in_order(history in governed_histories()) {
        let mut state = State::default();
        let listener = WebhookSpec { workspace: Some(name("w1")), ..webhook(99, &["*"]) };
        let mut heard: Vec<String> = Vec::new();
        let mut is_there = false;
        for entry in &history {
            let mut entry = entry.clone();
            if !is_there {
                let request = synod_domain::id::RequestId::from_raw(u128::MAX);
                let make = Command::Webhook(WebhookCommand::Put { spec: Arc::new(listener.clone()), secret: secret(7) });
                entry.commands.insert(0, synod_domain::command::Request { id: request, command: make });
                is_there = true;
            }
            for event in state.apply(&entry).events {
                let whose = state.workspace_of_event(&event);
                if whose.as_deref() == Some(&name("w1")) && let Some(topic) = topic_of(&event) {
                    prop_assert!(topics().any(|known| known == topic), "{} is not listed", topic);
                    heard.push(topic.to_owned());
                }
            }
        }
        let outbox = state.outbox(id(99)).unwrap();
        let noted: Vec<String> = outbox.deliveries().map(|one| one.message.topic.to_string()).collect();
        let expected: Vec<String> = heard.iter().rev().take(OUTBOX_MAX).rev().cloned().collect();
        prop_assert_eq!(noted, expected);
        let seqs: Vec<u64> = outbox.deliveries().map(|one| one.seq).collect();
        prop_assert!(seqs.windows(2).all(|pair| pair[1] == pair[0] + 1));
    }
}
