//! `/api/v1/nodes`, `/health` and `/stats`: how the node is and what it has done.

use axum::Json;
use axum::extract::State;
use synod_domain::agent::{AgentStatus, Host};
use synod_domain::id::NodeId;
use synod_domain::permission::Permission::NodesRead;
use utoipa::OpenApi;

use super::listing::{Everything, Listing, page};
use super::problems::NotFound;
use super::shown::{lanes, millis};
use super::{examples, read};
use crate::api;
use crate::http::extract::{InPath, InQuery};
use crate::http::{Context, Needs, Problem, Routes};

/// The nodes' part of the document.
#[derive(OpenApi)]
#[openapi(paths(list_nodes, get_node, health, stats))]
pub(super) struct Doc;

pub(super) fn routes() -> Routes {
    let read = Needs::Permission(NodesRead);
    Routes::default()
        .get("/api/v1/nodes", read, list_nodes)
        .get("/api/v1/nodes/{id}", read, get_node)
        .get("/api/v1/health", Needs::AnyToken, health)
        .get("/api/v1/stats", read, stats)
}

/// List nodes
#[utoipa::path(
    get,
    path = "/api/v1/nodes",
    tag = "nodes",
    description = "Those of the group, in order of id.",
    params(api::PageQuery),
    responses((status = 200, description = "A page of nodes.", body = api::Page<api::Node>, example = json!(examples::page(examples::node())))),
)]
async fn list_nodes(
    State(context): State<Context>,
    listing: Listing<Everything>,
) -> Result<Json<api::Page<api::Node>>, Problem> {
    let after: Option<NodeId> =
        listing.cursor.as_deref().map(|cursor| read::id("cursor", cursor)).transpose()?;
    let id = context.node().id();
    let here = after.is_none_or(|after| id > after).then(|| (id.to_string(), this_node(&context)));
    Ok(Json(page(here.into_iter(), listing.limit)))
}

/// Look at a node
#[utoipa::path(
    get,
    path = "/api/v1/nodes/{id}",
    tag = "nodes",
    description = "Where it stands in the log, and how many agents it runs.",
    params(("id" = String, Path, description = "The node's id.", example = json!(examples::NODE))),
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
    let wanted: NodeId = read::id("the node's id", &id)?;
    if wanted != context.node().id() {
        return Err(Problem::not_found("node_unknown", format!("node {wanted}")));
    }
    Ok(Json(this_node(&context)))
}

fn this_node(context: &Context) -> api::Node {
    let node = context.node();
    let status = node.status();
    let host = Host::Node(node.id());
    let agents = node.read(|state| state.agents().filter(|agent| agent.spec.host == host).count());
    api::Node {
        id: node.id().to_string(),
        leader: status.leader.is_some(),
        term: status.term,
        applied: status.applied.unwrap_or(0),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        uptime_ms: uptime(context),
        agents: agents as u64,
    }
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
    let node = context.node();
    let status = node.status();
    let component = |name: &str, ill: Option<(&str, String)>| {
        let (status, detail) = match ill {
            Some((status, detail)) => (status, Some(detail)),
            None => (HEALTHY, None),
        };
        api::Component { name: name.to_owned(), status: status.to_owned(), detail }
    };
    let leads = status.leader.is_some();
    let broken =
        node.read(|state| state.agents().filter(|agent| agent.status() == AgentStatus::Failed).count());
    let components = vec![
        component("log", (!leads).then(|| (UNHEALTHY, "there is no leader".to_owned()))),
        component("mirror", status.mirror.broken.clone().map(|why| (DEGRADED, why))),
        component("agents", (broken > 0).then(|| (DEGRADED, format!("{broken} agents have failed")))),
    ];
    let worst =
        [UNHEALTHY, DEGRADED].into_iter().find(|word| components.iter().any(|one| one.status == *word));
    Json(api::Health {
        status: worst.unwrap_or(HEALTHY).to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        uptime_ms: uptime(&context),
        components,
    })
}

const HEALTHY: &str = "healthy";
const DEGRADED: &str = "degraded";
const UNHEALTHY: &str = "unhealthy";

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
