//! Joining: with a token, once, within its time, and by the cluster that the token names.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rustls::version::TLS13;
use synod_cluster::identity::{Error, Folder, JoinText, Joined, TOKEN_LIFE};
use synod_cluster::transport::Network;
use synod_cluster::transport::memory::MemoryNetwork;
use synod_cluster::transport::tcp::Tcp;
use synod_domain::command::Command;
use synod_domain::name::Name;
use synod_domain::node::{GossipSecret, NodeRole};

use super::raw::{OURS, forged, listen, self_signed};
use super::support::{Group, Node, id};

const ANY_PORT: &str = "127.0.0.1:0";

fn tcp() -> Arc<dyn Network> {
    Arc::new(Tcp)
}

/// Asks for node `number` with a folder of its own, of which nothing is left.
async fn refusal(group: &Group, founder: &Node, token: &JoinText, number: u64, role: NodeRole) -> String {
    let dir = tempfile::tempdir().unwrap();
    let folder = Folder::at(dir.path().join("cluster"));
    let joined = group.ask_to_join(tcp(), &folder, &founder.address, token, number, role).await;
    let error = joined.unwrap_err();
    assert!(matches!(error, Error::Refused { .. }), "{error}");
    assert!(folder.load().unwrap().is_none());
    error.to_string()
}

#[tokio::test]
async fn a_node_joins_with_a_token_and_gets_all_that_it_needs() {
    let group = Group::new(40);
    let founder = group.found(tcp(), ANY_PORT).await;
    let secret = founder.identity.first_key.clone().unwrap();
    group.propose(Command::InstallGossipKey { secret: secret.clone() }).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let folder = Folder::at(dir.path().join("cluster"));
    let token = group.token(&founder.identity, NodeRole::Voter).reveal().parse().unwrap();
    let asked = group.ask_to_join(tcp(), &folder, &founder.address, &token, 2, NodeRole::Voter).await;
    let joined = asked.unwrap();
    let identity = &joined.identity;
    assert_eq!((identity.node, identity.number, identity.role), (id(2), 2, NodeRole::Voter));
    assert_eq!(
        (&identity.cluster, &identity.authority),
        (&founder.identity.cluster, &founder.identity.authority)
    );
    assert_eq!(identity.members[&founder.id()], founder.address);
    assert_eq!(joined.keyring.keys.iter().map(|key| &key.secret).collect::<Vec<_>>(), [&secret]);
    // The key of the authority is fetched by a node that has proven who it is, and not given to who only has a token.
    assert!(identity.authority_key.is_none() && identity.first_key.is_none());
    assert_eq!(folder.load().unwrap().as_ref(), Some(identity));
    assert!(folder.pending().unwrap().is_none());
    let again = group.ask_to_join(tcp(), &folder, &founder.address, &token, 2, NodeRole::Voter).await;
    assert!(matches!(again, Err(Error::Exists { .. })), "{again:?}");
}

#[tokio::test]
async fn nodes_join_and_talk_over_a_network_in_memory_too() {
    let group = Group::new(41);
    let network = MemoryNetwork::default();
    let founder = group.found(Arc::new(network.node("one")), "one:1").await;
    let token = group.token(&founder.identity, NodeRole::Worker);
    let dir = tempfile::tempdir().unwrap();
    let folder = Folder::at(dir.path().join("cluster"));
    let wire: Arc<dyn Network> = Arc::new(network.node("two"));
    let asked = group.ask_to_join(wire.clone(), &folder, "one:1", &token, 2, NodeRole::Worker).await;
    let worker = group.run(dir, asked.unwrap().identity, wire, "two:1", group.follow()).await;
    group.start(&worker);
    assert_eq!(founder.ask(worker.id()).await.unwrap(), founder.id().to_string());
}

/// Lets node 2 join a cluster in memory that never answers the first so many questions, and returns how that ended and
/// how many seconds it took.
async fn joins_unanswered(seed: u64, questions: u64) -> (Result<Joined, Error>, u64) {
    let group = Group::new(seed);
    let network = MemoryNetwork::default();
    let founder = group.found(Arc::new(network.node("one")), "one:1").await;
    let token = group.token(&founder.identity, NodeRole::Voter);
    let dir = tempfile::tempdir().unwrap();
    let folder = Folder::at(dir.path().join("cluster"));
    group.unanswered.store(questions, Ordering::Relaxed);
    let begun = tokio::time::Instant::now();
    let joining = group.joining(Arc::new(network.node("two")), &folder, "one:1", &token, 2, NodeRole::Voter);
    let joined = joining.within(Duration::from_secs(30)).await;
    assert_eq!(folder.load().unwrap().is_some(), joined.is_ok());
    (joined, begun.elapsed().as_secs())
}

