//! Who comes is known, in whatever order; who goes has left.

use std::sync::Arc;

use synod_cluster::gossip::{Gossip, Health};
use synod_cluster::transport::Network;
use synod_cluster::transport::links::AddressBook;
use synod_cluster::transport::tcp::Tcp;

use super::support::{Watched, World, address, all_are, id, is, rumour, until};

#[tokio::test(start_paused = true)]
async fn members_that_start_in_any_order_find_each_other() {
    for order in [[1, 2, 3], [3, 2, 1], [2, 3, 1]] {
        let world = World::new(order[0]);
        let mut members = Vec::new();
        for number in order {
            // Each knows only the next one, which may not be there yet.
            members.push(world.start(number, 1, &[number % 3 + 1]).await);
        }
        for member in &members {
            all_are(member, 3, Health::Alive).await;
            assert_eq!(member.address_of(id(2)), Some(address(2)));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn seed_that_is_told_later_is_knocked_at() {
    let world = World::new(1);
    let (one, two) = (world.start(1, 1, &[]).await, world.start(2, 1, &[]).await);
    assert_eq!(one.members().len(), 1);
    two.seed(vec![address(1)]);
    all_are(&one, 2, Health::Alive).await;
    all_are(&two, 2, Health::Alive).await;
}

#[tokio::test(start_paused = true)]
async fn member_that_leaves_has_left_and_is_never_taken_for_dead() {
    let world = World::new(2);
    let members = world.cluster(4).await;
    let watched: Vec<Watched> = members[..3].iter().map(|member| Watched::start(member, 4)).collect();
    members[3].leave().await;
    for member in &members[..3] {
        is(member, 4, Health::Left).await;
    }
    for watched in watched {
        let seen = watched.end();
        assert!(seen.iter().all(|(_, health)| matches!(health, Health::Alive | Health::Left)), "{seen:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn member_that_left_comes_back_with_its_next_start() {
    let world = World::new(3);
    let members = world.cluster(3).await;
    members[2].leave().await;
    is(&members[0], 3, Health::Left).await;
    let again = world.start(3, 2, &[1]).await;
    for member in members[..2].iter().chain([&again]) {
        all_are(member, 3, Health::Alive).await;
        until(member, "the second start of node 3", |members| members[2].rumour.generation == 2).await;
    }
}

#[tokio::test]
async fn members_find_and_leave_each_other_over_udp() {
    let world = World::new(4);
    let mut members: Vec<Gossip> = Vec::new();
    for number in 1..=3 {
        let network: Arc<dyn Network> = Arc::new(Tcp);
        let datagrams = network.bind("127.0.0.1:0").await.unwrap();
        let seeds = members.first().map(Gossip::address).into_iter().collect();
        members.push(Gossip::start(world.options(datagrams, rumour(number, 1), seeds)).await.unwrap());
    }
    for member in &members {
        all_are(member, 3, Health::Alive).await;
    }
    members[2].leave().await;
    for member in &members[..2] {
        is(member, 3, Health::Left).await;
    }
}
