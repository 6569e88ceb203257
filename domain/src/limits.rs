//! The bounds that every replica enforces, agreed through the log.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Bounds on what waits, and the few times that the rules need.
///
/// They are part of the agreed state, because a bound that differs between replicas would make them differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// How many tasks may wait in one mailbox. Each takes about a kilobyte of memory on every replica.
    pub mailbox_depth_max: u64,
    /// How many tasks of one workspace may wait.
    pub workspace_depth_max: u64,
    /// How many tasks may be unfinished in all.
    pub node_depth_max: u64,
    /// How many bytes of payload unfinished tasks may hold in memory.
    pub payload_bytes_max: u64,
    /// How many dead letters are kept; the oldest leave for history first.
    pub dead_letters_max: u64,
    /// How long a task waits in a lane before it rises to the next. Shorter makes lanes matter less.
    pub ageing: Duration,
    /// How long at least nobody is declared silent after a leader began: whoever was not heard since is listened to for
    /// so long, and for a whole heartbeat timeout of its own if that is longer. More delays what follows from the
    /// silence of those who keep to shorter timeouts; less costs them their work when they are slow to find the leader.
    pub grace: Duration,
    /// How long an idempotency key is remembered after its submit.
    pub idempotency: Duration,
}

impl Default for Limits {
    /// Bounds for a node with some gigabytes of memory.
    fn default() -> Self {
        Self {
            mailbox_depth_max: 1_000_000,
            workspace_depth_max: 1_000_000,
            node_depth_max: 2_000_000,
            payload_bytes_max: 2 << 30,
            dead_letters_max: 100_000,
            ageing: Duration::from_secs(300),
            grace: Duration::from_secs(30),
            idempotency: Duration::from_secs(24 * 60 * 60),
        }
    }
}
