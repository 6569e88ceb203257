//! Strict tasks, looked at through another region: that they are there is shown, and what they hold is not.

use std::collections::BTreeMap;

use reqwest::Method;
use serde_json::{Value, json};
use synod::node::domain::id::TaskId;

use crate::regions::World;
use crate::support::{Answer, PATIENCE, send};

/// Stands in everything that a strict task of these tests holds.
const SECRET: &str = "only-for-eu";

/// Submits at us; returns the task's id.
async fn submitted(world: &World, number: u64, routing: &str) -> TaskId {
    let task = json!({
        "type": "review", "required_capabilities": ["review"], "region": "eu", "routing": routing,
        "payload": format!("{SECRET} {number}"), "labels": {"team": SECRET}, "metadata": {"note": SECRET},
    });
    let answer = send(world.us.call(Method::POST, "/api/v1/tasks").json(&task)).await;
    assert_eq!(answer.status, 201, "{answer:#?}");
    answer.json()["task_id"].as_str().unwrap().parse().unwrap()
}

/// Works on a task of eu there: it completes, or fails for good.
async fn work(world: &World, task: TaskId, fine: bool) {
    let (claimed, attempt) = world.eu.claim_one("ada").await;
    assert_eq!(claimed, task.to_string());
    let (end, said) = if fine {
        ("complete", json!({"attempt": attempt, "result": {"said": SECRET}}))
    } else {
        ("fail", json!({"attempt": attempt, "reason": SECRET, "retryable": false}))
    };
    let progress = json!({"attempt": attempt, "percent": 50, "message": SECRET});
    world.eu.post(&format!("/api/v1/tasks/{task}/progress"), &progress).await;
    let ended = world.eu.post(&format!("/api/v1/tasks/{task}/{end}"), &said).await;
    assert_eq!(ended.status, 200, "{ended:#?}");
}

#[track_caller]
fn assert_holds_nothing(answer: &Answer) {
    assert!(!answer.body.contains(SECRET), "{answer:#?}");
}

#[track_caller]
fn assert_refused(answer: &Answer, status: u16, code: &str) {
    assert_holds_nothing(answer);
    assert_eq!((answer.status.as_u16(), &answer.json()["code"]), (status, &json!(code)), "{answer:#?}");
}

/// Holds that a task is shown as one of which everything is withheld.
#[track_caller]
fn assert_withheld(answer: &Answer, task: TaskId) {
    assert_holds_nothing(answer);
    let shown = answer.json();
    assert_eq!((answer.status.as_u16(), &shown["id"]), (200, &json!(task.to_string())), "{answer:#?}");
    assert_eq!((&shown["withheld"], &shown["region"]), (&json!("strict"), &json!("eu")), "{shown}");
    for left_out in ["payload", "result", "metadata", "reason"] {
        assert_eq!(shown.get(left_out), None, "{shown}");
    }
    assert_eq!(shown["labels"], json!({}));
}

