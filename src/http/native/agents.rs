//! `/api/v1/agents`: registering, looking, heartbeats, and the end of an agent's service.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use synod_actors::events::Heard;
use synod_domain::agent::{Agent, AgentSpec, Host, Standing};
use synod_domain::command::Command;
use synod_domain::id::AgentId;
use synod_domain::name::Name;
use synod_domain::permission::Permission::{AgentsRead, AgentsWrite, PoolsWrite};
use utoipa::OpenApi;

use super::listing::{Everything, Listing, page};
use super::pools::{checked_pool, one_agent};
use super::problems::{Conflict, NotFound};
use super::{examples, read, shown};
use crate::api;
use crate::http::extract::{Body, InPath, InQuery};
use crate::http::reach::bound;
use crate::http::sight::Sight;
use crate::http::{Caller, Context, Needs, Once, Problem, Routes, Thing};
use crate::node::Node;

/// How long a register waits for an agent that the node runs itself. It is there within milliseconds.
const HOSTED_PATIENCE: Duration = Duration::from_secs(10);

/// The agents' part of the document.
#[derive(OpenApi)]
#[openapi(paths(
    register_agent,
    list_agents,
    get_agent,
    get_agent_health,
    delete_agent,
    restart_agent,
    drain_agent,
    heartbeat_agent
))]
pub(super) struct Doc;

pub(super) fn routes() -> Routes {
    let read = Needs::Permission(AgentsRead);
    let write = Needs::Permission(AgentsWrite);
    Routes::default()
        .post("/api/v1/agents", write.once().own(), register_agent)
        .get("/api/v1/agents", read.gathered().own(), list_agents)
        .get("/api/v1/agents/{id}", read.of(Thing::Agent), get_agent)
        .get("/api/v1/agents/{id}/health", read.of(Thing::Agent), get_agent_health)
        .delete("/api/v1/agents/{id}", write.once().about(Thing::Agent), delete_agent)
        .post("/api/v1/agents/{id}/restart", write.of(Thing::Agent), restart_agent)
        .post("/api/v1/agents/{id}/drain", write.once().about(Thing::Agent), drain_agent)
        .post("/api/v1/agents/{id}/heartbeat", write.freely().about(Thing::Agent), heartbeat_agent)
}

/// Register an agent
///
/// An external agent claims its work and lives by its heartbeats. Its name is its own: registering it again changes
/// that agent, which keeps its id, and puts it back in service. With `hosted` the node runs the agent itself, in a
/// pool of its own that has the agent's name; that takes `pools:write` too.
#[utoipa::path(
    post,
    path = "/api/v1/agents",
    tag = "agents",
    request_body(content = api::RegisterAgent, example = json!(examples::register_agent())),
    responses(
        (status = 201, description = "The agent is registered.", body = api::Agent, example = json!(examples::agent())),
        (status = 200, description = "The agent was there and is changed.", body = api::Agent, example = json!(examples::agent())),
        (status = 404, response = NotFound),
        (status = 409, response = Conflict),
    ),
)]
async fn register_agent(
    State(context): State<Context>,
    once: Once,
    caller: Caller,
    _: InQuery<Everything>,
    Body(wanted): Body<api::RegisterAgent>,
) -> Result<Response, Problem> {
    let node = context.node();
    let name = read::name("name", &wanted.name)?;
    if let Some(workspace) = node.bound_to().filter(|_| wanted.hosted.is_some()) {
        return Err(bound(&workspace));
    }
    let (id, is_new) = match &wanted.hosted {
        // It makes a pool, and a program of the caller's choice runs as the node's user: workers may not.
        Some(_) if !caller.may(PoolsWrite) => return Err(Problem::not_allowed(PoolsWrite)),
        Some(hosted) => host(node, once, &name, &wanted, hosted).await?,
        None => register(node, once, &name, &wanted).await?,
    };
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(look(node, id)?)).into_response())
}

