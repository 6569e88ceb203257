//! A data folder whose files are cut, gone or garbage.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use synod::node::domain::id::TaskId;
use synod::node::domain::task::Phase;
use synod::node::{Error, Node, Pool};
use synod_cluster::checkpointer::Policy;

use crate::support::{Script, completed, copy, folder, reason, scripted, task};

/// What a node acknowledged, and must have whatever happens to its files.
struct Acknowledged {
    waiting: Vec<TaskId>,
    results: BTreeMap<TaskId, Value>,
    dead: BTreeMap<TaskId, String>,
    keys: BTreeMap<String, TaskId>,
}

fn keyed(key: &str) -> synod::node::NewTask {
    task("later", &Script::Echo(json!(key))).idempotency_key(key)
}

/// Gives a node a bit of everything: work that waits, history, dead letters, keys.
async fn fill(node: &Node) -> Acknowledged {
    node.put_pool(Pool::native("now", "script").unwrap().size(2)).await.unwrap();
    node.put_pool(Pool::external("later").unwrap().between(0, 1)).await.unwrap();
    let (mut waiting, mut results) = (Vec::new(), BTreeMap::new());
    let (mut dead, mut keys) = (BTreeMap::new(), BTreeMap::new());
    for number in 0..8 {
        let id = node.submit(task("now", &Script::Echo(json!(number)))).await.unwrap();
        results.insert(id, completed(node, id).await);
        let id = node.submit(task("later", &Script::Echo(json!(number)))).await.unwrap();
        waiting.push(id);
        let key = format!("key-{number}");
        let id = node.submit(keyed(&key)).await.unwrap();
        waiting.push(id);
        keys.insert(key, id);
    }
    for number in 0..2 {
        let script = Script::Fail(format!("broken {number}"));
        let id = node.submit(task("now", &script)).await.unwrap();
        dead.insert(id, reason(node, id).await.1);
    }
    Acknowledged { waiting, results, dead, keys }
}

async fn assert_all_there(node: &Node, acknowledged: &Acknowledged, what: &str) {
    let Acknowledged { waiting, results, dead, keys } = acknowledged;
    for id in waiting {
        assert_eq!(node.task(*id).unwrap().phase(), Phase::Pending, "{what}: {id}");
    }
    for (id, result) in results {
        assert_eq!(completed(node, *id).await, *result, "{what}: {id}");
        let attempts = &node.task(*id).unwrap().attempts;
        assert_eq!(attempts.len(), 1, "{what}: {id} was redone: {attempts:?}");
    }
    let letters: BTreeMap<TaskId, String> = node.read(|state| {
        let letter = |task: &std::sync::Arc<synod::node::domain::task::Task>| {
            (task.spec.id, task.end().unwrap().outcome.reason().unwrap().to_owned())
        };
        state.dead_letters().map(letter).collect()
    });
    assert_eq!(letters, *dead, "{what}");
    for (key, id) in keys {
        assert_eq!(node.submit(keyed(key)).await.unwrap(), *id, "{what}: {key}");
    }
    let history = node.ended(None, 1000).unwrap();
    assert_eq!(history.len(), results.len() + dead.len(), "{what}: history");
}

/// Starts a node, lets it work, and stops it.
async fn filled(data: &Path, policy: &Policy) -> Acknowledged {
    let node = scripted(data).policy(policy.clone()).start().await.unwrap();
    let acknowledged = fill(&node).await;
    node.stop().await;
    acknowledged
}

