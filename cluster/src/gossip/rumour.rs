//! What a node tells of itself, and what others think of how it is.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use synod_domain::id::NodeId;
use synod_domain::name::Name;
use synod_domain::node::NodeRole;
use synod_domain::time::Timestamp;

/// The largest rumour, in bytes as told: with the head of a datagram and who it is for, it must fit one.
pub(super) const RUMOUR_BYTES_MAX: usize = 800;

/// The longest address, in bytes; three of them may stand in one datagram.
pub(super) const ADDRESS_BYTES_MAX: usize = 128;

/// What a node tells of itself. A format: fields are only appended, with a new version of datagrams.
///
/// Its labels are left out where they do not fit a datagram; the agreed ones stand in the node's spec.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rumour {
    /// Who it is.
    pub node: NodeId,
    /// The number of its start. The later one of two wins.
    pub generation: u64,
    /// What people call it.
    pub name: Name,
    /// Where other nodes reach it, as `host:port`.
    pub address: String,
    /// Where its API is, as `host:port`; empty when it serves none.
    pub api: String,
    /// Where it is.
    pub region: Name,
    /// What it does in its group.
    pub role: NodeRole,
    /// What people and placement filter by.
    pub labels: BTreeMap<Name, Arc<str>>,
    /// How much it has to do.
    pub load: Load,
    /// Its version of synod.
    pub version: Arc<str>,
    /// The term in which it leads, as far as it knows; `None` while it follows.
    pub leads: Option<u64>,
    /// How far it has applied the log.
    pub applied: u64,
}

/// How much a node has to do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Load {
    /// Agents that it hosts.
    pub agents: u32,
    /// Agents that it could host beside them.
    pub free_slots: u32,
    /// Tasks that wait, as far as it knows.
    pub waiting: u64,
}

/// How a node is, as rumoured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// It is heard.
    Alive,
    /// It did not answer, and may yet deny that it is dead.
    Suspect,
    /// Nobody hears it.
    Dead,
    /// It said that it goes.
    Left,
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Alive => "alive",
            Self::Suspect => "suspect",
            Self::Dead => "dead",
            Self::Left => "left",
        })
    }
}

/// A node, as rumoured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// What it told of itself last. Its generation is that of the start whose health this is.
    pub rumour: Rumour,
    /// How it is.
    pub health: Health,
    /// Since when it is known here to be so.
    pub since: Timestamp,
    /// Where its datagrams arrive.
    pub datagrams: String,
}
