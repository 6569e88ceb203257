//! How a task of this region is submitted: alone, on terms of its own, or after other work.

use std::collections::BTreeSet;
use std::sync::Arc;

use synod_domain::command::Command;
use synod_domain::id::TaskId;
use synod_domain::refusal::Refusal;
use synod_domain::reply::Reply;
use synod_domain::task::{Phase, TaskSpec};
use synod_domain::terms::Terms;

use crate::node::{Error, Node};

impl Node {
    /// Submits a task of this region. What the agreed state has forgotten of prerequisites that ended, or does not tell
    /// whoever is bound to a workspace, is looked up in history; an end is final, so that look cannot be overtaken.
    pub(super) async fn submit_here(
        &self,
        spec: Arc<TaskSpec>,
        mut after: BTreeSet<TaskId>,
        terms: Option<Terms>,
        strict: bool,
    ) -> Result<Reply, Error> {
        let terms = terms.map(Arc::new);
        match &terms {
            _ if strict || !after.is_empty() => {}
            None => return self.propose(Command::Submit { spec }).await,
            Some(terms) => return self.propose(Command::SubmitWith { spec, terms: terms.clone() }).await,
        }
        for prerequisite in &after {
            if self.is_foreign(&spec, *prerequisite).await? {
                return Err(Refusal::PrerequisiteUnknown(*prerequisite).into());
            }
        }
        loop {
            let (asked, after_now, terms) = (spec.clone(), after.clone(), terms.clone());
            let command = if strict {
                Command::SubmitStrict { spec: asked, after: after_now, terms }
            } else {
                Command::SubmitAfter { spec: asked, after: after_now, terms }
            };
            let unknown = match self.propose(command).await {
                Err(Error::Refused(Refusal::PrerequisiteUnknown(unknown))) => unknown,
                other => return other,
            };
            // What has ended there may not have ended here yet.
            self.linearize().await?;
            if !self.has_completed(&spec, unknown)? || !after.remove(&unknown) {
                return Err(Refusal::PrerequisiteUnknown(unknown).into());
            }
        }
    }

    /// Tells whether a task is of another workspace. The agreed state knows that no more of one that has completed, so it
    /// is asked of what this node keeps, as new as the agreed state if there is no such task at first.
    async fn is_foreign(&self, spec: &TaskSpec, task: TaskId) -> Result<bool, Error> {
        let known = match self.task(task) {
            Err(Error::NoTask(_)) => {
                self.linearize().await?;
                self.task(task)
            }
            known => known,
        };
        match known {
            Ok(known) => Ok(known.spec.workspace != spec.workspace),
            // The rules say what there is to say of it.
            Err(Error::NoTask(_) | Error::Refused(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Tells whether a task of the same workspace has completed, as history has it or what is on the way there.
    fn has_completed(&self, spec: &TaskSpec, task: TaskId) -> Result<bool, Error> {
        let ended = match self.task(task) {
            Err(Error::NoTask(_) | Error::Refused(_)) => return Ok(false),
            known => known?,
        };
        if ended.spec.workspace != spec.workspace {
            return Ok(false);
        }
        match ended.phase() {
            Phase::Completed => Ok(true),
            Phase::Failed | Phase::TimedOut | Phase::Cancelled => {
                let why = format!("{task} is {}; what was to follow it cannot begin", ended.phase());
                Err(Refusal::Invalid { field: "after".to_owned(), why }.into())
            }
            Phase::Pending | Phase::Scheduled | Phase::Running => Ok(false),
        }
    }
}
