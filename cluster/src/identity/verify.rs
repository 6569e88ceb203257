//! How TLS is spoken between nodes: which versions, whose certificates, and what is never remembered.
//!
//! TLS 1.3 alone, with a protocol name of our own, so that nothing else is taken for a node. Sessions are never
//! resumed: a resumed one would be as trusted as it was before its certificate ended.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::version::TLS13;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, ServerConfig, SignatureScheme,
};
use sha2::{Digest as _, Sha256};
use synod_domain::sources::Clock;

use crate::identity::credentials::{Credentials, Provider, Shown, Time};
use crate::identity::error::{Error, certificate};
use crate::identity::names::{Named, server_name};

/// What nodes speak below TLS.
pub(super) const PROTOCOL: &[u8] = b"synod-node/1";

pub(super) fn provider() -> Provider {
    Arc::new(ring::default_provider())
}

fn roots(authority: &CertificateDer<'static>) -> Result<Arc<RootCertStore>, Error> {
    let mut roots = RootCertStore::empty();
    roots.add(authority.clone()).map_err(certificate)?;
    Ok(Arc::new(roots))
}

/// Checks that a certificate was signed by an authority and was valid at some time.
pub(super) fn is_of(
    authority: &CertificateDer<'static>,
    leaf: &CertificateDer<'_>,
    at: UnixTime,
) -> Result<(), Error> {
    let verifier = WebPkiClientVerifier::builder_with_provider(roots(authority)?, provider()).build();
    let verified = verifier.map_err(certificate)?.verify_client_cert(leaf, &[], at);
    verified.map(drop).map_err(certificate)
}

/// How a node takes connections: from nodes of its cluster, and from strangers without any certificate.
pub(super) fn taking(credentials: &Arc<Credentials>) -> Result<Arc<ServerConfig>, Error> {
    let roots = roots(credentials.authority_certificate().der())?;
    let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider())
        .allow_unauthenticated()
        .build()
        .map_err(certificate)?;
    let time = Arc::new(Time(credentials.clock()));
    let mut config = ServerConfig::builder_with_details(provider(), time)
        .with_protocol_versions(&[&TLS13])
        .map_err(certificate)?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(Arc::new(Shown(credentials.clone())));
    config.alpn_protocols = vec![PROTOCOL.to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}

/// How a node connects to others of its cluster.
pub(super) fn connecting(credentials: &Arc<Credentials>) -> Result<Arc<ClientConfig>, Error> {
    let time = Arc::new(Time(credentials.clock()));
    let mut config = ClientConfig::builder_with_details(provider(), time)
        .with_protocol_versions(&[&TLS13])
        .map_err(certificate)?
        .with_root_certificates(roots(credentials.authority_certificate().der())?)
        .with_client_cert_resolver(Arc::new(Shown(credentials.clone())));
    finish(&mut config);
    Ok(Arc::new(config))
}

/// How somebody who wants to join connects: to any node of the authority with this hash.
pub(super) fn joining(pin: [u8; 32], clock: Arc<dyn Clock>) -> Result<Arc<ClientConfig>, Error> {
    let mut config = ClientConfig::builder_with_details(provider(), Arc::new(Time(clock)))
        .with_protocol_versions(&[&TLS13])
        .map_err(certificate)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Pinned { pin, provider: provider() }))
        .with_no_client_auth();
    finish(&mut config);
    Ok(Arc::new(config))
}

fn finish(config: &mut ClientConfig) {
    config.alpn_protocols = vec![PROTOCOL.to_vec()];
    config.resumption = Resumption::disabled();
    // The name is for certificates; a reader of the traffic need not see it.
    config.enable_sni = false;
}

/// Takes any node of the authority whose certificate has a certain hash.
#[derive(Debug)]
struct Pinned {
    pin: [u8; 32],
    provider: Provider,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let pinned = others.iter().find(|other| <[u8; 32]>::from(Sha256::digest(other)) == self.pin);
        let pinned = pinned.ok_or(rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer))?;
        let general = |error: Error| rustls::Error::General(error.to_string());
        let roots = roots(&pinned.clone().into_owned()).map_err(general)?;
        let verifier = WebPkiServerVerifier::builder_with_provider(roots, self.provider.clone())
            .build()
            .map_err(|error| rustls::Error::General(error.to_string()))?;
        // Whichever node it is: any of them may be asked to join.
        let named = Named::of(leaf).map_err(general)?;
        let name = server_name(named.node, &named.cluster).map_err(general)?;
        verifier.verify_server_cert(leaf, &[], &name, ocsp, now)
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("only TLS 1.3 is spoken".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, leaf, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
