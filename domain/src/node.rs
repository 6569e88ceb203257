//! Nodes: the machines that a cluster has agreed on, how they may join, and the keys of their gossip.
//!
//! Who is a member, with which number and in which role, is agreed; who is alive is rumoured, and becomes agreed
//! only when the leader says so. A node's number names it in the Raft group and is never given out again.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::id::{NodeId, TokenId};
use crate::name::Name;
use crate::spread::ZONE_LABEL;
use crate::time::Timestamp;
use crate::token::TokenHash;

/// The most nodes of one region. Every one of them holds the state, and gossip and placement look at all of them.
pub const NODES_MAX: usize = 200;

/// The most join tokens that are kept at a time; they live for minutes.
pub const JOIN_TOKENS_MAX: usize = 100;

/// The most keys in the ring: the one in use, one that comes and one that goes, and one to spare.
pub const GOSSIP_KEYS_MAX: usize = 4;

/// The agents that a node hosts at most, unless it says otherwise.
pub const CAPACITY_DEFAULT: u32 = 10_000;

/// What a node does in its group.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeRole {
    /// Votes, may lead, hosts agents.
    #[default]
    Voter,
    /// Follows the log without a vote, and hosts agents.
    Worker,
}

impl fmt::Display for NodeRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Voter => "voter",
            Self::Worker => "worker",
        })
    }
}

/// Whether a node is counted on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeStanding {
    /// Admitted, and not yet started.
    Joining,
    /// It is counted on.
    Up,
    /// The leader took it for gone: its agents' leases have ended.
    Down,
}

impl fmt::Display for NodeStanding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Joining => "joining",
            Self::Up => "up",
            Self::Down => "down",
        })
    }
}

/// What a node says of itself when it joins and at each start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeSpec {
    /// The node's id; it is bound to its data folder.
    pub id: NodeId,
    /// What people call it; unique in its region.
    pub name: Name,
    /// Where other nodes reach it, as `host:port`; empty on a node that stands alone.
    pub address: String,
    /// Where its API is, as `host:port`; empty when it serves none.
    pub api: String,
    /// Where it is.
    pub region: Name,
    /// What people and placement filter by.
    pub labels: BTreeMap<Name, Arc<str>>,
    /// How many agents it hosts at most.
    pub capacity: u32,
    /// Its version of synod.
    pub version: Arc<str>,
}

impl NodeSpec {
    /// Describes a node that stands alone.
    pub fn alone(id: NodeId) -> Self {
        Self {
            id,
            name: Name::default(),
            address: String::new(),
            api: String::new(),
            region: Name::default(),
            labels: BTreeMap::new(),
            capacity: CAPACITY_DEFAULT,
            version: env!("CARGO_PKG_VERSION").into(),
        }
    }

    /// Returns in which zone it is, if it says so.
    pub fn zone(&self) -> Option<&str> {
        let mut labels = self.labels.iter();
        labels.find(|(label, _)| label.as_str() == ZONE_LABEL).map(|(_, zone)| &**zone)
    }
}

/// A node, as agreed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// What it said of itself at its last start.
    pub spec: Arc<NodeSpec>,
    /// What it is called in the Raft group.
    pub number: u64,
    /// What it does there. The leader makes the group so.
    pub role: NodeRole,
    /// The number of its last start. A lower one comes from a disk that has forgotten something.
    pub generation: u64,
    /// Whether it is counted on.
    pub standing: NodeStanding,
    /// Why it has that standing, for a person.
    pub reason: Arc<str>,
    /// Since when.
    pub since: Timestamp,
    /// Since when it gives its agents away, if it does.
    pub draining: Option<Timestamp>,
    /// When it started last.
    pub started_at: Timestamp,
    /// When it was admitted.
    pub admitted_at: Timestamp,
}

impl Node {
    /// Tells whether agents may be put on it.
    pub fn takes_agents(&self) -> bool {
        self.standing == NodeStanding::Up && self.draining.is_none()
    }
}

/// A permission to join once, as agreed. Its text is never stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinToken {
    /// What it is called in lists and logs; not secret.
    pub id: TokenId,
    /// SHA-256 of its secret.
    pub hash: TokenHash,
    /// What whoever joins with it may become.
    pub role: NodeRole,
    /// Until when it is taken.
    pub expires_at: Timestamp,
    /// The node that used it. That node may ask again with it until it starts: its answer may have been lost.
    pub used_by: Option<NodeId>,
}

/// The bytes of a key. They never stand in a log or a message for people.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GossipSecret(pub [u8; 32]);

impl fmt::Debug for GossipSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("secret")
    }
}

/// A key that gossip is sealed with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GossipKey {
    /// Names it in datagrams and lists; not secret.
    pub number: u32,
    /// The key itself.
    pub secret: GossipSecret,
}

/// The keys of gossip: all of them open a datagram, one seals it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keyring {
    /// The keys, by number.
    pub keys: Vec<GossipKey>,
    /// The number of the one that seals; `None` while there is none.
    pub used: Option<u32>,
    /// The number of the last key that was ever installed; numbers are not given out again.
    pub last: u32,
}
