//! Why a request was not done, as its sender is told.
//!
//! What is told outside is what the caller can act on; what only an operator can act on goes to the log. Which
//! error becomes which problem stands in `problem/table.rs`, how a problem travels in `problem/answer.rs`.

mod answer;
mod table;

pub(in crate::http) use answer::{Forms, finish};
pub use answer::{ProblemForm, RequestName};

use std::time::Duration;

use axum::http::{Method, StatusCode};
use synod_domain::id::TaskId;
use synod_domain::name::Name;
use synod_domain::permission::Permission;

use crate::api;
use crate::http::idempotency::Again;

/// Why a request was not done; answers as RFC 9457 says.
#[derive(Debug, Clone)]
pub struct Problem {
    status: StatusCode,
    code: &'static str,
    title: &'static str,
    detail: String,
    hint: String,
    retry_after_ms: Option<u64>,
    /// The task that it is about and the region that can do it, when it is not done because the task is there.
    elsewhere: Option<Box<(TaskId, Name)>>,
}

impl Problem {
    /// Makes a problem that stands in no error type.
    pub fn new(
        status: StatusCode,
        code: &'static str,
        title: &'static str,
        detail: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self {
            status,
            code,
            title,
            detail: detail.into(),
            hint: hint.into(),
            retry_after_ms: None,
            elsewhere: None,
        }
    }

    /// Says when the same request may succeed.
    #[must_use]
    pub fn retry_after_ms(self, wait: u64) -> Self {
        Self { retry_after_ms: Some(wait), ..self }
    }

    /// Returns the task that it is about and the region that has it, when that is why it was not done.
    pub(super) fn elsewhere(&self) -> Option<&(TaskId, Name)> {
        self.elsewhere.as_deref()
    }

    /// Says what to do when it is not known whether it was done: that depends on the route.
    pub(super) fn say_how_to_ask_again(&mut self, again: Again) {
        if matches!(self.code, "outcome_unknown" | "timed_out" | "region_silent") {
            again.hint().clone_into(&mut self.hint);
        }
    }

    /// Says what happened in other words.
    #[must_use]
    pub(super) fn because(self, detail: String) -> Self {
        Self { detail, ..self }
    }

