//! What admission does with whatever comes off the wire: it never panics, it grants nothing that was not proven, and
//! a request that cannot be granted uses up nothing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256};
use synod_domain::chance::Chance;
use synod_domain::command::{self, Command, Entry};
use synod_domain::id::{NodeId, RequestId};
use synod_domain::name::Name;
use synod_domain::node::{Keyring, NodeRole, NodeSpec};
use synod_domain::sources::{Clock, Entropy};
use synod_domain::state::State;
use synod_domain::time::Timestamp;
use synod_domain::token::TokenHash;
use synod_storage::{decode, encode};

use super::authority::Authority;
use super::keys::NodeKey;
use super::wire::{Denied, FoundRequest, Granted, JoinRequest, REQUEST_BYTES_MAX, Reply, Request};
use super::{Admission, Admitted, CERTIFICATE_LIFE, Credentials, Folder, LetIn, Registrar, Subject, init};
use crate::transport::hello::{Caller, Hello, PROTOCOL};
use crate::transport::links::Links;
use crate::transport::memory::MemoryNetwork;
use crate::transport::serve::Handler as _;

const NOON: Timestamp = Timestamp::from_millis(1_795_262_400_000);

struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        NOON
    }
}

struct Drawn(Mutex<Chance>);

impl Entropy for Drawn {
    fn draw(&self) -> u64 {
        self.0.lock().draw()
    }
}

fn entropy(seed: u64) -> Arc<Drawn> {
    Arc::new(Drawn(Mutex::new(Chance::new(seed))))
}

fn id(number: u64) -> NodeId {
    NodeId::from_raw(u128::from(number))
}

/// Admits everybody, and counts them.
#[derive(Default)]
struct Counting(AtomicU64);

#[async_trait]
impl Registrar for Counting {
    async fn let_in(&self, _: Name, _: NodeId, _: TokenHash, _: Option<Arc<str>>) -> Result<LetIn, String> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(LetIn { ring: Keyring::default(), ring_number: 0, regions: BTreeMap::new() })
    }

    async fn admit(&self, _: NodeSpec, _: NodeRole, _: TokenHash) -> Result<Admitted, String> {
        let number = 2 + self.0.fetch_add(1, Ordering::Relaxed);
        Ok(Admitted { number, members: BTreeMap::new(), keyring: Keyring::default() })
    }
}

/// The admission of a founder, who is alone.
struct Desk {
    admission: Admission,
    credentials: Arc<Credentials>,
    asked: Arc<Counting>,
    _dir: tempfile::TempDir,
}

impl Desk {
    fn open(seed: u64) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let chance = entropy(seed);
        let identity =
            init(&Folder::at(dir.path().join("cluster")), id(1), &Name::default(), &Still, &*chance).unwrap();
        let credentials = Credentials::new(&identity, Arc::new(Still)).unwrap();
        let mut state = State::default();
        let start = Command::StartNode { spec: Arc::new(NodeSpec::alone(id(1))), generation: 1 };
        let commands = vec![command::Request { id: RequestId::from_raw(1), command: start }];
        state.apply(&Entry { at: NOON, seed: 1, commands });
        let asked = Arc::new(Counting::default());
        let network = Arc::new(MemoryNetwork::default().node("founder"));
        let links = Links::new(network, hello(id(1)), Arc::new(BTreeMap::new()));
        let state = Arc::new(parking_lot::RwLock::new(state));
        let admission = Admission::new(credentials.clone(), asked.clone(), state, links, chance);
        Self { admission, credentials, asked, _dir: dir }
    }

    async fn ask(&self, member: Option<NodeId>, request: Bytes) -> Reply {
        let caller = match member {
            Some(member) => Caller::member(hello(member)),
            None => Caller::stranger(hello(id(9))),
        };
        let answer = self.admission.answer(&caller, request).await.unwrap();
        decode(&answer).unwrap()
    }

    fn authority(&self) -> Arc<Authority> {
        self.credentials.authority().unwrap()
    }

    fn admitted(&self) -> u64 {
        self.asked.0.load(Ordering::Relaxed)
    }
}

fn hello(node: NodeId) -> Hello {
    Hello { protocol: PROTOCOL, cluster: String::new(), node, generation: 0 }
}

fn join(request: Vec<u8>) -> JoinRequest {
    JoinRequest { secret: [5; 32], spec: NodeSpec::alone(id(2)), role: NodeRole::Worker, request }
}

fn refusal(reply: Reply) -> String {
    match reply {
        Err(Denied::Refused(why)) => why,
        Err(Denied::NoAuthority) => "no authority".to_owned(),
        Ok(_) => panic!("it was granted"),
    }
}

#[tokio::test]
async fn a_request_that_cannot_be_signed_or_is_too_large_does_not_use_up_its_token() {
    let desk = Desk::open(1);
    let key = NodeKey::make(&*entropy(2));
    let genuine = key.request().unwrap();
    let mut altered = genuine.clone();
    *altered.last_mut().unwrap() ^= 1;
    let other = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    let other = CertificateParams::default().serialize_request(&other).unwrap().der().to_vec();
    let mut long = join(genuine.clone());
    long.spec.address = "a".repeat(300);
    for (bad, why) in [
        (join(Vec::new()), "certificate"),
        (join(altered), "ignature"),
        (join(other), "Ed25519"),
        (long, "address"),
    ] {
        let said = refusal(desk.ask(None, Request::Join(Box::new(bad)).write().unwrap()).await);
        assert!(said.contains(why), "{why}: {said}");
    }
    let huge = Bytes::from(vec![0; REQUEST_BYTES_MAX + 1]);
    assert!(refusal(desk.ask(None, huge).await).contains("at most"));
    assert_eq!(desk.admitted(), 0);
    let granted = desk.ask(None, Request::Join(Box::new(join(genuine))).write().unwrap()).await;
    assert!(matches!(granted, Ok(Granted::Joined(grant)) if grant.number == 2));
}

