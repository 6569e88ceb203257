//! The cluster over HTTP, on a node that stands alone: its only member. Several nodes are in `tests/cli/cluster.rs`.

use reqwest::Method;
use serde_json::json;
use synod::node::domain::permission::Permissions;

use crate::support::{Api, send};

#[tokio::test]
async fn a_node_that_stands_alone_is_a_cluster_of_one_that_leads() {
    let api = Api::start().await;
    let id = api.node.id().to_string();
    let cluster = api.get("/api/v1/cluster").await.json();
    assert_eq!((&cluster["leader"], &cluster["leads"]), (&json!(id), &json!(true)));
    assert_eq!([&cluster["voters"], &cluster["voters_up"], &cluster["quorum"]], [1, 1, 1]);
    let nodes = api.get("/api/v1/nodes").await.json();
    assert_eq!(nodes["items"].as_array().unwrap().len(), 1);
    let node = &nodes["items"][0];
    assert_eq!((&node["id"], &node["role"], &node["standing"]), (&json!(id), &json!("voter"), &json!("up")));
    // By id and by name it is the same node.
    let name = node["name"].as_str().unwrap();
    for named in [&id, name] {
        assert_eq!(api.get(&format!("/api/v1/nodes/{named}")).await.json()["id"], json!(id));
    }
    api.get("/api/v1/nodes/nobody").await.assert_problem(404, "node_unknown");
    let members = api.get("/api/v1/cluster/members").await.json();
    assert_eq!(members["items"][0]["id"], json!(id));
    api.stop().await;
}

/// What an embedder's actor is told.
#[derive(serde::Serialize, serde::Deserialize)]
struct Entry(u64);

impl synod::courier::Letter for Entry {
    const KIND: &'static str = "entry";
    const VERSION: u16 = 3;
    type Reply = ();
}

#[tokio::test]
async fn letters_that_could_not_be_delivered_are_counted_and_shown_with_the_reason() {
    let api = Api::start().await;
    let before = api.get("/api/v1/cluster").await.json();
    assert_eq!(before["courier"], json!({ "dead_letters": 0, "latest": [] }));
    let ledger = synod::courier::Address::anywhere("ledger".parse().unwrap());
    let refused = api.node.courier().tell(&ledger, &Entry(7)).await.unwrap_err();
    let courier = api.get("/api/v1/cluster").await.json()["courier"].clone();
    assert_eq!(courier["dead_letters"], 1);
    let letter = &courier["latest"][0];
    let from = api.node.id().to_string();
    assert_eq!([&letter["to"], &letter["kind"], &letter["from"]], ["ledger", "entry", from.as_str()]);
    assert_eq!(letter["version"], 3);
    let reason = letter["reason"].as_str().unwrap();
    assert!(reason.contains("ledger") && refused.to_string().contains(reason), "{reason}: {refused}");
    api.stop().await;
}

