//! Tokens over the API: made, rotated, revoked, and never beyond who makes them.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use synod::http::{TokenText, first_token};
use synod::node::domain::permission::Permissions;
use synod::node::domain::token::TokenKind;

use crate::support::{Answer, Api, send};

async fn as_caller(api: &Api, secret: &str, method: Method, path: &str, body: &Value) -> Answer {
    send(api.bare(method, path).bearer_auth(secret).json(body)).await
}

#[tokio::test]
async fn token_is_made_with_its_secret_shown_once_and_allows_what_it_says() {
    let api = Api::start().await;
    let body = json!({ "name": "ci", "kind": "client", "permissions": ["tasks:read", "tasks:write"], "expires_in_ms": 3_600_000 });
    let made = api.post("/api/v1/tokens", &body).await;
    assert_eq!((made.status.as_u16(), made.header("cache-control")), (201, "no-store"));
    let (token, secret) = (made.json()["token"].clone(), made.json()["secret"].as_str().unwrap().to_owned());
    assert!(secret.starts_with("synod_client_"), "{secret}");
    assert_eq!(token["permissions"], body["permissions"]);
    assert!(token["expires_at"].is_string() && token["created_by"].is_string(), "{token:#}");
    let path = format!("/api/v1/tokens/{}", token["id"].as_str().unwrap());
    let shown = api.get(&path).await;
    assert_eq!(shown.json(), token);
    let all = api.get("/api/v1/tokens").await;
    assert!(!all.body.contains(&secret) && all.body.contains(token["id"].as_str().unwrap()));
    assert_eq!(as_caller(&api, &secret, Method::GET, "/api/v1/tasks", &json!({})).await.status.as_u16(), 200);
    let refused = as_caller(&api, &secret, Method::GET, "/api/v1/tokens", &json!({})).await;
    refused.assert_problem(403, "not_allowed");
    for wrong in [
        json!({ "name": "x", "kind": "king" }),
        json!({ "name": "x", "kind": "client", "permissions": ["tasks:fly"] }),
        json!({ "name": "x", "kind": "client", "permissions": [] }),
        json!({ "name": "", "kind": "client" }),
    ] {
        api.post("/api/v1/tokens", &wrong).await.assert_problem(400, "invalid");
    }
    api.stop().await;
}

#[tokio::test]
async fn token_never_allows_more_than_the_one_it_is_made_with() {
    let api = Api::start().await;
    let (_, maker) = api.token("tokens:*,tasks:read".parse::<Permissions>().unwrap(), None).await;
    let make = async |body: Value| as_caller(&api, &maker, Method::POST, "/api/v1/tokens", &body).await;
    assert_eq!(
        make(json!({ "name": "x", "kind": "client", "permissions": ["tasks:read"] })).await.status.as_u16(),
        201
    );
    for beyond in [
        json!({ "name": "x", "kind": "client", "permissions": ["*"] }),
        json!({ "name": "x", "kind": "admin" }),
        json!({ "name": "x", "kind": "worker" }),
    ] {
        make(beyond).await.assert_problem(403, "not_allowed");
    }
    // A new secret for a mightier token would be more than the caller has, and so would its end.
    let admin = api.walk("/api/v1/tokens", "id").await[0].clone();
    let path = format!("/api/v1/tokens/{admin}");
    as_caller(&api, &maker, Method::POST, &format!("{path}/rotate"), &json!({}))
        .await
        .assert_problem(403, "not_allowed");
    as_caller(&api, &maker, Method::DELETE, &path, &json!({})).await.assert_problem(403, "not_allowed");
    api.stop().await;
}

#[tokio::test]
async fn token_never_outlives_the_one_it_is_made_or_rotated_with() {
    let api = Api::start().await;
    let end = api.node.now().after(Duration::from_secs(3600));
    let (own, maker) = api.token("tokens:*,tasks:read".parse::<Permissions>().unwrap(), Some(end)).await;
    let make = async |expires_in_ms: Option<u64>| {
        let mut body = json!({ "name": "x", "kind": "client", "permissions": ["tasks:read"] });
        if let Some(millis) = expires_in_ms {
            body["expires_in_ms"] = json!(millis);
        }
        as_caller(&api, &maker, Method::POST, "/api/v1/tokens", &body).await
    };
    let own_end = api.get(&format!("/api/v1/tokens/{own}")).await.json()["expires_at"].clone();
    assert_eq!(make(None).await.json()["token"]["expires_at"], own_end, "the same end unless one is said");
    let sooner = make(Some(60_000)).await;
    assert_eq!(sooner.status.as_u16(), 201, "{sooner:#?}");
    let later = make(Some(2 * 3_600_000)).await;
    later.assert_problem(400, "invalid");
    assert!(later.json()["detail"].as_str().unwrap().contains("outlive"), "{later:#?}");

    let rotate = async |id: &str| {
        as_caller(&api, &maker, Method::POST, &format!("/api/v1/tokens/{id}/rotate"), &json!({})).await
    };
    assert_eq!(rotate(sooner.json()["token"]["id"].as_str().unwrap()).await.status.as_u16(), 200);
    let (endless, _) = api.token("tasks:read".parse::<Permissions>().unwrap(), None).await;
    rotate(&endless.to_string()).await.assert_problem(400, "invalid");
    api.stop().await;
}

