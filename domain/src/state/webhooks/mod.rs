//! Webhooks: which there are, and what is noted for them.
//!
//! What an entry brought about is noted when it is done, in [`outbox`]: so whatever made an event, be it somebody who
//! asked or time, it is told. What happens under a topic that nobody wants costs one look at a map, and nothing at all
//! while there are no webhooks.

mod outbox;

pub use outbox::Outbox;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::event::{Event, Governing};
use crate::id::WebhookId;
use crate::mutants::{Mutant, mutant};
use crate::name::Name;
use crate::refusal::{Bound, Refusal};
use crate::reply::{Answer, Reply};
use crate::row::RowKey;
use crate::state::{State, Step};
use crate::task::bounded_reason;
use crate::time::Timestamp;
use crate::webhook::{
    Delivery, Failure, Message, Secret, TEST_TOPIC, WEBHOOKS_MAX, Webhook, WebhookCommand, WebhookKey,
    WebhookRow, WebhookSecret, WebhookSpec, data_of, topic_of,
};

/// All webhooks with their outboxes.
#[derive(Debug, Default)]
pub(super) struct Webhooks {
    all: BTreeMap<WebhookId, Outbox>,
    /// Who wants what happens under a topic; filled as topics come, and forgotten when a webhook changes.
    wanted: BTreeMap<&'static str, Arc<[WebhookId]>>,
    /// Counts what may have given somebody something to send. It is no part of what is agreed: it tells those who look
    /// whether they need to.
    stirred: u64,
}

impl Webhooks {
    pub(super) fn keys(&self) -> impl Iterator<Item = WebhookKey> {
        self.all.iter().flat_map(|(id, outbox)| {
            let own = [WebhookKey::Webhook(*id), WebhookKey::Standing(*id)];
            own.into_iter().chain(outbox.deliveries().map(|one| WebhookKey::Delivery(*id, one.seq)))
        })
    }

    pub(super) fn row(&self, key: &WebhookKey) -> Option<WebhookRow> {
        Some(match key {
            WebhookKey::Webhook(id) => WebhookRow::Webhook(self.all.get(id)?.webhook.clone()),
            WebhookKey::Standing(id) => WebhookRow::Standing(*id, self.all.get(id)?.standing.clone()),
            WebhookKey::Delivery(id, seq) => {
                WebhookRow::Delivery(*id, self.all.get(id)?.delivery(*seq)?.clone())
            }
        })
    }

    /// Puts a row back; those of one webhook come in any order.
    pub(super) fn restore(&mut self, row: WebhookRow) {
        let id = match &row {
            WebhookRow::Webhook(webhook) => webhook.spec.id,
            WebhookRow::Standing(id, _) | WebhookRow::Delivery(id, _) => *id,
        };
        self.all.entry(id).or_default().restore(row);
    }

    fn changed(&mut self) {
        self.wanted.clear();
        self.stirred += 1;
    }

    /// Returns who wants what happens under a topic, of those that are told anything.
    fn who_wants(&mut self, topic: &'static str) -> Arc<[WebhookId]> {
        let all = &self.all;
        let wanted = self.wanted.entry(topic).or_insert_with(|| {
            let wants = |outbox: &&Outbox| outbox.webhook.spec.enabled && outbox.webhook.spec.wants(topic);
            all.values().filter(wants).map(|outbox| outbox.webhook.spec.id).collect()
        });
        Arc::clone(wanted)
    }
}

impl State {
    pub(super) fn webhook_command(&mut self, step: &mut Step, command: &WebhookCommand) -> Answer {
        match command {
            WebhookCommand::Put { spec, secret } => self.put_webhook(step, spec, secret),
            WebhookCommand::Change { spec } => self.change_webhook(step, spec),
            WebhookCommand::Remove { webhook } => self.remove_webhook(step, *webhook),
            WebhookCommand::Rotate { webhook, secret, keep_old_until } => {
                self.rotate_webhook(step, *webhook, secret, *keep_old_until)
            }
            WebhookCommand::Test { webhook } => self.test_webhook(step, *webhook),
            WebhookCommand::Redeliver { webhook, seq } => self.redeliver(step, *webhook, *seq),
            WebhookCommand::Delivered { webhook, seq } => self.delivered(step, *webhook, *seq),
            WebhookCommand::Failed { webhook, seq, status, why, wait } => {
                let why = bounded_reason(why);
                let failure = Failure { at: step.now, status: *status, why };
                self.not_delivered(step, (*webhook, *seq), failure, wait.unwrap_or_default())
            }
        }
    }

