//! `/api/v1/nodes`, `/health` and `/stats`: the nodes of the cluster, how this one is, and what was done.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use synod_domain::agent::AgentStatus;
use synod_domain::command::Command;
use synod_domain::id::NodeId;
use synod_domain::permission::Permission::{ClusterWrite, NodesRead, NodesWrite};
use utoipa::OpenApi;

use super::listing::{Everything, Listing, page};
use super::problems::{Conflict, NotFound};
use super::shown::{self, lanes, millis};
use super::{examples, read};
use crate::api;
use crate::http::extract::{Body, InPath, InQuery};
use crate::http::{Caller, Context, Needs, Once, Problem, Routes};

/// The nodes' part of the document.
#[derive(OpenApi)]
#[openapi(paths(list_nodes, get_node, drain_node, undrain_node, remove_node, set_role, health, stats))]
pub(super) struct Doc;

pub(super) fn routes() -> Routes {
    // What one node knows of the others is its own view: it is shown although nobody leads, and then most of all.
    let read = Needs::Permission(NodesRead);
    let write = Needs::Permission(NodesWrite);
    let members = Needs::Permission(ClusterWrite);
    Routes::default()
        .get("/api/v1/nodes", read.local(), list_nodes)
        .get("/api/v1/nodes/{id}", read.local(), get_node)
        .delete("/api/v1/nodes/{id}", members.once(), remove_node)
        .post("/api/v1/nodes/{id}/drain", write.once(), drain_node)
        .post("/api/v1/nodes/{id}/undrain", write.once(), undrain_node)
        .put("/api/v1/nodes/{id}/role", members.once(), set_role)
        .get("/api/v1/health", Needs::AnyToken.anybody(), health)
        .get("/api/v1/stats", read, stats)
}

/// List nodes
#[utoipa::path(
    get,
    path = "/api/v1/nodes",
    tag = "nodes",
    description = "Those of the cluster, in order of id, as the node that is asked knows them: what is agreed, and what is rumoured.",
    params(api::PageQuery),
    responses((status = 200, description = "A page of nodes.", body = api::Page<api::Node>, example = json!(examples::page(examples::node())))),
)]
async fn list_nodes(
    State(context): State<Context>,
    listing: Listing<Everything>,
) -> Result<Json<api::Page<api::Node>>, Problem> {
    let after: Option<NodeId> =
        listing.cursor.as_deref().map(|cursor| read::id("cursor", cursor)).transpose()?;
    let status = context.node().cluster();
    let nodes = shown::nodes(context.node(), &status);
    let behind =
        status.nodes.iter().zip(nodes).filter(|(one, _)| after.is_none_or(|after| one.node.spec.id > after));
    Ok(Json(page(behind.map(|(one, shown)| (one.node.spec.id.to_string(), shown)), listing.limit)))
}

/// Look at a node
#[utoipa::path(
    get,
    path = "/api/v1/nodes/{id}",
    tag = "nodes",
    description = "What is agreed of it, where it stands in the log, how many agents it runs, and what is rumoured.",
    params(("id" = String, Path, description = "The node's id or name.", example = json!(examples::NODE))),
    responses(
        (status = 200, description = "The node.", body = api::Node, example = json!(examples::node())),
        (status = 404, response = NotFound),
    ),
)]
async fn get_node(
    State(context): State<Context>,
    InPath(id): InPath<String>,
    _: InQuery<Everything>,
) -> Result<Json<api::Node>, Problem> {
    let wanted = read::node(context.node(), &id)?;
    show(&context, wanted)
}

/// Drain a node
///
/// It gives its agents away, one after the other without losing a task, and takes no new ones until it is undrained.
/// Saying it twice is as good as once.
#[utoipa::path(
    post,
    path = "/api/v1/nodes/{id}/drain",
    tag = "nodes",
    params(("id" = String, Path, description = "The node's id or name.", example = json!(examples::NODE))),
    request_body(content = api::DrainNode, example = json!(examples::drain_node())),
    responses(
        (status = 200, description = "The node, draining.", body = api::Node, example = json!(examples::draining_node())),
        (status = 404, response = NotFound),
    ),
)]
async fn drain_node(
    State(context): State<Context>,
    once: Once,
    caller: Caller,
    InPath(id): InPath<String>,
    _: InQuery<Everything>,
    Body(wanted): Body<api::DrainNode>,
) -> Result<Json<api::Node>, Problem> {
    let node = read::node(context.node(), &id)?;
    let reason = wanted.reason.unwrap_or_else(|| format!("drained by {}", caller.accessor));
    once.propose(context.node(), Command::DrainNode { node, drain: true, reason: reason.into() }).await?;
    show(&context, node)
}

/// End the draining of a node
///
/// Agents may be put on it again. Saying it twice is as good as once.
#[utoipa::path(
    post,
    path = "/api/v1/nodes/{id}/undrain",
    tag = "nodes",
    params(("id" = String, Path, description = "The node's id or name.", example = json!(examples::NODE))),
    request_body(content = api::DrainNode, example = json!(examples::drain_node())),
    responses(
        (status = 200, description = "The node.", body = api::Node, example = json!(examples::node())),
        (status = 404, response = NotFound),
    ),
)]
async fn undrain_node(
    State(context): State<Context>,
    once: Once,
    caller: Caller,
    InPath(id): InPath<String>,
    _: InQuery<Everything>,
    Body(wanted): Body<api::DrainNode>,
) -> Result<Json<api::Node>, Problem> {
    let node = read::node(context.node(), &id)?;
    let reason = wanted.reason.unwrap_or_else(|| format!("taken up again by {}", caller.accessor));
    once.propose(context.node(), Command::DrainNode { node, drain: false, reason: reason.into() }).await?;
    show(&context, node)
}

