//! Who gets past a handshake, in both directions, over real sockets.

use std::sync::Arc;

use rustls::version::{TLS12, TLS13};
use synod_cluster::transport::memory::MemoryNetwork;
use synod_cluster::transport::tcp::Tcp;
use synod_cluster::transport::{Error, Network as _, Target};
use synod_domain::node::NodeRole;
use synod_domain::sources::Clock as _;
use synod_domain::time::Timestamp;
use tokio::net::TcpStream;

use super::raw::{OURS, connect, connect_plainly, forged, listen, listen_plainly, self_signed, signed};
use super::support::{DAY, Group, id};

const ANY_PORT: &str = "127.0.0.1:0";

#[tokio::test]
async fn two_nodes_of_a_cluster_talk_and_each_knows_who_the_other_is() {
    let group = Group::new(1);
    let founder = group.found(Arc::new(Tcp), ANY_PORT).await;
    let worker = group.join(&founder, 2, NodeRole::Worker).await;
    assert_eq!(worker.ask(founder.id()).await.unwrap(), worker.id().to_string());
    assert_eq!(founder.ask(worker.id()).await.unwrap(), founder.id().to_string());
}

#[tokio::test]
async fn whoever_does_not_prove_to_be_a_node_of_the_cluster_is_turned_away_with_a_reason() {
    let group = Group::new(2);
    let mut founder = group.found(Arc::new(Tcp), ANY_PORT).await;
    let stranger = Group::new(3).found(Arc::new(Tcp), ANY_PORT).await;
    let (address, ours, now) = (founder.address.clone(), founder.identity.clone(), group.clock.now());
    let (long_ago, one_day) =
        (Timestamp::from_millis(now.as_millis() - 30 * 86_400_000), now.after(30 * DAY));
    let of_node = |number| id(number);
    let shown = [
        ("UnknownIssuer", signed(&stranger.identity, of_node(2), 2, now)),
        ("UnknownIssuer", self_signed(of_node(2), &ours.cluster)),
        ("BadSignature", forged(of_node(2), &ours.cluster)),
        ("expired", signed(&ours, of_node(2), 2, long_ago)),
        ("not valid yet", signed(&ours, of_node(2), 2, one_day)),
    ];
    for (why, shown) in shown {
        connect(&address, &TLS13, Some(shown), OURS).await;
        let said = founder.why_turned_away().await;
        assert!(said.contains(why), "{why}: {said}");
    }
    connect(&address, &TLS12, Some(signed(&ours, of_node(2), 2, now)), OURS).await;
    let said = founder.why_turned_away().await;
    assert!(said.contains("Tls12NotOfferedOrEnabled"), "{said}");
    for protocol in [&b"h2"[..], b""] {
        connect(&address, &TLS13, Some(signed(&ours, of_node(2), 2, now)), protocol).await;
        let said = founder.why_turned_away().await;
        assert!(said.contains("protocol"), "{said}");
    }
    connect_plainly(&address).await;
    let said = founder.why_turned_away().await;
    assert!(said.contains("corrupt") || said.contains("InvalidContentType"), "{said}");
    assert_eq!(founder.turned_away.borrow().count, 9);
    // And after all of that a node that proves itself is let in.
    let worker = group.join(&founder, 2, NodeRole::Worker).await;
    assert_eq!(worker.ask(founder.id()).await.unwrap(), worker.id().to_string());
}

#[tokio::test]
async fn a_node_talks_to_nobody_but_the_node_it_wants() {
    let group = Group::new(4);
    let founder = group.found(Arc::new(Tcp), ANY_PORT).await;
    let worker = group.join(&founder, 2, NodeRole::Worker).await;
    let stranger = Group::new(5).found(Arc::new(Tcp), ANY_PORT).await;
    let (ours, now) = (&founder.identity, group.clock.now());
    let long_ago = Timestamp::from_millis(now.as_millis() - 30 * 86_400_000);
    let wanted = id(3);
    let cases = [
        ("not valid for name", worker.address.clone()),
        ("UnknownIssuer", stranger.address.clone()),
        ("UnknownIssuer", listen(&TLS13, self_signed(wanted, &ours.cluster), OURS).await),
        ("BadSignature", listen(&TLS13, forged(wanted, &ours.cluster), OURS).await),
        ("expired", listen(&TLS13, signed(ours, wanted, 3, long_ago), OURS).await),
        ("ProtocolVersion", listen(&TLS12, signed(ours, wanted, 3, now), OURS).await),
        ("no node of synod", listen(&TLS13, signed(ours, wanted, 3, now), b"").await),
        ("corrupt", listen_plainly().await),
    ];
    for (why, address) in cases {
        let target = Target { address, node: Some(wanted), region: None, cluster: None };
        let Err(error) = founder.network.connect(&target).await else { panic!("connected, not {why}") };
        assert!(
            matches!(error, Error::Unreachable { .. }) && error.to_string().contains(why),
            "{why}: {error}"
        );
    }
    let genuine = listen(&TLS13, signed(ours, wanted, 3, now), OURS).await;
    assert!(
        founder
            .network
            .connect(&Target { address: genuine, node: Some(wanted), region: None, cluster: None })
            .await
            .is_ok()
    );
    let Err(error) = founder.network.connect(&Target::anyone(&worker.address)).await else {
        panic!("anyone")
    };
    assert!(error.to_string().contains("which node"), "{error}");
}

#[tokio::test]
async fn handshakes_that_hang_hold_up_nobody() {
    let group = Group::new(6);
    let founder = group.found(Arc::new(Tcp), ANY_PORT).await;
    let mut silent = Vec::new();
    for _ in 0..50 {
        silent.push(TcpStream::connect(&founder.address).await.unwrap());
    }
    let worker = group.join(&founder, 2, NodeRole::Worker).await;
    assert_eq!(worker.ask(founder.id()).await.unwrap(), worker.id().to_string());
    assert_eq!(silent.len(), 50);
}

#[tokio::test(start_paused = true)]
async fn a_handshake_that_hangs_ends_by_itself_and_says_so() {
    let group = Group::new(7);
    let network = MemoryNetwork::default();
    let mut founder = group.found(Arc::new(network.node("founder")), "founder:1").await;
    let _silent = network.node("other").connect(&Target::anyone("founder:1")).await.unwrap();
    assert!(founder.why_turned_away().await.contains("too long"));
}

#[tokio::test]
async fn clocks_a_day_apart_do_not_keep_nodes_apart() {
    let group = Group::new(8);
    let founder = group.found(Arc::new(Tcp), ANY_PORT).await;
    for (number, ahead) in [(2, true), (3, false)] {
        // A group of its own clock that follows the same authority.
        let other = Group::new(9 + number);
        if ahead {
            other.clock.advance(DAY);
        } else {
            group.clock.advance(DAY);
        }
        let shown = signed(&founder.identity, id(number), number, other.clock.now());
        let address = listen(&TLS13, shown, OURS).await;
        let connected = founder
            .network
            .connect(&Target { address, node: Some(id(number)), region: None, cluster: None })
            .await;
        assert!(connected.is_ok(), "{:?}", connected.err());
    }
}
