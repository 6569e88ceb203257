//! One entry of a run while it goes on: its tasks or hooks, and which of them have not ended.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use synod_actors::events::Heard;
use synod_domain::event::Event;
use synod_domain::id::{RunId, TaskId};
use synod_domain::name::Name;
use synod_domain::refusal::Refusal;
use synod_domain::task::Phase;

use crate::fleet::{EntryPlan, ItemPlan, Target};
use crate::node::{self, NewTask, Node};
use crate::run::drive::heard;
use crate::run::hooks;
use crate::run::scope::{marked, pool_name};
use crate::run::work::Work;
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
    /// Its work is under way, and this has not ended.
    Open(BTreeSet<Work>),
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
    /// What the items became, in their order.
    pub(super) work: Vec<Work>,
    pub(super) ended: usize,
    pub(super) failed: usize,
}

impl Entry {
    pub(super) fn new(plan: EntryPlan) -> Self {
        Self { plan, stage: Stage::Waiting, work: Vec::new(), ended: 0, failed: 0 }
    }

    /// The pool whose agents do it, or a word for work that any agent may take.
    pub(super) fn pool(&self) -> &str {
        match &self.plan.target {
            Target::Pool(pool) => pool.as_str(),
            Target::Capabilities(_) => "any agent",
        }
    }

    /// The key of some of its work in the plan, which says more to people than an id.
    pub(super) fn key_of(&self, work: Work) -> Option<&str> {
        let place = self.work.iter().position(|one| *one == work)?;
        self.plan.items.get(place).map(|item| item.key.as_str())
    }

    /// Begins all of it; what an interrupted run began is found again. Returns what has ended.
    pub(super) async fn submit(
        &mut self,
        node: &Node,
        run: &Run,
        after: Option<&Value>,
    ) -> Result<Vec<(Work, Phase)>, Error> {
        let work = match self.plan.items.iter().any(|item| item.hook.is_some()) {
            true => hooks::hang(node, run, &self.plan, after).await?,
            false => self.submit_items(node, run, after).await?,
        };
        self.stage = Stage::Open(work.iter().copied().collect());
        self.work = work;
        self.find_ended(node)
    }

    async fn submit_items(&self, node: &Node, run: &Run, after: Option<&Value>) -> Result<Vec<Work>, Error> {
        // Boxed, or a run could not be driven in a task of its own: the compiler does not see that they are `Send`.
        let submits: Vec<BoxFuture<'_, Result<Work, Error>>> =
            self.plan.items.iter().map(|item| self.submit_item(node, run, item, after).boxed()).collect();
        // Where nothing waits, those that are behind need not be refused first.
        let at_once = if run.plan.lets_nothing_wait() { 1 } else { SUBMITS_AT_ONCE };
        stream::iter(submits).buffered(at_once).try_collect().await
    }

    /// Looks at the work that is not known to have ended; returns what has.
    pub(super) fn find_ended(&self, node: &Node) -> Result<Vec<(Work, Phase)>, Error> {
        let Stage::Open(open) = &self.stage else { return Ok(Vec::new()) };
        let mut ended = Vec::new();
        for work in open {
            let phase = work.phase(node)?;
            if phase.is_end() {
                ended.push((*work, phase));
            }
        }
        Ok(ended)
    }

    /// Notes that some of it has ended; tells whether that was news.
    pub(super) fn note_end(&mut self, work: Work, phase: Phase) -> bool {
        let Stage::Open(open) = &mut self.stage else { return false };
        if !open.remove(&work) {
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
    ) -> Result<Work, Error> {
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
        let task = match run.plan.lets_nothing_wait() {
            true => submit_when_free(node, task).await?,
            false => node.submit(task).await?,
        };
        Ok(Work::Task(task))
    }
}

/// Submits a task to a pool that lets nothing wait, when somebody of it is free.
async fn submit_when_free(node: &Node, task: NewTask) -> Result<TaskId, Error> {
    let mut events = None;
    loop {
        match node.submit(task.clone()).await {
            Err(node::Error::Refused(Refusal::NobodyFree(_))) => {}
            submitted => return Ok(submitted?),
        }
        match &mut events {
            // Whoever got free before is found by trying again at once.
            None => events = Some(node.events()),
            Some(events) => while !may_be_free(&heard(node, events).await?) {},
        }
    }
}

/// Tells whether an agent may be free by what was heard.
fn may_be_free(heard: &Heard) -> bool {
    let Heard::Happening(happening) = heard else { return true };
    happening.events.iter().any(|event| {
        matches!(
            event,
            Event::TaskEnded { .. }
                | Event::TaskReturned { .. }
                | Event::AgentChanged { .. }
                | Event::Resumed { .. }
                | Event::Governed { .. }
        )
    })
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
    for (item, work) in entry.plan.items.iter().zip(&entry.work) {
        let result = work.result(node).await?;
        results.push(json!({ "item": item.item, "result": result }));
    }
    Ok(Value::Array(results))
}
