//! Roles, bindings and tokens of a workspace over the API, and what a tenant hears of events.

use reqwest::Method;
use serde_json::{Value, json};
use synod::http::{Needs, Reach, routes};
use synod::node::domain::permission::Permissions;

use super::{BLUE, RED, Tenant, two_tenants};
use crate::support::{Api, send};

async fn made(api: &Api, new: &Value) -> (String, String) {
    let answer = api.post("/api/v1/tokens", new).await;
    assert_eq!(answer.status.as_u16(), 201, "{answer:#?}");
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    (text(&answer.json()["token"]["id"]), text(&answer.json()["secret"]))
}

#[tokio::test]
async fn a_role_allows_what_it_says_to_whom_it_is_bound_until_it_is_taken_away() {
    let api = Api::start().await;
    let new = json!({ "name": "ci", "kind": "client", "permissions": ["tasks:read"] });
    let (id, secret) = made(&api, &new).await;
    let pools = async || send(api.bare(Method::GET, "/api/v1/pools").bearer_auth(&secret)).await;
    pools().await.assert_problem(403, "not_allowed");
    let role = json!({ "permissions": ["pools:*", "control_plane:agents:read"] });
    let put = api.put("/api/v1/roles/deployer", &role).await;
    assert_eq!(put.json()["permissions"], json!(["agents:read", "pools:read", "pools:write"]), "{put:#?}");
    let binding = json!({ "role": "deployer", "token": id });
    assert_eq!(api.post("/api/v1/role-bindings", &binding).await.json(), binding);
    assert_eq!(pools().await.status.as_u16(), 200);
    assert_eq!(api.walk("/api/v1/role-bindings", "role").await, ["deployer"]);
    let roles = api.walk("/api/v1/roles?limit=2", "name").await;
    assert_eq!(roles, ["admin", "approver", "deployer", "operator", "viewer"]);
    let unbound = api.post("/api/v1/role-bindings/remove", &binding).await;
    assert_eq!(unbound.status.as_u16(), 204);
    pools().await.assert_problem(403, "not_allowed");
    // By its name, as all of that name.
    api.post("/api/v1/role-bindings", &json!({ "role": "viewer", "name": "ci" })).await;
    assert_eq!(pools().await.status.as_u16(), 200);
    api.put("/api/v1/roles/viewer", &role).await.assert_problem(400, "invalid");
    assert_eq!(api.delete("/api/v1/roles/deployer").await.status.as_u16(), 204);
    api.delete("/api/v1/roles/deployer").await.assert_problem(404, "role_unknown");
    api.stop().await;
}

#[tokio::test]
async fn nobody_gives_away_more_than_they_have_by_a_role() {
    let api = Api::start().await;
    let (_, maker) = api.token("roles:*,tokens:*,tasks:read".parse::<Permissions>().unwrap(), None).await;
    let ask = async |method, path: &str, body: Value| {
        send(api.bare(method, path).bearer_auth(&maker).json(&body)).await
    };
    let wide = json!({ "permissions": ["tasks:*"] });
    ask(Method::PUT, "/api/v1/roles/wide", wide.clone()).await.assert_problem(403, "not_allowed");
    let bind = json!({ "role": "operator", "name": "test" });
    ask(Method::POST, "/api/v1/role-bindings", bind.clone()).await.assert_problem(403, "not_allowed");
    // Nor by a name that a role is bound to, nor by making less of a role than it was.
    api.post("/api/v1/role-bindings", &json!({ "role": "operator", "name": "mighty" })).await;
    let new = json!({ "name": "mighty", "kind": "client", "permissions": ["tasks:read"] });
    ask(Method::POST, "/api/v1/tokens", new).await.assert_problem(403, "not_allowed");
    api.put("/api/v1/roles/wide", &wide).await;
    let narrow = json!({ "permissions": ["tasks:read"] });
    ask(Method::PUT, "/api/v1/roles/wide", narrow).await.assert_problem(403, "not_allowed");
    api.stop().await;
}

