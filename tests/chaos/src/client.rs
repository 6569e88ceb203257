//! A client of the cluster: tries one node after the other and writes each try into the history.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::history::{Answer, History, Request, Status};
use crate::http::{Link, Outcome};
use crate::place::Place;

/// How long a client waits for one answer before it asks another node.
pub const TRY_WITHIN: Duration = Duration::from_secs(5);

/// How long it waits before the next try, so that a cluster without a leader is not drowned in questions.
const PAUSE: Duration = Duration::from_millis(20);

/// Where all nodes are, and how to get in.
#[derive(Debug, Clone)]
pub struct Doors {
    /// Their places, by the numbers of the nodes.
    pub places: Arc<Vec<Place>>,
    /// A token that every node takes.
    pub token: Arc<str>,
}

/// Asks one node at a time; the next one when that gives no answer.
pub struct Client {
    links: Vec<Link>,
    at: usize,
    history: History,
}

impl Client {
    /// Makes one that begins with the node `first`.
    pub fn new(doors: &Doors, first: usize, history: &History) -> Self {
        let links = doors.places.iter().map(|place| Link::new(place.clone(), &doors.token)).collect();
        Self { links, at: first % doors.places.len(), history: history.clone() }
    }

    /// Goes to the next node.
    pub fn turn(&mut self) {
        self.at = (self.at + 1) % self.links.len();
    }

    /// Sends a request once and notes what came of it.
    pub async fn once(&mut self, request: &Request, within: Duration, body: &Value) -> Answer {
        let call = self.history.ask(self.at, request.clone());
        let link = &mut self.links[self.at];
        let outcome = match request {
            Request::Submit { key, .. } => link.post("/api/v1/tasks", body, key.as_deref(), within).await,
            Request::Claim { key, .. } => link.post("/api/v1/tasks/claim", body, Some(key), within).await,
            Request::Heartbeat { task, .. } => {
                link.post(&format!("/api/v1/tasks/{task}/heartbeat"), body, None, within).await
            }
            Request::Complete { task, .. } => {
                link.post(&format!("/api/v1/tasks/{task}/complete"), body, None, within).await
            }
            Request::Fail { task, .. } => {
                link.post(&format!("/api/v1/tasks/{task}/fail"), body, None, within).await
            }
            Request::Cancel { task } => {
                link.post(&format!("/api/v1/tasks/{task}/cancel"), body, None, within).await
            }
            Request::Read { task } => link.get(&format!("/api/v1/tasks/{task}"), within).await,
        };
        let answer = read(request, outcome);
        self.history.answer(call, answer.clone());
        answer
    }

    /// Sends a request until a node answers it for certain, or `until` has passed.
    pub async fn insist(&mut self, request: &Request, body: &Value, until: tokio::time::Instant) -> Answer {
        loop {
            let answer = self.once(request, TRY_WITHIN, body).await;
            let again = match &answer {
                Answer::Unknown { .. } => true,
                Answer::Refused { code } => is_passing(code),
                _ => false,
            };
            if !again || tokio::time::Instant::now() + PAUSE > until {
                return answer;
            }
            self.turn();
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Sends something that no judge looks at, until a node takes it.
    pub async fn set_up(
        &mut self,
        path: &str,
        body: &Value,
        until: tokio::time::Instant,
    ) -> Result<Value, String> {
        loop {
            let outcome = self.links[self.at].post(path, body, None, TRY_WITHIN).await;
            if let Some(body) = outcome.success() {
                return Ok(body.clone());
            }
            if tokio::time::Instant::now() > until {
                return Err(format!("{path}: {outcome:?}"));
            }
            self.turn();
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// Tells whether a refusal goes away by itself.
pub(crate) fn is_passing(code: &str) -> bool {
    matches!(
        code,
        "unreachable"
            | "not_leader"
            | "no_leader"
            | "overloaded"
            | "crowded"
            | "superseded"
            | "full"
            | "stopping"
            | "no_space"
            | "unavailable"
    )
}

/// Reads what an outcome says about a request. Only a refusal with a reason is taken for "no".
fn read(request: &Request, outcome: Outcome) -> Answer {
    let (status, body) = match outcome {
        Outcome::NotSent(_) => return Answer::Refused { code: "unreachable".to_owned() },
        Outcome::Lost(why) => return Answer::Unknown { why },
        Outcome::Answer { status, body } => (status, body),
    };
    if !(200..300).contains(&status) {
        let code = body["code"].as_str().unwrap_or("").to_owned();
        let open = code.is_empty() || matches!(code.as_str(), "outcome_unknown" | "internal" | "timeout");
        return if open {
            Answer::Unknown { why: format!("{status} {code}") }
        } else {
            Answer::Refused { code }
        };
    }
    let understood = match request {
        Request::Submit { .. } => {
            body["task_id"].as_str().map(|task| Answer::Submitted { task: task.to_owned() })
        }
        Request::Claim { .. } => leases(&body).map(|leases| Answer::Claimed { leases }),
        Request::Heartbeat { .. } => Some(Answer::Renewed),
        Request::Complete { .. } | Request::Fail { .. } | Request::Cancel { .. } => {
            status_of(&body).map(|status| Answer::Stands { status })
        }
        Request::Read { .. } => {
            status_of(&body).and_then(|status| Some(Answer::Shown { status, attempt: attempt_of(&body)? }))
        }
    };
    understood.unwrap_or_else(|| Answer::Unknown { why: format!("{status} with {body}") })
}

fn leases(body: &Value) -> Option<Vec<(String, u32)>> {
    let one = |lease: &Value| Some((lease["task"]["id"].as_str()?.to_owned(), attempt_of(lease)?));
    body["tasks"].as_array()?.iter().map(one).collect()
}

/// Reads where a task is in its life.
pub fn status_of(body: &Value) -> Option<Status> {
    serde_json::from_value(body["status"].clone()).ok()
}

/// Reads the number of a lease.
pub fn attempt_of(body: &Value) -> Option<u32> {
    body["attempt"].as_u64()?.try_into().ok()
}

/// Makes the body of a submit, with so many bytes that nobody looks at.
pub fn task_body(mark: &str, silence: Duration, padding: usize) -> Value {
    json!({
        "type": "chaos",
        "required_capabilities": ["chaos"],
        "payload": { "mark": mark, "padding": "x".repeat(padding) },
        "metadata": { "mark": mark },
        "silence_timeout_ms": u64::try_from(silence.as_millis()).unwrap_or(u64::MAX),
        "retry": { "max_attempts": 50, "backoff_ms": 20, "backoff_max_ms": 200 },
    })
}
