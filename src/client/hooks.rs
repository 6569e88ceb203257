//! Verbs about hooks.

use std::time::Duration;

use super::ask::Ask;
use super::{Client, Error};
use crate::api::{
    CompleteHook, FailHook, Hook, HookFilter, ImportHooks, ImportedHooks, NewHook, Page, PageQuery,
    ReassignHook, StartHook, WaitQuery,
};

/// How long one request waits for the end of a hook: proxies in between cut longer ones.
const WAIT_MAX: Duration = Duration::from_secs(30);

/// The words of a hook that is over.
const ENDS: [&str; 2] = ["COMPLETED", "FAILED"];

impl Client {
    /// Makes a hook in a repository of the node that is asked.
    ///
    /// # Errors
    /// When the node cannot be asked or refuses.
    pub async fn create_hook(&self, hook: &NewHook) -> Result<Hook, Error> {
        self.send(self.post(["hooks"]).body(hook)?).await
    }

    /// Lists hooks, latest first, without work and results, a page at a time.
    ///
    /// # Errors
    /// When the node cannot be asked or refuses.
    pub async fn hooks(&self, filter: &HookFilter, page: &PageQuery) -> Result<Page<Hook>, Error> {
        self.send(Ask::get(["hooks"]).with_fields(filter)?.with_fields(page)?).await
    }

    /// Lists the hooks that nobody works on, a page at a time.
    ///
    /// # Errors
    /// When the node cannot be asked or refuses.
    pub async fn pending_hooks(&self, page: &PageQuery) -> Result<Page<Hook>, Error> {
        self.send(Ask::get(["hooks", "pending"]).with_fields(page)?).await
    }

    /// Reads a hook.
    ///
    /// # Errors
    /// When there is none, or the node cannot be asked or refuses.
    pub async fn hook(&self, hook: &str) -> Result<Hook, Error> {
        self.send(Ask::get(["hooks", hook])).await
    }

    /// Waits until a hook has completed or failed.
    ///
    /// # Errors
    /// When there is none or it was removed, or the node cannot be asked or refuses.
    pub async fn wait_for_hook(&self, hook: &str) -> Result<Hook, Error> {
        loop {
            let timeout_ms = u64::try_from(WAIT_MAX.as_millis()).ok();
            let ask = Ask::get(["hooks", hook, "wait"]).with_fields(&WaitQuery { timeout_ms })?;
            let seen: Hook = self.send(ask.long_poll(WAIT_MAX)).await?;
            if ENDS.contains(&seen.status.as_str()) {
                return Ok(seen);
            }
        }
    }

    /// Says that work on a hook has begun, or goes on.
    ///
    /// # Errors
    /// When another attempt has it, or the node cannot be asked or refuses.
    pub async fn start_hook(&self, hook: &str, start: &StartHook) -> Result<Hook, Error> {
        self.send(self.post(["hooks", hook, "start"]).body(start)?).await
    }

    /// Ends a hook with its result.
    ///
    /// # Errors
    /// When another attempt has it, or the node cannot be asked or refuses.
    pub async fn complete_hook(&self, hook: &str, complete: &CompleteHook) -> Result<Hook, Error> {
        self.send(self.post(["hooks", hook, "complete"]).body(complete)?).await
    }

    /// Ends an attempt at a hook without a result.
    ///
    /// # Errors
    /// When another attempt has it, or the node cannot be asked or refuses.
    pub async fn fail_hook(&self, hook: &str, fail: &FailHook) -> Result<Hook, Error> {
        self.send(self.post(["hooks", hook, "fail"]).body(fail)?).await
    }

    /// Says that an agent does not work on a hook any more.
    ///
    /// # Errors
    /// When another attempt has it, or the node cannot be asked or refuses.
    pub async fn abandon_hook(&self, hook: &str, fail: &FailHook) -> Result<Hook, Error> {
        self.send(self.post(["hooks", hook, "abandon"]).body(fail)?).await
    }

    /// Gives a hook to an agent, under the next attempt.
    ///
    /// # Errors
    /// When it has ended, or the node cannot be asked or refuses.
    pub async fn reassign_hook(&self, hook: &str, to: &ReassignHook) -> Result<Hook, Error> {
        self.send(self.post(["hooks", hook, "reassign"]).body(to)?).await
    }

    /// Forgets a hook that has ended or is abandoned.
    ///
    /// # Errors
    /// When somebody works on it, or the node cannot be asked or refuses.
    pub async fn remove_hook(&self, hook: &str) -> Result<(), Error> {
        self.tell(self.delete(["hooks", hook])).await
    }

    /// Takes over the hooks that are on record in a repository of the node that is asked.
    ///
    /// # Errors
    /// When the node cannot be asked or refuses.
    pub async fn import_hooks(&self, import: &ImportHooks) -> Result<ImportedHooks, Error> {
        self.send(Ask::post(["hooks", "import"]).repeatable().body(import)?).await
    }
}
