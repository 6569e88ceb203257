//! Submitting tasks, looking at them, waiting for them, calling them off.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Api, PATIENCE, send};

#[tokio::test]
async fn task_is_shown_as_it_was_submitted_whole_when_asked_for_and_without_payload_in_lists() {
    let api = Api::start().await;
    api.post("/api/v1/pools", &json!({ "name": "builders", "runtime": "external" })).await;
    let id = api
        .submit(&json!({
            "type": "review", "payload": { "path": "src/lib.rs", "n": 1.5 }, "pool": "builders",
            "required_capabilities": ["rust@1.95", "git"], "priority": "high", "workspace": "team-a",
            "labels": { "team": "search" }, "metadata": { "ticket": [1, 2] }, "waiting_timeout_ms": 60_000,
            "running_timeout_ms": 0, "silence_timeout_ms": 5000, "deadline_ms": 3_600_000,
            "retry": { "max_attempts": 7, "backoff_ms": 10 },
        }))
        .await;
    let task = api.task(&id).await;
    let expected = json!({
        "id": id, "type": "review", "workspace": "team-a", "pool": "builders", "status": "pending",
        "priority": "high", "lane": "high", "required_capabilities": ["git", "rust@1.95"],
        "labels": { "team": "search" }, "metadata": { "ticket": [1, 2] },
        "payload": { "path": "src/lib.rs", "n": 1.5 }, "waiting_timeout_ms": 60_000, "silence_timeout_ms": 5000,
        "attempt": 0, "max_attempts": 7, "failures": 0, "losses": 0, "attempts": [],
        "usage": { "tokens_in": 0, "tokens_out": 0, "cost_microusd": 0 },
    });
    for (field, value) in expected.as_object().unwrap() {
        assert_eq!(&task[field], value, "{field}");
    }
    assert!(task.get("running_timeout_ms").is_none(), "0 means for ever");
    assert!(task["deadline"].as_str() > task["submitted_at"].as_str());
    let line = api.get("/api/v1/tasks").await.json()["items"][0].clone();
    assert_eq!(line["id"], json!(id));
    assert!(line.get("payload").is_none() && line["payload_bytes"].as_u64() > Some(10), "{line:#}");
    api.stop().await;
}

#[tokio::test]
async fn text_of_a_payload_is_carried_as_it_came() {
    let api = Api::start().await;
    let body = r#"{"type":"a","payload":{"n": 1.50, "b": 12345678901234567890123, "b": 1e400}}"#;
    let made = send(api.call(Method::POST, "/api/v1/tasks").body(body)).await;
    assert_eq!(made.status.as_u16(), 201, "{made:#?}");
    let shown = api.get(made.header("location")).await;
    assert!(
        shown.body.contains(r#""payload":{"n": 1.50, "b": 12345678901234567890123, "b": 1e400}"#),
        "{shown:?}"
    );
    api.stop().await;
}

#[tokio::test]
async fn same_idempotency_key_answers_with_the_same_task_and_other_content_is_refused() {
    let api = Api::start().await;
    let submit = |kind: &'static str| {
        send(
            api.call(Method::POST, "/api/v1/tasks")
                .header("Idempotency-Key", "k-1")
                .json(&json!({ "type": kind })),
        )
    };
    let first = submit("a").await;
    assert_eq!(first.status.as_u16(), 201);
    let id = first.json()["task_id"].clone();
    assert_eq!(first.header("location"), format!("/api/v1/tasks/{}", id.as_str().unwrap()));
    let again = submit("a").await;
    assert_eq!((again.status.as_u16(), again.json()), (200, json!({ "task_id": id, "duplicate": true })));
    submit("b").await.assert_problem(409, "idempotency_conflict");
    api.stop().await;
}

#[tokio::test]
async fn batch_is_judged_task_by_task_and_answered_in_its_order() {
    let api = Api::start().await;
    let batch = json!([{ "type": "a" }, { "type": "b", "pool": "nowhere" }, { "type": "not a name" }, { "type": "d" }]);
    let answer = api.post("/api/v1/tasks", &batch).await;
    assert_eq!(answer.status.as_u16(), 200);
    let answers = answer.json();
    let codes: Vec<&Value> = answers.as_array().unwrap().iter().map(|one| &one["problem"]["code"]).collect();
    assert_eq!(codes, [&Value::Null, &json!("pool_unknown"), &json!("invalid"), &Value::Null]);
    assert_eq!(answers[1]["problem"]["request_id"], answer.header("x-request-id"));
    for (at, kind) in [(0, "a"), (3, "d")] {
        assert_eq!(api.task(answers[at]["task_id"].as_str().unwrap()).await["type"], kind);
    }
    let empty = api.post("/api/v1/tasks", &json!([])).await;
    empty.assert_problem(400, "invalid");
    let too_many: Vec<Value> = (0..1001).map(|_| json!({ "type": "a" })).collect();
    let refused = api.post("/api/v1/tasks", &json!(too_many)).await;
    refused.assert_problem(400, "invalid");
    assert!(refused.json()["detail"].as_str().unwrap().contains("this one has 1001"), "{refused:?}");
    api.stop().await;
}

