//! The asking side of joining: from a token to an identity in the folder.

use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut as _, Bytes, BytesMut};
use synod_domain::id::NodeId;
use synod_domain::node::{Keyring, NodeRole, NodeSpec};
use synod_domain::sources::{Clock, Entropy};
use synod_storage::decode;
use tokio::time::Instant;

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
use crate::transport::{self, Network, Target};

/// What joining came to.
#[derive(Debug, Clone)]
pub struct Joined {
    /// Who the node is from here on; it stands in the folder already.
    pub identity: Identity,
    /// The keys of gossip as they were; the state brings what becomes of them.
    pub keyring: Keyring,
}

/// How long one of several tries to join may take. An answer that never comes, because whoever took the question was not
/// ready for it, must leave time to ask again.
const TRY_PATIENCE: Duration = Duration::from_secs(5);

/// The pause between two tries to join.
const TRY_PAUSE: Duration = Duration::from_millis(500);

/// What a node asks of a cluster that it wants to belong to.
///
/// What was begun is kept in the folder first: asked again, with the same token and the same `spec.id`, the cluster
/// gives the same answer, whether or not the first one arrived. [`Folder::pending`] says which id that was.
pub struct Joining<'a> {
    /// Through which network it asks, without certificates.
    pub network: Arc<dyn Network>,
    /// Where it keeps who it is.
    pub folder: &'a Folder,
    /// Who is asked.
    pub address: &'a str,
    /// By what it may join, and of which authority the one who is asked must be.
    pub token: &'a JoinText,
    /// The node.
    pub spec: NodeSpec,
    /// As what it joins.
    pub role: NodeRole,
    /// The time, for certificates.
    pub clock: Arc<dyn Clock>,
    /// What keys are made of.
    pub entropy: &'a dyn Entropy,
}

impl Joining<'_> {
    /// Asks to be admitted until there is an answer, or `patience` is over: nodes that are started together come up in any
    /// order.
    ///
    /// # Errors
    /// As [`once`](Self::once).
    pub async fn within(&self, patience: Duration) -> Result<Joined, Error> {
        let begun = Instant::now();
        loop {
            let tried = tokio::time::timeout(TRY_PATIENCE, self.once()).await;
            match tried.unwrap_or(Err(Error::Unanswered(transport::Error::Late))) {
                Err(error @ (Error::Unanswered(_) | Error::NoAuthority(_))) if begun.elapsed() < patience => {
                    tracing::warn!(%error, "joining is tried again");
                    tokio::time::sleep(TRY_PAUSE).await;
                }
                outcome => return outcome,
            }
        }
    }

    /// Asks to be admitted, once, and keeps what it gets.
    ///
    /// # Errors
    /// [`Error::Refused`] when the cluster does not take this node, [`Error::Unanswered`] when nobody of the authority
    /// that the token pins could be asked, [`Error::NoAuthority`] when nobody who signs could be.
    pub async fn once(&self) -> Result<Joined, Error> {
        if let Some(Identity { node, cluster, .. }) = self.folder.load()? {
            return Err(Error::Exists { path: self.folder.path().to_owned(), node, cluster });
        }
        let node = self.spec.id;
        let pending = match self.folder.pending()? {
            Some(pending) if pending.node == node => pending,
            Some(_) | None => Pending { node, key: NodeKey::make(self.entropy) },
        };
        self.folder.keep_pending(&pending)?;
        let request = JoinRequest {
            secret: *self.token.secret(),
            spec: self.spec.clone(),
            role: self.role,
            request: pending.key.request()?,
        };
        let request = Request::Join(Box::new(request));
        let nonsense = |why: &str| Error::Nonsense { address: self.address.to_owned(), why: why.to_owned() };
        let (inner, clock) = (self.network.clone(), self.clock.clone());
        let grant = match ask_pinned(inner, self.address, self.token, node, clock, &request).await? {
            Granted::Joined(grant) => *grant,
            Granted::Certificate(_) | Granted::Authority(_) | Granted::Holds(_) | Granted::Founded(_) => {
                return Err(nonsense("it answers another question"));
            }
        };
        let authority = AuthorityCertificate::from_pem(&grant.authority)?;
        let certificate = NodeCertificate::new(&grant.certificate, pending.key)?;
        let named = certificate.named();
        if authority.hash() != self.token.authority() {
            return Err(nonsense("the authority is not the token's"));
        }
        if named.node != node || named.number != grant.number {
            return Err(nonsense("the certificate is another node's"));
        }
        let identity = Identity {
            cluster: named.cluster.clone(),
            node,
            number: grant.number,
            role: self.role,
            authority,
            authority_key: None,
            certificate,
            first_key: None,
            members: grant.members,
            federation: None,
        };
        self.folder.create(&identity)?;
        Ok(Joined { identity, keyring: grant.keyring })
    }
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
        Err(Denied::NoAuthority) => {
            let why = format!("{address} has no key to sign with, and reaches no voter that has");
            Err(Error::NoAuthority(why))
        }
    }
}

fn to_admission(request: &[u8]) -> Bytes {
    let mut body = BytesMut::with_capacity(1 + request.len());
    body.put_u8(Service::Admission as u8);
    body.put(request);
    body.freeze()
}
