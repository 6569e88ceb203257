//! Every route, asked by somebody of one workspace about the things of another.
//!
//! A route without a case fails the test: whoever adds one says here what a tenant may see of it.

use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;

use futures::FutureExt;
use reqwest::Method;
use serde_json::{Value, json};
use synod::http::native;
use synod::node::domain::row::{Row, RowKey};

use super::{BLUE, RED, Tenant, two_tenants};
use crate::support::{Answer, Api};

/// What a route does with a token of a workspace.
enum Case {
    /// It is for operators: refused, whatever is asked.
    Operators,
    /// It shows nothing of any workspace.
    Nobodys,
    /// It shows what is red's, and red's things are in it.
    Own,
    /// Its path names a thing.
    Path(fn(&Tenant) -> String),
    /// Its body names things; each of these is tried.
    Body(fn(&Tenant) -> Vec<Value>),
    /// It changes many things, as its body says; tried last.
    Many(Value),
    /// It is a stream, with a test of its own.
    Stream,
}

use Case::{Body, Many, Nobodys, Operators, Own, Path, Stream};

fn named(thing: &'static str) -> Case {
    match thing {
        "agent" => Path(|of| of.of("agent")),
        "pool" => Path(|of| of.of("pool").replace('/', "%2F")),
        "leased" => Path(|of| of.of("leased")),
        "waiting" => Path(|of| of.of("waiting")),
        "ended" => Path(|of| of.of("ended")),
        "letter" => Path(|of| of.of("letter")),
        "mailbox" => Path(|of| format!("pool/{}", of.of("pool"))),
        "approval" => Path(|of| of.of("approval")),
        "violation" => Path(|of| of.of("violation")),
        "budget" => Path(|of| of.of("budget")),
        "limit" => Path(|of| of.of("limit")),
        "hook" => Path(|of| of.of("hook")),
        "token" => Path(|of| of.of("token")),
        other => panic!("nothing is called {other}"),
    }
}

