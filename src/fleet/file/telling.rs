//! Breakers and webhooks of a fleet file, as they are written.

use schemars::JsonSchema;
use serde::Deserialize;
use synod_domain::name::Name;

use super::Period;

/// When a pool or a type of tasks is left alone for a while.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "the fields of a breaker")]
#[schemars(rename = "Breaker")]
pub(in super::super) struct BreakerShape {
    /// It opens at this many failures in a row; 0 for never. Default 5.
    pub(in super::super) failures: Option<u32>,
    /// It opens when this share of the last attempts failed, in percent; 0 for never. Default 50.
    #[schemars(range(max = 100))]
    pub(in super::super) rate_percent: Option<u32>,
    /// At how many attempts it looks back for that. Default 50.
    #[schemars(range(min = 1, max = 128))]
    pub(in super::super) window: Option<u32>,
    /// How many attempts must have ended before their rate counts. Default 20, or the window if that is shorter.
    #[schemars(range(min = 1, max = 128))]
    pub(in super::super) at_least: Option<u32>,
    /// How long it stays open the first time; twice as long each time that a probe fails. Default `30s`.
    pub(in super::super) open_for: Option<Period>,
    /// How long it stays open at most. Default `10m`, or as long as the first time if that is longer.
    pub(in super::super) open_max: Option<Period>,
    /// How many attempts it lets through when half-open. Default 1.
    #[schemars(range(min = 1, max = 64))]
    pub(in super::super) probes: Option<u32>,
}

/// Who is told of what happens, over HTTP.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "the fields of a webhook")]
#[schemars(rename = "Webhook")]
pub(in super::super) struct WebhookShape {
    /// Where messages go.
    pub(in super::super) url: String,
    /// What is told, as patterns: `approval_requested`, `budget_*`, `*`. Default: what asks for somebody or has gone wrong.
    #[serde(default)]
    pub(in super::super) topics: Vec<String>,
    /// The one workspace whose events are told. Default: all, and what concerns everybody.
    #[schemars(with = "Option<String>")]
    pub(in super::super) workspace: Option<Name>,
    /// The file that the secret is written to when the webhook is made, for its owner alone, relative to this file's
    /// folder. Default: nobody sees it, and `synod webhook rotate` makes another.
    pub(in super::super) secret_file: Option<String>,
    /// How often a message is tried that is not taken. Default 16.
    #[schemars(range(min = 1, max = 100))]
    pub(in super::super) tries: Option<u32>,
    /// The wait after the first try; each is twice as long as the one before. Default `1s`.
    pub(in super::super) first_wait: Option<Period>,
    /// The longest wait. Default `1h`.
    pub(in super::super) longest_wait: Option<Period>,
}
