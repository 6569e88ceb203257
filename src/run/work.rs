//! What an item of a plan became: a task, or a hook on which its work hangs through many tasks.

use std::sync::Arc;

use serde_json::Value;
use synod_domain::hook::{Hook, HookRefusal, HookStatus};
use synod_domain::id::{HookId, TaskId};
use synod_domain::refusal::Refusal;
use synod_domain::task::{Phase, Task};

use crate::node::{self, Node};
use crate::run::Error;

/// What an item became.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Work {
    /// A task.
    Task(TaskId),
    /// A hook.
    Hook(HookId),
}

impl Work {
    /// Returns how it stands. A hook that somebody removed was called off.
    pub(super) fn phase(self, node: &Node) -> Result<Phase, Error> {
        match self {
            Self::Task(task) => Ok(node.task(task)?.phase()),
            Self::Hook(hook) => {
                Ok(found(node, hook)?.map_or(Phase::Cancelled, |hook| phase_of(hook.status())))
            }
        }
    }

    /// Returns what it gave back; it has completed.
    pub(super) async fn result(self, node: &Node) -> Result<Value, Error> {
        let bytes = match self {
            Self::Task(task) => node.result(&*node.task(task)?).await?.to_vec(),
            Self::Hook(hook) => match node.hook(hook)?.result() {
                Some(result) => node.fetch(result).await?.to_vec(),
                None => b"null".to_vec(),
            },
        };
        Ok(serde_json::from_slice(&bytes).map_err(|error| node::Error::Json { what: "result", error })?)
    }

    /// Returns its task: of a hook that of the latest attempt, if it is known yet.
    pub(super) fn task(self, node: &Node) -> Result<Option<Arc<Task>>, Error> {
        match self {
            Self::Task(task) => Ok(Some(node.task(task)?)),
            Self::Hook(hook) => Ok(found(node, hook)?.and_then(|hook| node.task(hook.task()).ok())),
        }
    }

    /// Returns the id of its task: of a hook that of the latest attempt.
    pub(super) fn task_id(self, node: &Node) -> Result<TaskId, Error> {
        match self {
            Self::Task(task) => Ok(task),
            Self::Hook(hook) => Ok(found(node, hook)?.map_or_else(|| hook.task_of(1), |hook| hook.task())),
        }
    }

    /// Returns why it did not complete.
    pub(super) fn reason(self, node: &Node) -> Result<Option<String>, Error> {
        match self {
            Self::Task(task) => {
                let task = node.task(task)?;
                Ok(task.end().and_then(|end| end.outcome.reason()).map(str::to_owned))
            }
            Self::Hook(hook) => Ok(match found(node, hook)? {
                Some(hook) => hook.reason().map(ToString::to_string),
                None => Some("the hook was removed".to_owned()),
            }),
        }
    }
}

/// Returns how people who follow a run see a hook.
pub(super) const fn phase_of(status: HookStatus) -> Phase {
    match status {
        HookStatus::Pending | HookStatus::Abandoned => Phase::Pending,
        HookStatus::Active => Phase::Running,
        HookStatus::Completed => Phase::Completed,
        HookStatus::Failed => Phase::Failed,
    }
}

fn found(node: &Node, hook: HookId) -> Result<Option<Arc<Hook>>, Error> {
    match node.hook(hook) {
        Ok(hook) => Ok(Some(hook)),
        Err(node::Error::Refused(Refusal::Hook(HookRefusal::Unknown(_)))) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
