//! `/api/v1/breakers`: circuit breakers of pools and of types of tasks.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use synod_domain::breaker::{BreakerCommand, BreakerSpec, Guarded};
use synod_domain::command::Command;
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

/// The reason of who gives none.
const NO_REASON: &str = "tripped by a client";

/// The breakers' part of the document.
#[derive(OpenApi)]
#[openapi(paths(list_breakers, get_breaker, put_breaker, delete_breaker, reset_breaker, trip_breaker))]
pub(super) struct Doc;

pub(super) fn routes() -> Routes {
    let read = Needs::Permission(LimitsRead);
    let write = Needs::Permission(LimitsWrite);
    Routes::default()
        .get("/api/v1/breakers", read.own(), list_breakers)
        .post("/api/v1/breakers/reset", write.once().own(), reset_breaker)
        .post("/api/v1/breakers/trip", write.once().own(), trip_breaker)
        .get("/api/v1/breakers/{*of}", read.of(Thing::Breaker), get_breaker)
        .put("/api/v1/breakers/{*of}", write.once().about(Thing::Breaker), put_breaker)
        .delete("/api/v1/breakers/{*of}", write.once().about(Thing::Breaker), delete_breaker)
}

/// List breakers
#[utoipa::path(
    get,
    path = "/api/v1/breakers",
    tag = "breakers",
    description = "Those of pools first, in order of name, a page at a time.",
    params(api::PageQuery),
    responses((status = 200, description = "A page of breakers.", body = api::Page<api::Breaker>, example = json!(examples::page(examples::breaker())))),
)]
async fn list_breakers(
    State(context): State<Context>,
    listing: Listing<Everything>,
) -> Result<Json<api::Page<api::Breaker>>, Problem> {
    let after: Option<Guarded> =
        listing.cursor.as_deref().map(|cursor| read::id("cursor", cursor)).transpose()?;
    let node = context.node();
    let sight = Sight::of_caller(node);
    let page = node.read(|state| {
        let breakers = state.breakers().filter(|one| sight.breaker(state, &one.spec.of));
        let breakers = breakers.filter(|one| after.as_ref().is_none_or(|after| one.spec.of > *after));
        page(breakers.map(|one| (one.spec.of.path(), shown::breaker(state, one))), listing.limit)
    });
    Ok(Json(page))
}

/// Look at a breaker
#[utoipa::path(
    get,
    path = "/api/v1/breakers/{of}",
    tag = "breakers",
    description = "The name may hold a slash, as it is or as %2F.",
    params(("of" = String, Path, description = "`pool/NAME` or `type/NAME`.", example = json!(examples::BREAKER))),
    responses(
        (status = 200, description = "The breaker.", body = api::Breaker, example = json!(examples::breaker())),
        (status = 404, response = NotFound),
    ),
)]
async fn get_breaker(
    State(context): State<Context>,
    InPath(of): InPath<String>,
    _: InQuery<Everything>,
) -> Result<Json<api::Breaker>, Problem> {
    look(context.node(), &guarded(&of)?).map(Json)
}

/// Make a breaker, or change it
///
/// What is left out gets its default, also when the breaker was there. How it stands and what it has counted stay.
/// A pool's breaker goes with its pool; that of a type is for tasks of all workspaces.
#[utoipa::path(
    put,
    path = "/api/v1/breakers/{of}",
    tag = "breakers",
    params(("of" = String, Path, description = "`pool/NAME` or `type/NAME`.", example = json!(examples::BREAKER))),
    request_body(content = api::PutBreaker, example = json!(examples::put_breaker())),
    responses(
        (status = 200, description = "The breaker.", body = api::Breaker, example = json!(examples::breaker())),
        (status = 404, response = NotFound),
    ),
)]
async fn put_breaker(
    State(context): State<Context>,
    once: Once,
    InPath(of): InPath<String>,
    _: InQuery<Everything>,
    Body(wanted): Body<api::PutBreaker>,
) -> Result<Json<api::Breaker>, Problem> {
    let node = context.node();
    let of = guarded(&of)?;
    let spec = settled(&of, &wanted);
    once.propose(node, Command::Breaker(BreakerCommand::Put { spec: spec.into() })).await?;
    look(node, &of).map(Json)
}

