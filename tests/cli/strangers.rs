//! Strangers at the door of a running cluster: whoever proves nothing is turned away and counted, and nobody goes down.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;
use rcgen::{CertificateParams, KeyPair, PKCS_ED25519};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::version::TLS13;
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use serde_json::Value;
use synod::clock::{SeededEntropy, SystemClock};
use synod::node::domain::id::NodeId;
use synod::node::domain::sources::Clock as _;
use synod::node::domain::time::Timestamp;
use synod_cluster::identity::{Authority, Folder, Identity, Subject};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio_rustls::TlsConnector;

use crate::support::{PATIENCE, ended, synod};
use crate::three::ServerNode;

/// What nodes say that they speak.
const PROTOCOL: &[u8] = b"synod-node/1";

/// More than the life of a node's certificate.
const LONG_AGO_MS: u64 = 30 * 24 * 60 * 60 * 1000;

/// How the log says that somebody was turned away.
const TURNED_AWAY: &str = "did not prove to be a node";

/// A certificate with its key.
struct Shown {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

fn shown(pem: &str, key: &KeyPair) -> Shown {
    let leaf = CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
    Shown { chain: vec![leaf], key: PrivateKeyDer::try_from(key.serialize_der()).unwrap() }
}

fn identity(data: &Path) -> Identity {
    Folder::at(data.join("cluster")).load().unwrap().expect("it has an identity")
}

/// What the authority of a folder signs for a node at some time.
fn signed(data: &Path, node: NodeId, at: Timestamp) -> Shown {
    let by = identity(data);
    let key = by.authority_key.clone().expect("it has the authority's key");
    let authority = Authority::new(&by.cluster, by.authority, key).unwrap();
    let key = KeyPair::generate_for(&PKCS_ED25519).unwrap();
    let request = CertificateParams::default().serialize_request(&key).unwrap();
    let entropy = SeededEntropy::from_system().unwrap();
    let subject = Subject { node, number: 2, region: None };
    shown(&authority.issue(request.der(), &subject, at, &entropy).unwrap(), &key)
}

/// What says the same as a genuine one, and its owner signed.
fn self_signed(data: &Path, node: NodeId) -> Shown {
    let (digits, cluster) = (node.to_string(), identity(data).cluster);
    let digits = digits.trim_start_matches("node_");
    let names = vec![format!("{digits}.{cluster}.synod"), format!("number-2.{cluster}.synod")];
    let key = KeyPair::generate_for(&PKCS_ED25519).unwrap();
    shown(&CertificateParams::new(names).unwrap().self_signed(&key).unwrap().pem(), &key)
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
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

/// Connects, shows what is given, and returns what is heard until the other side ends it.
async fn connect(address: &str, Shown { chain, key }: Shown) -> Vec<u8> {
    let builder = ClientConfig::builder_with_provider(provider()).with_protocol_versions(&[&TLS13]).unwrap();
    let builder = builder.dangerous().with_custom_certificate_verifier(Arc::new(Gullible));
    let mut config = builder.with_client_auth_cert(chain, key).unwrap();
    config.alpn_protocols = vec![PROTOCOL.to_vec()];
    let stream = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("any.synod").unwrap();
    let mut heard = Vec::new();
    if let Ok(mut stream) = TlsConnector::from(Arc::new(config)).connect(name, stream).await {
        let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut heard)).await.expect("it is ended");
    }
    heard
}

/// Connects without TLS and returns what is heard until the other side ends it.
async fn connect_plainly(address: &str) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: node\r\n\r\n").await.unwrap();
    let mut heard = Vec::new();
    let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut heard)).await.expect("it is ended");
    heard
}

/// A wire to a node that somebody listens at: passes on streams and datagrams.
struct Wire {
    address: SocketAddr,
    heard: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Wire {
    /// Lays a wire to an address where a node will listen.
    async fn to(node: SocketAddr) -> Self {
        let (streams, datagrams) = both().await;
        let address = streams.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut from, _)) = streams.accept().await {
                tokio::spawn(async move {
                    let Ok(mut to) = TcpStream::connect(node).await else { return };
                    let _ = tokio::io::copy_bidirectional(&mut from, &mut to).await;
                });
            }
        });
        let heard = Arc::<Mutex<Vec<Vec<u8>>>>::default();
        let noted = heard.clone();
        tokio::spawn(async move {
            let mut bytes = vec![0; 64 * 1024];
            loop {
                // That nobody listens there yet is told by an error now and then.
                let Ok((read, _)) = datagrams.recv_from(&mut bytes).await else { continue };
                noted.lock().push(bytes[..read].to_vec());
                let _ = datagrams.send_to(&bytes[..read], node).await;
            }
        });
        Self { address, heard }
    }
}

/// Binds streams and datagrams to one free port.
async fn both() -> (TcpListener, UdpSocket) {
    loop {
        let streams = TcpListener::bind("127.0.0.1:0").await.unwrap();
        if let Ok(datagrams) = UdpSocket::bind(streams.local_addr().unwrap()).await {
            return (streams, datagrams);
        }
    }
}

/// A founder and a worker whose wire is listened at, each in a folder of its own.
struct Pair {
    home: tempfile::TempDir,
    founder: ServerNode,
    worker: ServerNode,
    /// Where the founder listens for nodes.
    door: String,
    /// Where the worker does, past the wire.
    behind: SocketAddr,
    wire: Wire,
}

async fn init(data: &Path) {
    let mut call = synod();
    call.args(["cluster", "init", "--data"]).arg(data);
    ended(call).await.assert_code(0);
}

