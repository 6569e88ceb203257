//! Verbs about resources.

use super::ask::Ask;
use super::{Client, Error};
use crate::api::{Page, PageQuery, PutResource, Resource};

impl Client {
    /// Lists the resources.
    ///
    /// # Errors
    /// When the node cannot be asked or refuses.
    pub async fn resources(&self, page: &PageQuery) -> Result<Page<Resource>, Error> {
        self.send(Ask::get(["resources"]).with_fields(page)?).await
    }

    /// Looks at a resource: who has it, and who is next.
    ///
    /// # Errors
    /// When the node cannot be asked, or there is none.
    pub async fn resource(&self, name: &str) -> Result<Resource, Error> {
        self.send(Ask::get(["resources", name])).await
    }

    /// Makes a resource or changes it.
    ///
    /// # Errors
    /// When the node cannot be asked or refuses.
    pub async fn put_resource(&self, name: &str, resource: &PutResource) -> Result<Resource, Error> {
        self.send(self.put(["resources", name]).body(resource)?).await
    }

    /// Removes a resource that nobody has or waits for.
    ///
    /// # Errors
    /// When the node cannot be asked, there is none, or it is in use.
    pub async fn remove_resource(&self, name: &str) -> Result<(), Error> {
        self.tell(self.delete(["resources", name])).await
    }
}