#[tokio::test]
async fn strict_task_is_shown_through_another_region_without_what_it_holds() {
    let world = World::archiving().await;
    world.eu.agent("ada", &["review"]).await;
    let (fine, broken) = (submitted(&world, 1, "strict").await, submitted(&world, 2, "strict").await);
    let there = |task: TaskId| format!("/api/v1/tasks/{task}?region=eu");
    assert_withheld(&world.us.get(&there(fine)).await, fine);
    work(&world, fine, true).await;
    work(&world, broken, false).await;
    // As they ended, and from history.
    for from_history in [false, true] {
        if from_history {
            let gone = async {
                while world.eu.node.read(|state| state.task(fine).is_some()) {
                    tokio::task::yield_now().await;
                }
            };
            tokio::time::timeout(PATIENCE, gone).await.expect("they go to history");
        }
        for task in [fine, broken] {
            assert_withheld(&world.us.get(&there(task)).await, task);
            assert_withheld(&world.us.get(&format!("/api/v1/tasks/{task}/wait?region=eu")).await, task);
            for more in ["result", "why", "log"] {
                let answer = world.us.get(&format!("/api/v1/tasks/{task}/{more}?region=eu")).await;
                assert_refused(&answer, 403, "withheld");
                assert!(answer.json()["hint"].as_str().unwrap().contains("region eu"), "{answer:#?}");
            }
            let older = world.us.get(&format!("/api/v1/control-plane/tasks/{task}?region=eu")).await;
            assert_holds_nothing(&older);
            assert_eq!((&older.json()["withheld"], &older.json()["payload"]), (&json!("strict"), &json!({})));
        }
        for list in ["tasks?region=eu", "tasks?region=*", "dead-letters?region=eu"] {
            let answer = world.us.get(&format!("/api/v1/{list}")).await;
            assert_holds_nothing(&answer);
            let items = answer.json()["items"].as_array().unwrap().clone();
            assert!(
                !items.is_empty() && items.iter().all(|item| item["withheld"] == "strict"),
                "{answer:#?}"
            );
            let found = world.us.get(&format!("/api/v1/{list}&label=team={SECRET}")).await;
            assert_eq!(found.json()["items"], json!([]), "found by its label: {found:#?}");
        }
        assert_withheld(&world.us.get(&format!("/api/v1/dead-letters/{broken}?region=eu")).await, broken);
        for older in ["tasks/history", "queue"] {
            let answer = world.us.get(&format!("/api/v1/control-plane/{older}?region=eu")).await;
            assert_eq!(answer.status, 200, "{answer:#?}");
            assert_holds_nothing(&answer);
        }
        // Whoever asks in its region sees all of it.
        let seen = world.eu.get(&there(fine)).await.json();
        assert_eq!((&seen["payload"], seen.get("withheld")), (&json!(format!("{SECRET} 1")), None));
        assert_eq!((&seen["result"], &seen["labels"]["team"]), (&json!({"said": SECRET}), &json!(SECRET)));
        let seen = world.eu.get(&there(broken)).await.json();
        assert_eq!((&seen["reason"], &seen["metadata"]), (&json!(SECRET), &json!({"note": SECRET})));
        let found = world.eu.get(&format!("/api/v1/tasks?label=team={SECRET}")).await;
        assert_eq!(found.json()["items"].as_array().unwrap().len(), 2, "{found:#?}");
        assert_eq!(
            world.eu.get(&format!("/api/v1/tasks/{fine}/result")).await.json(),
            json!({"said": SECRET})
        );
    }
    // What is made of its dead letter is strict, whoever redrives it.
    let place = format!("/api/v1/dead-letters/{broken}/redrive?region=eu");
    let redriven = send(world.us.call(Method::POST, &place).json(&json!({}))).await;
    let again: TaskId = redriven.json()["task_id"].as_str().unwrap().parse().unwrap();
    assert_withheld(&world.us.get(&there(again)).await, again);
    let place = format!("/api/v1/tasks/{again}/cancel?region=eu");
    assert_withheld(&send(world.us.call(Method::POST, &place).json(&json!({}))).await, again);
    world.stop().await;
}

#[tokio::test]
async fn strict_task_that_was_submitted_in_its_own_region_is_withheld_from_others_too() {
    let world = World::start().await;
    let secret = |more: Value| {
        let mut task = json!({"type": "review", "payload": SECRET, "region": "eu", "routing": "strict"});
        task.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        task
    };
    let first = world.eu.submit(&secret(json!({}))).await;
    let after = world.eu.submit(&secret(json!({"after": [first], "model": "m"}))).await;
    for id in [first, after] {
        let task: TaskId = id.parse().unwrap();
        assert_withheld(&world.us.get(&format!("/api/v1/tasks/{task}?region=eu")).await, task);
        assert_eq!(world.eu.get(&format!("/api/v1/tasks/{task}")).await.json()["payload"], SECRET);
    }
    world.stop().await;
}

#[tokio::test]
async fn task_that_is_not_strict_is_shown_whole_beside_those_that_are() {
    let world = World::start().await;
    let (strict, open) = (submitted(&world, 1, "strict").await, submitted(&world, 2, "preferred").await);
    world.until_forwarded(open).await;
    let seen = world.us.get(&format!("/api/v1/tasks/{open}")).await.json();
    assert_eq!((&seen["payload"], seen.get("withheld")), (&json!(format!("{SECRET} 2")), None), "{seen}");
    let listed = world.us.get("/api/v1/tasks?region=*").await.json();
    let withheld: BTreeMap<String, bool> = listed["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| (item["id"].as_str().unwrap().to_owned(), item.get("withheld").is_some()))
        .collect();
    assert_eq!(withheld, BTreeMap::from([(strict.to_string(), true), (open.to_string(), false)]));
    let found = world.us.get(&format!("/api/v1/tasks?region=eu&label=team={SECRET}")).await.json();
    let found: Vec<&Value> = found["items"].as_array().unwrap().iter().map(|item| &item["id"]).collect();
    assert_eq!(found, [&json!(open.to_string())]);
    world.stop().await;
}

#[tokio::test]
async fn what_hands_out_whatever_tasks_hold_is_not_served_to_other_regions() {
    let world = World::start().await;
    world.eu.agent("ada", &["review"]).await;
    let task = submitted(&world, 1, "strict").await;
    let claim = json!({"agent": "ada", "max": 1});
    for place in ["/api/v1/tasks/claim", "/api/v1/control-plane/tasks/claim"] {
        let answer = send(world.us.call(Method::POST, &format!("{place}?region=eu")).json(&claim)).await;
        assert_refused(&answer, 400, "invalid");
    }
    assert_refused(&world.us.get("/api/v1/cluster/backup?region=eu").await, 400, "invalid");
    let (claimed, _) = world.eu.claim_one("ada").await;
    assert_eq!(claimed, task.to_string(), "nobody has it");
    world.stop().await;
}