/// Remove a node
///
/// For good: neither its id nor its number returns, and it is refused from then on. The work of its agents is handed
/// out again. A node that shall come back is stopped and started, not removed. The last voter is refused.
#[utoipa::path(
    delete,
    path = "/api/v1/nodes/{id}",
    tag = "nodes",
    params(("id" = String, Path, description = "The node's id or name.", example = json!(examples::NODE))),
    responses(
        (status = 204, description = "It belongs to the cluster no more."),
        (status = 404, response = NotFound),
        (status = 409, response = Conflict),
    ),
)]
async fn remove_node(
    State(context): State<Context>,
    once: Once,
    caller: Caller,
    InPath(id): InPath<String>,
    _: InQuery<Everything>,
) -> Result<StatusCode, Problem> {
    if once.was_done(context.node()).await? {
        return Ok(StatusCode::NO_CONTENT);
    }
    let node = read::node(context.node(), &id)?;
    let reason = format!("removed by {}", caller.accessor).into();
    once.propose(context.node(), Command::RemoveNode { node, reason }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Make a node a voter or a worker
///
/// The leader changes its group accordingly, one node at a time; a new voter catches up before it votes. The last
/// voter stays one.
#[utoipa::path(
    put,
    path = "/api/v1/nodes/{id}/role",
    tag = "nodes",
    params(("id" = String, Path, description = "The node's id or name.", example = json!(examples::NODE))),
    request_body(content = api::SetRole, example = json!(examples::set_role())),
    responses(
        (status = 200, description = "The node in its role, as agreed.", body = api::Node, example = json!(examples::node())),
        (status = 404, response = NotFound),
        (status = 409, response = Conflict),
    ),
)]
async fn set_role(
    State(context): State<Context>,
    once: Once,
    InPath(id): InPath<String>,
    _: InQuery<Everything>,
    Body(wanted): Body<api::SetRole>,
) -> Result<Json<api::Node>, Problem> {
    let node = read::node(context.node(), &id)?;
    let role = read::role("role", &wanted.role)?;
    once.propose(context.node(), Command::SetNodeRole { node, role }).await?;
    show(&context, node)
}

fn show(context: &Context, wanted: NodeId) -> Result<Json<api::Node>, Problem> {
    let status = context.node().cluster();
    let found = status.nodes.iter().position(|one| one.node.spec.id == wanted);
    let shown = found.and_then(|place| shown::nodes(context.node(), &status).nth(place));
    shown.map(Json).ok_or_else(|| Problem::not_found("node_unknown", format!("node {wanted}")))
}

/// Ask how the node is
///
/// For any valid token. `degraded` means that it works and that somebody should look.
#[utoipa::path(
    get,
    path = "/api/v1/health",
    tag = "nodes",
    responses((status = 200, description = "How the node and its parts are.", body = api::Health, example = json!(examples::health()))),
)]
async fn health(State(context): State<Context>, _: InQuery<Everything>) -> Json<api::Health> {
    let components = super::health::components(context.node());
    Json(api::Health {
        status: super::health::worst(&components).to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        uptime_ms: uptime(&context),
        components,
    })
}

/// Read the figures
///
/// Of the moment, of the day (UTC) and since ever.
#[utoipa::path(
    get,
    path = "/api/v1/stats",
    tag = "nodes",
    responses((status = 200, description = "The figures.", body = api::Stats, example = json!(examples::stats()))),
)]
async fn stats(State(context): State<Context>, _: InQuery<Everything>) -> Json<api::Stats> {
    Json(context.node().read(|state| {
        let (totals, today) = (state.totals(), state.today());
        let mut stats = api::Stats {
            unfinished: state.unfinished(),
            dead_letters: state.dead_letters().count() as u64,
            submitted: totals.submitted,
            completed: totals.completed,
            failed: totals.failed,
            timed_out: totals.timed_out,
            cancelled: totals.cancelled,
            completed_today: today.totals.completed,
            failed_today: today.totals.failed,
            ..api::Stats::default()
        };
        for (_, mailbox) in state.mailboxes() {
            let depths = lanes(mailbox);
            stats.waiting += mailbox.depth() as u64;
            stats.lanes.critical += depths.critical;
            stats.lanes.high += depths.high;
            stats.lanes.normal += depths.normal;
            stats.lanes.low += depths.low;
        }
        for agent in state.agents() {
            stats.agents += 1;
            let serves = matches!(agent.status(), AgentStatus::Ready | AgentStatus::Busy);
            stats.agents_serving += u64::from(serves);
            stats.agents_busy += u64::from(!agent.held.is_empty());
            stats.leased += agent.held.len() as u64;
        }
        // Attempts and first starts are not counted by themselves; these are the ones that came to an end.
        let attempts = totals.completed + totals.failed + totals.timed_out + totals.retried;
        stats.average_work_ms = millis(totals.worked).checked_div(attempts);
        stats.average_wait_ms =
            millis(totals.waited).checked_div(totals.completed + totals.failed + stats.leased);
        // What neither waits nor is leased waits for its backoff.
        stats.backing_off = stats.unfinished.saturating_sub(stats.waiting + stats.leased);
        stats
    }))
}

fn uptime(context: &Context) -> u64 {
    millis(context.uptime())
}
