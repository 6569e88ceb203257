//! What came of a run.

use serde::Serialize;
use serde_json::Value;
use synod_domain::id::{AgentId, RunId, TaskId};
use synod_domain::name::Name;
use synod_domain::task::{Attempt, AttemptEnd, Phase};

use crate::node::Node;
use crate::run::entry::{Entry, Stage};
use crate::run::work::Work;
use crate::run::{Error, Run};

/// How people are told that an attempt completed.
const COMPLETED: &str = "completed";

/// What came of a run. Serialised, it is the body of `synod run --json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Outcome {
    /// The run.
    pub run: RunId,
    /// The fleet.
    pub fleet: Name,
    /// Whether it continued an interrupted run.
    pub continued: bool,
    /// The entries in the order they were begun.
    pub entries: Vec<EntryOutcome>,
}

/// What came of one entry.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EntryOutcome {
    /// Its name.
    pub name: Name,
    /// Why it was not begun, if it was not.
    pub skipped: Option<String>,
    /// Its tasks in the order of its items.
    pub tasks: Vec<TaskOutcome>,
}

/// What came of one task.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TaskOutcome {
    /// Which task.
    pub task: TaskId,
    /// Its key in the plan.
    pub key: String,
    /// The item it was made for.
    pub item: Value,
    /// How it ended.
    pub status: Phase,
    /// Why, unless it completed.
    pub reason: Option<String>,
    /// How many attempts completed it: one or none.
    pub completions: usize,
    /// Its attempts, oldest first; the latest few if there were many.
    pub attempts: Vec<AttemptOutcome>,
    /// What it gave back.
    pub result: Option<Value>,
}

/// How one attempt ended.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AttemptOutcome {
    /// Its number, from 1.
    pub number: u32,
    /// Who made it.
    pub agent: AgentId,
    /// In a word.
    pub end: &'static str,
    /// Why, unless it completed.
    pub reason: Option<String>,
}

impl Outcome {
    /// Walks all tasks.
    pub fn tasks(&self) -> impl Iterator<Item = &TaskOutcome> {
        self.entries.iter().flat_map(|entry| &entry.tasks)
    }

    /// Tells whether every task of every entry completed.
    pub fn is_complete(&self) -> bool {
        self.entries.iter().all(|entry| entry.skipped.is_none())
            && self.tasks().all(|task| task.status == Phase::Completed)
    }

    /// Says it in one line.
    pub fn summary(&self) -> String {
        let completed = self.tasks().filter(|task| task.status == Phase::Completed).count();
        let skipped = self.entries.iter().filter(|entry| entry.skipped.is_some()).count();
        let mut line = format!("{completed} of {} tasks completed", self.tasks().count());
        if skipped > 0 {
            line.push_str(&format!(", {skipped} entries not begun"));
        }
        line
    }
}

/// Gathers what came of every task.
pub(super) async fn gather(node: &Node, run: &Run, entries: &[Entry]) -> Result<Outcome, Error> {
    let mut outcomes = Vec::new();
    for entry in entries {
        let mut tasks = Vec::new();
        for (item, work) in entry.plan.items.iter().zip(&entry.work) {
            tasks.push(task_outcome(node, &item.key, &item.item, *work).await?);
        }
        let skipped = match &entry.stage {
            Stage::Skipped(reason) => Some(reason.clone()),
            Stage::Waiting | Stage::Open(_) | Stage::Done => None,
        };
        outcomes.push(EntryOutcome { name: entry.plan.name.clone(), skipped, tasks });
    }
    let fleet = run.plan.name.clone();
    Ok(Outcome { run: run.id, fleet, continued: run.continued.is_some(), entries: outcomes })
}

/// Of a hook the task and its attempts are those of the last time that it was begun.
async fn task_outcome(node: &Node, key: &str, item: &Value, work: Work) -> Result<TaskOutcome, Error> {
    let (status, task) = (work.phase(node)?, work.task(node)?);
    let result = match status {
        Phase::Completed => Some(work.result(node).await?),
        _ => None,
    };
    let made = task.iter().flat_map(|task| &task.attempts);
    let attempts: Vec<AttemptOutcome> = made.map(attempt_outcome).collect();
    Ok(TaskOutcome {
        task: work.task_id(node)?,
        key: key.to_owned(),
        item: item.clone(),
        status,
        reason: work.reason(node)?,
        completions: attempts.iter().filter(|attempt| attempt.end == COMPLETED).count(),
        attempts,
        result,
    })
}

fn attempt_outcome(attempt: &Attempt) -> AttemptOutcome {
    let (end, reason) = match &attempt.end {
        AttemptEnd::Completed => (COMPLETED, None),
        AttemptEnd::Failed(reason) => ("failed", Some(reason.to_string())),
        AttemptEnd::Lost(reason) => ("lost", Some(reason.to_string())),
        AttemptEnd::Stopped => ("stopped", None),
    };
    AttemptOutcome { number: attempt.number, agent: attempt.agent, end, reason }
}
