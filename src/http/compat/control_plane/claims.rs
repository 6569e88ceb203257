//! Claiming tasks, and what the holder of a lease says.
//!
//! That API knows no attempts. Whoever completes or fails a task means the lease that is in force: with
//! `agent_id` it must be that agent's, without it is whoever's it is. So a worker that lost its task to another
//! cannot end it, as long as it says who it is.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde_json::{Value, json};
use synod_actors::desk::Ask;
use synod_actors::events::{Heard, Subscription};
use synod_domain::agent::{Agent, Standing};
use synod_domain::event::Event;
use synod_domain::id::AgentId;
use synod_domain::task::{AttemptEnd, Phase, Task, Usage};
use tokio::time::Instant;

use crate::api;
use crate::http::{Body, InPath};
use crate::http::{Caller, Context, Problem};

use super::register::{capabilities, claimant};
use super::shown::TaskInfo;
use super::{conflict, find, shown};

/// How long a claim waits that does not say, as there.
const BLOCK_MS_DEFAULT: u64 = 5_000;

/// The longest wait of a claim; a proxy between cuts longer ones. A client that wants more asks again.
const BLOCK_MS_MAX: u64 = 60_000;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Claim {
    agent_id: Option<String>,
    capabilities: Option<Vec<String>>,
    block_ms: Option<u64>,
}

/// `POST /tasks/claim`: the next task, started; null when none came up in time.
pub(super) async fn claim(
    State(context): State<Context>,
    caller: Caller,
    Body(request): Body<Claim>,
) -> Result<Json<Value>, Problem> {
    let claimed = async {
        tokio::select! {
            biased;
            task = take(&context, &caller, request) => task.map(|task| Json(json!({ "task": task }))),
            () = context.stopping() => Ok(Json(json!({ "task": null }))),
        }
    };
    caller.while_valid(context.node(), claimed).await
}

/// Claims a task, and waits for one if need be.
async fn take(context: &Context, caller: &Caller, request: Claim) -> Result<Option<TaskInfo>, Problem> {
    let offered = request.capabilities.as_deref().map(capabilities).transpose()?;
    let agent = claimant(context, caller, request.agent_id.as_deref(), offered.as_ref()).await?;
    let wait = Duration::from_millis(request.block_ms.unwrap_or(BLOCK_MS_DEFAULT).min(BLOCK_MS_MAX));
    let until = Instant::now() + wait;
    let agent = agent.spec.id;
    // One that was silent and asks for work is not gone.
    context.node().heartbeat_agent(agent).await?;
    if !in_service(context, agent, until).await? {
        return Ok(None);
    }
    let wait = until.saturating_duration_since(Instant::now());
    let request = context.node().new_request_id();
    let ask = Ask { agent, offered, max: 1, start: true, wait, request };
    let taken = context.node().claim_when_ready(ask).await?;
    let Some(assignment) = taken.into_iter().next() else { return Ok(None) };
    let task = context.node().task(assignment.spec.id)?;
    TaskInfo::of(context, &task).await.map(Some)
}

/// Waits while the agent drains, so that a paused worker that asks again and again neither fails nor spins.
async fn in_service(context: &Context, agent: AgentId, until: Instant) -> Result<bool, Problem> {
    let mut events = context.node().events();
    loop {
        let known = context.node().read(|state| state.agent(agent).cloned());
        let known = known.ok_or_else(|| find::agent_not_found(&agent.to_string()))?;
        match known.standing {
            Standing::Ready | Standing::Starting => return Ok(true),
            Standing::Draining => {}
            Standing::Offline | Standing::Failed => return Err(out_of_service(&known)),
        }
        tokio::select! {
            biased;
            () = changed(&mut events, agent) => {}
            () = tokio::time::sleep_until(until) => return Ok(false),
        }
    }
}

/// Waits for something that may have changed how the agent stands.
async fn changed(events: &mut Subscription, agent: AgentId) {
    loop {
        match events.next().await {
            Heard::Happening(happening) => {
                let about = |event: &Event| event.agent() == Some(agent);
                if happening.events.iter().any(about) {
                    return;
                }
            }
            Heard::Missed(_) | Heard::Closed => return,
        }
    }
}

