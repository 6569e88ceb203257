//! The cluster: who belongs to it, who leads, how others join, and the keys of gossip.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Node;

/// The cluster as one of its nodes knows it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Cluster {
    /// What it is called; absent on a node that stands alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// The node that answers.
    #[schema(example = "node_01k00000000000000000000000")]
    pub node: String,
    /// The number of its start.
    pub generation: u64,
    /// Where it listens for other nodes, if it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listens: Option<String>,
    /// Who leads, as far as it knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leader: Option<String>,
    /// Whether it leads itself.
    pub leads: bool,
    /// The term in which it leads; that of the last vote it knows when it does not.
    pub term: u64,
    /// The last place of its log.
    pub last_log: u64,
    /// The last place that it has applied.
    pub applied: u64,
    /// How long it has not heard a leader; absent when it leads or has heard none since it started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub staleness_ms: Option<u64>,
    /// What it waits for before it takes work, if it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waits_for: Option<String>,
    /// Whether a change of the voters is half done, as this node knows it.
    pub changing: bool,
    /// How many voters there are.
    pub voters: u32,
    /// How many of them are up.
    pub voters_up: u32,
    /// How many must be up for anything to be agreed.
    pub quorum: u32,
    /// What became of the datagrams that it heard; absent on a node that stands alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gossip: Option<Gossip>,
    /// Letters between actors that this node could not deliver.
    pub courier: Courier,
    /// All nodes, in order of id.
    pub nodes: Vec<Node>,
}

/// Letters between actors that a node could not deliver since it started: those it sent, and those that died in mailboxes
/// there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Courier {
    /// How many there were.
    pub dead_letters: u64,
    /// The latest hundred of them, oldest first.
    pub latest: Vec<CourierLetter>,
}

/// A letter between actors that could not be delivered.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct CourierLetter {
    /// When that was known.
    #[schema(example = "2026-11-01T12:00:00Z")]
    pub at: String,
    /// The node that sent it.
    pub from: String,
    /// Where it was to go: `NAME`, or `NAME@NODE`.
    #[schema(example = "ledger@node_01k00000000000000000000000")]
    pub to: String,
    /// What it was.
    #[schema(example = "entry")]
    pub kind: String,
    /// The version of that.
    pub version: u16,
    /// How many bytes it said.
    pub bytes: u64,
    /// Why it was not delivered.
    pub reason: String,
}

/// What became of the datagrams that a node heard since it started.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Gossip {
    /// Opened, fresh, and understood.
    pub received: u64,
    /// Dropped: not sealed, too short, or of another version or channel.
    pub foreign: u64,
    /// Dropped: sealed with a key that is not in the ring.
    pub unknown_key: u64,
    /// Dropped: changed or cut on the way, or sealed with another secret.
    pub damaged: u64,
    /// Dropped: seen before, or older than those that are remembered.
    pub replayed: u64,
}

/// A node as gossip knows it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Member {
    /// Which node.
    #[schema(example = "node_01k00000000000000000000000")]
    pub id: String,
    /// What people call it.
    pub name: String,
    /// `voter` or `worker`, as agreed.
    pub role: String,
    /// `alive`, `suspect`, `dead`, `left`, or `unheard` when nothing was heard since the node that is asked started.
    #[schema(example = "alive")]
    pub health: String,
    /// For how long it has been so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since_ms: Option<u64>,
    /// The number of its start, as it says itself.
    pub generation: u64,
    /// Where other nodes reach it.
    pub address: String,
    /// Where its API is.
    pub api: String,
    /// Where it is.
    pub region: String,
    /// What people and placement filter by.
    pub labels: BTreeMap<String, String>,
    /// Its version.
    pub version: String,
}

/// A region as the node that is asked knows it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Region {
    /// What it is called.
    #[schema(example = "eu")]
    pub name: String,
    /// Whether it is the region of the node that answers.
    pub here: bool,
    /// How many of its voters gossip hears.
    pub alive: u32,
    /// Its voters, as gossip between regions knows them; none on a node that has no part in that.
    pub members: Vec<RegionMember>,
    /// Where its voters gossip with other regions, as agreed for later starts.
    pub addresses: Vec<String>,
    /// When it was removed, if it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub removed_at: Option<String>,
    /// The id of the cluster that it is agreed to be, once that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "0123456789abcdef")]
    pub cluster: Option<String>,
    /// Another cluster that goes by its name and is not talked to: found it anew under another name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rival: Option<RegionRival>,
    /// How many tasks are kept by the region that answers, were offered to this one, and have no answer.
    pub offered_tasks: u64,
}

/// A second cluster under the name of a region.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct RegionRival {
    /// Its id.
    #[schema(example = "fedcba9876543210")]
    pub cluster: String,
    /// When it was seen first.
    pub seen_at: String,
}

/// A voter of a region.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct RegionMember {
    /// Which node.
    #[schema(example = "node_01k00000000000000000000000")]
    pub id: String,
    /// What people call it.
    pub name: String,
    /// `alive`, `suspect`, `dead` or `left`.
    #[schema(example = "alive")]
    pub health: String,
    /// Where other nodes reach it.
    pub address: String,
    /// Where its API is; empty when it serves none.
    pub api: String,
}

/// Asks for another leader.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TransferLeadership {
    /// The voter that shall lead, by id or name; the one that is least behind if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "node-b")]
    pub to: Option<String>,
}

/// Who leads.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Leader {
    /// Which node.
    #[schema(example = "node_01k00000000000000000000000")]
    pub leader: String,
}

/// A snapshot that was made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SnapshotMade {
    /// The node that made it.
    #[schema(example = "node_01k00000000000000000000000")]
    pub node: String,
    /// The last place in the log that it had applied then.
    pub applied: u64,
}

/// A join token to make.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NewJoinToken {
    /// `voter` or `worker`, or `region` to let one other region be founded; `voter` if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "worker")]
    pub role: Option<String>,
    /// For how long it is taken; 15 minutes if left out, a day at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 900_000)]
    pub ttl_ms: Option<u64>,
}

/// A permission to join once, without its text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct JoinToken {
    /// Names it; not secret.
    #[schema(example = "token_01k00000000000000000000000")]
    pub id: String,
    /// What whoever joins with it may become: `voter`, or `worker`; or `region`, which it lets be founded.
    pub role: String,
    /// Until when it is taken.
    pub expires_at: String,
    /// The node that used it, if one has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used_by: Option<String>,
    /// `open`, `used` or `over`.
    #[schema(example = "open")]
    pub state: String,
}

/// A join token with its text, which is shown this once.
#[derive(Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct JoinTokenWithText {
    /// The token.
    pub token: JoinToken,
    /// Give this to the node that shall join; it is not stored and cannot be shown again.
    pub text: String,
    /// Where the joining node finds a member: the address of the node that answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub join: Option<String>,
}

impl std::fmt::Debug for JoinTokenWithText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JoinTokenWithText").field("token", &self.token).finish_non_exhaustive()
    }
}

/// A key of gossip, without its secret.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct GossipKey {
    /// Names it in datagrams; never given out again.
    pub number: u32,
    /// Whether datagrams are sealed with it; every key of the ring opens them.
    pub used: bool,
}
