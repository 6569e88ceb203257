//! Workers through restarts and lost answers: each task is completed exactly once.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Stdio;

use rustix::process::Signal;
use synod::api::{Json, NewTask, Task, TaskStatus};
use synod::client::TaskQuery;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use crate::lossy::Lossy;
use crate::support::{PATIENCE, Served, ending, eventually, lines, signal};

async fn submit(served: &Served, count: usize) -> BTreeSet<String> {
    let client = served.client();
    let mut tasks = BTreeSet::new();
    let new = |number| NewTask {
        kind: "echo".to_owned(),
        payload: Some(Json::of(&number).unwrap()),
        required_capabilities: vec!["echo".to_owned()],
        ..NewTask::default()
    };
    for submitted in client.submit_many((0..count).map(new).collect()).await.unwrap() {
        assert!(tasks.insert(submitted.task_id.expect("accepted")));
    }
    tasks
}

async fn all_tasks(served: &Served) -> Vec<Task> {
    let client = served.client();
    let (mut all, mut query) = (Vec::new(), TaskQuery::default());
    loop {
        let page = client.tasks(&query).await.unwrap();
        all.extend(page.items);
        query.page.cursor = page.next_cursor;
        if query.page.cursor.is_none() {
            return all;
        }
    }
}

/// Holds that every task was completed by its first and only attempt.
async fn assert_completed_once(served: &Served, submitted: &BTreeSet<String>) {
    let all = all_tasks(served).await;
    assert_eq!(all.iter().map(|task| task.id.clone()).collect::<BTreeSet<_>>(), *submitted);
    for task in all {
        let ends: Vec<&str> = task.attempts.iter().map(|attempt| attempt.end.as_str()).collect();
        let seen = (task.status, task.attempt, task.losses, task.failures, ends);
        assert_eq!(seen, (TaskStatus::Completed, 1, 0, 0, vec!["completed"]), "{task:#?}");
    }
}

/// Describes the worker of the examples, which asks the node at `url`.
fn python(served: &Served, url: &str) -> Command {
    let log = std::fs::File::create(served.folder.path().join("worker.log")).unwrap();
    let mut worker = Command::new("python3");
    worker.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join("worker.py")).arg("echo");
    worker.env("SYNOD_URL", url).env("SYNOD_TOKEN", served.token());
    worker.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).kill_on_drop(true);
    worker
}

/// Waits until so many tasks are completed.
async fn all_completed(served: &Served, count: u64) {
    let client = served.client();
    eventually("all are completed", async || {
        let stats = client.stats().await.ok()?;
        (stats.completed == count).then_some(())
    })
    .await;
}

#[tokio::test]
async fn python_worker_completes_each_task_once_when_answers_are_lost() {
    let (served, lossy) = Lossy::serve().await;
    let submitted = submit(&served, 30).await;
    let _worker = python(&served, &lossy.url).spawn().unwrap();
    all_completed(&served, 30).await;
    assert_completed_once(&served, &submitted).await;
    assert!(lossy.lost() >= 20, "{} answers were lost", lossy.lost());
}

#[tokio::test]
async fn synod_worker_completes_each_task_once_when_answers_are_lost() {
    let (served, lossy) = Lossy::serve().await;
    let submitted = submit(&served, 30).await;
    let call = ["worker", "--capability", "echo", "--url", &lossy.url, "--", "cat"];
    let _worker = served.call(&call).spawn().unwrap();
    all_completed(&served, 30).await;
    assert_completed_once(&served, &submitted).await;
    assert!(lossy.lost() >= 20, "{} answers were lost", lossy.lost());
}

#[tokio::test]
async fn python_worker_completes_each_of_1000_tasks_once_while_the_node_is_killed_five_times() {
    let mut served = Served::start().await;
    let submitted = submit(&served, 1000).await;
    let mut worker = python(&served, &served.url).spawn().unwrap();
    let mut said = BufReader::new(worker.stdout.take().unwrap()).lines();

    let mut told = BTreeSet::new();
    let mut kills = vec![850, 650, 450, 250, 50];
    while told.len() < submitted.len() {
        let line = tokio::time::timeout(PATIENCE, said.next_line()).await;
        let log = || std::fs::read_to_string(served.folder.path().join("worker.log")).unwrap();
        let line = line.unwrap_or_else(|_| panic!("{} told, then nothing: {}", told.len(), log()));
        let line = line.unwrap().unwrap_or_else(|| panic!("the worker ended: {}", log()));
        let (task, status) = line.split_once(' ').unwrap();
        assert_eq!(status, "completed", "{line}");
        assert!(told.insert(task.to_owned()), "told twice: {line}");
        if kills.last() == Some(&told.len()) {
            kills.pop();
            served.kill_and_start_again().await;
        }
    }
    assert_eq!(kills, Vec::<usize>::new(), "the node was killed five times");
    assert_eq!(told, submitted);
    assert_completed_once(&served, &submitted).await;
}

#[tokio::test]
async fn synod_worker_completes_each_task_once_while_the_node_is_killed_twice() {
    let mut served = Served::start().await;
    let submitted = submit(&served, 200).await;
    let runs = served.folder.path().join("runs");
    let script = "echo $SYNOD_TASK_ID >> \"$0\"; cat";
    let mut worker = served.call(&["worker", "--capability", "echo", "--concurrency", "8"]);
    worker.args(["--", "sh", "-c", script]).arg(&runs);
    let worker = worker.spawn().unwrap();

    for enough in [50, 120] {
        eventually("so many runs", async || (lines(&runs).len() >= enough).then_some(())).await;
        served.kill_and_start_again().await;
    }
    all_completed(&served, 200).await;
    signal(&worker, Signal::TERM);
    let said = ending(worker).await;
    said.assert_code(0);
    assert!(said.err.contains("200 completed, 0 failed, 0 lost, 0 given back"), "{said:#?}");
    assert_eq!(said.out, "");
    assert_completed_once(&served, &submitted).await;
    let ran = lines(&runs);
    assert_eq!((ran.len(), ran.into_iter().collect::<BTreeSet<_>>()), (200, submitted), "each ran once");
    assert_eq!(
        served.client().agents(&Default::default(), &Default::default()).await.unwrap().items,
        [],
        "it said goodbye"
    );
}
