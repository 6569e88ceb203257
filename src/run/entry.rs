//! One entry of a run while it goes on: its tasks, and which of them have not ended.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use synod_domain::id::{RunId, TaskId};
use synod_domain::name::Name;
use synod_domain::task::Phase;

use crate::fleet::{EntryPlan, ItemPlan, Target};
use crate::node::{NewTask, Node};
use crate::run::scope::{marked, pool_name};
use crate::run::{Error, Run};

/// How many submits are on their way at a time. They share syncs, so more than a batch gains nothing.
const SUBMITS_AT_ONCE: usize = 256;

/// The longest idempotency key that is used as it is; longer ones are digested.
const KEY_BYTES_MAX: usize = 200;

/// How far an entry is.
#[derive(Debug)]
pub(super) enum Stage {
    /// Waits for other entries.
    Waiting,
    /// Its tasks are submitted, and these have not ended.
    Open(BTreeSet<TaskId>),
    /// All its tasks have ended.
    Done,
    /// It was not begun, for this reason.
    Skipped(String),
}

/// An entry while the run goes on.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) plan: EntryPlan,
    pub(super) stage: Stage,
    /// The tasks in the order of the items.
    pub(super) tasks: Vec<TaskId>,
    pub(super) ended: usize,
    pub(super) failed: usize,
}

impl Entry {
    pub(super) fn new(plan: EntryPlan) -> Self {
        Self { plan, stage: Stage::Waiting, tasks: Vec::new(), ended: 0, failed: 0 }
    }

    /// The pool whose agents do it, or a word for work that any agent may take.
    pub(super) fn pool(&self) -> &str {
        match &self.plan.target {
            Target::Pool(pool) => pool.as_str(),
            Target::Capabilities(_) => "any agent",
        }
    }

    /// The key of one of its tasks in the plan, which says more to people than the task's id.
    pub(super) fn key_of(&self, task: TaskId) -> Option<&str> {
        let place = self.tasks.iter().position(|one| *one == task)?;
        self.plan.items.get(place).map(|item| item.key.as_str())
    }

    /// Submits all tasks; those of an interrupted run are found again. Returns those that have ended.
    pub(super) async fn submit(
        &mut self,
        node: &Node,
        run: &Run,
        after: Option<&Value>,
    ) -> Result<Vec<(TaskId, Phase)>, Error> {
        // Boxed, or a run could not be driven in a task of its own: the compiler does not see that they are `Send`.
        let submits: Vec<BoxFuture<'_, Result<TaskId, Error>>> =
            self.plan.items.iter().map(|item| self.submit_item(node, run, item, after).boxed()).collect();
        let tasks: Vec<TaskId> = stream::iter(submits).buffered(SUBMITS_AT_ONCE).try_collect().await?;
        self.stage = Stage::Open(tasks.iter().copied().collect());
        self.tasks = tasks;
        self.find_ended(node)
    }

    /// Looks at the tasks that are not known to have ended; returns those that have.
    pub(super) fn find_ended(&self, node: &Node) -> Result<Vec<(TaskId, Phase)>, Error> {
        let Stage::Open(open) = &self.stage else { return Ok(Vec::new()) };
        let mut ended = Vec::new();
        for task in open {
            let phase = node.task(*task)?.phase();
            if phase.is_end() {
                ended.push((*task, phase));
            }
        }
        Ok(ended)
    }

    /// Notes that a task has ended; tells whether that was news.
    pub(super) fn note_end(&mut self, task: TaskId, phase: Phase) -> bool {
        let Stage::Open(open) = &mut self.stage else { return false };
        if !open.remove(&task) {
            return false;
        }
        if open.is_empty() {
            self.stage = Stage::Done;
        }
        self.ended += 1;
        if phase != Phase::Completed {
            self.failed += 1;
        }
        true
    }

    async fn submit_item(
        &self,
        node: &Node,
        run: &Run,
        item: &ItemPlan,
        after: Option<&Value>,
    ) -> Result<TaskId, Error> {
        let payload = payload(item, after);
        let kind = self.plan.name.as_str();
        let task = match &self.plan.target {
            Target::Pool(pool) => {
                NewTask::to_pool(pool_name(&run.plan.name, pool)?.as_str(), kind, &payload)?
            }
            Target::Capabilities(demand) => NewTask::to_any(marked(&run.plan.name, demand), kind, &payload)?,
        };
        let labels: BTreeMap<Name, Arc<str>> =
            item.labels.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect();
        let task = task
            .lane(self.plan.lane)
            .deadline(self.plan.deadline)
            .timeouts(self.plan.timeouts.clone())
            .retry(self.plan.retry.clone())
            .idempotency_key(&key(run.id, item))
            .labels(labels)
            .run(run.id);
        let task = match &self.plan.terms {
            Some(terms) => task.terms(terms.clone()),
            None => task,
        };
        Ok(node.submit(task).await?)
    }
}

/// What the agent is given: the item's payload, and the results of earlier entries under `after`.
pub(super) fn payload(item: &ItemPlan, after: Option<&Value>) -> Value {
    let Some(after) = after else { return item.payload.clone() };
    let mut fields = match &item.payload {
        Value::Object(fields) => fields.clone(),
        _ => Map::new(),
    };
    fields.insert("after".to_owned(), after.clone());
    Value::Object(fields)
}

/// One key for each item of a run, so that the same submit finds the same task.
pub(super) fn key(run: RunId, item: &ItemPlan) -> String {
    let key = format!("{run}/{}", item.key);
    if key.len() <= KEY_BYTES_MAX {
        return key;
    }
    let digest = Sha256::digest(item.key.as_bytes());
    let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{run}/sha256:{digest}")
}

/// The results of an entry in the order of its items, as they are handed over.
pub(super) async fn results(node: &Node, entry: &Entry) -> Result<Value, Error> {
    let mut results = Vec::new();
    for (item, task) in entry.plan.items.iter().zip(&entry.tasks) {
        let task = node.task(*task)?;
        let bytes = node.result(&task).await?;
        let result: Value = serde_json::from_slice(&bytes)
            .map_err(|error| crate::node::Error::Json { what: "result", error })?;
        results.push(json!({ "item": item.item, "result": result }));
    }
    Ok(Value::Array(results))
}