fn out_of_service(agent: &Agent) -> Problem {
    let (name, status) = (&agent.spec.name, shown::status(agent));
    conflict("agent_unavailable", format!("Agent {name} takes no work: it is {status} ({})", agent.reason))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Complete {
    result: Option<api::Json>,
    agent_id: Option<String>,
}

/// `POST /tasks/{id}/complete`. How long it took is measured here; `latency_ms` is passed over.
pub(super) async fn complete(
    State(context): State<Context>,
    InPath(id): InPath<String>,
    Body(request): Body<Complete>,
) -> Result<Json<Value>, Problem> {
    let task = find::task(&context, &id)?;
    let answer = Ok(Json(json!({ "completed": true })));
    let speaker = speaker(&context, request.agent_id.as_deref());
    if task.phase() == Phase::Completed && speaker.is_of(shown::assigned_agent(&task)) {
        return answer;
    }
    let attempt = speaker.attempt(&context, &task)?;
    let result = request.result.unwrap_or_default();
    context.node().complete(task.spec.id, attempt, result.text().as_bytes(), Usage::default()).await?;
    answer
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Fail {
    error: Option<String>,
    agent_id: Option<String>,
    requeue: Option<bool>,
}

/// `POST /tasks/{id}/fail`: tried again after a backoff, unless `requeue` is false or no retry is left.
pub(super) async fn fail(
    State(context): State<Context>,
    InPath(id): InPath<String>,
    Body(request): Body<Fail>,
) -> Result<Json<Value>, Problem> {
    let task = find::task(&context, &id)?;
    let answer = Ok(Json(json!({ "failed": true })));
    let speaker = speaker(&context, request.agent_id.as_deref());
    if speaker.said_before(&task) {
        return answer;
    }
    let attempt = speaker.attempt(&context, &task)?;
    let reason = request.error.filter(|error| !error.is_empty());
    let reason = reason.as_deref().unwrap_or("Unknown error");
    let requeue = request.requeue.unwrap_or(true);
    context.node().fail(task.spec.id, attempt, reason, requeue, Usage::default()).await?;
    answer
}

/// Who speaks about a task.
enum Speaker {
    /// It did not say who it is.
    Anybody,
    Known(Arc<Agent>),
    /// It says a name that no agent has.
    Stranger(String),
}

fn speaker(context: &Context, agent_id: Option<&str>) -> Speaker {
    match agent_id {
        None | Some("") => Speaker::Anybody,
        Some(text) => match find::agent(context, text) {
            Ok(agent) => Speaker::Known(agent),
            Err(_) => Speaker::Stranger(text.to_owned()),
        },
    }
}

impl Speaker {
    /// Tells whether it may speak for `agent`.
    fn is_of(&self, agent: Option<AgentId>) -> bool {
        match self {
            Self::Anybody => true,
            Self::Known(known) => agent == Some(known.spec.id),
            Self::Stranger(_) => false,
        }
    }

    fn name(&self) -> &str {
        match self {
            Self::Anybody => "",
            Self::Known(agent) => agent.spec.name.as_str(),
            Self::Stranger(name) => name,
        }
    }

    /// Returns the number of the lease that it speaks under.
    fn attempt(&self, context: &Context, task: &Task) -> Result<u32, Problem> {
        let (id, phase) = (task.spec.id, shown::phase_word(task.phase()));
        match task.lease() {
            Some(lease) if self.is_of(Some(lease.agent)) => Ok(lease.attempt),
            Some(lease) => {
                let holder = context.node().read(|state| find::name_of(state, lease.agent));
                let text = format!("Task {id} is held by agent {holder}, not by {}", self.name());
                Err(conflict("lease_lost", text))
            }
            None if task.phase().is_end() => {
                Err(conflict("already_ended", format!("Task {id} has already ended: it is {phase}")))
            }
            None => Err(conflict(
                "lease_lost",
                format!("Task {id} is held by no agent: it is {phase}; claim it first"),
            )),
        }
    }

    /// Tells whether it ended the last attempt with a failure and says so again.
    fn said_before(&self, task: &Task) -> bool {
        let Self::Known(agent) = self else { return false };
        let last = task.attempts.last();
        task.lease().is_none()
            && last
                .is_some_and(|last| last.agent == agent.spec.id && matches!(last.end, AttemptEnd::Failed(_)))
    }
}
