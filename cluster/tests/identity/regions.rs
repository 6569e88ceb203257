//! Regions: one is founded beside another with a token, and its voters reach what is for regions and nothing else.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use synod_cluster::identity::{
    Authority, Credentials, Error, Folder, InRegion, JoinText, NodeCertificate, NodeKey, Subject, TlsNetwork,
    federate,
};
use synod_cluster::transport::hello::Hello;
use synod_cluster::transport::links::{AddressBook, Links, Service};
use synod_cluster::transport::tcp::Tcp;
use synod_cluster::transport::{Error as Lost, Network as _, Target};
use synod_domain::command::Command;
use synod_domain::federation::RegionToken;
use synod_domain::id::{NodeId, TokenId};
use synod_domain::name::Name;
use synod_domain::node::{GossipKey, GossipSecret, Keyring, NodeRole};

use super::support::{DEADLINE, Group, Node, hello, id};

const ANY_PORT: &str = "127.0.0.1:0";

/// How long a question waits that nobody answers.
const UNANSWERED: Duration = Duration::from_millis(300);

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn region_token(group: &Group, of: &Node) -> JoinText {
    let token = JoinText::make(of.identity.authority.hash(), &*group.entropy);
    let expires_at = of.credentials.certificate().not_after();
    let id = TokenId::from_raw(77);
    let agreed = RegionToken { id, hash: token.hash(), expires_at, used_by: None };
    group.propose(Command::PutRegionToken { token: agreed }).unwrap();
    token
}

/// Two regions of one node each.
struct Two {
    home: Arc<Group>,
    here: Node,
    _away: Arc<Group>,
    there: Node,
}

impl Two {
    async fn form(seed: u64) -> Self {
        let home = Group::new(seed);
        let here = home.found(Arc::new(Tcp), ANY_PORT).await;
        let token = region_token(&home, &here);
        let away = Group::new(seed + 1000);
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::at(dir.path().join("cluster"));
        let (clock, entropy) = (away.clock.clone(), away.entropy.clone());
        let eu = name("eu");
        let founded = federate(Arc::new(Tcp), &folder, &here.address, &token, id(101), &eu, clock, &*entropy);
        let identity = founded.await.unwrap();
        assert_eq!(folder.load().unwrap().as_ref(), Some(&identity));
        let state = away.follow();
        let there = away.run(dir, identity, Arc::new(Tcp), ANY_PORT, state).await;
        Self { home, here, _away: away, there }
    }
}

/// Knows one node of another region.
struct Far {
    node: NodeId,
    address: String,
    region: Name,
}

impl AddressBook for Far {
    fn address_of(&self, node: NodeId) -> Option<String> {
        (node == self.node).then(|| self.address.clone())
    }

    fn region_of(&self, _: NodeId) -> Option<Name> {
        Some(self.region.clone())
    }
}

fn far(from: &Node, to: &Node, region: &str, hello: Hello) -> Links {
    let book = Far { node: to.id(), address: to.address.clone(), region: name(region) };
    Links::new(from.network.clone(), hello, Arc::new(book))
}

#[tokio::test]
async fn a_region_is_founded_beside_another_and_signs_for_its_own_nodes() {
    let home = Group::new(60);
    let here = home.found(Arc::new(Tcp), ANY_PORT).await;
    let key = GossipKey { number: 1, secret: GossipSecret([3; 32]) };
    let ring = Keyring { keys: vec![key], used: Some(1), last: 1 };
    home.propose(Command::ShareRing { ring: ring.clone(), number: 1 }).unwrap();
    let token = region_token(&home, &here);
    let away = Group::new(61);
    let dir = tempfile::tempdir().unwrap();
    let folder = Folder::at(dir.path().join("cluster"));
    let ask = async |node: u64, region: &str| {
        let (clock, entropy) = (away.clock.clone(), away.entropy.clone());
        federate(Arc::new(Tcp), &folder, &here.address, &token, id(node), &name(region), clock, &*entropy)
            .await
    };
    let refused = ask(101, "default").await.unwrap_err().to_string();
    assert!(refused.contains("called default already"), "{refused}");
    let identity = ask(101, "eu").await.unwrap();
    assert_ne!(identity.cluster, here.identity.cluster);
    assert_eq!(identity.authority, here.identity.authority);
    assert_eq!(identity.authority_key, here.identity.authority_key);
    assert_eq!(identity.number, 1);
    let eu = InRegion { name: name("eu"), role: NodeRole::Voter };
    assert_eq!(identity.certificate.region(), Some(&eu));
    let federation = identity.federation.as_ref().unwrap();
    assert_eq!((&federation.ring, federation.ring_number), (&ring, 1));
    assert_ne!(identity.first_key.as_ref().map(|key| key.0), Some([3; 32]));
    assert!(matches!(ask(101, "eu").await, Err(Error::Exists { .. })));
    // The answer may have been lost: an empty folder of the same node gets it again, another node does not.
    std::fs::remove_dir_all(folder.path()).unwrap();
    let other = ask(102, "eu").await.unwrap_err().to_string();
    assert!(other.contains("was used for another region"), "{other}");
    ask(101, "eu").await.unwrap();
}

