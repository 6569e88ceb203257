//! Verbs about mailboxes and pauses.

use super::ask::Ask;
use super::{Client, Error};
use crate::api::{Mailbox, Page, PageQuery, Pause, PauseOf};

impl Client {
    /// Lists the mailboxes that have waiting work or are paused.
    ///
    /// # Errors
    /// When the node cannot be asked or refuses.
    pub async fn mailboxes(&self, page: &PageQuery) -> Result<Page<Mailbox>, Error> {
        self.send(Ask::get(["mailboxes"]).with_fields(page)?).await
    }

    /// Lists the pauses in force.
    ///
    /// # Errors
    /// When the node cannot be asked or refuses.
    pub async fn pauses(&self) -> Result<Page<Pause>, Error> {
        self.send(Ask::get(["mailboxes", "pauses"])).await
    }

    /// Pauses a mailbox, a pool or a workspace.
    ///
    /// # Errors
    /// When the node cannot be asked or refuses.
    pub async fn pause(&self, of: &PauseOf) -> Result<(), Error> {
        self.tell(self.post(["mailboxes", "pause"]).body(of)?).await
    }

    /// Ends a pause.
    ///
    /// # Errors
    /// When the node cannot be asked or refuses.
    pub async fn resume(&self, of: &PauseOf) -> Result<(), Error> {
        self.tell(self.post(["mailboxes", "resume"]).body(of)?).await
    }
}
