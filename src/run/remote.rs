//! Drives a run on nodes that run elsewhere, over their API.
//!
//! ```text
//!  open run (agreed) ─► pools ─► entries as they become ready ─► wait for each task ─► close the run
//! ```
//!
//! Everything that must survive is agreed by the nodes: the run with its plan, its pools and its tasks, each under an
//! idempotency key of the run. So a request that is sent again, to another node as well, counts once, and a run goes on
//! over the death of any node as long as the client finds another. Programs run where the nodes are: paths in the plan
//! must mean the same there.

use std::collections::VecDeque;
use std::time::Duration;

use futures::stream::FuturesUnordered;
use futures::{StreamExt, future::BoxFuture};
use serde_json::{Map, Value, json};
use synod_domain::agent::{PoolSpec, RuntimeSpec};
use synod_domain::assignment::Assignment;
use synod_domain::id::RunId;
use synod_domain::spread::Recovery;
use synod_domain::task::Lane;
use synod_domain::terms::{Estimate, OverBudget};

use crate::api::{self, Priority};
use crate::client::{Client, Signal};
use crate::fleet::{EntryPlan, ItemPlan, Plan, Target};
use crate::http::native::shown::{spread as shown_spread, tending as shown};
use crate::node::PoolTending;
use crate::run::done::{Done, Ended, task_outcome, wait};
use crate::run::drive::{Readiness, readiness};
use crate::run::entry::{Entry, Stage, key, payload};
use crate::run::outcome::{EntryOutcome, Outcome};
use crate::run::scope::{marked, pool_name, scoped_pool, scoped_tending};
use crate::run::work::Work;
use crate::run::{Continued, Error, Progress};

/// How many tasks are waited for at a time. More holds more connections open and learns of ends no earlier.
const WAITS_AT_ONCE: usize = 64;

/// How many tasks are submitted in one request: they share their syncs.
const BATCH: usize = 256;

/// For how long a run goes on asking when no node answers: over the loss of a leader and a restart of all nodes.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// The code of a submit that was refused because no agent is free.
const NOBODY_FREE: &str = "nobody_free";

/// What may make an agent free.
const FREED: [&str; 5] = ["task_ended", "task_returned", "agent_changed", "resumed", "governed"];

/// A run that is open on nodes elsewhere.
#[derive(Debug)]
pub struct RemoteRun {
    /// Its id.
    pub id: RunId,
    /// What it does.
    pub plan: Plan,
    /// How it continues an earlier one, if it does.
    pub continued: Option<Continued>,
    client: Client,
}

impl RemoteRun {
    /// Opens the run: the interrupted one of the same fleet unless `fresh`, else a new one with `plan`.
    ///
    /// # Errors
    /// When no node takes it, or the plan of the interrupted run cannot be read.
    pub async fn open(client: &Client, plan: Plan, fresh: bool) -> Result<Self, Error> {
        for pool in &plan.pools {
            pool_name(&plan.name, &pool.name)?;
        }
        let client = client.patient(PATIENCE);
        let bytes = serde_json::to_vec(&plan).map_err(|error| unreadable("plan", error))?;
        let wanted =
            api::OpenRun { fleet: plan.name.to_string(), plan: api::Json::from_bytes(&bytes), fresh };
        let open = client.open_run(&wanted).await?;
        let id: RunId = read(&open.id)?;
        if !open.continued {
            return Ok(Self { id, plan, continued: None, client });
        }
        let stored: Plan = serde_json::from_str(open.plan.text())
            .map_err(|error| Error::Plan { run: id, reason: error.to_string() })?;
        let plan_changed = stored.digest != plan.digest;
        Ok(Self { id, plan: stored, continued: Some(Continued { plan_changed }), client })
    }

    /// Returns what asks the nodes.
    pub(super) const fn client(&self) -> &Client {
        &self.client
    }

