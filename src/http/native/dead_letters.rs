//! `/api/v1/dead-letters`: work that was given up and waits for somebody to decide about it.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use synod_domain::command::Command;
use synod_domain::id::{RequestId, TaskId};
use synod_domain::permission::Permission::{TasksDelete, TasksRead, TasksWrite};
use synod_domain::reply::Reply;
use utoipa::OpenApi;

use super::filter::Wanted;
use super::listing::{Everything, Listing, lines};
use super::problems::{Conflict, NotFound};
use super::shown::{Detail, task};
use super::tasks::{Matches, carry_out, check};
use super::{examples, read};
use crate::api;
use crate::http::extract::{Body, InPath, InQuery};
use crate::http::{Context, Needs, Once, Problem, Routes, Thing};
use crate::node::{Error, Node};

/// How many dead letters one page looks at: all that are kept unless the limit was raised.
const LOOKED_AT_MAX: usize = 100_000;

/// The dead letters' part of the document.
#[derive(OpenApi)]
#[openapi(paths(
    list_dead_letters,
    get_dead_letter,
    redrive_dead_letter,
    purge_dead_letter,
    redrive_dead_letters,
    purge_dead_letters
))]
pub(super) struct Doc;

pub(super) fn routes() -> Routes {
    let read = Needs::Permission(TasksRead);
    let write = Needs::Permission(TasksWrite);
    let delete = Needs::Permission(TasksDelete);
    Routes::default()
        .get("/api/v1/dead-letters", read.own(), list_dead_letters)
        .get("/api/v1/dead-letters/{id}", read.of(Thing::DeadLetter), get_dead_letter)
        .delete("/api/v1/dead-letters/{id}", delete.once().about(Thing::DeadLetter), purge_dead_letter)
        .post("/api/v1/dead-letters/{id}/redrive", write.once().about(Thing::DeadLetter), redrive_dead_letter)
        .post("/api/v1/dead-letters/redrive", write.once().own(), redrive_dead_letters)
        .post("/api/v1/dead-letters/purge", delete.once().own(), purge_dead_letters)
}

/// List dead letters, latest first
#[utoipa::path(
    get,
    path = "/api/v1/dead-letters",
    tag = "dead letters",
    description = "Without payloads, a page at a time.",
    params(api::Filter, api::PageQuery),
    responses((status = 200, description = "A page of dead letters.", body = api::Page<api::DeadLetter>, example = json!(examples::page(examples::dead_letter_line())))),
)]
async fn list_dead_letters(
    State(context): State<Context>,
    listing: Listing<api::Filter>,
) -> Result<Json<api::Page<api::DeadLetter>>, Problem> {
    let node = context.node();
    let wanted = Wanted::read(node, &listing.filter)?;
    let mut before: Option<TaskId> =
        listing.cursor.as_deref().map(|cursor| read::id("cursor", cursor)).transpose()?;
    let (mut found, mut looked_at) = (Vec::new(), 0);
    let more = node.read(|state| {
        let mut letters = state.dead_letters_below(before);
        for letter in letters.by_ref() {
            before = Some(letter.spec.id);
            looked_at += 1;
            if wanted.meets(letter) {
                found.push(letter.clone());
            }
            if found.len() == listing.limit || looked_at == LOOKED_AT_MAX {
                break;
            }
        }
        letters.next().is_some()
    });
    found.retain(|letter| !wanted.tells_of(node, letter));
    Ok(Json(lines(node, &found, before.filter(|_| more)).await?))
}

/// Look at a dead letter
#[utoipa::path(
    get,
    path = "/api/v1/dead-letters/{id}",
    tag = "dead letters",
    description = "With its payload, its attempts and why it was given up.",
    params(("id" = String, Path, description = "The task's id.", example = json!(examples::TASK))),
    responses(
        (status = 200, description = "The dead letter.", body = api::DeadLetter, example = json!(examples::dead_letter())),
        (status = 404, response = NotFound),
    ),
)]
async fn get_dead_letter(
    State(context): State<Context>,
    InPath(id): InPath<String>,
    _: InQuery<Everything>,
) -> Result<Json<api::DeadLetter>, Problem> {
    let node = context.node();
    let id: TaskId = read::id("the task's id", &id)?;
    let next = TaskId::from_raw(id.raw().saturating_add(1));
    let found = node.read(|state| {
        state.dead_letters_below(Some(next)).next().filter(|letter| letter.spec.id == id).cloned()
    });
    let found = found.ok_or_else(|| Problem::not_found("task_unknown", format!("dead letter {id}")))?;
    Ok(Json(task(node, &found, Detail::Whole).await?))
}

