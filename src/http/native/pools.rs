//! `/api/v1/pools`: creating, scaling, removing, and submitting to one.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use synod_domain::agent::{PoolSpec, ProcessSpec, RuntimeSpec};
use synod_domain::command::Command;
use synod_domain::name::Name;
use synod_domain::permission::Permission::{PoolsRead, PoolsWrite, TasksDelete, TasksWrite};
use synod_domain::placement::Strategy;
use synod_domain::refusal::Refusal;
use synod_domain::restart::RestartPolicy;
use synod_domain::spread::{Recovery, SpreadSpec};
use synod_domain::state::State as Agreed;
use utoipa::OpenApi;

use super::listing::{Everything, Listing, page};
use super::problems::{Conflict, NotFound};
use super::tasks::submit_all;
use super::tending::tending;
use super::{examples, read, shown};
use crate::api;
use crate::http::extract::{Body, InPath, InQuery};
use crate::http::reach::bound;
use crate::http::sight::Sight;
use crate::http::{Caller, Context, Needs, Once, Problem, RequestName, Routes, Thing};
use crate::node::Node;

/// The pools' part of the document.
#[derive(OpenApi)]
#[openapi(paths(put_pool, list_pools, get_pool, delete_pool, scale_pool, scale_pool_put, submit_to_pool))]
pub(super) struct Doc;

pub(super) fn routes() -> Routes {
    let read = Needs::Permission(PoolsRead);
    let write = Needs::Permission(PoolsWrite);
    Routes::default()
        .post("/api/v1/pools", write.once().own(), put_pool)
        .get("/api/v1/pools", read.own(), list_pools)
        .get("/api/v1/pools/{name}", read.of(Thing::Pool), get_pool)
        .delete("/api/v1/pools/{name}", write.once().about(Thing::Pool), delete_pool)
        .post("/api/v1/pools/{name}/scale", write.once().about(Thing::Pool), scale_pool)
        .put("/api/v1/pools/{name}/scale", write.once().about(Thing::Pool), scale_pool_put)
        .post(
            "/api/v1/pools/{name}/tasks",
            Needs::Permission(TasksWrite).once().about(Thing::Pool),
            submit_to_pool,
        )
}

/// Create a pool, or change it
///
/// What is left out gets its default, also when the pool was there. Whether its agents could work here is checked
/// first: that the program is there, that the Rust type is registered.
#[utoipa::path(
    post,
    path = "/api/v1/pools",
    tag = "pools",
    request_body(content = api::NewPool, example = json!(examples::new_pool())),
    responses(
        (status = 201, description = "The pool is made.", body = api::Pool, example = json!(examples::pool())),
        (status = 200, description = "The pool was there and is changed.", body = api::Pool, example = json!(examples::pool())),
        (status = 409, response = Conflict),
    ),
)]
async fn put_pool(
    State(context): State<Context>,
    once: Once,
    _: InQuery<Everything>,
    Body(wanted): Body<api::NewPool>,
) -> Result<Response, Problem> {
    let node = context.node();
    let spec = checked_pool(node, spec(&wanted)?).await?;
    let tending = tending(&wanted, &spec)?;
    let name = spec.name.clone();
    let is_new = node.read(|state| state.pool(&name).is_none());
    // Of one that is not shown, nothing may be told before it is refused.
    if node.read(|state| Sight::of_caller(node).pool(state, &name)) {
        node.tend_pool_before(&name, &tending).await?;
    }
    once.propose(node, node.put_of(Arc::new(spec), &tending.apart)).await?;
    node.tend_pool(&name, &tending).await?;
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(look(node, &name)?)).into_response())
}

/// Returns the pool if its agents could work on this node.
pub(super) async fn checked_pool(node: &Node, spec: PoolSpec) -> Result<PoolSpec, Problem> {
    if let Some(workspace) = node.bound_to().filter(|_| spec.runtime != RuntimeSpec::External) {
        // Whether a program is there is the machine's business.
        return Err(bound(&workspace));
    }
    node.check_pool(&spec).await.map_err(|why| Problem::bad_request("runtime", why))?;
    Ok(spec)
}

fn spec(wanted: &api::NewPool) -> Result<PoolSpec, Problem> {
    let runtime = runtime(&wanted.runtime)?;
    let is_external = runtime == RuntimeSpec::External;
    let min = wanted.min.unwrap_or(if is_external { 0 } else { 1 });
    Ok(PoolSpec {
        name: read::name("name", &wanted.name)?,
        runtime,
        capabilities: read::capabilities("capabilities", &wanted.capabilities)?,
        min,
        max: wanted.max.unwrap_or(if is_external { EXTERNAL_MAX_DEFAULT } else { min.max(1) }),
        concurrency: wanted.concurrency.unwrap_or(1),
        strategy: wanted.strategy.as_deref().map_or(Ok(Strategy::default()), strategy)?,
        restart: wanted.restart.as_ref().map_or(Ok(RestartPolicy::default()), read::restart)?,
        spread: wanted.spread.as_ref().map_or(Ok(SpreadSpec::default()), read::spread)?,
        recovery: wanted.recovery.as_ref().map_or(Ok(Recovery::default()), read::recovery)?,
    })
}