    /// Creates the pools of the plan, or changes those that are there.
    ///
    /// # Errors
    /// When a pool cannot work on the nodes, or no node takes it.
    pub async fn set_up_pools(&self) -> Result<(), Error> {
        let delegates = |pool: &&PoolSpec| {
            let tending = self.plan.tending.get(&pool.name);
            tending.is_some_and(|tending| matches!(tending.assignment, Assignment::Delegated { .. }))
        };
        // Those that delegate come once more when all are there, for one that they delegate to may come later.
        let again = self.plan.pools.iter().filter(delegates).map(|pool| (pool, true));
        for (pool, complete) in self.plan.pools.iter().map(|pool| (pool, !delegates(&pool))).chain(again) {
            let scoped = scoped_pool(&self.plan.name, pool)?;
            let mut wanted = new_pool(&scoped, &scoped_tending(&self.plan, &pool.name)?);
            wanted.assignment = wanted.assignment.filter(|_| complete);
            match self.client.put_pool(&wanted).await {
                Ok(_) => {}
                Err(crate::client::Error::Refused(problem)) if problem.status == 400 => {
                    return Err(Error::Pool { pool: pool.name.clone(), reason: problem.detail });
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Submits the entries as they become ready, waits for all ends, and closes the run.
    ///
    /// # Errors
    /// When no node answers for a while; the run stays open and can be continued.
    pub async fn drive(&self, progress: &mut dyn Progress) -> Result<Outcome, Error> {
        let mut entries: Vec<Entry> = self.plan.entries.iter().cloned().map(Entry::new).collect();
        let mut ended: Vec<Vec<Option<Done>>> = entries.iter().map(|_| Vec::new()).collect();
        let mut queue: VecDeque<(usize, Work)> = VecDeque::new();
        let mut waits: FuturesUnordered<BoxFuture<'static, Ended>> = FuturesUnordered::new();
        loop {
            for place in self.begin_ready(&mut entries, &ended, progress).await? {
                ended[place] = vec![None; entries[place].work.len()];
                queue.extend(entries[place].work.iter().map(|work| (place, *work)));
            }
            while waits.len() < WAITS_AT_ONCE
                && let Some((entry, work)) = queue.pop_front()
            {
                waits.push(wait(self.client.clone(), entry, work));
            }
            let Some(Ended { entry: place, work, done }) = waits.next().await else { break };
            let done = done?;
            let phase = done.phase();
            let entry = &mut entries[place];
            if entry.note_end(work, phase) {
                progress.ended(entry.pool(), entry.plan.name.as_str(), phase, false);
                if let Some(reason) = done.reason() {
                    let what = entry.key_of(work).unwrap_or(entry.plan.name.as_str());
                    progress.notice(&format!("{what} is {phase}: {reason}"));
                }
            }
            if let Some(index) = entry.work.iter().position(|one| *one == work) {
                ended[place][index] = Some(done);
            }
        }
        let outcome = self.outcome(&entries, &ended)?;
        self.client.end_run(&self.id.to_string(), &outcome.summary()).await?;
        Ok(outcome)
    }

    /// Submits every entry whose predecessors are done and returns their places; skips those whose predecessors failed.
    async fn begin_ready(
        &self,
        entries: &mut [Entry],
        ended: &[Vec<Option<Done>>],
        progress: &mut dyn Progress,
    ) -> Result<Vec<usize>, Error> {
        let mut begun = Vec::new();
        for place in 0..entries.len() {
            if !matches!(entries[place].stage, Stage::Waiting) {
                continue;
            }
            match readiness(entries, place) {
                Readiness::NotYet => {}
                Readiness::Never(reason) => {
                    let entry = &mut entries[place];
                    progress.notice(&format!("{} is not begun: {reason}", entry.plan.name));
                    entry.stage = Stage::Skipped(reason);
                }
                Readiness::Ready => {
                    let after = handed_over(entries, ended, place)?;
                    let plan = &entries[place].plan;
                    let work = match plan.items.iter().any(|item| item.hook.is_some()) {
                        true => self.hang(plan, after.as_ref()).await?,
                        false => self.submit(plan, after.as_ref()).await?,
                    };
                    let entry = &mut entries[place];
                    progress.submitted(entry.pool(), entry.plan.name.as_str(), work.len());
                    entry.stage = match work.is_empty() {
                        true => Stage::Done,
                        false => Stage::Open(work.iter().copied().collect()),
                    };
                    entry.work = work;
                    begun.push(place);
                }
            }
        }
        Ok(begun)
    }

    async fn submit(&self, entry: &EntryPlan, after: Option<&Value>) -> Result<Vec<Work>, Error> {
        let mut tasks = Vec::with_capacity(entry.items.len());
        // Where nothing waits, those that are behind need not be refused first.
        let at_once = if self.plan.lets_nothing_wait() { 1 } else { BATCH };
        for items in entry.items.chunks(at_once) {
            let batch: Result<Vec<api::NewTask>, Error> =
                items.iter().map(|item| self.new_task(entry, item, after)).collect();
            for submitted in self.submit_when_free(batch?).await? {
                match (submitted.task_id, submitted.problem) {
                    (Some(id), _) => tasks.push(Work::Task(read(&id)?)),
                    (None, Some(problem)) => {
                        return Err(crate::client::Error::Refused(Box::new(problem)).into());
                    }
                    (None, None) => return Err(strange("a task was neither taken nor refused").into()),
                }
            }
        }
        Ok(tasks)
    }

    /// Submits tasks; to a pool that lets nothing wait when somebody of it is free. Those that were taken before are found
    /// again by their keys.
    async fn submit_when_free(&self, batch: Vec<api::NewTask>) -> Result<Vec<api::Submitted>, Error> {
        let freed = api::EventFilter { kind: Some(FREED.join(",")), ..api::EventFilter::default() };
        let mut line = std::pin::pin!(self.client.events(freed));
        loop {
            let submitted = self.client.submit_many(batch.clone()).await?;
            let waits = |one: &api::Submitted| {
                one.problem.as_ref().is_some_and(|problem| problem.code == NOBODY_FREE)
            };
            if !submitted.iter().any(waits) {
                return Ok(submitted);
            }
            // The first signal is that it is connected: from there on whoever gets free is heard of.
            loop {
                match line.next().await {
                    Some(Ok(Signal::Connected | Signal::Event(_) | Signal::Missed(_))) => break,
                    Some(Ok(Signal::Away { .. })) => {}
                    Some(Err(error)) => return Err(error.into()),
                    None => return Err(strange("the events have ended").into()),
                }
            }
        }
    }

    fn new_task(
        &self,
        entry: &EntryPlan,
        item: &ItemPlan,
        after: Option<&Value>,
    ) -> Result<api::NewTask, Error> {
        let fleet = &self.plan.name;
        let (pool, demand) = match &entry.target {
            Target::Pool(pool) => (Some(pool_name(fleet, pool)?.to_string()), Vec::new()),
            Target::Capabilities(demand) => {
                (None, marked(fleet, demand).iter().map(|one| one.to_string()).collect())
            }
        };
        let timeouts = &entry.timeouts;
        let terms = entry.terms.clone().unwrap_or_default();
        let resources = terms.resources.iter().map(|(name, amount)| (name.to_string(), *amount));
        Ok(api::NewTask {
            kind: entry.name.to_string(),
            payload: api::Json::from_text(payload(item, after).to_string()),
            pool,
            required_capabilities: demand,
            priority: priority(entry.lane),
            labels: item.labels.iter().map(|(name, value)| (name.to_string(), value.clone())).collect(),
            deadline_ms: entry.deadline.map(millis),
            waiting_timeout_ms: timeouts.waiting.map(millis),
            running_timeout_ms: Some(timeouts.running.map_or(0, millis)),
            silence_timeout_ms: timeouts.silence.map(millis),
            retry: Some(api::Retry {
                max_attempts: Some(entry.retry.max_attempts),
                backoff_ms: Some(millis(entry.retry.initial)),
                backoff_max_ms: Some(millis(entry.retry.max)),
                backoff_factor_percent: Some(entry.retry.factor_percent),
            }),
            run: Some(self.id.to_string()),
            idempotency_key: Some(key(self.id, item)),
            estimate: terms.estimate.as_ref().map(estimate),
            account: terms.account.as_ref().map(ToString::to_string),
            model: terms.model.as_ref().map(ToString::to_string),
            over_budget: match terms.over_budget {
                OverBudget::Wait => None,
                OverBudget::Fail => Some(api::OverBudget::Fail),
            },
            resources: resources.collect(),
            resources_timeout_ms: terms.resources_within.map(millis),
            ..api::NewTask::default()
        })
    }

    fn outcome(&self, entries: &[Entry], ended: &[Vec<Option<Done>>]) -> Result<Outcome, Error> {
        let mut outcomes = Vec::new();
        for (entry, ended) in entries.iter().zip(ended) {
            let mut tasks = Vec::new();
            for ((item, work), done) in entry.plan.items.iter().zip(&entry.work).zip(ended) {
                if let Some(done) = done {
                    tasks.push(task_outcome(item, *work, done)?);
                }
            }
            let skipped = match &entry.stage {
                Stage::Skipped(reason) => Some(reason.clone()),
                Stage::Waiting | Stage::Open(_) | Stage::Done => None,
            };
            outcomes.push(EntryOutcome { name: entry.plan.name.clone(), skipped, tasks });
        }
        let fleet = self.plan.name.clone();
        Ok(Outcome { run: self.id, fleet, continued: self.continued.is_some(), entries: outcomes })
    }
}

/// The results that an entry is handed, by the name of the entry they come from.
fn handed_over(entries: &[Entry], ended: &[Vec<Option<Done>>], place: usize) -> Result<Option<Value>, Error> {
    let names = &entries[place].plan.after;
    if names.is_empty() {
        return Ok(None);
    }
    let mut fields = Map::new();
    for name in names {
        let Some(before) = entries.iter().position(|entry| entry.plan.name == *name) else { continue };
        let mut results = Vec::new();
        for (item, done) in entries[before].plan.items.iter().zip(&ended[before]) {
            let result = done.as_ref().map(Done::result).transpose()?.flatten().unwrap_or(Value::Null);
            results.push(json!({ "item": item.item, "result": result }));
        }
        fields.insert(name.to_string(), Value::Array(results));
    }
    Ok(Some(Value::Object(fields)))
}

fn new_pool(spec: &PoolSpec, tending: &PoolTending) -> api::NewPool {
    let runtime = match &spec.runtime {
        RuntimeSpec::Process(process) => api::PoolRuntime::Process(api::HostedSpec {
            command: process.command.clone(),
            cwd: process.cwd.clone(),
            env: process.env.clone(),
        }),
        RuntimeSpec::Native(name) => api::PoolRuntime::Native(name.to_string()),
        RuntimeSpec::External => api::PoolRuntime::External,
    };
    let restart = &spec.restart;
    let standby = match spec.recovery {
        Recovery::Failover { standby } => Some(standby),
        Recovery::Restart | Recovery::Replacement | Recovery::Degraded => None,
    };
    api::NewPool {
        name: spec.name.to_string(),
        runtime,
        capabilities: spec.capabilities.iter().map(|one| one.to_string()).collect(),
        min: Some(spec.min),
        max: Some(spec.max),
        concurrency: Some(spec.concurrency),
        strategy: Some(spec.strategy.to_string()),
        spread: Some(shown_spread(&spec.spread, &tending.apart)),
        recovery: Some(api::Recovery { kind: spec.recovery.to_string(), standby }),
        restart: Some(api::Restart {
            kind: Some(restart.kind.to_string()),
            intensity: Some(restart.intensity),
            period_ms: Some(millis(restart.period)),
            backoff_ms: Some(millis(restart.backoff_initial)),
            backoff_max_ms: Some(millis(restart.backoff_max)),
        }),
        autoscale: tending.autoscale.as_ref().map(shown::autoscale),
        assignment: Some(shown::assignment(&tending.assignment)),
        restart_after: tending.restart_after.as_ref().map(shown::restart_after),
        rollout: tending.rolling.as_ref().map(shown::policy),
    }
}

const fn priority(lane: Lane) -> Priority {
    match lane {
        Lane::Critical => Priority::Critical,
        Lane::High => Priority::High,
        Lane::Normal => Priority::Normal,
        Lane::Low => Priority::Low,
    }
}

pub(super) fn estimate(estimate: &Estimate) -> api::Estimate {
    let Estimate { tokens, cost_microusd, compute } = *estimate;
    api::Estimate { tokens, cost_microusd, compute_ms: millis(compute) }
}

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Reads an id that a node answered with.
pub(super) fn read<T: std::str::FromStr<Err: std::fmt::Display>>(text: &str) -> Result<T, Error> {
    text.parse().map_err(|error| strange(&format!("{text:?}: {error}")).into())
}

pub(super) fn strange(reason: &str) -> crate::client::Error {
    crate::client::Error::Strange { url: "the node".to_owned(), reason: reason.to_owned() }
}

pub(super) fn unreadable(what: &'static str, error: serde_json::Error) -> Error {
    crate::node::Error::Json { what, error }.into()
}
