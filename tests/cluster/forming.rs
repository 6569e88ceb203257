//! How a group forms, and comes back.

use synod::node::domain::node::{NodeRole, NodeStanding};
use synod::node::{Cluster, Node, Pool, Seeing};

use crate::group::{Group, within};
use crate::support::{Script, completed, eventually, folder, scripted, task};

#[tokio::test(flavor = "multi_thread")]
async fn three_nodes_form_a_group_by_founding_and_joining_and_all_come_to_vote() {
    let group = Group::form(3).await;
    group.voters(3).await;
    let status = group.node(1).cluster();
    assert_eq!(status.cluster, group.node(0).cluster().cluster);
    assert!(status.cluster.is_some());
    assert_eq!(status.nodes.iter().map(|node| node.node.number).collect::<Vec<_>>().len(), 3);
    eventually("everybody is up and alive for everybody", || {
        group
            .nodes()
            .all(|node| {
                let nodes = node.cluster().nodes;
                nodes.len() == 3
                    && nodes.iter().all(|node| {
                        node.node.standing == NodeStanding::Up
                            && node.seen.as_ref().is_some_and(|seen| seen.health == Seeing::Alive)
                    })
            })
            .then_some(())
    })
    .await;
    group.stop_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_joins_without_a_vote_and_hears_everything() {
    let mut group = Group::form(1).await;
    let worker = group.join(NodeRole::Worker).await;
    group.node(0).put_pool(Pool::native("p", "script").unwrap().size(1)).await.unwrap();
    let done = group.node(worker).submit(task("p", &Script::Echo(1.into()))).await.unwrap();
    completed(group.node(worker), done).await;
    group.voters(1).await;
    group.stop_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_was_stopped_comes_back_in_any_order_with_everything() {
    let mut group = Group::form(3).await;
    group.voters(3).await;
    group.node(1).put_pool(Pool::native("p", "script").unwrap().size(2)).await.unwrap();
    let before = group.node(2).submit(task("p", &Script::Echo(1.into()))).await.unwrap();
    completed(group.node(2), before).await;
    for seat in [1, 2, 0] {
        group.stop(seat).await;
    }
    // The first of them has nobody to agree with and says so.
    group.begin(2).await;
    let lonely = group.node(2).clone();
    let waits = eventually("it says what it waits for", || {
        lonely.waits_for().filter(|what| what.contains("of 3 voters"))
    });
    assert!(waits.await.contains("1 of 3 voters were heard"));
    group.begin(0).await;
    for seat in [0, 2] {
        within("a node takes work", group.node(seat).ready()).await.unwrap();
    }
    group.start(1).await;
    for node in group.nodes() {
        completed(node, before).await;
    }
    let after = group.node(1).submit(task("p", &Script::Echo(2.into()))).await.unwrap();
    completed(group.node(0), after).await;
    group.stop_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_stood_alone_founds_a_cluster_and_keeps_what_it_had() {
    let data = folder();
    let alone = scripted(data.path()).start().await.unwrap();
    alone.put_pool(Pool::native("p", "script").unwrap().size(1)).await.unwrap();
    let old = alone.submit(task("p", &Script::Echo(7.into()))).await.unwrap();
    completed(&alone, old).await;
    let id = alone.id();
    assert!(alone.cluster().cluster.is_none());
    alone.stop().await;
    let founded = synod::node::cluster::init_cluster(data.path()).await.unwrap();
    assert_eq!(founded.node, id);
    let founder = within("it starts", scripted(data.path()).start()).await.unwrap();
    assert_eq!(founder.id(), id);
    assert_eq!(founder.cluster().cluster, Some(founded.cluster));
    assert_eq!(founder.cluster().nodes[0].node.number, 1);
    completed(&founder, old).await;
    founder.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_node_is_told_so_and_takes_no_part() {
    let mut group = Group::form(3).await;
    group.voters(3).await;
    group.stop(2).await;
    let gone =
        group.node(0).cluster().nodes.iter().map(|node| node.node.clone()).max_by_key(|node| node.number);
    group.node(0).remove_node(gone.unwrap().spec.id, "it is scrapped").await.unwrap();
    group.voters(2).await;
    let back = scripted(group.seats[2].data.path()).begin().await.unwrap();
    let refused = within("it is told", back.ready()).await.unwrap_err().to_string();
    assert!(refused.contains("was removed"), "{refused}");
    back.stop().await;
    group.stop_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_with_data_of_its_own_is_not_let_into_another_cluster() {
    let group = Group::form(1).await;
    let data = folder();
    scripted(data.path()).start().await.unwrap().stop().await;
    let token = group.node(0).create_join_token(NodeRole::Voter, std::time::Duration::from_secs(60)).await;
    let join = synod::node::Join {
        address: group.node(0).cluster().listens.unwrap(),
        token: token.unwrap().text,
        role: NodeRole::Voter,
    };
    let cluster = Cluster { join: Some(join), ..Cluster::default() };
    let refused = Node::builder().data(data.path()).cluster(cluster).start().await.unwrap_err().to_string();
    assert!(refused.contains("stood alone"), "{refused}");
    group.stop_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_whose_log_was_lost_does_not_start() {
    let mut group = Group::form(3).await;
    group.voters(3).await;
    group.stop(1).await;
    let data = group.seats[1].data.path().to_owned();
    for name in std::fs::read_dir(&data).unwrap().map(|entry| entry.unwrap().file_name()) {
        if !["cluster", "lock", "ballast", "blobs"].iter().any(|kept| name == *kept) {
            let path = data.join(&name);
            if path.is_dir() {
                std::fs::remove_dir_all(path).unwrap();
            } else {
                std::fs::remove_file(path).unwrap();
            }
        }
    }
    let refused = scripted(&data).begin().await.unwrap_err().to_string();
    assert!(refused.contains("forgotten"), "{refused}");
    group.stop_all().await;
}