#[tokio::test]
async fn what_only_members_may_ask_is_refused_to_strangers() {
    let desk = Desk::open(3);
    let request = NodeKey::make(&*entropy(4)).request().unwrap();
    for asked in [Request::Renew { request }, Request::Authority, Request::HoldsAuthority] {
        let said = refusal(desk.ask(None, asked.write().unwrap()).await);
        assert!(said.contains("only members"), "{said}");
    }
}

#[tokio::test]
async fn a_certificate_that_is_over_is_taken_back_only_when_it_is_genuine_and_its_key_is_there() {
    let desk = Desk::open(5);
    let (mine, foreign) = (desk.authority(), Desk::open(6).authority());
    // Regions share the authority: what it has signed for another cluster is genuine, and is of no node of this one.
    let elsewhere =
        Authority::new("0123456789abcdef", mine.certificate().clone(), mine.key().clone()).unwrap();
    let (key, thief, chance) = (NodeKey::make(&*entropy(7)), NodeKey::make(&*entropy(8)), entropy(9));
    let long_ago = Timestamp::from_millis(NOON.as_millis() / 2);
    let issue = |authority: &Authority, node, number| {
        authority
            .issue(&key.request().unwrap(), &Subject { node, number, region: None }, long_ago, &*chance)
            .unwrap()
    };
    let ask = async |certificate: String, key: &NodeKey| {
        let request = Request::Return { certificate, request: key.request().unwrap() };
        desk.ask(None, request.write().unwrap()).await
    };
    for (certificate, key, why) in [
        (issue(&foreign, id(1), 1), &key, "UnknownIssuer"),
        (issue(&elsewhere, id(1), 1), &key, "of cluster 0123456789abcdef"),
        (issue(&mine, id(1), 1), &thief, "another key"),
        (issue(&mine, id(2), 2), &key, "removed"),
        (issue(&mine, id(1), 7), &key, "removed"),
        (mine.certificate().pem().to_owned(), &key, "names no node"),
        ("nonsense".to_owned(), &key, "not taken"),
    ] {
        let said = refusal(ask(certificate, key).await);
        assert!(said.contains(why), "{why}: {said}");
    }
    let Ok(Granted::Certificate(pem)) = ask(issue(&mine, id(1), 1), &key).await else { panic!("refused") };
    let renewed = super::NodeCertificate::new(&pem, key.clone()).unwrap();
    assert_eq!((renewed.node(), renewed.not_after()), (id(1), NOON.after(CERTIFICATE_LIFE)));
}

/// What strangers send: bytes, records of bytes, and true requests with something changed.
fn wire() -> impl Strategy<Value = Vec<u8>> {
    let bytes = || proptest::collection::vec(any::<u8>(), 0..300);
    let record = bytes().prop_map(|bytes| {
        // The codec's own checksum over bytes that mean nothing.
        let mut record = encode(&bytes).unwrap();
        let head = record[..5].to_vec();
        record.drain(..6);
        sealed(head[0], &record)
    });
    let changed = (0_usize..6, any::<proptest::sample::Index>(), any::<u8>(), any::<bool>());
    let changed = changed.prop_map(|(which, place, byte, cut)| {
        let request = NodeKey::make(&*entropy(1)).request().unwrap();
        let asked = match which {
            0 => Request::Join(Box::new(join(request))),
            1 => Request::Renew { request },
            2 => Request::Return { certificate: "-----BEGIN CERTIFICATE-----".to_owned(), request },
            3 => Request::Authority,
            4 => Request::Found(Box::new(FoundRequest {
                secret: [5; 32],
                node: id(2),
                region: Name::default(),
            })),
            _ => Request::HoldsAuthority,
        };
        let record = asked.write().unwrap().to_vec();
        let (version, mut body) = (record[0], record[5..].to_vec());
        let place = place.index(body.len());
        body[place] = byte;
        if cut {
            body.truncate(place);
        }
        sealed(version, &body)
    });
    prop_oneof![bytes(), record, changed]
}

/// A record with a good checksum, whatever its body.
fn sealed(version: u8, body: &[u8]) -> Vec<u8> {
    let mut crc = u32::MAX;
    for byte in [&[version], body].concat() {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
        }
    }
    [&[version][..], &(!crc).to_le_bytes(), body].concat()
}

#[test]
fn a_sealed_record_is_one_of_the_codecs() {
    let record = encode(&"x").unwrap();
    assert_eq!(sealed(record[0], &record[5..]), record);
}

#[test]
fn whatever_a_stranger_sends_is_answered_and_gives_it_nothing_without_a_join() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let desk = runtime.block_on(async { Desk::open(11) });
    let mut runner = TestRunner::default();
    let law = |bytes| {
        let before = desk.admitted();
        let reply = runtime.block_on(desk.ask(None, Bytes::from(bytes)));
        let admitted = desk.admitted() - before;
        match reply {
            // The registrar of this test takes every token.
            Ok(Granted::Joined(_) | Granted::Founded(_)) => prop_assert_eq!(admitted, 1),
            Ok(Granted::Certificate(_) | Granted::Authority(_) | Granted::Holds(_)) => {
                prop_assert!(false, "it was granted");
            }
            Err(_) => prop_assert_eq!(admitted, 0),
        }
        Ok(())
    };
    runner.run(&wire(), law).unwrap();
}
