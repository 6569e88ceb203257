//! Agents: seeing them, their signs of life, pausing and removing them.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde_json::{Value, json};
use synod_domain::agent::{Agent, Host, Standing};
use synod_domain::capability::Capability;
use synod_domain::command::Command;
use synod_domain::time::Timestamp;

use crate::http::sight::Sight;
use crate::http::{Body, InPath, InQuery};
use crate::http::{Context, Problem};

use super::shown::{self, AgentInfo};
use super::{conflict, find, invalid};

/// The most agents of one answer; `total` counts the others too. Each takes some 600 bytes of it.
const SHOWN_MAX: usize = 10_000;

/// Why an agent drains that was paused here. By it a pause is told from an agent that drains by its own word: only
/// the latter is ended by the agent's own `ready`.
const PAUSED: &str = "paused";

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Wanted {
    capability: Option<String>,
    available: Option<String>,
}

/// `GET /agents`: those that are ready, unless `available=false`.
pub(super) async fn list(
    State(context): State<Context>,
    InQuery(wanted): InQuery<Wanted>,
) -> Result<Json<Value>, Problem> {
    let available = wanted.available.is_none_or(|word| word.eq_ignore_ascii_case("true") || word == "1");
    let capability = wanted.capability.filter(|text| !text.is_empty());
    let capability: Option<Capability> = capability
        .map(|text| text.parse().map_err(|error| invalid(format!("capability is not valid: {error}"))))
        .transpose()?;
    let demand = capability.into_iter().collect();
    let fits = |agent: &Agent| {
        (!available || shown::status(agent) == "ready") && agent.spec.capabilities.satisfy(&demand)
    };
    let sight = Sight::of_caller(context.node());
    let (agents, total) = context.node().read(|state| {
        let mut fitting = state.agents().filter(|agent| fits(agent) && sight.agent(state, &agent.spec));
        let agents: Vec<_> = fitting.by_ref().take(SHOWN_MAX).cloned().collect();
        let total = agents.len() + fitting.count();
        (agents, total)
    });
    let agents: Vec<_> = agents.iter().map(|agent| shown(&context, agent)).collect();
    Ok(Json(json!({ "agents": agents, "total": total })))
}

/// `GET /agents/{id}`
pub(super) async fn get(
    State(context): State<Context>,
    InPath(id): InPath<String>,
) -> Result<Json<AgentInfo>, Problem> {
    let agent = find::agent(&context, &id)?;
    Ok(Json(shown(&context, &agent)))
}

/// `DELETE /agents/{id}`: its work goes to others at once.
pub(super) async fn unregister(
    State(context): State<Context>,
    InPath(id): InPath<String>,
) -> Result<Json<Value>, Problem> {
    let agent = find::agent(&context, &id)?.spec.id;
    context.node().retire_agent(agent, true).await?;
    Ok(Json(json!({ "unregistered": true })))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Heartbeat {
    status: Option<String>,
}

/// `POST /agents/{id}/heartbeat`. Written down only if it changes how the agent stands. How an agent stands that a
/// node runs, the node knows better.
pub(super) async fn heartbeat(
    State(context): State<Context>,
    InPath(id): InPath<String>,
    Body(heartbeat): Body<Heartbeat>,
) -> Result<Json<Value>, Problem> {
    let said = heartbeat.status.as_deref().map(standing).transpose()?;
    let agent = find::agent(&context, &id)?;
    if said.is_some() && agent.spec.host != Host::External {
        return Err(conflict(
            "agent_hosted",
            format!("Agent {id} is run by a node, which says how it stands"),
        ));
    }
    context.node().heartbeat_agent(agent.spec.id).await?;
    let paused = agent.standing == Standing::Draining && &*agent.reason == PAUSED;
    match said {
        Some(said) if said != agent.standing && !(paused && said == Standing::Ready) => {
            set_standing(&context, &agent, said, "its heartbeat said so").await?;
        }
        Some(_) | None => {}
    }
    Ok(Json(json!({ "acknowledged": true })))
}

/// Reads what an agent says of itself. That it is busy is known here; saying so means that it is in service.
fn standing(word: &str) -> Result<Standing, Problem> {
    match word.to_ascii_lowercase().as_str() {
        "starting" => Ok(Standing::Starting),
        "ready" | "busy" => Ok(Standing::Ready),
        "draining" => Ok(Standing::Draining),
        "offline" => Ok(Standing::Offline),
        "failed" => Ok(Standing::Failed),
        _ => Err(invalid(format!(
            "Invalid status: {word}; use starting, ready, busy, draining, offline or failed"
        ))),
    }
}

/// `POST /agents/{id}/pause`: it keeps what it holds and takes nothing new.
pub(super) async fn pause(
    State(context): State<Context>,
    InPath(id): InPath<String>,
) -> Result<Json<Value>, Problem> {
    let agent = find::agent(&context, &id)?;
    set_standing(&context, &agent, Standing::Draining, PAUSED).await?;
    let status = shown::status(&*find::agent(&context, &id)?);
    Ok(Json(json!({ "paused": true, "agent_id": id, "status": status })))
}

/// `POST /agents/{id}/resume`
pub(super) async fn resume(
    State(context): State<Context>,
    InPath(id): InPath<String>,
) -> Result<Json<Value>, Problem> {
    let agent = find::agent(&context, &id)?;
    let drains = agent.standing == Standing::Draining;
    if !drains && agent.spec.host != Host::External {
        return Err(conflict("agent_hosted", format!("Agent {id} is run by a node and is not paused")));
    }
    set_standing(&context, &agent, Standing::Ready, "resumed").await?;
    let status = shown::status(&*find::agent(&context, &id)?);
    Ok(Json(json!({ "resumed": true, "agent_id": id, "status": status })))
}

async fn set_standing(
    context: &Context,
    agent: &Agent,
    standing: Standing,
    reason: &str,
) -> Result<(), Problem> {
    let command = Command::SetStanding { agent: agent.spec.id, standing, reason: reason.into() };
    context.node().propose(command).await?;
    Ok(())
}

/// Shows an agent.
pub(super) fn shown(context: &Context, agent: &Agent) -> AgentInfo {
    AgentInfo::of(agent, last_heard(context, agent))
}

/// Returns when an agent was heard of last: by its heartbeats, or else by what is written of it.
pub(super) fn last_heard(context: &Context, agent: &Agent) -> Timestamp {
    let now = context.node().now().as_millis();
    let heard = context.node().heard_ago(agent.spec.id).map(|silent| {
        let silent = u64::try_from(silent.as_millis()).unwrap_or(u64::MAX);
        Timestamp::from_millis(now.saturating_sub(silent))
    });
    heard.unwrap_or(agent.since).max(agent.registered_at)
}
