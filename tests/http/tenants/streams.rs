//! What tenants hear on streams: each that there is, from the beginning and from here on, while both do everything.

use futures::StreamExt;
use reqwest::{Method, Response};
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use super::{BLUE, RED, Tenant, two_tenants};
use crate::events::{Socket, listen};
use crate::support::{Api, PATIENCE};

/// What a stream came over, as far as it was read.
enum Ear {
    Lines(Response),
    Frames(Box<Socket>),
}

/// A stream that somebody listens to, and what was heard on it.
struct Listener {
    place: String,
    ear: Ear,
    heard: String,
}

impl Listener {
    async fn open(api: &Api, tenant: &Tenant, path: &str) -> Self {
        let ear = if path.starts_with("/api/v1/events") && !path.contains("/ws") {
            let stream = api.bare(Method::GET, path).bearer_auth(&tenant.secret).send().await.unwrap();
            assert_eq!(stream.status().as_u16(), 200, "{path}");
            Ear::Lines(stream)
        } else {
            let socket = listen(api, path, &tenant.secret).await;
            Ear::Frames(Box::new(socket.unwrap_or_else(|error| panic!("{path}: {error}"))))
        };
        Self { place: path.to_owned(), ear, heard: String::new() }
    }

    /// Listens until it has heard of something.
    async fn until(&mut self, last: &str) {
        let listening = async {
            while !self.heard.contains(last) {
                match &mut self.ear {
                    Ear::Lines(stream) => {
                        let chunk = stream.chunk().await.unwrap().expect("the stream goes on");
                        self.heard.push_str(std::str::from_utf8(&chunk).unwrap());
                    }
                    Ear::Frames(socket) => {
                        let message = socket.next().await.expect("the stream goes on").unwrap();
                        if let Message::Text(text) = message {
                            self.heard.push_str(&text);
                        }
                    }
                }
            }
        };
        let outcome = tokio::time::timeout(PATIENCE, listening).await;
        assert!(outcome.is_ok(), "{} does not tell of {last}: {}", self.place, self.heard);
    }
}

/// Every stream that there is; those that can begin behind an event do so from the first that is kept, too.
const STREAMS: [&str; 7] = [
    "/api/v1/events",
    "/api/v1/events?after=0.0",
    "/api/v1/events/ws",
    "/api/v1/events/ws?after=0.0",
    "/api/control-plane/stream",
    "/api/v1/control-plane/stream",
    "/ws/control-plane",
];

