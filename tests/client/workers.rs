//! `synod worker`: programs, leases that are lost, and leaving.

use std::path::Path;

use rustix::process::Signal;
use synod::api::{NewTask, Task, TaskStatus};
use tokio::process::{Child, Command};

use crate::support::{Served, ended, ending, eventually, lines, signal};

async fn submit(served: &Served, payload: &str) -> String {
    let task = NewTask {
        kind: "work".to_owned(),
        payload: synod::api::Json::from_text(payload.to_owned()),
        retry: Some(synod::api::Retry { max_attempts: Some(1), ..Default::default() }),
        ..NewTask::default()
    };
    served.client().submit(&task).await.unwrap().task_id.unwrap()
}

fn worker(served: &Served, args: &[&str], script: &str) -> Command {
    let mut command = served.call(&["worker", "--name", "ada"]);
    command.args(args).args(["--", "sh", "-c", script]).arg(served.folder.path().join("seen"));
    command
}

async fn task_when(served: &Served, task: &str, status: TaskStatus) -> Task {
    let client = served.client();
    eventually(&format!("{task} is {status:?}"), async || {
        client.task(task).await.ok().filter(|task| task.status == status)
    })
    .await
}

async fn leave(worker: Child) -> crate::support::Said {
    signal(&worker, Signal::TERM);
    ending(worker).await
}

/// Tells whether a process runs: one that ended and that nobody has collected yet does not.
fn is_running(pid: &str) -> bool {
    let stat = std::fs::read_to_string(Path::new("/proc").join(pid).join("stat"));
    stat.is_ok_and(|stat| !stat.rsplit_once(')').is_some_and(|(_, rest)| rest.starts_with(" Z")))
}

#[tokio::test]
async fn results_failures_progress_and_usage_reach_the_node() {
    let served = Served::start().await;
    let script = r#"
        input=$(cat)
        echo '{"type":"progress","percent":40,"message":"half"}' >&3
        echo '{"type":"usage","tokens_in":7,"tokens_out":3}' >&3
        case $input in *bad*) echo the disk is on fire >&2; exit 4;; esac
        echo '{"ok":true}'"#;
    let running = worker(&served, &["--concurrency", "2"], script).spawn().unwrap();
    let (good, bad) = (submit(&served, "\"good\"").await, submit(&served, "\"bad\"").await);
    let done = task_when(&served, &good, TaskStatus::Completed).await;
    assert_eq!(done.result.unwrap().text(), r#"{"ok":true}"#);
    assert_eq!((done.usage.tokens_in, done.usage.tokens_out), (7, 3));
    let failed = task_when(&served, &bad, TaskStatus::Failed).await;
    assert!(failed.reason.unwrap().contains("the disk is on fire"));
    assert_eq!(served.client().agent("ada").await.unwrap().concurrency, 2);
    let said = leave(running).await;
    said.assert_code(0);
    assert!(said.err.contains("1 completed, 1 failed, 0 lost, 0 given back"), "{said:#?}");
}

#[tokio::test]
async fn a_worker_asks_for_a_tool_and_goes_on_when_somebody_agrees() {
    let served = Served::start().await;
    let policy = served.folder.path().join("tools.yaml");
    std::fs::write(&policy, "name: tools\nrules:\n  - {action: tool.shell, effect: require_approval}\n")
        .unwrap();
    served.json(&["policy", "put", policy.to_str().unwrap()]).await;
    let token = served.said(&["token", "create", "ada", "--kind", "worker", "-q"]).await;
    let file = served.folder.path().join("worker-token");
    std::fs::write(&file, token.out.trim()).unwrap();
    let script = r#"
        for tool in shell rocket; do
            printf '{"type":"tool_request","id":"%s","tool":"%s","attributes":{"command":"make"}}\n' $tool $tool >&3
        done
        read -r first <&4; read -r second <&4
        printf '[%s,%s]' "$first" "$second""#;
    let running = worker(&served, &["--token-file", file.to_str().unwrap()], script).spawn().unwrap();
    let task = submit(&served, "1").await;
    let approval = eventually("an approval is asked for", async || {
        let listed = served.json(&["approval", "list"]).await;
        Some(listed["items"][0]["id"].as_str()?.to_owned())
    })
    .await;
    served.json(&["approval", "approve", &approval, "--reason", "once"]).await;
    let done = task_when(&served, &task, TaskStatus::Completed).await;
    let answers: Vec<serde_json::Value> = serde_json::from_str(done.result.unwrap().text()).unwrap();
    let of = |tool: &str| answers.iter().find(|answer| answer["id"] == tool).unwrap();
    assert_eq!(of("shell")["allowed"], true);
    assert_eq!(
        (&of("shell")["approval_id"], &of("shell")["approval_status"]),
        (&approval.into(), &"approved".into())
    );
    // No rule is about it.
    assert_eq!((&of("rocket")["allowed"], &of("rocket")["decision"]), (&false.into(), &"deny".into()));
    leave(running).await.assert_code(0);
}

