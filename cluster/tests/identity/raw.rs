//! Others who speak TLS, well or badly, without anything of ours.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, PKCS_ED25519};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, ServerConfig, SignatureScheme, SupportedProtocolVersion};
use synod_cluster::identity::{Authority, Identity, Subject};
use synod_domain::id::NodeId;
use synod_domain::time::Timestamp;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::support::TestEntropy;

pub(crate) const OURS: &[u8] = b"synod-node/1";

/// A certificate with its key.
pub(crate) struct Shown {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl Shown {
    /// Shows another certificate along with it, as if that had signed it.
    pub(crate) fn along_with(mut self, pem: &[u8]) -> Self {
        self.chain.push(CertificateDer::from_pem_slice(pem).unwrap());
        self
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn key() -> KeyPair {
    KeyPair::generate_for(&PKCS_ED25519).unwrap()
}

fn shown(pem: &str, key: &KeyPair) -> Shown {
    let leaf = CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    Shown { chain: vec![leaf], key }
}

/// What the authority of an identity signs at some time.
pub(crate) fn signed(by: &Identity, node: NodeId, number: u64, at: Timestamp) -> Shown {
    let authority = by.authority_key.clone().unwrap();
    let authority = Authority::new(&by.cluster, by.authority.clone(), authority).unwrap();
    let key = key();
    let request = CertificateParams::default().serialize_request(&key).unwrap();
    let pem = authority
        .issue(request.der(), &Subject { node, number, region: None }, at, &*TestEntropy::new(99))
        .unwrap();
    shown(&pem, &key)
}

fn params(node: NodeId, cluster: &str) -> CertificateParams {
    let digits = node.to_string().trim_start_matches("node_").to_owned();
    let names = vec![format!("{digits}.{cluster}.synod"), format!("number-1.{cluster}.synod")];
    CertificateParams::new(names).unwrap()
}

/// A certificate that says what a genuine one says, and that its owner signed.
pub(crate) fn self_signed(node: NodeId, cluster: &str) -> Shown {
    let key = key();
    let made = params(node, cluster).self_signed(&key).unwrap();
    shown(&made.pem(), &key)
}

/// One that is signed by an authority of the same name as the genuine one.
pub(crate) fn forged(node: NodeId, cluster: &str) -> Shown {
    let mut authority = CertificateParams::default();
    authority.distinguished_name = rcgen::DistinguishedName::new();
    authority.distinguished_name.push(rcgen::DnType::CommonName, format!("synod cluster {cluster}"));
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let (issuer, key) = (Issuer::new(authority, key()), key());
    let made = params(node, cluster).signed_by(&key, &issuer).unwrap();
    shown(&made.pem(), &key)
}

/// Trusts everybody.
#[derive(Debug)]
struct Gullible;

impl ServerCertVerifier for Gullible {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider().signature_verification_algorithms.supported_schemes()
    }
}

/// Connects as somebody who trusts everybody, shows what is given, and waits until the other side ends it.
pub(crate) async fn connect(
    address: &str,
    version: &'static SupportedProtocolVersion,
    shows: Option<Shown>,
    protocol: &[u8],
) {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[version])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Gullible));
    let mut config = match shows {
        Some(Shown { chain, key }) => builder.with_client_auth_cert(chain, key).unwrap(),
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = if protocol.is_empty() { Vec::new() } else { vec![protocol.to_vec()] };
    let stream = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("any.synod").unwrap();
    let Ok(mut stream) = TlsConnector::from(Arc::new(config)).connect(name, stream).await else { return };
    let mut heard = Vec::new();
    let ended = stream.read_to_end(&mut heard).await;
    assert!(heard.is_empty() && ended.is_err() | ended.is_ok(), "{heard:?}");
}

/// Connects without TLS and waits until the other side ends it.
pub(crate) async fn connect_plainly(address: &str) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: node\r\n\r\n").await.unwrap();
    let mut heard = Vec::new();
    let _ = stream.read_to_end(&mut heard).await;
    assert!(!String::from_utf8_lossy(&heard).contains("HTTP/"));
}

/// Listens as somebody else does, shows what is given, and returns where.
pub(crate) async fn listen(
    version: &'static SupportedProtocolVersion,
    shows: Shown,
    protocol: &[u8],
) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[version])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(shows.chain, shows.key)
        .unwrap();
    config.alpn_protocols = if protocol.is_empty() { Vec::new() } else { vec![protocol.to_vec()] };
    tokio::spawn(async move {
        let acceptor = TlsAcceptor::from(Arc::new(config));
        while let Ok((stream, _)) = listener.accept().await {
            let _ = acceptor.accept(stream).await;
        }
    });
    address
}

/// Listens without TLS and answers everybody the same.
pub(crate) async fn listen_plainly() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        }
    });
    address
}
