//! One suite for every network: streams, requests over them, datagrams.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::maybe_done;
use synod_cluster::transport::hello::{Caller, Hello, OpenDoor, PROTOCOL};
use synod_cluster::transport::memory::MemoryNetwork;
use synod_cluster::transport::peer::{Fixed, Peer};
use synod_cluster::transport::serve::{Handler, serve};
use synod_cluster::transport::tcp::Tcp;
use synod_cluster::transport::{DATAGRAM_BYTES_MAX, Error, FRAME_BYTES_MAX, Network, Target};
use synod_domain::id::NodeId;
use tokio_util::sync::CancellationToken;

use super::support::{killed, killed_in_real_time};

const DEADLINE: Duration = Duration::from_secs(5);

/// Answers with the request doubled; never answers "silence".
struct Doubler;

#[async_trait]
impl Handler for Doubler {
    async fn answer(&self, _: &Caller, request: Bytes) -> Option<Bytes> {
        if request == "silence" { None } else { Some([request.clone(), request].concat().into()) }
    }
}

/// Says who asks.
fn hello() -> Hello {
    Hello { protocol: PROTOCOL, cluster: "test".to_owned(), node: NodeId::from_raw(7), generation: 1 }
}

fn asks(network: Arc<dyn Network>, place: &str) -> Peer {
    Peer::new(Arc::new(Fixed { network, to: Target::anyone(place) }), hello())
}

/// What every network must do, as seen by two nodes of it.
async fn suite(one: Arc<dyn Network>, other: Arc<dyn Network>, address: &str) {
    let stop = CancellationToken::new();
    let listener = other.listen(address).await.unwrap();
    let place = listener.address();
    let serving = tokio::spawn(serve(listener, Arc::new(OpenDoor), Arc::new(Doubler), stop.clone()));

    let peer = asks(one.clone(), &place);
    assert_eq!(peer.ask(Bytes::from("ab"), DEADLINE).await.unwrap(), "abab");
    let large = Bytes::from(vec![1; FRAME_BYTES_MAX / 4]);
    assert_eq!(peer.ask(large.clone(), DEADLINE).await.unwrap().len(), 2 * large.len());

    let mut asked = Vec::new();
    for number in 0..50_u32 {
        let peer = peer.clone();
        asked.push(tokio::spawn(async move { peer.ask(number.to_string().into(), DEADLINE).await }));
    }
    for (number, answer) in asked.into_iter().enumerate() {
        assert_eq!(answer.await.unwrap().unwrap(), format!("{number}{number}"));
    }

    let late = peer.ask(Bytes::from("silence"), Duration::from_millis(20)).await;
    assert!(matches!(late, Err(Error::Late)), "{late:?}");
    let heavy = peer.ask(Bytes::from(vec![0; FRAME_BYTES_MAX]), DEADLINE).await;
    assert!(matches!(heavy, Err(Error::TooLarge { .. })), "{heavy:?}");
    assert_eq!(peer.ask(Bytes::from("x"), DEADLINE).await.unwrap(), "xx");

    // Nobody there, then somebody again: the same peer goes on.
    stop.cancel();
    serving.await.unwrap();
    let gone = peer.ask(Bytes::from("x"), DEADLINE).await;
    assert!(matches!(gone, Err(Error::Lost(_) | Error::Unreachable { .. })), "{gone:?}");
    let listener = other.listen(&place).await.unwrap();
    tokio::spawn(serve(listener, Arc::new(OpenDoor), Arc::new(Doubler), CancellationToken::new()));
    let mut answered = None;
    for _ in 0..10 {
        answered = peer.ask(Bytes::from("y"), DEADLINE).await.ok();
        if answered.is_some() {
            break;
        }
    }
    assert_eq!(answered.unwrap(), "yy");

    let (here, there) = (one.bind(address).await.unwrap(), other.bind(address).await.unwrap());
    here.send(&there.address(), Bytes::from("hello")).await.unwrap();
    let (bytes, from) = tokio::time::timeout(DEADLINE, there.receive()).await.unwrap().unwrap();
    assert_eq!((bytes, from), (Bytes::from("hello"), here.address()));
    let heavy = here.send(&there.address(), vec![0; DATAGRAM_BYTES_MAX + 1].into()).await;
    assert!(matches!(heavy, Err(Error::TooLarge { .. })), "{heavy:?}");
}

