//! The access log: one event for each request. Never a token, never a body, never a query.

use axum::extract::{MatchedPath, Request};
use axum::http::Method;
use axum::response::Response;
use tracing::Level;

use crate::clock::Stopwatch;
use crate::http::Problem;
use crate::http::caller::Accessor;

/// What is remembered of a request for its line; nothing when nobody listens.
pub(super) struct Seen(Option<Line>);

struct Line {
    method: Method,
    route: Option<MatchedPath>,
    watch: Stopwatch,
}

impl Seen {
    pub(super) fn of(request: &Request) -> Self {
        Self(tracing::enabled!(Level::DEBUG).then(|| Line {
            method: request.method().clone(),
            route: super::route(request),
            watch: Stopwatch::start(),
        }))
    }

    pub(super) fn tell(self, answer: &Response, problem: Option<&Problem>, request_id: &str) {
        let Some(Line { method, route, watch }) = self.0 else { return };
        let accessor = answer.extensions().get::<Accessor>().map_or("-", |accessor| &accessor.0);
        tracing::debug!(
            request = request_id,
            %method,
            // The pattern and not the path: a path may hold what a client should not have put there.
            route = route.as_ref().map_or("-", MatchedPath::as_str),
            status = answer.status().as_u16(),
            code = problem.map_or("-", Problem::code),
            micros = u64::try_from(watch.elapsed().as_micros()).unwrap_or(u64::MAX),
            accessor,
            "answered a request"
        );
    }
}
