//! What the courier promises, between nodes over a network in memory and over TCP.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use synod_cluster::courier::{
    Address, Courier, Envelope, Options, Others, Recipient, Registration, Undelivered,
};
use synod_cluster::transport::Network;
use synod_cluster::transport::hello::{Hello, OpenDoor, PROTOCOL};
use synod_cluster::transport::links::{Links, Service, Switchboard};
use synod_cluster::transport::memory::MemoryNetwork;
use synod_cluster::transport::serve::serve;
use synod_cluster::transport::tcp::Tcp;
use synod_domain::id::NodeId;
use synod_domain::name::Name;
use synod_domain::sources::Clock;
use synod_domain::time::Timestamp;
use tokio_util::sync::{CancellationToken, DropGuard};

const PATIENCE: Duration = Duration::from_secs(5);

struct Noon;

impl Clock for Noon {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(12)
    }
}

struct Known(Vec<NodeId>);

impl Others for Known {
    fn others(&self) -> Vec<NodeId> {
        self.0.clone()
    }
}

/// Answers with what it got, and keeps it; refuses what it is told to refuse.
#[derive(Default)]
struct Echo {
    got: Mutex<Vec<Envelope>>,
    refuses: Option<Undelivered>,
    silent: bool,
}

#[async_trait]
impl Recipient for Echo {
    async fn deliver(&self, letter: Envelope) -> Result<Option<Bytes>, Undelivered> {
        if let Some(why) = &self.refuses {
            return Err(why.clone());
        }
        let answer = letter.asks.then(|| letter.body.clone());
        self.got.lock().push(letter);
        if self.silent {
            std::future::pending::<()>().await;
        }
        Ok(answer)
    }
}

struct Place {
    courier: Courier,
    id: NodeId,
    _serving: DropGuard,
}

