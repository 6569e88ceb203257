//! Payloads and results that are too large for the log.

use serde_json::Value;
use synod::node::domain::payload::Payload;
use synod::node::domain::task::Outcome;
use synod::node::{Error, NewTask, Pool};

use crate::support::{Script, completed, folder, scripted, task};

const MEGABYTE: usize = 1024 * 1024;

#[tokio::test(flavor = "multi_thread")]
async fn a_payload_and_a_result_of_one_mebibyte_survive_restarts() {
    let folder = folder();
    let text = |letter: &str| Value::String(letter.repeat(MEGABYTE));
    let (done, waiting);
    {
        let node = scripted(folder.path()).start().await.unwrap();
        node.put_pool(Pool::native("now", "script").unwrap()).await.unwrap();
        node.put_pool(Pool::external("later").unwrap().between(0, 1)).await.unwrap();
        done = node.submit(task("now", &Script::Echo(text("a")))).await.unwrap();
        waiting = node.submit(task("later", &Script::Echo(text("b")))).await.unwrap();
        assert_eq!(completed(&node, done).await["echo"], text("a"));
        node.stop().await;
    }
    assert!(blobs(folder.path()) >= 3, "two payloads and a result are files of their own");

    let node = scripted(folder.path()).start().await.unwrap();
    let ended = node.task(done).unwrap();
    assert!(matches!(ended.spec.payload, Payload::Blob { size, .. } if size > MEGABYTE as u64));
    let Outcome::Completed { result } = &ended.end().unwrap().outcome else { panic!("{ended:?}") };
    assert!(matches!(result, Payload::Blob { size, .. } if *size > MEGABYTE as u64));
    assert_eq!(completed(&node, done).await["echo"], text("a"));
    node.put_pool(Pool::native("later", "script").unwrap()).await.unwrap();
    assert_eq!(completed(&node, waiting).await["echo"], text("b"));
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payload_over_the_limit_is_refused_with_both_numbers() {
    let folder = folder();
    let node = scripted(folder.path()).start().await.unwrap();
    node.put_pool(Pool::native("now", "script").unwrap()).await.unwrap();
    let huge = NewTask::to_pool("now", "work", &"x".repeat(64 * MEGABYTE)).unwrap();
    let error = node.submit(huge).await.unwrap_err();
    let bytes = (64 * MEGABYTE + 2).to_string();
    let text = error.to_string();
    assert!(matches!(error, Error::Blob(_)), "{error:?}");
    assert!(text.contains(&bytes) && text.contains(&(64 * MEGABYTE).to_string()), "{text}");
    node.stop().await;
}

fn blobs(data: &std::path::Path) -> usize {
    let folders = std::fs::read_dir(data.join("blobs")).unwrap().flatten();
    let folders = folders.filter(|entry| entry.path().is_dir());
    folders.map(|entry| std::fs::read_dir(entry.path()).unwrap().count()).sum()
}
