//! The error shape, both prefixes, and who may call.

use reqwest::Method;
use serde_json::{Value, json};
use synod::http::compat::control_plane::{PREFIXES, routes};

use super::{Plane, keys};
use crate::support::send;

#[test]
fn both_prefixes_have_the_same_routes_on_the_same_terms() {
    let routes = routes();
    let under = |prefix: &str| {
        let found = routes.table().iter().filter_map(|route| {
            let path = route.path.strip_prefix(prefix)?;
            Some((route.method.clone(), path, route.needs, route.long))
        });
        found.collect::<Vec<_>>()
    };
    let [legacy, versioned] = PREFIXES.map(under);
    assert!(legacy.len() > 40);
    assert_eq!(legacy, versioned);
}

#[tokio::test]
async fn what_one_prefix_did_the_other_shows() {
    let legacy = Plane::start().await;
    legacy.agent("a", &[]).await;
    let id = legacy.task(json!({"task_type": "t"})).await;
    let api = legacy.api;
    let versioned = Plane { api, prefix: "/api/v1/control-plane" };
    assert_eq!(versioned.claim("a").await["id"], json!(id));
    versioned.bare(&format!("/tasks/{id}/complete")).await;
    assert_eq!(versioned.get(&format!("/tasks/{id}")).await["status"], "completed");
    versioned.api.stop().await;
}

#[tokio::test]
async fn problems_of_the_guard_and_the_routes_have_the_shape_of_this_api() {
    let plane = Plane::start().await;
    let api = &plane.api;
    let admin = api.admin.expose();
    for prefix in PREFIXES {
        let at = |path: &str| format!("{prefix}{path}");
        let (_, reader) = api.token("control_plane:agents:read".parse().unwrap(), None).await;
        let submit = || api.bare(Method::POST, &at("/tasks"));
        for (request, status, text) in [
            (api.bare(Method::GET, &at("/agents")), 401, "Authentication required"),
            (api.bare(Method::GET, &at("/nothing")), 401, "Authentication required"),
            (submit().bearer_auth("synod_client_x"), 401, "Authentication required"),
            (submit().bearer_auth(&reader), 403, "Permission denied"),
            (submit().bearer_auth(admin).header("host", "evil.example"), 403, "the header Host is not one"),
            (
                submit().bearer_auth(admin).header("origin", "http://evil.example"),
                403,
                "requests of other web pages",
            ),
            (submit().bearer_auth(admin).body("{"), 400, "the body is not valid"),
            (submit().bearer_auth(admin).body("[".repeat(100)), 400, "the body is not valid"),
            (submit().bearer_auth(admin).body(" ".repeat(2 << 20)), 413, "the body is larger"),
            (api.call(Method::GET, &at("/nothing")), 404, "there is no route"),
            (api.call(Method::PUT, &at("/agents")), 405, "does not take PUT"),
            (api.call(Method::GET, &at("/queue?limit=many")), 400, "the query is not valid"),
        ] {
            let answer = send(request).await;
            assert_eq!(answer.status, status, "{text}: {answer:#?}");
            assert_eq!(answer.header("content-type"), "application/json", "{answer:#?}");
            let body = answer.json();
            assert!(body["error"].as_str().unwrap().contains(text), "{text}: {body}");
            assert_eq!(keys(&body), ["code", "error", "trace_id"]);
            assert_eq!(body["trace_id"], answer.header("x-request-id"));
        }
    }
    // Elsewhere the native form stays.
    send(api.call(Method::GET, "/api/v1/nothing")).await.assert_problem(404, "no_route");
    plane.api.stop().await;
}

#[tokio::test]
async fn the_permission_names_of_that_api_mean_what_they_meant_there() {
    let plane = Plane::start().await;
    let api = &plane.api;
    let prefix = plane.prefix;
    plane.agent("a", &[]).await;
    let (_, writer) = api.token("control_plane:tasks:write".parse().unwrap(), None).await;
    let post = async |token: &str, path: &str, body: Value| {
        let request = api.bare(Method::POST, &format!("{prefix}{path}")).bearer_auth(token).json(&body);
        send(request).await
    };
    let submitted = post(&writer, "/tasks", json!({"task_type": "t"})).await;
    assert_eq!(submitted.status, 201);
    let id = submitted.json()["task_id"].as_str().unwrap().to_owned();
    assert_eq!(post(&writer, "/tasks/claim", json!({"agent_id": "a"})).await.json()["task"]["id"], json!(id));
    assert_eq!(post(&writer, &format!("/tasks/{id}/complete"), json!({})).await.status, 200);
    assert_eq!(post(&writer, &format!("/tasks/{id}/cancel"), json!({})).await.status, 403);
    assert_eq!(post(&writer, "/agents", json!({"agent_id": "b"})).await.status, 403);
    let (_, canceller) = api.token("controlplane:tasks:delete".parse().unwrap(), None).await;
    let other = post(&writer, "/tasks", json!({"task_type": "t"})).await.json();
    let path = format!("/tasks/{}/cancel", other["task_id"].as_str().unwrap());
    assert_eq!(post(&canceller, &path, json!({})).await.status, 200);
    plane.api.stop().await;
}

#[tokio::test]
async fn a_full_queue_says_when_to_come_again() {
    use synod::node::domain::command::Command;
    use synod::node::domain::limits::Limits;
    let plane = Plane::start().await;
    let limits = Limits { mailbox_depth_max: 1, ..Limits::default() };
    plane.api.node.propose(Command::SetLimits { limits }).await.unwrap();
    plane.task(json!({"task_type": "t"})).await;
    let answer = plane.send(Method::POST, "/tasks", Some(&json!({"task_type": "t"}))).await;
    assert_eq!((answer.status.as_u16(), answer.header("retry-after")), (429, "1"));
    let body = answer.json();
    assert_eq!((&body["code"], &body["retry_after"]), (&json!("full"), &json!(1)));
    plane.api.stop().await;
}
