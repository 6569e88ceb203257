//! Webhooks: who is told of what happens, over HTTP, and what is still to be told them.
//!
//! ```text
//!  entry ─► events ─► those a webhook wants ─► its outbox, in order ─► a try ─► told, and gone from the outbox
//!                                                   ▲                   │
//!                                                   └── after a wait ◄──┤ not taken
//!                                                                       └─► given up after enough tries, and kept
//! ```
//!
//! What is to be told is noted by the entry that made it happen, on every replica alike, so it is lost with nothing less
//! than the log. It leaves the outbox when the receiver has taken it and that is agreed: who crashes between the two tells
//! it again, under the same number. Each webhook is told in order, one at a time. What is noted is bounded; beyond that
//! the oldest go, and are counted. Writing and signing the messages is left to whoever sends them.

mod command;
mod delivery;
mod row;
mod secret;
mod topic;

pub use command::WebhookCommand;
pub use delivery::{Delivery, Failure, Message, Standing};
pub use row::{WebhookKey, WebhookRow};
pub use secret::{Secret, WebhookSecret};
pub use topic::{TEST_TOPIC, data_of, topic_of, topics};

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::id::WebhookId;
use crate::name::Name;
use crate::policy::glob;
use crate::refusal::Refusal;
use crate::retry::RetryPolicy;
use crate::time::Timestamp;

/// The most webhooks. Each looks at every event of a topic that it wants.
pub const WEBHOOKS_MAX: usize = 64;

/// The most messages that are kept for one webhook, those that were given up among them. With the most webhooks and
/// messages of a kilobyte that is some 64 MB of memory on every replica.
pub const OUTBOX_MAX: usize = 1000;

/// The most topics that one webhook names; a pattern covers many.
pub const TOPICS_MAX: usize = 64;

/// The longest address.
pub const URL_BYTES_MAX: usize = 2048;

/// The most tries of one message.
pub const TRIES_MAX: u32 = 100;

/// The longest wait between two tries that somebody may ask for.
pub const WAIT_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// What one is told of who names no topics: what asks for somebody, or says that something has gone wrong.
pub const TOPICS_DEFAULT: [&str; 7] = [
    "approval_*",
    "budget_warned",
    "budget_exhausted",
    "attempt_over_budget",
    "breaker_opened",
    "dead_letter_added",
    "policy_violated",
];

/// How often, and how far apart, a message is tried that is not taken: sixteen times within three to four hours.
pub const fn retry_default() -> RetryPolicy {
    RetryPolicy {
        max_attempts: 16,
        initial: Duration::from_secs(1),
        factor_percent: 200,
        max: Duration::from_secs(60 * 60),
    }
}

/// What a webhook is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookSpec {
    /// Its id.
    pub id: WebhookId,
    /// What people call it.
    pub name: Name,
    /// Where its messages go.
    pub url: Arc<str>,
    /// Which topics it wants, as patterns.
    pub topics: Vec<Arc<str>>,
    /// The one workspace whose events it is told; all, and what concerns everybody, when there is none.
    pub workspace: Option<Name>,
    /// Whether it is told anything. What is noted for it stays noted while it is not.
    pub enabled: bool,
    /// How often a message is tried, and how far apart.
    pub retry: RetryPolicy,
    /// Who made it, for a person.
    pub owner: Arc<str>,
}

impl WebhookSpec {
    /// Checks what can be checked without asking anybody.
    ///
    /// # Errors
    /// A refusal that names the field.
    pub fn check(&self) -> Result<(), Refusal> {
        let refuse = |field: &str, why: String| Err(Refusal::Invalid { field: field.to_owned(), why });
        if self.url.is_empty() || self.url.len() > URL_BYTES_MAX {
            return refuse("url", format!("it must be from 1 to {URL_BYTES_MAX} bytes long"));
        }
        if self.topics.is_empty() || self.topics.len() > TOPICS_MAX {
            return refuse("topics", format!("it must name from 1 to {TOPICS_MAX}"));
        }
        for topic in &self.topics {
            if topic.len() > glob::PATTERN_BYTES_MAX {
                return refuse("topics", format!("one is longer than {} bytes", glob::PATTERN_BYTES_MAX));
            }
            if !topics().any(|known| glob::matches(topic, known)) {
                return refuse("topics", format!("nothing that happens is called {topic:?}"));
            }
        }
        if self.retry.max_attempts == 0 || self.retry.max_attempts > TRIES_MAX {
            return refuse("tries", format!("it must be from 1 to {TRIES_MAX}"));
        }
        if self.retry.initial < Duration::from_millis(1) || self.retry.initial > self.retry.max {
            return refuse("first_wait_ms", "it must be from 1 to the longest wait".to_owned());
        }
        if self.retry.max > WAIT_MAX {
            return refuse("longest_wait_ms", format!("it must be at most {}", WAIT_MAX.as_millis()));
        }
        if self.retry.factor_percent < 100 {
            return refuse("retry", "waits must not become shorter".to_owned());
        }
        Ok(())
    }

    /// Tells whether it wants what happens under a topic.
    pub fn wants(&self, topic: &str) -> bool {
        self.topics.iter().any(|pattern| glob::matches(pattern, topic))
    }

    /// Tells whether it may be told of what happened, by whose that is.
    pub fn covers(&self, whose: Option<&Name>) -> bool {
        self.workspace.as_ref().is_none_or(|workspace| whose == Some(workspace))
    }
}

/// A webhook, with its secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Webhook {
    /// What it is.
    pub spec: WebhookSpec,
    /// What its messages are signed with, the newest first; the others hold until their end, at most one.
    pub secrets: Vec<Secret>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed last, its secrets included.
    pub changed_at: Timestamp,
}

impl Webhook {
    /// Returns the secrets that hold, the newest first.
    pub fn secrets_at(&self, now: Timestamp) -> impl Iterator<Item = &WebhookSecret> {
        let holds = move |secret: &&Secret| secret.until.is_none_or(|until| until > now);
        self.secrets.iter().filter(holds).map(|secret| &secret.value)
    }
}

impl Webhook {
    /// One of whom nothing is known yet, while rows are put back.
    pub(crate) fn nobody() -> Self {
        let spec = WebhookSpec {
            id: WebhookId::from_raw(0),
            name: Name::default(),
            url: "".into(),
            topics: Vec::new(),
            workspace: None,
            enabled: false,
            retry: retry_default(),
            owner: "".into(),
        };
        Self { spec, secrets: Vec::new(), created_at: Timestamp::ZERO, changed_at: Timestamp::ZERO }
    }
}
