//! How a node comes to belong to a cluster: it does already, it joins one, or it stands alone.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use synod_cluster::identity::{
    self, Credentials, Federated, Folder, Identity, JoinText, Joining, MembersOnly, TlsNetwork, Word,
};
use synod_cluster::transport::Network;
use synod_domain::id::NodeId;
use synod_domain::name::Name;
use synod_domain::node::{GossipSecret, Keyring, NodeRole, NodeSpec};
use synod_domain::sources::{Clock, Entropy};
use synod_domain::state::State;
use synod_storage::Storage;

use crate::node::cluster::{Cluster, Join};
use crate::node::home::{has_started, kept_id, node_id};
use crate::node::member::{FOLDER, doors};
use crate::node::{ClosedIdentity, Error};

/// Who a node is, in which cluster, and by what that is shown.
pub(in crate::node) struct Belonging {
    pub(super) who: Who,
    pub(super) papers: Papers,
    /// The keys of gossip as the cluster gave them when this node joined, just now.
    pub(super) keyring: Option<Keyring>,
}

/// Who a node is.
#[derive(Debug, Clone)]
pub(in crate::node) struct Who {
    /// The cluster that it belongs to.
    pub(in crate::node) cluster: String,
    pub(in crate::node) node: NodeId,
    /// What it is called in the Raft group.
    pub(super) number: u64,
    /// What it joined as.
    pub(super) role: NodeRole,
    /// The founder's first key of gossip, until it is agreed.
    pub(in crate::node) first_key: Option<GossipSecret>,
    /// What the founder of a region got of the others, until it is agreed.
    pub(in crate::node) federation: Option<Federated>,
    /// Where the members were when it last knew.
    pub(super) members: BTreeMap<NodeId, String>,
}

/// By what a node shows who it is.
#[derive(Clone)]
pub(in crate::node) enum Papers {
    /// By certificates, which its folder keeps.
    Kept {
        /// What it shows.
        credentials: Arc<Credentials>,
        /// Where that is kept.
        folder: Folder,
    },
    /// By its word, on a network that is closed by itself.
    Closed(Arc<Word>),
}

impl Papers {
    /// Returns the network as this node uses it.
    pub(super) fn network(&self, inner: Arc<dyn Network>) -> Result<Arc<dyn Network>, Error> {
        match self {
            Self::Kept { credentials, .. } => Ok(Arc::new(TlsNetwork::new(inner, credentials.clone())?)),
            Self::Closed(_) => Ok(inner),
        }
    }

    /// Returns who lets others in.
    pub(super) fn door(&self, state: Arc<RwLock<State>>) -> MembersOnly {
        match self {
            Self::Kept { credentials, .. } => MembersOnly::new(credentials.clone(), state),
            Self::Closed(word) => MembersOnly::on_a_closed_network(word.clone(), state),
        }
    }

    /// Says which region a cluster is whose certificates name none yet.
    pub(super) fn name_region(&self, region: &Name) {
        match self {
            Self::Kept { credentials, .. } => credentials.name_region(region.clone()),
            Self::Closed(_) => {}
        }
    }

    /// Returns the region of the cluster, if papers say it.
    pub(in crate::node) fn region(&self) -> Option<Name> {
        match self {
            Self::Kept { credentials, .. } => credentials.region(),
            Self::Closed(_) => None,
        }
    }

    /// Returns where the identity is kept, if it is.
    pub(super) fn folder(&self) -> Option<Folder> {
        match self {
            Self::Kept { folder, .. } => Some(folder.clone()),
            Self::Closed(_) => None,
        }
    }
}

impl Belonging {
    /// Returns the node's id and its number in the group.
    pub(in crate::node) const fn who(&self) -> (NodeId, u64) {
        (self.who.node, self.who.number)
    }

    fn kept(identity: &Identity, folder: Folder, clock: Arc<dyn Clock>) -> Result<Self, Error> {
        let credentials = Credentials::new(identity, clock)?;
        let who = Who {
            cluster: identity.cluster.clone(),
            node: identity.node,
            number: identity.number,
            role: identity.role,
            first_key: identity.first_key.clone(),
            federation: identity.federation.clone(),
            members: identity.members.clone(),
        };
        Ok(Self { who, papers: Papers::Kept { credentials, folder }, keyring: None })
    }

    /// Takes the embedder's word for it.
    ///
    /// # Errors
    /// When the log is that of another node, or has forgotten whose it is.
    pub(in crate::node) fn closed(identity: ClosedIdentity, storage: &Storage) -> Result<Self, Error> {
        let ClosedIdentity { cluster, node, number, role, first_key, keyring, members, number_of } = identity;
        identity::check_log(&cluster, node, kept_id(storage)?)?;
        let word = Word { cluster: cluster.clone(), node, number_of };
        let keyring = first_key.is_none().then_some(keyring);
        let who = Who { cluster, node, number, role, first_key, federation: None, members };
        Ok(Self { who, papers: Papers::Closed(Arc::new(word)), keyring })
    }
}

/// How long a node that joins asks a cluster which does not answer: nodes that are started together come up in any order.
const JOIN_PATIENCE: Duration = Duration::from_secs(30);

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
        return Belonging::kept(&identity, folder, clock.clone()).map(Some);
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
    let spec = spec(node, cluster, None, own.clone());
    let joining = Joining {
        network: network.clone(),
        folder: &folder,
        address,
        token: &token,
        spec,
        role: *role,
        clock: clock.clone(),
        entropy,
    };
    let joined = joining.within(JOIN_PATIENCE).await?;
    let mut identity = joined.identity;
    identity.members.insert(node, own);
    tracing::info!(cluster = identity.cluster, number = identity.number, "has joined");
    let belonging = Belonging::kept(&identity, folder, clock.clone())?;
    Ok(Some(Belonging { keyring: Some(joined.keyring), ..belonging }))
}

/// Describes a node as it tells others of itself.
pub(super) fn spec(node: NodeId, cluster: &Cluster, region: Option<Name>, address: String) -> NodeSpec {
    // Said where a node stands alone, or where there are places within a region; else it is the region itself.
    let said = (cluster.region != Name::default()).then(|| cluster.region.clone());
    let region = said.or(region).unwrap_or_default();
    NodeSpec {
        id: node,
        name: cluster.name.clone().unwrap_or_else(|| name_of(node)),
        address,
        api: cluster.api.clone(),
        region,
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
