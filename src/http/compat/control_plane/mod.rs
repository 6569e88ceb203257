//! The API of an older control plane, so that its clients work unchanged.
//!
//! A facade: every handler translates a request to a verb or command of the node and the answer back. What it
//! promises: paths, texts, statuses, fields and types of that API (`docs/CONTROL_PLANE.md` says where and why an
//! answer differs); the same under both prefixes; an empty body counts as `{}`; and an answer of the right shape
//! for what this system does not have yet. What a task is, who may take it and how it ends is left to the rules.

mod agents;
mod audit;
mod claims;
mod deliberations;
mod extra;
mod find;
mod frames;
mod health;
mod history;
mod host;
mod metrics;
mod notifications;
mod policies;
mod priority;
mod queue;
mod register;
mod schedules;
mod shape;
mod shown;
mod stats;
mod stream;
mod tasks;
mod times;

use axum::http::StatusCode;
use synod_domain::permission::Permission::{
    AgentsRead, AgentsWrite, AuditRead, EventsRead, NodesRead, PoliciesRead, PoliciesWrite, TasksDelete,
    TasksRead, TasksWork, TasksWrite,
};

use crate::http::{Needs, Problem, Routes};

/// The prefixes; both mean the same.
pub const PREFIXES: [&str; 2] = ["/api/control-plane", "/api/v1/control-plane"];

/// The other path of the event stream.
pub const STREAM_PATH: &str = "/ws/control-plane";

/// Declares every route under one prefix.
macro_rules! under {
    ($prefix:literal) => {
        Routes::default()
            .post(concat!($prefix, "/agents"), Needs::Permission(AgentsWrite).own(), register::register)
            .get(concat!($prefix, "/agents"), Needs::Permission(AgentsRead).own(), agents::list)
            .get(concat!($prefix, "/agents/{id}"), Needs::Permission(AgentsRead).own(), agents::get)
            .delete(
                concat!($prefix, "/agents/{id}"),
                Needs::Permission(AgentsWrite).own(),
                agents::unregister,
            )
            .post(
                concat!($prefix, "/agents/{id}/heartbeat"),
                Needs::Permission(AgentsWrite).own(),
                agents::heartbeat,
            )
            .post(concat!($prefix, "/agents/{id}/pause"), Needs::Permission(AgentsWrite).own(), agents::pause)
            .post(
                concat!($prefix, "/agents/{id}/resume"),
                Needs::Permission(AgentsWrite).own(),
                agents::resume,
            )
            .get(
                concat!($prefix, "/agents/{id}/metrics"),
                Needs::Permission(AgentsRead).own(),
                metrics::agent,
            )
            .post(concat!($prefix, "/tasks"), Needs::Permission(TasksWrite).once().own(), tasks::submit)
            .post(concat!($prefix, "/tasks/claim"), Needs::Permission(TasksWork).long().own(), claims::claim)
            .get(concat!($prefix, "/tasks/history"), Needs::Permission(TasksRead).own(), history::list)
            .get(concat!($prefix, "/tasks/{id}"), Needs::Permission(TasksRead).own(), tasks::get)
            .post(
                concat!($prefix, "/tasks/{id}/complete"),
                Needs::Permission(TasksWork).own(),
                claims::complete,
            )
            .post(concat!($prefix, "/tasks/{id}/fail"), Needs::Permission(TasksWork).own(), claims::fail)
            .post(concat!($prefix, "/tasks/{id}/cancel"), Needs::Permission(TasksDelete).own(), tasks::cancel)
            .get(concat!($prefix, "/queue"), Needs::Permission(TasksRead).own(), queue::list)
            .get(concat!($prefix, "/queue/metrics"), Needs::Permission(NodesRead), stats::queue)
            .post(
                concat!($prefix, "/queue/prioritize"),
                Needs::Permission(TasksWrite).own(),
                queue::prioritize,
            )
            .get(concat!($prefix, "/health"), Needs::Permission(NodesRead), health::all)
            .get(concat!($prefix, "/health/detailed"), Needs::Permission(NodesRead), health::detailed)
            .get(concat!($prefix, "/health/{id}"), Needs::Permission(NodesRead).own(), health::of_agent)
            .get(concat!($prefix, "/stats"), Needs::Permission(NodesRead), stats::all)
            .get(concat!($prefix, "/metrics"), Needs::Permission(NodesRead), metrics::dashboard)
            .get(concat!($prefix, "/metrics/system"), Needs::Permission(NodesRead), metrics::system)
            .get(concat!($prefix, "/metrics/tasks"), Needs::Permission(NodesRead), metrics::tasks)
            .get(
                concat!($prefix, "/metrics/agents/{id}"),
                Needs::Permission(AgentsRead).own(),
                metrics::agent,
            )
            .get(concat!($prefix, "/breakers"), Needs::Permission(NodesRead), stats::breakers)
            .get(concat!($prefix, "/audit"), Needs::Permission(AuditRead), audit::entries)
            .get(concat!($prefix, "/audit/stats"), Needs::Permission(AuditRead), audit::stats)
            .get(
                concat!($prefix, "/audit/verify"),
                Needs::Permission(AuditRead).long().agreed(),
                audit::verify,
            )
            .get(concat!($prefix, "/audit-logs"), Needs::Permission(AuditRead), audit::logs)
            .get(concat!($prefix, "/audit-logs/{id}"), Needs::Permission(AuditRead), audit::log)
            .get(concat!($prefix, "/policies"), Needs::Permission(PoliciesRead), policies::list)
            .post(concat!($prefix, "/policies"), Needs::Permission(PoliciesWrite).once(), policies::create)
            .get(
                concat!($prefix, "/policies/violations"),
                Needs::Permission(PoliciesRead),
                policies::violations,
            )
            .get(
                concat!($prefix, "/policies/violations/stats"),
                Needs::Permission(PoliciesRead),
                policies::stats,
            )
            .get(
                concat!($prefix, "/policies/violations/{id}"),
                Needs::Permission(PoliciesRead),
                policies::violation,
            )
            .patch(
                concat!($prefix, "/policies/violations/{id}"),
                Needs::Permission(PoliciesWrite).once(),
                policies::update,
            )
            .get(concat!($prefix, "/schedules"), Needs::Permission(TasksRead), schedules::list)
            .post(concat!($prefix, "/schedules"), Needs::Permission(TasksWrite), schedules::create)
            .get(concat!($prefix, "/schedules/{id}"), Needs::Permission(TasksRead), schedules::one)
            .put(concat!($prefix, "/schedules/{id}"), Needs::Permission(TasksWrite), schedules::one)
            .delete(concat!($prefix, "/schedules/{id}"), Needs::Permission(TasksWrite), schedules::one)
            .post(concat!($prefix, "/deliberations"), Needs::Permission(TasksWrite), deliberations::create)
            .get(concat!($prefix, "/deliberations/{id}"), Needs::Permission(TasksRead), deliberations::one)
            .get(
                concat!($prefix, "/deliberations/{id}/status"),
                Needs::Permission(TasksRead),
                deliberations::status,
            )
            .get(
                concat!($prefix, "/deliberations/{id}/transcript"),
                Needs::Permission(TasksRead),
                deliberations::one,
            )
            .get(concat!($prefix, "/notifications"), Needs::Permission(EventsRead), notifications::list)
            .get(
                concat!($prefix, "/notifications/stats"),
                Needs::Permission(EventsRead),
                notifications::stats,
            )
            .get(concat!($prefix, "/stream"), Needs::Permission(EventsRead).long().own(), stream::stream)
    };
}

