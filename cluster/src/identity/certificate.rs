//! The certificate of a node, with its key.
//!
//! It lives a week, and a third of that is for renewing it: a cluster may be down over a weekend and still
//! renew. It begins two days before it was made, so that nodes whose clocks are a day apart take it.

use std::fmt;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use synod_domain::id::NodeId;
use synod_domain::time::Timestamp;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::identity::error::{Error, certificate};
use crate::identity::keys::NodeKey;
use crate::identity::names::{InRegion, Named};

/// How long a certificate is valid after it was made. Longer gives a key that was copied more time.
pub const CERTIFICATE_LIFE: Duration = Duration::from_secs(7 * 86_400);

/// How long before it was made a certificate begins. Less refuses nodes whose clock is behind.
pub const BACKDATED: Duration = Duration::from_secs(2 * 86_400);

/// A node's certificate and key.
#[derive(Clone, PartialEq, Eq)]
pub struct NodeCertificate {
    pem: String,
    der: CertificateDer<'static>,
    key: NodeKey,
    named: Named,
    not_after: Timestamp,
}

impl fmt::Debug for NodeCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NodeCertificate")
            .field("named", &self.named)
            .field("not_after", &self.not_after)
            .finish_non_exhaustive()
    }
}

impl NodeCertificate {
    /// Puts a certificate and its key together.
    ///
    /// # Errors
    /// When it is none, or names no node.
    pub fn new(pem: &str, key: NodeKey) -> Result<Self, Error> {
        let der = CertificateDer::from_pem_slice(pem.as_bytes()).map_err(certificate)?;
        let named = Named::of(&der)?;
        let not_after = not_after(&der)?;
        Ok(Self { pem: pem.to_owned(), der, key, named, not_after })
    }

    /// Returns the node that it is for.
    pub fn node(&self) -> NodeId {
        self.named.node
    }

    /// Returns where its node is, if it says so.
    pub fn region(&self) -> Option<&InRegion> {
        self.named.region.as_ref()
    }

    /// Returns when it ends.
    pub fn not_after(&self) -> Timestamp {
        self.not_after
    }

    /// Tells whether it is over.
    pub fn is_over(&self, now: Timestamp) -> bool {
        now > self.not_after
    }

    /// Returns how long it need not be renewed: until a third of its life is left.
    pub fn rests(&self, now: Timestamp) -> Duration {
        self.not_after.since(now).saturating_sub(CERTIFICATE_LIFE / 3)
    }

    pub(super) fn named(&self) -> &Named {
        &self.named
    }

    pub(super) fn pem(&self) -> &str {
        &self.pem
    }

    pub(super) fn der(&self) -> &CertificateDer<'static> {
        &self.der
    }

    pub(super) fn key(&self) -> &NodeKey {
        &self.key
    }
}

/// Returns when a certificate ends.
pub(super) fn not_after(der: &[u8]) -> Result<Timestamp, Error> {
    let (_, parsed) = X509Certificate::from_der(der).map_err(certificate)?;
    let seconds = u64::try_from(parsed.validity().not_after.timestamp()).map_err(certificate)?;
    Ok(Timestamp::from_millis(seconds.saturating_mul(1000)))
}
