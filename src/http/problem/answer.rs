//! How a problem travels.
//!
//! A handler answers with the status alone and leaves the [`Problem`] in the response; the guard writes the
//! body once, when it knows the request id and in which form the path's clients read problems.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::http::Problem;

/// The id of the request, as it stands in the answer's header `X-Request-Id`, in problems and in the log.
#[derive(Debug, Clone)]
pub struct RequestName(pub Arc<str>);

/// Writes a problem as the clients of some paths read it; takes the request id too. Status and the headers
/// `Retry-After` and `WWW-Authenticate` are set afterwards unless the form sets them.
pub type ProblemForm = fn(&Problem, &str) -> Response;

/// Which form is used below which path.
#[derive(Debug, Clone, Default)]
pub(in crate::http) struct Forms(Vec<(&'static str, ProblemForm)>);

impl Forms {
    pub(in crate::http) fn add(&mut self, prefix: &'static str, form: ProblemForm) {
        self.0.push((prefix, form));
    }

    pub(in crate::http) fn extend(&mut self, others: Self) {
        self.0.extend(others.0);
    }

    /// Returns the form for `path`: that of the longest prefix that ends with a whole segment.
    pub(in crate::http) fn of(&self, path: &str) -> ProblemForm {
        let below = |prefix: &str| {
            path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let fitting = self.0.iter().filter(|(prefix, _)| below(prefix));
        fitting.max_by_key(|(prefix, _)| prefix.len()).map_or(native, |(_, form)| *form)
    }
}

/// The form of the native API, as RFC 9457 says.
fn native(problem: &Problem, request_id: &str) -> Response {
    let mut response = (problem.status, Json(problem.body(request_id))).into_response();
    let kind = HeaderValue::from_static("application/problem+json");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

/// Writes the body if the response is a problem's, and returns the problem.
pub(in crate::http) fn finish(
    mut response: Response,
    form: ProblemForm,
    request_id: &str,
) -> (Response, Option<Problem>) {
    let Some(problem) = response.extensions_mut().remove::<Problem>() else {
        return (response, None);
    };
    let (mut parts, _) = response.into_parts();
    let (written, body) = form(&problem, request_id).into_parts();
    parts.status = written.status;
    parts.headers.extend(written.headers);
    // The empty body that is replaced had a length.
    if !parts.headers.contains_key(header::TRANSFER_ENCODING) {
        parts.headers.remove(header::CONTENT_LENGTH);
    }
    (Response::from_parts(parts, body), Some(problem))
}

impl IntoResponse for Problem {
    /// Answers without a body; the guard writes it.
    fn into_response(self) -> Response {
        let mut response = (self.status, Body::empty()).into_response();
        let headers = response.headers_mut();
        if let Some(wait) = self.retry_after_ms {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(wait.div_ceil(1000)));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response.extensions_mut().insert(self);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn other(problem: &Problem, request_id: &str) -> Response {
        (StatusCode::IM_A_TEAPOT, format!("{} {request_id}", problem.code())).into_response()
    }

    async fn text(response: Response) -> String {
        let bytes = axum::body::to_bytes(response.into_body(), 1 << 16).await.expect("body");
        String::from_utf8(bytes.to_vec()).expect("text")
    }

    #[tokio::test]
    async fn the_form_of_the_longest_prefix_counts_and_ends_with_a_segment() {
        let mut forms = Forms::default();
        forms.add("/old", other);
        for (path, status) in [("/old", 418), ("/old/x", 418), ("/older", 401), ("/", 401)] {
            let (response, problem) = finish(Problem::no_token().into_response(), forms.of(path), "req_1");
            assert_eq!(response.status().as_u16(), status, "{path}");
            assert_eq!(response.headers()[header::WWW_AUTHENTICATE], "Bearer", "{path}");
            assert_eq!(problem.expect("a problem").code(), "no_token");
            assert!(text(response).await.contains("req_1"));
        }
    }

    #[tokio::test]
    async fn what_is_no_problem_stays_as_it_is() {
        let (response, problem) = finish("hello".into_response(), native, "req_1");
        assert!(problem.is_none());
        assert_eq!(text(response).await, "hello");
    }
}
