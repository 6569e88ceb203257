//! Hooks over the API: made, found, fenced and ended, by an agent outside.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use synod::hooks::HookSettings;

use crate::support::{Answer, Api, options};

fn git(at: &Path, arguments: &[&str]) {
    let who = ["-c", "user.name=somebody", "-c", "user.email=somebody@localhost"];
    let status = Command::new("git").arg("-C").arg(at).args(who).args(arguments).status().unwrap();
    assert!(status.success(), "git {arguments:?}");
}

fn repository(api: &Api) -> PathBuf {
    let path = api.folder().join("repository");
    std::fs::create_dir(&path).unwrap();
    git(&path, &["init", "--quiet", "--initial-branch", "main"]);
    git(&path, &["commit", "--quiet", "--allow-empty", "--message", "begin"]);
    path
}

async fn serving() -> Api {
    Api::built(options(), synod::http::routes(), |node| node.hooks(HookSettings::default())).await
}

fn made(answer: &Answer) -> String {
    assert_eq!(answer.status.as_u16(), 201, "{answer:#?}");
    answer.json()["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_hook_is_made_found_fenced_and_completed() {
    let api = serving().await;
    let repository = repository(&api);
    let agent = api.agent("worker", &[]).await;
    let other = api.agent("other", &[]).await;
    let new = json!({
        "agent_id": agent, "repository": repository, "work": { "file": "api.py" }, "branch": "agent/refactor",
        "max_retries": 1,
    });
    let answer = api.post("/api/v1/hooks", &new).await;
    let id = made(&answer);
    let hook = answer.json();
    assert_eq!((&hook["status"], &hook["attempt"]), (&json!("PENDING"), &json!(1)));
    let worktree = PathBuf::from(hook["worktree"].as_str().unwrap());
    assert!(worktree.join(".git").exists() && hook.get("trouble").is_none(), "{hook:#}");
    let place = format!("/api/v1/hooks/{id}");
    for list in
        ["/api/v1/hooks/pending".to_owned(), format!("/api/v1/hooks?agent={agent}&status=PENDING,ACTIVE")]
    {
        let items = api.get(&list).await.json()["items"].clone();
        assert_eq!(items[0]["id"], json!(id), "{list}: {items:#}");
        assert!(items[0].get("work").is_none(), "lists leave the work out");
    }
    for none in ["status=FAILED", "workspace=another", &format!("agent={other}")] {
        assert_eq!(api.get(&format!("/api/v1/hooks?{none}")).await.json()["items"], json!([]), "{none}");
    }
    let started = api.post(&format!("{place}/start"), &json!({ "attempt": 1 })).await.json();
    assert_eq!((&started["status"], &started["work"]), (&json!("ACTIVE"), &json!({ "file": "api.py" })));
    let failed = api.post(&format!("{place}/fail"), &json!({ "attempt": 1, "reason": "red" })).await.json();
    assert_eq!(
        (&failed["status"], &failed["attempt"], &failed["last_error"]),
        (&json!("PENDING"), &json!(2), &json!("red"))
    );
    let complete = |attempt: u32| json!({ "attempt": attempt, "result": { "tests_passed": true } });
    api.post(&format!("{place}/complete"), &complete(1)).await.assert_problem(409, "hook_fenced");
    let reassigned = api.post(&format!("{place}/reassign"), &json!({ "agent_id": other })).await.json();
    assert_eq!((&reassigned["agent_id"], &reassigned["attempt"]), (&json!(other), &json!(3)));
    let delete = || api.call(reqwest::Method::DELETE, &place);
    crate::support::send(delete()).await.assert_problem(409, "hook_in_use");
    let completed = api.post(&format!("{place}/complete"), &complete(3)).await.json();
    assert_eq!(
        (&completed["status"], &completed["result"]),
        (&json!("COMPLETED"), &json!({ "tests_passed": true }))
    );
    api.post(&format!("{place}/start"), &json!({ "attempt": 3 })).await.assert_problem(409, "hook_ended");
    assert_eq!(crate::support::send(delete()).await.status.as_u16(), 204);
    api.get(&place).await.assert_problem(404, "hook_unknown");
    api.stop().await;
}

#[tokio::test]
async fn the_same_request_makes_one_hook_and_its_agent_gets_one_task() {
    let api = serving().await;
    let repository = repository(&api);
    let agent = api.agent("worker", &[]).await;
    let new = json!({ "agent_id": agent, "repository": repository, "work": "look" });
    let send = async || {
        let request =
            api.call(reqwest::Method::POST, "/api/v1/hooks").header("Idempotency-Key", "one").json(&new);
        made(&crate::support::send(request).await)
    };
    assert_eq!(send().await, send().await);
    let hook = api.get("/api/v1/hooks").await.json()["items"][0].clone();
    let task = format!("/api/v1/tasks/{}", hook["task_id"].as_str().unwrap());
    let found = loop {
        let answer = api.get(&task).await;
        if answer.status.as_u16() == 200 {
            break answer.json();
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    };
    let payload = &found["payload"];
    assert_eq!(
        (&payload["hook"], &payload["attempt"], &payload["work"]),
        (&hook["id"], &json!(1), &json!("look"))
    );
    assert_eq!(payload["worktree"], hook["worktree"]);
    // How the task ends is how the hook ends.
    let claimed = api.claim(&agent, 5).await;
    assert_eq!(claimed.len(), 1, "{claimed:#?}");
    let complete = json!({ "attempt": claimed[0]["attempt"], "result": { "done": 1 } });
    let ended = api.post(&format!("{task}/complete"), &complete).await;
    assert_eq!(ended.status.as_u16(), 200, "{ended:#?}");
    let place = format!("/api/v1/hooks/{}", hook["id"].as_str().unwrap());
    loop {
        let hook: Value = api.get(&place).await.json();
        if hook["status"] == "COMPLETED" {
            assert_eq!(hook["result"], json!({ "done": 1 }));
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    api.stop().await;
}

#[tokio::test]
async fn a_hook_is_made_once_under_its_id_and_whoever_waits_for_its_end_is_answered_by_it() {
    let api = serving().await;
    let repository = repository(&api);
    let agent = api.agent("worker", &[]).await;
    let id = "hook_01kxs5c9v40010mgr61qf4tqjs";
    let new = json!({ "agent_id": agent, "repository": repository, "work": "look", "id": id });
    for _ in 0..2 {
        assert_eq!(made(&api.post("/api/v1/hooks", &new).await), id);
    }
    let place = format!("/api/v1/hooks/{id}");
    let at_once = api.get(&format!("{place}/wait?timeout_ms=0")).await.json();
    assert_eq!(at_once["status"], "PENDING", "as it stands when the time is over");
    let wait = format!("{place}/wait?timeout_ms=60000");
    let waits = api.get(&wait);
    let ends = async {
        let complete = json!({ "attempt": 1, "result": 7 });
        assert_eq!(api.post(&format!("{place}/complete"), &complete).await.status.as_u16(), 200);
    };
    let (waited, ()) = tokio::join!(waits, ends);
    assert_eq!((&waited.json()["status"], &waited.json()["result"]), (&json!("COMPLETED"), &json!(7)));
    api.get("/api/v1/hooks/hook_01kxs5c9v40010mgr61qf4tqj0/wait").await.assert_problem(404, "hook_unknown");
    // In place of an agent its pool.
    let of_pool = |pool: &str| json!({ "pool": pool, "repository": repository, "work": 1 });
    api.post("/api/v1/hooks", &of_pool("none")).await.assert_problem(404, "pool_unknown");
    let mut both = of_pool("none");
    both["agent_id"] = json!(agent);
    api.post("/api/v1/hooks", &both).await.assert_problem(400, "invalid");
    let pool = json!({ "name": "outside", "runtime": "external", "max": 5 });
    assert!(api.post("/api/v1/pools", &pool).await.status.is_success());
    api.post("/api/v1/hooks", &of_pool("outside")).await.assert_problem(409, "hook_without_agent");
    api.stop().await;
}

#[tokio::test]
async fn what_is_wrong_with_a_repository_is_said_with_a_hint() {
    let api = serving().await;
    let repository = repository(&api);
    let agent = api.agent("worker", &[]).await;
    let new = |repository: &Path, branch: &str| json!({ "agent_id": agent, "repository": repository, "work": null, "branch": branch });
    let post = async |body: Value| api.post("/api/v1/hooks", &body).await;
    post(new(Path::new("/no/such/folder"), "b")).await.assert_problem(404, "repository_missing");
    post(new(&repository, "main")).await.assert_problem(409, "branch_in_use");
    post(new(&repository, "-b")).await.assert_problem(400, "invalid");
    api.get("/api/v1/hooks?status=LOST").await.assert_problem(400, "invalid");
    let import = json!({ "repository": repository });
    assert_eq!(api.post("/api/v1/hooks/import", &import).await.json(), json!({ "hooks": [] }));
    api.stop().await;
    let plain = Api::start().await;
    let agent = plain.agent("worker", &[]).await;
    let none = json!({ "agent_id": agent, "repository": "/", "work": null });
    plain.post("/api/v1/hooks", &none).await.assert_problem(409, "hooks_not_kept");
    plain.stop().await;
}
