//! Regions that part, and two that were let in under one name.

use synod::node::Node;
use synod::node::cluster::RegionStatus;
use synod::node::domain::id::TaskId;

use crate::group::Group;
use crate::regions::{beside, first, forwarded, hear, keep_for, name, pool, ran_once, route};
use crate::support::{Script, completed, eventually, task};

fn region(node: &Node, region: &str) -> RegionStatus {
    node.regions().into_iter().find(|known| known.name == name(region)).unwrap()
}

fn cluster(group: &Group) -> String {
    group.node(0).cluster().cluster.unwrap()
}

/// Keeps a task at a region until it is offered to eu.
async fn offered(group: &Group, fallbacks: &[&str]) -> TaskId {
    let kept = keep_for(group.node(0), &route("eu", fallbacks), task("p", &Script::Echo(1.into()))).await;
    eventually("it is offered", || {
        group.node(0).read(|state| state.task(kept)?.forwarding()?.offered.clone())
    })
    .await;
    kept
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_that_were_offered_to_a_region_that_is_declared_lost_run_elsewhere() {
    let us = first("us", 1).await;
    let eu = beside(&us, "eu", 1).await;
    pool(&us).await;
    hear(&us, "eu", 1).await;
    // It is asked and does not answer: it does not let this region in.
    eu.node(0).remove_region(&name("us"), "we part").await.unwrap();
    let kept = offered(&us, &["us"]).await;
    us.node(0).remove_region(&name("eu"), "it is gone").await.unwrap();
    let why = || us.node(0).read(|state| state.why(kept)).unwrap().to_string();
    assert!(why().contains("synod cluster regions remove eu --lost"), "{}", why());
    assert_eq!(region(us.node(0), "eu").offered, 1);
    // It is moved by nothing but that word.
    let here = us.node(0).submit(task("p", &Script::Echo(2.into()))).await.unwrap();
    completed(us.node(0), here).await;
    assert!(us.node(0).read(|state| state.task(kept).unwrap().forwarding().is_some()));
    us.node(0).lose_region(&name("eu"), "its hall burnt").await.unwrap();
    ran_once(&us, kept).await;
    assert!(eu.node(0).task(kept).is_err());
    us.stop_all().await;
    eu.stop_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_clusters_that_were_let_in_under_one_name_the_first_gets_the_tasks_and_the_other_is_shown() {
    let mut us = first("us", 1).await;
    let mut asia = beside(&us, "asia", 1).await;
    hear(&us, "asia", 1).await;
    hear(&asia, "us", 1).await;
    // While us and asia do not hear each other, each lets another cluster in.
    asia.stop(0).await;
    let mut eu = beside(&us, "eu", 1).await;
    pool(&eu).await;
    hear(&us, "eu", 1).await;
    hear(&eu, "us", 1).await;
    eu.stop(0).await;
    us.stop(0).await;
    asia.start(0).await;
    let rival = beside(&asia, "eu", 1).await;
    pool(&rival).await;
    hear(&asia, "eu", 1).await;
    us.start(0).await;
    eventually("the second one is shown", || {
        let seen = region(us.node(0), "eu").rival?;
        (*seen.cluster == *cluster(&rival)).then_some(())
    })
    .await;
    // Nobody but the second one is there, and it gets nothing.
    let kept = keep_for(us.node(0), &route("eu", &[]), task("p", &Script::Echo(1.into()))).await;
    eventually("nobody of it is talked to", || {
        us.node(0).reachable_regions().contains(&name("asia")).then_some(())
    })
    .await;
    eu.start(0).await;
    assert_eq!(region(us.node(0), "eu").cluster.as_deref(), Some(&*cluster(&eu)));
    forwarded(&us, kept, "eu").await;
    ran_once(&eu, kept).await;
    assert!(rival.node(0).task(kept).is_err());
    // Where the second one was let in, that is the region and the first one the rival.
    assert_eq!(region(asia.node(0), "eu").cluster.as_deref(), Some(&*cluster(&rival)));
    eventually("the first one is shown there", || {
        let seen = region(asia.node(0), "eu").rival?;
        (*seen.cluster == *cluster(&eu)).then_some(())
    })
    .await;
    for group in [us, asia, eu, rival] {
        group.stop_all().await;
    }
}
