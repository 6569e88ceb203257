//! The messenger: webhooks that want what happens to its own work and to all that governs, and one that is off at times.
//!
//! What each wants never changes, so that a judge knows it by its id.

use std::sync::Arc;
use std::time::Duration;

use synod::node::domain::command::Command;
use synod::node::domain::id::WebhookId;
use synod::node::domain::retry::RetryPolicy;
use synod::node::domain::webhook::{TRIES_MAX, WebhookCommand, WebhookSecret, WebhookSpec};

use crate::history::Change;
use crate::workload::governed::{Errand, Office, Wanted, named};

/// What it is called, and its workspace.
pub(super) const NAME: &str = "messenger";

/// What a webhook of a world wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wants {
    /// The topics; a `*` is at the end of one.
    pub(crate) topics: &'static [&'static str],
    /// The one workspace whose events it is told.
    pub(crate) workspace: Option<&'static str>,
    /// Whether it is told from its making to the end.
    pub(crate) always: bool,
}

impl Wants {
    /// Tells whether it wants what happens under a topic, to something of a workspace.
    pub(crate) fn has(&self, topic: &str, workspace: Option<&str>) -> bool {
        let fits = |pattern: &&str| match pattern.strip_suffix('*') {
            Some(beginning) => topic.starts_with(beginning),
            None => topic == *pattern,
        };
        self.topics.iter().any(fits) && self.workspace.is_none_or(|own| workspace == Some(own))
    }
}

/// The webhooks, by their numbers from 1.
const WEBHOOKS: [Wants; 3] = [
    Wants {
        topics: &["task_submitted", "task_completed", "task_cancelled", "dead_letter_*"],
        workspace: Some(NAME),
        always: true,
    },
    Wants {
        topics: &[
            "budget_*",
            "policy_*",
            "approval_*",
            "limit_*",
            "resource_*",
            "token_*",
            "paused",
            "resumed",
        ],
        workspace: None,
        always: true,
    },
    Wants { topics: &["task_*"], workspace: Some(NAME), always: false },
];

/// Which of them is off at times.
const FICKLE: u128 = 3;

/// Returns what a webhook of a world wants; nothing of one that somebody else made.
pub(crate) fn wants_of(webhook: WebhookId) -> Option<Wants> {
    let place = usize::try_from(webhook.raw()).ok()?.checked_sub(1)?;
    WEBHOOKS.get(place).copied()
}

/// Makes webhooks and has things told until the world settles; then all of them are on, so that what waits is told.
pub(super) async fn run(mut office: Office) {
    while office.is_busy() {
        make(&office).await;
        let webhook = WebhookId::from_raw(u128::from(office.stream.between(1, WEBHOOKS.len() as u64)));
        match office.stream.between(0, 99) {
            0..80 => {
                let errand = Errand::of(&mut office.stream, (50, 600), Vec::new());
                office.submit(Wanted::of("news", errand)).await;
            }
            80..88 => {
                let enabled = office.stream.happens(50);
                toggle(&office, enabled).await;
            }
            88..94 => {
                let command = WebhookCommand::Test { webhook };
                office.govern(Change::TestWebhook { webhook }, Command::Webhook(command)).await;
            }
            _ => {
                let command = WebhookCommand::Redeliver { webhook, seq: None };
                office.govern(Change::Redeliver { webhook }, Command::Webhook(command)).await;
            }
        }
        office.pause(100, 500).await;
    }
    while office.looks_again().await {
        make(&office).await;
        let fickle = WebhookId::from_raw(FICKLE);
        if office.node.read(|state| state.webhook(fickle).is_some_and(|one| !one.spec.enabled)) {
            toggle(&office, true).await;
        }
    }
}

/// Makes those that are not there.
async fn make(office: &Office) {
    for number in 1..=WEBHOOKS.len() as u128 {
        let webhook = WebhookId::from_raw(number);
        if office.node.read(|state| state.webhook(webhook).is_some()) {
            continue;
        }
        let Some(spec) = spec(webhook, true) else { continue };
        let command = WebhookCommand::Put { spec: Arc::new(spec), secret: WebhookSecret([7; 32]) };
        office.govern(Change::PutWebhook { webhook }, Command::Webhook(command)).await;
    }
}

async fn toggle(office: &Office, enabled: bool) {
    let webhook = WebhookId::from_raw(FICKLE);
    let Some(spec) = spec(webhook, enabled) else { return };
    let command = WebhookCommand::Change { spec: Arc::new(spec) };
    office.govern(Change::ToggleWebhook { webhook, enabled }, Command::Webhook(command)).await;
}

fn spec(webhook: WebhookId, enabled: bool) -> Option<WebhookSpec> {
    let wants = wants_of(webhook)?;
    Some(WebhookSpec {
        id: webhook,
        name: named(NAME),
        url: "https://receiver.example.org/".into(),
        topics: wants.topics.iter().map(|topic| (*topic).into()).collect(),
        workspace: wants.workspace.map(named),
        enabled,
        // So often that nothing is given up, whoever is down.
        retry: RetryPolicy {
            max_attempts: TRIES_MAX,
            initial: Duration::from_millis(50),
            factor_percent: 200,
            max: Duration::from_secs(1),
        },
        owner: NAME.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_webhooks_want_is_what_they_are_made_with() {
        for number in 1..=WEBHOOKS.len() as u128 {
            let webhook = WebhookId::from_raw(number);
            let (wants, spec) = (wants_of(webhook).unwrap(), spec(webhook, true).unwrap());
            assert_eq!(spec.check(), Ok(()));
            for topic in synod::node::domain::webhook::topics() {
                assert_eq!(wants.has(topic, Some(NAME)), spec.wants(topic), "{topic}");
                assert!(!wants.has(topic, Some("other")) || spec.workspace.is_none(), "{topic}");
            }
        }
        assert_eq!((wants_of(WebhookId::from_raw(0)), wants_of(WebhookId::from_raw(4))), (None, None));
    }
}
