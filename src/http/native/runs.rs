//! `/api/v1/runs`: opening and ending runs of fleet files. What a run does is driven by whoever opened it.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use synod_domain::command::Command;
use synod_domain::id::RunId;
use synod_domain::permission::Permission::TasksWrite;
use synod_domain::refusal::Refusal;
use utoipa::OpenApi;

use super::listing::Everything;
use super::problems::{Conflict, NotFound};
use super::{examples, read};
use crate::api;
use crate::http::extract::{Body, InPath, InQuery};
use crate::http::{Context, Needs, Once, Problem, Routes};

/// The runs' part of the document.
#[derive(OpenApi)]
#[openapi(paths(open_run, end_run))]
pub(super) struct Doc;

pub(super) fn routes() -> Routes {
    let write = Needs::Permission(TasksWrite);
    Routes::default().post("/api/v1/runs", write.once(), open_run).post(
        "/api/v1/runs/{id}/end",
        write.once(),
        end_run,
    )
}

/// Open a run of a fleet
///
/// Or go on with the one that is open: its plan is in the answer, and its tasks are found again under the same
/// idempotency keys. Saying it twice is as good as once; with `fresh` only under an `Idempotency-Key`.
#[utoipa::path(
    post,
    path = "/api/v1/runs",
    tag = "runs",
    request_body(content = api::OpenRun, example = json!(examples::open_run())),
    responses(
        (status = 200, description = "The run that was open.", body = api::Run, example = json!(examples::run(true))),
        (status = 201, description = "The new run.", body = api::Run, example = json!(examples::run(false))),
        (status = 409, response = Conflict),
    ),
)]
async fn open_run(
    State(context): State<Context>,
    once: Once,
    _: InQuery<Everything>,
    Body(wanted): Body<api::OpenRun>,
) -> Result<Response, Problem> {
    let node = context.node();
    let fleet = read::name("fleet", &wanted.fleet)?;
    // Whether one is open is judged by what is agreed, and not by what this node happens to know.
    node.linearize().await?;
    // The run has the request's name, so that who asks again finds the one of the first time and no later one.
    let id = RunId::from_raw(once.request().raw());
    if once.was_done(node).await? {
        let found = node.read(|state| state.run(id).cloned()).ok_or(Refusal::RunUnknown(id))?;
        let plan = api::Json::from_bytes(&node.fetch(&found.plan).await?);
        let run = api::Run { id: id.to_string(), fleet: wanted.fleet, plan, continued: false };
        return Ok((StatusCode::CREATED, Json(run)).into_response());
    }
    let open = node.read(|state| state.open_run_of(&fleet).cloned());
    match open {
        Some(open) if !wanted.fresh => {
            let plan = api::Json::from_bytes(&node.fetch(&open.plan).await?);
            let run = api::Run { id: open.id.to_string(), fleet: wanted.fleet, plan, continued: true };
            return Ok((StatusCode::OK, Json(run)).into_response());
        }
        Some(open) => {
            let end = Command::EndRun { run: open.id, summary: "started anew".into() };
            node.propose_as(once.part(&open.id.to_string()), end).await?;
        }
        None => {}
    }
    let plan = node.store(wanted.plan.text().as_bytes()).await?;
    once.propose(node, Command::StartRun { run: id, fleet, plan }).await?;
    let run = api::Run { id: id.to_string(), fleet: wanted.fleet, plan: wanted.plan, continued: false };
    Ok((StatusCode::CREATED, Json(run)).into_response())
}

/// End a run
///
/// Its tasks stay as they are.
#[utoipa::path(
    post,
    path = "/api/v1/runs/{id}/end",
    tag = "runs",
    params(("id" = String, Path, description = "The run's id.", example = json!(examples::RUN))),
    request_body(content = api::EndRun, example = json!(examples::end_run())),
    responses(
        (status = 204, description = "It is over."),
        (status = 404, response = NotFound),
    ),
)]
async fn end_run(
    State(context): State<Context>,
    once: Once,
    InPath(id): InPath<String>,
    _: InQuery<Everything>,
    Body(wanted): Body<api::EndRun>,
) -> Result<StatusCode, Problem> {
    let run: RunId = read::id("the run's id", &id)?;
    once.propose(context.node(), Command::EndRun { run, summary: wanted.summary.into() }).await?;
    Ok(StatusCode::NO_CONTENT)
}
