//! What stands between the router and a handler: token, rate, permission, then the body.
//!
//! ```text
//!  request ─► token? ─► too many? ─► allowed? ─► body within size and time ─► handler within its time
//! ```
//!
//! The order matters: a body is read only for those who may send one.

use std::pin::Pin;

use axum::body::{Body, HttpBody, to_bytes};
use axum::extract::Request;
use axum::handler::Handler;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use http_body_util::LengthLimitError;

use crate::http::caller::Accessor;
use crate::http::{Caller, Context, Needs, Peer, Problem, Terms};

/// A handler behind what its route needs.
#[derive(Debug, Clone)]
pub(super) struct Checked<H> {
    terms: Terms,
    handler: H,
}

impl<H> Checked<H> {
    pub(super) const fn new(terms: Terms, handler: H) -> Self {
        Self { terms, handler }
    }
}

impl<H: Handler<T, Context>, T: 'static> Handler<T, Context> for Checked<H> {
    type Future = Pin<Box<dyn Future<Output = Response> + Send>>;

    fn call(self, request: Request, context: Context) -> Self::Future {
        let Self { terms, handler } = self;
        Box::pin(async move {
            let mut request = request;
            let accessor = match admit(terms.needs, &context, &mut request) {
                Ok(accessor) => accessor,
                Err(problem) => return problem.into_response(),
            };
            let mut response = serve(terms, handler, request, context).await;
            if let Some(accessor) = accessor {
                response.extensions_mut().insert(accessor);
            }
            response
        })
    }
}

async fn serve<H: Handler<T, Context>, T: 'static>(
    terms: Terms,
    handler: H,
    request: Request,
    context: Context,
) -> Response {
    let patience = context.options().timeout;
    let whole = tokio::time::timeout(patience, whole(request, context.options().body_bytes));
    let request = match whole.await {
        Ok(Ok(request)) => request,
        Ok(Err(problem)) => return problem.into_response(),
        Err(_) => return Problem::slow_body(patience).into_response(),
    };
    if terms.long {
        return handler.call(request, context).await;
    }
    match tokio::time::timeout(patience, handler.call(request, context)).await {
        Ok(response) => response,
        Err(_) => Problem::timed_out(patience).into_response(),
    }
}

/// Lets a request pass whose caller has what the route needs, and puts the caller into it.
fn admit(needs: Needs, context: &Context, request: &mut Request) -> Result<Option<Accessor>, Problem> {
    if needs == Needs::Nothing {
        return Ok(None);
    }
    let caller = Caller::find(context, request.headers()).map_err(|problem| {
        // Only who shows no valid token is slowed down: an address may be shared by many.
        let peer = request.extensions().get::<Peer>().map(|peer| peer.remote.ip());
        peer.and_then(|peer| context.rates().failed(peer).err()).unwrap_or(problem)
    })?;
    context.rates().asked(&caller.accessor)?;
    if let Needs::Permission(permission) = needs
        && !caller.may(permission)
    {
        return Err(Problem::not_allowed(permission));
    }
    // From here on nobody needs it, and what is not there is not logged.
    request.headers_mut().remove(header::AUTHORIZATION);
    let accessor = Accessor(caller.accessor.clone());
    request.extensions_mut().insert(caller);
    Ok(Some(accessor))
}

/// Reads the body, at most `bytes_max` of it.
async fn whole(request: Request, bytes_max: usize) -> Result<Request, Problem> {
    if request.body().is_end_stream() {
        return Ok(request);
    }
    let (parts, body) = request.into_parts();
    // What is announced as too large is not read at all.
    if usize::try_from(body.size_hint().lower()).map_or(true, |announced| announced > bytes_max) {
        return Err(Problem::body_too_large(bytes_max));
    }
    let bytes = to_bytes(body, bytes_max).await.map_err(|error| {
        let error = error.into_inner();
        if error.is::<LengthLimitError>() {
            Problem::body_too_large(bytes_max)
        } else {
            Problem::bad_request("the body", "it did not arrive whole")
        }
    })?;
    Ok(Request::from_parts(parts, Body::from(bytes)))
}
