//! What is noted for a webhook, and how its outbox stands.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::name::Name;
use crate::time::Timestamp;

/// What is told: the same for every webhook that is told it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// When it happened.
    pub at: Timestamp,
    /// What happened, as a word.
    pub topic: Arc<str>,
    /// What it happened to: the id or name of a task, an approval, a budget.
    pub subject: Option<Arc<str>>,
    /// Whose it is, if it is somebody's.
    pub workspace: Option<Name>,
    /// The event, as JSON.
    pub data: Arc<str>,
}

/// A message in the outbox of a webhook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// Its number: those of one webhook have no gaps but where messages were dropped.
    pub seq: u64,
    /// What is told.
    pub message: Arc<Message>,
    /// How often it was tried.
    pub tries: u32,
    /// When it is tried next at the earliest.
    pub next: Timestamp,
    /// When it was given up; it is tried again when somebody asks for that.
    pub given_up_at: Option<Timestamp>,
    /// What the last try came to.
    pub last: Option<Failure>,
}

/// Why a message was not taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// When that was.
    pub at: Timestamp,
    /// What was answered, if anything was.
    pub status: Option<u16>,
    /// Why, for a person.
    pub why: Arc<str>,
}

/// How the outbox of a webhook stands.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// The number of the last message that was noted.
    pub last_seq: u64,
    /// How many were taken.
    pub delivered: u64,
    /// How many were given up, those that were tried again later among them.
    pub given_up: u64,
    /// How many were dropped because there were too many.
    pub dropped: u64,
    /// Since when messages are dropped; ends when one is taken.
    pub dropping_since: Option<Timestamp>,
    /// When a message was taken last.
    pub delivered_at: Option<Timestamp>,
    /// Why one was not taken last.
    pub failure: Option<Failure>,
}