async fn register(
    node: &Node,
    once: Once,
    name: &Name,
    wanted: &api::RegisterAgent,
) -> Result<(AgentId, bool), Problem> {
    // Sent again, it is the agent that the first time made that is registered, and no other one under its name.
    once.was_done(node).await?;
    let known = node.read(|state| state.agent_named(name).map(|agent| agent.spec.id));
    let id = known.unwrap_or_else(|| node.new_agent_id());
    let spec = AgentSpec {
        id,
        name: name.clone(),
        pool: read::optional_name("pool", wanted.pool.as_deref())?,
        capabilities: read::capabilities("capabilities", &wanted.capabilities)?,
        labels: read::labels(&wanted.labels)?,
        region: read::optional_name("region", wanted.region.as_deref())?,
        concurrency: wanted.concurrency.unwrap_or(1),
        host: Host::External,
        heartbeat_timeout: wanted.heartbeat_timeout_ms.map(Duration::from_millis),
        metadata: read::metadata(wanted.metadata.as_ref())?,
    };
    node.register_agent_as([once.request(), once.part("ready")], spec).await?;
    Ok((id, known.is_none()))
}

/// Makes a pool of one agent, and waits until the agent is there.
async fn host(
    node: &Node,
    once: Once,
    name: &Name,
    wanted: &api::RegisterAgent,
    hosted: &api::HostedSpec,
) -> Result<(AgentId, bool), Problem> {
    let only_external = [
        ("pool", wanted.pool.is_some()),
        ("labels", !wanted.labels.is_empty()),
        ("metadata", wanted.metadata.is_some()),
        ("region", wanted.region.is_some()),
        ("heartbeat_timeout_ms", wanted.heartbeat_timeout_ms.is_some()),
    ];
    if let Some((field, _)) = only_external.into_iter().find(|(_, given)| *given) {
        return Err(Problem::bad_request(
            field,
            "an agent that the node runs has none: its pool has its name",
        ));
    }
    let mut events = node.events();
    let is_new = node.read(|state| state.pool(name).is_none());
    let spec = Arc::new(checked_pool(node, one_agent(name, wanted, hosted)?).await?);
    once.propose(node, Command::PutPool { spec }).await?;
    let member = || node.read(|state| state.agents_of(name).next().map(|agent| agent.spec.id));
    let there = async {
        loop {
            if let Some(id) = member() {
                return Some(id);
            }
            match events.next().await {
                Heard::Happening(_) | Heard::Missed(_) => {}
                Heard::Closed => return None,
            }
        }
    };
    match tokio::time::timeout(HOSTED_PATIENCE, there).await {
        Ok(Some(id)) => Ok((id, is_new)),
        Ok(None) => Err(Problem::stopping()),
        Err(_) => Err(Problem::internal("a pool of one agent has none")),
    }
}

/// List agents
#[utoipa::path(
    get,
    path = "/api/v1/agents",
    tag = "agents",
    description = "In the order in which they were first registered, a page at a time.",
    params(api::AgentFilter, api::PageQuery),
    responses((status = 200, description = "A page of agents.", body = api::Page<api::Agent>, example = json!(examples::page(examples::agent())))),
)]
async fn list_agents(
    State(context): State<Context>,
    listing: Listing<api::AgentFilter>,
) -> Result<Json<api::Page<api::Agent>>, Problem> {
    let filter = listing.filter;
    let statuses = filter.status.as_deref().map(statuses).transpose()?;
    let pool = read::optional_name("pool", filter.pool.as_deref())?;
    let asked: Option<Vec<String>> =
        filter.capability.as_deref().map(|text| read::parts(text).map(str::to_owned).collect());
    let demand = asked.map(|asked| read::capabilities("capability", &asked)).transpose()?;
    let after: Option<AgentId> =
        listing.cursor.as_deref().map(|cursor| read::id("cursor", cursor)).transpose()?;
    let meets = |agent: &Agent| {
        after.is_none_or(|after| agent.spec.id > after)
            && statuses.as_ref().is_none_or(|wanted| wanted.contains(agent.status().to_string().as_str()))
            && pool.as_ref().is_none_or(|pool| agent.spec.pool.as_ref() == Some(pool))
            && demand.as_ref().is_none_or(|demand| agent.spec.capabilities.satisfy(demand))
            && filter.available.is_none_or(|available| agent.takes_work() == available)
    };
    let node = context.node();
    let sight = Sight::of_caller(node);
    let page = node.read(|state| {
        let found = state.agents().filter(|agent| meets(agent) && sight.agent(state, &agent.spec));
        let shown = found.map(|found| (found.spec.id.to_string(), shown::agent_of(state, node, found)));
        page(shown, listing.limit)
    });
    Ok(Json(page))
}

