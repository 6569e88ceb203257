//! Agents: registering, seeing, heartbeats, pausing, removing.

use reqwest::Method;
use serde_json::{Value, json};
use synod::node::{NewTask, Pool};

use super::{Plane, keys, words};

#[tokio::test]
async fn a_registered_agent_is_shown_with_every_field_and_what_it_said_of_itself() {
    let plane = Plane::start().await;
    let said = json!({
        "agent_id": "claude-1", "capabilities": ["reasoning", "code"], "model": "m-1", "provider": "p",
        "metadata": {"team": {"name": "x"}}, "tags": ["fast"], "region_id": "eu", "unheard_of": 1,
        "region_latency_ms": {"eu": 3.5}
    });
    let agent = plane.expect(201, Method::POST, "/agents", Some(said)).await;
    let fields = "agent_id capabilities status model provider metadata registered_at last_heartbeat current_task_id \
        tasks_completed tasks_failed avg_latency_ms tags region_id available_regions region_latency_ms \
        last_heartbeat_by_region";
    assert_eq!(keys(&agent), words(fields));
    assert_eq!(agent["status"], "ready");
    assert_eq!(agent["capabilities"], json!(["code", "reasoning"]));
    assert_eq!((&agent["model"], &agent["provider"]), (&json!("m-1"), &json!("p")));
    assert_eq!(agent["metadata"], json!({"team": {"name": "x"}}));
    assert_eq!((&agent["tags"], &agent["region_id"]), (&json!(["fast"]), &json!("eu")));
    assert_eq!(agent["available_regions"], json!(["eu"]));
    assert_eq!(agent["region_latency_ms"], json!({"eu": 3.5}));
    assert_eq!(agent["current_task_id"], Value::Null);
    assert!(agent["registered_at"].is_f64() && agent["avg_latency_ms"].is_f64());
    assert_eq!(agent["last_heartbeat_by_region"]["eu"], agent["last_heartbeat"]);
    assert_eq!(plane.get("/agents/claude-1").await["metadata"], agent["metadata"]);

    let bare = plane.agent("bare", &[]).await;
    assert_eq!((&bare["model"], &bare["provider"]), (&json!("unknown"), &json!("unknown")));
    assert_eq!((&bare["metadata"], &bare["region_id"]), (&json!({}), &json!("default")));
    plane.api.stop().await;
}

#[tokio::test]
async fn an_agent_registered_again_is_the_same_agent_and_what_it_says_now_counts() {
    let plane = Plane::start().await;
    let first = plane.agent("a", &["x"]).await;
    plane.task(json!({"task_type": "t", "required_capabilities": ["x"]})).await;
    let task = plane.claim("a").await;
    let again = plane.agent("a", &["y"]).await;
    assert_eq!(again["capabilities"], json!(["y"]));
    assert_eq!(again["registered_at"], first["registered_at"]);
    assert_eq!(again["current_task_id"], task["id"], "it keeps what it holds");
    assert_eq!(plane.get("/agents?available=false").await["total"], 1);
    plane.api.stop().await;
}

#[tokio::test]
async fn the_list_holds_ready_agents_unless_all_are_asked_for_and_filters_by_capability() {
    let plane = Plane::start().await;
    for (name, capability) in [("a", "x"), ("b", "x"), ("c", "y")] {
        plane.agent(name, &[capability]).await;
    }
    plane.bare("/agents/b/pause").await;
    let names = |list: Value| -> (Vec<String>, u64) {
        let agents = list["agents"].as_array().unwrap().iter();
        let names = agents.map(|agent| agent["agent_id"].as_str().unwrap().to_owned()).collect();
        (names, list["total"].as_u64().unwrap())
    };
    assert_eq!(names(plane.get("/agents").await), (vec!["a".into(), "c".into()], 2));
    assert_eq!(names(plane.get("/agents?capability=x").await), (vec!["a".into()], 1));
    assert_eq!(names(plane.get("/agents?capability=x&available=false").await).1, 2);
    plane.task(json!({"task_type": "t", "required_capabilities": ["x"]})).await;
    plane.claim("a").await;
    assert_eq!(names(plane.get("/agents").await), (vec!["c".into()], 1), "busy is not ready");
    assert_eq!(plane.get("/agents/a").await["status"], "busy");
    plane.api.stop().await;
}

#[tokio::test]
async fn a_heartbeat_says_how_the_agent_stands_and_a_word_that_is_no_status_is_refused() {
    let plane = Plane::start().await;
    plane.agent("a", &[]).await;
    assert_eq!(plane.bare("/agents/a/heartbeat").await, json!({"acknowledged": true}));
    for (said, shown) in [
        ("draining", "draining"),
        ("busy", "ready"),
        ("failed", "failed"),
        ("READY", "ready"),
        ("offline", "offline"),
        ("starting", "starting"),
        ("ready", "ready"),
    ] {
        plane.post("/agents/a/heartbeat", json!({"status": said})).await;
        assert_eq!(plane.get("/agents/a").await["status"], shown, "after {said}");
    }
    let wrong =
        plane.expect(400, Method::POST, "/agents/a/heartbeat", Some(json!({"status": "tired"}))).await;
    assert!(wrong["error"].as_str().unwrap().starts_with("Invalid status: tired"), "{wrong}");
    plane.api.stop().await;
}

