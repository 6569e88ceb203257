//! What messages are signed with.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// The bytes of a signing secret. Whoever signs needs them, so they are kept as they are; they never stand in a list, a
/// log or a message for people.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookSecret(pub [u8; 32]);

impl fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("secret")
    }
}

/// A secret, and until when it holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Secret {
    /// The secret.
    pub value: WebhookSecret,
    /// When it ends; the newest one never does.
    pub until: Option<Timestamp>,
}
