//! `/api/v1/pools/{name}/rollout`: bringing a new version to a pool's agents, a few at a time.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use synod_domain::command::Command;
use synod_domain::name::Name;
use synod_domain::permission::Permission::{PoolsRead, PoolsWrite};
use synod_domain::refusal::Refusal;
use synod_domain::rollout::Blueprint;
use synod_domain::tending::PoolCommand;
use utoipa::OpenApi;

use super::listing::Everything;
use super::pools::{checked_pool, runtime};
use super::problems::{Conflict, NotFound};
use super::{examples, read, shown, tending};
use crate::api;
use crate::http::extract::{Body, InPath, InQuery};
use crate::http::{Context, Needs, Once, Problem, Routes, Thing};
use crate::node::Node;

/// Why something is done to a rollout, if nobody says.
const BY_HAND: &str = "by hand";

/// The rollouts' part of the document.
#[derive(OpenApi)]
#[openapi(paths(get_rollout, begin_rollout, abort_rollout, pause_rollout, resume_rollout))]
pub(super) struct Doc;

pub(super) fn routes() -> Routes {
    let read = Needs::Permission(PoolsRead);
    let write = Needs::Permission(PoolsWrite);
    Routes::default()
        .get("/api/v1/pools/{name}/rollout", read.of(Thing::Pool), get_rollout)
        .post("/api/v1/pools/{name}/rollout", write.once().about(Thing::Pool), begin_rollout)
        .delete("/api/v1/pools/{name}/rollout", write.once().about(Thing::Pool), abort_rollout)
        .post("/api/v1/pools/{name}/rollout/pause", write.once().about(Thing::Pool), pause_rollout)
        .post("/api/v1/pools/{name}/rollout/resume", write.once().about(Thing::Pool), resume_rollout)
}

/// Look at the rollout of a pool
#[utoipa::path(
    get,
    path = "/api/v1/pools/{name}/rollout",
    tag = "pools",
    description = "The one that is under way, or the last one.",
    params(("name" = String, Path, description = "The pool's name.", example = json!(examples::POOL))),
    responses(
        (status = 200, description = "The rollout.", body = api::Rollout, example = json!(examples::rollout())),
        (status = 404, response = NotFound),
    ),
)]
async fn get_rollout(
    State(context): State<Context>,
    InPath(name): InPath<String>,
    _: InQuery<Everything>,
) -> Result<Json<api::Rollout>, Problem> {
    let name = read::name("the pool's name", &name)?;
    look(context.node(), &name).map(Json)
}

/// Bring a new version to the agents of a pool
///
/// Agents of the old version finish what they have and begin anew, no more than a batch at a time. With a canary a few
/// go first, and the others follow or it is taken back by itself, going by how often their attempts fail.
#[utoipa::path(
    post,
    path = "/api/v1/pools/{name}/rollout",
    tag = "pools",
    params(("name" = String, Path, description = "The pool's name.", example = json!(examples::POOL))),
    request_body(content = api::NewRollout, example = json!(examples::new_rollout())),
    responses(
        (status = 201, description = "The rollout has begun.", body = api::Rollout, example = json!(examples::rollout())),
        (status = 404, response = NotFound),
        (status = 409, response = Conflict),
    ),
)]
async fn begin_rollout(
    State(context): State<Context>,
    once: Once,
    InPath(name): InPath<String>,
    _: InQuery<Everything>,
    Body(wanted): Body<api::NewRollout>,
) -> Result<Response, Problem> {
    let node = context.node();
    let pool = read::name("the pool's name", &name)?;
    let known = node.read(|state| Some((state.pool(&pool)?.spec.clone(), state.rolling(&pool).cloned())));
    let (spec, rolling) = known.ok_or_else(|| Refusal::PoolUnknown(pool.clone()))?;
    let mut blueprint = Blueprint::of(&spec);
    if let Some(wanted) = &wanted.runtime {
        blueprint.runtime = runtime(wanted)?;
    }
    if let Some(capabilities) = &wanted.capabilities {
        blueprint.capabilities = read::capabilities("capabilities", capabilities)?;
    }
    blueprint.concurrency = wanted.concurrency.unwrap_or(blueprint.concurrency);
    let policy = wanted.policy.as_ref().map(tending::policy).or(rolling).unwrap_or_default();
    checked_pool(node, blueprint.in_place(&spec)).await?;
    let command = PoolCommand::BeginRollout { pool: pool.clone(), blueprint: Arc::new(blueprint), policy };
    once.propose(node, Command::Pool(command)).await?;
    Ok((StatusCode::CREATED, Json(look(node, &pool)?)).into_response())
}

