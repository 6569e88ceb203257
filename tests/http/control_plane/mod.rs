//! The API of the older control plane, as its clients use it.

mod agents;
mod claims;
mod examples;
mod later;
mod looking;
mod regions;
mod shape;
mod stream;
mod tasks;
mod violations;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, Api, send};

/// A node that is served, seen under one prefix.
pub(super) struct Plane {
    pub(super) api: Api,
    pub(super) prefix: &'static str,
}

impl Plane {
    pub(super) async fn start() -> Self {
        Self { api: Api::start().await, prefix: "/api/control-plane" }
    }

    pub(super) async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> Answer {
        let request = self.api.call(method, &format!("{}{path}", self.prefix));
        send(match body {
            Some(body) => request.json(body),
            // So does its Python client where it has nothing to say.
            None => request.header("content-type", "application/json"),
        })
        .await
    }

    /// Sends a request that is answered with this status.
    #[track_caller]
    pub(super) fn expect(
        &self,
        status: u16,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> impl Future<Output = Value> {
        let called_at = std::panic::Location::caller();
        let path = path.to_owned();
        async move {
            let answer = self.send(method, &path, body.as_ref()).await;
            assert_eq!(answer.status.as_u16(), status, "{path}, asked at {called_at}: {answer:#?}");
            assert_eq!(answer.header("content-type"), "application/json", "{answer:#?}");
            answer.json()
        }
    }

    #[track_caller]
    pub(super) fn get(&self, path: &str) -> impl Future<Output = Value> {
        self.expect(200, Method::GET, path, None)
    }

    #[track_caller]
    pub(super) fn post(&self, path: &str, body: Value) -> impl Future<Output = Value> {
        self.expect(200, Method::POST, path, Some(body))
    }

    /// Sends a POST without a body.
    #[track_caller]
    pub(super) fn bare(&self, path: &str) -> impl Future<Output = Value> {
        self.expect(200, Method::POST, path, None)
    }

    /// Registers an agent.
    pub(super) async fn agent(&self, name: &str, capabilities: &[&str]) -> Value {
        let body = json!({ "agent_id": name, "capabilities": capabilities });
        self.expect(201, Method::POST, "/agents", Some(body)).await
    }

    /// Submits a task and returns its id.
    pub(super) async fn task(&self, body: Value) -> String {
        let answer = self.expect(201, Method::POST, "/tasks", Some(body)).await;
        answer["task_id"].as_str().unwrap().to_owned()
    }

    /// Claims a task without waiting.
    pub(super) async fn claim(&self, agent: &str) -> Value {
        self.post("/tasks/claim", json!({ "agent_id": agent, "block_ms": 0 })).await["task"].clone()
    }
}

/// Returns the keys of an object, in order of the alphabet.
#[track_caller]
pub(super) fn keys(value: &Value) -> Vec<&str> {
    let mut keys: Vec<_> = value.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

/// Returns the words of a text, in order of the alphabet.
pub(super) fn words(text: &str) -> Vec<&str> {
    let mut words: Vec<_> = text.split_whitespace().collect();
    words.sort_unstable();
    words
}
