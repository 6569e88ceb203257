//! Actors of an embedder's write to each other by name, on one node and between nodes.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use synod::clock::{SeededEntropy, SystemClock};
use synod::courier::{Address, Courier, Error, Guest, Keeping, Letter, RestartPolicy, Undelivered};
use synod::node::{Node, Pool};
use synod_cluster::courier::{Courier as Post, Options, Others};
use synod_cluster::transport::Network;
use synod_cluster::transport::hello::{Hello, OpenDoor, PROTOCOL};
use synod_cluster::transport::links::{Links, Service, Switchboard};
use synod_cluster::transport::memory::MemoryNetwork;
use synod_cluster::transport::serve::serve;
use synod_domain::id::NodeId;
use synod_domain::name::Name;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Debug, Serialize, Deserialize)]
struct Add(i64);

impl Letter for Add {
    const KIND: &'static str = "add";
    const VERSION: u16 = 2;
    type Reply = i64;
}

/// What an older build calls the same.
#[derive(Serialize, Deserialize)]
struct AddOfOld(i64);

impl Letter for AddOfOld {
    const KIND: &'static str = "add";
    const VERSION: u16 = 1;
    type Reply = i64;
}

/// Adds up; panics at 13; at 0 waits until it is let go.
struct Sum {
    total: i64,
    gate: Arc<Semaphore>,
}

impl Guest for Sum {
    type Letter = Add;
    type Reply = i64;

    async fn handle(&mut self, Add(more): Add) -> i64 {
        assert_ne!(more, 13, "this guest cannot count to 13");
        if more == 0 {
            self.gate.acquire().await.unwrap().forget();
        }
        self.total += more;
        self.total
    }
}

struct Known(Vec<NodeId>);

impl Others for Known {
    fn others(&self) -> Vec<NodeId> {
        self.0.clone()
    }
}

/// Makes the couriers of two nodes.
async fn couriers() -> Vec<Courier> {
    let network = MemoryNetwork::default();
    let ids = [1, 2].map(NodeId::from_raw);
    let book: BTreeMap<NodeId, String> = ids.iter().map(|id| (*id, format!("{id}:1"))).collect();
    let mut couriers = Vec::new();
    for me in ids {
        let node: Arc<dyn Network> = Arc::new(network.node(&me.to_string()));
        let listener = node.listen(&book[&me]).await.unwrap();
        let hello = Hello { protocol: PROTOCOL, cluster: "c".to_owned(), node: me, generation: 1 };
        let links = Links::new(node, hello, Arc::new(book.clone()));
        let others = Arc::new(Known(ids.into_iter().filter(|other| *other != me).collect()));
        let clock = Arc::new(SystemClock);
        let post = Post::new(Options { me, links: Some(links), others, clock: clock.clone() });
        let board = Arc::new(Switchboard::default());
        board.plug(Service::Courier, post.handler());
        tokio::spawn(serve(listener, Arc::new(OpenDoor), board, CancellationToken::new()));
        couriers.push(Courier::new(post, clock, Arc::new(SeededEntropy::from_seed(1))));
    }
    couriers
}

fn anywhere(name: &str) -> Address {
    Address::anywhere(Name::new(name).unwrap())
}

async fn register(courier: &Courier, name: &str, mailbox: usize) -> Arc<Semaphore> {
    let gate = Arc::new(Semaphore::new(0));
    let made = gate.clone();
    let keeping = Keeping { mailbox: NonZeroUsize::new(mailbox).unwrap(), ..Keeping::default() };
    courier.register(name, keeping, move || Sum { total: 0, gate: made.clone() }).await.unwrap();
    gate
}

#[tokio::test]
async fn guest_is_told_and_asked_from_every_node_and_goes_on_after_it_failed() {
    let couriers = couriers().await;
    register(&couriers[1], "sum", 10).await;
    let to = anywhere("sum");
    couriers[0].tell(&to, &Add(2)).await.unwrap();
    assert_eq!(couriers[0].ask(&to, &Add(3), PATIENCE).await.unwrap(), 5);
    assert_eq!(couriers[1].ask(&to, &Add(4), PATIENCE).await.unwrap(), 9);
    let failed = couriers[0].ask(&to, &Add(13), PATIENCE).await;
    assert!(matches!(failed, Err(Error::Undelivered(Undelivered::Failed(_)))), "{failed:?}");
    assert_eq!(couriers[0].ask(&to, &Add(1), PATIENCE).await.unwrap(), 1, "made anew");
    assert_eq!(couriers[0].dead_letters().total, 1);
}

