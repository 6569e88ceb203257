//! The outbox of one webhook: what is still to be told, in order, and what was given up.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::event::Governing;
use crate::id::WebhookId;
use crate::mutants::{Mutant, mutant};
use crate::refusal::Refusal;
use crate::reply::{Answer, Reply};
use crate::row::RowKey;
use crate::state::{State, Step};
use crate::time::Timestamp;
use crate::webhook::{
    Delivery, Failure, Message, OUTBOX_MAX, Standing, WAIT_MAX, Webhook, WebhookKey, WebhookRow,
};

/// A webhook with what is noted for it.
#[derive(Debug)]
pub struct Outbox {
    /// The webhook.
    pub webhook: Arc<Webhook>,
    /// How it stands.
    pub standing: Standing,
    messages: BTreeMap<u64, Arc<Delivery>>,
    /// Those of them that were given up.
    given_up: BTreeSet<u64>,
    /// Those of them that are to be told.
    waiting: BTreeSet<u64>,
}

impl Default for Outbox {
    /// One of which no row was put back yet.
    fn default() -> Self {
        Self {
            webhook: Arc::new(Webhook::nobody()),
            standing: Standing::default(),
            messages: BTreeMap::new(),
            given_up: BTreeSet::new(),
            waiting: BTreeSet::new(),
        }
    }
}

impl Outbox {
    /// Returns what is to be told next; when, it says itself.
    pub fn next(&self) -> Option<&Arc<Delivery>> {
        self.messages.get(self.waiting.first()?)
    }

    /// Returns a message by its number.
    pub fn delivery(&self, seq: u64) -> Option<&Arc<Delivery>> {
        self.messages.get(&seq)
    }

    /// Walks all that is noted, in order.
    pub fn deliveries(&self) -> impl Iterator<Item = &Arc<Delivery>> {
        self.messages.values()
    }

    /// Returns how many messages are to be told.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Returns how many messages are kept that were given up.
    pub fn given_up(&self) -> usize {
        self.given_up.len()
    }

    pub(super) fn restore(&mut self, row: WebhookRow) {
        match row {
            WebhookRow::Webhook(webhook) => self.webhook = webhook,
            WebhookRow::Standing(_, standing) => self.standing = standing,
            WebhookRow::Delivery(_, delivery) => self.put(delivery),
        }
    }

    fn put(&mut self, delivery: Arc<Delivery>) {
        let seq = delivery.seq;
        let (into, out_of) = match delivery.given_up_at {
            Some(_) => (&mut self.given_up, &mut self.waiting),
            None => (&mut self.waiting, &mut self.given_up),
        };
        into.insert(seq);
        out_of.remove(&seq);
        self.messages.insert(seq, delivery);
    }

    fn remove(&mut self, seq: u64) -> Option<Arc<Delivery>> {
        self.given_up.remove(&seq);
        self.waiting.remove(&seq);
        self.messages.remove(&seq)
    }

    /// Returns what makes room: the oldest that was given up, or the oldest.
    fn least(&self) -> Option<u64> {
        self.given_up.first().or_else(|| self.waiting.first()).copied()
    }
}

impl State {
    /// Notes a message for a webhook. Tells whether messages are dropped from here on.
    pub(super) fn note_for_webhook(&mut self, now: Timestamp, id: WebhookId, message: Arc<Message>) -> bool {
        let Some(outbox) = self.webhooks.all.get_mut(&id) else { return false };
        let mut begins = false;
        if outbox.messages.len() >= OUTBOX_MAX
            && let Some(least) = outbox.least()
        {
            outbox.remove(least);
            outbox.standing.dropped += 1;
            begins = outbox.standing.dropping_since.is_none();
            outbox.standing.dropping_since.get_or_insert(now);
            self.changes.touch(RowKey::Webhook(WebhookKey::Delivery(id, least)));
        }
        outbox.standing.last_seq += 1;
        let seq = outbox.standing.last_seq;
        outbox.put(Arc::new(Delivery { seq, message, tries: 0, next: now, given_up_at: None, last: None }));
        self.webhooks.stirred += 1;
        self.changes.touch(RowKey::Webhook(WebhookKey::Standing(id)));
        self.changes.touch(RowKey::Webhook(WebhookKey::Delivery(id, seq)));
        begins
    }