/// Says what becomes of a route of the native API.
fn native_case(place: &str) -> Option<Case> {
    let (method, path) = place.split_once(' ')?;
    let path = path.strip_prefix("/api/v1/")?;
    Some(match (method, path) {
        (_, "openapi.json" | "docs" | "health") | ("GET", "roles") => Nobodys,
        ("GET", "agents" | "pools" | "tasks" | "dead-letters" | "mailboxes" | "mailboxes/pauses")
        | ("GET", "approvals" | "approvals/pending" | "policies/violations" | "budgets" | "limits")
        | ("GET", "breakers" | "hooks" | "hooks/pending" | "tokens" | "audit" | "role-bindings")
        | ("GET", "ownerships" | "workspaces") => Own,
        ("GET", "usage") => Own,
        ("GET", "events" | "events/ws") => Stream,
        ("POST", "agents") => Body(|of| {
            vec![
                json!({ "name": of.of("agent name") }),
                json!({ "name": of.of("lone name") }),
                json!({ "name": "crimson/new", "pool": of.of("pool") }),
            ]
        }),
        (_, "agents/{id}" | "agents/{id}/health" | "agents/{id}/restart") => named("agent"),
        (_, "agents/{id}/drain" | "agents/{id}/heartbeat") => named("agent"),
        ("POST", "pools") => Body(|of| {
            vec![
                json!({ "name": of.of("pool"), "runtime": "external" }),
                json!({ "name": "crimson/passes-on", "runtime": "external", "assignment": { "kind": "delegated", "to": of.of("pool") } }),
            ]
        }),
        (_, path) if path.starts_with("pools/{name}") => named("pool"),
        ("POST", "tasks") => Body(|of| {
            let to = |field: &str, value: String| json!({ "type": "work", field: value });
            vec![
                to("pool", of.of("pool")),
                to("agent", of.of("agent")),
                to("agent", of.of("lone name")),
                to("workspace", of.of("workspace")),
                json!({ "type": "work", "after": [of.of("waiting")] }),
                json!([to("pool", of.of("pool"))]),
            ]
        }),
        (_, "tasks/{id}" | "tasks/{id}/why" | "tasks/{id}/priority") => named("waiting"),
        (_, "tasks/{id}/result" | "tasks/{id}/wait") => named("ended"),
        ("POST", "tasks/{id}/start") => named("leased"),
        (_, "tasks/{id}/cancel") => named("waiting"),
        (_, "tasks/{id}/log" | "tasks/{id}/heartbeat" | "tasks/{id}/progress") => named("leased"),
        (_, "tasks/{id}/release" | "tasks/{id}/complete" | "tasks/{id}/fail") => named("leased"),
        ("POST", "tasks/claim") => Body(|of| {
            let claim = |agent: String| json!({ "agent_id": agent, "max": 1 });
            vec![claim(of.of("agent")), claim(of.of("lone")), claim(of.of("agent name"))]
        }),
        ("POST", "tasks/complete") => {
            Body(|of| vec![json!({ "items": [{ "task_id": of.of("leased"), "attempt": 1 }] })])
        }
        ("POST", "tasks/cancel" | "tasks/retry" | "dead-letters/redrive" | "dead-letters/purge") => {
            Many(json!({ "all": true }))
        }
        (_, "dead-letters/{id}" | "dead-letters/{id}/redrive") => named("letter"),
        ("POST", "mailboxes/pause" | "mailboxes/resume") => Body(|of| {
            vec![
                json!({ "pool": of.of("pool") }),
                json!({ "mailbox": format!("pool/{}", of.of("pool")) }),
                json!({ "mailbox": of.of("lone") }),
                json!({ "workspace": of.of("workspace") }),
            ]
        }),
        (_, "mailboxes/{name}") => named("mailbox"),
        ("POST", "breakers/reset" | "breakers/trip") => {
            Body(|of| vec![json!({ "of": format!("pool/{}", of.of("pool")) })])
        }
        (_, "breakers/{of}") => named("mailbox"),
        (_, "limits/{name}/keys") | ("GET", "limits/{name}") => named("limit"),
        ("GET", "budgets/{name}" | "budgets/{name}/alerts") | (_, "budgets/{name}/check") => named("budget"),
        ("POST", "usage") => Body(|of| {
            vec![
                json!({ "agent_id": of.of("agent"), "tokens_in": 5 }),
                json!({ "agent_id": "crimson/agent", "workspace": of.of("workspace"), "tokens_in": 5 }),
            ]
        }),
        (_, path) if path.starts_with("approvals/{id}") => named("approval"),
        ("GET", "policies/violations/{id}") => named("violation"),
        ("POST", "policy/evaluate") => Body(|of| {
            let ask = |field: &str, value: String| json!({ "action": "tool.deploy", field: value });
            vec![
                ask("task_id", of.of("waiting")),
                ask("task_id", of.of("ended")),
                ask("agent_id", of.of("agent")),
                ask("workspace", of.of("workspace")),
                json!({ "action": "tool.x", "dry": true, "task_id": of.of("waiting") }),
            ]
        }),
        ("POST", "tokens") => Body(|of| {
            let workspace = of.of("workspace");
            vec![json!({ "name": "x", "kind": "client", "workspace": workspace })]
        }),
        (_, "tokens/{id}" | "tokens/{id}/rotate") => named("token"),
        ("POST", "role-bindings" | "role-bindings/remove") => Body(|of| {
            vec![
                json!({ "role": "viewer", "token": of.of("token") }),
                json!({ "role": "viewer", "name": of.of("bound name"), "workspace": of.of("workspace") }),
            ]
        }),
        ("POST", "hooks" | "hooks/import") => Operators,
        (_, path) if path.starts_with("hooks/{id}") => named("hook"),
        (_, "audit/stats" | "audit/verify" | "audit/export" | "audit/keep") => Operators,
        (_, "roles/{name}") | ("PUT", "ownerships" | "workspaces/{name}") => Operators,
        ("GET", "workspaces/{name}") => Path(|of| of.of("workspace")),
        (_, "nodes" | "stats") => Operators,
        (_, path) if path.starts_with("nodes/") || path.starts_with("cluster") => Operators,
        (_, path) if path.starts_with("runs") || path.starts_with("resources") => Operators,
        (_, path) if path.starts_with("webhooks") => Operators,
        (
            _,
            "policies"
            | "policies/defaults"
            | "policies/dry-run"
            | "policies/{name}"
            | "policies/{name}/toggle",
        ) => Operators,
        ("PATCH", "policies/violations/{id}") => Operators,
        ("PUT" | "DELETE", "limits/{name}") => Operators,
        ("POST", "budgets") | (_, "budgets/summary" | "budgets/settings") => Operators,
        ("DELETE", "budgets/{name}") | (_, "budgets/{name}/override" | "budgets/{name}/reset") => Operators,
        _ => return None,
    })
}

