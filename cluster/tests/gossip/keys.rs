//! Only what is sealed with a key of the ring counts, once; keys change under traffic.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use synod_cluster::gossip::{Counters, Gossip, Health};
use synod_cluster::transport::{Datagrams, Error, Network};
use tokio::sync::watch;

use super::support::{Watched, World, address, all_are, ring, rumour};

/// A socket whose wire somebody listens at.
struct Tapped {
    inner: Box<dyn Datagrams>,
    heard: Arc<Mutex<Vec<(String, Bytes)>>>,
}

#[async_trait]
impl Datagrams for Tapped {
    async fn send(&self, to: &str, bytes: Bytes) -> Result<(), Error> {
        self.heard.lock().push((to.to_owned(), bytes.clone()));
        self.inner.send(to, bytes).await
    }

    async fn receive(&self) -> Result<(Bytes, String), Error> {
        self.inner.receive().await
    }

    fn address(&self) -> String {
        self.inner.address()
    }
}

/// Waits until a member has dropped as many as expected.
async fn dropped(gossip: &Gossip, what: &str, expected: impl Fn(&Counters) -> bool) {
    for _ in 0..1_000 {
        if expected(&gossip.counters()) {
            return;
        }
        tokio::time::advance(Duration::from_millis(1)).await;
    }
    panic!("{what} was not counted: {:?}", gossip.counters());
}

#[tokio::test(start_paused = true)]
async fn datagrams_that_were_heard_on_the_wire_count_for_nothing_when_they_are_sent_again() {
    let world = World::new(1);
    let one = world.start(1, 1, &[]).await;
    let heard = Arc::<Mutex<Vec<(String, Bytes)>>>::default();
    let tapped = Box::new(Tapped { inner: world.bind(2).await, heard: heard.clone() });
    let two = Gossip::start(world.options(tapped, rumour(2, 1), vec![address(1)])).await.unwrap();
    all_are(&one, 2, Health::Alive).await;
    tokio::time::sleep(Duration::from_secs(30)).await;
    let before = one.counters();
    assert_eq!((before.replayed, before.damaged, before.foreign, before.unknown_key), (0, 0, 0, 0));

    let stranger = world.network.node("stranger").bind("stranger:1").await.unwrap();
    let all: Vec<Bytes> =
        heard.lock().iter().filter(|(to, _)| *to == address(1)).map(|(_, bytes)| bytes.clone()).collect();
    assert!(all.len() > 100);
    for bytes in &all {
        stranger.send(&address(1), bytes.clone()).await.unwrap();
        tokio::task::yield_now().await;
    }
    let count = all.len() as u64;
    dropped(&one, "every replay", |counters| counters.replayed == before.replayed + count).await;
    drop(two);
}

#[tokio::test(start_paused = true)]
async fn plaintext_cut_changed_and_strangers_datagrams_are_dropped_and_counted() {
    let world = World::new(2);
    let one = world.start(1, 1, &[]).await;
    let heard = Arc::<Mutex<Vec<(String, Bytes)>>>::default();
    let tapped = Box::new(Tapped { inner: world.bind(2).await, heard: heard.clone() });
    let _two = Gossip::start(world.options(tapped, rumour(2, 1), vec![address(1)])).await.unwrap();
    all_are(&one, 2, Health::Alive).await;
    let sealed = heard.lock().last().unwrap().1.clone();
    let stranger = world.network.node("stranger").bind("stranger:1").await.unwrap();
    for bytes in [Bytes::from("who is there?"), Bytes::new(), sealed.slice(..20), Bytes::from(vec![0; 1_400])]
    {
        stranger.send(&address(1), bytes).await.unwrap();
    }
    dropped(&one, "four that are not sealed", |counters| counters.foreign == 4).await;
    let mut changed = sealed.to_vec();
    *changed.last_mut().unwrap() ^= 1;
    for bytes in [Bytes::from(changed), sealed.slice(..sealed.len() - 1)] {
        stranger.send(&address(1), bytes).await.unwrap();
    }
    dropped(&one, "two that are damaged", |counters| counters.damaged == 2).await;
    assert_eq!(one.members().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn member_with_another_key_is_not_heard_whatever_number_it_gives_it() {
    for (number, byte) in [(1, 9), (9, 1)] {
        let world = World::new(3);
        let one = world.start(1, 1, &[]).await;
        let other = World { keys: watch::Sender::new(ring(&[(number, byte)], number)), ..World::new(3) };
        let options = other.options(world.bind(2).await, rumour(2, 1), vec![address(1)]);
        let two = Gossip::start(options).await.unwrap();
        tokio::time::sleep(Duration::from_secs(10)).await;
        assert_eq!((one.members().len(), two.members().len()), (1, 1));
        let counters = one.counters();
        assert!(counters.damaged + counters.unknown_key > 5, "{counters:?}");
        assert_eq!(counters.received, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn keys_change_under_traffic_without_a_death() {
    let worlds: Vec<World> = {
        let first = World::new(4);
        let network = first.network.clone();
        let more = (0..2).map(|_| World { network: network.clone(), ..World::new(4) });
        std::iter::once(first).chain(more).collect()
    };
    let mut members = Vec::new();
    for (number, world) in (1..).zip(&worlds) {
        members.push(world.start(number, 1, &[1]).await);
    }
    for member in &members {
        all_are(member, 3, Health::Alive).await;
    }
    let watched: Vec<Watched> =
        members.iter().flat_map(|member| (1..=3).map(|number| Watched::start(member, number))).collect();
    // Each step reaches the members one after the other, seconds apart: install, use, remove.
    for step in [ring(&[(1, 1), (2, 2)], 1), ring(&[(1, 1), (2, 2)], 2), ring(&[(2, 2)], 2)] {
        for world in &worlds {
            world.keys.send_replace(step.clone());
            tokio::time::sleep(Duration::from_secs(7)).await;
        }
    }
    tokio::time::sleep(Duration::from_secs(10)).await;
    for watched in watched {
        assert_eq!(watched.end(), [(1, Health::Alive)]);
    }
    for member in &members {
        assert_eq!(member.counters().unknown_key, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn node_without_a_key_says_nothing() {
    let world = World::new(5);
    world.keys.send_replace(synod_domain::node::Keyring::default());
    let (one, two) = (world.start(1, 1, &[]).await, world.start(2, 1, &[1]).await);
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!((one.counters().sent, two.counters().sent), (0, 0));
    assert!(two.counters().unsent > 0);
    world.keys.send_replace(ring(&[(1, 1)], 1));
    all_are(&one, 2, Health::Alive).await;
}
