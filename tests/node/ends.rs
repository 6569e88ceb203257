//! How work ends: poison, retries, timeouts, cancel.

use std::time::Duration;

use serde_json::json;
use synod::node::domain::limits::Limits;
use synod::node::domain::task::{AttemptEnd, Phase, Timeouts};
use synod::node::{NewTask, Node, Pool};

use crate::support::{
    PATIENCE, Script, completed, eventually, folder, quick_retry, reason, running, scripted, task,
};

#[tokio::test(flavor = "multi_thread")]
async fn poison_becomes_a_dead_letter_with_its_reason_while_others_go_on() {
    let folder = folder();
    let node = scripted(folder.path()).start().await.unwrap();
    node.put_pool(Pool::native("natives", "script").unwrap().size(2)).await.unwrap();
    let program = ["sh", "-c", "read line; case $line in *poison*) echo 'it hurts' >&2; kill -9 $$;; esac"];
    node.put_pool(Pool::process("programs", &program).unwrap().size(2)).await.unwrap();
    let panics = Script::Panic("I was not made for this".to_owned());
    let native = node.submit(task("natives", &panics)).await.unwrap();
    let poison = NewTask::to_pool("programs", "work", &"poison").unwrap().retry(quick_retry(3));
    let process = node.submit(poison).await.unwrap();
    let mut others = Vec::new();
    for number in 0..10 {
        others.push(node.submit(task("natives", &Script::Echo(json!(number)))).await.unwrap());
        let good = NewTask::to_pool("programs", "work", &number).unwrap();
        others.push(node.submit(good).await.unwrap());
    }
    for other in others {
        let ended = tokio::time::timeout(PATIENCE, node.wait(other)).await.unwrap().unwrap();
        assert_eq!((ended.phase(), ended.attempt), (Phase::Completed, 1));
    }
    for (poison, words) in [(native, "I was not made for this"), (process, "it hurts")] {
        let (phase, why) = reason(&node, poison).await;
        assert_eq!(phase, "failed");
        assert!(why.contains(words), "{why}");
        assert_eq!(node.task(poison).unwrap().failures, 3);
    }
    let (_, why) = reason(&node, process).await;
    assert!(why.contains("SIGKILL") || why.contains("signal 9") || why.contains("signal: 9"), "{why}");
    let letters: Vec<_> = node.read(|state| state.dead_letters().map(|task| task.spec.id).collect());
    assert_eq!(letters, [native, process]);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_work_is_tried_again_as_often_as_its_policy_says_and_not_before_its_wait() {
    let folder = folder();
    let node = scripted(folder.path()).start().await.unwrap();
    node.put_pool(Pool::native("natives", "script").unwrap()).await.unwrap();
    let third = node.submit(task("natives", &Script::FailUntil(3)).retry(quick_retry(3))).await.unwrap();
    assert_eq!(completed(&node, third).await["attempt"], 3);
    let failed = |number: u32| AttemptEnd::Failed(format!("attempt {number} is too early").into());
    let ends: Vec<_> = node.task(third).unwrap().attempts.iter().map(|one| one.end.clone()).collect();
    assert_eq!(ends, [failed(1), failed(2), AttemptEnd::Completed]);

    let fourth = node.submit(task("natives", &Script::FailUntil(4)).retry(quick_retry(3))).await.unwrap();
    assert_eq!(reason(&node, fourth).await, ("failed".to_owned(), "attempt 3 is too early".to_owned()));

    let mut slow = quick_retry(2);
    slow.initial = Duration::from_millis(400);
    slow.max = slow.initial;
    let waits = node.submit(task("natives", &Script::FailUntil(2)).retry(slow)).await.unwrap();
    completed(&node, waits).await;
    let attempts = node.task(waits).unwrap().attempts.clone();
    let waited = attempts[1].leased_at.since(attempts[0].ended_at);
    assert!((200..10_000).contains(&waited.as_millis()), "it waited {waited:?}");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_timeout_ends_a_task_with_a_reason_that_says_which() {
    let folder = folder();
    let limits = Limits { grace: Duration::from_millis(1), ..Limits::default() };
    let node = scripted(folder.path()).limits(limits).start().await.unwrap();
    node.put_pool(Pool::native("natives", "script").unwrap().size(4)).await.unwrap();
    node.put_pool(Pool::external("nobody").unwrap().between(0, 1)).await.unwrap();
    let short = Some(Duration::from_millis(150));
    let once = |pool, timeouts| task(pool, &Script::Hang).timeouts(timeouts).retry(quick_retry(1));
    let none = Timeouts::default;
    let cases = [
        (once("natives", Timeouts { running: short, ..none() }), "attempt 1 ran longer than 150ms"),
        (once("natives", Timeouts { silence: short, ..none() }), "attempt 1 gave no heartbeat for 150ms"),
        (once("nobody", Timeouts { waiting: short, ..none() }), "no agent started it within 150ms"),
        (once("natives", none()).deadline(short), "its deadline passed"),
        (once("nobody", none()).deadline(short), "its deadline passed"),
    ];
    for (new, expected) in cases {
        let id = node.submit(new).await.unwrap();
        assert_eq!(reason(&node, id).await, ("timed_out".to_owned(), expected.to_owned()));
    }
    // A timeout of one attempt is a failure like any other: the next attempt may be quicker.
    let first = task("natives", &Script::HangFirst).timeouts(Timeouts { running: short, ..none() });
    let first = node.submit(first).await.unwrap();
    assert_eq!(completed(&node, first).await["attempt"], 2);
    node.stop().await;
}

/// Returns the processes that work on a task, by the mark in their environment.
fn processes_of(task: &str) -> Vec<String> {
    let mark = format!("SYNOD_TASK_ID={task}");
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let of_task = entries.filter(|entry| {
        let environment = std::fs::read(entry.path().join("environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes())
    });
    of_task.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

async fn programs(node: &Node) {
    let program = ["sh", "-c", "trap '' TERM; sleep 300 & sleep 300 & wait; sleep 300"];
    node.put_pool(Pool::process("programs", &program).unwrap()).await.unwrap();
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn cancel_of_a_running_program_ends_its_whole_group() {
    let folder = folder();
    let node = scripted(folder.path()).kill_grace(Duration::from_millis(200)).start().await.unwrap();
    programs(&node).await;
    let id = node.submit(NewTask::to_pool("programs", "work", &"x").unwrap()).await.unwrap();
    running(&node, id).await;
    let id_text = id.to_string();
    eventually("the program and its children", || (processes_of(&id_text).len() >= 3).then_some(())).await;
    node.cancel(id, "nobody wants it any more").await.unwrap();
    assert_eq!(reason(&node, id).await, ("cancelled".to_owned(), "nobody wants it any more".to_owned()));
    eventually("the group is gone", || processes_of(&id_text).is_empty().then_some(())).await;
    let again = node.cancel(id, "once more").await;
    assert!(again.is_ok(), "cancelling twice is no mistake: {again:?}");
    node.stop().await;
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn stop_leaves_no_program_behind_even_one_that_does_not_listen() {
    let folder = folder();
    let quick = Duration::from_millis(200);
    let node = scripted(folder.path()).drain(quick).kill_grace(quick).start().await.unwrap();
    programs(&node).await;
    let id = node.submit(NewTask::to_pool("programs", "work", &"x").unwrap()).await.unwrap();
    let id_text = id.to_string();
    eventually("the program and its children", || (processes_of(&id_text).len() >= 3).then_some(())).await;
    node.stop().await;
    assert_eq!(processes_of(&id_text), Vec::<String>::new());
}