impl Pair {
    async fn form() -> Self {
        let home = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let (data, other) = (home.path().join("founder"), home.path().join("worker"));
        init(&data).await;
        let founder = ServerNode::start(&data).await;
        let token = founder.say(&["cluster", "token", "create", "--role", "worker", "--json"]).await.json();
        let (text, join) = (token["item"]["text"].as_str().unwrap(), token["item"]["join"].as_str().unwrap());
        let file = home.path().join("join-token");
        std::fs::write(&file, text).unwrap();
        let (streams, datagrams) = both().await;
        let behind = streams.local_addr().unwrap();
        let wire = Wire::to(behind).await;
        drop((streams, datagrams));
        let (listen, advertise) = (behind.to_string(), wire.address.to_string());
        let args = [
            "--join",
            join,
            "--role",
            "worker",
            "--token-file",
            file.to_str().unwrap(),
            "--cluster-listen",
            &listen,
            "--advertise",
            &advertise,
        ];
        let worker = ServerNode::start_with(&other, &args, founder.ready["token_file"].as_str()).await;
        let door = join.to_owned();
        Self { home, founder, worker, door, behind, wire }
    }

    /// Returns how often the founder's log says that somebody was turned away.
    fn turned_away(&self) -> usize {
        self.log().lines().filter(|line| line.contains(TURNED_AWAY)).count()
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.home.path().join("founder.log")).unwrap()
    }

    /// Holds that both nodes know each other to be up and alive.
    async fn assert_all_up(&self) {
        for node in [&self.founder, &self.worker] {
            let status = node.status().await;
            let nodes = status["nodes"].as_array().unwrap();
            assert_eq!(nodes.len(), 2, "{status:#}");
            for node in nodes {
                assert_eq!(
                    (&node["standing"], &node["seen"]["health"]),
                    (&"up".into(), &"alive".into()),
                    "{status:#}"
                );
                assert_eq!(node["generation"], 1, "nobody started again: {status:#}");
            }
        }
    }
}

/// Asks a node until what it counts of datagrams is as it shall be.
async fn counted(node: &ServerNode, what: &str, least: u64) {
    let until = tokio::time::Instant::now() + PATIENCE;
    loop {
        let gossip = node.status().await["gossip"].clone();
        if gossip[what].as_u64().unwrap() >= least {
            return;
        }
        assert!(tokio::time::Instant::now() < until, "{what} is not {least}: {gossip}");
    }
}

fn count(status: &Value, what: &str) -> u64 {
    status["gossip"][what].as_u64().unwrap_or_else(|| panic!("{status:#}"))
}

#[tokio::test]
async fn strangers_at_a_running_cluster_are_refused_and_counted_and_nobody_goes_down() {
    let pair = Pair::form().await;
    let (data, foreign) = (pair.home.path().join("founder"), pair.home.path().join("foreign"));
    init(&foreign).await;
    let node: NodeId = pair.worker.status().await["node"].as_str().unwrap().parse().unwrap();
    let now = SystemClock.now();
    let long_ago = Timestamp::from_millis(now.as_millis() - LONG_AGO_MS);
    assert_eq!(pair.turned_away(), 0, "{}", pair.log());

    // Streams: somebody else's certificate, one's own, an expired one, none.
    for (number, (why, shown)) in (1..).zip([
        ("UnknownIssuer", signed(&foreign, node, now)),
        ("UnknownIssuer", self_signed(&data, node)),
        ("expired", signed(&data, node, long_ago)),
    ]) {
        assert_eq!(connect(&pair.door, shown).await, Vec::<u8>::new(), "{why}: nothing is told");
        told(&pair, number, why).await;
    }
    let heard = connect_plainly(&pair.door).await;
    assert!(!String::from_utf8_lossy(&heard).contains("HTTP/"), "{heard:?}");
    told(&pair, 4, "corrupt").await;

    // Datagrams: what was heard on the wire, sent again from another socket, and what is sealed with nothing.
    let status = pair.worker.status().await;
    let (replayed, unsealed) = (count(&status, "replayed"), count(&status, "foreign"));
    assert_eq!((replayed, unsealed), (0, 0));
    let third = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let heard = {
        let until = tokio::time::Instant::now() + PATIENCE;
        loop {
            let heard = pair.wire.heard.lock().clone();
            if heard.len() >= 5 {
                break heard;
            }
            assert!(tokio::time::Instant::now() < until, "no datagrams come this way");
            tokio::task::yield_now().await;
        }
    };
    // All but the last few: those may not have come by the wire yet.
    for bytes in &heard[..3] {
        third.send_to(bytes, pair.behind).await.unwrap();
    }
    counted(&pair.worker, "replayed", 3).await;
    for bytes in [&b"who is there?"[..], &[0; 1_400]] {
        third.send_to(bytes, pair.behind).await.unwrap();
    }
    counted(&pair.worker, "foreign", 2).await;

    pair.assert_all_up().await;
    assert_eq!(pair.turned_away(), 4, "{}", pair.log());
    let Pair { founder, worker, home, .. } = pair;
    worker.stop().await;
    founder.stop().await;
    drop(home);
}

/// Waits until the founder's log says for so many times that somebody was turned away, the last time for this reason.
async fn told(pair: &Pair, times: usize, why: &str) {
    crate::support::eventually(&format!("turned away for {why}"), || {
        (pair.turned_away() >= times).then_some(())
    })
    .await;
    let log = pair.log();
    let last = log.lines().rfind(|line| line.contains(TURNED_AWAY)).unwrap();
    assert!(last.contains(why), "{why}: {last}");
}
