//! Verbs for those who do the work.
//!
//! All of them are repeated when no answer came: each counts once by its key, and by its attempt besides.

use std::time::Duration;

use super::ask::Ask;
use super::{Client, Error};
use crate::api::{
    Claim, Claimed, Complete, CompleteMany, Completed, CompletedMany, Fail, Failed, HeartbeatTask, Release,
    StartTask, Task,
};

impl Client {
    /// Claims work, waiting for it as long as the claim says. `key` names the claim: sent again with the same
    /// one, even to a node that was killed meanwhile, it gives the same leases and not more.
    ///
    /// # Errors
    /// When the agent is not known or takes no work, or the node cannot be asked or refuses.
    pub async fn claim(&self, claim: &Claim, key: &str) -> Result<Claimed, Error> {
        let wait = Duration::from_millis(claim.wait_ms);
        self.send(Ask::post(["tasks", "claim"]).body(claim)?.keyed(key).long_poll(wait)).await
    }

    /// Says that work on a leased task has begun.
    ///
    /// # Errors
    /// When the lease is lost, or the node cannot be asked or refuses.
    pub async fn start(&self, task: &str, start: &StartTask) -> Result<Task, Error> {
        self.send(self.post(["tasks", task, "start"]).body(start)?).await
    }

    /// Renews a lease and says how far the work is.
    ///
    /// # Errors
    /// When the lease is lost, or the node cannot be asked or refuses.
    pub async fn heartbeat(&self, task: &str, heartbeat: &HeartbeatTask) -> Result<(), Error> {
        self.tell(self.post(["tasks", task, "heartbeat"]).body(heartbeat)?).await
    }

    /// Ends a task with its result.
    ///
    /// # Errors
    /// When the lease is lost, or the node cannot be asked or refuses.
    pub async fn complete(&self, task: &str, complete: &Complete) -> Result<Completed, Error> {
        self.send(self.post(["tasks", task, "complete"]).body(complete)?).await
    }

    /// Ends several tasks, each as if alone.
    ///
    /// # Errors
    /// When the node cannot be asked or refuses all of them.
    pub async fn complete_many(&self, many: &CompleteMany) -> Result<CompletedMany, Error> {
        self.send(self.post(["tasks", "complete"]).body(many)?).await
    }

    /// Ends an attempt without a result.
    ///
    /// # Errors
    /// When the lease is lost, or the node cannot be asked or refuses.
    pub async fn fail(&self, task: &str, fail: &Fail) -> Result<Failed, Error> {
        self.send(self.post(["tasks", task, "fail"]).body(fail)?).await
    }

    /// Gives a lease back unused.
    ///
    /// # Errors
    /// When the lease is lost, or the node cannot be asked or refuses.
    pub async fn release(&self, task: &str, release: &Release) -> Result<(), Error> {
        self.tell(self.post(["tasks", task, "release"]).body(release)?).await
    }
}