#[tokio::test]
async fn what_a_submit_says_wrong_is_named() {
    let api = Api::start().await;
    let wrongs = [
        (json!({}), "type"),
        (json!({ "type": "a", "colour": "red" }), "colour"),
        (json!({ "type": "a", "pool": "p", "agent": "b" }), "agent"),
        (json!({ "type": "a", "required_capabilities": ["x y"] }), "required_capabilities"),
        (json!({ "type": "a", "labels": { "": "x" } }), "labels"),
        (json!({ "type": "a", "metadata": "x".repeat(20_000) }), "metadata"),
        (json!({ "type": "a", "retry": { "max_attempts": 0 } }), "retry"),
        (json!("a"), "the body"),
    ];
    for (body, named) in wrongs {
        let answer = api.post("/api/v1/tasks", &body).await;
        answer.assert_problem(400, "invalid");
        assert!(answer.json()["detail"].as_str().unwrap().contains(named), "{named}: {answer:#?}");
    }
    for path in [
        "/api/v1/tasks?colour=red",
        "/api/v1/tasks?status=odd",
        "/api/v1/tasks?cursor=x",
        "/api/v1/tasks/x/wait?timeout_ms=60001",
        "/api/v1/tasks/x",
    ] {
        api.get(path).await.assert_problem(400, "invalid");
    }
    let unknown = "/api/v1/tasks/task_00000000000000000000000001";
    for path in ["", "/result", "/why", "/wait", "/log"] {
        api.get(&format!("{unknown}{path}")).await.assert_problem(404, "task_unknown");
    }
    api.stop().await;
}

#[tokio::test]
async fn unchanged_task_answers_304_and_a_changed_one_anew() {
    let api = Api::start().await;
    let id = api.submit_any("a").await;
    let path = format!("/api/v1/tasks/{id}");
    let first = api.get(&path).await;
    let tag = first.header("etag").to_owned();
    let known = || send(api.call(Method::GET, &path).header("If-None-Match", format!("\"x\", W/{tag}")));
    let unchanged = known().await;
    assert_eq!((unchanged.status.as_u16(), unchanged.body.as_str()), (304, ""));
    assert_eq!(unchanged.header("etag"), tag);
    api.post(&format!("{path}/priority"), &json!({ "priority": "low" })).await;
    let changed = known().await;
    assert_eq!((changed.status.as_u16(), &changed.json()["lane"]), (200, &json!("low")));
    assert_ne!(changed.header("etag"), tag);
    api.stop().await;
}

#[tokio::test]
async fn waiting_request_is_answered_with_the_end_and_one_whose_time_is_over_with_the_task_as_it_is() {
    let api = Api::start().await;
    let id = api.submit_any("a").await;
    let path = format!("/api/v1/tasks/{id}/wait");
    let in_vain = api.get(&format!("{path}?timeout_ms=1")).await;
    assert_eq!(in_vain.json()["status"], "pending");
    let (ended, cancelled) =
        tokio::join!(async { api.get(&format!("{path}?timeout_ms=60000")).await }, async {
            api.put(&format!("/api/v1/tasks/{id}/cancel"), &json!({ "reason": "not needed" })).await
        },);
    for answer in [ended, cancelled] {
        let task = answer.json();
        assert_eq!((&task["status"], &task["reason"]), (&json!("cancelled"), &json!("not needed")));
    }
    let again = api.post(&format!("/api/v1/tasks/{id}/cancel"), &json!({})).await;
    assert_eq!(again.json()["status"], "cancelled", "said again it is no error");
    api.stop().await;
}

