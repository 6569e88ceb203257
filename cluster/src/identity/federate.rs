//! The asking side of founding a region: from a token of another region to an identity in the folder.
//!
//! The new region is a cluster of its own, with an id and a first key of its own. What it gets of the other one is the
//! authority, with its key, because each region signs for its own nodes; the keys of gossip between regions; and where
//! voters of the other one are.

use std::collections::BTreeMap;
use std::sync::Arc;

use synod_domain::id::NodeId;
use synod_domain::name::Name;
use synod_domain::node::{GossipSecret, NodeRole};
use synod_domain::sources::{Clock, Entropy};

use crate::identity::authority::{Authority, AuthorityCertificate, Subject};
use crate::identity::certificate::NodeCertificate;
use crate::identity::error::Error;
use crate::identity::folder::{Federated, Folder, Identity};
use crate::identity::init::FOUNDER;
use crate::identity::join::ask_pinned;
use crate::identity::keys::{NodeKey, draw_bytes, hex};
use crate::identity::names::{InRegion, check_region};
use crate::identity::token::JoinText;
use crate::identity::wire::{FoundRequest, Granted, Request};
use crate::transport::Network;

/// Founds a region, of which `node` is the first member, beside the one that the node at `address` belongs to. Done
/// while the node does not run. Asked again with the same token, node and name, the other region answers the same.
///
/// # Errors
/// [`Error::Exists`] when the folder holds an identity, [`Error::Refused`] when the other region does not let this one
/// in, [`Error::Unanswered`] when nobody of the authority that the token pins could be asked.
#[expect(
    clippy::too_many_arguments,
    reason = "each is needed once, at one call, and they have nothing in common"
)]
pub async fn federate(
    inner: Arc<dyn Network>,
    folder: &Folder,
    address: &str,
    token: &JoinText,
    node: NodeId,
    region: &Name,
    clock: Arc<dyn Clock>,
    entropy: &dyn Entropy,
) -> Result<Identity, Error> {
    check_region(region)?;
    if let Some(Identity { node, cluster, .. }) = folder.load()? {
        return Err(Error::Exists { path: folder.path().to_owned(), node, cluster });
    }
    let cluster = hex(&draw_bytes::<8>(entropy));
    let request = FoundRequest { secret: *token.secret(), node, region: region.clone() };
    // So that another cluster of that name, let in where nobody hears of this one, is not taken for it.
    let request = Request::FoundAs(Box::new(request), cluster.clone());
    let grant = match ask_pinned(inner, address, token, node, clock.clone(), &request).await? {
        Granted::Founded(grant) => *grant,
        Granted::Joined(_) | Granted::Certificate(_) | Granted::Authority(_) | Granted::Holds(_) => {
            let why = "it answers another question".to_owned();
            return Err(Error::Nonsense { address: address.to_owned(), why });
        }
    };
    let certificate = AuthorityCertificate::from_pem(&grant.authority)?;
    if certificate.hash() != token.authority() {
        let why = "the authority is not the token's".to_owned();
        return Err(Error::Nonsense { address: address.to_owned(), why });
    }
    let authority_key = NodeKey::from_pem(&grant.authority_key)?;
    let authority = Authority::new(&cluster, certificate, authority_key.clone())?;
    let key = NodeKey::make(entropy);
    let region = InRegion { name: region.clone(), role: NodeRole::Voter };
    let subject = Subject { node, number: FOUNDER, region: Some(region) };
    let pem = authority.issue(&key.request()?, &subject, clock.now(), entropy)?;
    let identity = Identity {
        node,
        number: FOUNDER,
        role: NodeRole::Voter,
        authority: authority.certificate().clone(),
        authority_key: Some(authority_key),
        certificate: NodeCertificate::new(&pem, key)?,
        first_key: Some(GossipSecret(draw_bytes(entropy))),
        members: BTreeMap::new(),
        federation: Some(Federated {
            ring: grant.ring,
            ring_number: grant.ring_number,
            regions: grant.regions,
        }),
        cluster,
    };
    folder.create(&identity)?;
    Ok(identity)
}
