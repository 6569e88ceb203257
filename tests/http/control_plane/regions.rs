//! Two regions, seen through the older API: where its tasks go, and where they are found.

use reqwest::Method;
use serde_json::{Value, json};
use synod::node::domain::id::TaskId;

use crate::regions::World;
use crate::support::{Answer, send};

const PREFIXES: [&str; 2] = ["/api/control-plane", "/api/v1/control-plane"];

/// Submits a task at us, under a key if there is one.
async fn submit(world: &World, task: &Value, key: Option<&str>) -> Answer {
    let request = world.us.call(Method::POST, "/api/control-plane/tasks").json(task);
    send(match key {
        Some(key) => request.header("Idempotency-Key", key),
        None => request,
    })
    .await
}

#[track_caller]
fn id_of(answer: &Answer) -> TaskId {
    answer.json()["task_id"].as_str().unwrap_or_else(|| panic!("{answer:#?}")).parse().unwrap()
}

/// Holds that this is a problem in the shape of the older API.
#[track_caller]
fn assert_refused(answer: &Answer, status: u16, code: &str) {
    let body = answer.json();
    assert_eq!((answer.status.as_u16(), body["code"].as_str()), (status, Some(code)), "{answer:#?}");
    assert!(body["error"].is_string() && body["trace_id"].is_string(), "{answer:#?}");
}

fn strict(region: &str) -> Value {
    json!({"task_type": "review", "payload": {"a": 1}, "target_region": region, "region_routing_mode": "strict"})
}

#[tokio::test]
async fn strict_task_of_the_older_api_is_in_its_region_and_nowhere_else() {
    let world = World::start().await;
    let answer = submit(&world, &strict("eu"), None).await;
    let task = id_of(&answer);
    assert_eq!((answer.status.as_u16(), &answer.json()["region"]), (201, &json!("eu")), "{answer:#?}");
    assert_eq!(answer.header("location"), format!("/api/v1/control-plane/tasks/{task}?region=eu"));
    assert!(world.eu.node.task(task).is_ok());
    assert!(world.us.node.task(task).is_err());
    let here = world.us.get(&format!("/api/control-plane/tasks/{task}")).await;
    assert_refused(&here, 404, "task_unknown");
    let there = world.us.get(answer.header("location")).await;
    assert_eq!((there.status.as_u16(), &there.json()["id"]), (200, &json!(task.to_string())), "{there:#?}");

    let own = submit(&world, &strict("us"), None).await;
    assert_eq!(own.json(), json!({"task_id": id_of(&own).to_string()}));
    assert!(world.us.node.task(id_of(&own)).is_ok());
    world.stop().await;
}

#[tokio::test]
async fn older_api_refuses_the_routes_that_the_native_one_refuses() {
    let world = World::start().await;
    let mut both = strict("eu");
    both["fallback_regions"] = json!(["us"]);
    let nowhere = json!({"task_type": "review", "region_routing_mode": "strict"});
    let fallbacks_alone = json!({"task_type": "review", "fallback_regions": ["eu"]});
    let mut no_name = strict("e u");
    no_name["region_routing_mode"] = json!("preferred");
    for (task, status, code) in [
        (&both, 400, "invalid"),
        (&nowhere, 400, "invalid"),
        (&fallbacks_alone, 400, "invalid"),
        (&no_name, 400, "invalid"),
        (&strict("moon"), 404, "region_unknown"),
    ] {
        assert_refused(&submit(&world, task, None).await, status, code);
    }
    // Known, and away for the moment.
    world.know("eu").await;
    world.reach(&["us"]);
    let answer = submit(&world, &strict("eu"), None).await;
    assert_refused(&answer, 503, "region_unreachable");
    assert!(answer.json()["retry_after"].is_u64(), "{answer:#?}");
    assert_eq!(world.us.node.read(|state| state.unfinished()), 0, "nothing was kept");
    // Who wishes for nothing says so in these words, and it is done here.
    let plain = json!({"task_type": "review", "region_routing_mode": "any", "fallback_regions": []});
    assert_eq!(submit(&world, &plain, None).await.status, 201);
    let any = json!({"task_type": "review", "target_region": "eu"});
    assert!(world.us.node.task(id_of(&submit(&world, &any, None).await)).is_ok());
    world.stop().await;
}

#[tokio::test]
async fn preferred_task_of_the_older_api_goes_to_its_region_and_is_seen_and_called_off_from_its_source() {
    let world = World::start().await;
    let wanted = json!({"task_type": "review", "payload": {"a": 1}, "target_region": "eu",
        "region_routing_mode": "preferred"});
    let task = id_of(&submit(&world, &wanted, None).await);
    world.until_forwarded(task).await;
    for prefix in PREFIXES {
        let seen = world.us.get(&format!("{prefix}/tasks/{task}")).await;
        assert_eq!((seen.status.as_u16(), seen.header("synod-region")), (200, "eu"), "{seen:#?}");
        let shown = seen.json();
        assert_eq!((&shown["payload"], &shown["target_region"]), (&json!({"a": 1}), &json!("eu")), "{shown}");
        assert_eq!(shown["status"], "pending", "{shown}");
    }
    for _ in 0..2 {
        let place = format!("/api/control-plane/tasks/{task}/cancel");
        let cancelled = send(world.us.call(Method::POST, &place).json(&json!({}))).await;
        assert_eq!(cancelled.json(), json!({"cancelled": true}), "{cancelled:#?}");
    }
    world.reach(&["us"]);
    let away = world.us.get(&format!("/api/control-plane/tasks/{task}")).await;
    assert_refused(&away, 503, "region_unreachable");
    world.stop().await;
}

#[tokio::test]
async fn the_same_key_is_the_same_task_in_the_older_api_too() {
    let world = World::start().await;
    let plain = json!({"task_type": "review", "payload": {"a": 1}});
    for task in [plain, strict("eu")] {
        let key = task["target_region"].as_str().unwrap_or("here").to_owned();
        let first = submit(&world, &task, Some(&key)).await;
        let again = submit(&world, &task, Some(&key)).await;
        assert_eq!((first.status.as_u16(), again.status.as_u16()), (201, 200), "{again:#?}");
        assert_eq!(id_of(&first), id_of(&again));
        let mut other = task.clone();
        other["payload"] = json!({"a": 2});
        assert_refused(&submit(&world, &other, Some(&key)).await, 409, "idempotency_conflict");
        let unnamed = submit(&world, &task, None).await;
        assert_ne!(id_of(&first), id_of(&unnamed), "without a key it is another task");
    }
    assert_refused(&submit(&world, &strict("eu"), Some("a b")).await, 400, "invalid");
    let made = |api: &crate::support::Api| api.node.read(|state| state.unfinished());
    assert_eq!((made(&world.us), made(&world.eu)), (2, 2));
    world.stop().await;
}
