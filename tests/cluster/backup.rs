//! A backup becomes another cluster.

use std::collections::BTreeMap;

use synod::node::cluster::{init_cluster, restore};
use synod::node::domain::name::Name;
use synod::node::domain::spread::SpreadSpec;
use synod::node::domain::task::Usage;
use synod::node::{NewTask, Pool};

use crate::group::{Group, open, outside, within};
use crate::support::{Script, completed, folder, running, scripted, task};

/// Larger than what travels in the log.
const LARGE: usize = 300 * 1024;

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_of_a_group_becomes_the_first_node_of_another() {
    let group = Group::form(3).await;
    group.voters(3).await;
    group.node(0).put_pool(Pool::native("p", "script").unwrap().size(3)).await.unwrap();
    let ended = group.node(1).submit(task("p", &Script::Echo(1.into()))).await.unwrap();
    completed(group.node(1), ended).await;
    let hangs = group.node(2).submit(task("p", &Script::HangFirst)).await.unwrap();
    running(group.node(2), hangs).await;
    let mut backup = Vec::new();
    group.node(2).backup(&mut backup).await.unwrap();
    let after = group.node(0).submit(task("p", &Script::Echo(2.into()))).await.unwrap();
    group.stop_all().await;

    let parent = folder();
    let data = parent.path().join("restored");
    let mut half = &backup[..backup.len() / 2];
    assert!(restore(&data, &mut half).await.is_err());
    assert!(!data.exists(), "what was begun is gone");
    let restored = restore(&data, &mut &backup[..]).await.unwrap();
    assert!(restored.applied > 0);
    init_cluster(&data).await.unwrap();
    let node = within("it starts", scripted(&data).start()).await.unwrap();
    completed(&node, ended).await;
    completed(&node, hangs).await;
    assert!(node.task(after).is_err(), "it was submitted after the backup");
    assert_eq!(node.cluster().nodes.len(), 1);
    assert_eq!(node.cluster().nodes[0].node.number, 1);
    let more = node.submit(task("p", &Script::Echo(3.into()))).await.unwrap();
    completed(&node, more).await;
    node.stop().await;
    // It keeps all that over a restart, too.
    let again = within("it starts again", scripted(&data).start()).await.unwrap();
    completed(&again, more).await;
    again.stop().await;
}

/// Finds where these bytes are in others.
fn position(within: &[u8], wanted: &[u8]) -> usize {
    within.windows(wanted.len()).position(|bytes| bytes == wanted).expect("they are there")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_task_that_waits_at_the_backup_runs_after_the_restore_and_a_flipped_byte_is_refused() {
    let group = Group::form(3).await;
    group.voters(3).await;
    let word = "w".repeat(LARGE);
    group.node(0).put_pool(Pool::native("p", "script").unwrap().size(1)).await.unwrap();
    let ended = group.node(1).submit(task("p", &Script::Echo(word.as_str().into()))).await.unwrap();
    assert_eq!(completed(group.node(1), ended).await["echo"], word.as_str());
    // No node is as it demands, so it has no agent and the task waits.
    let labels = BTreeMap::from([(Name::new("disk").unwrap(), "none".into())]);
    let nowhere = SpreadSpec { labels, ..SpreadSpec::default() };
    let later = Pool::native("later", "script").unwrap().size(1);
    group.node(0).put_pool(later.clone().spread(nowhere)).await.unwrap();
    let waits = group.node(2).submit(task("later", &Script::Echo("x".repeat(LARGE).into()))).await.unwrap();
    let mut backup = Vec::new();
    group.node(0).backup(&mut backup).await.unwrap();
    group.stop_all().await;

    let parent = folder();
    let data = parent.path().join("restored");
    let mut damaged = backup.clone();
    damaged[position(&backup, "x".repeat(1000).as_bytes()) + 500] ^= 1;
    let refused = restore(&data, &mut &damaged[..]).await.unwrap_err().to_string();
    assert!(refused.contains("is damaged"), "{refused}");
    let mut newer = backup.clone();
    newer[8] += 1;
    let refused = restore(&data, &mut &newer[..]).await.unwrap_err().to_string();
    assert!(refused.contains("format has version 2"), "{refused}");
    let mut cut = &backup[..backup.len() - 1];
    assert!(restore(&data, &mut cut).await.unwrap_err().to_string().contains("ends too early"));
    assert!(!data.exists(), "what was begun is gone");

    let restored = restore(&data, &mut &backup[..]).await.unwrap();
    // What was given to the task that ended is not in it, and what it gave back is.
    assert_eq!((restored.payloads, restored.lacking), (2, 0));
    init_cluster(&data).await.unwrap();
    let node = within("it starts", scripted(&data).start()).await.unwrap();
    assert_eq!(completed(&node, ended).await["echo"], word.as_str());
    node.put_pool(later).await.unwrap();
    assert_eq!(completed(&node, waits).await["echo"], "x".repeat(LARGE).as_str());
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_from_before_payloads_were_in_it_is_read_and_says_what_it_lacks() {
    let group = Group::form(1).await;
    let node = group.node(0);
    node.put_pool(Pool::external("later").unwrap()).await.unwrap();
    let large = NewTask::to_pool("later", "work", &"x".repeat(LARGE)).unwrap();
    node.submit(large).await.unwrap();
    let agent = node.new_agent_id();
    node.register_agent(outside(agent, "outside")).await.unwrap();
    let small = node.submit(open(1)).await.unwrap();
    let claimed = within("it is claimed", async {
        loop {
            let claimed = node.claim(agent, 1).await.unwrap();
            if !claimed.is_empty() {
                return claimed;
            }
        }
    })
    .await;
    node.complete(small, claimed[0].attempt, b"\"done\"", Usage::default()).await.unwrap();
    let mut backup = Vec::new();
    node.backup(&mut backup).await.unwrap();
    group.stop_all().await;

    // Those were the snapshot alone: without head, payloads and end.
    let bytes = usize::try_from(u64::from_le_bytes(backup[9..17].try_into().unwrap())).unwrap();
    let before = &backup[17..17 + bytes];
    let parent = folder();
    let data = parent.path().join("restored");
    let restored = restore(&data, &mut &before[..]).await.unwrap();
    assert_eq!((restored.payloads, restored.lacking), (0, 1));
    init_cluster(&data).await.unwrap();
    let node = within("it starts", scripted(&data).start()).await.unwrap();
    assert_eq!(completed(&node, small).await, "done");
    node.stop().await;
}