    fn put_webhook(&mut self, step: &mut Step, spec: &Arc<WebhookSpec>, secret: &WebhookSecret) -> Answer {
        spec.check()?;
        if self.webhooks.all.contains_key(&spec.id) {
            return Err(Refusal::WebhookExists(spec.id));
        }
        if self.webhooks.all.len() >= WEBHOOKS_MAX {
            return Err(Refusal::Full { bound: Bound::Webhooks, limit: WEBHOOKS_MAX as u64 });
        }
        let secrets = vec![Secret { value: secret.clone(), until: None }];
        let (created_at, changed_at) = (step.now, step.now);
        self.keep_webhook(Webhook { spec: WebhookSpec::clone(spec), secrets, created_at, changed_at });
        self.changes.touch(RowKey::Webhook(WebhookKey::Standing(spec.id)));
        Self::tell_of_webhook(step, spec.id, Governing::WebhookPut, "made".into());
        Ok(Reply::Done)
    }

    fn change_webhook(&mut self, step: &mut Step, spec: &Arc<WebhookSpec>) -> Answer {
        spec.check()?;
        let known = self.known_webhook(spec.id)?;
        if known.spec == **spec {
            return Ok(Reply::Done);
        }
        let secrets = known.secrets.clone();
        let created_at = known.created_at;
        let spec = WebhookSpec::clone(spec);
        let id = spec.id;
        self.keep_webhook(Webhook { spec, secrets, created_at, changed_at: step.now });
        Self::tell_of_webhook(step, id, Governing::WebhookPut, "changed".into());
        Ok(Reply::Done)
    }

    fn rotate_webhook(
        &mut self,
        step: &mut Step,
        id: WebhookId,
        secret: &WebhookSecret,
        keep_old_until: Option<Timestamp>,
    ) -> Answer {
        let mut webhook = Webhook::clone(self.known_webhook(id)?);
        let newest = webhook.secrets.first().filter(|newest| newest.value != *secret).cloned();
        let old = newest.zip(keep_old_until).map(|(old, until)| Secret { until: Some(until), ..old });
        webhook.secrets = [Secret { value: secret.clone(), until: None }].into_iter().chain(old).collect();
        webhook.changed_at = step.now;
        self.keep_webhook(webhook);
        Self::tell_of_webhook(step, id, Governing::WebhookPut, "its secret was rotated".into());
        Ok(Reply::Done)
    }

    fn remove_webhook(&mut self, step: &mut Step, id: WebhookId) -> Answer {
        let outbox = self.webhooks.all.remove(&id).ok_or(Refusal::WebhookUnknown(id))?;
        self.webhooks.changed();
        for key in [WebhookKey::Webhook(id), WebhookKey::Standing(id)] {
            self.changes.touch(RowKey::Webhook(key));
        }
        for delivery in outbox.deliveries() {
            self.changes.touch(RowKey::Webhook(WebhookKey::Delivery(id, delivery.seq)));
        }
        Self::tell_of_webhook(step, id, Governing::WebhookRemoved, outbox.webhook.spec.name.as_str().into());
        Ok(Reply::Done)
    }

    fn test_webhook(&mut self, step: &mut Step, id: WebhookId) -> Answer {
        let name = self.known_webhook(id)?.spec.name.clone();
        let data = serde_json::json!({ "type": TEST_TOPIC, "webhook": id, "name": name.as_str() });
        let message = Message {
            at: step.now,
            topic: TEST_TOPIC.into(),
            subject: Some(id.to_string().into()),
            workspace: None,
            data: data.to_string().into(),
        };
        let dropped = self.note_for_webhook(step.now, id, Arc::new(message));
        if dropped {
            Self::tell_of_overflow(step, id);
        }
        // Whoever tells it hears of it by this.
        Self::tell_of_webhook(step, id, Governing::WebhookAsked, "a test".into());
        Ok(Reply::Done)
    }