#[tokio::test(start_paused = true)]
async fn a_node_asks_again_when_a_question_is_never_answered() {
    let (joined, took) = joins_unanswered(50, 2).await;
    assert_eq!(joined.unwrap().identity.number, 2);
    assert!((1..30).contains(&took), "{took}");
}

#[tokio::test(start_paused = true)]
async fn a_node_gives_up_joining_when_nobody_answers_in_time() {
    let (joined, took) = joins_unanswered(51, u64::MAX).await;
    let error = joined.unwrap_err();
    assert!(matches!(error, Error::Unanswered(_)), "{error}");
    assert!((30..40).contains(&took), "{took}");
}

#[tokio::test]
async fn a_follower_that_does_not_know_the_voters_yet_turns_nobody_away() {
    let group = Group::new(52);
    let founder = group.found(tcp(), ANY_PORT).await;
    let dir = tempfile::tempdir().unwrap();
    let folder = Folder::at(dir.path().join("cluster"));
    let token = group.token(&founder.identity, NodeRole::Worker);
    let asked = group.ask_to_join(tcp(), &folder, &founder.address, &token, 2, NodeRole::Worker).await;
    let new = group.run(dir, asked.unwrap().identity, tcp(), ANY_PORT, Group::deaf()).await;
    let token = group.token(&founder.identity, NodeRole::Worker);
    let dir = tempfile::tempdir().unwrap();
    let folder = Folder::at(dir.path().join("cluster"));
    let asked = group.ask_to_join(tcp(), &folder, &new.address, &token, 3, NodeRole::Worker).await;
    assert!(matches!(asked, Err(Error::NoAuthority(_))), "{asked:?}");
}

#[tokio::test]
async fn a_token_shows_its_secret_to_nobody_but_the_cluster_that_it_names() {
    let group = Group::new(42);
    let founder = group.found(tcp(), ANY_PORT).await;
    let other = Group::new(43).found(tcp(), ANY_PORT).await;
    let token = group.token(&other.identity, NodeRole::Voter);
    let dir = tempfile::tempdir().unwrap();
    let folder = Folder::at(dir.path().join("cluster"));
    let asked = group.ask_to_join(tcp(), &folder, &founder.address, &token, 2, NodeRole::Voter).await;
    let error = asked.unwrap_err();
    assert!(matches!(error, Error::Unanswered(_)) && error.to_string().contains("UnknownIssuer"), "{error}");
    assert_eq!(group.follow().read().nodes().count(), 1);
}

#[tokio::test]
async fn who_only_shows_the_authoritys_certificate_along_does_not_hear_the_secret() {
    let group = Group::new(49);
    let founder = group.found(tcp(), ANY_PORT).await;
    let token = group.token(&founder.identity, NodeRole::Voter);
    let authority = std::fs::read(founder.folder.path().join("ca.pem")).unwrap();
    let cluster = &founder.identity.cluster;
    for (why, shown) in [
        ("UnknownIssuer", self_signed(founder.id(), cluster)),
        ("BadSignature", forged(founder.id(), cluster)),
    ] {
        let address = listen(&TLS13, shown.along_with(&authority), OURS).await;
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::at(dir.path().join("cluster"));
        let error =
            group.ask_to_join(tcp(), &folder, &address, &token, 2, NodeRole::Voter).await.unwrap_err();
        assert!(matches!(error, Error::Unanswered(_)) && error.to_string().contains(why), "{why}: {error}");
    }
}

