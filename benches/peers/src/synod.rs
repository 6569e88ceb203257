//! synod over HTTP on loopback: one kept connection a client.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use tokio::process::Command;

use crate::http::Connection;
use crate::peer::Claimed;
use crate::server::{Process, free_address};

/// How often, and how far apart, the first token is looked for.
const TOKEN_LOOKS: usize = 500;
const TOKEN_LOOK: Duration = Duration::from_millis(20);

#[derive(Debug, Clone)]
pub(crate) struct Address {
    address: SocketAddr,
    token: Arc<str>,
}

pub(crate) struct Client {
    connection: Connection,
    host: String,
    token: Arc<str>,
    agent: String,
    priority: &'static str,
}

pub(crate) async fn start(binary: &Path, home: &Path) -> Result<(Process, Address), String> {
    let binary: PathBuf = binary
        .canonicalize()
        .map_err(|_| format!("{} is not there; `cargo build --release` makes it", binary.display()))?;
    let address = free_address();
    let data = home.join("data");
    let mut command = Command::new(binary);
    command.arg("server").arg("--data").arg(&data).args(["--listen", &address.to_string()]);
    // All clients share one token here, and the limit on one token is not what is measured.
    command.env("SYNOD_HTTP__REQUESTS_PER_SECOND", "1000000").env("SYNOD_HTTP__BURST", "1000000");
    let mut process = Process::start(&mut command, home)?;
    process.listens(address).await?;
    // It listens before it is ready; the token is there when it is.
    for _ in 0..TOKEN_LOOKS {
        if let Ok(token) = std::fs::read_to_string(data.join("admin-token")) {
            return Ok((process, Address { address, token: token.trim().into() }));
        }
        tokio::time::sleep(TOKEN_LOOK).await;
    }
    Err("it writes no token".to_owned())
}

impl Client {
    pub(crate) async fn connect(address: &Address, number: usize) -> Self {
        let mut client = Self {
            connection: Connection::open(address.address).await,
            host: address.address.to_string(),
            token: address.token.clone(),
            agent: format!("bench-{number}"),
            priority: ["critical", "high", "normal", "low"][number % 4],
        };
        let agent = format!(r#"{{"name":"{}","concurrency":1000}}"#, client.agent);
        client.post("/api/v1/agents", &agent).await;
        client
    }

    pub(crate) async fn submit(&mut self, payload: &str, count: usize) {
        let task = format!(r#"{{"type":"bench","payload":"{payload}","priority":"{}"}}"#, self.priority);
        let body = if count == 1 { task } else { format!("[{}]", vec![task; count].join(",")) };
        let answer = self.post("/api/v1/tasks", &body).await;
        assert_eq!(values(answer, r#""task_id":"#).count(), count, "a submit was refused");
    }

    pub(crate) async fn claim(&mut self, count: usize, wait_ms: u64) -> Vec<Claimed> {
        let body = format!(r#"{{"agent_id":"{}","max":{count},"wait_ms":{wait_ms}}}"#, self.agent);
        let answer: Answer =
            serde_json::from_slice(self.post("/api/v1/tasks/claim", &body).await).expect("JSON");
        answer.tasks.into_iter().map(|one| (one.task.id, one.attempt)).collect()
    }

    pub(crate) async fn complete(&mut self, tasks: &[Claimed]) {
        if let [(id, attempt)] = tasks {
            let path = format!("/api/v1/tasks/{id}/complete");
            self.post(&path, &format!(r#"{{"attempt":{attempt},"result":null}}"#)).await;
            return;
        }
        let items: Vec<String> = tasks
            .iter()
            .map(|(id, attempt)| format!(r#"{{"task_id":"{id}","attempt":{attempt},"result":null}}"#))
            .collect();
        let body = format!(r#"{{"items":[{}]}}"#, items.join(","));
        let answer = self.post("/api/v1/tasks/complete", &body).await;
        assert_eq!(
            values(answer, r#""status":"completed""#).count(),
            tasks.len(),
            "a completion was refused"
        );
    }

    async fn post(&mut self, path: &str, body: &str) -> &[u8] {
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            self.host,
            self.token,
            body.len()
        );
        let (status, answer) = self.connection.exchange(request.as_bytes()).await;
        assert!(
            status == 200 || status == 201,
            "{path} answered {status}: {}",
            String::from_utf8_lossy(answer)
        );
        answer
    }
}

/// What is read of the answer to a claim.
#[derive(Deserialize)]
struct Answer {
    tasks: Vec<Leased>,
}

#[derive(Deserialize)]
struct Leased {
    task: Task,
    attempt: u32,
}

#[derive(Deserialize)]
struct Task {
    id: String,
}

/// Finds each place of a text.
fn values<'a>(answer: &'a [u8], text: &'a str) -> impl Iterator<Item = usize> + 'a {
    let text = text.as_bytes();
    (0..answer.len()).filter(move |at| answer[*at..].starts_with(text))
}
