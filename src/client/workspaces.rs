//! Verbs about workspaces.

use super::ask::Ask;
use super::{Client, Error};
use crate::api::{Page, PageQuery, PutWorkspace, Workspace};

impl Client {
    /// Lists workspaces.
    ///
    /// # Errors
    /// When the node cannot be asked or refuses.
    pub async fn workspaces(&self, page: &PageQuery) -> Result<Page<Workspace>, Error> {
        self.send(Ask::get(["workspaces"]).with_fields(page)?).await
    }

    /// Looks at a workspace.
    ///
    /// # Errors
    /// When the node cannot be asked or refuses.
    pub async fn workspace(&self, name: &str) -> Result<Workspace, Error> {
        self.send(Ask::get(["workspaces", name])).await
    }

    /// Changes a workspace.
    ///
    /// # Errors
    /// When the node cannot be asked or refuses.
    pub async fn put_workspace(&self, name: &str, wanted: &PutWorkspace) -> Result<Workspace, Error> {
        self.send(self.put(["workspaces", name]).body(wanted)?).await
    }
}