/// Take a rollout back
///
/// Agents of the new version finish what they have and begin anew from the old one, no more than a batch at a time.
#[utoipa::path(
    delete,
    path = "/api/v1/pools/{name}/rollout",
    tag = "pools",
    params(("name" = String, Path, description = "The pool's name.", example = json!(examples::POOL))),
    responses(
        (status = 200, description = "The rollout, on its way back.", body = api::Rollout, example = json!(examples::rollout())),
        (status = 404, response = NotFound),
        (status = 409, response = Conflict),
    ),
)]
async fn abort_rollout(
    State(context): State<Context>,
    once: Once,
    InPath(name): InPath<String>,
    _: InQuery<Everything>,
) -> Result<Json<api::Rollout>, Problem> {
    let node = context.node();
    let pool = read::name("the pool's name", &name)?;
    let command =
        PoolCommand::AbortRollout { pool: pool.clone(), reason: "it was taken back by hand".into() };
    once.propose(node, Command::Pool(command)).await?;
    look(node, &pool).map(Json)
}

/// Let a rollout stand still
///
/// Agents on their way arrive; no further ones begin anew, and nothing is decided about canaries.
#[utoipa::path(
    post,
    path = "/api/v1/pools/{name}/rollout/pause",
    tag = "pools",
    params(("name" = String, Path, description = "The pool's name.", example = json!(examples::POOL))),
    request_body(content = api::RolloutReason, example = json!(examples::rollout_reason())),
    responses(
        (status = 200, description = "The rollout, standing still.", body = api::Rollout, example = json!(examples::rollout())),
        (status = 404, response = NotFound),
        (status = 409, response = Conflict),
    ),
)]
async fn pause_rollout(
    State(context): State<Context>,
    once: Once,
    InPath(name): InPath<String>,
    _: InQuery<Everything>,
    Body(why): Body<api::RolloutReason>,
) -> Result<Json<api::Rollout>, Problem> {
    let node = context.node();
    let pool = read::name("the pool's name", &name)?;
    let reason = why.reason.as_deref().unwrap_or(BY_HAND).into();
    let command = PoolCommand::PauseRollout { pool: pool.clone(), reason };
    once.propose(node, Command::Pool(command)).await?;
    look(node, &pool).map(Json)
}

/// Let a paused rollout go on
///
/// It goes on from where it stood still.
#[utoipa::path(
    post,
    path = "/api/v1/pools/{name}/rollout/resume",
    tag = "pools",
    params(("name" = String, Path, description = "The pool's name.", example = json!(examples::POOL))),
    responses(
        (status = 200, description = "The rollout, going on.", body = api::Rollout, example = json!(examples::rollout())),
        (status = 404, response = NotFound),
        (status = 409, response = Conflict),
    ),
)]
async fn resume_rollout(
    State(context): State<Context>,
    once: Once,
    InPath(name): InPath<String>,
    _: InQuery<Everything>,
) -> Result<Json<api::Rollout>, Problem> {
    let node = context.node();
    let pool = read::name("the pool's name", &name)?;
    once.propose(node, Command::Pool(PoolCommand::ResumeRollout { pool: pool.clone() })).await?;
    look(node, &pool).map(Json)
}

fn look(node: &Node, pool: &Name) -> Result<api::Rollout, Problem> {
    let (is_there, found) = node.read(|state| (state.pool(pool).is_some(), shown::rollout(state, pool)));
    match found {
        Some(rollout) => Ok(rollout),
        None if is_there => Err(Problem::not_found("rollout_unknown", format!("rollout of pool {pool}"))),
        None => Err(Refusal::PoolUnknown(pool.clone()).into()),
    }
}