/// Does something of each sort, and returns the task that comes last.
async fn live(api: &Api, tenant: &Tenant) -> String {
    let post = async |path: &str, body| {
        let answer = tenant.send(api, Method::POST, path, Some(&body)).await;
        assert!(answer.status.is_success(), "{path}: {answer:#?}");
        // Some have nothing to say.
        if answer.body.is_empty() { json!(null) } else { answer.json() }
    };
    let pool = tenant.of("pool");
    let label = tenant.of("workspace");
    post("/api/v1/mailboxes/resume", json!({ "pool": pool })).await;
    let new = json!({ "type": "work", "pool": pool, "labels": { "of": label }, "running_timeout_ms": 0 });
    for _ in 0..3 {
        post("/api/v1/tasks", new.clone()).await;
    }
    let claim = json!({ "agent_id": tenant.of("agent"), "max": 3 });
    for lease in post("/api/v1/tasks/claim", claim).await["tasks"].as_array().unwrap() {
        let (id, attempt) = (lease["task"]["id"].as_str().unwrap(), &lease["attempt"]);
        let said = json!({ "attempt": attempt, "progress": { "percent": 5, "message": label } });
        post(&format!("/api/v1/tasks/{id}/progress"), said).await;
        let said = json!({ "attempt": attempt, "result": { "of": label } });
        post(&format!("/api/v1/tasks/{id}/complete"), said).await;
    }
    let ask = json!({ "action": "tool.burn", "agent_id": tenant.of("agent") });
    post("/api/v1/policy/evaluate", ask).await;
    let quota = json!({ "quota": { "concurrency": 90 } });
    let put = api.put(&format!("/api/v1/workspaces/{label}"), &quota).await;
    assert!(put.status.is_success(), "{put:#?}");
    let made = post("/api/v1/tokens", json!({ "name": tenant.of("token name"), "kind": "worker" })).await;
    let token = format!("/api/v1/tokens/{}", made["token"]["id"].as_str().unwrap());
    assert!(tenant.send(api, Method::DELETE, &token, None).await.status.is_success());
    post("/api/v1/mailboxes/pause", json!({ "pool": pool })).await;
    post("/api/v1/tasks", new).await["task_id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn no_stream_tells_a_tenant_anything_of_another() {
    let (api, red, blue) = two_tenants().await;
    let mut listeners = Vec::new();
    for path in STREAMS {
        listeners.push(Listener::open(&api, &red, path).await);
    }
    // Theirs comes first, so that it has been told, or not, when one's own is heard.
    let theirs = live(&api, &blue).await;
    let own = live(&api, &red).await;
    for listener in &mut listeners {
        listener.until(&own).await;
        let Listener { place, heard, .. } = &*listener;
        assert_eq!(blue.found_in(heard), None, "{place}: {heard}");
        assert!(!heard.contains(&theirs) && !heard.contains(BLUE), "{place}: {heard}");
    }
    let from_the_first = listeners.iter().filter(|listener| listener.place.ends_with("after=0.0"));
    for Listener { place, heard, .. } in from_the_first {
        assert!(heard.contains(&red.of("ended")), "{place}: it tells of what was before: {heard}");
    }
    assert!(listeners.iter().all(|listener| listener.heard.contains("task_submitted")));
    api.stop().await;
}

#[tokio::test]
async fn a_stream_cannot_be_asked_for_another_workspace_or_its_things() {
    let (api, red, blue) = two_tenants().await;
    for path in ["/api/v1/events", "/api/v1/events/ws"] {
        let asked = format!("{path}?workspace={BLUE}");
        let refused = match path.ends_with("ws") {
            true => listen(&api, &asked, &red.secret).await.is_err(),
            false => red.send(&api, Method::GET, &asked, None).await.status.as_u16() == 400,
        };
        assert!(refused, "{asked}");
    }
    // A filter by what is another's finds nothing, and what is one's own is told behind it.
    let resources = format!("{},{},{}", blue.of("pool"), blue.of("agent"), red.of("agent"));
    let mut listener = Listener::open(&api, &red, &format!("/api/v1/events?resource={resources}")).await;
    live(&api, &blue).await;
    live(&api, &red).await;
    listener.until("task_leased").await;
    assert_eq!(blue.found_in(&listener.heard), None, "{}", listener.heard);
    assert!(listener.heard.contains(RED), "{}", listener.heard);
    api.stop().await;
}

#[tokio::test]
async fn a_stream_of_a_tenant_ends_with_their_token() {
    let (api, red, _) = two_tenants().await;
    let mut listener = Listener::open(&api, &red, "/api/v1/events/ws").await;
    let Ear::Frames(socket) = &mut listener.ear else { panic!("a WebSocket") };
    let path = format!("/api/v1/tokens/{}", red.of("token"));
    assert!(api.delete(&path).await.status.is_success());
    let ended = async {
        while let Some(Ok(message)) = socket.next().await {
            if matches!(message, Message::Close(_)) {
                return;
            }
        }
    };
    tokio::time::timeout(PATIENCE, ended).await.expect("it is over");
    api.stop().await;
}

/// Does something with an agent and a pool of its own, and submits a task behind it.
async fn tend(api: &Api, tenant: &Tenant) -> String {
    let workspace = tenant.of("workspace");
    let send = async |method: Method, path: &str, body: Option<serde_json::Value>| {
        let answer = tenant.send(api, method.clone(), path, body.as_ref()).await;
        assert!(answer.status.is_success(), "{method} {path}: {answer:#?}");
        if answer.body.is_empty() { json!(null) } else { answer.json() }
    };
    let (pool, agent) = (format!("{workspace}/side"), format!("{workspace}/second"));
    let new = json!({ "name": pool, "runtime": "external", "max": 5 });
    send(Method::POST, "/api/v1/pools", Some(new)).await;
    send(Method::POST, "/api/v1/agents", Some(json!({ "name": agent, "pool": pool }))).await;
    send(Method::POST, "/api/v1/mailboxes/pause", Some(json!({ "pool": pool, "reason": workspace }))).await;
    send(Method::POST, "/api/v1/mailboxes/resume", Some(json!({ "pool": pool }))).await;
    let of = format!("pool/{pool}");
    send(Method::PUT, &format!("/api/v1/breakers/{of}"), Some(json!({}))).await;
    let trip = json!({ "of": of, "reason": workspace });
    send(Method::POST, "/api/v1/breakers/trip", Some(trip)).await;
    let named = |name: &str| name.replace('/', "%2F");
    send(Method::POST, &format!("/api/v1/agents/{}/drain", named(&agent)), None).await;
    send(Method::DELETE, &format!("/api/v1/agents/{}", named(&agent)), None).await;
    send(Method::DELETE, &format!("/api/v1/pools/{}", named(&pool)), None).await;
    let last = json!({ "type": "work", "pool": tenant.of("pool") });
    send(Method::POST, "/api/v1/tasks", Some(last)).await["task_id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn tenants_hear_of_their_own_agents_and_pools_and_of_no_others() {
    let (api, red, blue) = two_tenants().await;
    let operators = format!("/api/v1/events?workspace={RED}");
    let mut listeners = Vec::new();
    for path in STREAMS {
        listeners.push(Listener::open(&api, &red, path).await);
    }
    let admin = Tenant::of_operator(&api);
    listeners.push(Listener::open(&api, &admin, &operators).await);
    tend(&api, &blue).await;
    let own = tend(&api, &red).await;
    for listener in &mut listeners {
        listener.until(&own).await;
        let Listener { place, heard, .. } = &*listener;
        assert!(!heard.contains(BLUE), "{place}: {heard}");
        let is_older = !place.starts_with("/api/v1/events");
        let expected: &[&str] = if is_older {
            &["agent_registered", "agent_unregistered"]
        } else {
            &[
                "agent_registered",
                "agent_changed",
                "agent_removed",
                "pool_changed",
                "pool_removed",
                "paused",
                "resumed",
                "breaker_set",
                "breaker_opened",
            ]
        };
        for kind in expected {
            assert!(heard.contains(kind), "{place} does not tell of {kind}: {heard}");
        }
    }
    api.stop().await;
}
