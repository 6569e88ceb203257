//! Webhooks as rows.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::id::WebhookId;
use crate::webhook::{Delivery, Standing, Webhook};

/// Names a row of a webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum WebhookKey {
    /// The webhook itself.
    Webhook(WebhookId),
    /// How its outbox stands.
    Standing(WebhookId),
    /// A message in its outbox.
    Delivery(WebhookId, u64),
}

impl WebhookKey {
    /// Returns the key's bytes, behind those that all of them begin with.
    pub fn to_bytes(self) -> Vec<u8> {
        let with = |webhook: WebhookId, rest: &[u8]| [&webhook.raw().to_be_bytes()[..], rest].concat();
        match self {
            Self::Webhook(webhook) => with(webhook, &[]),
            Self::Standing(webhook) => with(webhook, b"s"),
            Self::Delivery(webhook, seq) => with(webhook, &[&b"t"[..], &seq.to_be_bytes()].concat()),
        }
    }
}

/// A row of a webhook. A format: variants are only appended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum WebhookRow {
    /// The webhook itself.
    Webhook(Arc<Webhook>),
    /// How its outbox stands.
    Standing(WebhookId, Standing),
    /// A message in its outbox.
    Delivery(WebhookId, Arc<Delivery>),
}
