//! Handing a request to another region, and giving its answer to the client.

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use synod_domain::id::TaskId;
use synod_domain::name::Name;

use super::escape::escaped;
use super::{NATIVE, REGION};
use crate::http::compat::control_plane;
use crate::http::idempotency::IDEMPOTENCY_KEY;
use crate::http::{Caller, Context, Problem};
use crate::node::elsewhere::{HandedAnswer, HandedRequest, Principal};

/// The headers of a request that its routes look at.
const ASKED: [&str; 4] = ["content-type", "accept", IDEMPOTENCY_KEY, "if-none-match"];

/// The headers of an answer that clients look at.
pub(super) const ANSWERED: [&str; 7] = [
    "content-type",
    "content-disposition",
    "etag",
    "location",
    "retry-after",
    "synod-state-age-ms",
    "cache-control",
];

/// The routes that never end their answer by themselves.
const STREAMS: &str = "/api/v1/events";

/// The routes of one task, whose ids may lead to another region; the older API has some below each of its prefixes.
const TASKS: &str = "/api/v1/tasks/";
const OLDER_TASKS: &str = "/tasks/";

fn is_of_one_task(path: &str) -> bool {
    let is_older =
        |prefix: &&str| path.strip_prefix(*prefix).is_some_and(|rest| rest.starts_with(OLDER_TASKS));
    path.starts_with(TASKS) || control_plane::PREFIXES.iter().any(is_older)
}

/// Returns the place under which another region serves what is asked for: all of it is below one prefix.
fn served_at(target: &str) -> String {
    match target.strip_prefix("/api/") {
        Some(rest) if !target.starts_with(NATIVE) => format!("{NATIVE}{rest}"),
        Some(_) | None => target.to_owned(),
    }
}

/// Has a request answered by another region, as its caller.
pub(in crate::http) async fn ask(context: &Context, region: &Name, request: Request) -> Response {
    if request.uri().path().starts_with(STREAMS) {
        let why = "streams are not handed to other regions; ask a node of that region";
        return Problem::bad_request("region", why).into_response();
    }
    let (parts, body) = request.into_parts();
    let Some(caller) = parts.extensions.get::<Caller>() else { return Problem::no_token().into_response() };
    if let Err(refusal) = context.node().check_known(region) {
        return Problem::from(refusal).into_response();
    }
    let handed = HandedRequest {
        method: parts.method.to_string(),
        target: target_of(&parts.uri),
        headers: picked(&parts.headers, &ASKED),
        // It has been read already, within its bound.
        body: to_bytes(body, usize::MAX).await.map(Vec::from).unwrap_or_default(),
        principal: principal(context, caller),
    };
    match context.node().ask_region(region, handed).await {
        Ok(answer) => shown(region, answer),
        Err(error) => Problem::from(error).into_response(),
    }
}

/// Names the caller as other regions shall know them.
pub(super) fn principal(context: &Context, caller: &Caller) -> Principal {
    let accessor = format!("{}/{}", context.node().region(), caller.accessor);
    Principal { accessor, permissions: caller.permissions().clone() }
}

/// Returns path and query.
pub(super) fn target_of(uri: &axum::http::Uri) -> String {
    uri.path_and_query().map_or_else(|| uri.path().to_owned(), ToString::to_string)
}

/// Picks headers that are text.
pub(super) fn picked(headers: &HeaderMap, names: &[&str]) -> Vec<(String, String)> {
    let text = |name: &&str| Some(((*name).to_owned(), headers.get(*name)?.to_str().ok()?.to_owned()));
    names.iter().filter_map(text).collect()
}

/// Says where something is that is at a place of another region.
pub(in crate::http) fn located(place: &str, region: &str) -> String {
    let joint = if place.contains('?') { '&' } else { '?' };
    format!("{place}{joint}region={}", escaped(region))
}