/// Returns the log's files, oldest first.
fn log_files(data: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(data.join("log")).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = files.filter(|path| path.extension() == Some("raftlog".as_ref())).collect();
    files.sort();
    files
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_torn_after_what_was_acknowledged_opens_with_all_of_that() {
    let folder = folder();
    let (data, before, torn) =
        (folder.path().join("data"), folder.path().join("before"), folder.path().join("torn"));
    let acknowledged = filled(&data, &Policy::default()).await;
    copy(&data, &before);
    let old = log_files(&before);
    {
        let node = scripted(&data).start().await.unwrap();
        for number in 0..3 {
            node.submit(task("later", &Script::Echo(json!(number)))).await.unwrap();
        }
        node.stop().await;
    }
    let files = log_files(&data);
    let newest = files.last().unwrap();
    let name = newest.file_name().unwrap();
    let end = fs::metadata(newest).unwrap().len();
    let start = old.iter().find(|path| path.file_name() == Some(name));
    let start = start.map_or(0, |path| fs::metadata(path).unwrap().len());
    assert!(end > start, "the second life wrote nothing to {}", newest.display());
    // Positions near the end of what was acknowledged and near the end of the file, and some in between.
    let cuts = [start, start + 1, start + 9, start + (end - start) / 2, end - 100, end - 9, end - 1];
    for cut in cuts {
        let what = format!("cut at {cut} of {start}..{end}");
        copy(&before, &torn);
        for file in &files {
            fs::copy(file, torn.join("log").join(file.file_name().unwrap())).unwrap();
        }
        fs::File::options().write(true).open(torn.join("log").join(name)).unwrap().set_len(cut).unwrap();
        let node = scripted(&torn).start().await.unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_all_there(&node, &acknowledged, &what).await;
        let more = node.submit(task("now", &Script::Echo(json!("more")))).await.unwrap();
        completed(&node, more).await;
        node.stop().await;
        fs::remove_dir_all(&torn).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_misses_acknowledged_records_is_refused_and_says_what_to_do() {
    let folder = folder();
    let data = folder.path().join("data");
    filled(&data, &Policy::default()).await;
    let files = log_files(&data);
    let newest = files.last().unwrap();
    let length = fs::metadata(newest).unwrap().len();
    fs::File::options().write(true).open(newest).unwrap().set_len(length / 2).unwrap();
    let error = scripted(&data).start().await.unwrap_err();
    assert!(matches!(error, Error::Storage(_)), "{error:?}");
    let text = error.to_string();
    assert!(text.contains("acknowledged records are missing") && text.contains("from a backup"), "{text}");
}

type Damage = (&'static str, fn(&Path));

/// What may happen to the files of the state.
const DAMAGES: [Damage; 6] = [
    ("the database is cut in half", |state| {
        let db = fs::File::options().write(true).open(state.join("db")).unwrap();
        db.set_len(db.metadata().unwrap().len() / 2).unwrap();
    }),
    ("the database is empty", |state| {
        fs::File::create(state.join("db")).unwrap();
    }),
    ("the database is garbage", |state| {
        let length = fs::metadata(state.join("db")).unwrap().len();
        fs::write(state.join("db"), vec![0xa5; usize::try_from(length).unwrap()]).unwrap();
    }),
    ("a piece in the middle is garbage", |state| {
        let mut bytes = fs::read(state.join("db")).unwrap();
        let written = bytes.iter().rposition(|byte| *byte != 0).unwrap();
        bytes[written / 2..written / 2 + 2000.min(written / 4)].fill(0xa5);
        fs::write(state.join("db"), bytes).unwrap();
    }),
    ("the database is gone", |state| fs::remove_file(state.join("db")).unwrap()),
    ("the whole folder is gone", |state| fs::remove_dir_all(state).unwrap()),
];

fn state_folder(data: &Path) -> PathBuf {
    let mut entries = fs::read_dir(data).unwrap().map(|entry| entry.unwrap().path());
    let is_state = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().starts_with("state-");
    entries.find(is_state).expect("a folder of the state")
}

async fn assert_repaired(good: &Path, data: &Path, acknowledged: &Acknowledged, damage: &Damage) -> u64 {
    let (what, damage) = damage;
    copy(good, data);
    damage(&state_folder(data));
    let node = scripted(data).start().await.unwrap_or_else(|error| panic!("{what}: {error}"));
    let repair = node.repaired().unwrap_or_else(|| panic!("{what}: it was not noticed")).clone();
    assert!(!repair.reason.is_empty(), "{what}: no reason is given");
    assert_all_there(&node, acknowledged, what).await;
    node.stop().await;
    let node = scripted(data).start().await.unwrap();
    assert_eq!(node.repaired(), None, "{what}: it is repaired again");
    assert_all_there(&node, acknowledged, what).await;
    let more = node.submit(task("now", &Script::Echo(json!("more")))).await.unwrap();
    completed(&node, more).await;
    node.stop().await;
    fs::remove_dir_all(data).unwrap();
    repair.restored_through
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_state_is_rebuilt_from_the_log_and_nothing_is_lost() {
    let folder = folder();
    let (good, data) = (folder.path().join("good"), folder.path().join("data"));
    let acknowledged = filled(&good, &Policy::default()).await;
    for damage in &DAMAGES {
        let through = assert_repaired(&good, &data, &acknowledged, damage).await;
        assert_eq!(through, 0, "there was no snapshot");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_state_is_rebuilt_from_a_snapshot_and_nothing_is_lost() {
    let folder = folder();
    let (good, data) = (folder.path().join("good"), folder.path().join("data"));
    let policy = Policy {
        checkpoint_interval: Duration::from_millis(5),
        snapshot_log_entries: 10,
        ..Policy::default()
    };
    let acknowledged = filled(&good, &policy).await;
    for damage in [DAMAGES[0], DAMAGES[5]] {
        let through = assert_repaired(&good, &data, &acknowledged, &damage).await;
        assert!(through > 0, "there was a snapshot");
    }
}
