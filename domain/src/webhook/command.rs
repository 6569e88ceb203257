//! What may be asked of webhooks.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::id::WebhookId;
use crate::time::Timestamp;
use crate::webhook::{WebhookSecret, WebhookSpec};

/// One change of a webhook or of its outbox. A format: variants are only appended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum WebhookCommand {
    /// Makes a webhook.
    Put {
        /// What it shall be.
        spec: Arc<WebhookSpec>,
        /// What its messages are signed with.
        secret: WebhookSecret,
    },
    /// Changes a webhook; its secrets and its outbox stay.
    Change {
        /// What it shall be.
        spec: Arc<WebhookSpec>,
    },
    /// Removes a webhook with all that is noted for it.
    Remove {
        /// Which.
        webhook: WebhookId,
    },
    /// Gives a webhook a new secret.
    Rotate {
        /// Which.
        webhook: WebhookId,
        /// The new secret.
        secret: WebhookSecret,
        /// Until when messages are also signed with the present one; not at all when `None`.
        keep_old_until: Option<Timestamp>,
    },
    /// Notes a message for a webhook that says nothing but that it comes.
    Test {
        /// Which.
        webhook: WebhookId,
    },
    /// Tries what was given up, or waits to be tried again, from the beginning.
    Redeliver {
        /// Which webhook.
        webhook: WebhookId,
        /// Which message; all of them when `None`.
        seq: Option<u64>,
    },
    /// Says that a message was taken.
    Delivered {
        /// Which webhook.
        webhook: WebhookId,
        /// Which message.
        seq: u64,
    },
    /// Says that a message was not taken.
    Failed {
        /// Which webhook.
        webhook: WebhookId,
        /// Which message.
        seq: u64,
        /// What was answered, if anything was.
        status: Option<u16>,
        /// Why, for a person.
        why: Arc<str>,
        /// How long the receiver asked to be left alone.
        wait: Option<Duration>,
    },
}

impl WebhookCommand {
    /// Returns the webhook that it is about.
    pub fn webhook(&self) -> WebhookId {
        match self {
            Self::Put { spec, .. } | Self::Change { spec } => spec.id,
            Self::Remove { webhook }
            | Self::Rotate { webhook, .. }
            | Self::Test { webhook }
            | Self::Redeliver { webhook, .. }
            | Self::Delivered { webhook, .. }
            | Self::Failed { webhook, .. } => *webhook,
        }
    }
}
