//! Taking a state out of the cluster that it was agreed in.

use crate::chance::Chance;
use crate::federation::Federation;
use crate::id::{NodeId, TokenId};
use crate::node::Keyring;
use crate::row::RowKey;
use crate::state::{State, Step};

/// Why the agents that nodes of the old cluster hosted are offline.
const LEFT_BEHIND: &str = "its node belongs to the cluster that this one was restored from";

impl State {
    /// Makes this the state of a cluster that is yet to be founded: everything but the old cluster's nodes, join
    /// tokens, regions and keys of gossip stays. What those nodes' agents had in hand is redelivered.
    ///
    /// No entry of a log does this. It is for a backup, before the first node starts on it.
    pub fn found_anew(&mut self) {
        let now = self.meta.now;
        let mut step = Step { now, chance: Chance::new(0), events: Vec::new(), idle: Vec::new() };
        let nodes: Vec<NodeId> = self.nodes.keys().copied().collect();
        for node in nodes {
            self.end_hosted(&mut step, node, LEFT_BEHIND);
            self.nodes.remove(&node);
            self.changes.touch(RowKey::Node(node));
            self.respread_all(&mut step);
            self.forget_displaced(&mut step, node);
        }
        self.settle(&mut step);
        let tokens: Vec<TokenId> = self.join_tokens.keys().copied().collect();
        for token in tokens {
            self.join_tokens.remove(&token);
            self.changes.touch(RowKey::JoinToken(token));
        }
        self.keyring = Keyring::default();
        self.changes.touch(RowKey::Keyring);
        self.federation = Federation::default();
        self.changes.touch(RowKey::Federation);
        (self.meta.last_node, self.meta.term) = (0, 0);
        self.changes.touch_meta();
    }
}
