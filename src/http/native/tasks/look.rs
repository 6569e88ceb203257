//! Looking at tasks: one, many, its result, and why it stands as it does.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};
use synod_domain::id::TaskId;
use synod_domain::why::Why;

use super::pages;
use crate::api;
use crate::http::extract::{InPath, InQuery};
use crate::http::native::filter::Wanted;
use crate::http::native::listing::{Everything, Listing, lines};
use crate::http::native::problems::{Conflict, NotFound};
use crate::http::native::shown::{Detail, status, task};
use crate::http::native::{examples, read};
use crate::http::{Context, Problem};

/// List tasks, latest first
///
/// Unfinished and ended tasks alike, each once, without payloads and results. A page may be short, even empty,
/// while there is a next one: a request looks at a bounded number of tasks, and ends with some 4 MiB of them.
#[utoipa::path(
    get,
    path = "/api/v1/tasks",
    tag = "tasks",
    params(api::Filter, api::PageQuery),
    responses((status = 200, description = "A page of tasks.", body = api::Page<api::Task>, example = json!(examples::page(examples::task_line())))),
)]
pub(super) async fn list_tasks(
    State(context): State<Context>,
    listing: Listing<api::Filter>,
) -> Result<Json<api::Page<api::Task>>, Problem> {
    let node = context.node();
    let wanted = Wanted::read(node, &listing.filter)?;
    let before = listing.cursor.as_deref().map(|cursor| read::id("cursor", cursor)).transpose()?;
    let mut found = pages::find(node, &wanted, before, listing.limit)?;
    found.tasks.retain(|task| !wanted.tells_of(node, task));
    Ok(Json(lines(node, &found.tasks, found.next).await?))
}

/// Look at a task
///
/// Unfinished or from history, with payload and result. The answer's `ETag` changes whenever the task does; sent
/// back as `If-None-Match`, it makes an unchanged task answer 304 without a body.
#[utoipa::path(
    get,
    path = "/api/v1/tasks/{id}",
    tag = "tasks",
    params(
        ("id" = String, Path, description = "The task's id.", example = json!(examples::TASK)),
        ("If-None-Match" = Option<String>, Header, description = "The `ETag` of an earlier answer."),
    ),
    responses(
        (status = 200, description = "The task.", body = api::Task, headers(("ETag" = String, description = "Changes when the task does.")), example = json!(examples::task())),
        (status = 304, description = "The task is as it was."),
        (status = 404, response = NotFound),
    ),
)]
pub(super) async fn get_task(
    State(context): State<Context>,
    InPath(id): InPath<String>,
    _: InQuery<Everything>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let node = context.node();
    let found = node.task(read::id::<TaskId>("the task's id", &id)?)?;
    // Payload never changes, and a result comes with an end, so the rest tells.
    let line = serde_json::to_vec(&task(node, &found, Detail::Line).await?);
    let line = line.map_err(|error| Problem::internal(&format!("a task is not written: {error}")))?;
    let digest: [u8; 32] = Sha256::digest(&line).into();
    let tag: String = digest[..16].iter().map(|byte| format!("{byte:02x}")).collect();
    let tag = format!("\"{tag}\"");
    let is_known = headers
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(read::parts)
        .any(|known| known == "*" || known.trim_start_matches("W/") == tag);
    let mut response = if is_known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        Json(task(node, &found, Detail::Whole).await?).into_response()
    };
    if let Ok(tag) = HeaderValue::try_from(tag) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    Ok(response)
}

/// Fetch a task's result
///
/// The bytes as the agent gave them: JSON text.
#[utoipa::path(
    get,
    path = "/api/v1/tasks/{id}/result",
    tag = "tasks",
    params(("id" = String, Path, description = "The task's id.", example = json!(examples::TASK))),
    responses(
        (status = 200, description = "The result.", body = api::Json, content_type = "application/json", example = json!(examples::result())),
        (status = 404, response = NotFound),
        (status = 409, response = Conflict),
    ),
)]
pub(super) async fn get_result(
    State(context): State<Context>,
    InPath(id): InPath<String>,
    _: InQuery<Everything>,
) -> Result<Json<api::Json>, Problem> {
    let node = context.node();
    let found = node.task(read::id::<TaskId>("the task's id", &id)?)?;
    read::open(node, found.spec.id)?;
    Ok(Json(api::Json::from_bytes(&node.result(&found).await?)))
}

/// Ask why a task waits, runs or ended
///
/// One cause, as a stable word, as a sentence for people that says what to do where something can be done, and as
/// data. Bear with words that are new to you.
#[utoipa::path(
    get,
    path = "/api/v1/tasks/{id}/why",
    tag = "tasks",
    params(("id" = String, Path, description = "The task's id.", example = json!(examples::TASK))),
    responses(
        (status = 200, description = "The cause.", body = api::Why, example = json!(examples::why())),
        (status = 404, response = NotFound),
    ),
)]
pub(super) async fn why_task(
    State(context): State<Context>,
    InPath(id): InPath<String>,
    _: InQuery<Everything>,
) -> Result<Json<api::Why>, Problem> {
    let node = context.node();
    let id = read::id::<TaskId>("the task's id", &id)?;
    // Its words may be those of a failure.
    read::open(node, id)?;
    let asked = node.read(|state| Some((state.why(id)?, state.task(id)?.phase())));
    let (why, phase) = match asked {
        Some(asked) => asked,
        None => {
            let found = node.task(id)?;
            let why = Why::of_ended(&found);
            (why.ok_or_else(|| Problem::internal("a task in history has not ended"))?, found.phase())
        }
    };
    let detail = api::Json::of(&why);
    Ok(Json(api::Why {
        task_id: id.to_string(),
        status: status(phase),
        cause: why.code().to_owned(),
        sentence: why.to_string(),
        detail: detail.map_err(|error| Problem::internal(&format!("a cause is not written: {error}")))?,
    }))
}