#[tokio::test]
async fn what_takes_a_cluster_is_refused_with_what_to_do() {
    let api = Api::start().await;
    let id = api.node.id();
    let token = send(api.call(Method::POST, "/api/v1/cluster/join-tokens")).await;
    token.assert_problem(409, "cluster");
    assert!(token.body.contains("synod cluster init"), "{token:?}");
    send(api.call(Method::POST, "/api/v1/cluster/transfer")).await.assert_problem(409, "cluster");
    let remove = send(api.call(Method::DELETE, &format!("/api/v1/nodes/{id}"))).await;
    remove.assert_problem(409, "last_voter");
    let demote = api.call(Method::PUT, &format!("/api/v1/nodes/{id}/role")).body(r#"{"role": "worker"}"#);
    send(demote).await.assert_problem(409, "last_voter");
    let wrong = api.call(Method::PUT, &format!("/api/v1/nodes/{id}/role")).body(r#"{"role": "king"}"#);
    send(wrong).await.assert_problem(400, "invalid");
    for ttl in ["0", "86400001"] {
        let long =
            api.call(Method::POST, "/api/v1/cluster/join-tokens").body(format!(r#"{{"ttl_ms": {ttl}}}"#));
        send(long).await.assert_problem(400, "invalid");
    }
    send(api.call(Method::DELETE, "/api/v1/cluster/keyring/9"))
        .await
        .assert_problem(409, "gossip_key_refused");
    api.stop().await;
}

#[tokio::test]
async fn a_drained_node_says_so_and_is_taken_up_again() {
    let api = Api::start().await;
    let place = format!("/api/v1/nodes/{}", api.node.id());
    let drain = api.call(Method::POST, &format!("{place}/drain")).body(r#"{"reason": "a new disk"}"#);
    let drained = send(drain).await.json();
    assert!(drained["draining"].is_string(), "{drained}");
    assert_eq!(drained["reason"], "a new disk");
    let again = send(api.call(Method::POST, &format!("{place}/drain"))).await;
    assert_eq!((again.status.as_u16(), &again.json()["draining"]), (200, &drained["draining"]));
    let undrained = send(api.call(Method::POST, &format!("{place}/undrain"))).await.json();
    assert_eq!(undrained.get("draining"), None, "{undrained}");
    api.stop().await;
}

#[tokio::test]
async fn a_read_says_how_fresh_it_must_be_and_another_word_is_refused() {
    let api = Api::start().await;
    for place in ["/api/v1/tasks", "/api/v1/agents", "/api/v1/pools", "/api/v1/stats", "/api/v1/tokens"] {
        let fresh = api.get(place).await;
        assert_eq!((fresh.status.as_u16(), fresh.header("synod-state-age-ms")), (200, ""), "{place}");
        let fresh = api.get(&format!("{place}?consistency=linearizable")).await;
        assert_eq!((fresh.status.as_u16(), fresh.header("synod-state-age-ms")), (200, ""), "{place}");
        let stale = api.get(&format!("{place}?consistency=stale")).await;
        assert_eq!((stale.status.as_u16(), stale.header("synod-state-age-ms")), (200, "0"), "{place}");
        let wrong = api.get(&format!("{place}?consistency=eventual")).await;
        wrong.assert_problem(400, "invalid");
        assert!(wrong.body.contains("eventual"), "{wrong:?}");
    }
    // What a node says of itself is as fresh as can be, and knows no such parameter.
    for place in ["/api/v1/health", "/api/v1/nodes", "/api/v1/cluster"] {
        api.get(&format!("{place}?consistency=stale")).await.assert_problem(400, "invalid");
    }
    api.stop().await;
}

#[tokio::test]
async fn a_workers_token_allows_nothing_of_the_cluster() {
    let api = Api::start().await;
    let (_, worker) = api.token(Permissions::of_worker(), None).await;
    let routes = synod::http::routes();
    let of_cluster = routes.table().iter().filter(|route| route.path.starts_with("/api/v1/cluster"));
    let mut looked_at = 0;
    for route in of_cluster {
        let path = route.path.replace("{id}", "x").replace("{number}", "1");
        let answer = send(api.bare(route.method.clone(), &path).bearer_auth(&worker)).await;
        answer.assert_problem(403, "not_allowed");
        looked_at += 1;
    }
    assert!(looked_at > 10, "only {looked_at} routes were looked at");
    api.stop().await;
}

#[tokio::test]
async fn a_pool_says_where_its_agents_shall_be_and_what_becomes_of_them() {
    let api = Api::start().await;
    let put = |body: serde_json::Value| send(api.call(Method::POST, "/api/v1/pools").body(body.to_string()));
    let pool = json!({
        "name": "spread", "runtime": {"process": {"command": ["cat"]}}, "min": 2, "max": 2,
        "spread": {"manner": "packed", "max_per_node": 5, "labels": {"disk": "fast"}, "region": "eu",
            "apart_from": ["databases"], "apart_strictly": true},
        "recovery": {"kind": "failover", "standby": 2},
    });
    let made = put(pool.clone()).await;
    assert_eq!(made.status, 201, "{made:?}");
    let shown = made.json();
    assert_eq!((&shown["spread"], &shown["recovery"]), (&pool["spread"], &pool["recovery"]));
    // No node is like that, and the pool says so.
    assert_eq!(shown["shortfall"]["missing"], 2);
    let reason = shown["shortfall"]["reason"].as_str().unwrap();
    assert!(reason.contains("region eu") && reason.contains("disk=fast"), "{reason}");
    for wrong in [
        json!({"spread": {"manner": "odd"}}),
        json!({"spread": {"apart_from": ["spread"]}}),
        json!({"spread": {"apart_strictly": true}}),
        json!({"recovery": {"kind": "prayer"}}),
        json!({"recovery": {"kind": "restart", "standby": 1}}),
        json!({"spread": {"colour": "red"}}),
    ] {
        let mut body = pool.clone();
        body.as_object_mut().unwrap().extend(wrong.as_object().unwrap().clone());
        put(body).await.assert_problem(400, "invalid");
    }
    api.stop().await;
}

#[tokio::test]
async fn a_run_is_opened_once_continued_until_its_end_and_begun_anew_after() {
    let api = Api::start().await;
    let open = |fresh: bool| {
        let body = json!({"fleet": "audit", "plan": {"n": 1}, "fresh": fresh});
        send(api.call(Method::POST, "/api/v1/runs").body(body.to_string()))
    };
    let first = open(false).await;
    assert_eq!((first.status.as_u16(), &first.json()["continued"]), (201, &json!(false)));
    let again = open(false).await;
    assert_eq!((again.status.as_u16(), &again.json()["continued"]), (200, &json!(true)));
    assert_eq!((&again.json()["id"], &again.json()["plan"]), (&first.json()["id"], &json!({"n": 1})));
    let anew = open(true).await.json();
    assert_ne!(anew["id"], first.json()["id"]);
    let end = |id: &serde_json::Value| {
        let path = format!("/api/v1/runs/{}/end", id.as_str().unwrap());
        send(api.call(Method::POST, &path).body(r#"{"summary": "done"}"#))
    };
    assert_eq!(end(&anew["id"]).await.status, 204);
    end(&anew["id"]).await.assert_problem(404, "run_unknown");
    assert_eq!(open(false).await.status, 201);
    api.stop().await;
}