#[tokio::test]
async fn letter_of_another_version_is_refused_and_says_both() {
    let couriers = couriers().await;
    register(&couriers[1], "sum", 10).await;
    let refused = couriers[0].ask(&anywhere("sum"), &AddOfOld(1), PATIENCE).await.unwrap_err();
    let text = refused.to_string();
    assert!(text.contains("add 1") && text.contains("add 2"), "{text}");
    assert_eq!(couriers[0].ask(&anywhere("sum"), &Add(1), PATIENCE).await.unwrap(), 1, "it had no effect");
}

#[tokio::test]
async fn full_mailbox_refuses_and_what_dies_in_one_is_a_dead_letter_there() {
    let couriers = couriers().await;
    let gate = register(&couriers[1], "sum", 1).await;
    let to = anywhere("sum");
    couriers[0].tell(&to, &Add(0)).await.unwrap();
    // The guest holds the first one; how soon it took it out of its mailbox is not ours to see.
    let full = loop {
        if let Err(error) = couriers[0].tell(&to, &Add(13)).await {
            break error;
        }
    };
    assert!(matches!(full, Error::Undelivered(Undelivered::Full(_))), "{full}");
    let there = couriers[1].clone();
    gate.add_permits(1);
    let died = tokio::time::timeout(PATIENCE, async move {
        while there.dead_letters().total == 0 {
            tokio::task::yield_now().await;
        }
        there.dead_letters()
    });
    let died = died.await.unwrap();
    assert!(matches!(died.latest[0].why, Undelivered::Failed(_)), "{died:?}");
}

#[tokio::test]
async fn node_keeps_guests_until_it_stops() {
    let folder = tempfile::tempdir().unwrap();
    let node = Node::builder().data(folder.path().join("data")).start().await.unwrap();
    let courier = node.courier().clone();
    register(&courier, "sum", 10).await;
    assert_eq!(courier.ask(&anywhere("sum"), &Add(7), PATIENCE).await.unwrap(), 7);
    let taken = courier
        .register("sum", Keeping::default(), || Sum { total: 0, gate: Arc::new(Semaphore::new(0)) })
        .await;
    assert!(matches!(taken, Err(Error::Register { .. })), "{taken:?}");
    node.stop().await;
    assert_eq!(courier.names(), []);
    let gone = courier.ask(&anywhere("sum"), &Add(1), PATIENCE).await;
    assert!(matches!(gone, Err(Error::Undelivered(Undelivered::UnknownName { .. }))), "{gone:?}");
}

#[tokio::test]
async fn guest_that_stays_down_takes_neither_its_node_nor_another_guest_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let node = Node::builder().data(folder.path().join("data")).start().await.unwrap();
    let courier = node.courier().clone();
    register(&courier, "other", 10).await;
    let restart = RestartPolicy { intensity: 0, ..RestartPolicy::default() };
    let keeping = Keeping { restart, ..Keeping::default() };
    let made = || Sum { total: 0, gate: Arc::new(Semaphore::new(0)) };
    courier.register("sum", keeping, made).await.unwrap();
    let killed = courier.ask(&anywhere("sum"), &Add(13), PATIENCE).await;
    assert!(matches!(killed, Err(Error::Undelivered(Undelivered::Failed(_)))), "{killed:?}");
    // What comes until its supervisor has judged it waits, and is refused then.
    let refused = courier.ask(&anywhere("sum"), &Add(1), PATIENCE).await.unwrap_err().to_string();
    assert!(refused.contains("has stopped"), "{refused}");
    assert_eq!(courier.ask(&anywhere("other"), &Add(7), PATIENCE).await.unwrap(), 7);
    node.put_pool(Pool::external("p").unwrap()).await.unwrap();
    tokio::select! {
        biased;
        why = node.failed() => panic!("the node failed, too: {why}"),
        () = std::future::ready(()) => {}
    }
    node.stop().await;
}
