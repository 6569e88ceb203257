//! A member of a cluster whose network is closed by itself: for simulations and tests.
//!
//! There the embedder brings the network and says who the node is, as the folder of a member does; nothing is
//! encrypted and nobody proves who they are. No command and no setting leads here. Everything behind the door is
//! what it always is.

use std::collections::BTreeMap;
use std::sync::Arc;

use synod_domain::id::NodeId;
use synod_domain::node::{GossipSecret, Keyring, NodeRole};
use synod_domain::sources::{Clock, Entropy};
use synod_storage::Storage;

use crate::node::{Error, home};

/// Who a node of a closed network is. Whoever brings it keeps it through the node's starts, as a folder would.
#[derive(Clone)]
pub struct ClosedIdentity {
    /// The cluster that it belongs to.
    pub cluster: String,
    /// The node, as [`closed_id`] has said.
    pub node: NodeId,
    /// What it is called in the Raft group: 1 founds the group, the others were admitted under theirs.
    pub number: u64,
    /// What it joined as.
    pub role: NodeRole,
    /// The first key of gossip, which the founder gets agreed; the others have none.
    pub first_key: Option<GossipSecret>,
    /// The keys of gossip as they were when it was admitted.
    pub keyring: Keyring,
    /// Where the members were then.
    pub members: BTreeMap<NodeId, String>,
    /// Tells which number a node was admitted under, as its certificate would.
    pub number_of: Arc<dyn Fn(NodeId) -> Option<u64> + Send + Sync>,
}

impl std::fmt::Debug for ClosedIdentity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ClosedIdentity({} as {} of {})", self.node, self.number, self.cluster)
    }
}

/// Returns the id of the node on this storage, and makes one and writes it there if there is none: before it is
/// admitted to a closed network.
///
/// # Errors
/// When the storage refuses.
pub async fn closed_id(storage: &Storage, clock: &dyn Clock, entropy: &dyn Entropy) -> Result<NodeId, Error> {
    home::node_id(storage, clock, entropy).await
}