    fn keep_webhook(&mut self, webhook: Webhook) {
        let id = webhook.spec.id;
        self.webhooks.all.entry(id).or_default().webhook = Arc::new(webhook);
        self.webhooks.changed();
        self.changes.touch(RowKey::Webhook(WebhookKey::Webhook(id)));
    }

    fn known_webhook(&self, id: WebhookId) -> Result<&Arc<Webhook>, Refusal> {
        self.webhook(id).ok_or(Refusal::WebhookUnknown(id))
    }

    /// Tells what happened to a webhook: to operators alone, whose all webhooks are, since it says where they are and how
    /// they fare.
    fn tell_of_webhook(step: &mut Step, id: WebhookId, what: Governing, detail: Arc<str>) {
        let subject = id.to_string().into();
        step.events.push(Event::Governed { what, subject, workspace: None, task: None, agent: None, detail });
    }

    fn tell_of_overflow(step: &mut Step, id: WebhookId) {
        let detail = "more is to be told than is kept; the oldest is dropped".into();
        Self::tell_of_webhook(step, id, Governing::WebhookOverflowed, detail);
    }

    /// Notes what the entry brought about for those that want to be told of it.
    pub(super) fn fill_outboxes(&mut self, step: &mut Step) {
        if self.webhooks.all.is_empty() {
            return;
        }
        let mut overflowed = Vec::new();
        for event in &step.events {
            let Some(topic) = topic_of(event) else { continue };
            let mut message: Option<Arc<Message>> = None;
            if mutant(Mutant::NoteOneEvent) && step.events.first() != Some(event) {
                break;
            }
            let whose = self.workspace_of_event(event);
            for id in self.webhooks.who_wants(topic).iter() {
                if !self.webhook(*id).is_some_and(|webhook| webhook.spec.covers(whose.as_deref())) {
                    continue;
                }
                let message = message
                    .get_or_insert_with(|| Arc::new(message_of(event, whose.as_deref(), topic, step.now)));
                if self.note_for_webhook(step.now, *id, message.clone()) {
                    overflowed.push(*id);
                }
            }
        }
        for id in overflowed {
            Self::tell_of_overflow(step, id);
        }
    }

    /// Returns a webhook.
    pub fn webhook(&self, id: WebhookId) -> Option<&Arc<Webhook>> {
        self.webhooks.all.get(&id).map(|outbox| &outbox.webhook)
    }

    /// Returns a webhook with what is noted for it.
    pub fn outbox(&self, id: WebhookId) -> Option<&Outbox> {
        self.webhooks.all.get(&id)
    }

    /// Walks the webhooks with what is noted for them, oldest first.
    pub fn outboxes(&self) -> impl Iterator<Item = &Outbox> {
        self.webhooks.all.values()
    }

    /// Counts what may have given somebody something to send; the count begins anew with every start.
    pub fn outboxes_stirred(&self) -> u64 {
        self.webhooks.stirred
    }

    /// Walks the webhooks that have something to be told, with what is next.
    pub fn to_be_told(&self) -> impl Iterator<Item = (&Arc<Webhook>, &Arc<Delivery>)> {
        let enabled = self.webhooks.all.values().filter(|outbox| outbox.webhook.spec.enabled);
        enabled.filter_map(|outbox| Some((&outbox.webhook, outbox.next()?)))
    }
}

fn message_of(event: &Event, whose: Option<&Name>, topic: &'static str, at: Timestamp) -> Message {
    let subject = match event {
        Event::Governed { subject, .. } => Some(subject.clone()),
        Event::RunStarted { run, .. } | Event::RunEnded { run } => Some(run.to_string().into()),
        Event::Paused { what, .. } | Event::Resumed { what } => Some(what.path().into()),
        other => {
            let task = other.task().map(|task| task.to_string());
            let pool = || other.pool().map(ToString::to_string);
            let agent = || other.agent().map(|agent| agent.to_string());
            let node = || other.node().map(|node| node.to_string());
            let token = || other.token().map(|token| token.to_string());
            task.or_else(agent).or_else(node).or_else(token).or_else(pool).map(Arc::from)
        }
    };
    Message { at, topic: topic.into(), subject, workspace: whose.cloned(), data: data_of(event) }
}