/// Redrive a dead letter
///
/// Makes a new task from it and removes it.
#[utoipa::path(
    post,
    path = "/api/v1/dead-letters/{id}/redrive",
    tag = "dead letters",
    params(("id" = String, Path, description = "The task's id.", example = json!(examples::TASK))),
    responses(
        (status = 201, description = "The new task is durable.", body = api::Redrive, example = json!(examples::redriven())),
        (status = 404, response = NotFound),
        (status = 409, response = Conflict),
    ),
)]
async fn redrive_dead_letter(
    State(context): State<Context>,
    once: Once,
    InPath(id): InPath<String>,
    _: InQuery<Everything>,
) -> Result<(StatusCode, Json<api::Redrive>), Problem> {
    let id = read::id("the task's id", &id)?;
    let new_task = redrive(context.node(), once.request(), id).await?;
    Ok((StatusCode::CREATED, Json(api::Redrive { task_id: new_task.to_string() })))
}

/// Purge a dead letter
#[utoipa::path(
    delete,
    path = "/api/v1/dead-letters/{id}",
    tag = "dead letters",
    description = "Forgets it; its history stays.",
    params(("id" = String, Path, description = "The task's id.", example = json!(examples::TASK))),
    responses((status = 204, description = "The dead letter is forgotten."), (status = 404, response = NotFound)),
)]
async fn purge_dead_letter(
    State(context): State<Context>,
    once: Once,
    InPath(id): InPath<String>,
    _: InQuery<Everything>,
) -> Result<StatusCode, Problem> {
    let task = read::id("the task's id", &id)?;
    once.propose(context.node(), Command::Purge { task }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Redrive many dead letters
///
/// All that meet the filter, at most 1000 in one call; `more` says whether to call again. A filter that excludes
/// nothing is refused unless `all` is true.
#[utoipa::path(
    post,
    path = "/api/v1/dead-letters/redrive",
    tag = "dead letters",
    request_body(content = api::Bulk, example = json!(examples::bulk())),
    responses((status = 200, description = "What was done.", body = api::BulkDone, example = json!(examples::bulk_done()))),
)]
async fn redrive_dead_letters(
    State(context): State<Context>,
    once: Once,
    _: InQuery<Everything>,
    Body(bulk): Body<api::Bulk>,
) -> Result<Json<api::BulkDone>, Problem> {
    redrive_all(context.node(), once, &bulk).await.map(Json)
}

/// Purge many dead letters
///
/// All that meet the filter, at most 1000 in one call; `more` says whether to call again. A filter that excludes
/// nothing is refused unless `all` is true.
#[utoipa::path(
    post,
    path = "/api/v1/dead-letters/purge",
    tag = "dead letters",
    request_body(content = api::Bulk, example = json!(examples::bulk())),
    responses((status = 200, description = "What was done.", body = api::BulkDone, example = json!(examples::bulk_done()))),
)]
async fn purge_dead_letters(
    State(context): State<Context>,
    once: Once,
    _: InQuery<Everything>,
    Body(bulk): Body<api::Bulk>,
) -> Result<Json<api::BulkDone>, Problem> {
    let node = context.node();
    let matches = letters(node, &bulk).await?;
    let purge = |task: TaskId| node.propose_as(once.part(&task.to_string()), Command::Purge { task });
    Ok(Json(carry_out(matches, purge).await))
}

/// Redrives all dead letters that are meant.
pub(super) async fn redrive_all(node: &Node, once: Once, bulk: &api::Bulk) -> Result<api::BulkDone, Problem> {
    let matches = letters(node, bulk).await?;
    Ok(carry_out(matches, |task: TaskId| redrive(node, once.part(&task.to_string()), task)).await)
}

async fn letters(node: &Node, bulk: &api::Bulk) -> Result<Matches, Problem> {
    check(bulk)?;
    let wanted = Wanted::read(node, &bulk.filter)?;
    Ok(Matches::find(node, &wanted, |state, before| Box::new(state.dead_letters_below(before))).await)
}

async fn redrive(node: &Node, request: RequestId, task: TaskId) -> Result<TaskId, Error> {
    let new_task = node.new_task_id();
    match node.propose_as(request, Command::Redrive { task, new_task }).await? {
        Reply::Submitted { task, .. } => Ok(task),
        Reply::Done
        | Reply::Claimed(_)
        | Reply::Ended { .. }
        | Reply::WillRetry { .. }
        | Reply::Ruled(_)
        | Reply::Admitted { .. } => Ok(new_task),
    }
}