#[tokio::test]
async fn result_is_the_bytes_as_given_and_a_task_without_one_says_so() {
    let api = Api::start().await;
    let agent = api.agent("worker", &[]).await;
    let id = api.submit_any("a").await;
    let result = format!("/api/v1/tasks/{id}/result");
    api.get(&result).await.assert_problem(409, "no_result");
    let (_, attempt) = api.claim_one(&agent).await;
    let large = "x".repeat(100_000);
    let body = json!({ "attempt": attempt, "result": { "text": large }, "usage": { "tokens_in": 5 } });
    let ended = api.post(&format!("/api/v1/tasks/{id}/complete"), &body).await;
    assert_eq!(ended.json(), json!({ "status": "completed" }));
    let answer = api.get(&result).await;
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.json()["text"].as_str().unwrap().len(), 100_000);
    let task = api.task(&id).await;
    assert_eq!(task["result"]["text"].as_str().unwrap().len(), 100_000);
    assert_eq!((&task["usage"]["tokens_in"], &task["attempts"][0]["end"]), (&json!(5), &json!("completed")));
    let late = api.post(&format!("/api/v1/tasks/{id}/cancel"), &json!({})).await;
    late.assert_problem(409, "already_ended");
    api.stop().await;
}

#[tokio::test]
async fn why_names_the_missing_capability() {
    let api = Api::start().await;
    api.agent("worker", &["python"]).await;
    let id = api.submit(&json!({ "type": "a", "required_capabilities": ["rust"] })).await;
    let why = api.get(&format!("/api/v1/tasks/{id}/why")).await.json();
    assert_eq!((&why["task_id"], &why["status"]), (&json!(id), &json!("pending")));
    assert_eq!((&why["cause"], &why["detail"]["missing"]), (&json!("no_capable_agent"), &json!(["rust"])));
    assert!(why["sentence"].as_str().unwrap().contains("rust"), "{why:#}");
    api.post(&format!("/api/v1/tasks/{id}/cancel"), &json!({ "reason": "enough" })).await;
    let why = api.get(&format!("/api/v1/tasks/{id}/why")).await.json();
    assert_eq!((&why["cause"], &why["detail"]["reason"]), (&json!("ended"), &json!("enough")));
    api.stop().await;
}

#[tokio::test]
async fn log_of_a_program_is_followed_while_it_runs_and_read_on_to_its_end() {
    let api = Api::start().await;
    let gate = api.folder().join("gate");
    let gate_text = gate.to_str().unwrap();
    let script =
        format!("echo one >&2; while [ ! -e '{gate_text}' ]; do sleep 0.02; done; echo two >&2; echo '{{}}'");
    let pool = json!({ "name": "shell", "runtime": { "process": { "command": ["/bin/sh", "-c", script] } } });
    let made = api.post("/api/v1/pools", &pool).await;
    assert_eq!(made.status.as_u16(), 201, "{made:#?}");
    let id = api.submit(&json!({ "type": "a", "pool": "shell" })).await;
    let log = async |offset: u64| {
        api.get(&format!("/api/v1/tasks/{id}/log?attempt=1&offset={offset}&wait_ms=60000")).await.json()
    };
    let started = async {
        while api.task(&id).await["status"] != "running" {
            api.get(&format!("/api/v1/tasks/{id}/wait?timeout_ms=10")).await;
        }
    };
    tokio::time::timeout(PATIENCE, started).await.expect("it runs");
    let first = log(0).await;
    assert_eq!(
        (&first["text"], &first["next_offset"], &first["more"]),
        (&json!("one\n"), &json!(4), &json!(true))
    );
    std::fs::write(&gate, "").unwrap();
    let second = log(4).await;
    assert_eq!((&second["text"], &second["offset"]), (&json!("two\n"), &json!(4)));
    // Nothing more comes, and the end of the attempt wakes who waits for it.
    let last = log(8).await;
    assert_eq!((&last["text"], &last["next_offset"], &last["more"]), (&json!(""), &json!(8), &json!(false)));
    api.stop().await;
}

#[tokio::test]
async fn log_that_is_not_here_says_why() {
    let api = Api::start().await;
    let agent = api.agent("worker", &[]).await;
    let id = api.submit_any("b").await;
    let path = format!("/api/v1/tasks/{id}/log");
    let log = api.get(&path).await.json();
    let none = json!({ "task_id": id, "attempt": 0, "text": "", "offset": 0, "next_offset": 0, "more": false, "note": "no attempt has begun" });
    assert_eq!(log, none);
    api.claim_one(&agent).await;
    let log = api.get(&path).await.json();
    assert_eq!(log["note"], json!(format!("{agent} runs elsewhere and keeps its own log")));
    api.stop().await;
}
