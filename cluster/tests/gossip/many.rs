//! Many members know each other, one that dies among them is found in time, and each pays the same for it.

use std::time::Duration;

use synod_cluster::gossip::Health;
use tokio::time::Instant;

use super::measure::Crowd;
use super::support::{World, is};

/// How often a member is probed on a local network.
const PERIOD: Duration = Duration::from_millis(500);

/// How long a suspect of a hundred members may deny it.
const SUSPICION: Duration = Duration::from_millis(2_500);

/// The rounds in which gossip tells a hundred members: SWIM's bound is a small multiple of the logarithm, here of 2.
const ROUNDS: u32 = 14;

/// The pause between two rounds.
const ROUND: Duration = Duration::from_millis(200);

#[tokio::test(start_paused = true)]
async fn a_death_among_a_hundred_is_known_to_all_within_the_bounds_of_swim() {
    let crowd = Crowd::gather(100, 1).await;
    let known = crowd.death_of(42).await;
    assert_eq!(known.dead.len(), 99, "all others know it");
    // SWIM expects e/(e-1) periods to the first suspicion; one in a hundred times it takes five, and a probe one more.
    assert!(known.suspected[0] <= 6 * PERIOD, "first suspected after {:?}", known.suspected[0]);
    let dead_by = known.suspected[0] + SUSPICION + PERIOD;
    assert!(known.dead[0] <= dead_by, "first known after {:?}", known.dead[0]);
    let spread = known.dead[98] - known.dead[0];
    assert!(spread <= ROUNDS * ROUND, "known to all {spread:?} after the first");
    assert_eq!(crowd.mistakes(), 0, "nobody who lives was taken for dead");
}

#[tokio::test(start_paused = true)]
async fn what_gossip_costs_a_node_does_not_grow_with_their_number() {
    let (rest, counted) = (Duration::from_secs(5), Duration::from_secs(10));
    let few = Crowd::gather(12, 2).await.load(rest, counted).await;
    let many = Crowd::gather(36, 2).await.load(rest, counted).await;
    // Three times as many nodes, and each sends about the same; what a datagram carries grows with its rumours.
    assert!(many.datagrams < 1.5 * few.datagrams, "{few:?} {many:?}");
    assert!(many.datagrams > 0.5 * few.datagrams, "{few:?} {many:?}");
    assert!(many.bytes < 3.0 * few.bytes, "{few:?} {many:?}");
}

#[tokio::test(start_paused = true)]
async fn fifty_members_know_all_and_find_the_dead_one() {
    let world = World::new(1);
    let start = Instant::now();
    let members = world.cluster(50).await;
    println!("50 members know each other after {:?}", start.elapsed());
    let mut sent: u64 = members.iter().map(|member| member.counters().sent).sum();
    tokio::time::sleep(Duration::from_secs(10)).await;
    sent = members.iter().map(|member| member.counters().sent).sum::<u64>() - sent;
    println!("each sends {} datagrams a second", sent / 10 / 50);
    let start = Instant::now();
    members[49].stop();
    for member in &members[..49] {
        is(member, 50, Health::Dead).await;
    }
    println!("all know the dead one after {:?}", start.elapsed());
    for member in &members[..49] {
        let alive = member.members().iter().filter(|member| member.health == Health::Alive).count();
        assert_eq!(alive, 49);
        assert_eq!(member.counters().renewals, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_member_that_was_found_dead_is_known_to_all_when_it_starts_again() {
    let mut crowd = Crowd::gather(12, 3).await;
    assert_eq!(crowd.death_of(5).await.dead.len(), 11);
    crowd.revive(5).await;
    assert_eq!(crowd.mistakes(), 0, "it comes back by its next start");
}
