//! What a node shows to others, as it is now: its certificate, and what the authority of its cluster is.
//!
//! Everything that opens or takes connections looks here at each handshake, so that a renewed certificate is used
//! from the next one on and no connection has to end for it. Also holds the key of the authority while the
//! node is a voter, and remembers which number each node's certificate has shown.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, OnceLock};

use parking_lot::{Mutex, RwLock};
use rustls::client::ResolvesClientCert;
use rustls::crypto::CryptoProvider;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::time_provider::TimeProvider;
use rustls::{SignatureScheme, pki_types::UnixTime};
use synod_domain::id::NodeId;
use synod_domain::name::Name;
use synod_domain::node::NodeRole;
use synod_domain::sources::Clock;
use synod_domain::time::Timestamp;
use tokio::sync::watch;

use crate::identity::authority::{Authority, AuthorityCertificate, Subject};
use crate::identity::certificate::NodeCertificate;
use crate::identity::error::{Error, certificate};
use crate::identity::folder::Identity;
use crate::identity::names::InRegion;
use crate::identity::verify::provider;

/// What a node shows. One for each node, shared by all that need it.
pub struct Credentials {
    cluster: String,
    node: NodeId,
    number: u64,
    authority: AuthorityCertificate,
    signs: RwLock<Option<Arc<Authority>>>,
    current: RwLock<Arc<Current>>,
    /// The region of a cluster whose certificates name none yet.
    region: OnceLock<Name>,
    /// By node; only those are in it whose certificate was genuine, so it is no longer than the list of nodes ever.
    numbers: Mutex<BTreeMap<NodeId, u64>>,
    renewed: watch::Sender<Timestamp>,
    clock: Arc<dyn Clock>,
}

struct Current {
    certificate: NodeCertificate,
    shown: Arc<CertifiedKey>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("cluster", &self.cluster)
            .field("certificate", &self.certificate())
            .finish_non_exhaustive()
    }
}

impl Credentials {
    /// Takes them from an identity.
    ///
    /// # Errors
    /// When its certificate and key do not belong together.
    pub fn new(identity: &Identity, clock: Arc<dyn Clock>) -> Result<Arc<Self>, Error> {
        let current = Current::new(identity.certificate.clone(), &identity.authority)?;
        let signs = identity.authority_key.clone();
        let signs = signs.map(|key| Authority::new(&identity.cluster, identity.authority.clone(), key));
        Ok(Arc::new(Self {
            cluster: identity.cluster.clone(),
            node: identity.node,
            number: identity.number,
            authority: identity.authority.clone(),
            signs: RwLock::new(signs.transpose()?.map(Arc::new)),
            renewed: watch::Sender::new(current.certificate.not_after()),
            current: RwLock::new(Arc::new(current)),
            region: OnceLock::new(),
            numbers: Mutex::default(),
            clock,
        }))
    }

    /// Returns the id of the cluster.
    pub fn cluster(&self) -> &str {
        &self.cluster
    }

    /// Returns who this node is.
    pub fn node(&self) -> NodeId {
        self.node
    }

    /// Returns this node's number.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Returns the region of this node's cluster: the one that its certificate names, or else the one that
    /// [`Self::name_region`] was told.
    pub fn region(&self) -> Option<Name> {
        let named = self.current.read().certificate.region().map(|region| region.name.clone());
        named.or_else(|| self.region.get().cloned())
    }

    /// Says which region a cluster is whose certificates name none yet. They do when they are renewed.
    pub fn name_region(&self, region: Name) {
        let _ = self.region.set(region);
    }

    /// Describes a node of this cluster as certificates do.
    pub(super) fn subject(&self, node: NodeId, number: u64, role: NodeRole) -> Subject {
        Subject { node, number, region: self.region().map(|name| InRegion { name, role }) }
    }

    /// Tells whether the certificate says of this node's region and role what is so.
    pub(super) fn says_where(&self, role: NodeRole) -> bool {
        let wanted = self.region().map(|name| InRegion { name, role });
        wanted.as_ref() == self.current.read().certificate.region()
    }

    /// Returns the certificate that is shown now.
    pub fn certificate(&self) -> NodeCertificate {
        self.current.read().certificate.clone()
    }

    /// Tells when the certificate that is shown ends, and whenever it becomes another.
    pub fn renewed(&self) -> watch::Receiver<Timestamp> {
        self.renewed.subscribe()
    }

    /// Shows another certificate from here on. Connections that are open stay.
    ///
    /// # Errors
    /// When it is another node's, or its key is another.
    pub fn replace(&self, with: NodeCertificate) -> Result<(), Error> {
        if with.node() != self.node || with.named().cluster != self.cluster {
            return Err(certificate("it is another node's"));
        }
        let current = Current::new(with, &self.authority)?;
        let not_after = current.certificate.not_after();
        *self.current.write() = Arc::new(current);
        self.renewed.send_replace(not_after);
        Ok(())
    }

    /// Returns the certificate of the cluster's authority.
    pub fn authority_certificate(&self) -> &AuthorityCertificate {
        &self.authority
    }

    /// Returns the authority, if this node has its key.
    pub fn authority(&self) -> Option<Arc<Authority>> {
        self.signs.read().clone()
    }

    /// Takes the authority's key, or gives it away.
    pub fn hold_authority(&self, authority: Option<Arc<Authority>>) {
        *self.signs.write() = authority;
    }

    /// Returns the number that a node's certificate has shown, if it was seen since this node started.
    pub fn number_of(&self, node: NodeId) -> Option<u64> {
        if node == self.node { Some(self.number) } else { self.numbers.lock().get(&node).copied() }
    }

    pub(super) fn has_shown(&self, node: NodeId, number: u64) {
        self.numbers.lock().insert(node, number);
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(super) fn clock(&self) -> Arc<dyn Clock> {
        self.clock.clone()
    }
}

impl Current {
    fn new(mine: NodeCertificate, authority: &AuthorityCertificate) -> Result<Self, Error> {
        let key = provider().key_provider.load_private_key(mine.key().der()).map_err(certificate)?;
        // The authority's goes along: whoever joins knows its hash only.
        let chain = vec![mine.der().clone(), authority.der().clone()];
        let shown = CertifiedKey::new(chain, key);
        shown.keys_match().map_err(certificate)?;
        Ok(Self { certificate: mine, shown: Arc::new(shown) })
    }
}

/// Answers rustls' question for a certificate.
#[derive(Debug)]
pub(super) struct Shown(pub(super) Arc<Credentials>);

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.current.read().shown.clone())
    }
}

impl ResolvesClientCert for Shown {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        let current = self.0.current.read().clone();
        // With one that is over this node would be turned away; without, it can still ask for a new one.
        (!current.certificate.is_over(self.0.now())).then(|| current.shown.clone())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// Tells rustls the time.
pub(super) struct Time(pub(super) Arc<dyn Clock>);

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Time")
    }
}

impl TimeProvider for Time {
    fn current_time(&self) -> Option<UnixTime> {
        Some(unix_time(self.0.now()))
    }
}

pub(super) fn unix_time(at: Timestamp) -> UnixTime {
    UnixTime::since_unix_epoch(std::time::Duration::from_millis(at.as_millis()))
}

/// What all of it is done with. Named here, so that no other crate's choice for the whole process counts.
pub(super) type Provider = Arc<CryptoProvider>;