/// Reads who runs the agents of a pool.
pub(super) fn runtime(wanted: &api::PoolRuntime) -> Result<RuntimeSpec, Problem> {
    match wanted {
        api::PoolRuntime::Process(hosted) => process(hosted),
        api::PoolRuntime::Native(name) => Ok(RuntimeSpec::Native(read::name("runtime.native", name)?)),
        api::PoolRuntime::External => Ok(RuntimeSpec::External),
    }
}

/// How many agents may register in an external pool that does not say.
const EXTERNAL_MAX_DEFAULT: u32 = synod_domain::agent::POOL_SIZE_MAX;

/// Describes the pool of an agent that the node runs by itself.
pub(super) fn one_agent(
    name: &Name,
    wanted: &api::RegisterAgent,
    hosted: &api::HostedSpec,
) -> Result<PoolSpec, Problem> {
    Ok(PoolSpec {
        name: name.clone(),
        runtime: process(hosted)?,
        capabilities: read::capabilities("capabilities", &wanted.capabilities)?,
        min: 1,
        max: 1,
        concurrency: wanted.concurrency.unwrap_or(1),
        strategy: Strategy::default(),
        restart: RestartPolicy::default(),
        spread: SpreadSpec::default(),
        recovery: Recovery::default(),
    })
}

fn process(hosted: &api::HostedSpec) -> Result<RuntimeSpec, Problem> {
    if let Some(cwd) = hosted.cwd.as_deref().filter(|cwd| !cwd.starts_with('/')) {
        return Err(Problem::bad_request("cwd", format!("{cwd:?} is not absolute")));
    }
    if let Some(wrong) = hosted.env.keys().find(|name| name.is_empty() || name.contains(['=', '\0'])) {
        return Err(Problem::bad_request("env", format!("{wrong:?} is no name of a variable")));
    }
    let mut texts = hosted.command.iter().chain(hosted.env.values()).chain(&hosted.cwd);
    if texts.any(|text| text.contains('\0')) {
        return Err(Problem::bad_request("command", "no text of it may hold a zero byte"));
    }
    Ok(RuntimeSpec::Process(ProcessSpec {
        command: hosted.command.clone(),
        cwd: hosted.cwd.clone(),
        env: hosted.env.clone(),
    }))
}

fn strategy(text: &str) -> Result<Strategy, Problem> {
    let all = [Strategy::RoundRobin, Strategy::LeastBusy, Strategy::Random, Strategy::CapabilityAware];
    all.into_iter().find(|one| one.to_string() == text).ok_or_else(|| {
        let known: Vec<String> = all.iter().map(ToString::to_string).collect();
        Problem::bad_request("strategy", format!("{text:?} is none of {}", known.join(", ")))
    })
}

/// List pools
#[utoipa::path(
    get,
    path = "/api/v1/pools",
    tag = "pools",
    description = "In order of name, a page at a time.",
    params(api::PageQuery),
    responses((status = 200, description = "A page of pools.", body = api::Page<api::Pool>, example = json!(examples::page(examples::pool())))),
)]
async fn list_pools(
    State(context): State<Context>,
    listing: Listing<Everything>,
) -> Result<Json<api::Page<api::Pool>>, Problem> {
    let after = read::optional_name("cursor", listing.cursor.as_deref())?;
    let node = context.node();
    let sight = Sight::of_caller(node);
    let page = node.read(|state| {
        let pools = state.pools().filter(|pool| after.as_ref().is_none_or(|after| pool.spec.name > *after));
        let pools = pools.filter(|pool| sight.pool(state, &pool.spec.name));
        page(pools.map(|pool| (pool.spec.name.to_string(), shown::pool(state, pool))), listing.limit)
    });
    Ok(Json(page))
}

/// Look at a pool
#[utoipa::path(
    get,
    path = "/api/v1/pools/{name}",
    tag = "pools",
    description = "The values of a program's environment are not shown: they may be secret.",
    params(("name" = String, Path, description = "The pool's name.", example = json!(examples::POOL))),
    responses(
        (status = 200, description = "The pool.", body = api::Pool, example = json!(examples::pool())),
        (status = 404, response = NotFound),
    ),
)]
async fn get_pool(
    State(context): State<Context>,
    InPath(name): InPath<String>,
    _: InQuery<Everything>,
) -> Result<Json<api::Pool>, Problem> {
    look(context.node(), &read::name("the pool's name", &name)?).map(Json)
}