#[tokio::test]
async fn an_admin_of_a_workspace_makes_tokens_and_binds_roles_there_and_nowhere_else() {
    let (api, red, _) = two_tenants().await;
    let new = json!({ "name": "worker", "kind": "worker" });
    let made = red.send(&api, Method::POST, "/api/v1/tokens", Some(&new)).await.json();
    assert_eq!(made["token"]["workspace"], RED, "it is of the workspace of its maker: {made:#}");
    let binding = json!({ "role": "viewer", "name": "worker" });
    let bound = red.send(&api, Method::POST, "/api/v1/role-bindings", Some(&binding)).await.json();
    assert_eq!(bound["workspace"], RED);
    // A token of that name elsewhere has nothing of it.
    let other = json!({ "name": "worker", "kind": "worker", "workspace": BLUE });
    let secret = api.post("/api/v1/tokens", &other).await.json()["secret"].as_str().unwrap().to_owned();
    let pools = send(api.bare(Method::GET, "/api/v1/pools").bearer_auth(&secret)).await;
    pools.assert_problem(403, "not_allowed");
    let secret = made["secret"].as_str().unwrap();
    let pools = send(api.bare(Method::GET, "/api/v1/pools").bearer_auth(secret)).await.json();
    assert_eq!(pools["items"].as_array().unwrap().len(), 1, "{pools:#}");
    let everywhere = red.send(&api, Method::GET, "/api/v1/tasks?region=*", None).await;
    everywhere.assert_problem(403, "workspace_bound");
    let program = json!({ "name": "crimson/p", "runtime": { "process": { "command": ["/bin/true"] } } });
    let refused = red.send(&api, Method::POST, "/api/v1/pools", Some(&program)).await;
    refused.assert_problem(403, "workspace_bound");
    let hosted = json!({ "name": "crimson/h", "hosted": { "command": ["/no/such/program"] } });
    let refused = red.send(&api, Method::POST, "/api/v1/agents", Some(&hosted)).await;
    refused.assert_problem(403, "workspace_bound");
    api.stop().await;
}

#[tokio::test]
async fn a_pool_is_given_to_a_workspace_and_back() {
    let (api, red, _) = two_tenants().await;
    let pool = json!({ "name": "gpu", "runtime": "external", "max": 2 });
    assert_eq!(api.post("/api/v1/pools", &pool).await.status.as_u16(), 201);
    let look = async || red.send(&api, Method::GET, "/api/v1/pools/gpu", None).await;
    look().await.assert_problem(404, "pool_unknown");
    let given = json!({ "pool": "gpu", "workspace": RED });
    assert_eq!(api.put("/api/v1/ownerships", &given).await.json(), given);
    assert_eq!(look().await.status.as_u16(), 200);
    let of_others = json!({ "type": "work", "pool": "gpu" });
    api.post("/api/v1/tasks", &of_others).await.assert_problem(400, "invalid");
    let listed = red.send(&api, Method::GET, "/api/v1/ownerships", None).await.json();
    assert_eq!(listed["items"].as_array().unwrap().len(), 3, "its own pool and agent, too: {listed:#}");
    api.put("/api/v1/ownerships", &json!({ "pool": "gpu" })).await;
    look().await.assert_problem(404, "pool_unknown");
    api.stop().await;
}

/// Reads server-sent events until one holds the text.
async fn heard_until(mut response: reqwest::Response, last: &str) -> String {
    let mut heard = String::new();
    while !heard.contains(last) {
        let chunk = tokio::time::timeout(crate::support::PATIENCE, response.chunk()).await.expect("in time");
        heard.push_str(std::str::from_utf8(&chunk.unwrap().expect("the stream goes on")).unwrap());
    }
    heard
}

#[tokio::test]
async fn a_tenant_hears_of_their_own_events_alone() {
    let (api, red, blue) = two_tenants().await;
    let stream = api.bare(Method::GET, "/api/v1/events").bearer_auth(&red.secret).send().await.unwrap();
    assert_eq!(stream.status().as_u16(), 200);
    let submit = async |tenant: &Tenant| {
        let new = json!({ "type": "work" });
        let made = tenant.send(&api, Method::POST, "/api/v1/tasks", Some(&new)).await.json();
        made["task_id"].as_str().unwrap().to_owned()
    };
    let (theirs, of_all) = (submit(&blue).await, api.submit_any("work").await);
    let own = submit(&red).await;
    let heard = heard_until(stream, &own).await;
    assert!(!heard.contains(&theirs) && !heard.contains(&of_all) && !heard.contains(BLUE), "{heard}");
    let asked = red.send(&api, Method::GET, "/api/v1/events?workspace=azure", None).await;
    asked.assert_problem(400, "invalid");
    api.stop().await;
}

#[test]
fn what_older_control_planes_allow_is_enough_for_their_routes() {
    let older: Permissions = "control_plane:*".parse().unwrap();
    let routes = routes();
    let theirs = routes.table().iter().filter(|route| route.path.contains("control-plane"));
    let mut looked_at = 0;
    for route in theirs {
        looked_at += 1;
        let Needs::Permission(needed) = route.needs else { panic!("{route:?} needs no permission") };
        assert!(older.allow(needed), "{route:?}");
    }
    assert!(looked_at > 50, "{looked_at}");
}

#[test]
fn a_route_that_says_nothing_of_workspaces_is_for_operators() {
    let routes = routes();
    let mut cluster = routes.table().iter().filter(|route| route.path.starts_with("/api/v1/cluster"));
    assert!(cluster.all(|route| route.reach == Reach::Operator));
}