/// Says what becomes of a route of the older control plane.
fn older_case(place: &str) -> Option<Case> {
    let (method, path) = place.split_once(' ')?;
    Some(match (method, path) {
        ("GET", "/agents" | "/tasks/history" | "/queue") => Own,
        ("POST", "/agents") => Body(|of| {
            vec![json!({ "agent_id": of.of("agent name") }), json!({ "agent_id": of.of("lone name") })]
        }),
        (_, "/health/{id}" | "/metrics/agents/{id}") => named("agent"),
        (_, path) if path.starts_with("/agents/{id}") => named("agent"),
        ("POST", "/tasks") => Nobodys,
        ("POST", "/tasks/claim") => Body(|of| {
            let claim = |agent: String| json!({ "agent_id": agent, "block_ms": 0 });
            vec![claim(of.of("agent")), claim(of.of("lone name"))]
        }),
        (_, path) if path.starts_with("/tasks/{id}") => named("leased"),
        ("POST", "/queue/prioritize") => Body(|of| {
            let priority = |field: &str, value: Value| json!({ field: value, "priority": "critical" });
            vec![
                priority("task_id", json!(of.of("waiting"))),
                priority("task_ids", json!([of.of("waiting")])),
            ]
        }),
        (_, "/stream") => Stream,
        (_, path) => {
            let groups = ["/queue", "/health", "/stats", "/metrics", "/breakers", "/audit", "/policies"];
            let more = ["/schedules", "/deliberations", "/notifications"];
            let is_known = groups.iter().chain(&more).any(|group| path.starts_with(group));
            return is_known.then_some(Operators);
        }
    })
}

fn case(place: &str) -> Option<Case> {
    let (method, path) = place.split_once(' ')?;
    let older = ["/api/v1/control-plane", "/api/control-plane"];
    if let Some(rest) = older.iter().find_map(|prefix| path.strip_prefix(prefix)) {
        return older_case(&format!("{method} {rest}"));
    }
    match path {
        "/healthz" | "/readyz" => Some(Nobodys),
        "/ws/control-plane" => Some(Stream),
        _ => native_case(place),
    }
}

/// The rows that somebody of red has no part in. What only counts or remembers requests is left out.
fn rows_of_others(api: &Api) -> Vec<(RowKey, Row)> {
    let counts = |key: &RowKey| {
        matches!(
            key,
            RowKey::Meta
                | RowKey::Requests(_)
                | RowKey::Endings(_)
                | RowKey::AuditHead
                | RowKey::AuditMark(_)
        )
    };
    let rows = api.node.read(|state| state.rows());
    let is_theirs = |(key, row): &(RowKey, Row)| {
        let text = format!("{key:?} {row:?}");
        !counts(key) && (!text.contains(RED) || text.contains(BLUE))
    };
    rows.into_iter().filter(is_theirs).collect()
}

