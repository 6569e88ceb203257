//! A node as a member of a cluster: how it is described, and what it says of its cluster.
//!
//! A node without [`Cluster`] and without a `cluster/` folder beside its data stands alone: a group of one, and
//! nothing listens. A member keeps who it is in that folder; what is said here is what may change between two
//! starts.

mod backup;
mod regions;
mod verbs;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use synod_domain::id::NodeId;
use synod_domain::name::Name;
use synod_domain::node::{CAPACITY_DEFAULT, Node, NodeRole};

pub use backup::Contents;
pub use regions::{RegionSeen, RegionStatus, found_region};
pub use verbs::{Founded, JoinTokenText, Restored, init_cluster, init_region, restore};

/// How a node takes part in a cluster.
#[derive(Debug, Clone)]
pub struct Cluster {
    /// Where it listens for other nodes, as `host:port`; port 0 takes a free one.
    pub listen: String,
    /// Where other nodes reach it, if that is not where it listens.
    pub advertise: Option<String>,
    /// Where it listens for other regions, as `host:port`, if there are any; beside where it listens for other nodes
    /// unless said.
    pub wan_listen: Option<String>,
    /// Where its API is, as `host:port`; empty when it serves none.
    pub api: String,
    /// What people call it; the first letters of its id unless given.
    pub name: Option<Name>,
    /// Where it is; the region of its cluster unless said.
    pub region: Name,
    /// What people and placement filter by.
    pub labels: BTreeMap<Name, Arc<str>>,
    /// How many agents it hosts at most.
    pub capacity: u32,
    /// How it comes into a cluster on its first start; not looked at once it is a member.
    pub join: Option<Join>,
}

impl Default for Cluster {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:0".to_owned(),
            advertise: None,
            wan_listen: None,
            api: String::new(),
            name: None,
            region: Name::default(),
            labels: BTreeMap::new(),
            capacity: CAPACITY_DEFAULT,
            join: None,
        }
    }
}

/// How a node that belongs to no cluster joins one.
#[derive(Clone)]
pub struct Join {
    /// Where a member listens, as `host:port`.
    pub address: String,
    /// The text of a join token; it names the authority of the cluster too.
    pub token: String,
    /// What the node wants to be.
    pub role: NodeRole,
}

impl std::fmt::Debug for Join {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Join({} as {})", self.address, self.role)
    }
}

/// What a node says of its cluster. On a node that stands alone it is the only one.
#[derive(Debug, Clone)]
pub struct ClusterStatus {
    /// What the cluster is called; `None` on a node that stands alone.
    pub cluster: Option<String>,
    /// This node.
    pub node: NodeId,
    /// The number of its start.
    pub generation: u64,
    /// Where it listens for other nodes, if it does.
    pub listens: Option<String>,
    /// The term of the last vote it knows.
    pub term: u64,
    /// Who leads, as far as it knows.
    pub leader: Option<NodeId>,
    /// The term in which it leads itself, caught up and hearing a quorum.
    pub leads: Option<u64>,
    /// The last index of its log.
    pub last_log: Option<u64>,
    /// The last index it has applied.
    pub applied: Option<u64>,
    /// Since when it has not heard a leader; `None` when it leads.
    pub staleness: Option<Duration>,
    /// What it waits for before it takes work, for a person; `None` once it does.
    pub waits_for: Option<String>,
    /// Whether the voters of the group are not yet those of the table, or a change of them is half done.
    pub changing: bool,
    /// All nodes, in order of id.
    pub nodes: Vec<NodeStatus>,
}

/// What is known of one node of the cluster.
#[derive(Debug, Clone)]
pub struct NodeStatus {
    /// What is agreed.
    pub node: Arc<Node>,
    /// What is rumoured; `None` when nothing was heard since this node started.
    pub seen: Option<Seen>,
    /// Whether it has a vote in the group; `None` while the group does not have it.
    pub votes: Option<bool>,
    /// How far its log is like the leader's; only the leader knows of the others.
    pub matched: Option<u64>,
    /// By how many entries it is behind the leader; only the leader knows of the others.
    pub lag: Option<u64>,
    /// Through where it had acknowledged the log and has lost it: its disk is an older copy. Only the leader knows.
    pub lost: Option<u64>,
}

/// What gossip says of a node.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Whether it is there.
    pub health: Seeing,
    /// For how long it has been so.
    pub since: Duration,
    /// Where it says that other nodes reach it.
    pub address: String,
    /// Where it says that its API is.
    pub api: String,
    /// The number of its start.
    pub generation: u64,
    /// Its version of synod.
    pub version: Arc<str>,
    /// The agents that it hosts.
    pub agents: u32,
    /// How many more it can host.
    pub free_slots: u32,
    /// The tasks that wait, as it knows.
    pub waiting: u64,
    /// The last index it has applied.
    pub applied: u64,
    /// The term in which it leads, if it does.
    pub leads: Option<u64>,
}

/// Whether a node is there, by what others say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seeing {
    /// It answers.
    Alive,
    /// It did not answer, and may still object.
    Suspect,
    /// It is taken for gone.
    Dead,
    /// It said that it leaves.
    Left,
}

impl std::fmt::Display for Seeing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Alive => "alive",
            Self::Suspect => "suspect",
            Self::Dead => "dead",
            Self::Left => "left",
        })
    }
}
