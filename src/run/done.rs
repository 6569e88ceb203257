//! What work came to on nodes elsewhere: a task, or a hook with the task of its last attempt.

use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::Value;
use synod_domain::id::AgentId;
use synod_domain::task::Phase;

use crate::api::{self, TaskStatus};
use crate::client::{self, Client};
use crate::fleet::ItemPlan;
use crate::run::Error;
use crate::run::outcome::{AttemptOutcome, TaskOutcome};
use crate::run::remote::{read, unreadable};
use crate::run::work::Work;

/// The word of a hook that is done.
const COMPLETED_HOOK: &str = "COMPLETED";

/// The code of a hook that is not there.
const HOOK_UNKNOWN: &str = "hook_unknown";

/// Some work that has ended.
pub(super) struct Ended {
    pub(super) entry: usize,
    pub(super) work: Work,
    pub(super) done: Result<Done, Error>,
}

/// What work came to that has ended, as the nodes say.
#[derive(Debug, Clone)]
pub(super) enum Done {
    Task(Box<api::Task>),
    /// With the task of its last attempt, if that is known.
    Hook(Box<api::Hook>, Option<Box<api::Task>>),
    /// A hook that somebody removed.
    Gone,
}

impl Done {
    pub(super) fn phase(&self) -> Phase {
        match self {
            Self::Task(task) => phase(task.status),
            Self::Hook(hook, _) if hook.status == COMPLETED_HOOK => Phase::Completed,
            Self::Hook(..) => Phase::Failed,
            Self::Gone => Phase::Cancelled,
        }
    }

    pub(super) fn reason(&self) -> Option<String> {
        match self {
            Self::Task(task) => task.reason.clone(),
            Self::Hook(hook, _) => hook.reason.clone(),
            Self::Gone => Some("the hook was removed".to_owned()),
        }
    }

    /// Returns the task, or that of the last attempt.
    fn task(&self) -> Option<&api::Task> {
        match self {
            Self::Task(task) | Self::Hook(_, Some(task)) => Some(task),
            Self::Hook(_, None) | Self::Gone => None,
        }
    }

    pub(super) fn result(&self) -> Result<Option<Value>, Error> {
        let result = match self {
            Self::Task(task) => task.result.as_ref(),
            Self::Hook(hook, _) => hook.result.as_ref(),
            Self::Gone => None,
        };
        let read = |result: &api::Json| serde_json::from_str(result.text());
        result.map(read).transpose().map_err(|error| unreadable("result", error))
    }
}

/// Waits for the end of some work of an entry.
pub(super) fn wait(client: Client, entry: usize, work: Work) -> BoxFuture<'static, Ended> {
    async move { Ended { entry, work, done: done(&client, work).await } }.boxed()
}

async fn done(client: &Client, work: Work) -> Result<Done, Error> {
    let hook = match work {
        Work::Task(task) => return Ok(Done::Task(Box::new(client.wait(&task.to_string(), None).await?))),
        Work::Hook(hook) => hook.to_string(),
    };
    let hook = match client.wait_for_hook(&hook).await {
        Err(client::Error::Refused(problem)) if problem.code == HOOK_UNKNOWN => return Ok(Done::Gone),
        hook => hook?,
    };
    // It says who worked on it, and is not needed to know what came of it.
    let task = client.task(&hook.task_id).await.ok().map(Box::new);
    Ok(Done::Hook(Box::new(hook), task))
}

/// Says what came of an item. Of a hook the attempts are those of the last time that it was begun.
pub(super) fn task_outcome(item: &ItemPlan, work: Work, done: &Done) -> Result<TaskOutcome, Error> {
    let mut attempts = Vec::new();
    for attempt in done.task().iter().flat_map(|task| &task.attempts) {
        let end = ["completed", "failed", "lost", "stopped"].into_iter().find(|word| *word == attempt.end);
        attempts.push(AttemptOutcome {
            number: attempt.number,
            agent: read::<AgentId>(&attempt.agent)?,
            end: end.unwrap_or("unknown"),
            reason: attempt.reason.clone(),
        });
    }
    let task = match (done, work) {
        (Done::Task(task), _) => read(&task.id)?,
        (Done::Hook(hook, _), _) => read(&hook.task_id)?,
        (Done::Gone, Work::Task(task)) => task,
        (Done::Gone, Work::Hook(hook)) => hook.task_of(1),
    };
    let status = done.phase();
    Ok(TaskOutcome {
        task,
        key: item.key.clone(),
        item: item.item.clone(),
        status,
        reason: done.reason(),
        completions: attempts.iter().filter(|attempt| attempt.end == "completed").count(),
        attempts,
        result: if status == Phase::Completed { done.result()? } else { None },
    })
}

const fn phase(status: TaskStatus) -> Phase {
    match status {
        TaskStatus::Pending => Phase::Pending,
        TaskStatus::Scheduled => Phase::Scheduled,
        TaskStatus::Running => Phase::Running,
        TaskStatus::Completed => Phase::Completed,
        TaskStatus::Failed => Phase::Failed,
        TaskStatus::TimedOut => Phase::TimedOut,
        TaskStatus::Cancelled => Phase::Cancelled,
    }
}
