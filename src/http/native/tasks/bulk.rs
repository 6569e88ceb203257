//! Bulk operations: many tasks by a filter, a bounded number in one call.
//!
//! A filter that excludes nothing must say that it means all. One call changes at most [`BULK_MAX`] tasks and says
//! whether there may be more; the changes are proposed together, so that they share syncs, and each is judged by
//! itself. Under an `Idempotency-Key` each of them is changed once however often the call is sent; sent again, the call
//! goes on with what meets the filter by then, as the next call would.

use std::future::Future;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use futures::future::join_all;
use synod_domain::command::Command;
use synod_domain::id::TaskId;
use synod_domain::state::State as Agreed;
use synod_domain::task::Task;

use super::change::NO_REASON;
use crate::api;
use crate::http::extract::{Body, InQuery};
use crate::http::native::filter::{Wanted, is_empty};
use crate::http::native::listing::Everything;
use crate::http::native::{dead_letters, examples};
use crate::http::{Context, Once, Problem};
use crate::node::{Error, Node};

/// How many tasks one call changes. More makes one call hold up the others.
const BULK_MAX: usize = 1000;

/// How many tasks are looked at before others get their turn at the state.
const LOOKED_AT_ONCE: usize = 4096;

/// How many failures are told one by one.
const FAILURES_TOLD_MAX: usize = 100;

/// Call off many tasks
///
/// All unfinished tasks that meet the filter, at most 1000 in one call; `more` says whether to call again. A filter
/// that excludes nothing is refused unless `all` is true.
#[utoipa::path(
    post,
    path = "/api/v1/tasks/cancel",
    tag = "tasks",
    request_body(content = api::Bulk, example = json!(examples::bulk())),
    responses((status = 200, description = "What was done.", body = api::BulkDone, example = json!(examples::bulk_done()))),
)]
pub(super) async fn cancel_tasks(
    State(context): State<Context>,
    once: Once,
    _: InQuery<Everything>,
    Body(bulk): Body<api::Bulk>,
) -> Result<Json<api::BulkDone>, Problem> {
    check(&bulk)?;
    let node = context.node();
    let wanted = Wanted::read(node, &bulk.filter)?;
    let matches = Matches::find(node, &wanted, |state, before| Box::new(state.tasks_below(before))).await;
    let reason: Arc<str> = bulk.reason.as_deref().unwrap_or(NO_REASON).into();
    let cancel = |task: TaskId| {
        node.propose_as(once.part(&task.to_string()), Command::Cancel { task, reason: reason.clone() })
    };
    Ok(Json(carry_out(matches, cancel).await))
}

/// Try many dead letters again
///
/// Redrives all dead letters that meet the filter, at most 1000 in one call; `more` says whether to call again. A
/// filter that excludes nothing is refused unless `all` is true.
#[utoipa::path(
    post,
    path = "/api/v1/tasks/retry",
    tag = "tasks",
    request_body(content = api::Bulk, example = json!(examples::bulk())),
    responses((status = 200, description = "What was done.", body = api::BulkDone, example = json!(examples::bulk_done()))),
)]
pub(super) async fn retry_tasks(
    State(context): State<Context>,
    once: Once,
    _: InQuery<Everything>,
    Body(bulk): Body<api::Bulk>,
) -> Result<Json<api::BulkDone>, Problem> {
    dead_letters::redrive_all(context.node(), once, &bulk).await.map(Json)
}

/// Refuses a filter that means everything without saying so.
pub(crate) fn check(bulk: &api::Bulk) -> Result<(), Problem> {
    if is_empty(&bulk.filter) && !bulk.all {
        return Err(Problem::bad_request(
            "filter",
            "it excludes nothing; say \"all\": true if all are meant",
        ));
    }
    Ok(())
}

/// The tasks that a bulk operation is about.
#[derive(Debug)]
pub(crate) struct Matches {
    tasks: Vec<TaskId>,
    more: bool,
}

/// The tasks of one place below an id, latest first.
type Below<'a> = Box<dyn Iterator<Item = &'a Arc<Task>> + 'a>;

impl Matches {
    /// Finds the first [`BULK_MAX`] tasks of a place that are meant.
    pub(crate) async fn find(
        node: &Node,
        wanted: &Wanted,
        place: impl for<'a> Fn(&'a Agreed, Option<TaskId>) -> Below<'a>,
    ) -> Self {
        let mut tasks = Vec::new();
        let mut before = None;
        loop {
            let (looked_at, last) = node.read(|state| {
                let (mut looked_at, mut last) = (0, before);
                for task in place(state, before).take(LOOKED_AT_ONCE) {
                    if wanted.meets(task) {
                        if tasks.len() == BULK_MAX {
                            return (0, None);
                        }
                        tasks.push(task.spec.id);
                    }
                    looked_at += 1;
                    last = Some(task.spec.id);
                }
                (looked_at, last)
            });
            if looked_at < LOOKED_AT_ONCE {
                // Without a last one there were more than one call changes.
                return Self { more: tasks.len() == BULK_MAX && last.is_none(), tasks };
            }
            before = last;
            tokio::task::yield_now().await;
        }
    }
}

/// Changes all of them together, and counts how it went.
pub(crate) async fn carry_out<T, F: Future<Output = Result<T, Error>>>(
    matches: Matches,
    change: impl Fn(TaskId) -> F,
) -> api::BulkDone {
    let Matches { tasks, more } = matches;
    let answers = join_all(tasks.iter().map(|task| change(*task))).await;
    let mut done = api::BulkDone { matched: 0, done: 0, failures: Vec::new(), more };
    for (task, answer) in tasks.iter().zip(answers) {
        done.matched += 1;
        match answer.map_err(Problem::from) {
            Ok(_) => done.done += 1,
            Err(problem) if done.failures.len() < FAILURES_TOLD_MAX => done.failures.push(api::BulkFailure {
                task_id: task.to_string(),
                code: problem.code().to_owned(),
                detail: problem.detail().to_owned(),
            }),
            Err(_) => {}
        }
    }
    done
}
