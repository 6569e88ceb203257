//! Webhooks are told what is noted for them: in order, again when it was not taken, and by whoever leads.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use synod_actors::ports::{NotTaken, Receivers};
use synod_actors::system::System;
use synod_domain::command::Command;
use synod_domain::id::WebhookId;
use synod_domain::pause::Pausable;
use synod_domain::retry::RetryPolicy;
use synod_domain::time::Timestamp;
use synod_domain::webhook::{Delivery, Webhook, WebhookCommand, WebhookSecret, WebhookSpec};

use crate::puppet::{Puppet, until_stopped};
use crate::stage::{SECOND, Stage, name, pass, settle};

/// What a receiver does with its next messages; it takes them when nothing is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mood {
    Refuses,
    Hangs,
}

/// Receivers that write down what they are told.
#[derive(Default)]
struct Fakes {
    moods: Mutex<BTreeMap<WebhookId, Mood>>,
    heard: Mutex<Vec<(WebhookId, u64)>>,
}

impl Fakes {
    fn heard(&self, webhook: WebhookId) -> Vec<u64> {
        self.heard.lock().iter().filter(|(of, _)| *of == webhook).map(|(_, seq)| *seq).collect()
    }

    fn feel(&self, webhook: WebhookId, mood: Option<Mood>) {
        match mood {
            Some(mood) => self.moods.lock().insert(webhook, mood),
            None => self.moods.lock().remove(&webhook),
        };
    }
}

#[async_trait]
impl Receivers for Fakes {
    async fn tell(&self, webhook: &Webhook, delivery: &Delivery, _: Timestamp) -> Result<(), NotTaken> {
        let webhook = webhook.spec.id;
        self.heard.lock().push((webhook, delivery.seq));
        let mood = self.moods.lock().get(&webhook).copied();
        match mood {
            None => Ok(()),
            Some(Mood::Refuses) => Err(NotTaken { status: Some(500), ..NotTaken::because("it is broken") }),
            Some(Mood::Hangs) => std::future::pending().await,
        }
    }
}

fn id(number: u128) -> WebhookId {
    WebhookId::from_raw(number)
}

/// A webhook that wants to know what is paused.
fn put(number: u128) -> Command {
    let spec = WebhookSpec {
        id: id(number),
        name: name("ops"),
        url: "https://example.org".into(),
        topics: vec!["paused".into()],
        workspace: None,
        enabled: true,
        retry: RetryPolicy { max_attempts: 5, initial: SECOND, factor_percent: 200, max: 60 * SECOND },
        owner: "somebody".into(),
    };
    Command::Webhook(WebhookCommand::Put { spec: spec.into(), secret: WebhookSecret([1; 32]) })
}

/// A node that leads, with webhooks, and what they hear.
async fn stage(webhooks: u128) -> (Stage, Arc<Fakes>) {
    let fakes = Arc::new(Fakes::default());
    let puppet = Puppet::new(until_stopped);
    let (mut world, journal) = Stage::world(1, &puppet);
    world.receivers = Some(fakes.clone());
    let mut system = System::start(world.clone()).await.unwrap();
    system.lead(journal.clone(), 1).await.unwrap();
    let stage = Stage { world, journal, puppet, system };
    for number in 1..=webhooks {
        stage.propose(put(number)).await.unwrap();
    }
    (stage, fakes)
}

/// Lets something happen that webhooks want to know.
async fn pause(stage: &Stage, number: usize) {
    let what = Pausable::Workspace(name(&format!("w{number}")));
    stage.propose(Command::Pause { what, reason: "so".into() }).await.unwrap();
}

fn left(stage: &Stage, webhook: u128) -> usize {
    stage.read(|state| state.outbox(id(webhook)).unwrap().waiting())
}

