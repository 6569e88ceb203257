//! What a node tells of itself is known everywhere, and so is each change of it.

use synod_cluster::gossip::{Error, Gossip, Load};
use synod_domain::name::Name;

use super::support::{World, id, rumour, until};

#[tokio::test(start_paused = true)]
async fn change_of_a_rumour_reaches_everybody_and_who_it_is_of_stays() {
    let world = World::new(1);
    let members = world.cluster(5).await;
    let load = Load { agents: 3, free_slots: 7, waiting: 11 };
    members[1].tell(|me| {
        (me.load, me.leads, me.applied) = (load, Some(4), 99);
        me.labels.insert(Name::new("rack").unwrap(), "r1".into());
        (me.node, me.generation) = (id(77), 77);
    });
    for member in &members {
        until(member, "the load of node 2", |members| {
            let told = &members[1].rumour;
            (told.load, told.leads, told.applied, told.generation) == (load, Some(4), 99, 1)
                && told.labels.len() == 1
        })
        .await;
        assert_eq!(member.members().len(), 5);
    }
}

#[tokio::test(start_paused = true)]
async fn change_that_everybody_missed_is_told_again() {
    let world = World::new(2);
    let members = world.cluster(3).await;
    world.cut(&[1, 2], &[3]);
    members[2].tell(|me| me.applied = 5);
    // All that was to be sent on is sent, into nothing.
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    world.heal(&[1, 2], &[3]);
    for member in &members {
        until(member, "what node 3 applied", |members| members[2].rumour.applied == 5).await;
    }
}

#[tokio::test(start_paused = true)]
async fn flood_of_changes_is_told_together() {
    let world = World::new(3);
    let members = world.cluster(2).await;
    let before = members[0].counters().sent;
    for applied in 0..1_000 {
        members[0].tell(|me| me.applied = applied);
        tokio::task::yield_now().await;
    }
    until(&members[1], "the last change", |members| members[0].rumour.applied == 999).await;
    let sent = members[0].counters().sent - before;
    assert!(sent < 100, "{sent} datagrams for a thousand changes");
}

#[tokio::test(start_paused = true)]
async fn node_whose_rumour_cannot_be_told_does_not_start() {
    let world = World::new(4);
    let mut large = rumour(1, 1);
    large.version = "x".repeat(1_000).into();
    let started = Gossip::start(world.options(world.bind(1).await, large, vec![])).await;
    assert!(matches!(started.err(), Some(Error::TooLarge { .. })));
    let mut far = rumour(1, 1);
    far.address = format!("{}:7", "x".repeat(200));
    let started = Gossip::start(world.options(world.bind(1).await, far, vec![])).await;
    assert!(matches!(started.err(), Some(Error::Address { .. })));
}
