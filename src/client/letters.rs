//! Verbs about dead letters.

use super::ask::Ask;
use super::{Client, Error, TaskQuery};
use crate::api::{Bulk, BulkDone, DeadLetter, Page, Redrive};

impl Client {
    /// Lists dead letters, a page at a time.
    ///
    /// # Errors
    /// When the node cannot be asked or refuses.
    pub async fn dead_letters(&self, query: &TaskQuery) -> Result<Page<DeadLetter>, Error> {
        self.send(Ask::get(["dead-letters"]).with_fields(query)?).await
    }

    /// Reads a dead letter.
    ///
    /// # Errors
    /// When there is none, or the node cannot be asked or refuses.
    pub async fn dead_letter(&self, task: &str) -> Result<DeadLetter, Error> {
        self.send(Ask::get(["dead-letters", task])).await
    }

    /// Makes a new task from a dead letter.
    ///
    /// # Errors
    /// When there is none, or the node cannot be asked or refuses.
    pub async fn redrive(&self, task: &str) -> Result<Redrive, Error> {
        self.send(self.post(["dead-letters", task, "redrive"])).await
    }

    /// Makes new tasks from many dead letters; call again while there are more. Repeated as [`Client::cancel_all`] is.
    ///
    /// # Errors
    /// When the node cannot be asked or refuses.
    pub async fn redrive_all(&self, bulk: &Bulk) -> Result<BulkDone, Error> {
        self.send(self.post(["dead-letters", "redrive"]).body(bulk)?).await
    }

    /// Forgets a dead letter.
    ///
    /// # Errors
    /// When there is none, or the node cannot be asked or refuses.
    pub async fn purge(&self, task: &str) -> Result<(), Error> {
        self.tell(self.delete(["dead-letters", task])).await
    }

    /// Forgets many dead letters; call again while there are more. Repeated as [`Client::cancel_all`] is.
    ///
    /// # Errors
    /// When the node cannot be asked or refuses.
    pub async fn purge_all(&self, bulk: &Bulk) -> Result<BulkDone, Error> {
        self.send(self.post(["dead-letters", "purge"]).body(bulk)?).await
    }
}
