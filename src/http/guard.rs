//! What every request passes first and every answer last, whatever its route and method.
//!
//! ```text
//!  request ─► name it ─► Host? ─► Origin? ─► route ─► write its problem ─► headers ─► log ─► answer
//! ```
//!
//! A web page in somebody's browser can reach a server on loopback, under any name that its owner makes point
//! there. Host and Origin are looked at on every method, so that no such page gets an answer, and it would still
//! lack a token. A panic is one failed request and not the end of the node.

mod hosts;
mod origins;
mod seen;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use futures::FutureExt;

use crate::http::problem::{Forms, RequestName, finish};
use crate::http::{Context, Peer, Problem, Routes};
use hosts::Hosts;
use origins::Origins;
use seen::Seen;

/// Where the id of a request stands in its answer.
const REQUEST_ID: &str = "x-request-id";

/// No page may be made of what the API answers, nor show it inside another.
const CONTENT_POLICY: HeaderValue = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");

/// Who is let in.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Names of this server besides loopback's and the address a connection came to; `name` or `name:port`.
    pub hosts: Vec<String>,
    /// Origins of web pages that may call besides this server's own, as `https://name[:port]`.
    pub origins: Vec<String>,
    /// The port that is served.
    pub port: u16,
    /// Whether it is served over TLS.
    pub tls: bool,
}

/// Says that a name or an origin is not one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A host is not `name` or `name:port`.
    #[error("{0:?} is not a host; write it like synod.example.com or synod.example.com:8443")]
    Host(String),
    /// An origin is not `scheme://name[:port]`.
    #[error("{0:?} is not an origin; write it like https://console.example.com")]
    Origin(String),
}

#[derive(Debug)]
struct Guard {
    context: Context,
    forms: Forms,
    hosts: Hosts,
    origins: Origins,
}

/// Puts the guard in front of `routes`.
///
/// # Errors
/// When a name or an origin of the options is not one.
pub fn app(routes: Routes, context: Context, options: &Options) -> Result<Router, Error> {
    let (router, forms) = routes.into_router(context.clone());
    around(router, forms, context, options)
}

/// Puts the guard in front of a router.
///
/// # Errors
/// When a name or an origin of the options is not one.
pub(super) fn around(
    router: Router,
    forms: Forms,
    context: Context,
    options: &Options,
) -> Result<Router, Error> {
    let hosts = Hosts::new(options)?;
    let origins = Origins::new(options)?;
    let guard = Arc::new(Guard { context, forms, hosts, origins });
    Ok(router.layer(middleware::from_fn_with_state(guard, stand)))
}

/// Looks whether the names and origins of `options` are such.
///
/// # Errors
/// When one is not.
pub fn check(options: &Options) -> Result<(), Error> {
    Hosts::new(options)?;
    Origins::new(options)?;
    Ok(())
}

async fn stand(State(guard): State<Arc<Guard>>, mut request: Request, next: Next) -> Response {
    let name = RequestName(guard.context.node().new_request_id().to_string().into());
    let form = guard.forms.of(request.uri().path());
    let seen = Seen::of(&request);
    let answer = match guard.look_at(&request) {
        Err(problem) => problem.into_response(),
        Ok(()) => {
            request.extensions_mut().insert(name.clone());
            // Nothing that a handler shares is left half done by its panic but what has a lock of its own.
            AssertUnwindSafe(next.run(request)).catch_unwind().await.unwrap_or_else(|panic| {
                Problem::internal(&format!("panic: {}", said(&*panic))).into_response()
            })
        }
    };
    let (mut answer, problem) = finish(answer, form, &name.0);
    secure(answer.headers_mut(), &name.0);
    seen.tell(&answer, problem.as_ref(), &name.0);
    answer
}

impl Guard {
    fn look_at(&self, request: &Request) -> Result<(), Problem> {
        let local = request.extensions().get::<Peer>().map(|peer| peer.local.ip());
        let host = self.hosts.check(request, local)?;
        self.origins.check(request, &host)
    }
}

fn secure(headers: &mut HeaderMap, request_id: &str) {
    if let Ok(id) = HeaderValue::from_str(request_id) {
        headers.insert(REQUEST_ID, id);
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // A page or a stream may bring stricter or looser ones of its own.
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(CONTENT_POLICY);
}

fn said(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&'static str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("without words")
}

/// Returns the pattern of the route that a request met.
fn route(request: &Request) -> Option<MatchedPath> {
    request.extensions().get::<MatchedPath>().cloned()
}
