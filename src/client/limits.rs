//! Verbs about limit sets.

use super::ask::Ask;
use super::{Client, Error};
use crate::api::{Limit, LimitKey, Page, PageQuery, PutLimit};

impl Client {
    /// Lists the limit sets.
    ///
    /// # Errors
    /// When the node cannot be asked or refuses.
    pub async fn limits(&self, page: &PageQuery) -> Result<Page<Limit>, Error> {
        self.send(Ask::get(["limits"]).with_fields(page)?).await
    }

    /// Looks at a limit set.
    ///
    /// # Errors
    /// When the node cannot be asked, or there is none.
    pub async fn limit(&self, name: &str) -> Result<Limit, Error> {
        self.send(Ask::get(["limits", name])).await
    }

    /// Makes a limit set, or changes it, at once for what waits.
    ///
    /// # Errors
    /// When the node cannot be asked or refuses.
    pub async fn put_limit(&self, name: &str, limit: &PutLimit) -> Result<Limit, Error> {
        self.send(self.put(["limits", name]).body(limit)?).await
    }

    /// Removes a limit set; what it held back goes on.
    ///
    /// # Errors
    /// When the node cannot be asked or refuses.
    pub async fn remove_limit(&self, name: &str) -> Result<(), Error> {
        self.tell(self.delete(["limits", name])).await
    }

    /// Lists the keys of a limit set that use something or that tasks wait for.
    ///
    /// # Errors
    /// When the node cannot be asked, or there is no such set.
    pub async fn limit_keys(&self, name: &str, page: &PageQuery) -> Result<Page<LimitKey>, Error> {
        self.send(Ask::get(["limits", name, "keys"]).with_fields(page)?).await
    }
}