#[tokio::test]
async fn a_voter_of_another_region_reaches_what_is_for_regions_and_nothing_else() {
    let two = Two::form(62).await;
    let links = far(&two.there, &two.here, "default", hello(&two.there.identity, 1));
    let node = two.here.id();
    for service in
        [Service::Agreement, Service::Journal, Service::Courier, Service::Admission, Service::Blobs]
    {
        let asked = links.ask(node, service, Bytes::from("let me"), UNANSWERED).await;
        assert!(matches!(asked, Err(Lost::Late)), "{service:?}: {asked:?}");
    }
    assert_eq!(two.here.echoed.load(Ordering::Relaxed), 0);
    let answer = links.ask(node, Service::Regions, Bytes::from("who am I?"), DEADLINE).await.unwrap();
    assert_eq!(answer, two.there.id().to_string());
    assert_eq!(two.here.echoed.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn whoever_wants_one_region_does_not_talk_to_another() {
    let two = Two::form(63).await;
    for region in ["eu", "moon"] {
        let links = far(&two.there, &two.here, region, hello(&two.there.identity, 1));
        let asked = links.ask(two.here.id(), Service::Regions, Bytes::new(), DEADLINE).await;
        assert!(matches!(asked, Err(Lost::Unreachable { .. })), "{region}: {asked:?}");
    }
    // Nor does a node of another region pass for one of this cluster.
    let to =
        Target { address: two.here.address.clone(), node: Some(two.here.id()), region: None, cluster: None };
    assert!(two.there.network.connect(&to).await.is_err());
    assert_eq!(two.here.echoed.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn who_says_another_cluster_than_its_certificate_is_refused() {
    let two = Two::form(64).await;
    for cluster in [two.here.identity.cluster.clone(), String::new()] {
        let hello = Hello { cluster, ..hello(&two.there.identity, 1) };
        let links = far(&two.there, &two.here, "default", hello);
        let asked = links.ask(two.here.id(), Service::Regions, Bytes::new(), DEADLINE).await;
        assert!(matches!(asked, Err(Lost::Refused { .. })), "{asked:?}");
    }
    assert_eq!(two.here.echoed.load(Ordering::Relaxed), 0);
}

/// Shows a certificate that `by` has signed, as a node of its cluster.
fn dressed(two: &Two, by: &Node, cluster: &str, region: Option<InRegion>) -> Arc<TlsNetwork> {
    let key = NodeKey::make(&*two.home.entropy);
    let authority = by.identity.authority_key.clone().unwrap();
    let authority = Authority::new(cluster, by.identity.authority.clone(), authority).unwrap();
    let subject = Subject { node: id(101), number: 1, region };
    let now = synod_domain::sources::Clock::now(&*two.home.clock);
    let request = key.request().unwrap();
    let pem = authority.issue(&request, &subject, now, &*two.home.entropy).unwrap();
    let certificate = NodeCertificate::new(&pem, key).unwrap();
    let identity = synod_cluster::identity::Identity {
        cluster: cluster.to_owned(),
        node: id(101),
        number: 1,
        authority: two.here.identity.authority.clone(),
        authority_key: None,
        certificate,
        ..two.there.identity.clone()
    };
    let credentials = Credentials::new(&identity, two.home.clock.clone()).unwrap();
    Arc::new(TlsNetwork::new(Arc::new(Tcp), credentials).unwrap())
}

#[tokio::test]
async fn workers_strangers_to_all_regions_and_impostors_of_this_one_are_turned_away() {
    let mut two = Two::form(65).await;
    let foreign = Group::new(66).found(Arc::new(Tcp), ANY_PORT).await;
    let region = |text: &str, role| Some(InRegion { name: name(text), role });
    let there = two.there.identity.cluster.clone();
    let cases = [
        (dressed(&two, &two.there, &there, region("eu", NodeRole::Worker)), "worker of region eu"),
        (dressed(&two, &two.there, &there, None), "its certificate is of cluster"),
        (dressed(&two, &two.there, &there, region("default", NodeRole::Voter)), "not this region"),
        (dressed(&two, &foreign, &there, region("eu", NodeRole::Voter)), "UnknownIssuer"),
    ];
    for (network, why) in cases {
        let book = Far { node: two.here.id(), address: two.here.address.clone(), region: name("default") };
        let links = Links::new(network, hello(&two.there.identity, 1), Arc::new(book));
        let asked = links.ask(two.here.id(), Service::Regions, Bytes::new(), DEADLINE).await;
        assert!(asked.is_err(), "{why}: {asked:?}");
        let said = two.here.why_turned_away().await;
        assert!(said.contains(why), "{why}: {said}");
    }
    assert_eq!(two.here.echoed.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_region_that_was_removed_is_refused_at_once_and_at_the_door() {
    let two = Two::form(67).await;
    let links = far(&two.there, &two.here, "default", hello(&two.there.identity, 1));
    links.ask(two.here.id(), Service::Regions, Bytes::new(), DEADLINE).await.unwrap();
    two.home.propose(Command::RemoveRegion { region: name("eu"), reason: "gone".into() }).unwrap();
    // Over the connection that is open, and over another one.
    let asked = links.ask(two.here.id(), Service::Regions, Bytes::new(), UNANSWERED).await;
    assert!(matches!(asked, Err(Lost::Late)), "{asked:?}");
    links.forget(two.here.id());
    let asked = links.ask(two.here.id(), Service::Regions, Bytes::new(), DEADLINE).await;
    assert!(matches!(asked, Err(Lost::Refused { .. })), "{asked:?}");
    assert_eq!(two.here.echoed.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_certificate_without_a_region_works_in_its_cluster_and_gets_one_when_it_is_renewed() {
    let group = Group::new(68);
    let founder = group.found(Arc::new(Tcp), ANY_PORT).await;
    // As one was signed before there were regions.
    let key = NodeKey::make(&*group.entropy);
    let authority = founder.credentials.authority().unwrap();
    let subject = Subject { node: founder.id(), number: 1, region: None };
    let now = synod_domain::sources::Clock::now(&*group.clock);
    let request = key.request().unwrap();
    let pem = authority.issue(&request, &subject, now, &*group.entropy).unwrap();
    founder.credentials.replace(NodeCertificate::new(&pem, key).unwrap()).unwrap();
    let worker = group.join(&founder, 2, NodeRole::Worker).await;
    assert!(worker.ask(founder.id()).await.is_ok());
    assert_eq!(worker.credentials.certificate().region(), None);
    let role = Some(NodeRole::Voter);
    assert!(!founder.renewal().renew_if_due(role).await.unwrap(), "it has nothing to say");
    founder.credentials.name_region(name("us"));
    worker.credentials.name_region(name("us"));
    assert!(founder.renewal().renew_if_due(role).await.unwrap());
    assert!(!founder.renewal().renew_if_due(role).await.unwrap());
    let said = |role| Some(InRegion { name: name("us"), role });
    assert_eq!(founder.credentials.certificate().region().cloned(), said(NodeRole::Voter));
    assert!(worker.renewal().renew_if_due(Some(NodeRole::Worker)).await.unwrap());
    assert_eq!(worker.credentials.certificate().region().cloned(), said(NodeRole::Worker));
    assert!(worker.ask(founder.id()).await.is_ok());
    // Its certificate follows its role.
    group.propose(Command::SetNodeRole { node: worker.id(), role: NodeRole::Voter }).unwrap();
    assert!(worker.renewal().renew_if_due(Some(NodeRole::Voter)).await.unwrap());
    assert_eq!(worker.credentials.certificate().region().cloned(), said(NodeRole::Voter));
}
