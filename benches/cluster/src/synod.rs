//! Our side: a cluster of three, or one node that stands alone, and the requests of the measurements.

use std::path::Path;
use std::time::Duration;

use synod_chaos::cluster::{Cluster, Shape};

use crate::connection::Connection;

/// How long a leader may take to be found.
pub(crate) const LEAD_WITHIN: Duration = Duration::from_secs(30);

/// Starts three nodes with default settings, but for the rate of the one token.
pub(crate) async fn three(binary: &Path, folder: &Path) -> Result<Cluster, String> {
    Cluster::form(&Shape::plain(binary, folder)).await
}

/// Starts one node that belongs to no cluster.
pub(crate) async fn alone(binary: &Path, folder: &Path) -> Result<Cluster, String> {
    Cluster::alone(&Shape { nodes: 1, ..Shape::plain(binary, folder) }).await
}

pub(crate) async fn stop(mut cluster: Cluster) {
    for node in &mut cluster.nodes {
        node.kill().await;
    }
}

/// A client of one node.
pub(crate) struct Client {
    connection: Connection,
    agent: String,
}

impl Client {
    /// Connects to the leader and registers an agent.
    pub(crate) async fn open(cluster: &Cluster, number: usize) -> Result<Self, String> {
        let leader = cluster.leader(LEAD_WITHIN).await?;
        let address = cluster.nodes[leader].api;
        let connection =
            Connection::open(address, cluster.token()).await.map_err(|error| error.to_string())?;
        let mut client = Self { connection, agent: format!("bench-{number}") };
        let agent = format!(r#"{{"name":"{}","concurrency":1000}}"#, client.agent);
        client.post("/api/v1/agents", &agent).await?;
        Ok(client)
    }

    /// Submits a task.
    pub(crate) async fn submit(&mut self, payload: &str) -> Result<(), String> {
        let body = format!(r#"{{"type":"bench","payload":"{payload}"}}"#);
        self.post("/api/v1/tasks", &body).await.map(drop)
    }

    /// Submits, claims and completes a task.
    pub(crate) async fn cycle(&mut self, payload: &str) -> Result<(), String> {
        self.submit(payload).await?;
        let body = format!(r#"{{"agent_id":"{}","max":1,"wait_ms":5000}}"#, self.agent);
        let claimed: serde_json::Value =
            serde_json::from_slice(self.post("/api/v1/tasks/claim", &body).await?)
                .map_err(|error| error.to_string())?;
        let lease = &claimed["tasks"][0];
        let task = lease["task"]["id"].as_str().ok_or_else(|| format!("no task was claimed: {claimed}"))?;
        let path = format!("/api/v1/tasks/{task}/complete");
        let body = format!(r#"{{"attempt":{},"result":null}}"#, lease["attempt"]);
        self.post(&path, &body).await.map(drop)
    }

    async fn post(&mut self, path: &str, body: &str) -> Result<&[u8], String> {
        let (status, body) = self.connection.post(path, body).await.map_err(|error| error.to_string())?;
        if (200..300).contains(&status) {
            return Ok(body);
        }
        Err(format!("{path}: {status} {}", String::from_utf8_lossy(body)))
    }
}
