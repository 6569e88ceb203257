//! What workers say: claim, start, heartbeat, complete, fail, release. Every write carries its attempt.

mod claim;
mod end;
mod hold;

use synod_domain::permission::Permission::TasksWork;
use utoipa::OpenApi;

use crate::http::{Needs, Routes};

/// The workers' part of the document.
#[derive(OpenApi)]
#[openapi(paths(
    claim::claim_tasks,
    hold::start_task,
    hold::heartbeat_task,
    hold::progress_task,
    hold::release_task,
    end::complete_task,
    end::complete_tasks,
    end::fail_task,
))]
pub(super) struct Doc;

pub(super) fn routes() -> Routes {
    let work = Needs::Permission(TasksWork);
    Routes::default()
        .post("/api/v1/tasks/claim", work.long().once(), claim::claim_tasks)
        .post("/api/v1/tasks/complete", work.once(), end::complete_tasks)
        .post("/api/v1/tasks/{id}/start", work.once(), hold::start_task)
        .post("/api/v1/tasks/{id}/heartbeat", work.once(), hold::heartbeat_task)
        .post("/api/v1/tasks/{id}/progress", work.once(), hold::progress_task)
        .post("/api/v1/tasks/{id}/release", work.once(), hold::release_task)
        .post("/api/v1/tasks/{id}/complete", work.once(), end::complete_task)
        .post("/api/v1/tasks/{id}/fail", work.once(), end::fail_task)
}