fn id(number: u128) -> NodeId {
    NodeId::from_raw(number)
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

/// Starts nodes 1, 2 and so on, one for each network.
async fn places(networks: Vec<Arc<dyn Network>>, address: &str) -> Vec<Place> {
    let mut listeners = Vec::new();
    for network in &networks {
        listeners.push(network.listen(address).await.unwrap());
    }
    let ids: Vec<NodeId> = (1..=networks.len() as u128).map(id).collect();
    let addresses = listeners.iter().map(|listener| listener.address());
    let book: BTreeMap<NodeId, String> = ids.iter().copied().zip(addresses).collect();
    let mut places = Vec::new();
    for ((network, listener), me) in networks.into_iter().zip(listeners).zip(ids.clone()) {
        let hello = Hello { protocol: PROTOCOL, cluster: "c".to_owned(), node: me, generation: 1 };
        let links = Links::new(network, hello, Arc::new(book.clone()));
        let others = Arc::new(Known(ids.iter().copied().filter(|other| *other != me).collect()));
        let courier = Courier::new(Options { me, links: Some(links), others, clock: Arc::new(Noon) });
        let board = Arc::new(Switchboard::default());
        board.plug(Service::Courier, courier.handler());
        let stop = CancellationToken::new();
        tokio::spawn(serve(listener, Arc::new(OpenDoor), board, stop.clone()));
        places.push(Place { courier, id: me, _serving: stop.drop_guard() });
    }
    places
}

async fn in_memory(count: usize) -> (MemoryNetwork, Vec<Place>) {
    let network = MemoryNetwork::default();
    let nodes = (1..=count).map(|number| -> Arc<dyn Network> { Arc::new(network.node(&number.to_string())) });
    let places = places(nodes.collect(), "host:0").await;
    (network, places)
}

fn register(place: &Place, called: &str, echo: &Arc<Echo>) -> Registration {
    place.courier.register(name(called), echo.clone()).unwrap()
}

async fn ask(from: &Place, to: &Address, body: &'static str) -> Result<Option<Bytes>, Undelivered> {
    from.courier.send(to, ("word", 1), Bytes::from(body), PATIENCE, true).await
}

async fn tell(from: &Place, to: &Address, body: &'static str) -> Result<Option<Bytes>, Undelivered> {
    from.courier.send(to, ("word", 1), Bytes::from(body), PATIENCE, false).await
}

async fn suite(places: &[Place]) {
    let echo = Arc::<Echo>::default();
    let kept = register(&places[1], "ada", &echo);
    for place in places {
        let on = Address::on(places[1].id, name("ada"));
        assert_eq!(ask(place, &on, "hello").await, Ok(Some(Bytes::from("hello"))));
        assert_eq!(ask(place, &Address::anywhere(name("ada")), "you").await, Ok(Some(Bytes::from("you"))));
        assert_eq!(tell(place, &on, "told").await, Ok(None));
    }
    let senders: Vec<NodeId> = echo.got.lock().iter().map(|letter| letter.from).collect();
    let expected: Vec<NodeId> = places.iter().flat_map(|place| [place.id; 3]).collect();
    assert_eq!(senders, expected, "each letter came once, and says who sent it");
    drop(kept);
    let gone = ask(&places[0], &Address::anywhere(name("ada")), "there?").await;
    assert!(matches!(gone, Err(Undelivered::UnknownName { .. })), "{gone:?}");
}

#[tokio::test]
async fn letters_reach_a_name_from_any_node_over_a_network_in_memory() {
    let (_network, places) = in_memory(3).await;
    suite(&places).await;
}

#[tokio::test]
async fn letters_reach_a_name_from_any_node_over_tcp() {
    let networks: Vec<Arc<dyn Network>> = vec![Arc::new(Tcp), Arc::new(Tcp), Arc::new(Tcp)];
    suite(&places(networks, "127.0.0.1:0").await).await;
}

#[tokio::test]
async fn name_that_moves_is_found_again_and_the_lowest_of_several_nodes_is_chosen() {
    let (_network, places) = in_memory(3).await;
    let (first, second) = (Arc::<Echo>::default(), Arc::<Echo>::default());
    let kept = register(&places[2], "ada", &first);
    let anywhere = Address::anywhere(name("ada"));
    ask(&places[0], &anywhere, "1").await.unwrap();
    drop(kept);
    let _kept = register(&places[1], "ada", &second);
    ask(&places[0], &anywhere, "2").await.unwrap();
    let _also = register(&places[2], "ada", &first);
    ask(&places[0], &anywhere, "3").await.unwrap();
    assert_eq!((first.got.lock().len(), second.got.lock().len()), (1, 2));
    assert_eq!(places[0].courier.dead_letters().total, 0, "looking again is nothing that failed");
}

#[tokio::test]
async fn what_is_not_delivered_says_why_and_is_counted_where_it_was_sent() {
    let (network, places) = in_memory(2).await;
    let full = Undelivered::Full(name("ada"));
    let echo = Arc::new(Echo { refuses: Some(full.clone()), ..Echo::default() });
    let _kept = register(&places[1], "ada", &echo);
    let there = |called: &str| Address::on(places[1].id, name(called));
    assert_eq!(tell(&places[0], &there("ada"), "a").await, Err(full.clone()));
    let unknown = tell(&places[0], &there("bob"), "b").await.unwrap_err();
    assert!(matches!(unknown, Undelivered::UnknownName { .. }), "{unknown}");
    let large = Bytes::from(vec![0; synod_cluster::transport::FRAME_BYTES_MAX]);
    let large = places[0].courier.send(&there("ada"), ("word", 1), large, PATIENCE, false).await.unwrap_err();
    assert!(matches!(large, Undelivered::TooLarge { .. }), "{large}");
    let nobody = Address::on(id(99), name("ada"));
    let gone = tell(&places[0], &nobody, "c").await.unwrap_err();
    assert!(matches!(gone, Undelivered::NodeGone { node, .. } if node == id(99)), "{gone}");
    network.cut("1", "2");
    let cut = tell(&places[0], &there("ada"), "d").await.unwrap_err();
    assert!(matches!(cut, Undelivered::NodeGone { .. } | Undelivered::Unknown(_)), "{cut}");
    let dead = places[0].courier.dead_letters();
    assert_eq!(dead.total, 5);
    let whys: Vec<Undelivered> = dead.latest.into_iter().map(|letter| letter.why).collect();
    assert_eq!(whys, [full, unknown, large, gone, cut]);
    assert_eq!(places[1].courier.dead_letters().total, 0);
}

#[tokio::test]
async fn latest_dead_letters_are_kept_and_all_are_counted() {
    let (_network, places) = in_memory(1).await;
    for number in 0..150_u128 {
        let to = Address::on(id(1), name(&format!("n{number}")));
        tell(&places[0], &to, "x").await.unwrap_err();
    }
    let dead = places[0].courier.dead_letters();
    assert_eq!((dead.total, dead.latest.len()), (150, 100));
    assert_eq!(dead.latest[0].to.name, name("n50"));
}

#[tokio::test(start_paused = true)]
async fn letter_that_nobody_answers_ends_with_its_deadline() {
    let (_network, places) = in_memory(2).await;
    let echo = Arc::new(Echo { silent: true, ..Echo::default() });
    let _kept = register(&places[1], "ada", &echo);
    for from in &places {
        let answer = ask(from, &Address::anywhere(name("ada")), "?").await;
        assert_eq!(answer, Err(Undelivered::NoAnswer));
    }
    assert_eq!(echo.got.lock().len(), 2, "each was delivered once");
}

#[tokio::test]
async fn name_that_is_taken_is_refused_until_it_is_free() {
    let (_network, places) = in_memory(1).await;
    let echo = Arc::<Echo>::default();
    let kept = register(&places[0], "ada", &echo);
    assert!(places[0].courier.register(name("ada"), echo.clone()).is_err());
    drop(kept);
    assert_eq!(places[0].courier.names(), []);
    let _kept = register(&places[0], "ada", &echo);
}