    /// There is no token.
    pub fn no_token() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "no_token",
            "Authentication required",
            "the request carries no token",
            "send the header `Authorization: Bearer TOKEN`; `synod token create` makes one",
        )
    }

    /// The token is not valid, whatever the reason: which one is nobody's business who has none.
    pub fn token_unknown() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "token_unknown",
            "Authentication required",
            "the token is not known, has expired or was revoked",
            "use a valid token; `synod token list` shows those that exist",
        )
    }

    /// The token does not allow it.
    pub fn not_allowed(permission: Permission) -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "not_allowed",
            "Permission denied",
            format!("the token does not allow {permission}"),
            "use a token that does, or have one made with `synod token create`",
        )
    }

    /// The request is not of the form that the route takes.
    pub fn bad_request(field: &str, why: impl std::fmt::Display) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "invalid",
            "Invalid request",
            format!("{field} is not valid: {why}"),
            "correct it and send again; /api/v1/openapi.json says what is taken",
        )
    }

    /// The task was offered to a region that does not know of it yet.
    pub(super) fn on_its_way(task: TaskId, region: &Name) -> Self {
        let problem = Self::new(
            StatusCode::CONFLICT,
            "task_on_its_way",
            "On its way to another region",
            format!("{task} was offered to region {region}, which does not have it yet"),
            "send it again in a moment",
        );
        problem.retry_after_ms(1000)
    }

    /// What the task holds is shown in its region alone, and whoever asks does so through another one.
    pub(super) fn withheld(task: TaskId, region: &Name) -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "withheld",
            "Withheld from other regions",
            format!("{task} is strict: what it holds does not leave region {region}"),
            format!("ask a node of region {region} itself, with a token of that region"),
        )
    }

    /// There is no such thing.
    pub fn not_found(code: &'static str, what: impl std::fmt::Display) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            code,
            "Not found",
            format!("there is no {what}"),
            "check the id or name",
        )
    }

    /// There is no such route.
    pub fn no_route(method: &Method, path: &str) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "no_route",
            "Not found",
            format!("there is no route {method} {path}"),
            "/api/v1/openapi.json lists the routes",
        )
    }

    /// There is such a path, and it does not take this method.
    pub fn no_method(method: &Method, path: &str) -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "no_method",
            "Method not allowed",
            format!("{path} does not take {method}"),
            "the header Allow names the methods it takes",
        )
    }

    /// The request was sent under a name that is not this server's.
    pub(super) fn host_refused(why: impl std::fmt::Display) -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "host_refused",
            "Host refused",
            format!("the header Host is not one of this server's names: {why}"),
            "use the server's own address, or let the operator allow the name with --allow-host",
        )
    }

    /// The request comes from a web page that is not this server's.
    pub(super) fn origin_refused(why: impl std::fmt::Display) -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "origin_refused",
            "Origin refused",
            format!("requests of other web pages are not taken: {why}"),
            "call from a program, or let the operator allow the origin in http.allow_origins",
        )
    }

    /// The body is larger than the server takes.
    pub fn body_too_large(bytes_max: usize) -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too_large",
            "Body too large",
            format!("the body is larger than {bytes_max} bytes"),
            "send less in one request, or raise http.body_bytes on the server",
        )
    }

    /// The body took too long to arrive.
    pub(super) fn slow_body(patience: Duration) -> Self {
        Self::new(
            StatusCode::REQUEST_TIMEOUT,
            "slow_body",
            "Body too slow",
            format!("the body did not arrive within {patience:?}"),
            "send it again; nothing was done",
        )
    }

    /// The answer took too long.
    pub(super) fn timed_out(patience: Duration) -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "timed_out",
            "Timed out",
            format!("there was no answer within {patience:?}; whether it was done is unknown"),
            Again::Once.hint(),
        )
        .retry_after_ms(1_000)
    }

    /// The caller asks too often.
    pub(super) fn too_many(what: &str, wait: Duration) -> Self {
        let wait = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).max(1);
        Self::new(
            StatusCode::TOO_MANY_REQUESTS,
            "too_many_requests",
            "Too many requests",
            what,
            "send again after the time given; nothing was done",
        )
        .retry_after_ms(wait)
    }

    /// The caller holds too many streams open.
    pub(super) fn too_many_streams(most: usize) -> Self {
        Self::new(
            StatusCode::TOO_MANY_REQUESTS,
            "too_many_streams",
            "Too many streams",
            format!("this token holds {most} streams open already"),
            "close one, or raise http.streams_per_token on the server",
        )
        .retry_after_ms(1_000)
    }

    /// The server ends; whoever waits is sent away.
    pub fn stopping() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "stopping",
            "Node is stopping",
            "the node is stopping",
            "send it again when the node is back",
        )
        .retry_after_ms(1_000)
    }

    /// Something is wrong here; what, stands in the log.
    pub fn internal(what: &str) -> Self {
        tracing::error!(error = what, "a request failed inside the node");
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "Internal error",
            "the node failed to answer; its log says why",
            "try again; if it happens again, report it with the request id",
        )
    }

    /// Returns the stable code.
    pub const fn code(&self) -> &'static str {
        self.code
    }

    /// Returns the status.
    pub const fn status(&self) -> StatusCode {
        self.status
    }

    /// Returns what and why, for a person.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// Returns when the same request may succeed, where that is known.
    pub const fn retry_after(&self) -> Option<u64> {
        self.retry_after_ms
    }

    /// Returns the problem as it travels.
    pub fn body(&self, request_id: &str) -> api::Problem {
        api::Problem {
            kind: format!("urn:synod:problem:{}", self.code),
            title: self.title.to_owned(),
            status: self.status.as_u16(),
            detail: self.detail.clone(),
            code: self.code.to_owned(),
            hint: self.hint.clone(),
            request_id: request_id.to_owned(),
            retry_after_ms: self.retry_after_ms,
        }
    }
}
