//! How nodes come into a cluster: one after the other, or all at once.

use std::time::Duration;

use serde_json::json;
use tokio::time::{Instant, sleep};

use super::{Cluster, LOOK_EVERY, PATIENCE};

/// In which order nodes come together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forming {
    /// Each is let in before the next one begins.
    OneByOne,
    /// All but the first two in the same moment, some of them through a follower. The second begins before the founder
    /// serves, and is started again if it ends.
    AtOnce,
    /// The second begins before the founder serves, and is not started again.
    BeforeTheFounder,
}

/// How long a node is left alone that joins while nobody serves: some of its tries.
const ALONE: Duration = Duration::from_secs(2);

impl Cluster {
    /// Asks a node for a token with which another one may join.
    ///
    /// # Errors
    /// When it gives none in time.
    pub(super) async fn join_token(&self, from: usize) -> Result<String, String> {
        let until = Instant::now() + PATIENCE;
        let mut link = self.link(from);
        loop {
            let outcome = link.post("/api/v1/cluster/join-tokens", &json!({}), None, PATIENCE).await;
            if let Some(text) = outcome.success().and_then(|body| body["text"].as_str()) {
                return Ok(text.to_owned());
            }
            if Instant::now() > until {
                return Err(format!("no join token: {outcome:?}"));
            }
            sleep(LOOK_EVERY).await;
        }
    }

    /// Starts a node that joins through another.
    pub(super) fn start_joining(&mut self, node: usize, through: usize, text: &str) -> Result<(), String> {
        let address = self.nodes[through].cluster.to_string();
        self.nodes[node].start(Some((&address, text)))
    }

    /// Lets one node join that was started too early, and then all others in the same moment, each with a token of its own:
    /// in turn through the founder and through that first one, which follows.
    pub(super) async fn join_at_once(&mut self) -> Result<(), String> {
        let token = self.start_early().await?;
        if self.nodes[1].ended().is_some() {
            // As whoever runs it does, with the same token: what it had begun counts.
            self.start_joining(1, 0, &token)?;
        }
        self.nodes[1].answers(PATIENCE).await?;
        let mut tokens = Vec::new();
        for node in 2..self.nodes.len() {
            tokens.push((node, node % 2, self.join_token(node % 2).await?));
        }
        for (node, through, token) in &tokens {
            self.start_joining(*node, *through, token)?;
        }
        for (node, ..) in &tokens {
            self.nodes[*node].answers(PATIENCE).await?;
        }
        Ok(())
    }

    /// Lets the second node join that was started too early, and is not started again; then the others.
    pub(super) async fn join_early(&mut self) -> Result<(), String> {
        self.start_early().await?;
        self.nodes[1].answers(PATIENCE).await?;
        for node in 2..self.nodes.len() {
            self.join(node).await?;
        }
        Ok(())
    }

    /// Starts the second node while the founder, which gave it a token, does not serve; then the founder. Returns the token.
    async fn start_early(&mut self) -> Result<String, String> {
        let token = self.join_token(0).await?;
        self.nodes[0].stop(PATIENCE).await?;
        self.start_joining(1, 0, &token)?;
        sleep(ALONE).await;
        self.nodes[0].start(None)?;
        self.nodes[0].answers(PATIENCE).await?;
        Ok(token)
    }
}
