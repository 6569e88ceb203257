//! `/api/v1/workspaces`: what each may have, and what it has.

use axum::Json;
use axum::extract::State;
use synod_domain::access::AccessCommand;
use synod_domain::command::Command;
use synod_domain::name::Name;
use synod_domain::permission::Permission::{LimitsRead, LimitsWrite};
use synod_domain::quota::Quota;
use synod_domain::refusal::Refusal;
use synod_domain::state::State as Agreed;
use utoipa::OpenApi;

use super::listing::{Everything, Listing, page};
use super::{examples, read};
use crate::api;
use crate::http::extract::{Body, InPath, InQuery};
use crate::http::sight::Sight;
use crate::http::{Context, Needs, Once, Problem, Routes, Thing};

/// The workspaces' part of the document.
#[derive(OpenApi)]
#[openapi(paths(list_workspaces, get_workspace, put_workspace))]
pub(super) struct Doc;

pub(super) fn routes() -> Routes {
    let read = Needs::Permission(LimitsRead);
    Routes::default()
        .get("/api/v1/workspaces", read.own(), list_workspaces)
        .get("/api/v1/workspaces/{name}", read.of(Thing::Workspace), get_workspace)
        .put("/api/v1/workspaces/{name}", Needs::Permission(LimitsWrite).once(), put_workspace)
}

/// List workspaces
#[utoipa::path(
    get,
    path = "/api/v1/workspaces",
    tag = "workspaces",
    description = "Those that something is known of: a weight, a quota, tokens, pools, unfinished tasks. In order of name, a page at a time.",
    params(api::PageQuery),
    responses((status = 200, description = "A page of workspaces.", body = api::Page<api::Workspace>, example = json!(examples::page(examples::workspace())))),
)]
async fn list_workspaces(
    State(context): State<Context>,
    listing: Listing<Everything>,
) -> Result<Json<api::Page<api::Workspace>>, Problem> {
    let after = read::optional_name("cursor", listing.cursor.as_deref())?;
    let node = context.node();
    let sight = Sight::of_caller(node);
    let page = node.read(|state| {
        let all = state.workspaces();
        let behind = all.iter().filter(|name| after.as_ref().is_none_or(|after| *name > after));
        let shown = behind.filter(|name| sight.workspace(name));
        page(shown.map(|name| (name.to_string(), shown_workspace(state, name))), listing.limit)
    });
    Ok(Json(page))
}

/// Look at a workspace
#[utoipa::path(
    get,
    path = "/api/v1/workspaces/{name}",
    tag = "workspaces",
    description = "One that nothing is known of included: it has the bounds of the node alone.",
    params(("name" = String, Path, description = "The workspace's name.", example = "search")),
    responses((status = 200, description = "The workspace.", body = api::Workspace, example = json!(examples::workspace()))),
)]
async fn get_workspace(
    State(context): State<Context>,
    InPath(name): InPath<String>,
    _: InQuery<Everything>,
) -> Result<Json<api::Workspace>, Problem> {
    let name = read::name("the workspace's name", &name)?;
    Ok(Json(context.node().read(|state| shown_workspace(state, &name))))
}

/// Change a workspace
///
/// Its weight, its quota, or both. A quota counts at once for what is asked for; what is there beyond it stays.
#[utoipa::path(
    put,
    path = "/api/v1/workspaces/{name}",
    tag = "workspaces",
    params(("name" = String, Path, description = "The workspace's name.", example = "search")),
    request_body(content = api::PutWorkspace, example = json!(examples::put_workspace())),
    responses((status = 200, description = "The workspace.", body = api::Workspace, example = json!(examples::workspace()))),
)]
async fn put_workspace(
    State(context): State<Context>,
    once: Once,
    InPath(name): InPath<String>,
    _: InQuery<Everything>,
    Body(wanted): Body<api::PutWorkspace>,
) -> Result<Json<api::Workspace>, Problem> {
    let node = context.node();
    let workspace = read::name("the workspace's name", &name)?;
    let quota = wanted.quota.map(|quota| {
        let api::Quota { agents, waiting, submits_per_second, storage_bytes, concurrency } = quota;
        Quota { agents, waiting, submits_per_second, storage_bytes, concurrency }
    });
    // Before anything is changed: it is one request.
    if let Some((field, why)) = quota.as_ref().and_then(Quota::fault) {
        return Err(Refusal::Invalid { field: field.to_owned(), why }.into());
    }
    if let Some(weight) = wanted.weight {
        let command = Command::SetWeight { workspace: workspace.clone(), weight };
        node.propose_as(once.part("weight"), command).await?;
    }
    if let Some(quota) = quota {
        let command = AccessCommand::PutQuota { workspace: workspace.clone(), quota };
        node.propose_as(once.part("quota"), Command::Access(command)).await?;
    }
    Ok(Json(node.read(|state| shown_workspace(state, &workspace))))
}

fn shown_workspace(state: &Agreed, name: &Name) -> api::Workspace {
    let quota = state.quota(name).cloned().unwrap_or_default();
    let Quota { agents, waiting, submits_per_second, storage_bytes, concurrency } = quota;
    api::Workspace {
        name: name.to_string(),
        weight: state.weight_of(name),
        quota: api::Quota { agents, waiting, submits_per_second, storage_bytes, concurrency },
        uses: api::WorkspaceUse {
            agents: state.agents_of_workspace(name),
            waiting: state.waiting_of(name),
            storage_bytes: state.payload_bytes_of(name),
            concurrency: state.in_hand_of(name),
            held_back: state.held_back_by_quota(name),
        },
    }
}
