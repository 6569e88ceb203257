//! Settings of webhooks.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::period::Period;
use crate::webhooks::{self, Network, Rules};

/// Telling others what happens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WebhookSettings {
    /// Networks and addresses that webhooks may be at although not everybody can reach them, such as `10.1.0.0/16` or
    /// `127.0.0.1`. Each lets whoever may make webhooks have this node write there.
    pub allow: Vec<Network>,
    /// Whether messages may go over plain http to other machines: whoever is on the way reads them.
    pub plain_http: bool,
    /// How long a receiver may take to answer. Longer bears slow ones, and lets one that hangs keep its place longer.
    pub timeout: Period,
}

impl Default for WebhookSettings {
    fn default() -> Self {
        let webhooks::WebhookSettings { rules, timeout } = webhooks::WebhookSettings::default();
        Self { allow: rules.allow, plain_http: rules.plain_http, timeout: Period(timeout) }
    }
}

impl WebhookSettings {
    /// Returns them as a node takes them.
    pub fn node(&self) -> webhooks::WebhookSettings {
        let rules = Rules { allow: self.allow.clone(), plain_http: self.plain_http };
        webhooks::WebhookSettings { rules, timeout: Duration::min(self.timeout.0, TIMEOUT_MAX) }
    }
}

/// The longest that a try may take: a minute is where the herald ends it.
const TIMEOUT_MAX: Duration = Duration::from_secs(55);
