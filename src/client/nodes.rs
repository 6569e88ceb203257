//! Verbs about nodes, figures and health.

use super::ask::Ask;
use super::{Client, Error};
use crate::api::{Health, Node, Page, PageQuery, Stats};

impl Client {
    /// Lists the nodes of the cluster, a page at a time.
    ///
    /// # Errors
    /// When the node cannot be asked or refuses.
    pub async fn nodes(&self, page: &PageQuery) -> Result<Page<Node>, Error> {
        self.send(Ask::look(["nodes"]).with_fields(page)?).await
    }

    /// Reads the figures of the moment and since ever.
    ///
    /// # Errors
    /// When the node cannot be asked or refuses.
    pub async fn stats(&self) -> Result<Stats, Error> {
        self.send(Ask::get(["stats"])).await
    }

    /// Reads whether the node can do its work.
    ///
    /// # Errors
    /// When the node cannot be asked or refuses.
    pub async fn health(&self) -> Result<Health, Error> {
        self.send(Ask::look(["health"])).await
    }
}