fn forget_the_request(said: &mut Value) {
    match said {
        Value::Object(fields) => {
            fields.retain(|name, _| name != "request_id" && name != "trace_id");
            fields.values_mut().for_each(forget_the_request);
        }
        Value::Array(items) => items.iter_mut().for_each(forget_the_request),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// What an answer says, but for which request it answers.
fn said(answer: &Answer) -> (u16, Value) {
    let mut body: Value = serde_json::from_str(&answer.body).unwrap_or_else(|_| json!(answer.body));
    forget_the_request(&mut body);
    (answer.status.as_u16(), body)
}

/// The world, and what is looked at after each request.
struct Matrix {
    api: Api,
    red: Tenant,
    blue: Tenant,
    gone: Tenant,
    document: Value,
    others: Vec<(RowKey, Row)>,
}

impl Matrix {
    /// Returns the body that the document gives as an example.
    fn example(&self, method: &Method, path: &str) -> Option<Value> {
        let operation = &self.document["paths"][path][method.as_str().to_lowercase()];
        operation["requestBody"]["content"]["application/json"].get("example").cloned()
    }

    async fn ask(&self, method: &Method, path: &str, body: Option<&Value>) -> Answer {
        let answer = self.red.send(&self.api, method.clone(), path, body).await;
        let now = rows_of_others(&self.api);
        let changed = now.iter().zip(&self.others).find(|(now, before)| now != before);
        assert_eq!(now, self.others, "{method} {path} {body:?}: {changed:#?}");
        answer
    }

    /// Asks about blue's and about what is not there, and holds that nobody can tell which is which.
    async fn ask_twice(
        &self,
        method: &Method,
        path: impl Fn(&Tenant) -> String,
        body: impl Fn(&Tenant) -> Option<Value>,
    ) -> Answer {
        let (blue, gone) = (&self.blue, &self.gone);
        let (theirs_body, absent_body) = (body(blue), body(gone));
        let theirs = self.ask(method, &path(blue), theirs_body.as_ref()).await;
        let absent = self.ask(method, &path(gone), absent_body.as_ref()).await;
        let place = format!("{method} {} {theirs_body:?}", path(blue));
        let (status, words) = said(&theirs);
        let words = blue.renamed(&words.to_string(), gone);
        let (expected, other) = said(&absent);
        assert_eq!((status, words), (expected, gone.renamed(&other.to_string(), gone)), "{place}");
        let refused = (400..500).contains(&status) || theirs.body.contains("failed") || status == 200;
        assert!(refused, "{place}: {theirs:#?}");
        theirs
    }

    async fn run(&self, method: &Method, path: &str, case: Case) {
        let place = format!("{method} {path}");
        let example = self.example(method, path);
        let plain = path.split('/').map(|part| if part.starts_with('{') { "x" } else { part });
        let plain = plain.collect::<Vec<_>>().join("/");
        match case {
            Operators => {
                let answer = self.ask(method, &plain, example.as_ref()).await;
                answer_is_bound(&place, &answer);
            }
            Nobodys => {
                let answer = self.ask(method, &plain, Some(&json!({ "task_type": "work" }))).await;
                assert_eq!(self.blue.found_in(&answer.body), None, "{place}");
            }
            Own => {
                let answer = self.ask(method, &plain, None).await;
                assert_eq!(answer.status.as_u16(), 200, "{place}: {answer:#?}");
                assert_eq!(self.blue.found_in(&answer.body), None, "{place}: {answer:#?}");
                let is_there = path == "/api/v1/usage" || self.red.found_in(&answer.body).is_some();
                assert!(is_there, "{place}: {answer:#?}");
                self.filter_by_workspace(&place, path).await;
            }
            Path(name) => {
                let fill = |of: &Tenant| {
                    let (before, rest) = path.split_once('{').expect("a parameter");
                    let after = rest.split_once('}').map_or("", |(_, after)| after);
                    // What has not ended is not waited for.
                    let query = if after.ends_with("/wait") { "?timeout_ms=0" } else { "" };
                    format!("{before}{}{after}{query}", name(of))
                };
                let theirs = self.ask_twice(method, fill, |_| example.clone()).await;
                if *method == Method::GET {
                    let own = self.ask(method, &fill(&self.red), None).await;
                    // One that has no log or no rollout is there all the same.
                    let known = own.status.is_success() || own.json()["code"] != theirs.json()["code"];
                    assert!(known, "{place}: {own:#?}");
                }
            }
            Body(bodies) => {
                for number in 0..bodies(&self.blue).len() {
                    self.ask_twice(method, |_| plain.clone(), |of| bodies(of).get(number).cloned()).await;
                }
            }
            Many(body) => {
                let answer = self.ask(method, &plain, Some(&body)).await;
                assert_eq!(answer.status.as_u16(), 200, "{place}: {answer:#?}");
                let blue = json!({ "filter": { "workspace": BLUE } });
                self.ask(method, &plain, Some(&blue)).await.assert_problem(400, "invalid");
            }
            Stream => {}
        }
    }

    /// Whoever names another workspace is told that it is not theirs.
    async fn filter_by_workspace(&self, place: &str, path: &str) {
        let parameters = self.document["paths"][path]["get"]["parameters"].as_array();
        if parameters.into_iter().flatten().any(|one| one["name"] == "workspace") {
            let answer = self.ask(&Method::GET, &format!("{path}?workspace=azure"), None).await;
            let nothing = answer.status.as_u16() == 400 || answer.json()["items"] == json!([]);
            assert!(nothing, "{place}: {answer:#?}");
        }
    }
}

fn answer_is_bound(place: &str, answer: &Answer) {
    assert_eq!(answer.status.as_u16(), 403, "{place}: {answer:#?}");
    let code = answer.json()["code"].clone();
    assert_eq!(code, "workspace_bound", "{place}: {answer:#?}");
}

#[tokio::test]
async fn nobody_of_one_workspace_sees_or_changes_anything_of_another_by_any_route() {
    let (api, red, blue) = two_tenants().await;
    let others = rows_of_others(&api);
    assert!(others.len() > 20, "{}", others.len());
    let gone = Tenant::nobody();
    let matrix = Matrix { api, red, blue, gone, document: native::document(), others };
    let routes = synod::http::routes();
    let table = routes.table();
    let (mut first, mut last) = (Vec::new(), Vec::new());
    let mut looked_at = BTreeSet::new();
    for route in table {
        let path = route.path.replace("{*", "{");
        let place = format!("{} {path}", route.method);
        let case = case(&place);
        let case = case.unwrap_or_else(|| panic!("{place} has no case: say what a tenant may see of it"));
        looked_at.insert(place);
        match case {
            // They leave nothing of red's to look at.
            Many(_) => last.push((route.method.clone(), path, case)),
            case => first.push((route.method.clone(), path, case)),
        }
    }
    // All of them, so that one look tells of every route that lets something through.
    let mut failed = Vec::new();
    for (method, path, case) in first.into_iter().chain(last) {
        let asked = AssertUnwindSafe(matrix.run(&method, &path, case)).catch_unwind().await;
        failed.extend(asked.err().map(|_| format!("{method} {path}")));
    }
    assert_eq!(failed, Vec::<String>::new());
    for (path, methods) in matrix.document["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            let place = format!("{} {path}", method.to_uppercase());
            assert!(looked_at.contains(&place), "{place} is described and was not asked");
        }
    }
    matrix.api.stop().await;
}

#[tokio::test]
async fn what_is_of_no_workspace_is_the_default_ones() {
    let (api, red, _) = two_tenants().await;
    api.agent("shared", &[]).await;
    let task = api.submit_any("work").await;
    let theirs = red.send(&api, Method::GET, "/api/v1/agents", None).await;
    assert!(!theirs.body.contains("shared"), "{theirs:#?}");
    let path = format!("/api/v1/tasks/{task}");
    red.send(&api, Method::GET, &path, None).await.assert_problem(404, "task_unknown");
    let new = json!({ "name": "ci", "kind": "admin", "workspace": "default" });
    let made = api.post("/api/v1/tokens", &new).await.json();
    let secret = made["secret"].as_str().unwrap().to_owned();
    let default = Tenant { secret, marks: std::collections::BTreeMap::new() };
    let seen = default.send(&api, Method::GET, "/api/v1/agents", None).await;
    assert!(seen.body.contains("shared") && !seen.body.contains(RED), "{seen:#?}");
    assert_eq!(default.send(&api, Method::GET, &path, None).await.status.as_u16(), 200);
    // Work for anybody is done by those who are nobody's, whose ever it is.
    let new = json!({ "type": "work" });
    let open = red.send(&api, Method::POST, "/api/v1/tasks", Some(&new)).await.json();
    let claimed = api.claim("shared", 9).await;
    assert!(claimed.iter().any(|lease| lease["task"]["id"] == open["task_id"]), "{claimed:#?}");
    api.stop().await;
}

#[tokio::test]
async fn a_token_of_the_default_workspace_claims_for_its_own_agents_alone() {
    let (api, red, _) = two_tenants().await;
    api.agent("shared", &[]).await;
    let new = json!({ "name": "ci", "kind": "admin", "workspace": "default" });
    let made = api.post("/api/v1/tokens", &new).await.json();
    let secret = made["secret"].as_str().unwrap().to_owned();
    let default = Tenant { secret, marks: std::collections::BTreeMap::new() };
    let post = async |path: &str, body: Value| default.send(&api, Method::POST, path, Some(&body)).await;
    let open = red.send(&api, Method::POST, "/api/v1/tasks", Some(&json!({ "type": "work" }))).await.json();
    let task = open["task_id"].as_str().unwrap().to_owned();
    // The shared agent is seen, and would be given red's work: it is for operators to claim for.
    let claim = json!({ "agent_id": "shared", "max": 9 });
    post("/api/v1/tasks/claim", claim).await.assert_problem(403, "workspace_bound");
    for plane in ["/api/control-plane", "/api/v1/control-plane"] {
        let claim = json!({ "agent_id": "shared", "block_ms": 0 });
        let refused = post(&format!("{plane}/tasks/claim"), claim).await;
        assert_eq!(refused.status.as_u16(), 403, "{refused:#?}");
    }
    let claimed = api.claim("shared", 9).await;
    assert_eq!(claimed.len(), 1, "nobody took it: {claimed:#?}");
    assert_eq!((&claimed[0]["task"]["id"], &claimed[0]["attempt"]), (&json!(task), &json!(1)));
    for (verb, said) in [
        ("start", json!({ "attempt": 1 })),
        ("heartbeat", json!({ "attempt": 1 })),
        ("progress", json!({ "attempt": 1 })),
        ("release", json!({ "attempt": 1 })),
        ("fail", json!({ "attempt": 1, "reason": "mine", "retryable": false })),
        ("complete", json!({ "attempt": 1 })),
    ] {
        post(&format!("/api/v1/tasks/{task}/{verb}"), said).await.assert_problem(404, "task_unknown");
    }
    let items = json!({ "items": [{ "task_id": task, "attempt": 1 }] });
    let ended = post("/api/v1/tasks/complete", items).await.json();
    assert_eq!(ended["items"][0]["problem"]["code"], "task_unknown", "{ended}");
    // What it claims with an agent of its own it also completes.
    let made = post("/api/v1/agents", json!({ "name": "default/own", "concurrency": 3 })).await;
    assert_eq!(made.status.as_u16(), 201, "{made:#?}");
    let new = json!({ "type": "work", "agent": "default/own" });
    let own = post("/api/v1/tasks", new).await.json()["task_id"].clone();
    let claimed = post("/api/v1/tasks/claim", json!({ "agent_id": "default/own", "max": 9 })).await.json();
    assert_eq!(claimed["tasks"].as_array().map(Vec::len), Some(1), "{claimed}");
    assert_eq!(claimed["tasks"][0]["task"]["id"], own);
    let path = format!("/api/v1/tasks/{}/complete", own.as_str().unwrap());
    let ended = post(&path, json!({ "attempt": 1 })).await;
    assert_eq!(ended.status.as_u16(), 200, "{ended:#?}");
    api.stop().await;
}
