//! The fabric's verbs about tasks that are scheduled.

use serde::de::DeserializeOwned;
use serde_json::Value;
use synod_domain::id::TaskId;
use synod_domain::task::Outcome;

use crate::fabric::{Error, Fabric, Task};

impl Fabric {
    /// Waits until a task has ended and returns its result.
    ///
    /// # Errors
    /// When there is no such task, or it ended without a result; then the error says how and why.
    pub async fn wait_for_task(&self, task: TaskId) -> Result<Value, Error> {
        self.wait_for(task).await
    }

    /// Waits as [`Fabric::wait_for_task`] does, and reads the result as this type.
    ///
    /// # Errors
    /// As [`Fabric::wait_for_task`]; or when the result is of another form.
    pub async fn wait_for<T: DeserializeOwned>(&self, task: TaskId) -> Result<T, Error> {
        let ended = self.node.wait(task).await?;
        if let Some(
            Outcome::Failed { reason } | Outcome::TimedOut { reason } | Outcome::Cancelled { reason },
        ) = ended.end().map(|end| &end.outcome)
        {
            return Err(Error::Ended { task, status: ended.phase().into(), reason: reason.clone() });
        }
        let bytes = self.node.result(&ended).await?;
        serde_json::from_slice(&bytes).map_err(|error| Error::Result { task, error })
    }

    /// Returns a task as it stands, or as it ended.
    ///
    /// # Errors
    /// When there is no such task, or history cannot be read.
    pub fn task(&self, task: TaskId) -> Result<Task, Error> {
        let found = self.node.task(task)?;
        let depends_on = self.node.read(|state| state.prerequisites(task).cloned()).unwrap_or_default();
        Ok(Task::of(&found, depends_on))
    }

    /// Calls a task off; an attempt in hand is stopped. What depends on it fails.
    ///
    /// # Errors
    /// When there is no such task, or it has ended otherwise.
    pub async fn cancel(&self, task: TaskId) -> Result<(), Error> {
        Ok(self.node.cancel(task, "cancelled through the fabric").await?)
    }
}
