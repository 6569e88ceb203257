//! Makes a plan from a fleet file and the inputs of one run.

use std::collections::BTreeMap;
use std::io;

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use synod_domain::name::Name;
use synod_domain::payload::PAYLOAD_BYTES_MAX;
use synod_domain::retry::RetryPolicy;
use synod_domain::task::Timeouts;

use super::check_task::results_fault;
use super::error::Error;
use super::file::{Period, Retry, TaskShape};
use super::hooks::Branches;
use super::inputs::Inputs;
use super::plan::{EntryPlan, ItemPlan, Plan, Target};
use super::read::Fleet;
use super::source::Fault;
use super::template::{self, Item, Scope};
use super::tree::Place;
use super::{governing, graph, hooks, items, pools, tending};
use crate::node::PoolTending;

/// The most tasks of one plan. A plan is held in memory and stored in one piece, at some hundred bytes a
/// task; more work than this is better split into several runs, which can be watched and stopped apart.
pub const TASKS_MAX: usize = 100_000;

/// The most bytes that all payloads of one plan take together, for the same reason.
pub const PLAN_BYTES_MAX: u64 = 256 * 1024 * 1024;

impl Fleet {
    /// Makes the plan of one run: inputs put in, items found, entries in the order of `after`.
    ///
    /// Reads the folders and files that `for_each` names, and changes nothing.
    ///
    /// # Errors
    /// When an input is unknown, missing or of another type than its default, when `for_each` finds nothing
    /// or cannot read what it names, when a template cannot be filled in, or when there is too much work.
    pub fn expand(&self, given: &Inputs) -> Result<Plan, Error> {
        let inputs = given.resolve(&self.source.name(), &self.shape.inputs)?;
        let scope = Scope { inputs: &inputs, dir: &self.dir, item: Item::None };
        let mut plan = Plan {
            name: self.shape.name.clone(),
            digest: String::new(),
            pools: Vec::new(),
            tending: self.tending(),
            governing: governing::governing(&self.shape, &self.dir),
            entries: Vec::new(),
        };
        for (name, shape) in &self.shape.pools {
            let place = Place::top("pools").key(name.as_str());
            plan.pools.push(
                pools::pool(name, shape, &place, scope).map_err(|(at, fault)| self.error_at(&at, fault))?,
            );
        }
        let mut room = Room { tasks: TASKS_MAX, bytes: PLAN_BYTES_MAX, branches: Branches::default() };
        for index in self.order() {
            let place = Place::top("tasks").index(index);
            let entry = self.entry(&self.shape.tasks[index], &place, scope, &mut room);
            plan.entries.push(entry.map_err(|(at, fault)| self.error_at(&at, fault))?);
        }
        plan.digest = digest(&plan).map_err(|source| Error::Encode { file: self.source.name(), source })?;
        Ok(plan)
    }

    fn tending(&self) -> BTreeMap<Name, PoolTending> {
        let pools = self.shape.pools.iter();
        pools.filter_map(|(name, pool)| Some((name.clone(), tending::tending(pool)?))).collect()
    }

    /// Returns the entries in the order of `after`. The checks have shown that there is one.
    fn order(&self) -> Vec<usize> {
        let tasks = &self.shape.tasks;
        let indices: BTreeMap<&str, usize> =
            tasks.iter().enumerate().map(|(index, task)| (task.name.as_str(), index)).collect();
        let after: Vec<Vec<usize>> = tasks
            .iter()
            .map(|task| task.after.iter().filter_map(|name| indices.get(name.as_str()).copied()).collect())
            .collect();
        graph::order(&after).unwrap_or_else(|cycle| cycle)
    }

    fn entry(
        &self,
        task: &TaskShape,
        place: &Place,
        scope: Scope<'_>,
        room: &mut Room,
    ) -> Result<EntryPlan, (Place, Fault)> {
        let target = match (&task.pool, &task.capabilities) {
            (Some(pool), _) => Target::Pool(pool.clone()),
            (None, demand) => Target::Capabilities(demand.iter().flatten().cloned().collect()),
        };
        let pool = task.pool.as_ref().and_then(|pool| self.shape.pools.get(pool));
        let length = |period: Option<Period>| period.map(|Period(length)| length);
        Ok(EntryPlan {
            name: task.name.clone(),
            target,
            lane: task.priority.map(Into::into).unwrap_or_default(),
            // The checks have shown that each is the name of an entry.
            after: task.after.iter().filter_map(|name| Name::new(name).ok()).collect(),
            deadline: length(task.deadline),
            timeouts: Timeouts {
                waiting: length(task.waiting_timeout),
                running: length(task.timeout.or(pool.and_then(|pool| pool.timeout))),
                silence: length(task.heartbeat.or(pool.and_then(|pool| pool.heartbeat))),
            },
            retry: task.retry.as_ref().map(retry).unwrap_or_default(),
            terms: governing::terms(task),
            items: tasks(task, place, scope, room)?,
        })
    }
}