#[tokio::test]
async fn a_token_that_is_used_over_unknown_or_too_narrow_admits_nobody() {
    let group = Group::new(44);
    let founder = group.found(tcp(), ANY_PORT).await;
    let token = |role| group.token(&founder.identity, role);
    let unknown = JoinText::make(founder.identity.authority.hash(), &*group.entropy);
    let said = refusal(&group, &founder, &unknown, 2, NodeRole::Worker).await;
    assert!(said.contains("not known"), "{said}");
    let narrow = token(NodeRole::Worker);
    let said = refusal(&group, &founder, &narrow, 2, NodeRole::Voter).await;
    assert!(said.contains("workers only"), "{said}");
    let used = token(NodeRole::Voter);
    let dir = tempfile::tempdir().unwrap();
    let folder = Folder::at(dir.path().join("cluster"));
    group.ask_to_join(tcp(), &folder, &founder.address, &used, 2, NodeRole::Voter).await.unwrap();
    let said = refusal(&group, &founder, &used, 3, NodeRole::Voter).await;
    assert!(said.contains("used by another"), "{said}");
    group.propose(Command::RemoveNode { node: id(2), reason: "gone".into() }).unwrap();
    let said = refusal(&group, &founder, &used, 2, NodeRole::Voter).await;
    assert!(said.contains("removed since"), "{said}");
    let old = token(NodeRole::Worker);
    group.clock.advance(TOKEN_LIFE + Duration::from_millis(1));
    let said = refusal(&group, &founder, &old, 3, NodeRole::Worker).await;
    assert!(said.contains("has expired"), "{said}");
}

#[tokio::test]
async fn a_node_whose_answer_was_lost_asks_again_and_is_the_same() {
    let group = Group::new(45);
    let founder = group.found(tcp(), ANY_PORT).await;
    let token = group.token(&founder.identity, NodeRole::Worker);
    let dir = tempfile::tempdir().unwrap();
    let folder = Folder::at(dir.path().join("cluster"));
    // Nobody is there: what was begun is kept.
    let nobody = group.ask_to_join(tcp(), &folder, "127.0.0.1:1", &token, 2, NodeRole::Worker).await;
    assert!(matches!(nobody, Err(Error::Unanswered(_))), "{nobody:?}");
    assert_eq!(folder.pending().unwrap().unwrap().node, id(2));
    assert!(folder.load().unwrap().is_none());
    let mut numbers = Vec::new();
    for _ in 0..2 {
        let asked = group.ask_to_join(tcp(), &folder, &founder.address, &token, 2, NodeRole::Worker).await;
        numbers.push(asked.unwrap().identity.number);
        // Killed before the last file was written.
        std::fs::remove_file(folder.path().join("identity")).unwrap();
    }
    assert_eq!(numbers, [2, 2]);
    assert_eq!(group.follow().read().nodes().count(), 2);
}

#[tokio::test]
async fn a_node_without_the_authoritys_key_passes_a_join_on_to_a_voter() {
    let group = Group::new(46);
    let founder = group.found(tcp(), ANY_PORT).await;
    let worker = group.join(&founder, 2, NodeRole::Worker).await;
    assert!(worker.credentials.authority().is_none());
    let other = group.join(&worker, 3, NodeRole::Worker).await;
    assert_eq!(other.identity.number, 3);
    assert_eq!(other.ask(founder.id()).await.unwrap(), other.id().to_string());
    let unknown = JoinText::make(founder.identity.authority.hash(), &*group.entropy);
    assert!(refusal(&group, &worker, &unknown, 4, NodeRole::Worker).await.contains("not known"));
}

#[tokio::test]
async fn who_tries_tokens_is_slowed_down_and_does_not_hold_up_who_has_one() {
    let group = Group::new(47);
    let founder = group.found(tcp(), ANY_PORT).await;
    let mut said = BTreeMap::new();
    for _ in 0..30 {
        let unknown = JoinText::make(founder.identity.authority.hash(), &*group.entropy);
        let why = refusal(&group, &founder, &unknown, 2, NodeRole::Worker).await;
        *said.entry(why.contains("too many tried")).or_insert(0) += 1;
    }
    // Each of those that were not slowed down is an entry of the log; how fast this machine is decides how many.
    assert!(said[&false] >= 20 && said[&true] >= 1, "{said:?}");
    let worker = group.join(&founder, 2, NodeRole::Worker).await;
    assert_eq!(worker.ask(founder.id()).await.unwrap(), worker.id().to_string());
}

#[test]
fn the_first_gossip_key_waits_in_the_founders_folder_until_it_is_agreed() {
    let group = Group::new(48);
    let dir = tempfile::tempdir().unwrap();
    let folder = Folder::at(dir.path().join("cluster"));
    let made =
        synod_cluster::identity::init(&folder, id(1), &Name::default(), &*group.clock, &*group.entropy)
            .unwrap();
    let key: Option<GossipSecret> = folder.load().unwrap().unwrap().first_key;
    assert!(key.is_some() && key == made.first_key);
    folder.first_key_is_agreed().unwrap();
    assert!(folder.load().unwrap().unwrap().first_key.is_none());
}
