//! `/api/v1/tasks`: submitting, looking, waiting, calling off.

mod bulk;
mod change;
mod log;
mod look;
mod new;
mod pages;
mod submit;
mod wait;

pub(super) use bulk::{Matches, carry_out, check};
pub(super) use submit::submit_all;

use synod_domain::permission::Permission::{TasksDelete, TasksRead, TasksWrite};
use utoipa::OpenApi;

use crate::http::{Needs, Routes, Thing};

/// The tasks' part of the document.
#[derive(OpenApi)]
#[openapi(paths(
    submit::submit_tasks,
    look::list_tasks,
    look::get_task,
    look::get_result,
    look::why_task,
    wait::wait_task,
    log::task_log,
    change::cancel_task_put,
    change::cancel_task,
    change::set_priority,
    bulk::cancel_tasks,
    bulk::retry_tasks,
))]
pub(super) struct Doc;

pub(super) fn routes() -> Routes {
    let read = Needs::Permission(TasksRead);
    let write = Needs::Permission(TasksWrite);
    let delete = Needs::Permission(TasksDelete);
    Routes::default()
        .post("/api/v1/tasks", write.once().own(), submit::submit_tasks)
        .get("/api/v1/tasks", read.gathered().own(), look::list_tasks)
        .get("/api/v1/tasks/{id}", read.of(Thing::Task), look::get_task)
        .get("/api/v1/tasks/{id}/result", read.of(Thing::Task), look::get_result)
        .get("/api/v1/tasks/{id}/why", read.of(Thing::Task), look::why_task)
        .get("/api/v1/tasks/{id}/wait", read.long().agreed().about(Thing::Task), wait::wait_task)
        .get("/api/v1/tasks/{id}/log", read.long().agreed().about(Thing::Task), log::task_log)
        .put("/api/v1/tasks/{id}/cancel", delete.once().about(Thing::Task), change::cancel_task_put)
        .post("/api/v1/tasks/{id}/cancel", delete.once().about(Thing::Task), change::cancel_task)
        .post("/api/v1/tasks/{id}/priority", write.once().about(Thing::Task), change::set_priority)
        .post("/api/v1/tasks/cancel", delete.once().own(), bulk::cancel_tasks)
        .post("/api/v1/tasks/retry", write.once().own(), bulk::retry_tasks)
}
