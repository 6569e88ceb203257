//! The audit log over the API: who did what, and that nobody changes that unseen.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use synod::audit::{Found, check_export};
use synod::node::domain::audit::{AuditCommand, AuditKeep};
use synod::node::domain::command::Command;
use synod::node::domain::name::Name;
use synod::node::domain::node::{JoinToken, NodeRole};
use synod::node::domain::pause::Pausable;
use synod::node::domain::permission::Permissions;
use synod::node::storage::MemoryDisk;
use synod::node::{Error, JournalError, Node};

use crate::support::{Api, send};

async fn found(api: &Api, query: &str) -> Vec<Value> {
    let answer = api.get(&format!("/api/v1/audit?{query}")).await;
    assert_eq!(answer.status, 200, "{answer:#?}");
    answer.json()["items"].as_array().unwrap().clone()
}

#[tokio::test]
async fn changes_are_recorded_with_who_asked_and_work_is_not() {
    let api = Api::start().await;
    let (id, text) = api.token("tasks:*,agents:*,pools:read".parse::<Permissions>().unwrap(), None).await;
    let call =
        |method: Method, path: &str, body: Value| send(api.bare(method, path).bearer_auth(&text).json(&body));
    let task = call(Method::POST, "/api/v1/tasks", json!({ "type": "t" })).await.json()["task_id"].clone();
    let task = task.as_str().unwrap().to_owned();
    let agent = call(Method::POST, "/api/v1/agents", json!({ "name": "a" })).await.json()["id"].clone();
    let claimed = call(Method::POST, "/api/v1/tasks/claim", json!({ "agent_id": agent })).await.json();
    let attempt = &claimed["tasks"][0]["attempt"];
    call(Method::POST, &format!("/api/v1/tasks/{task}/complete"), json!({ "attempt": attempt })).await;
    call(Method::POST, &format!("/api/v1/tasks/{task}/cancel"), json!({})).await;
    let ours = found(&api, &format!("actor={id}")).await;
    let actions: Vec<_> = ours.iter().map(|one| one["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["task.cancel", "agent.standing", "agent.register", "task.submit"], "{ours:#?}");
    assert_eq!(ours[0]["verdict"], "refused", "{ours:#?}");
    assert_eq!((&ours[0]["code"], &ours[0]["actor"]["kind"]), (&json!("already_ended"), &json!("token")));
    assert_eq!(ours[0]["actor"]["source"], "127.0.0.1");
    assert_eq!(ours[3]["resource"], format!("task/{task}"));
    assert_eq!(ours[3]["workspace"], "default");
    assert!(ours[3]["after"].is_string() && ours[3]["before"].is_null());
    let local = found(&api, "action=token.*&verdict=accepted").await;
    assert!(local.iter().all(|one| one["actor"]["kind"] == "local"), "{local:#?}");
    assert_eq!(found(&api, &format!("resource=task&actor={id}")).await.len(), 2);
    assert_eq!(found(&api, "workspace=other").await, Vec::<Value>::new());
    assert_eq!(found(&api, "until=2000-01-01T00:00:00Z").await, Vec::<Value>::new());
    let all = found(&api, "limit=1000").await;
    let mut walked = Vec::new();
    let mut query = "limit=3".to_owned();
    loop {
        let page = api.get(&format!("/api/v1/audit?{query}")).await.json();
        walked.extend(page["items"].as_array().unwrap().clone());
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        query = format!("limit=3&cursor={cursor}");
    }
    assert_eq!(walked, all);
    api.stop().await;
}

#[tokio::test]
async fn the_log_verifies_and_its_export_does_so_without_a_node() {
    let api = Api::start().await;
    for number in 0..20 {
        api.post("/api/v1/tasks", &json!({ "type": "t", "labels": { "n": number.to_string() } })).await;
    }
    let check = api.get("/api/v1/audit/verify").await.json();
    assert_eq!((&check["valid"], &check["start_seq"]), (&json!(true), &json!(1)), "{check:#}");
    let stats = api.get("/api/v1/audit/stats").await.json();
    assert_eq!(stats["records"], check["end_seq"]);
    let export = api.get("/api/v1/audit/export").await.body;
    let whole = check_export(export.as_bytes(), stats["head"]["hash"].as_str()).unwrap();
    assert!(matches!(whole, Found::Whole { .. }), "{whole}");
    let part = api.get("/api/v1/audit/export?start_seq=5&end_seq=9").await.body;
    assert_eq!(part.lines().count(), 6);
    assert!(matches!(check_export(part.as_bytes(), None).unwrap(), Found::Whole { records: (5, 9), .. }));
    let lines: Vec<&str> = export.lines().collect();
    for place in 1..lines.len() {
        let mut dropped = lines.clone();
        dropped.remove(place);
        let found = check_export(dropped.join("\n").as_bytes(), None).unwrap();
        assert!(matches!(found, Found::Broken { line, .. } if line == place as u64 + 1), "{found}");
    }
    let old = api.get("/api/control-plane/audit/verify?start_seq=2").await.json();
    assert_eq!((&old["valid"], &old["start_seq"]), (&json!(true), &json!(2)));
    let old = api.get("/api/control-plane/audit?resource_types=task&limit=2").await.json();
    assert_eq!(old["entries"].as_array().unwrap().len(), 2);
    assert_eq!(old["entries"][0]["resource_type"], "task");
    api.get("/api/v1/audit/export?start_seq=99999").await.assert_problem(400, "invalid");
    let kept = send(api.call(Method::PUT, "/api/v1/audit/keep").json(&json!({ "records": 2048 }))).await;
    assert_eq!(kept.json()["keep_records"], 2048);
    let few = send(api.call(Method::PUT, "/api/v1/audit/keep").json(&json!({ "records": 3 }))).await;
    few.assert_problem(400, "invalid");
    api.stop().await;
}

#[tokio::test]
async fn privileged_changes_are_refused_when_they_cannot_be_recorded() {
    let disk = MemoryDisk::new();
    let node = Node::builder().storage(disk.open()).start().await.unwrap();
    let privileged = || {
        let admin = JoinToken {
            id: node.new_token_id(),
            role: NodeRole::Worker,
            hash: [7; 32],
            expires_at: node.now().after(Duration::from_secs(60)),
            used_by: None,
        };
        let what = Pausable::Workspace(Name::default());
        [
            Command::PutJoinToken { token: admin },
            Command::Pause { what, reason: "test".into() },
            Command::Audit(AuditCommand::Keep(AuditKeep { records: 5000, time: None })),
        ]
    };
    let before = node.audit_head().last;
    disk.limit_space(Some(0));
    // The first finds out, and waits; it is not done, and those behind it are refused.
    let [first, second, third] = privileged();
    let mut first = Box::pin(node.propose(first));
    assert!(tokio::time::timeout(Duration::from_secs(2), &mut first).await.is_err());
    for command in [second, third] {
        let refused = node.propose(command).await.unwrap_err();
        assert!(matches!(refused, Error::Journal(JournalError::NoSpace)), "{refused}");
    }
    assert_eq!(node.audit_head().last, before);
    assert_eq!(node.read(|state| (state.join_tokens().count(), state.pauses().count())), (0, 0));
    disk.limit_space(None);
    first.await.unwrap();
    for command in privileged() {
        let _ = node.propose(command).await;
    }
    assert_eq!(node.audit_head().last.seq, before.seq + 4);
    node.stop().await;
}

#[tokio::test]
async fn the_chain_survives_restarts_and_snapshots() {
    let disk = MemoryDisk::new();
    let mut last = None;
    for round in 0..3 {
        let node = Node::builder().storage(disk.open()).start().await.unwrap();
        if let Some(last) = last {
            assert!(node.audit_head().last >= last, "round {round}");
            let checked = node.check_audit(None, None).await.unwrap();
            assert_eq!((checked.from, checked.broken), (1, None), "round {round}");
        }
        for records in 0..10 {
            node.keep_audit(2000 + records, Some(Duration::from_secs(3600))).await.unwrap();
        }
        node.snapshot().await;
        let checked = node.check_audit(None, None).await.unwrap();
        assert_eq!((checked.to, checked.broken), (node.audit_head().last.seq, None), "round {round}");
        last = Some(node.audit_head().last);
        node.stop().await;
    }
}
