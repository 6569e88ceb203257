//! What stands between the router and a handler: token, rate, permission, then the body.
//!
//! ```text
//!  request ─► token? ─► too many? ─► allowed? ─► body within size and time ─► fresh? named? ─► handler within its time
//! ```
//!
//! The order matters: a body is read only for those who may send one. What is not known to be done is answered with how
//! this route is asked again.

use std::pin::Pin;
use std::time::Duration;

use axum::body::{Body, HttpBody, to_bytes};
use axum::extract::Request;
use axum::handler::Handler;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use http_body_util::LengthLimitError;

use crate::http::caller::Accessor;
use crate::http::consistency::Consistency;
use crate::http::idempotency::{Again, Once};
use crate::http::reach;
use crate::http::regions::{self, About, HandedOver, Wish};
use crate::http::{Caller, Context, Needs, Peer, Problem, Terms};
use crate::node::asking;

/// How long who shows an unknown token is made to wait until this node knows all tokens: some round trips to the
/// leader. Longer holds connections of those who guess.
const CATCH_UP_PATIENCE: Duration = Duration::from_secs(1);

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
            let caller = match admit(terms.needs, &context, &mut request).await {
                Ok(caller) => caller,
                Err(problem) => return problem.into_response(),
            };
            if let Some(workspace) = caller.as_ref().and_then(Caller::workspace) {
                request = match terms.reach.check(&context, workspace, request).await {
                    Ok(request) => request,
                    Err(problem) => return problem.into_response(),
                };
            }
            let again = terms.again(request.method());
            let asks = caller.as_ref().map(|caller| caller.actor(&source(&request)));
            let served = serve(terms, handler, request, context);
            let mut response = match asks {
                Some(actor) => asking(actor, served).await,
                None => served.await,
            };
            if let Some(problem) = response.extensions_mut().get_mut::<Problem>() {
                problem.say_how_to_ask_again(again);
            }
            if let Some(caller) = caller {
                response.extensions_mut().insert(Accessor(caller.accessor));
            }
            response
        })
    }
}

/// Says where a request comes from, as far as this node knows.
fn source(request: &Request) -> String {
    let peer = request.extensions().get::<Peer>();
    peer.map(|peer| peer.remote.ip().to_string()).unwrap_or_default()
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
        return near_or_far(terms, handler, request, context).await;
    }
    match tokio::time::timeout(patience, near_or_far(terms, handler, request, context)).await {
        Ok(response) => response,
        Err(_) => Problem::timed_out(patience).into_response(),
    }
}

/// Has the request answered by the region that it is for: mostly this one.
async fn near_or_far<H: Handler<T, Context>, T: 'static>(
    terms: Terms,
    handler: H,
    request: Request,
    context: Context,
) -> Response {
    let mut request = request;
    // What comes from another region is not handed on.
    if request.extensions().get::<HandedOver>().is_some() {
        return fresh(terms, handler, request, context).await;
    }
    // Who is bound to a workspace of this region has none in another.
    let bound = request.extensions().get::<Caller>().and_then(|caller| caller.workspace().cloned());
    match (Wish::take(&mut request, context.node().region()), bound) {
        (Err(problem), _) => problem.into_response(),
        (Ok(Wish::Here), Some(_)) => fresh(terms, handler, request, context).await,
        (Ok(Wish::There(_) | Wish::Everywhere), Some(workspace)) => reach::bound(&workspace).into_response(),
        (Ok(Wish::Here), None) => {
            let (request, about) = About::copy(request).await;
            let response = fresh(terms, handler, request, context.clone()).await;
            match about {
                Some(about) => regions::follow(&context, about, response).await,
                None => response,
            }
        }
        (Ok(Wish::There(region)), None) => regions::ask(&context, &region, request).await,
        (Ok(Wish::Everywhere), None) if terms.gathered => {
            let here = |request| fresh(terms, handler, request, context.clone());
            regions::gather(&context, request, here).await
        }
        (Ok(Wish::Everywhere), None) => regions::refused(),
    }
}

/// Calls the handler when what it reads is as fresh as the request asks.
async fn fresh<H: Handler<T, Context>, T: 'static>(
    terms: Terms,
    handler: H,
    request: Request,
    context: Context,
) -> Response {
    let mut request = request;
    if !terms.reads(request.method()) {
        if terms.again(request.method()) == Again::Once {
            match name(&context, &request) {
                Ok(once) => request.extensions_mut().insert(once),
                Err(problem) => return problem.into_response(),
            };
        }
        return handler.call(request, context).await;
    }
    let reached = match Consistency::take(&mut request) {
        Ok(consistency) => consistency.reach(&context).await.map(|()| consistency),
        Err(problem) => Err(problem),
    };
    let consistency = match reached {
        Ok(consistency) => consistency,
        Err(problem) => return problem.into_response(),
    };
    // What was caught up with may have taken the caller's right away.
    if request.extensions().get::<Caller>().is_some_and(|caller| !caller.is_valid(context.node())) {
        return Problem::token_unknown().into_response();
    }
    let mut response = handler.call(request, context.clone()).await;
    consistency.mark(&context, &mut response);
    response
}

/// Names a request, so that its changes count once.
fn name(context: &Context, request: &Request) -> Result<Once, Problem> {
    let caller = request.extensions().get::<Caller>().ok_or_else(Problem::no_token)?;
    Once::of(context, caller, request.method(), request.uri().path(), request.headers())
}

/// Lets a request pass whose caller has what the route needs, and puts the caller into it.
async fn admit(needs: Needs, context: &Context, request: &mut Request) -> Result<Option<Caller>, Problem> {
    if needs == Needs::Nothing {
        return Ok(None);
    }
    let handed = request.extensions().get::<HandedOver>().map(|handed| handed.0.clone());
    let caller = match handed.map_or_else(|| Caller::find(context, request.headers()), Ok) {
        Ok(caller) => caller,
        Err(problem) => {
            // Only who shows no valid token is slowed down: an address may be shared by many.
            let peer = request.extensions().get::<Peer>().map(|peer| peer.remote.ip());
            if let Some(flood) = peer.and_then(|peer| context.rates().failed(peer).err()) {
                return Err(flood);
            }
            find_again(context, request.headers().clone(), problem).await?
        }
    };
    context.rates().asked(&caller.accessor)?;
    if let Needs::Permission(permission) = needs
        && !caller.may(permission)
    {
        return Err(Problem::not_allowed(permission));
    }
    // From here on nobody needs it, and what is not there is not logged.
    request.headers_mut().remove(header::AUTHORIZATION);
    request.extensions_mut().insert(caller.clone());
    Ok(Some(caller))
}

/// Looks for a token once more when this node has caught up: another node may have made it a moment ago.
async fn find_again(context: &Context, headers: HeaderMap, problem: Problem) -> Result<Caller, Problem> {
    let follows = context.node().staleness().is_some();
    if !follows || !headers.contains_key(header::AUTHORIZATION) {
        return Err(problem);
    }
    match tokio::time::timeout(CATCH_UP_PATIENCE, context.node().linearize()).await {
        Ok(Ok(())) => Caller::find(context, &headers),
        Ok(Err(_)) | Err(_) => Err(problem),
    }
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
