//! What workers say: claim, start, heartbeat, complete, fail, release. Every write carries its attempt.

mod claim;
mod end;
mod hold;

use synod_domain::permission::Permission::TasksWork;
use utoipa::OpenApi;

use crate::http::{Needs, Routes, Thing};

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
        .post("/api/v1/tasks/claim", work.long().once().own(), claim::claim_tasks)
        .post("/api/v1/tasks/complete", work.once().own(), end::complete_tasks)
        .post("/api/v1/tasks/{id}/start", work.once().about(Thing::Task), hold::start_task)
        .post("/api/v1/tasks/{id}/heartbeat", work.once().about(Thing::Task), hold::heartbeat_task)
        .post("/api/v1/tasks/{id}/progress", work.once().about(Thing::Task), hold::progress_task)
        .post("/api/v1/tasks/{id}/release", work.once().about(Thing::Task), hold::release_task)
        .post("/api/v1/tasks/{id}/complete", work.once().about(Thing::Task), end::complete_task)
        .post("/api/v1/tasks/{id}/fail", work.once().about(Thing::Task), end::fail_task)
}