#[tokio::test(start_paused = true)]
async fn everybody_is_told_in_order_and_nothing_is_left() {
    let (stage, fakes) = stage(3).await;
    for number in 0..20 {
        pause(&stage, number).await;
    }
    settle().await;
    for webhook in 1..=3 {
        assert_eq!(fakes.heard(id(webhook)), (1..=20).collect::<Vec<u64>>());
        assert_eq!(left(&stage, webhook), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_not_taken_is_told_again_after_a_wait_and_before_what_comes_behind_it() {
    let (stage, fakes) = stage(1).await;
    fakes.feel(id(1), Some(Mood::Refuses));
    pause(&stage, 0).await;
    pause(&stage, 1).await;
    settle().await;
    assert_eq!(fakes.heard(id(1)), [1]);
    pass(SECOND + Duration::from_millis(10)).await;
    assert_eq!(fakes.heard(id(1)), [1, 1]);
    fakes.feel(id(1), None);
    pass(2 * SECOND).await;
    assert_eq!(fakes.heard(id(1)), [1, 1, 1, 2]);
    assert_eq!(left(&stage, 1), 0);
}

#[tokio::test(start_paused = true)]
async fn one_that_refuses_everything_is_given_up_message_by_message() {
    let (stage, fakes) = stage(1).await;
    fakes.feel(id(1), Some(Mood::Refuses));
    pause(&stage, 0).await;
    pause(&stage, 1).await;
    pass(300 * SECOND).await;
    assert_eq!(fakes.heard(id(1)), [1, 1, 1, 1, 1, 2, 2, 2, 2, 2]);
    let (given_up, failure) = stage.read(|state| {
        let outbox = state.outbox(id(1)).unwrap();
        (outbox.given_up(), outbox.standing.failure.clone().unwrap())
    });
    assert_eq!((given_up, failure.status, &*failure.why), (2, Some(500), "it is broken"));
    // Nothing more is tried of it by itself.
    let before = stage.asked();
    pass(3600 * SECOND).await;
    assert_eq!(stage.asked() - before, 0);
    fakes.feel(id(1), None);
    let again = WebhookCommand::Redeliver { webhook: id(1), seq: None };
    stage.propose(Command::Webhook(again)).await.unwrap();
    settle().await;
    assert_eq!(fakes.heard(id(1))[10..], [1, 2]);
}

#[tokio::test(start_paused = true)]
async fn those_that_hang_hold_up_nobody_but_themselves() {
    let (stage, fakes) = stage(20).await;
    for webhook in 1..=10 {
        fakes.feel(id(webhook), Some(Mood::Hangs));
    }
    pause(&stage, 0).await;
    settle().await;
    for webhook in 11..=20 {
        assert_eq!(fakes.heard(id(webhook)), [1]);
    }
    pass(61 * SECOND).await;
    let failure = stage.read(|state| state.outbox(id(1)).unwrap().standing.failure.clone().unwrap());
    assert_eq!(&*failure.why, "it did not answer within 60s");
}

#[tokio::test(start_paused = true)]
async fn whoever_leads_next_goes_on_where_the_last_one_stood() {
    let (mut stage, fakes) = stage(1).await;
    pause(&stage, 0).await;
    settle().await;
    fakes.feel(id(1), Some(Mood::Hangs));
    pause(&stage, 1).await;
    pause(&stage, 2).await;
    settle().await;
    stage.system.step_down().await;
    fakes.feel(id(1), None);
    pause(&stage, 3).await;
    pass(10 * SECOND).await;
    assert_eq!(fakes.heard(id(1)), [1, 2], "who does not lead tells nobody");
    let journal = stage.journal.clone();
    stage.system.lead(journal, 2).await.unwrap();
    settle().await;
    assert_eq!(fakes.heard(id(1)), [1, 2, 2, 3, 4]);
    assert_eq!(left(&stage, 1), 0);
}

#[tokio::test(start_paused = true)]
async fn a_log_that_takes_nothing_makes_a_message_be_told_again_and_not_at_once() {
    let (stage, fakes) = stage(1).await;
    fakes.feel(id(1), Some(Mood::Hangs));
    pause(&stage, 0).await;
    settle().await;
    stage.faults(|faults| faults.no_room = true);
    // The try is over after a minute, and what came of it cannot be written.
    pass(60 * SECOND + Duration::from_millis(500)).await;
    fakes.feel(id(1), None);
    pass(10 * SECOND).await;
    let heard = fakes.heard(id(1)).len();
    assert!((2..=14).contains(&heard), "told {heard} times");
    stage.faults(|faults| faults.no_room = false);
    pass(5 * SECOND).await;
    assert_eq!(left(&stage, 1), 0);
}

#[tokio::test(start_paused = true)]
async fn having_nothing_to_tell_costs_nothing() {
    let (stage, fakes) = stage(2).await;
    pause(&stage, 0).await;
    settle().await;
    assert_eq!(fakes.heard(id(2)), [1]);
    let before = stage.asked();
    pass(3600 * SECOND).await;
    assert_eq!(stage.asked() - before, 0);
}
