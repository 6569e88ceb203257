//! A backup becomes another cluster.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use synod::node::cluster::{init_cluster, restore};
use synod::node::domain::id::TaskId;
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

/// A pool whose tasks wait: no node is as it demands, so it has no agent.
fn without_agents(name: &str) -> Pool {
    let labels = BTreeMap::from([(Name::new("disk").unwrap(), "none".into())]);
    let nowhere = SpreadSpec { labels, ..SpreadSpec::default() };
    Pool::native(name, "script").unwrap().size(1).spread(nowhere)
}

/// How many tasks each writer has submitted before the backup begins, and submits after it has ended.
const BESIDE: usize = 20;

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_beside_writers_has_all_that_was_acknowledged_before_it_and_no_gap_in_the_rest() {
    let group = Group::form(3).await;
    group.voters(3).await;
    group.node(0).put_pool(without_agents("waits")).await.unwrap();
    let submitted: [RefCell<Vec<TaskId>>; 2] = Default::default();
    let until = Cell::new(usize::MAX);
    let writes = |seat: usize| {
        let (submitted, until, node) = (&submitted[seat], &until, group.node(seat));
        async move {
            while submitted.borrow().len() < until.get() {
                let one = node.submit(task("waits", &Script::Echo(1.into()))).await.unwrap();
                submitted.borrow_mut().push(one);
            }
        }
    };
    let backs_up = async {
        while submitted.iter().any(|submitted| submitted.borrow().len() < BESIDE) {
            tokio::task::yield_now().await;
        }
        let before: Vec<usize> = submitted.iter().map(|submitted| submitted.borrow().len()).collect();
        let mut backup = Vec::new();
        group.node(2).backup(&mut backup).await.unwrap();
        let longest = submitted.iter().map(|submitted| submitted.borrow().len()).max().unwrap();
        until.set(longest + BESIDE);
        (before, backup)
    };
    let ((), (), (before, backup)) =
        within("they write and back up", Box::pin(async { tokio::join!(writes(0), writes(1), backs_up) }))
            .await;
    group.stop_all().await;

    let parent = folder();
    let data = parent.path().join("restored");
    restore(&data, &mut &backup[..]).await.unwrap();
    init_cluster(&data).await.unwrap();
    let node = within("it starts", scripted(&data).start()).await.unwrap();
    for (before, submitted) in before.into_iter().zip(submitted) {
        let there: Vec<bool> =
            submitted.into_inner().into_iter().map(|task| node.task(task).is_ok()).collect();
        let beginning = there.iter().take_while(|there| **there).count();
        assert!(beginning >= before, "{beginning} of {before} that were acknowledged before it");
        assert!(beginning < there.len(), "the last ones came after it");
        assert!(there[beginning..].iter().all(|there| !there), "a gap: {there:?}");
    }
    node.stop().await;
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
    let later = Pool::native("later", "script").unwrap().size(1);
    group.node(0).put_pool(without_agents("later")).await.unwrap();
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
