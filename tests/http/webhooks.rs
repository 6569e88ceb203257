//! Webhooks over the API: what is refused, what is secret, and what is shown of what could not be told.

use std::sync::Arc;

use reqwest::Method;
use serde_json::{Value, json};
use synod::webhooks::{Rules, WebhookSettings};

use crate::support::{Answer, Api, options, send};

/// A node that may write to this machine.
async fn local() -> Api {
    let allow = vec!["127.0.0.1".parse().unwrap()];
    let rules = Rules { allow, plain_http: false };
    let settings = WebhookSettings { rules, ..WebhookSettings::default() };
    Api::built(options(), synod::http::routes(), |node| node.webhooks(settings)).await
}

/// An address at which nobody listens.
async fn nowhere() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}/secret-path", listener.local_addr().unwrap())
}

async fn patch(api: &Api, path: &str, body: &Value) -> Answer {
    send(api.call(Method::PATCH, path).json(body)).await
}

#[tokio::test]
async fn a_webhook_is_made_listed_changed_and_removed_and_its_secret_is_shown_once() {
    let api = local().await;
    let url = nowhere().await;
    let slow = json!({ "tries": 3, "first_wait_ms": 3_600_000, "longest_wait_ms": 3_600_000 });
    let made = api.post("/api/v1/webhooks", &json!({ "name": "ops", "url": url, "retry": slow })).await;
    assert_eq!((made.status.as_u16(), made.header("cache-control")), (201, "no-store"));
    let (webhook, secret) = (made.json()["webhook"].clone(), made.json()["secret"].clone());
    let (id, secret) = (webhook["id"].as_str().unwrap(), secret.as_str().unwrap());
    assert!(secret.starts_with("whsec_") && secret.len() == 50, "{secret}");
    assert_eq!((&webhook["status"], &webhook["enabled"]), (&json!("idle"), &json!(true)));
    assert!(webhook["topics"].as_array().unwrap().contains(&json!("approval_*")), "{webhook}");

    let path = format!("/api/v1/webhooks/{id}");
    let tested = api.post(&format!("{path}/test"), &json!({})).await;
    assert_eq!(tested.status.as_u16(), 200);
    let failing = loop {
        let webhook = api.get(&path).await.json();
        if webhook["status"] == "failing" {
            break webhook;
        }
        assert_eq!(webhook["waiting"], 1, "{webhook}");
        tokio::task::yield_now().await;
    };
    let reason = failing["failure"]["reason"].as_str().unwrap();
    assert!(reason.contains("refused") && !reason.contains("secret-path"), "{reason}");
    let deliveries = api.get(&format!("{path}/deliveries")).await.json();
    let delivery = &deliveries["items"][0];
    assert_eq!(
        (&delivery["seq"], &delivery["tries"], &delivery["status"]),
        (&json!(1), &json!(1), &json!("waiting"))
    );
    assert_eq!(delivery["message_id"], format!("{id}-1"));
    assert_eq!(delivery["data"]["type"], "webhook_test");
    let given_up = api.get(&format!("{path}/deliveries?status=given_up")).await.json();
    assert_eq!(given_up["items"], json!([]));
    api.get(&format!("{path}/deliveries?status=lost")).await.assert_problem(400, "invalid");
    api.post(&format!("{path}/redeliver"), &json!({ "seq": 9 }))
        .await
        .assert_problem(404, "delivery_unknown");

    let rotated = api.post(&format!("{path}/rotate"), &json!({})).await;
    let again = rotated.json();
    assert_eq!((rotated.status.as_u16(), rotated.header("cache-control")), (200, "no-store"));
    assert!(again["secret"] != secret && again["webhook"]["old_secret_until"].is_string());
    let changed = patch(&api, &path, &json!({ "enabled": false, "topics": ["budget_*"] })).await.json();
    assert_eq!((&changed["status"], &changed["topics"]), (&json!("off"), &json!(["budget_*"])));
    assert_eq!((&changed["url"], &changed["waiting"]), (&json!(url), &json!(1)), "what is left out stays");

    // Neither list nor audit log nor events hold a secret.
    for place in ["/api/v1/webhooks", &path, "/api/v1/audit"] {
        let shown = api.get(place).await.body;
        assert!(!shown.contains("whsec_") && !shown.contains(&secret[6..]), "{place}: {shown}");
    }
    let records = api.get("/api/v1/audit").await.json();
    let actions: Vec<&str> =
        records["items"].as_array().unwrap().iter().filter_map(|one| one["action"].as_str()).collect();
    for action in ["webhook.create", "webhook.test", "webhook.rotate", "webhook.change"] {
        assert!(actions.contains(&action), "{action} is not among {actions:?}");
    }
    assert_eq!(api.walk("/api/v1/webhooks?limit=1", "id").await, [id]);
    assert_eq!(api.delete(&path).await.status.as_u16(), 204);
    api.get(&path).await.assert_problem(404, "webhook_unknown");
    api.delete(&path).await.assert_problem(404, "webhook_unknown");
    api.stop().await;
}