fn statuses(text: &str) -> Result<BTreeSet<String>, Problem> {
    const KNOWN: [&str; 6] = ["STARTING", "READY", "BUSY", "DRAINING", "OFFLINE", "FAILED"];
    let one = |word: &str| {
        let word = word.to_ascii_uppercase();
        if KNOWN.contains(&word.as_str()) {
            return Ok(word);
        }
        Err(Problem::bad_request("status", format!("{word:?} is none of {}", KNOWN.join(", "))))
    };
    read::parts(text).map(one).collect()
}

/// Look at an agent
#[utoipa::path(
    get,
    path = "/api/v1/agents/{id}",
    tag = "agents",
    description = "By its id or its name. Agents that the node runs may share a name with others; then the id is safer.",
    params(("id" = String, Path, description = "The agent's id or name.", example = json!(examples::AGENT))),
    responses(
        (status = 200, description = "The agent.", body = api::Agent, example = json!(examples::agent())),
        (status = 404, response = NotFound),
    ),
)]
async fn get_agent(
    State(context): State<Context>,
    InPath(id): InPath<String>,
    _: InQuery<Everything>,
) -> Result<Json<api::Agent>, Problem> {
    let node = context.node();
    let agent = read::agent(node, &id)?;
    let health = shown::health(node, &agent, &node.vitals().await);
    Ok(Json(api::Agent { health: Some(health), ..shown::agent(node, &agent) }))
}

/// Look at how an agent does
#[utoipa::path(
    get,
    path = "/api/v1/agents/{id}/health",
    tag = "agents",
    description = "What its programs take of the machine is known to the node that runs them, and looked up when it is asked for.",
    params(("id" = String, Path, description = "The agent's id or name.", example = json!(examples::AGENT))),
    responses(
        (status = 200, description = "How it does.", body = api::AgentHealth, example = json!(examples::agent_health())),
        (status = 404, response = NotFound),
    ),
)]
async fn get_agent_health(
    State(context): State<Context>,
    InPath(id): InPath<String>,
    _: InQuery<Everything>,
) -> Result<Json<api::AgentHealth>, Problem> {
    let node = context.node();
    let agent = read::agent(node, &id)?;
    Ok(Json(shown::health(node, &agent, &node.vitals().await)))
}

