//! Ended tasks, latest submit first.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use synod_domain::id::AgentId;
use synod_domain::name::Name;
use synod_domain::task::{Phase, Task};

use crate::api;
use crate::http::InQuery;
use crate::http::{Context, Problem};

use super::extra::{self, TaskExtra};
use super::times::{iso, millis};
use super::{find, invalid, priority, shown};

/// How many entries a page has that does not say, as there.
const LIMIT_DEFAULT: usize = 100;

/// The most entries of a page, as there.
const LIMIT_MAX: usize = 1_000;

/// How many ended tasks are read for one page. What lies further back is reached by the native API, whose pages
/// begin where the last one ended.
const WALK_MAX: usize = 100_000;

/// How many are read from history at a time.
const STEP: usize = 1_000;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Wanted {
    status: Option<String>,
    task_type: Option<String>,
    agent_id: Option<String>,
    limit: Option<usize>,
    offset: Option<usize>,
}

#[derive(Debug, Serialize)]
struct Entry {
    id: String,
    #[serde(rename = "type")]
    kind: String,
    status: &'static str,
    priority: &'static str,
    assigned_agent: Option<String>,
    result: Option<api::Json>,
    error: Option<String>,
    retries: u32,
    duration_ms: Option<f64>,
    created_at: String,
    started_at: Option<String>,
    completed_at: Option<String>,
    metadata: Map<String, Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    withheld: Option<&'static str>,
}

/// `GET /tasks/history`
pub(super) async fn list(
    State(context): State<Context>,
    InQuery(wanted): InQuery<Wanted>,
) -> Result<Json<Value>, Problem> {
    let limit = wanted.limit.unwrap_or(LIMIT_DEFAULT).clamp(1, LIMIT_MAX);
    let offset = wanted.offset.unwrap_or(0);
    if offset > WALK_MAX {
        return Err(invalid(format!("offset may be at most {WALK_MAX}; narrow the filter instead")));
    }
    let filter = Filter::of(&context, &wanted)?;
    let (page, found) = walk(&context, &filter, offset, limit).await?;
    let has_more = found > offset + page.len();
    // Without a filter nobody has to count.
    let total = match usize::try_from(context.node().read(|state| state.totals().ended())) {
        Ok(ended) if filter.is_empty() => ended.max(found),
        Ok(_) | Err(_) => found,
    };
    let mut entries = Vec::with_capacity(page.len());
    for task in &page {
        entries.push(entry(&context, task).await?);
    }
    Ok(Json(json!({
        "history": entries,
        "total": total,
        "has_more": has_more,
        "limit": limit,
        "offset": offset,
    })))
}

/// Which tasks are meant. An agent that is not known held none that can be found by its name.
struct Filter {
    phase: Option<Phase>,
    kind: Option<String>,
    agent: Option<Option<AgentId>>,
    /// Of those who are bound to one.
    workspace: Option<Name>,
}

impl Filter {
    fn of(context: &Context, wanted: &Wanted) -> Result<Self, Problem> {
        let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        let agent = given(&wanted.agent_id).map(|agent| {
            context.node().read(|state| find::known_agent(state, &agent).map(|one| one.spec.id))
        });
        Ok(Self {
            phase: given(&wanted.status).map(|word| phase(&word)).transpose()?,
            kind: given(&wanted.task_type),
            agent,
            workspace: context.node().bound_to(),
        })
    }

    const fn is_empty(&self) -> bool {
        self.phase.is_none() && self.kind.is_none() && self.agent.is_none() && self.workspace.is_none()
    }

    fn fits(&self, task: &Task) -> bool {
        self.workspace.as_ref().is_none_or(|workspace| task.spec.workspace == *workspace)
            && self.phase.is_none_or(|phase| task.phase() == phase)
            && self.kind.as_deref().is_none_or(|kind| task.spec.kind.as_str() == kind)
            && self.agent.is_none_or(|agent| agent.is_some() && shown::assigned_agent(task) == agent)
    }
}

/// Reads a status; one that no ended task has finds none.
fn phase(word: &str) -> Result<Phase, Problem> {
    match word.to_ascii_lowercase().as_str() {
        "pending" => Ok(Phase::Pending),
        "assigned" => Ok(Phase::Scheduled),
        "running" => Ok(Phase::Running),
        "completed" => Ok(Phase::Completed),
        "failed" => Ok(Phase::Failed),
        "cancelled" => Ok(Phase::Cancelled),
        "timeout" => Ok(Phase::TimedOut),
        _ => Err(invalid(format!(
            "Invalid status: {word}; use pending, assigned, running, completed, failed, cancelled or timeout"
        ))),
    }
}

/// Returns one page of the fitting tasks and how many fit of those that were read; without a filter it stops
/// behind the page.
async fn walk(
    context: &Context,
    filter: &Filter,
    offset: usize,
    limit: usize,
) -> Result<(Vec<Arc<Task>>, usize), Problem> {
    let (mut page, mut found, mut read, mut before) = (Vec::new(), 0, 0, None);
    while read < WALK_MAX {
        let step = context.node().ended(before, STEP)?;
        let Some(last) = step.last() else { break };
        before = Some(last.spec.id);
        read += step.len();
        for task in step.into_iter().filter(|task| filter.fits(task)) {
            if found >= offset && page.len() < limit {
                page.push(task);
            }
            found += 1;
        }
        if filter.is_empty() && found > offset.saturating_add(limit) {
            break;
        }
        // Each step is read while others wait for this thread.
        tokio::task::yield_now().await;
    }
    Ok((page, found))
}

async fn entry(context: &Context, task: &Task) -> Result<Entry, Problem> {
    let (metadata, _) = extra::split::<TaskExtra>(task.spec.metadata.as_ref());
    let withheld = shown::withheld(context, task);
    let agent = shown::assigned_agent(task);
    let end = task.end().map(|end| end.at);
    let duration = end.zip(task.first_started_at).map(|(end, start)| millis(end.since(start)));
    Ok(Entry {
        id: task.spec.id.to_string(),
        kind: task.spec.kind.to_string(),
        status: shown::phase_word(task.phase()),
        priority: priority::word(task.lane),
        assigned_agent: agent.map(|agent| context.node().read(|state| find::name_of(state, agent))),
        result: shown::result(context, task).await?,
        error: shown::error(task).filter(|_| withheld.is_none()),
        retries: shown::retries(task),
        duration_ms: duration,
        created_at: iso(task.submitted_at),
        started_at: task.first_started_at.map(iso),
        completed_at: end.map(iso),
        metadata: if withheld.is_none() { metadata } else { Map::new() },
        withheld,
    })
}
