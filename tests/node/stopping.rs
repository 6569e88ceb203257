//! Stopping in order, and being the only one.

use std::time::Duration;

use serde_json::json;
use synod::node::domain::task::AttemptEnd;
use synod::node::{Error, Pool};
use tokio::process::Command;
use tokio::time::Instant;

use crate::support::{PATIENCE, Script, completed, folder, running, scripted, task};

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_lets_work_finish_within_its_bound_and_gives_the_rest_back() {
    let folder = folder();
    let node = scripted(folder.path()).drain(Duration::from_millis(800)).start().await.unwrap();
    node.put_pool(Pool::native("natives", "script").unwrap().size(2)).await.unwrap();
    let short = node.submit(task("natives", &Script::Wait(400))).await.unwrap();
    let long = node.submit(task("natives", &Script::HangFirst)).await.unwrap();
    let waiting = node.submit(task("natives", &Script::Echo(json!("later")))).await.unwrap();
    running(&node, short).await;
    running(&node, long).await;
    let begun = Instant::now();
    node.stop().await;
    let took = begun.elapsed();
    assert!(took >= Duration::from_millis(700), "it did not wait for the work in hand: {took:?}");
    assert!(took < Duration::from_secs(10), "it took {took:?}");

    let node = scripted(folder.path()).start().await.unwrap();
    let attempts = |task| node.task(task).unwrap().attempts.clone();
    assert_eq!(attempts(short).len(), 1, "what finished is not redone");
    assert_eq!(attempts(short)[0].end, AttemptEnd::Completed);
    assert_eq!(attempts(long)[0].end, AttemptEnd::Lost("its node stopped before it was done".into()));
    assert_eq!(completed(&node, short).await["attempt"], 1);
    assert_eq!(completed(&node, long).await["attempt"], 2);
    assert_eq!(completed(&node, waiting).await["attempt"], 1);
    assert_eq!(node.task(long).unwrap().losses, 0, "a release is nobody's fault");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_folder_is_free_again_when_a_stop_returns() {
    let folder = folder();
    for _ in 0..3 {
        let node = scripted(folder.path()).start().await.unwrap();
        node.put_pool(Pool::native("natives", "script").unwrap().size(3)).await.unwrap();
        let id = node.submit(task("natives", &Script::Echo(json!(1)))).await.unwrap();
        completed(&node, id).await;
        node.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_process_on_the_same_folder_is_told_who_has_it() {
    let folder = folder();
    let data = folder.path().join("data");
    let fleet = folder.path().join("fleet.yaml");
    std::fs::write(&fleet, "name: second\npools: {p: {command: [cat]}}\ntasks: [{name: t, pool: p}]\n")
        .unwrap();
    let node = scripted(&data).start().await.unwrap();
    let run = Command::new(env!("CARGO_BIN_EXE_synod"))
        .arg("run")
        .arg(&fleet)
        .arg("--data")
        .arg(&data)
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(PATIENCE, run).await.unwrap().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{said}");
    let holder = format!("is in use by process {}", std::process::id());
    assert!(said.contains(&holder) && said.contains("stop that process or choose another folder"), "{said}");
    assert!(output.stdout.is_empty());

    let inside = scripted(&data).start().await.unwrap_err();
    assert!(matches!(inside, Error::Storage(_)) && inside.to_string().contains(&holder), "{inside}");
    node.stop().await;
}