/// What may still be added to a plan.
struct Room {
    tasks: usize,
    bytes: u64,
    branches: Branches,
}

impl Room {
    fn take_tasks(&mut self, count: usize) -> Result<(), Fault> {
        self.tasks = self.tasks.checked_sub(count).ok_or_else(|| {
            Fault::new(format!("with this entry there are more than {TASKS_MAX} tasks"))
                .help("narrow the pattern, or split the work into several fleet files or runs")
        })?;
        Ok(())
    }

    fn take_payload(&mut self, payload: &Value) -> Result<(), Fault> {
        let mut size = Size(0);
        let written = serde_json::to_writer(&mut size, payload);
        written.map_err(|error| Fault::new(format!("cannot encode the payload: {error}")))?;
        let help = "put the data into a file and hand over its path";
        if size.0 > PAYLOAD_BYTES_MAX {
            let message =
                format!("the payload has {} bytes; at most {PAYLOAD_BYTES_MAX} are allowed", size.0);
            return Err(Fault::new(message).help(help));
        }
        self.bytes = self.bytes.checked_sub(size.0).ok_or_else(|| {
            Fault::new(format!("all payloads together have more than {PLAN_BYTES_MAX} bytes")).help(help)
        })?;
        Ok(())
    }
}

fn tasks(
    task: &TaskShape,
    place: &Place,
    scope: Scope<'_>,
    room: &mut Room,
) -> Result<Vec<ItemPlan>, (Place, Fault)> {
    let (found, keys) = match &task.for_each {
        None => (vec![Value::Null], vec![task.name.to_string()]),
        Some(for_each) => {
            let found = items::items(for_each, &place.key("for_each"), scope)?;
            let keys = items::keys(task.name.as_str(), &found);
            (found, keys)
        }
    };
    room.take_tasks(found.len()).map_err(|fault| (place.key("for_each"), fault))?;
    let mut plans = Vec::with_capacity(found.len());
    for (item, key) in found.into_iter().zip(keys) {
        let known = if task.for_each.is_some() { Item::Known(&item) } else { Item::None };
        let scope = Scope { item: known, ..scope };
        let at = place.key("payload");
        let payload = payload(task, scope).map_err(|fault| {
            let text = task.payload.as_ref().and_then(|payload| template::locate(payload, &at, scope));
            (text.unwrap_or_else(|| at.clone()), fault)
        })?;
        room.take_payload(&payload).map_err(|fault| (at, fault))?;
        let mut labels = BTreeMap::new();
        for (name, text) in &task.labels {
            let rendered = template::render_text(text, scope);
            labels.insert(
                name.clone(),
                rendered.map_err(|fault| (place.key("labels").key(name.as_str()), fault))?,
            );
        }
        let hook = match &task.hook {
            Some(shape) => {
                let at = place.key("hook");
                let hook = hooks::hook(shape, &at, scope)?;
                room.branches.take(&hook, &key).map_err(|fault| (at.key("branch"), fault))?;
                Some(hook)
            }
            None => None,
        };
        plans.push(ItemPlan { key, item, payload, labels, hook });
    }
    Ok(plans)
}

fn payload(task: &TaskShape, scope: Scope<'_>) -> Result<Value, Fault> {
    let payload = match (&task.payload, scope.item) {
        (Some(payload), _) => template::render_value(payload, scope)?,
        (None, Item::Known(item)) => Value::Object(Map::from_iter([("item".to_owned(), item.clone())])),
        (None, Item::None | Item::Later) => Value::Object(Map::new()),
    };
    match results_fault(&payload) {
        Some(fault) if !task.after.is_empty() => Err(fault),
        Some(_) | None => Ok(payload),
    }
}

fn retry(retry: &Retry) -> RetryPolicy {
    let default = RetryPolicy::default();
    let or = |period: Option<Period>, default| period.map_or(default, |Period(length)| length);
    let initial = or(retry.initial, default.initial);
    RetryPolicy {
        max_attempts: retry.max_attempts.unwrap_or(default.max_attempts),
        initial,
        factor_percent: retry.factor.map_or(default.factor_percent, percent),
        // A first wait longer than the default longest one is meant, not a mistake.
        max: or(retry.max, default.max.max(initial)),
    }
}

/// The checks have shown that the factor is from 1 to 100.
#[expect(clippy::cast_possible_truncation, reason = "clamped to 100..=10000 before")]
fn percent(factor: f64) -> u32 {
    (factor * 100.0).round().clamp(100.0, 10_000.0) as u32
}

/// Hashes a plan whose digest is still empty.
fn digest(plan: &Plan) -> Result<String, serde_json::Error> {
    let hash = Sha256::digest(serde_json::to_vec(plan)?);
    Ok(hash.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Counts bytes instead of keeping them.
struct Size(u64);

impl io::Write for Size {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
