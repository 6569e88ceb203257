//! Submitting: one task, or a batch whose tasks share their syncs.

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures::future::join_all;
use synod_domain::name::Name;

use super::new::{new_tasks, read_task};
use crate::api;
use crate::http::native::examples;
use crate::http::native::problems::{Conflict, NotFound};
use crate::http::regions::located;
use crate::http::{Context, Problem, RequestName, idempotency};
use crate::node::{Node, Submission};

/// Submit a task, or up to 1000
///
/// Answers once each task is durable. One task is answered by one `Submitted`, with 201, or with 200 when an
/// earlier submit with the same idempotency key made it. A batch is answered with 200 by a list in its order; each
/// task of it is accepted or refused by itself. The header `Idempotency-Key` is the key of a single task; the tasks
/// of a batch carry theirs in `idempotency_key`.
#[utoipa::path(
    post,
    path = "/api/v1/tasks",
    tag = "tasks",
    params(("Idempotency-Key" = Option<String>, Header, description = "The client's own name for this submit of one task: the same key answers with the same task.", example = "build-4711", max_length = 255, min_length = 1)),
    request_body(
        content = api::NewTasks,
        examples(
            ("one" = (summary = "One task", value = json!(examples::new_task()))),
            ("batch" = (summary = "A batch", value = json!([examples::new_task(), examples::new_task()]))),
        ),
    ),
    responses(
        (status = 201, description = "The task is durable.", body = api::Submitted, headers(("Location" = String, description = "Where the task is.")), example = json!(examples::submitted())),
        (status = 200, description = "An earlier submit made the task; or a batch was taken.", body = api::SubmittedAll, examples(
            ("one" = (summary = "The same key again", value = json!(examples::submitted_before()))),
            ("batch" = (summary = "A batch", value = json!([examples::submitted(), examples::submit_refused()]))),
        )),
        (status = 404, response = NotFound),
        (status = 409, response = Conflict),
    ),
)]
pub(super) async fn submit_tasks(
    State(context): State<Context>,
    name: Option<axum::Extension<RequestName>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    submit_all(context.node(), name.as_deref(), &headers, &body, None).await
}

/// Submits what a body holds, to `pool` if the address names one.
pub(crate) async fn submit_all(
    node: &Node,
    name: Option<&RequestName>,
    headers: &HeaderMap,
    body: &Bytes,
    pool: Option<&Name>,
) -> Result<Response, Problem> {
    let key = idempotency::key(headers)?;
    match new_tasks(body)? {
        api::NewTasks::One(mut task) => {
            if let Some(key) = key {
                if task.idempotency_key.as_deref().is_some_and(|other| other != key) {
                    return Err(Problem::bad_request(
                        "idempotency_key",
                        "the header Idempotency-Key names another",
                    ));
                }
                task.idempotency_key = Some(key.to_owned());
            }
            let submitted = submit(node, *task, pool).await?;
            Ok(answer(&submitted))
        }
        api::NewTasks::Many(_) if key.is_some() => Err(Problem::bad_request(
            "the header Idempotency-Key",
            "the tasks of a batch carry their own keys",
        )),
        api::NewTasks::Many(tasks) => {
            let request = name.map_or("", |name| name.0.as_ref());
            let submits = tasks.into_iter().map(|task| submit(node, task, pool));
            let answers = join_all(submits).await.into_iter().map(|answer| {
                answer.unwrap_or_else(|problem| api::Submitted {
                    task_id: None,
                    duplicate: false,
                    region: None,
                    problem: Some(problem.body(request)),
                })
            });
            Ok(Json(answers.collect::<Vec<_>>()).into_response())
        }
    }
}

async fn submit(node: &Node, task: api::NewTask, pool: Option<&Name>) -> Result<api::Submitted, Problem> {
    let Submission { task, duplicate, region } = node.submit_task(read_task(node, task, pool)?).await?;
    let region = region.map(|region| region.to_string());
    Ok(api::Submitted { task_id: Some(task.to_string()), duplicate, region, problem: None })
}

fn answer(submitted: &api::Submitted) -> Response {
    let status = if submitted.duplicate { StatusCode::OK } else { StatusCode::CREATED };
    let mut response = (status, Json(submitted)).into_response();
    let place = submitted.task_id.as_ref().map(|id| {
        let place = format!("/api/v1/tasks/{id}");
        submitted.region.as_deref().map_or_else(|| place.clone(), |region| located(&place, region))
    });
    if let Some(place) = place.and_then(|place| HeaderValue::try_from(place).ok()) {
        response.headers_mut().insert(header::LOCATION, place);
    }
    response
}
