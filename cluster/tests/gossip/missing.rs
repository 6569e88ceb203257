//! Who is silent is suspected, then dead; who is not denies it; those who were apart find each other again.

use std::time::Duration;

use synod_cluster::gossip::{Gossip, Health};
use tokio::time::Instant;

use super::support::{Watched, World, all_are, id, is, until};

/// What a region is promised: a dead node's agents run elsewhere within 5 s, and finding it takes most of it. Time
/// here is the test's own: it passes only while everybody waits.
const FOUND_WITHIN: Duration = Duration::from_millis(3_500);

#[tokio::test(start_paused = true)]
async fn silent_member_is_suspected_and_then_dead_within_seconds() {
    for seed in 0..20 {
        let world = World::new(seed);
        let members = world.cluster(3).await;
        let watched = [Watched::start(&members[0], 3), Watched::start(&members[1], 3)];
        let start = Instant::now();
        members[2].stop();
        for member in &members[..2] {
            is(member, 3, Health::Dead).await;
        }
        let found = start.elapsed();
        println!("seed {seed}: dead after {found:?}");
        assert!(found <= FOUND_WITHIN, "seed {seed}: {found:?}");
        let expected = vec![(1, Health::Alive), (1, Health::Suspect), (1, Health::Dead)];
        let seen = watched.map(Watched::end);
        assert!(seen.contains(&expected), "{seen:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn suspected_member_denies_it_and_nobody_takes_it_for_dead() {
    let world = World::new(1);
    let members = world.cluster(3).await;
    let watched: Vec<Watched> = members[..2].iter().map(|member| Watched::start(member, 3)).collect();
    world.cut(&[1, 2], &[3]);
    is(&members[0], 3, Health::Suspect).await;
    world.heal(&[1, 2], &[3]);
    is(&members[0], 3, Health::Alive).await;
    is(&members[1], 3, Health::Alive).await;
    assert_eq!(watched.into_iter().flat_map(Watched::end).filter(|seen| seen.1 == Health::Dead).count(), 0);
    assert_eq!(members[2].counters().renewals, 0);
}

#[tokio::test(start_paused = true)]
async fn one_bad_link_convicts_nobody() {
    let world = World::new(2);
    let members = world.cluster(4).await;
    let watched = Watched::start(&members[0], 2);
    world.cut(&[1], &[2]);
    // Long enough for many probes over the cut link, each answered through another member.
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(watched.end(), [(1, Health::Alive)]);
}

#[tokio::test(start_paused = true)]
async fn parts_that_were_apart_find_each_other_again() {
    for (some, others) in [(vec![1], vec![2, 3]), (vec![1, 2], vec![3, 4, 5])] {
        let world = World::new(3);
        let count = u64::try_from(some.len() + others.len()).unwrap();
        let members = world.cluster(count).await;
        let part = |numbers: &[u64]| -> Vec<Gossip> {
            numbers.iter().map(|number| members[usize::try_from(number - 1).unwrap()].clone()).collect()
        };
        world.cut(&some, &others);
        for (part, missing) in [(part(&some), &others), (part(&others), &some)] {
            for (member, missing) in
                part.iter().flat_map(|member| missing.iter().map(move |id| (member, *id)))
            {
                is(member, missing, Health::Dead).await;
            }
        }
        // Nobody gives up, however long it takes.
        tokio::time::sleep(Duration::from_secs(600)).await;
        let start = Instant::now();
        world.heal(&some, &others);
        for member in &members {
            all_are(member, count, Health::Alive).await;
        }
        println!("{count} members: together again after {:?}", start.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn later_start_takes_the_place_of_the_earlier_without_a_death() {
    let world = World::new(4);
    let members = world.cluster(3).await;
    let watched = Watched::start(&members[0], 3);
    members[2].stop();
    let again = world.start(3, 2, &[1]).await;
    for member in [&members[0], &members[1], &again] {
        until(member, "the second start of node 3", |members| {
            members.len() == 3 && members[2].rumour.generation == 2 && members[2].health == Health::Alive
        })
        .await;
    }
    assert_eq!(watched.end(), [(1, Health::Alive), (2, Health::Alive)]);
}

#[tokio::test(start_paused = true)]
async fn earlier_start_of_a_known_node_is_refused_by_everybody() {
    let world = World::new(5);
    let one = world.start(1, 1, &[]).await;
    let two = world.start(2, 1, &[1]).await;
    let three = world.start(3, 5, &[1]).await;
    for member in [&one, &two, &three] {
        all_are(member, 3, Health::Alive).await;
    }
    three.stop();
    is(&one, 3, Health::Dead).await;
    is(&two, 3, Health::Dead).await;
    let from_an_older_disk = world.start(3, 4, &[1, 2]).await;
    tokio::time::sleep(Duration::from_secs(30)).await;
    for member in [&one, &two] {
        let known = member.member(id(3)).unwrap();
        assert_eq!((known.rumour.generation, known.health), (5, Health::Dead));
        assert!(member.counters().forgotten > 0);
    }
    assert_eq!(from_an_older_disk.members().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn link_that_comes_and_goes_each_second_kills_nobody() {
    let mut deaths = 0;
    for seed in 0..5 {
        let world = World::new(seed);
        let members = world.cluster(5).await;
        let watched: Vec<Watched> = members[..4].iter().map(|member| Watched::start(member, 5)).collect();
        for _ in 0..60 {
            world.cut(&[1, 2, 3, 4], &[5]);
            tokio::time::sleep(Duration::from_millis(500)).await;
            world.heal(&[1, 2, 3, 4], &[5]);
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        for member in &members {
            all_are(member, 5, Health::Alive).await;
        }
        deaths += watched.into_iter().flat_map(Watched::end).filter(|seen| seen.1 == Health::Dead).count();
    }
    println!("{deaths} false deaths in 5 minutes of a link at 1 Hz");
    assert_eq!(deaths, 0);
}
