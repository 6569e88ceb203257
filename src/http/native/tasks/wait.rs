//! Waiting for a task's end.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use synod_domain::id::TaskId;

use crate::api;
use crate::http::extract::{InPath, InQuery};
use crate::http::native::problems::NotFound;
use crate::http::native::shown::{Detail, task};
use crate::http::native::{LONG_POLL_MAX, examples, read};
use crate::http::{Caller, Context, Problem};

/// How long a wait lasts that does not say.
const WAIT_DEFAULT_MS: u64 = 30_000;

/// Wait until a task has ended
///
/// Answers with the task as soon as it has ended, or as it is when the time is over; look at its status. The end
/// wakes the waiting request; nothing is polled.
#[utoipa::path(
    get,
    path = "/api/v1/tasks/{id}/wait",
    tag = "tasks",
    params(("id" = String, Path, description = "The task's id.", example = json!(examples::TASK)), api::WaitQuery),
    responses(
        (status = 200, description = "The task, ended or not.", body = api::Task, example = json!(examples::task())),
        (status = 404, response = NotFound),
    ),
)]
pub(super) async fn wait_task(
    State(context): State<Context>,
    caller: Caller,
    InPath(id): InPath<String>,
    InQuery(query): InQuery<api::WaitQuery>,
) -> Result<Json<api::Task>, Problem> {
    let node = context.node();
    let id = read::id::<TaskId>("the task's id", &id)?;
    let wait = query.timeout_ms.unwrap_or(WAIT_DEFAULT_MS);
    let wait: Duration = read::patience("timeout_ms", wait, LONG_POLL_MAX)?;
    let ended = async {
        tokio::select! {
            biased;
            ended = node.wait_at_most(id, wait) => Ok(ended?),
            () = context.stopping() => Ok(node.task(id)?),
        }
    };
    let ended = caller.while_valid(node, ended).await?;
    Ok(Json(task(node, &ended, Detail::Whole).await?))
}
