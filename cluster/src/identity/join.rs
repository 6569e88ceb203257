//! The asking side of joining: from a token to an identity in the folder.

use std::sync::Arc;

use bytes::{BufMut as _, Bytes, BytesMut};
use synod_domain::id::NodeId;
use synod_domain::node::{Keyring, NodeRole, NodeSpec};
use synod_domain::sources::{Clock, Entropy};
use synod_storage::decode;

use crate::identity::admission::ADMISSION_PATIENCE;
use crate::identity::authority::AuthorityCertificate;
use crate::identity::certificate::NodeCertificate;
use crate::identity::error::Error;
use crate::identity::folder::{Folder, Identity, Pending};
use crate::identity::keys::NodeKey;
use crate::identity::pinned::PinnedNetwork;
use crate::identity::token::JoinText;
use crate::identity::wire::{Denied, Granted, JoinRequest, Reply, Request};
use crate::transport::hello::{Hello, PROTOCOL};
use crate::transport::links::Service;
use crate::transport::peer::{Fixed, Peer};
use crate::transport::{Network, Target};

/// What joining came to.
#[derive(Debug, Clone)]
pub struct Joined {
    /// Who the node is from here on; it stands in the folder already.
    pub identity: Identity,
    /// The keys of gossip as they were; the state brings what becomes of them.
    pub keyring: Keyring,
}

/// Asks the node at `address` to admit the node of `spec`, and keeps what it gets.
///
/// What was begun is kept in the folder first: asked again, with the same token and the same `spec.id`, the cluster
/// gives the same answer, whether or not the first one arrived. [`Folder::pending`] says which id that was.
///
/// # Errors
/// [`Error::Refused`] when the cluster does not take this node, [`Error::Unanswered`] when nobody of the authority
/// that the token pins could be asked.
#[expect(
    clippy::too_many_arguments,
    reason = "each is needed once, at one call, and they have nothing in common"
)]
pub async fn join(
    inner: Arc<dyn Network>,
    folder: &Folder,
    address: &str,
    token: &JoinText,
    spec: NodeSpec,
    role: NodeRole,
    clock: Arc<dyn Clock>,
    entropy: &dyn Entropy,
) -> Result<Joined, Error> {
    if let Some(Identity { node, cluster, .. }) = folder.load()? {
        return Err(Error::Exists { path: folder.path().to_owned(), node, cluster });
    }
    let node = spec.id;
    let pending = match folder.pending()? {
        Some(pending) if pending.node == node => pending,
        Some(_) | None => Pending { node, key: NodeKey::make(entropy) },
    };
    folder.keep_pending(&pending)?;
    let request = JoinRequest { secret: *token.secret(), spec, role, request: pending.key.request()? };
    let request = Request::Join(Box::new(request));
    let nonsense = |why: &str| Error::Nonsense { address: address.to_owned(), why: why.to_owned() };
    let grant = match ask_pinned(inner, address, token, node, clock, &request).await? {
        Granted::Joined(grant) => *grant,
        Granted::Certificate(_) | Granted::Authority(_) | Granted::Holds(_) | Granted::Founded(_) => {
            return Err(nonsense("it answers another question"));
        }
    };
    let authority = AuthorityCertificate::from_pem(&grant.authority)?;
    let certificate = NodeCertificate::new(&grant.certificate, pending.key)?;
    let named = certificate.named();
    if authority.hash() != token.authority() {
        return Err(nonsense("the authority is not the token's"));
    }
    if named.node != node || named.number != grant.number {
        return Err(nonsense("the certificate is another node's"));
    }
    let identity = Identity {
        cluster: named.cluster.clone(),
        node,
        number: grant.number,
        role,
        authority,
        authority_key: None,
        certificate,
        first_key: None,
        members: grant.members,
        federation: None,
    };
    folder.create(&identity)?;
    Ok(Joined { identity, keyring: grant.keyring })
}

/// Asks the admission of whoever is at `address`, if it is of the authority that the token pins.
pub(super) async fn ask_pinned(
    inner: Arc<dyn Network>,
    address: &str,
    token: &JoinText,
    node: NodeId,
    clock: Arc<dyn Clock>,
    request: &Request,
) -> Result<Granted, Error> {
    let network = Arc::new(PinnedNetwork::new(inner, token.authority(), clock)?);
    let reach = Arc::new(Fixed { network, to: Target::anyone(address) });
    let hello = Hello { protocol: PROTOCOL, cluster: String::new(), node, generation: 0 };
    let answer = Peer::new(reach, hello).ask(to_admission(&request.write()?), ADMISSION_PATIENCE).await?;
    let read = decode::<Reply>(&answer);
    let nonsense = |why: String| Error::Nonsense { address: address.to_owned(), why };
    match read.map_err(|error| nonsense(error.to_string()))? {
        Ok(granted) => Ok(granted),
        Err(Denied::Refused(why)) => Err(Error::Refused { address: address.to_owned(), why }),
        Err(Denied::NoAuthority) => Err(Error::NoAuthority(format!("{address} has no key to sign with"))),
    }
}

fn to_admission(request: &[u8]) -> Bytes {
    let mut body = BytesMut::with_capacity(1 + request.len());
    body.put_u8(Service::Admission as u8);
    body.put(request);
    body.freeze()
}
