//! What is sent: an envelope and what becomes of it. A format.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use synod_domain::id::NodeId;
use synod_domain::name::Name;

/// The most recipients of one node. Each has a mailbox of its own; an embedder has some tens.
pub const NAMES_MAX: usize = 10_000;

/// Where a letter goes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Address {
    /// On which node; `None` is wherever the name is.
    pub node: Option<NodeId>,
    /// Who.
    pub name: Name,
}

impl Address {
    /// Names a recipient on one node.
    pub fn on(node: NodeId, name: Name) -> Self {
        Self { node: Some(node), name }
    }

    /// Names a recipient wherever it is: on this node if it is here, else on the first node that has it.
    pub fn anywhere(name: Name) -> Self {
        Self { node: None, name }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.node {
            Some(node) => write!(f, "{}@{node}", self.name),
            None => write!(f, "{}", self.name),
        }
    }
}

/// A letter on its way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    /// Which node sent it.
    pub from: NodeId,
    /// Who gets it.
    pub to: Name,
    /// What it is, as the recipient calls it.
    pub kind: String,
    /// The version of that kind.
    pub version: u16,
    /// What it says.
    pub body: Bytes,
    /// How much of its time is left, in milliseconds: clocks of nodes may differ, so no time of day.
    pub patience_ms: u64,
    /// Whether its sender waits for what the recipient answers, and not only until its mailbox has it.
    pub asks: bool,
}

impl Envelope {
    /// Returns how much of its time is left.
    pub fn patience(&self) -> Duration {
        Duration::from_millis(self.patience_ms)
    }
}

/// Why a letter was not delivered, or has no answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Undelivered {
    /// Nobody has that name there. It had no effect.
    #[error("nobody is called {name} {place}")]
    UnknownName {
        /// The name.
        name: Name,
        /// Where it was looked for.
        place: String,
    },
    /// The recipient reads another kind or version. It had no effect.
    #[error("{name} reads {reads}, and not {sent}: both sides must be of one version")]
    WrongKind {
        /// The recipient.
        name: Name,
        /// What it reads, as kind and version.
        reads: String,
        /// What was sent.
        sent: String,
    },
    /// What it says cannot be read. It had no effect.
    #[error("the letter cannot be read: {0}")]
    Unreadable(String),
    /// The recipient's mailbox is full. It had no effect; try again later.
    #[error("the mailbox of {0} is full")]
    Full(Name),
    /// Its time was over before the recipient took it out of its mailbox. It had no effect.
    #[error("its time was over before it was read")]
    TooLate,
    /// No answer came in time. It may have had its effect.
    #[error("no answer came in time; it may have been delivered")]
    NoAnswer,
    /// The recipient failed while it had it, or has stopped. It may have had its effect.
    #[error("its recipient failed while it had it: {0}")]
    Failed(String),
    /// The node cannot be reached. It had no effect.
    #[error("{node} cannot be reached: {why}")]
    NodeGone {
        /// Which.
        node: NodeId,
        /// Why.
        why: String,
    },
    /// The connection broke. It may have been delivered.
    #[error("the connection broke; it may have been delivered: {0}")]
    Unknown(String),
    /// It is larger than one message may be. It had no effect.
    #[error("{size} bytes are more than the {limit} that one letter may have")]
    TooLarge {
        /// Its size.
        size: usize,
        /// The bound.
        limit: usize,
    },
}

/// What one node asks of another. A format: variants are only appended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Question {
    /// Has somebody that name there?
    Find(Name),
    /// Deliver this.
    Deliver(Envelope),
}

/// What it answers. A format: variants are only appended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Answer {
    /// Whether somebody has that name.
    Found(bool),
    /// It was delivered; what the recipient answered, if that was asked for.
    Delivered(Option<Bytes>),
    /// It was not.
    Undelivered(Undelivered),
}

#[cfg(test)]
mod tests {
    use synod_storage::{decode, encode};

    use super::*;

    #[test]
    fn questions_and_answers_come_back_as_they_went() {
        let name = Name::new("ledger").unwrap();
        let envelope = Envelope {
            from: NodeId::from_raw(1),
            to: name.clone(),
            kind: "grant".to_owned(),
            version: 2,
            body: Bytes::from_static(b"{}"),
            patience_ms: 5,
            asks: true,
        };
        let questions = [Question::Find(name.clone()), Question::Deliver(envelope)];
        for question in questions {
            assert_eq!(decode::<Question>(&encode(&question).unwrap()).unwrap(), question);
        }
        let answers = [
            Answer::Found(true),
            Answer::Delivered(Some(Bytes::from_static(b"1"))),
            Answer::Undelivered(Undelivered::Full(name)),
        ];
        for answer in answers {
            assert_eq!(decode::<Answer>(&encode(&answer).unwrap()).unwrap(), answer);
        }
    }

    #[test]
    fn question_is_these_bytes() {
        // After version and checksum: the variant, then the name with its length.
        let bytes = encode(&Question::Find(Name::new("ada").unwrap())).unwrap();
        assert_eq!(bytes[5..], [0, 3, b'a', b'd', b'a']);
    }
}