    pub(super) fn delivered(&mut self, step: &Step, id: WebhookId, seq: u64) -> Answer {
        let outbox = self.webhooks.all.get_mut(&id).ok_or(Refusal::WebhookUnknown(id))?;
        outbox.remove(seq).ok_or(Refusal::DeliveryUnknown { webhook: id, seq })?;
        outbox.standing.delivered += 1;
        outbox.standing.delivered_at = Some(step.now);
        outbox.standing.dropping_since = None;
        self.webhooks.stirred += 1;
        self.changes.touch(RowKey::Webhook(WebhookKey::Standing(id)));
        self.changes.touch(RowKey::Webhook(WebhookKey::Delivery(id, seq)));
        Ok(Reply::Done)
    }

    pub(super) fn not_delivered(
        &mut self,
        step: &mut Step,
        (id, seq): (WebhookId, u64),
        failure: Failure,
        asked: Duration,
    ) -> Answer {
        if mutant(Mutant::TellOnce) {
            return self.delivered(step, id, seq);
        }
        let outbox = self.webhooks.all.get_mut(&id).ok_or(Refusal::WebhookUnknown(id))?;
        let known = outbox.delivery(seq).filter(|known| known.given_up_at.is_none());
        let known = known.ok_or(Refusal::DeliveryUnknown { webhook: id, seq })?;
        let mut delivery = Delivery::clone(known);
        delivery.tries += 1;
        delivery.last = Some(failure.clone());
        let retry = &outbox.webhook.spec.retry;
        let given_up = !retry.allows_another(delivery.tries);
        if given_up {
            delivery.given_up_at = Some(step.now);
            outbox.standing.given_up += 1;
        } else {
            let wait = retry.backoff(delivery.tries, &mut step.chance).max(asked.min(WAIT_MAX));
            delivery.next = step.now.after(wait);
        }
        let detail = format!("message {seq} after {} tries: {}", delivery.tries, failure.why);
        outbox.standing.failure = Some(failure);
        outbox.put(Arc::new(delivery));
        self.webhooks.stirred += 1;
        self.changes.touch(RowKey::Webhook(WebhookKey::Standing(id)));
        self.changes.touch(RowKey::Webhook(WebhookKey::Delivery(id, seq)));
        if given_up {
            Self::tell_of_webhook(step, id, Governing::WebhookGaveUp, detail.into());
        }
        Ok(Reply::Done)
    }

    /// Tries again what was given up, and at once what waits for its next try.
    pub(super) fn redeliver(&mut self, step: &mut Step, id: WebhookId, seq: Option<u64>) -> Answer {
        let outbox = self.webhooks.all.get_mut(&id).ok_or(Refusal::WebhookUnknown(id))?;
        let wanted: Vec<u64> = match seq {
            Some(seq) => {
                outbox.delivery(seq).ok_or(Refusal::DeliveryUnknown { webhook: id, seq })?;
                vec![seq]
            }
            None => outbox.given_up.iter().chain(outbox.waiting.first()).copied().collect(),
        };
        for seq in wanted {
            let Some(known) = outbox.delivery(seq) else { continue };
            let again = Delivery { tries: 0, next: step.now, given_up_at: None, ..Delivery::clone(known) };
            outbox.put(Arc::new(again));
            self.changes.touch(RowKey::Webhook(WebhookKey::Delivery(id, seq)));
        }
        self.webhooks.stirred += 1;
        // Whoever tells it hears of it by this.
        Self::tell_of_webhook(step, id, Governing::WebhookAsked, "to try again".into());
        Ok(Reply::Done)
    }
}
