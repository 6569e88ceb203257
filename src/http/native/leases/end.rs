//! How attempts end: with a result, alone or many at once, or without one.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use futures::future::join_all;
use synod_domain::budget::command::BudgetCommand;
use synod_domain::command::Command;
use synod_domain::id::{RequestId, TaskId};
use synod_domain::refusal::Refusal;
use synod_domain::reply::Reply;
use synod_domain::task::Usage;

use super::hold::report;
use crate::api;
use crate::http::extract::{Body, InPath, InQuery};
use crate::http::native::listing::Everything;
use crate::http::native::problems::{Conflict, NotFound};
use crate::http::native::shown::{status, time};
use crate::http::native::{examples, read};
use crate::http::sight::Sight;
use crate::http::{Context, Once, Problem, RequestName};
use crate::node::Node;

/// The largest batch of completions. More makes one request hold what the others wait for.
const COMPLETIONS_MAX: usize = 1000;

/// Complete a task
///
/// Ends it with its result, under the lease of this attempt. Sent again with the same attempt it answers as the
/// first time; with a stale attempt it is refused with `lease_lost` and the result is dropped.
#[utoipa::path(
    post,
    path = "/api/v1/tasks/{id}/complete",
    tag = "workers",
    params(("id" = String, Path, description = "The task's id.", example = json!(examples::TASK))),
    request_body(content = api::Complete, example = json!(examples::complete())),
    responses(
        (status = 200, description = "The task has ended.", body = api::Completed, example = json!(examples::completed())),
        (status = 404, response = NotFound),
        (status = 409, response = Conflict),
    ),
)]
pub(super) async fn complete_task(
    State(context): State<Context>,
    once: Once,
    InPath(id): InPath<String>,
    _: InQuery<Everything>,
    Body(complete): Body<api::Complete>,
) -> Result<Json<api::Completed>, Problem> {
    let id = read::id::<TaskId>("the task's id", &id)?;
    let api::Complete { attempt, result, usage } = complete;
    let status = end(context.node(), once.request(), (id, attempt), result.as_ref(), usage.as_ref()).await?;
    Ok(Json(api::Completed { status }))
}

/// Complete several tasks
///
/// Each as if alone; they share their syncs. The answer has one item for each, in order.
#[utoipa::path(
    post,
    path = "/api/v1/tasks/complete",
    tag = "workers",
    request_body(content = api::CompleteMany, example = json!(examples::complete_many())),
    responses((status = 200, description = "How each went.", body = api::CompletedMany, example = json!(examples::completed_many()))),
)]
pub(super) async fn complete_tasks(
    State(context): State<Context>,
    once: Once,
    name: Option<axum::Extension<RequestName>>,
    _: InQuery<Everything>,
    Body(many): Body<api::CompleteMany>,
) -> Result<Json<api::CompletedMany>, Problem> {
    if many.items.len() > COMPLETIONS_MAX {
        let why = format!("there are {}; at most {COMPLETIONS_MAX} are taken", many.items.len());
        return Err(Problem::bad_request("items", why));
    }
    let node = context.node();
    let request = name.as_ref().map_or("", |name| name.0.0.as_ref());
    let sight = Sight::of_caller(node);
    let sight = &sight;
    let ends = many.items.iter().map(|item| async {
        let id = read::id::<TaskId>("task_id", &item.task_id)?;
        if !sight.task(node, id) {
            return Err(Refusal::TaskUnknown(id).into());
        }
        let named = once.part(&format!("{id}/{}", item.attempt));
        end(node, named, (id, item.attempt), item.result.as_ref(), item.usage.as_ref()).await
    });
    let items = join_all(ends).await.into_iter().map(|ended| match ended {
        Ok(status) => api::CompletedOne { status: Some(status), problem: None },
        Err(problem) => api::CompletedOne { status: None, problem: Some(problem.body(request)) },
    });
    Ok(Json(api::CompletedMany { items: items.collect() }))
}

/// Fail an attempt
///
/// The task is tried again after a backoff if its policy allows, else it becomes a dead letter; at once when
/// `retryable` is false.
#[utoipa::path(
    post,
    path = "/api/v1/tasks/{id}/fail",
    tag = "workers",
    params(("id" = String, Path, description = "The task's id.", example = json!(examples::TASK))),
    request_body(content = api::Fail, example = json!(examples::fail())),
    responses(
        (status = 200, description = "The attempt is over.", body = api::Failed, example = json!(examples::failed())),
        (status = 404, response = NotFound),
        (status = 409, response = Conflict),
    ),
)]
pub(super) async fn fail_task(
    State(context): State<Context>,
    once: Once,
    InPath(id): InPath<String>,
    _: InQuery<Everything>,
    Body(fail): Body<api::Fail>,
) -> Result<Json<api::Failed>, Problem> {
    let id = read::id::<TaskId>("the task's id", &id)?;
    let usage = used(fail.usage.as_ref());
    let (attempt, reason, retryable) = (fail.attempt, fail.reason.into(), fail.retryable);
    let command = match fail.rate_limited_for_ms.map(Duration::from_millis) {
        Some(retry_after) => {
            let limited = BudgetCommand::RateLimited { task: id, attempt, retry_after, reason, usage };
            Command::Budget(limited)
        }
        None => Command::Fail { task: id, attempt, reason, retryable, usage },
    };
    let reply = once.propose(context.node(), command).await?;
    Ok(Json(match reply {
        Reply::WillRetry { until } => {
            api::Failed { status: api::TaskStatus::Pending, retry_at: Some(time(until)) }
        }
        Reply::Ended { phase } => api::Failed { status: status(phase), retry_at: None },
        Reply::Done
        | Reply::Submitted { .. }
        | Reply::Claimed(_)
        | Reply::Ruled(_)
        | Reply::Admitted { .. } => api::Failed { status: api::TaskStatus::Failed, retry_at: None },
    }))
}

async fn end(
    node: &Node,
    request: RequestId,
    (task, attempt): (TaskId, u32),
    result: Option<&api::Json>,
    usage: Option<&api::Usage>,
) -> Result<api::TaskStatus, Problem> {
    // A usage of nothing that was said is another thing than none.
    if let Some(nothing) = usage.filter(|usage| **usage == api::Usage::default()) {
        match report(node, node.new_request_id(), (task, attempt), nothing, None).await {
            // The end is judged for itself: it may have been said before.
            Ok(()) | Err(_) => {}
        }
    }
    let result = result.map_or("null", api::Json::text);
    Ok(status(node.complete_as(request, task, attempt, result.as_bytes(), used(usage)).await?))
}

fn used(usage: Option<&api::Usage>) -> Usage {
    usage.map_or_else(Usage::default, |usage| Usage {
        tokens_in: usage.tokens_in,
        tokens_out: usage.tokens_out,
        cost_microusd: usage.cost_microusd,
    })
}
