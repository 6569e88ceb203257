//! What the tests of the native API share: tasks, agents and claims, said in a line.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, Api, PATIENCE, send};

/// The pause between two looks at a condition that no event tells.
const LOOK_EVERY: Duration = Duration::from_millis(5);

impl Api {
    /// Sends a POST of the operator.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        send(self.call(Method::POST, path).json(body)).await
    }

    /// Sends a DELETE of the operator.
    pub(crate) async fn delete(&self, path: &str) -> Answer {
        send(self.call(Method::DELETE, path)).await
    }

    /// Sends a PUT of the operator.
    pub(crate) async fn put(&self, path: &str, body: &Value) -> Answer {
        send(self.call(Method::PUT, path).json(body)).await
    }

    /// Submits a task and returns its id.
    pub(crate) async fn submit(&self, task: &Value) -> String {
        let answer = self.post("/api/v1/tasks", task).await;
        assert_eq!(answer.status.as_u16(), 201, "{answer:#?}");
        answer.json()["task_id"].as_str().unwrap().to_owned()
    }

    /// Submits a task that any agent can do, of this type.
    pub(crate) async fn submit_any(&self, kind: &str) -> String {
        self.submit(&json!({ "type": kind })).await
    }

    /// Registers an external agent that can do anything with these capabilities, and returns its id.
    pub(crate) async fn agent(&self, name: &str, capabilities: &[&str]) -> String {
        let body = json!({ "name": name, "capabilities": capabilities, "concurrency": 1000 });
        let answer = self.post("/api/v1/agents", &body).await;
        assert_eq!(answer.status.as_u16(), 201, "{answer:#?}");
        answer.json()["id"].as_str().unwrap().to_owned()
    }

    /// Claims at most `max` tasks that are there.
    pub(crate) async fn claim(&self, agent: &str, max: u32) -> Vec<Value> {
        let answer = self.post("/api/v1/tasks/claim", &json!({ "agent_id": agent, "max": max })).await;
        assert_eq!(answer.status.as_u16(), 200, "{answer:#?}");
        answer.json()["tasks"].as_array().unwrap().clone()
    }

    /// Claims the one task that is there, and returns its id and attempt.
    pub(crate) async fn claim_one(&self, agent: &str) -> (String, u64) {
        let leases = self.claim(agent, 1).await;
        assert_eq!(leases.len(), 1, "{leases:#?}");
        let id = leases[0]["task"]["id"].as_str().unwrap().to_owned();
        (id, leases[0]["attempt"].as_u64().unwrap())
    }

    /// Submits a task and fails it for good: a dead letter.
    pub(crate) async fn dead_letter(&self, agent: &str, kind: &str) -> String {
        let id = self.submit_any(kind).await;
        let (claimed, attempt) = self.claim_one(agent).await;
        assert_eq!(claimed, id);
        let body = json!({ "attempt": attempt, "reason": "it cannot be done", "retryable": false });
        let answer = self.post(&format!("/api/v1/tasks/{id}/fail"), &body).await;
        assert_eq!(answer.json(), json!({ "status": "failed" }));
        id
    }

    /// Reads a task.
    pub(crate) async fn task(&self, id: &str) -> Value {
        let answer = self.get(&format!("/api/v1/tasks/{id}")).await;
        assert_eq!(answer.status.as_u16(), 200, "{answer:#?}");
        answer.json()
    }

    /// Walks all pages of a list and returns one field of each item.
    pub(crate) async fn walk(&self, path: &str, field: &str) -> Vec<String> {
        let mut all = Vec::new();
        let mut next = String::new();
        let mark = if path.contains('?') { '&' } else { '?' };
        for _ in 0..10_000 {
            let page = self.get(&format!("{path}{mark}{next}")).await;
            assert_eq!(page.status.as_u16(), 200, "{page:#?}");
            let page = page.json();
            let items = page["items"].as_array().unwrap();
            all.extend(items.iter().map(|item| item[field].as_str().unwrap().to_owned()));
            match page["next_cursor"].as_str() {
                Some(cursor) => next = format!("cursor={cursor}"),
                None => return all,
            }
        }
        panic!("{path} has no last page");
    }

    /// Waits until so many claims are in line.
    pub(crate) async fn claims_in_line(&self, count: usize) {
        let waited = tokio::time::timeout(PATIENCE, async {
            while self.node.claims_waiting() < count {
                tokio::time::sleep(LOOK_EVERY).await;
            }
        });
        waited.await.expect("the claims are in line");
    }
}