#[tokio::test]
async fn a_cancelled_task_stops_its_program_and_the_worker_goes_on() {
    let served = Served::start().await;
    let script = r#"case $(cat) in *long*) echo $$ >> "$0"; sleep 600;; esac; echo '"short"'"#;
    let running = worker(&served, &[], script).spawn().unwrap();
    let seen = served.folder.path().join("seen");
    let long = submit(&served, "\"long\"").await;
    let pid = eventually("it runs", async || lines(&seen).pop()).await;
    served.json(&["task", "cancel", &long]).await;
    eventually("its program is gone", async || (!is_running(&pid)).then_some(())).await;
    let short = submit(&served, "\"short\"").await;
    task_when(&served, &short, TaskStatus::Completed).await;
    let said = leave(running).await;
    assert!(said.err.contains("1 completed, 0 failed, 1 lost, 0 given back"), "{said:#?}");
    said.assert_code(0);
}

#[tokio::test]
async fn sigterm_gives_back_what_is_not_finished_in_time_and_leaves_no_program() {
    let served = Served::start().await;
    let script = r#"echo $$ >> "$0"; sleep 600"#;
    let running = worker(&served, &["--drain", "0s"], script).spawn().unwrap();
    let seen = served.folder.path().join("seen");
    let task = submit(&served, "1").await;
    let pid = eventually("it runs", async || lines(&seen).pop()).await;
    let said = leave(running).await;
    said.assert_code(143);
    assert!(said.err.contains("0 lost, 1 given back"), "{said:#?}");
    assert!(!is_running(&pid), "no program outlives its worker");
    let back = served.client().task(&task).await.unwrap();
    assert_eq!((back.status, back.failures, back.losses), (TaskStatus::Pending, 0, 0), "{back:#?}");
    assert_eq!(served.client().agent("ada").await.expect_err("gone").status(), Some(404));
}

#[tokio::test]
async fn sigterm_lets_what_it_has_finish() {
    let served = Served::start().await;
    let go = served.folder.path().join("go");
    let script = format!(r#"echo $$ >> "$0"; while [ ! -e {} ]; do sleep 0.05; done; echo 1"#, go.display());
    let running = worker(&served, &[], &script).spawn().unwrap();
    let seen = served.folder.path().join("seen");
    let task = submit(&served, "1").await;
    eventually("it runs", async || lines(&seen).pop()).await;
    signal(&running, Signal::TERM);
    std::fs::write(&go, "").unwrap();
    let said = ending(running).await;
    said.assert_code(0);
    assert!(said.err.contains("1 completed, 0 failed, 0 lost, 0 given back"), "{said:#?}");
    assert_eq!(served.client().task(&task).await.unwrap().status, TaskStatus::Completed);
}

#[tokio::test]
async fn work_that_ends_while_the_node_is_away_is_told_when_it_is_back() {
    let mut served = Served::start().await;
    let go = served.folder.path().join("go");
    let script = format!(
        r#"echo began >> "$0"; while [ ! -e {} ]; do sleep 0.05; done; echo ended >> "$0"; echo '"late"'"#,
        go.display()
    );
    let running = worker(&served, &[], &script).spawn().unwrap();
    let seen = served.folder.path().join("seen");
    let task = submit(&served, "1").await;
    eventually("it runs", async || lines(&seen).pop()).await;
    served.kill().await;
    std::fs::write(&go, "").unwrap();
    eventually("it ended", async || (lines(&seen).len() == 2).then_some(())).await;
    served.start_again().await;
    let done = task_when(&served, &task, TaskStatus::Completed).await;
    assert_eq!((done.result.unwrap().text(), done.attempt), ("\"late\"", 1));
    leave(running).await.assert_code(0);
    assert_eq!(lines(&seen), ["began", "ended"], "it ran once");
}

#[tokio::test]
async fn a_worker_that_cannot_work_says_why_before_it_claims() {
    let served = Served::start().await;
    let missing = served.said(&["worker", "--", "no-such-program-anywhere"]).await;
    missing.assert_code(2);
    assert!(missing.err.contains("no-such-program-anywhere"), "{missing:#?}");
    served.said(&["worker", "--token", "wrong", "--", "true"]).await.assert_code(77);
    assert_eq!(served.client().agents(&Default::default(), &Default::default()).await.unwrap().items, []);

    let first = worker(&served, &[], "cat").spawn().unwrap();
    let client = served.client();
    eventually("the first is there", async || client.agent("ada").await.ok()).await;
    let second = ended(worker(&served, &[], "cat")).await;
    second.assert_code(2);
    assert!(second.err.contains("runs on this machine already"), "{second:#?}");
    leave(first).await.assert_code(0);
}
