//! A node's verb for work that begins after other work.

use std::collections::BTreeSet;
use std::sync::Arc;

use synod_domain::command::Command;
use synod_domain::id::TaskId;
use synod_domain::refusal::Refusal;
use synod_domain::reply::Reply;
use synod_domain::task::{Phase, TaskSpec};

use crate::node::{Error, Node};

impl Node {
    /// Submits a task that begins when others have completed. What the agreed state has forgotten of those that ended
    /// long ago is looked up in history; an end is final, so that look cannot be overtaken.
    pub(super) async fn submit_after(
        &self,
        spec: Arc<TaskSpec>,
        mut after: BTreeSet<TaskId>,
    ) -> Result<Reply, Error> {
        loop {
            let command = Command::SubmitAfter { spec: spec.clone(), after: after.clone(), terms: None };
            let unknown = match self.propose(command).await {
                Err(Error::Refused(Refusal::PrerequisiteUnknown(unknown))) => unknown,
                other => return other,
            };
            if !self.has_completed(&spec, unknown)? || !after.remove(&unknown) {
                return Err(Refusal::PrerequisiteUnknown(unknown).into());
            }
        }
    }

    /// Tells whether history has a task of the same workspace that completed.
    fn has_completed(&self, spec: &TaskSpec, task: TaskId) -> Result<bool, Error> {
        let Some(ended) = self.history()?.task(task)? else { return Ok(false) };
        if ended.spec.workspace != spec.workspace {
            return Ok(false);
        }
        match ended.phase() {
            Phase::Completed => Ok(true),
            Phase::Failed | Phase::TimedOut | Phase::Cancelled => {
                let why =
                    format!("{task} is {} since long; what was to follow it cannot begin", ended.phase());
                Err(Refusal::Invalid { field: "after".to_owned(), why }.into())
            }
            Phase::Pending | Phase::Scheduled | Phase::Running => Ok(false),
        }
    }
}