/// Remove a breaker
#[utoipa::path(
    delete,
    path = "/api/v1/breakers/{of}",
    tag = "breakers",
    description = "What it held back goes on. One that is not there is no error.",
    params(("of" = String, Path, description = "`pool/NAME` or `type/NAME`.", example = json!(examples::BREAKER))),
    responses((status = 204, description = "There is no such breaker.")),
)]
async fn delete_breaker(
    State(context): State<Context>,
    once: Once,
    InPath(of): InPath<String>,
    _: InQuery<Everything>,
) -> Result<StatusCode, Problem> {
    let of = guarded(&of)?;
    once.propose(context.node(), Command::Breaker(BreakerCommand::Remove { of })).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Close a breaker by hand
#[utoipa::path(
    post,
    path = "/api/v1/breakers/reset",
    tag = "breakers",
    description = "It forgets what it has counted towards opening; what it held back goes on.",
    request_body(content = api::ResetBreaker, example = json!(examples::reset_breaker())),
    responses(
        (status = 200, description = "The breaker.", body = api::Breaker, example = json!(examples::breaker())),
        (status = 404, response = NotFound),
    ),
)]
async fn reset_breaker(
    State(context): State<Context>,
    once: Once,
    _: InQuery<Everything>,
    Body(reset): Body<api::ResetBreaker>,
) -> Result<Json<api::Breaker>, Problem> {
    let node = context.node();
    let of = guarded(&reset.of)?;
    once.propose(node, Command::Breaker(BreakerCommand::Reset { of: of.clone() })).await?;
    look(node, &of).map(Json)
}

/// Open a breaker by hand
#[utoipa::path(
    post,
    path = "/api/v1/breakers/trip",
    tag = "breakers",
    description = "For a while, or until it is reset. Work in hand goes on.",
    request_body(content = api::TripBreaker, example = json!(examples::trip_breaker())),
    responses(
        (status = 200, description = "The breaker.", body = api::Breaker, example = json!(examples::breaker())),
        (status = 404, response = NotFound),
    ),
)]
async fn trip_breaker(
    State(context): State<Context>,
    once: Once,
    _: InQuery<Everything>,
    Body(trip): Body<api::TripBreaker>,
) -> Result<Json<api::Breaker>, Problem> {
    let node = context.node();
    let of = guarded(&trip.of)?;
    let period = trip.period_ms.map(Duration::from_millis);
    let reason = trip.reason.as_deref().unwrap_or(NO_REASON).into();
    once.propose(node, Command::Breaker(BreakerCommand::Trip { of: of.clone(), period, reason })).await?;
    look(node, &of).map(Json)
}

fn guarded(text: &str) -> Result<Guarded, Problem> {
    read::id("the breaker's name", text)
}

/// Reads what the breaker of something shall be.
pub(crate) fn breaker_of(of: &str, wanted: &api::PutBreaker) -> Result<BreakerSpec, Problem> {
    Ok(settled(&guarded(of)?, wanted))
}

fn settled(of: &Guarded, wanted: &api::PutBreaker) -> BreakerSpec {
    let default = BreakerSpec::of(of.clone());
    let window = wanted.window.unwrap_or(default.window);
    let open_for = wanted.open_for_ms.map_or(default.open_for, Duration::from_millis);
    BreakerSpec {
        failures: wanted.failures.unwrap_or(default.failures),
        rate_percent: wanted.rate_percent.unwrap_or(default.rate_percent),
        window,
        at_least: wanted.at_least.unwrap_or(default.at_least.min(window)),
        open_for,
        // A first time longer than the default longest one is meant, not a mistake.
        open_max: wanted.open_max_ms.map_or(default.open_max.max(open_for), Duration::from_millis),
        probes: wanted.probes.unwrap_or(default.probes),
        ..default
    }
}

fn look(node: &Node, of: &Guarded) -> Result<api::Breaker, Problem> {
    let found = node.read(|state| state.breaker(of).map(|breaker| shown::breaker(state, breaker)));
    found.ok_or_else(|| Refusal::BreakerUnknown(of.clone()).into())
}
