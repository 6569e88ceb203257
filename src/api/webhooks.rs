//! Webhooks: who is told of what happens, and what is still to be told them.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Json;

/// A webhook to make.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewWebhook {
    /// What people call it.
    #[schema(example = "on-call")]
    pub name: String,
    /// Where its messages go: an `https` address that everybody can reach, unless the operator allows others.
    #[schema(example = "https://ops.example.org/synod")]
    pub url: String,
    /// What it wants to be told, as patterns: `approval_requested`, `budget_*`, `*`. What asks for somebody or has gone
    /// wrong if left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub topics: Vec<String>,
    /// The one workspace whose events it is told; all, and what concerns everybody, if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workspace: Option<String>,
    /// Whether it is told anything; it is if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// How a message is tried again that is not taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<WebhookRetry>,
}

/// Changes a webhook. What is left out stays.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ChangeWebhook {
    /// What people call it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Where its messages go, those that wait included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// What it wants to be told, as patterns.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topics: Option<Vec<String>>,
    /// Whether it is told anything. What waits stays while it is not; what happens meanwhile is not noted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// How a message is tried again that is not taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry: Option<WebhookRetry>,
}

/// How a message is tried again: each wait is twice as long as the one before, and up to half of it is left to chance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct WebhookRetry {
    /// How often it is tried in all, from 1 to 100; then it is given up.
    pub tries: u32,
    /// The wait after the first try.
    pub first_wait_ms: u64,
    /// The longest wait.
    pub longest_wait_ms: u64,
}

impl Default for WebhookRetry {
    fn default() -> Self {
        Self { tries: 16, first_wait_ms: 1_000, longest_wait_ms: 3_600_000 }
    }
}

/// Gives a webhook a new secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RotateWebhook {
    /// How long messages are signed with the old secret too; a day if left out.
    pub keep_old_ms: u64,
}

impl Default for RotateWebhook {
    fn default() -> Self {
        Self { keep_old_ms: 86_400_000 }
    }
}

/// Which messages are tried again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RedeliverWebhook {
    /// The message's number; all that were given up, and the one that waits for its next try, if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
}

/// A webhook, without its secrets.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Webhook {
    /// Names it.
    #[schema(example = "webhook_01k00000000000000000000000")]
    pub id: String,
    /// What people call it.
    pub name: String,
    /// `idle`, `telling`, `failing`, or `off`.
    pub status: String,
    /// Where its messages go.
    pub url: String,
    /// What it wants to be told, as patterns.
    pub topics: Vec<String>,
    /// The one workspace whose events it is told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workspace: Option<String>,
    /// Whether it is told anything.
    pub enabled: bool,
    /// How a message is tried again that is not taken.
    pub retry: WebhookRetry,
    /// Who made it.
    pub owner: String,
    /// When it was made.
    pub created_at: String,
    /// When it was changed last.
    pub changed_at: String,
    /// Until when messages are signed with the secret before this one too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old_secret_until: Option<String>,
    /// How many messages are still to be told.
    pub waiting: u64,
    /// When the first of them is tried next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_try_at: Option<String>,
    /// How many messages are kept that were given up.
    pub given_up: u64,
    /// How many were taken since it was made.
    pub delivered: u64,
    /// When one was taken last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivered_at: Option<String>,
    /// How many were dropped since it was made, because there were too many.
    pub dropped: u64,
    /// Since when messages are dropped; ends when one is taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dropping_since: Option<String>,
    /// Why one was not taken last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<WebhookFailure>,
}

/// A webhook with its secret, which is shown this once.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct WebhookWithSecret {
    /// The webhook.
    pub webhook: Webhook,
    /// What messages are signed with: `whsec_` and base64. It cannot be shown again.
    pub secret: String,
}

impl std::fmt::Debug for WebhookWithSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WebhookWithSecret").field("webhook", &self.webhook).finish_non_exhaustive()
    }
}

/// Why a message was not taken.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WebhookFailure {
    /// When.
    pub at: String,
    /// What was answered, if anything was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Why, for a person.
    pub reason: String,
}

/// A message that is still to be told, or was given up. One that was taken is not kept.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct WebhookDelivery {
    /// Its number among those of its webhook.
    pub seq: u64,
    /// The id that the receiver sees.
    pub message_id: String,
    /// `waiting` or `given_up`.
    pub status: String,
    /// What happened, as a word.
    pub topic: String,
    /// What it happened to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Whose it is, if it is somebody's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workspace: Option<String>,
    /// When it happened.
    pub at: String,
    /// How often it was tried.
    pub tries: u32,
    /// When it is tried next at the earliest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_try_at: Option<String>,
    /// When it was given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub given_up_at: Option<String>,
    /// Why it was not taken last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<WebhookFailure>,
    /// The event.
    pub data: Json,
}

/// Which messages are listed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct WebhookDeliveryFilter {
    /// `waiting` or `given_up`; both if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
}