/// Returns all routes of the facade, under both prefixes.
pub fn routes() -> Routes {
    let routes = under!("/api/control-plane").merge(under!("/api/v1/control-plane")).get(
        STREAM_PATH,
        Needs::Permission(EventsRead).long().own(),
        stream::stream,
    );
    PREFIXES
        .into_iter()
        .chain([STREAM_PATH])
        .fold(routes, |routes, path| routes.problems_under(path, shape::shaped))
}

/// Something that this system does not have yet; `what` begins the sentence.
fn not_yet(what: &str) -> Problem {
    Problem::new(
        StatusCode::NOT_IMPLEMENTED,
        "not_implemented",
        "Not implemented",
        format!("{what} are not available in this version"),
        "see docs/CONTROL_PLANE.md for what is",
    )
}

/// Something that a request must say and does not, or says wrongly; the text is the whole answer.
fn invalid(text: impl Into<String>) -> Problem {
    Problem::new(
        StatusCode::BAD_REQUEST,
        "invalid",
        "Invalid request",
        text,
        "correct it and send again; docs/CONTROL_PLANE.md says what is taken",
    )
}

/// Something that does not go with how things stand; the text is the whole answer.
fn conflict(code: &'static str, text: impl Into<String>) -> Problem {
    let hint = "read the task or agent to see how it stands";
    Problem::new(StatusCode::CONFLICT, code, "Conflict", text, hint)
}

/// Something that is not there; the text is the whole answer.
fn missing(code: &'static str, text: impl Into<String>) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, code, "Not found", text, "check the id")
}