/// Makes a response of what another region answered.
fn shown(region: &Name, answer: HandedAnswer) -> Response {
    let Some(status) = StatusCode::from_u16(answer.status).ok().filter(|status| !status.is_informational())
    else {
        return Problem::internal("another region answered with no status of HTTP").into_response();
    };
    let mut response = (status, Body::from(answer.body)).into_response();
    let headers = response.headers_mut();
    for (name, text) in answer.headers {
        if !ANSWERED.contains(&name.as_str()) {
            continue;
        }
        // Where something is in that region is found from here with its name.
        let text = if name == header::LOCATION.as_str() { located(&text, region.as_str()) } else { text };
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(text)) {
            headers.insert(name, value);
        }
    }
    if let Ok(value) = HeaderValue::try_from(region.as_str()) {
        headers.insert(REGION, value);
    }
    response
}

/// A request about one task, kept in case the task is in another region.
#[derive(Debug)]
pub(in crate::http) struct About {
    method: Method,
    target: String,
    headers: Vec<(String, String)>,
    body: Bytes,
    caller: Caller,
}

impl About {
    /// Keeps a copy of a request, if it is about one task.
    pub(in crate::http) async fn copy(request: Request) -> (Request, Option<Self>) {
        let is_one = is_of_one_task(request.uri().path());
        let Some(caller) = request.extensions().get::<Caller>().filter(|_| is_one).cloned() else {
            return (request, None);
        };
        let (parts, body) = request.into_parts();
        // It has been read already, within its bound.
        let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
        let about = Self {
            method: parts.method.clone(),
            target: served_at(&target_of(&parts.uri)),
            headers: picked(&parts.headers, &ASKED),
            body: body.clone(),
            caller,
        };
        (Request::from_parts(parts, Body::from(body)), Some(about))
    }
}

/// Follows the pointer of a task, or the offer of one, when that is why a request was not done here.
pub(in crate::http) async fn follow(context: &Context, about: About, response: Response) -> Response {
    let elsewhere = response.extensions().get::<Problem>().and_then(Problem::elsewhere).cloned();
    let Some((task, region)) = elsewhere else { return response };
    let pointer = context
        .node()
        .read(|state| state.pointer(task).map(|pointer| (pointer.region.clone(), pointer.known_as)));
    let is_there = pointer.is_some();
    let (region, known_as) = pointer.unwrap_or((region, task));
    let handed = HandedRequest {
        method: about.method.to_string(),
        target: renamed(&about.target, task, known_as),
        headers: about.headers,
        body: Vec::from(about.body),
        principal: principal(context, &about.caller),
    };
    match context.node().ask_region(&region, handed).await {
        // It was offered and has not come there, so nothing was done anywhere.
        Ok(answer) if answer.status == StatusCode::NOT_FOUND.as_u16() && !is_there => {
            Problem::on_its_way(task, &region).into_response()
        }
        Ok(answer) => shown(&region, answer),
        Err(error) => Problem::from(error).into_response(),
    }
}

fn renamed(target: &str, task: TaskId, known_as: TaskId) -> String {
    if task == known_as {
        target.to_owned()
    } else {
        target.replacen(&task.to_string(), &known_as.to_string(), 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_of_one_task_are_those_of_both_apis_and_all_are_served_below_one_prefix() {
        for (path, served) in [
            ("/api/v1/tasks/x", "/api/v1/tasks/x"),
            ("/api/control-plane/tasks/x/cancel?a=b", "/api/v1/control-plane/tasks/x/cancel?a=b"),
            ("/api/v1/control-plane/tasks/x", "/api/v1/control-plane/tasks/x"),
        ] {
            assert!(is_of_one_task(path), "{path}");
            assert_eq!(served_at(path), served);
        }
        for path in ["/api/v1/tasks", "/api/control-plane/tasks", "/api/v1/pools/x", "/tasks/x"] {
            assert!(!is_of_one_task(path), "{path}");
        }
    }
}