/// Remove an agent
///
/// It finishes what it has first and is removed then; 202 says that it still has something. With `force` it is
/// removed at once and what it has is given to others.
#[utoipa::path(
    delete,
    path = "/api/v1/agents/{id}",
    tag = "agents",
    params(("id" = String, Path, description = "The agent's id or name.", example = json!(examples::AGENT)), api::RemoveQuery),
    responses(
        (status = 204, description = "The agent is removed."),
        (status = 202, description = "The agent finishes what it has and is removed then.", body = api::Agent, example = json!(examples::draining())),
        (status = 404, response = NotFound),
        (status = 409, response = Conflict),
    ),
)]
async fn delete_agent(
    State(context): State<Context>,
    once: Once,
    InPath(id): InPath<String>,
    InQuery(query): InQuery<api::RemoveQuery>,
) -> Result<Response, Problem> {
    let node = context.node();
    let was_done = once.was_done(node).await?;
    let found = read::agent(node, &id);
    // What stands there under its name may be another one by now.
    if was_done && !found.as_ref().is_ok_and(|agent| agent.retiring) {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let id = found?.spec.id;
    node.retire_agent_as(once.request(), id, query.force).await?;
    Ok(match node.read(|state| state.agent(id).cloned()) {
        Some(left) => (StatusCode::ACCEPTED, Json(shown::agent(node, &left))).into_response(),
        None => StatusCode::NO_CONTENT.into_response(),
    })
}

/// Restart an agent
///
/// Only one that this node runs: what it has in hand is given back unharmed, and it starts afresh, however often it
/// failed before.
#[utoipa::path(
    post,
    path = "/api/v1/agents/{id}/restart",
    tag = "agents",
    params(("id" = String, Path, description = "The agent's id or name.", example = json!(examples::AGENT))),
    responses(
        (status = 200, description = "The agent, started again.", body = api::Agent, example = json!(examples::agent())),
        (status = 404, response = NotFound),
        (status = 409, response = Conflict),
    ),
)]
async fn restart_agent(
    State(context): State<Context>,
    InPath(id): InPath<String>,
    _: InQuery<Everything>,
) -> Result<Json<api::Agent>, Problem> {
    let node = context.node();
    let id = read::agent(node, &id)?.spec.id;
    node.restart_agent(id).await?;
    look(node, id).map(Json)
}

/// Drain an agent
///
/// It finishes what it has and takes nothing new. It is in service again when it is restarted, or registers again.
#[utoipa::path(
    post,
    path = "/api/v1/agents/{id}/drain",
    tag = "agents",
    params(("id" = String, Path, description = "The agent's id or name.", example = json!(examples::AGENT))),
    responses(
        (status = 202, description = "The agent takes nothing new.", body = api::Agent, example = json!(examples::draining())),
        (status = 404, response = NotFound),
        (status = 409, response = Conflict),
    ),
)]
async fn drain_agent(
    State(context): State<Context>,
    once: Once,
    InPath(id): InPath<String>,
    _: InQuery<Everything>,
) -> Result<(StatusCode, Json<api::Agent>), Problem> {
    let node = context.node();
    let id = read::agent(node, &id)?.spec.id;
    let (standing, reason) = (Standing::Draining, "drained by a client".into());
    once.propose(node, Command::SetStanding { agent: id, standing, reason }).await?;
    Ok((StatusCode::ACCEPTED, Json(look(node, id)?)))
}

/// Say that an agent lives
///
/// Writes nothing, so it may be sent often; an agent that was OFFLINE for its silence is in service again. Claims
/// and whatever is said under a lease are signs of life as well.
#[utoipa::path(
    post,
    path = "/api/v1/agents/{id}/heartbeat",
    tag = "agents",
    params(("id" = String, Path, description = "The agent's id or name.", example = json!(examples::AGENT))),
    request_body(content = api::HeartbeatAgent, example = json!(api::HeartbeatAgent::default())),
    responses(
        (status = 200, description = "How the node sees it.", body = api::Agent, example = json!(examples::agent())),
        (status = 404, response = NotFound),
        (status = 409, response = Conflict),
    ),
)]
async fn heartbeat_agent(
    State(context): State<Context>,
    InPath(id): InPath<String>,
    _: InQuery<Everything>,
    Body(api::HeartbeatAgent {}): Body<api::HeartbeatAgent>,
) -> Result<Json<api::Agent>, Problem> {
    let node = context.node();
    let id = read::agent(node, &id)?.spec.id;
    node.heartbeat_agent(id).await?;
    look(node, id).map(Json)
}

fn look(node: &Node, id: AgentId) -> Result<api::Agent, Problem> {
    let found: Option<Arc<Agent>> = node.read(|state| state.agent(id).cloned());
    let found = found.ok_or_else(|| Problem::not_found("agent_unknown", format!("agent {id}")))?;
    Ok(shown::agent(node, &found))
}