#[tokio::test]
async fn heartbeats_that_change_nothing_write_nothing() {
    let plane = Plane::start().await;
    plane.agent("a", &[]).await;
    let written = plane.api.node.status().last_log;
    for _ in 0..20 {
        plane.bare("/agents/a/heartbeat").await;
        plane.post("/agents/a/heartbeat", json!({"status": "ready"})).await;
    }
    assert_eq!(plane.api.node.status().last_log, written);
    plane.api.stop().await;
}

#[tokio::test]
async fn a_paused_agent_takes_nothing_until_it_is_resumed_whatever_its_heartbeats_say() {
    let plane = Plane::start().await;
    plane.agent("a", &[]).await;
    plane.task(json!({"task_type": "t"})).await;
    let paused = plane.bare("/agents/a/pause").await;
    assert_eq!(paused, json!({"paused": true, "agent_id": "a", "status": "draining"}));
    plane.post("/agents/a/heartbeat", json!({"status": "ready"})).await;
    assert_eq!(plane.claim("a").await, Value::Null);
    // A claim that waits goes on at once when the agent is resumed.
    let (claimed, resumed) = tokio::join!(
        plane.post("/tasks/claim", json!({"agent_id": "a", "block_ms": 60_000})),
        plane.bare("/agents/a/resume"),
    );
    assert_eq!(resumed, json!({"resumed": true, "agent_id": "a", "status": resumed["status"]}));
    assert_eq!(claimed["task"]["assigned_agent"], "a");
    plane.api.stop().await;
}

#[tokio::test]
async fn the_work_of_an_unregistered_agent_goes_to_others_and_the_agent_is_gone() {
    let plane = Plane::start().await;
    plane.agent("a", &[]).await;
    let id = plane.task(json!({"task_type": "t"})).await;
    plane.claim("a").await;
    assert_eq!(plane.expect(200, Method::DELETE, "/agents/a", None).await, json!({"unregistered": true}));
    let task = plane.get(&format!("/tasks/{id}")).await;
    assert_eq!((&task["status"], &task["assigned_agent"]), (&json!("pending"), &Value::Null));
    for (method, path) in [
        (Method::GET, "/agents/a"),
        (Method::DELETE, "/agents/a"),
        (Method::POST, "/agents/a/heartbeat"),
        (Method::POST, "/agents/a/pause"),
        (Method::POST, "/agents/a/resume"),
        (Method::GET, "/agents/a/metrics"),
        (Method::GET, "/metrics/agents/a"),
    ] {
        assert_eq!(plane.expect(404, method, path, None).await["error"], "Agent not found: a", "{path}");
    }
    plane.api.stop().await;
}

#[tokio::test]
async fn what_is_no_agent_id_or_capability_is_refused_with_its_reason() {
    let plane = Plane::start().await;
    for (body, text) in [
        (json!({}), "agent_id is required"),
        (json!({"agent_id": ""}), "agent_id is required"),
        (json!({"agent_id": null, "capabilities": null}), "agent_id is required"),
        (json!({"agent_id": "a b"}), "agent_id is not valid: "),
        (
            json!({"agent_id": "a", "capabilities": ["no spaces"]}),
            "the capability \"no spaces\" is not valid: ",
        ),
        (json!({"agent_id": "a", "metadata": {"control_plane": 1}}), "metadata.control_plane is reserved"),
        (json!({"agent_id": 7}), "the body is not valid: "),
    ] {
        let answer = plane.expect(400, Method::POST, "/agents", Some(body.clone())).await;
        assert!(answer["error"].as_str().unwrap().starts_with(text), "{body}: {answer}");
    }
    assert_eq!(plane.get("/agents?available=false").await, json!({"agents": [], "total": 0}));
    plane.api.stop().await;
}

#[tokio::test]
async fn an_agent_that_the_node_runs_is_shown_and_paused_and_nobody_outside_speaks_for_it() {
    let plane = Plane::start().await;
    let node = &plane.api.node;
    node.put_pool(Pool::process("cats", &["cat"]).unwrap().size(1)).await.unwrap();
    let task = || NewTask::to_pool("cats", "t", &json!({"n": 1})).unwrap();
    let first = node.submit(task()).await.unwrap();
    node.wait(first).await.unwrap();
    let name = node.read(|state| state.agents().next().unwrap().spec.name.to_string());
    let at = |what: &str| format!("/agents/{}{what}", name.replace('/', "%2F"));
    assert_eq!(plane.get(&at("")).await["tasks_completed"], 1);
    for (path, body) in [
        ("/agents".to_owned(), json!({"agent_id": name})),
        (at("/heartbeat"), json!({"status": "failed"})),
        (at("/resume"), json!({})),
        ("/tasks/claim".to_owned(), json!({"agent_id": name, "block_ms": 0})),
    ] {
        plane.expect(409, Method::POST, &path, Some(body)).await;
    }
    assert_eq!(plane.bare(&at("/pause")).await["status"], "draining");
    let second = node.submit(task()).await.unwrap();
    assert_eq!(plane.get(&format!("/tasks/{second}")).await["status"], "pending");
    plane.bare(&at("/resume")).await;
    node.wait(second).await.unwrap();
    assert_eq!(plane.get(&format!("/tasks/{second}")).await["status"], "completed");
    plane.api.stop().await;
}
