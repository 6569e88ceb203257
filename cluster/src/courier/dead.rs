//! Letters that could not be delivered: counted, the latest of them kept for people.

use std::collections::VecDeque;

use synod_domain::id::NodeId;
use synod_domain::time::Timestamp;

use crate::courier::envelope::{Address, Undelivered};

/// How many are kept. They are for a person who looks what is wrong, and hold no bodies.
const KEPT_MAX: usize = 100;

/// A letter that could not be delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// When that was known.
    pub at: Timestamp,
    /// The node that sent it.
    pub from: NodeId,
    /// Where it was to go.
    pub to: Address,
    /// What it was.
    pub kind: String,
    /// The version of that.
    pub version: u16,
    /// How many bytes it said.
    pub bytes: usize,
    /// Why it was not delivered.
    pub why: Undelivered,
}

/// The dead letters that this node knows of: those it sent, and those that died in mailboxes here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeadLetters {
    /// How many there were since the start.
    pub total: u64,
    /// The latest of them, oldest first.
    pub latest: VecDeque<DeadLetter>,
}

impl DeadLetters {
    pub(super) fn note(&mut self, letter: DeadLetter) {
        self.total += 1;
        if self.latest.len() == KEPT_MAX {
            self.latest.pop_front();
        }
        self.latest.push_back(letter);
    }
}
