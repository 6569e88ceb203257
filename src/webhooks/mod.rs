//! Telling webhooks what happens: messages as CloudEvents, signed, over HTTP to addresses that may be written to.
//!
//! ```text
//!  delivery ─► envelope (CloudEvents 1.0, JSON) ─► signature (Standard Webhooks) ─► POST ─► 2xx: taken
//!                                                        where may it go? ───────────┘
//! ```
//!
//! A try is one request: no redirect is followed, no proxy asked, nothing of the answer read but its status and how long to
//! wait. Promises that nothing is sent to an address that the [rules](Rules) do not allow, whatever a name resolves to at
//! that moment. When and how often it is tried is left to the herald (`actors/src/herald.rs`) and to what is agreed.

mod address;
mod envelope;
mod signature;

pub use address::{Network, NetworkUnknown, Rules};
pub use envelope::{CONTENT_TYPE, body, message_id};
pub use signature::{SECRET_PREFIX, secret_text, sign, signatures};
pub use synod_actors::ports::{NotTaken, Receivers};

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use reqwest::header::{CONTENT_TYPE as CONTENT_TYPE_HEADER, HeaderMap, RETRY_AFTER};
use reqwest::redirect;
use synod_domain::time::Timestamp;
use synod_domain::webhook::{Delivery, Webhook};

use crate::client::{chain, roots};

/// How long a receiver may take until it is connected to. One that is up does within a round trip or two.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// How long a connection is kept that is not used. Events come in bursts.
const KEEP_IDLE: Duration = Duration::from_secs(30);

/// How webhooks are told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookSettings {
    /// Where messages may go.
    pub rules: Rules,
    /// How long one try may take.
    pub timeout: Duration,
}

impl Default for WebhookSettings {
    fn default() -> Self {
        Self { rules: Rules::default(), timeout: Duration::from_secs(15) }
    }
}

/// Sends messages over HTTP.
#[derive(Debug)]
pub struct Sender {
    settings: WebhookSettings,
    /// Made when the first message is sent: a node without webhooks reads no certificates.
    secure: OnceLock<Result<reqwest::Client, String>>,
    plain: OnceLock<Result<reqwest::Client, String>>,
}

impl Sender {
    /// Makes one that keeps to these settings.
    pub const fn new(settings: WebhookSettings) -> Self {
        Self { settings, secure: OnceLock::new(), plain: OnceLock::new() }
    }

    fn client(&self, is_plain: bool) -> Result<&reqwest::Client, NotTaken> {
        let made = if is_plain { &self.plain } else { &self.secure };
        let client = made.get_or_init(|| self.make(is_plain));
        client.as_ref().map_err(NotTaken::because)
    }

    fn make(&self, is_plain: bool) -> Result<reqwest::Client, String> {
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("synod/", env!("CARGO_PKG_VERSION")))
            // Where a redirect leads, nobody has agreed to.
            .redirect(redirect::Policy::none())
            // A proxy would resolve the name itself.
            .no_proxy()
            .dns_resolver(Arc::new(self.settings.rules.resolver(is_plain)))
            .connect_timeout(CONNECT_WITHIN)
            .timeout(self.settings.timeout)
            .pool_max_idle_per_host(1)
            .pool_idle_timeout(KEEP_IDLE)
            .https_only(!is_plain);
        for root in roots(None).map_err(|error| error.to_string())? {
            builder = builder.add_root_certificate(root);
        }
        builder.build().map_err(|error| format!("no HTTP client can be made: {}", chain(&error)))
    }
}

#[async_trait]
impl Receivers for Sender {
    async fn tell(&self, webhook: &Webhook, delivery: &Delivery, now: Timestamp) -> Result<(), NotTaken> {
        // The rules may be others than when it was made, on this node at least.
        let url = self.settings.rules.check(&webhook.spec.url).map_err(NotTaken::because)?;
        let client = self.client(url.scheme() == "http")?;
        let (id, body) = (message_id(webhook.spec.id, delivery.seq), body(webhook, delivery));
        let seconds = now.as_millis() / 1000;
        let signed = signatures(webhook.secrets_at(now), &id, seconds, body.as_bytes());
        let request = client
            .post(url)
            .header(CONTENT_TYPE_HEADER, CONTENT_TYPE)
            .header("webhook-id", &id)
            .header("webhook-timestamp", seconds)
            .header("webhook-signature", signed)
            .body(body);
        let response = match request.send().await {
            Ok(response) => response,
            // Its address may be as good as a secret.
            Err(error) => return Err(NotTaken::because(chain(&error.without_url()))),
        };
        let status = response.status();
        if status.is_success() {
            return Ok(());
        }
        let why = if status.is_redirection() {
            format!("it answered {status}; redirects are not followed")
        } else {
            format!("it answered {status}")
        };
        Err(NotTaken { status: Some(status.as_u16()), why, wait: wait(response.headers()) })
    }
}

/// Returns how long a receiver asks to be left alone, if it says so in seconds.
fn wait(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}
