//! Verbs about pools.

use super::ask::Ask;
use super::{Client, Error};
use crate::api::{
    NewPool, NewRollout, NewTask, Page, PageQuery, Pool, RemoveQuery, Rollout, RolloutReason, ScalePool,
    Submitted,
};

impl Client {
    /// Lists pools, a page at a time.
    ///
    /// # Errors
    /// When the node cannot be asked or refuses.
    pub async fn pools(&self, page: &PageQuery) -> Result<Page<Pool>, Error> {
        self.send(Ask::get(["pools"]).with_fields(page)?).await
    }

    /// Reads one pool.
    ///
    /// # Errors
    /// When there is none, or the node cannot be asked or refuses.
    pub async fn pool(&self, pool: &str) -> Result<Pool, Error> {
        self.send(Ask::get(["pools", pool])).await
    }

    /// Creates a pool, or changes the one of that name.
    ///
    /// # Errors
    /// When the node cannot be asked or refuses.
    pub async fn put_pool(&self, pool: &NewPool) -> Result<Pool, Error> {
        self.send(self.post(["pools"]).body(pool)?).await
    }

    /// Changes how many agents a pool should have.
    ///
    /// # Errors
    /// When there is none, or the node cannot be asked or refuses.
    pub async fn scale_pool(&self, pool: &str, target: u32) -> Result<Pool, Error> {
        self.send(self.post(["pools", pool, "scale"]).body(&ScalePool { target })?).await
    }

    /// Removes a pool, once its work is done unless `force`; it takes nothing new meanwhile.
    ///
    /// # Errors
    /// When there is none, or the node cannot be asked or refuses.
    pub async fn delete_pool(&self, pool: &str, force: bool) -> Result<(), Error> {
        self.tell(self.delete(["pools", pool]).with_fields(&RemoveQuery { force })?).await
    }

    /// Looks at the rollout of a pool that is under way, or at the last one.
    ///
    /// # Errors
    /// When there is none, or the node cannot be asked or refuses.
    pub async fn rollout(&self, pool: &str) -> Result<Rollout, Error> {
        self.send(Ask::get(["pools", pool, "rollout"])).await
    }

    /// Brings a new version to the agents of a pool.
    ///
    /// # Errors
    /// When there is no such pool, one is under way, or the node cannot be asked or refuses.
    pub async fn begin_rollout(&self, pool: &str, rollout: &NewRollout) -> Result<Rollout, Error> {
        self.send(self.post(["pools", pool, "rollout"]).body(rollout)?).await
    }

    /// Takes a rollout back.
    ///
    /// # Errors
    /// When none is under way, or the node cannot be asked or refuses.
    pub async fn abort_rollout(&self, pool: &str) -> Result<Rollout, Error> {
        self.send(self.delete(["pools", pool, "rollout"])).await
    }

    /// Lets a rollout stand still.
    ///
    /// # Errors
    /// When none is under way, or the node cannot be asked or refuses.
    pub async fn pause_rollout(&self, pool: &str, reason: Option<String>) -> Result<Rollout, Error> {
        self.send(self.post(["pools", pool, "rollout", "pause"]).body(&RolloutReason { reason })?).await
    }

    /// Lets a paused rollout go on.
    ///
    /// # Errors
    /// When none is under way, or the node cannot be asked or refuses.
    pub async fn resume_rollout(&self, pool: &str) -> Result<Rollout, Error> {
        self.send(self.post(["pools", pool, "rollout", "resume"])).await
    }

    /// Submits a task to a pool; a key is made if the task has none, so that it counts once.
    ///
    /// # Errors
    /// When the node cannot be asked or refuses.
    pub async fn submit_to_pool(&self, pool: &str, task: &NewTask) -> Result<Submitted, Error> {
        let ask = Ask::post(["pools", pool, "tasks"]).body(task)?;
        self.send(ask.keyed(task.idempotency_key.clone().unwrap_or_else(|| self.new_key()))).await
    }
}
