//! The cluster's authority (CA): what every certificate of the cluster is signed with.
//!
//! Its certificate is everywhere and public; its key is held by voters alone, because whoever has it can be any
//! node. It signs for one node at a time, what it was told by a state that says who is a member.

use std::fmt;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PKCS_ED25519, PublicKeyData as _,
    SerialNumber, date_time_ymd,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, CertificateSigningRequestDer};
use sha2::{Digest as _, Sha256};
use synod_domain::id::NodeId;
use synod_domain::sources::Entropy;
use synod_domain::time::Timestamp;

use crate::identity::certificate::{BACKDATED, CERTIFICATE_LIFE};
use crate::identity::error::{Error, certificate};
use crate::identity::keys::{NodeKey, draw_bytes};
use crate::identity::names::{InRegion, Named, is_cluster};

/// How long an authority is valid: longer than any machine it is kept on. Another one is another cluster.
pub const AUTHORITY_LIFE: Duration = Duration::from_secs(20 * 365 * 86_400);

/// The year 9900: certificates can name no year after 9999, and a clock that is broken must not stop the node.
const LAST_SECOND: Duration = Duration::from_secs(250_246_713_600);

/// The certificate of an authority.
#[derive(Clone, PartialEq, Eq)]
pub struct AuthorityCertificate {
    pem: String,
    der: CertificateDer<'static>,
}

impl fmt::Debug for AuthorityCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AuthorityCertificate").field(&super::keys::hex(&self.hash())).finish()
    }
}

impl AuthorityCertificate {
    pub(super) fn from_pem(text: &str) -> Result<Self, Error> {
        let der = CertificateDer::from_pem_slice(text.as_bytes()).map_err(certificate)?;
        Ok(Self { pem: text.to_owned(), der })
    }

    /// Returns its SHA-256, by which a join token pins it.
    pub fn hash(&self) -> [u8; 32] {
        Sha256::digest(&self.der).into()
    }

    pub(super) fn pem(&self) -> &str {
        &self.pem
    }

    pub(super) fn der(&self) -> &CertificateDer<'static> {
        &self.der
    }
}

/// Whom a certificate is signed for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// The node.
    pub node: NodeId,
    /// What it is called in the Raft group.
    pub number: u64,
    /// Where it is, if its cluster has a name for that.
    pub region: Option<InRegion>,
}

/// An authority with its key.
pub struct Authority {
    cluster: String,
    certificate: AuthorityCertificate,
    key: NodeKey,
    issuer: Issuer<'static, KeyPair>,
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").field("cluster", &self.cluster).finish_non_exhaustive()
    }
}

impl Authority {
    /// Makes the authority of a new cluster.
    ///
    /// # Errors
    /// When `cluster` is no cluster's id.
    pub fn make(cluster: &str, now: Timestamp, entropy: &dyn Entropy) -> Result<Self, Error> {
        if !is_cluster(cluster) {
            return Err(certificate("the id of the cluster is not one"));
        }
        let key = NodeKey::make(entropy);
        let mut params = CertificateParams::default();
        set_validity(&mut params, now, AUTHORITY_LIFE);
        params.serial_number = Some(serial(entropy));
        params.distinguished_name = named(&format!("synod cluster {cluster}"));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let made = params.self_signed(&key.pair()?).map_err(certificate)?;
        Self::new(cluster, AuthorityCertificate::from_pem(&made.pem())?, key)
    }

    /// Puts an authority's certificate and key together.
    ///
    /// # Errors
    /// When they do not belong together.
    pub fn new(cluster: &str, authority: AuthorityCertificate, key: NodeKey) -> Result<Self, Error> {
        let pair = key.pair()?;
        if !holds(authority.der(), pair.public_key_raw()) {
            return Err(certificate("the key is another authority's"));
        }
        let issuer = Issuer::from_ca_cert_der(authority.der(), pair).map_err(certificate)?;
        Ok(Self { cluster: cluster.to_owned(), certificate: authority, key, issuer })
    }

    /// Returns its certificate.
    pub fn certificate(&self) -> &AuthorityCertificate {
        &self.certificate
    }

    pub(super) fn key(&self) -> &NodeKey {
        &self.key
    }

    /// Signs a certificate for a node; of its request only the key counts. Returns it as PEM.
    ///
    /// # Errors
    /// When the request is none, is not signed with its key, or the key is of another kind.
    pub fn issue(
        &self,
        request: &[u8],
        subject: &Subject,
        now: Timestamp,
        entropy: &dyn Entropy,
    ) -> Result<String, Error> {
        let request = read_request(request)?;
        let Subject { node, number, region } = subject.clone();
        let names = Named { node, number, cluster: self.cluster.clone(), region }.names();
        let mut params = CertificateParams::new(names).map_err(certificate)?;
        set_validity(&mut params, now, CERTIFICATE_LIFE);
        params.serial_number = Some(serial(entropy));
        params.distinguished_name = named(&node.to_string());
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        let made = params.signed_by(&request.public_key, &self.issuer).map_err(certificate)?;
        Ok(made.pem())
    }
}

/// Reads a request and checks that it is signed with its key.
fn read_request(request: &[u8]) -> Result<CertificateSigningRequestParams, Error> {
    let request = CertificateSigningRequestDer::from(request);
    let request = CertificateSigningRequestParams::from_der(&request).map_err(certificate)?;
    if request.public_key.algorithm() != &PKCS_ED25519 {
        return Err(certificate("only Ed25519 keys are signed"));
    }
    Ok(request)
}

/// Returns the public key of a request that is signed with it.
pub(super) fn request_key(request: &[u8]) -> Result<Vec<u8>, Error> {
    Ok(read_request(request)?.public_key.der_bytes().to_vec())
}

/// Reads a certificate from its text.
pub(super) fn read_pem(text: &str) -> Result<CertificateDer<'static>, Error> {
    CertificateDer::from_pem_slice(text.as_bytes()).map_err(certificate)
}

/// Tells whether a certificate is for a public key.
pub(super) fn holds(der: &[u8], public_key: &[u8]) -> bool {
    use x509_parser::prelude::{FromDer as _, X509Certificate};
    let parsed = X509Certificate::from_der(der);
    parsed.is_ok_and(|(_, parsed)| &*parsed.public_key().subject_public_key.data == public_key)
}

fn named(text: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, text);
    name
}

fn serial(entropy: &dyn Entropy) -> SerialNumber {
    let mut bytes = draw_bytes::<16>(entropy);
    // Positive and of full length, as the standard wants it.
    bytes[0] = bytes[0] & 0x7f | 0x40;
    SerialNumber::from_slice(&bytes)
}

/// Says when something made at `now` begins and ends.
fn set_validity(params: &mut CertificateParams, now: Timestamp, life: Duration) {
    let made = Duration::from_millis(now.as_millis()).min(LAST_SECOND);
    params.not_before = date_time_ymd(1970, 1, 1) + made.saturating_sub(BACKDATED);
    params.not_after = date_time_ymd(1970, 1, 1) + (made + life);
}
