//! `/api/v1/limits`: limit sets, and what their keys use.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use synod_domain::command::Command;
use synod_domain::limit_set::{LimitSetCommand, LimitSetSpec, Rate};
use synod_domain::name::Name;
use synod_domain::permission::Permission::{LimitsRead, LimitsWrite};
use synod_domain::refusal::Refusal;
use utoipa::OpenApi;

use super::listing::{Everything, Listing, page};
use super::problems::NotFound;
use super::{examples, read, shown};
use crate::api;
use crate::http::extract::{Body, InPath, InQuery};
use crate::http::sight::Sight;
use crate::http::{Context, Needs, Once, Problem, Routes, Thing};
use crate::node::Node;

/// The limit sets' part of the document.
#[derive(OpenApi)]
#[openapi(paths(list_limits, get_limit, put_limit, delete_limit, list_limit_keys))]
pub(super) struct Doc;

pub(super) fn routes() -> Routes {
    let read = Needs::Permission(LimitsRead);
    let write = Needs::Permission(LimitsWrite);
    Routes::default()
        .get("/api/v1/limits", read.own(), list_limits)
        .get("/api/v1/limits/{name}", read.of(Thing::Limit), get_limit)
        .put("/api/v1/limits/{name}", write.once(), put_limit)
        .delete("/api/v1/limits/{name}", write.once(), delete_limit)
        .get("/api/v1/limits/{name}/keys", read.of(Thing::Limit), list_limit_keys)
}

/// List limit sets
#[utoipa::path(
    get,
    path = "/api/v1/limits",
    tag = "limits",
    description = "In order of name, a page at a time.",
    params(api::PageQuery),
    responses((status = 200, description = "A page of limit sets.", body = api::Page<api::Limit>, example = json!(examples::page(examples::limit())))),
)]
async fn list_limits(
    State(context): State<Context>,
    listing: Listing<Everything>,
) -> Result<Json<api::Page<api::Limit>>, Problem> {
    let after = read::optional_name("cursor", listing.cursor.as_deref())?;
    let node = context.node();
    let sight = Sight::of_caller(node);
    let page = node.read(|state| {
        let sets = state.limit_sets().filter(|set| sight.limit(&set.spec));
        let sets = sets.filter(|set| after.as_ref().is_none_or(|after| set.spec.name > *after));
        page(sets.map(|set| (set.spec.name.to_string(), shown::limit(set))), listing.limit)
    });
    Ok(Json(page))
}

/// Look at a limit set
#[utoipa::path(
    get,
    path = "/api/v1/limits/{name}",
    tag = "limits",
    description = "What its keys use stands under `/keys`.",
    params(("name" = String, Path, description = "The set's name.", example = json!(examples::LIMIT))),
    responses(
        (status = 200, description = "The limit set.", body = api::Limit, example = json!(examples::limit())),
        (status = 404, response = NotFound),
    ),
)]
async fn get_limit(
    State(context): State<Context>,
    InPath(name): InPath<String>,
    _: InQuery<Everything>,
) -> Result<Json<api::Limit>, Problem> {
    look(context.node(), &set_name(&name)?).map(Json)
}

/// Make a limit set, or change it
///
/// At once for what waits: raising lets more go on, and lowering ends nothing that runs. Another `key` makes other keys,
/// also of the tasks in hand. What a task does not have is `-` in its key.
#[utoipa::path(
    put,
    path = "/api/v1/limits/{name}",
    tag = "limits",
    params(("name" = String, Path, description = "The set's name.", example = json!(examples::LIMIT))),
    request_body(content = api::PutLimit, example = json!(examples::put_limit())),
    responses(
        (status = 201, description = "The limit set is made.", body = api::Limit, example = json!(examples::limit())),
        (status = 200, description = "The limit set was there and is changed.", body = api::Limit, example = json!(examples::limit())),
        (status = 404, response = NotFound),
    ),
)]
async fn put_limit(
    State(context): State<Context>,
    once: Once,
    InPath(name): InPath<String>,
    _: InQuery<Everything>,
    Body(wanted): Body<api::PutLimit>,
) -> Result<Response, Problem> {
    let node = context.node();
    let name = set_name(&name)?;
    let spec = limit_of(&name, &wanted)?;
    let is_new = node.read(|state| state.limit_set(&name).is_none());
    once.propose(node, Command::LimitSet(LimitSetCommand::Put { spec: spec.into() })).await?;
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(look(node, &name)?)).into_response())
}

/// Remove a limit set
#[utoipa::path(
    delete,
    path = "/api/v1/limits/{name}",
    tag = "limits",
    description = "What it held back goes on. One that is not there is no error.",
    params(("name" = String, Path, description = "The set's name.", example = json!(examples::LIMIT))),
    responses((status = 204, description = "There is no such limit set.")),
)]
async fn delete_limit(
    State(context): State<Context>,
    once: Once,
    InPath(name): InPath<String>,
    _: InQuery<Everything>,
) -> Result<StatusCode, Problem> {
    let set = set_name(&name)?;
    once.propose(context.node(), Command::LimitSet(LimitSetCommand::Remove { set })).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// List the keys of a limit set
#[utoipa::path(
    get,
    path = "/api/v1/limits/{name}/keys",
    tag = "limits",
    description = "Those that use something or that tasks wait for, in order, a page at a time. A key that uses nothing is forgotten.",
    params(("name" = String, Path, description = "The set's name.", example = json!(examples::LIMIT)), api::PageQuery),
    responses(
        (status = 200, description = "A page of keys.", body = api::Page<api::LimitKey>, example = json!(examples::page(examples::limit_key()))),
        (status = 404, response = NotFound),
    ),
)]
async fn list_limit_keys(
    State(context): State<Context>,
    InPath(name): InPath<String>,
    listing: Listing<Everything>,
) -> Result<Json<api::Page<api::LimitKey>>, Problem> {
    let name = set_name(&name)?;
    let after = listing.cursor.as_deref().map(Arc::from);
    let found = context.node().read(|state| {
        // One more than the page holds tells whether there is another.
        let set = state.limit_set(&name)?;
        Some(state.limit_keys(set, after.as_ref(), listing.limit.saturating_add(1)))
    });
    let keys = found.ok_or(Refusal::LimitSetUnknown(name))?;
    let shown = keys.iter().map(|one| (one.key.to_string(), shown::limit_key(one)));
    Ok(Json(page(shown, listing.limit)))
}

fn set_name(text: &str) -> Result<Name, Problem> {
    read::name("the limit set's name", text)
}

/// Reads a limit set.
pub(crate) fn limit_of(name: &Name, wanted: &api::PutLimit) -> Result<LimitSetSpec, Problem> {
    let rate = wanted.rate.as_ref();
    Ok(LimitSetSpec {
        name: name.clone(),
        key: read::id("key", &wanted.key)?,
        workspace: read::optional_name("workspace", wanted.workspace.as_deref())?,
        kinds: wanted.types.iter().map(|kind| read::name("types", kind)).collect::<Result<_, _>>()?,
        concurrency: wanted.concurrency,
        rate: rate.map(|rate| Rate { count: rate.count, window: Duration::from_millis(rate.window_ms) }),
        tokens_per_minute: wanted.tokens_per_minute,
    })
}

fn look(node: &Node, name: &Name) -> Result<api::Limit, Problem> {
    let found = node.read(|state| state.limit_set(name).map(|set| shown::limit(set)));
    found.ok_or_else(|| Refusal::LimitSetUnknown(name.clone()).into())
}
