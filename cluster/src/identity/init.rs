//! Founding a cluster: its authority, its first key of gossip, and the founder's own certificate.

use std::collections::BTreeMap;

use synod_domain::id::NodeId;
use synod_domain::name::Name;
use synod_domain::node::{GossipSecret, NodeRole};
use synod_domain::sources::{Clock, Entropy};

use crate::identity::authority::{Authority, Subject};
use crate::identity::certificate::NodeCertificate;
use crate::identity::error::Error;
use crate::identity::folder::{Folder, Identity};
use crate::identity::keys::{NodeKey, draw_bytes, hex};
use crate::identity::names::{InRegion, check_region};

/// The number of the node that founds a cluster.
pub(super) const FOUNDER: u64 = 1;

/// Founds a cluster, called `region` among others, of which `node` is the first member. Done while the node does not
/// run.
///
/// The first gossip key stays in the folder until it is agreed: the node proposes it at its first start and then says
/// [`Folder::first_key_is_agreed`].
///
/// # Errors
/// [`Error::Exists`] when the folder holds an identity; else when the disk refuses.
pub fn init(
    folder: &Folder,
    node: NodeId,
    region: &Name,
    clock: &dyn Clock,
    entropy: &dyn Entropy,
) -> Result<Identity, Error> {
    check_region(region)?;
    let now = clock.now();
    let cluster = hex(&draw_bytes::<8>(entropy));
    let authority = Authority::make(&cluster, now, entropy)?;
    let key = NodeKey::make(entropy);
    let region = InRegion { name: region.clone(), role: NodeRole::Voter };
    let subject = Subject { node, number: FOUNDER, region: Some(region) };
    let pem = authority.issue(&key.request()?, &subject, now, entropy)?;
    let identity = Identity {
        node,
        number: FOUNDER,
        role: NodeRole::Voter,
        authority: authority.certificate().clone(),
        authority_key: Some(authority.key().clone()),
        certificate: NodeCertificate::new(&pem, key)?,
        first_key: Some(GossipSecret(draw_bytes(entropy))),
        members: BTreeMap::new(),
        federation: None,
        cluster,
    };
    folder.create(&identity)?;
    Ok(identity)
}
