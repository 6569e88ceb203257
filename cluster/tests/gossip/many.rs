//! Fifty members know each other, and one that dies among them is found.

use std::time::Duration;

use synod_cluster::gossip::Health;
use tokio::time::Instant;

use super::support::{World, is};

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
