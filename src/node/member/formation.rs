//! How a node comes to belong to a cluster: it does already, it joins one, or it stands alone.

use std::path::Path;
use std::sync::Arc;

use synod_cluster::identity::{self, Folder, Identity, JoinText};
use synod_cluster::transport::Network;
use synod_domain::id::NodeId;
use synod_domain::name::Name;
use synod_domain::node::{Keyring, NodeSpec};
use synod_domain::sources::{Clock, Entropy};
use synod_storage::Storage;

use crate::node::Error;
use crate::node::cluster::{Cluster, Join};
use crate::node::home::{has_started, kept_id, node_id};
use crate::node::member::{FOLDER, doors};

/// Whom a node is, in which cluster.
pub(in crate::node) struct Belonging {
    pub(super) identity: Identity,
    /// The keys of gossip as the cluster gave them when this node joined, just now.
    pub(super) keyring: Option<Keyring>,
}

impl Belonging {
    /// Returns the node's id and its number in the group.
    pub(in crate::node) fn who(&self) -> (NodeId, u64) {
        (self.identity.node, self.identity.number)
    }
}

/// Finds out to which cluster the node of this folder belongs, and lets it join one if it shall; `None` when it
/// stands alone.
///
/// # Errors
/// When the identity cannot be used or is not that of the log, or the node may not join.
pub(in crate::node) async fn belonging(
    data: &Path,
    storage: &Storage,
    cluster: &Cluster,
    network: &Arc<dyn Network>,
    clock: &Arc<dyn Clock>,
    entropy: &dyn Entropy,
) -> Result<Option<Belonging>, Error> {
    let folder = Folder::at(data.join(FOLDER));
    if let Some(identity) = folder.load()? {
        identity.check_against(kept_id(storage)?)?;
        return Ok(Some(Belonging { identity, keyring: None }));
    }
    let Some(Join { address, token, role }) = &cluster.join else { return Ok(None) };
    if has_started(storage)? {
        return Err(Error::Start(format!(
            "{} holds the data of a node that stood alone, which joining would not bring along; join with an empty \
             data folder",
            data.display()
        )));
    }
    // Durable before anybody hears of it: whoever asks again is the same node.
    let node = node_id(storage, &**clock, entropy).await?;
    let token: JoinText = token.parse()?;
    let (listener, datagrams) = doors::open(&**network, &cluster.listen, None).await?;
    let own = doors::told(&listener.address(), cluster.advertise.as_deref())?;
    // Free again for the listener with the certificate that comes of this.
    drop((listener, datagrams));
    let spec = spec(node, cluster, own.clone());
    let joined =
        identity::join(network.clone(), &folder, address, &token, spec, *role, clock.clone(), entropy)
            .await?;
    let mut identity = joined.identity;
    identity.members.insert(node, own);
    tracing::info!(cluster = identity.cluster, number = identity.number, "has joined");
    Ok(Some(Belonging { identity, keyring: Some(joined.keyring) }))
}

/// Describes a node as it tells others of itself.
pub(super) fn spec(node: NodeId, cluster: &Cluster, address: String) -> NodeSpec {
    NodeSpec {
        id: node,
        name: cluster.name.clone().unwrap_or_else(|| name_of(node)),
        address,
        api: cluster.api.clone(),
        region: cluster.region.clone(),
        labels: cluster.labels.clone(),
        capacity: cluster.capacity,
        version: env!("CARGO_PKG_VERSION").into(),
    }
}

/// Makes a name out of the part of an id that chance made: the part before it is alike for nodes of one day.
fn name_of(node: NodeId) -> Name {
    /// Enough letters that two of a hundred nodes have the same in one of a million clusters.
    const LETTERS: usize = 8;
    let text = node.to_string();
    let short = &text[text.len() - LETTERS..];
    Name::new(&format!("node-{short}")).unwrap_or_default()
}