#[tokio::test]
async fn nobody_is_written_to_whom_not_everybody_can_reach() {
    let api = Api::start().await;
    let make = async |url: &str| api.post("/api/v1/webhooks", &json!({ "name": "ops", "url": url })).await;
    for (url, why) in [
        ("https://127.0.0.1/x", "webhooks.allow"),
        ("https://169.254.169.254/latest/meta-data", "webhooks.allow"),
        ("https://[::ffff:10.0.0.1]/x", "webhooks.allow"),
        ("https://2130706433/x", "webhooks.allow"),
        ("http://example.org/x", "https"),
        ("file:///etc/passwd", "https"),
        ("https://name:secret@example.org/x", "password"),
        ("nonsense", "no address"),
    ] {
        let refused = make(url).await;
        refused.assert_problem(400, "invalid");
        assert!(refused.body.contains(why), "{url}: {}", refused.body);
    }
    // A name is looked up when it is written to, and not before.
    let named = make("https://localhost/x").await;
    assert_eq!(named.status.as_u16(), 201);
    let id = named.json()["webhook"]["id"].as_str().unwrap().to_owned();
    let path = format!("/api/v1/webhooks/{id}");
    api.post(&format!("{path}/test"), &json!({})).await;
    let reason = loop {
        let webhook = api.get(&path).await.json();
        if let Some(reason) = webhook["failure"]["reason"].as_str() {
            break reason.to_owned();
        }
        tokio::task::yield_now().await;
    };
    assert!(reason.contains("webhooks.allow"), "{reason}");
    api.stop().await;
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_and_says_why() {
    let api = Api::start().await;
    let make = async |more: Value| {
        let mut wanted = json!({ "name": "ops", "url": "https://example.org/x", "enabled": false });
        wanted.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        api.post("/api/v1/webhooks", &wanted).await
    };
    for (more, why) in [
        (json!({ "topics": ["task_flown"] }), "task_flown"),
        (json!({ "retry": { "tries": 0 } }), "tries"),
        (json!({ "retry": { "first_wait_ms": 0 } }), "first_wait_ms"),
        (json!({ "retry": { "longest_wait_ms": 999_999_999_999_u64 } }), "longest_wait_ms"),
        (json!({ "name": "no name" }), "name"),
        (json!({ "secret": "mine" }), "secret"),
    ] {
        let refused = make(more).await;
        refused.assert_problem(400, "invalid");
        assert!(refused.body.contains(why), "{why}: {}", refused.body);
    }
    api.get("/api/v1/webhooks/ops").await.assert_problem(400, "invalid");
    api.stop().await;
}

#[tokio::test]
async fn who_may_not_listen_to_events_may_not_have_them_told() {
    let api = Api::start().await;
    let wanted = json!({ "name": "ops", "url": "https://example.org/x", "enabled": false });
    let ask = async |permissions: &str| {
        let (_, token) = api.token(permissions.parse().unwrap(), None).await;
        send(api.bare(Method::POST, "/api/v1/webhooks").bearer_auth(token).json(&wanted)).await
    };
    ask("webhooks:read,events:read").await.assert_problem(403, "not_allowed");
    let deaf = ask("webhooks:write").await;
    deaf.assert_problem(403, "not_allowed");
    assert!(deaf.body.contains("events:read"), "{}", deaf.body);
    assert_eq!(ask("webhooks:write,events:read").await.status.as_u16(), 201);
    let node = Arc::clone(&api.node);
    assert_eq!(node.read(|state| state.outboxes().count()), 1);
    drop(node);
    api.stop().await;
}
