//! Serving what other regions hand over, with the routes of this node.

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use async_trait::async_trait;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures::FutureExt;
use synod_domain::name::Name;
use tower::ServiceExt;

use super::NATIVE;
use super::far::{ANSWERED, picked};
use crate::http::problem::{Forms, RequestName, finish};
use crate::http::{Caller, Context, Problem};
use crate::node::elsewhere::{HandedAnswer, HandedRequest, Principal, Serving};

/// The largest answer that is handed back: more than any result that tasks have in their thousands. A larger one is
/// fetched in its own region.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// Marks a request that another region handed over, with who asks.
#[derive(Debug, Clone)]
pub(in crate::http) struct HandedOver(pub(in crate::http) Caller);

/// The routes, for those requests.
pub(in crate::http) struct Served {
    router: Router,
    forms: Forms,
    context: Context,
}

/// The longest name of a caller: a region's, and a token's id or the word for a token of the settings, with room.
const ACCESSOR_BYTES_MAX: usize = 256;

/// What hands out whatever tasks hold, strict ones among them, and why it is not served to other regions.
const INSIDE: [(&str, &str); 3] = [
    ("/api/v1/tasks/claim", CLAIMS),
    ("/api/v1/control-plane/tasks/claim", CLAIMS),
    ("/api/v1/cluster/backup", "a backup holds strict tasks too: ask a node of its region itself"),
];
const CLAIMS: &str =
    "work is claimed in its own region, whose strict tasks do not leave it: ask one of its nodes itself";

/// Where tokens are made and changed.
const TOKENS: &str = "/api/v1/tokens";

impl fmt::Debug for Served {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Served").finish_non_exhaustive()
    }
}

impl Served {
    pub(in crate::http) fn with(router: Router, forms: Forms, context: Context) -> Arc<dyn Serving> {
        Arc::new(Self { router, forms, context })
    }

    async fn respond(&self, from: &Name, handed: HandedRequest) -> Response {
        let name = RequestName(self.context.node().new_request_id().to_string().into());
        let form = self.forms.of(handed.target.split('?').next().unwrap_or_default());
        // A refusal has no body until it is finished, whoever refuses.
        finish(self.answered(from, handed, name.clone()).await, form, &name.0).0
    }

    async fn answered(&self, from: &Name, handed: HandedRequest, name: RequestName) -> Response {
        let Principal { accessor, permissions } = handed.principal;
        // Rates and logs go by it: a region speaks for its own callers alone.
        let is_theirs = accessor.strip_prefix(from.as_str()).is_some_and(|rest| rest.starts_with('/'));
        if !is_theirs || accessor.len() > ACCESSOR_BYTES_MAX {
            return Problem::bad_request("what was handed over", "its caller is not one of that region")
                .into_response();
        }
        let mut request = Request::builder().method(handed.method.as_str()).uri(handed.target.as_str());
        for (name, value) in &handed.headers {
            request = request.header(name, value);
        }
        let Ok(mut request) = request.body(Body::from(handed.body)) else {
            return Problem::bad_request("what was handed over", "it is no request").into_response();
        };
        // Nothing but this API is served to other regions.
        if !request.uri().path().starts_with(NATIVE) {
            return Problem::no_route(request.method(), request.uri().path()).into_response();
        }
        // What is made here must not outlive the token that made it, and that one is known only where it is from.
        if request.method() == Method::POST && request.uri().path().starts_with(TOKENS) {
            let why = "tokens are made by whoever has a token of their region: ask one of its nodes itself";
            return Problem::bad_request("region", why).into_response();
        }
        if let Some((_, why)) = INSIDE.iter().find(|(path, _)| *path == request.uri().path()) {
            return Problem::bad_request("region", why).into_response();
        }
        let caller = Caller::of_region(accessor.into(), permissions);
        request.extensions_mut().insert(HandedOver(caller));
        request.extensions_mut().insert(name);
        let answered = AssertUnwindSafe(self.router.clone().oneshot(request)).catch_unwind().await;
        match answered {
            Ok(Ok(response)) => response,
            Ok(Err(never)) => match never {},
            Err(_) => Problem::internal("a handler panicked").into_response(),
        }
    }
}

#[async_trait]
impl Serving for Served {
    async fn serve(&self, from: &Name, request: HandedRequest) -> HandedAnswer {
        tracing::debug!(region = %from, method = %request.method, target = %request.target, "handed over");
        let response = self.respond(from, request).await;
        let kind = response.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let is_endless = kind.is_some_and(|kind| kind.starts_with("text/event-stream"));
        if is_endless || response.status() == StatusCode::SWITCHING_PROTOCOLS {
            return plain(StatusCode::BAD_REQUEST, "streams are not handed to other regions");
        }
        let (parts, body) = response.into_parts();
        match to_bytes(body, ANSWER_BYTES_MAX).await {
            Ok(bytes) => HandedAnswer {
                status: parts.status.as_u16(),
                headers: picked(&parts.headers, &ANSWERED),
                body: Vec::from(bytes),
            },
            Err(_) => {
                plain(StatusCode::BAD_GATEWAY, "the answer is too large to be handed to another region")
            }
        }
    }
}

fn plain(status: StatusCode, text: &str) -> HandedAnswer {
    let headers = vec![("content-type".to_owned(), "text/plain; charset=utf-8".to_owned())];
    HandedAnswer { status: status.as_u16(), headers, body: text.as_bytes().to_vec() }
}