#[tokio::test]
async fn rotated_token_takes_its_new_secret_and_the_old_one_only_as_long_as_said() {
    let api = Api::start().await;
    let (id, old) = api.token("tasks:read".parse::<Permissions>().unwrap(), None).await;
    let looks = async |secret: &str| {
        as_caller(&api, secret, Method::GET, "/api/v1/tasks", &json!({})).await.status.as_u16()
    };
    let rotate = async |body: Value| {
        let answer = api.post(&format!("/api/v1/tokens/{id}/rotate"), &body).await;
        assert_eq!(answer.status.as_u16(), 200, "{answer:#?}");
        assert!(answer.json()["token"]["rotated_at"].is_string());
        answer.json()["secret"].as_str().unwrap().to_owned()
    };
    let second = rotate(json!({ "keep_old_ms": 3_600_000 })).await;
    assert_eq!((looks(&old).await, looks(&second).await), (200, 200));
    let third = rotate(json!({})).await;
    assert_eq!((looks(&old).await, looks(&second).await, looks(&third).await), (401, 401, 200));
    api.post("/api/v1/tokens/token_00000000000000000000000001/rotate", &json!({}))
        .await
        .assert_problem(404, "token_unknown");
    api.stop().await;
}

#[tokio::test]
async fn revoked_token_is_taken_no_more_and_the_last_that_makes_tokens_cannot_be_revoked() {
    let api = Api::start().await;
    let (id, secret) = api.token(Permissions::all(), None).await;
    let admin =
        api.walk("/api/v1/tokens", "id").await.into_iter().find(|one| *one != id.to_string()).unwrap();
    let gone = api.delete(&format!("/api/v1/tokens/{id}")).await;
    assert_eq!((gone.status.as_u16(), gone.body.as_str()), (204, ""));
    as_caller(&api, &secret, Method::GET, "/api/v1/tasks", &json!({}))
        .await
        .assert_problem(401, "token_unknown");
    api.get(&format!("/api/v1/tokens/{id}")).await.assert_problem(404, "token_unknown");
    let last = api.delete(&format!("/api/v1/tokens/{admin}")).await;
    last.assert_problem(409, "last_token");
    assert!(last.json()["detail"].as_str().unwrap().contains("tokens:write"), "{last:?}");
    assert_eq!(api.get("/api/v1/tokens").await.status.as_u16(), 200);
    api.stop().await;
}

#[tokio::test]
async fn of_two_that_revoke_each_other_at_once_one_stays() {
    let api = Api::start().await;
    let (other, secret) = api.token(Permissions::all(), None).await;
    let admin =
        api.walk("/api/v1/tokens", "id").await.into_iter().find(|one| *one != other.to_string()).unwrap();
    let (one, two) = tokio::join!(
        send(api.call(Method::DELETE, &format!("/api/v1/tokens/{other}"))),
        send(api.bare(Method::DELETE, &format!("/api/v1/tokens/{admin}")).bearer_auth(&secret)),
    );
    let left = api.node.read(|state| state.tokens().count());
    assert_eq!(left, 1, "{one:#?} {two:#?}");
    api.stop().await;
}

#[tokio::test]
async fn operators_file_is_replaced_only_by_a_token_that_the_node_has_taken() {
    let api = Api::start().await;
    let data = api.folder().join("data");
    let (file, before) = (data.join(first_token::FILE), data.join("admin-token.new"));
    let written = || std::fs::read_to_string(&file).unwrap().trim_end().to_owned();
    assert_eq!(written(), api.admin.expose());
    assert!(!before.exists());

    // What was left over when the node had the token and the file not yet its name.
    let (_, taken) = api.token(Permissions::all(), None).await;
    std::fs::write(&before, format!("{taken}\n")).unwrap();
    assert!(first_token::first_token(&api.node, &data).await.unwrap().is_none());
    assert_eq!((written(), before.exists()), (taken.clone(), false));
    let stranger = TokenText::make(TokenKind::Admin, api.node.entropy());
    std::fs::write(&before, stranger.expose()).unwrap();
    first_token::first_token(&api.node, &data).await.unwrap();
    assert_eq!(written(), taken, "one that the node does not know opens nothing");

    api.node.stop().await;
    first_token::admin_token(&api.node, &data).await.expect_err("the node takes nothing any more");
    assert_eq!(written(), taken);
    api.stop().await;
}
