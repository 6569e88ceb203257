//! What tenants are told of tasks that have ended: everything of their own, nothing of others'.

use reqwest::Method;
use serde_json::{Value, json};

use super::{Tenant, two_tenants};
use crate::support::{Answer, Api};

/// Submits work that is to begin after a task.
async fn follow(api: &Api, tenant: &Tenant, task: &str) -> Answer {
    let new = json!({ "type": "work", "pool": tenant.of("pool"), "after": [task] });
    tenant.send(api, Method::POST, "/api/v1/tasks", Some(&new)).await
}

async fn cancel(api: &Api, tenant: &Tenant, task: &str) -> Answer {
    let path = format!("/api/v1/tasks/{task}/cancel");
    tenant.send(api, Method::POST, &path, Some(&json!({ "reason": "late" }))).await
}

#[tokio::test]
async fn work_begins_after_ones_own_alone_and_an_ended_task_of_another_is_told_of_in_no_way() {
    let (api, red, blue) = two_tenants().await;
    let nobody = Tenant::nobody();
    // As it ended well, badly, and not at all.
    for thing in ["ended", "letter", "waiting"] {
        let (theirs, nowhere) = (blue.of(thing), nobody.of(thing));
        let (said, due) = (follow(&api, &red, &theirs).await, follow(&api, &red, &nowhere).await);
        said.assert_problem(400, "prerequisite_unknown");
        let words = |answer: &Answer| answer.json()["detail"].as_str().unwrap_or_default().to_owned();
        assert_eq!(words(&said).replace(&theirs, &nowhere), words(&due), "{thing}");
        cancel(&api, &red, &theirs).await.assert_problem(404, "task_unknown");
    }
    let own = follow(&api, &red, &red.of("ended")).await;
    assert!(own.status.is_success(), "{own:#?}");
    // Of what is their own they are told as operators are.
    for thing in ["ended", "letter"] {
        cancel(&api, &red, &red.of(thing)).await.assert_problem(409, "already_ended");
    }
    let waiting = red.of("waiting");
    for _ in 0..2 {
        let said = cancel(&api, &red, &waiting).await;
        assert!(said.status.is_success(), "as often as it is said: {said:#?}");
    }
    let seen: Value = red.send(&api, Method::GET, &format!("/api/v1/tasks/{waiting}"), None).await.json();
    assert_eq!(seen["status"], "cancelled", "{seen}");
    api.stop().await;
}