/// Remove a pool
///
/// It takes nothing new, finishes its work and is removed then, its agents before it; 202 says that it still has
/// something. With `force` its work is called off and its agents do not finish what they have; that takes
/// `tasks:delete` too.
#[utoipa::path(
    delete,
    path = "/api/v1/pools/{name}",
    tag = "pools",
    params(("name" = String, Path, description = "The pool's name.", example = json!(examples::POOL)), api::RemoveQuery),
    responses(
        (status = 204, description = "The pool is removed."),
        (status = 202, description = "The pool finishes its work and is removed then.", body = api::Pool, example = json!(examples::retiring())),
        (status = 404, response = NotFound),
        (status = 409, response = Conflict),
    ),
)]
async fn delete_pool(
    State(context): State<Context>,
    once: Once,
    caller: Caller,
    InPath(name): InPath<String>,
    InQuery(query): InQuery<api::RemoveQuery>,
) -> Result<Response, Problem> {
    let node = context.node();
    let name = read::name("the pool's name", &name)?;
    // It calls off tasks, however many.
    if query.force && !caller.may(TasksDelete) {
        return Err(Problem::not_allowed(TasksDelete));
    }
    let retires = |state: &Agreed| state.pool(&name).is_some_and(|pool| pool.retiring.is_some());
    // What stands there under its name may be another one by now.
    if once.was_done(node).await? && !node.read(retires) {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    node.retire_pool_as(once.request(), &name, query.force).await?;
    let left = node.read(|state| state.pool(&name).map(|pool| shown::pool(state, pool)));
    Ok(match left {
        Some(left) => (StatusCode::ACCEPTED, Json(left)).into_response(),
        None => StatusCode::NO_CONTENT.into_response(),
    })
}

/// Scale a pool
///
/// The number is kept between the pool's `min` and `max`. Surplus agents finish what they have.
#[utoipa::path(
    post,
    path = "/api/v1/pools/{name}/scale",
    tag = "pools",
    params(("name" = String, Path, description = "The pool's name.", example = json!(examples::POOL))),
    request_body(content = api::ScalePool, example = json!(examples::scale())),
    responses(
        (status = 200, description = "The pool, with its new target.", body = api::Pool, example = json!(examples::pool())),
        (status = 404, response = NotFound),
    ),
)]
async fn scale_pool(
    State(context): State<Context>,
    once: Once,
    InPath(name): InPath<String>,
    _: InQuery<Everything>,
    Body(scale): Body<api::ScalePool>,
) -> Result<Json<api::Pool>, Problem> {
    let node = context.node();
    let name = read::name("the pool's name", &name)?;
    once.propose(node, Command::ScalePool { pool: name.clone(), target: scale.target }).await?;
    look(node, &name).map(Json)
}

/// Scale a pool, with PUT
///
/// The same as with POST.
#[utoipa::path(
    put,
    path = "/api/v1/pools/{name}/scale",
    tag = "pools",
    params(("name" = String, Path, description = "The pool's name.", example = json!(examples::POOL))),
    request_body(content = api::ScalePool, example = json!(examples::scale())),
    responses(
        (status = 200, description = "The pool, with its new target.", body = api::Pool, example = json!(examples::pool())),
        (status = 404, response = NotFound),
    ),
)]
async fn scale_pool_put(
    context: State<Context>,
    once: Once,
    name: InPath<String>,
    query: InQuery<Everything>,
    scale: Body<api::ScalePool>,
) -> Result<Json<api::Pool>, Problem> {
    scale_pool(context, once, name, query, scale).await
}

/// Submit a task, or up to 1000, to a pool
///
/// As `POST /api/v1/tasks` does, with the pool named by the address.
#[utoipa::path(
    post,
    path = "/api/v1/pools/{name}/tasks",
    tag = "pools",
    params(
        ("name" = String, Path, description = "The pool's name.", example = json!(examples::POOL)),
        ("Idempotency-Key" = Option<String>, Header, description = "The client's own name for this submit of one task.", example = "build-4711", max_length = 255, min_length = 1),
    ),
    request_body(content = api::NewTasks, examples(
        ("one" = (summary = "One task", value = json!(examples::new_task()))),
        ("batch" = (summary = "A batch", value = json!([examples::new_task()]))),
    )),
    responses(
        (status = 201, description = "The task is durable.", body = api::Submitted, example = json!(examples::submitted())),
        (status = 200, description = "An earlier submit made the task; or a batch was taken.", body = api::SubmittedAll, example = json!(examples::submitted_before())),
        (status = 404, response = NotFound),
        (status = 409, response = Conflict),
    ),
)]
async fn submit_to_pool(
    State(context): State<Context>,
    name: Option<axum::Extension<RequestName>>,
    InPath(pool): InPath<String>,
    _: InQuery<Everything>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let pool = read::name("the pool's name", &pool)?;
    let node = context.node();
    if node.read(|state| state.pool(&pool).is_none()) {
        return Err(Refusal::PoolUnknown(pool).into());
    }
    submit_all(node, name.as_deref(), &headers, &body, Some(&pool)).await
}

fn look(node: &Node, name: &Name) -> Result<api::Pool, Problem> {
    let found = node.read(|state| state.pool(name).map(|pool| shown::pool(state, pool)));
    found.ok_or_else(|| Refusal::PoolUnknown(name.clone()).into())
}