#[test]
fn tcp_passes_the_suite() {
    killed_in_real_time(async || suite(Arc::new(Tcp), Arc::new(Tcp), "127.0.0.1:0").await);
}

#[test]
fn memory_passes_the_suite() {
    let network = MemoryNetwork::default();
    killed(async || suite(Arc::new(network.node("one")), Arc::new(network.node("other")), "other:0").await);
}

#[test]
fn more_than_the_line_holds_goes_both_ways_at_once() {
    let network = MemoryNetwork::default();
    killed(async || {
        let listener = network.node("b").listen("b:1").await.unwrap();
        tokio::spawn(serve(listener, Arc::new(OpenDoor), Arc::new(Doubler), CancellationToken::new()));
        let peer = asks(Arc::new(network.node("a")), "b:1");
        let large = Bytes::from(vec![1; FRAME_BYTES_MAX / 8]);
        let asked = (0..12).map(|_| {
            let (peer, large) = (peer.clone(), large.clone());
            tokio::spawn(async move { peer.ask(large, 12 * DEADLINE).await })
        });
        for answer in asked.collect::<Vec<_>>() {
            assert_eq!(answer.await.unwrap().unwrap().len(), 2 * large.len());
        }
    });
}

#[test]
fn cut_link_ends_streams_and_heals() {
    let network = MemoryNetwork::default();
    killed(async || {
        let listener = network.node("b").listen("b:1").await.unwrap();
        tokio::spawn(serve(listener, Arc::new(OpenDoor), Arc::new(Doubler), CancellationToken::new()));
        let peer = asks(Arc::new(network.node("a")), "b:1");
        assert_eq!(peer.ask(Bytes::from("1"), DEADLINE).await.unwrap(), "11");
        network.cut("a", "b");
        tokio::task::yield_now().await;
        assert!(peer.ask(Bytes::from("2"), DEADLINE).await.is_err());
        assert!(peer.ask(Bytes::from("2"), DEADLINE).await.is_err());
        network.heal("b", "a");
        let mut answered = peer.ask(Bytes::from("3"), DEADLINE).await;
        if answered.is_err() {
            answered = peer.ask(Bytes::from("3"), DEADLINE).await;
        }
        assert_eq!(answered.unwrap(), "33");
    });
}

/// Notes in which order requests are begun, before it first waits.
#[derive(Default)]
struct InOrder(parking_lot::Mutex<Vec<Bytes>>);

#[async_trait]
impl Handler for InOrder {
    async fn answer(&self, _: &Caller, request: Bytes) -> Option<Bytes> {
        self.0.lock().push(request.clone());
        tokio::task::yield_now().await;
        Some(request)
    }

    fn keeps_order(&self, _: &[u8]) -> bool {
        true
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_must_keep_its_order_is_begun_in_the_order_in_which_it_came() {
    let network = MemoryNetwork::default();
    let listener = network.node("b").listen("b:0").await.unwrap();
    let place = listener.address();
    let handler = Arc::new(InOrder::default());
    let stop = CancellationToken::new();
    tokio::spawn(serve(listener, Arc::new(OpenDoor), Arc::clone(&handler) as _, stop));
    let peer = asks(Arc::new(network.node("a")), &place);
    let sent: Vec<Bytes> = (0..900_u32).map(|number| number.to_string().into()).collect();
    let ask = |request: &Bytes| Box::pin(maybe_done(peer.ask(request.clone(), 6 * DEADLINE)));
    let mut asked: Vec<_> = sent.iter().map(ask).collect();
    for one in &mut asked {
        // It leaves when it is first polled; the other threads may be so quick that it is answered by then.
        let _ = futures::poll!(one);
    }
    for (mut answer, request) in asked.into_iter().zip(&sent) {
        answer.as_mut().await;
        assert_eq!(answer.as_mut().take_output().unwrap().unwrap(), *request);
    }
    assert_eq!(*handler.0.lock(), sent);
}
