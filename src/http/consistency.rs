//! How fresh what is read must be: as of now unless the request says that older will do.
//!
//! ```text
//!  GET ?consistency=…   linearizable (default) ─► wait until all that was acknowledged is applied here ─► handler
//!                       stale                  ─► handler, and the answer's header says how old it may be
//! ```
//!
//! The one place where reads are held back; handlers know nothing of it, and never see the parameter. Promises that
//! whoever reads after a change was acknowledged, to anybody by any node, sees it. Leaves alone what a node shows of
//! itself: health, its view of the cluster, streams of events.

use axum::extract::Request;
use axum::http::{HeaderValue, Uri};
use axum::response::Response;

use crate::http::{Context, Problem};

/// The parameter of the query.
const PARAMETER: &str = "consistency";

/// The header that says how old the state may be that an answer was read from, in milliseconds.
const AGE: &str = "synod-state-age-ms";

/// How fresh what is read must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Consistency {
    /// As of now: everything that was acknowledged before is in it.
    Linearizable,
    /// As this node has it.
    Stale,
}

impl Consistency {
    /// Takes the wish out of a request's query, so that no handler meets a parameter that it does not know.
    ///
    /// # Errors
    /// When it is neither of the two words, or stands there twice.
    pub(super) fn take(request: &mut Request) -> Result<Self, Problem> {
        let Some(query) = request.uri().query() else { return Ok(Self::Linearizable) };
        let is_ours = |pair: &&str| pair.split_once('=').map_or(*pair, |(name, _)| name) == PARAMETER;
        let (ours, rest): (Vec<&str>, Vec<&str>) = query.split('&').partition(is_ours);
        let consistency = match ours.as_slice() {
            [] => return Ok(Self::Linearizable),
            [one] => Self::read(one)?,
            [..] => return Err(Problem::bad_request(PARAMETER, "it stands there more than once")),
        };
        let path = request.uri().path();
        let place = if rest.is_empty() { path.to_owned() } else { format!("{path}?{}", rest.join("&")) };
        let mut parts = request.uri().clone().into_parts();
        let wrong = || Problem::bad_request("the query", "it is no query");
        parts.path_and_query = Some(place.parse().map_err(|_| wrong())?);
        *request.uri_mut() = Uri::from_parts(parts).map_err(|_| wrong())?;
        Ok(consistency)
    }

    fn read(pair: &str) -> Result<Self, Problem> {
        match pair.split_once('=').map_or("", |(_, value)| value) {
            "linearizable" => Ok(Self::Linearizable),
            "stale" => Ok(Self::Stale),
            other => {
                Err(Problem::bad_request(PARAMETER, format!("{other:?} is neither linearizable nor stale")))
            }
        }
    }

    /// Waits until what is read is as fresh as it must be.
    ///
    /// # Errors
    /// When nobody vouches for that in time.
    pub(super) async fn reach(self, context: &Context) -> Result<(), Problem> {
        match self {
            Self::Linearizable => context.node().linearize().await.map_err(|error| unvouched(context, error)),
            Self::Stale => Ok(()),
        }
    }

    /// Says in an answer how old what was read may be.
    pub(super) fn mark(self, context: &Context, response: &mut Response) {
        if self == Self::Linearizable {
            return;
        }
        let age = match context.node().staleness() {
            None => HeaderValue::from_static("0"),
            Some(age) => {
                u64::try_from(age.as_millis()).map_or(HeaderValue::from_static("unknown"), HeaderValue::from)
            }
        };
        response.headers_mut().insert(AGE, age);
    }
}

/// Says why nobody vouches for what this node knows, and what it waits for.
fn unvouched(context: &Context, error: crate::node::Error) -> Problem {
    let problem = Problem::from(error);
    match context.node().waits_for() {
        Some(what) if matches!(problem.code(), "not_leader" | "no_leader") => problem
            .because(format!("the node cannot tell whether what it knows is current: it waits for {what}")),
        Some(_) | None => problem,
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    fn take(place: &str) -> Result<(Consistency, String), Problem> {
        let mut request = Request::builder().uri(place).body(Body::empty()).expect("a request");
        let taken = Consistency::take(&mut request)?;
        Ok((taken, request.uri().to_string()))
    }

    #[test]
    fn the_wish_is_taken_out_and_the_rest_of_the_query_stays() {
        use Consistency::{Linearizable, Stale};
        for (place, wish, left) in [
            ("/tasks", Linearizable, "/tasks"),
            ("/tasks?limit=7", Linearizable, "/tasks?limit=7"),
            ("/tasks?consistency=stale", Stale, "/tasks"),
            ("/tasks?a=%2F&consistency=stale&b=c%20d", Stale, "/tasks?a=%2F&b=c%20d"),
            ("/tasks?consistency=linearizable&a=b", Linearizable, "/tasks?a=b"),
            ("/a%2Fb?consistency=stale", Stale, "/a%2Fb"),
        ] {
            assert_eq!(take(place).expect(place), (wish, left.to_owned()));
        }
    }

    #[test]
    fn another_word_or_two_of_them_are_refused_by_name() {
        for place in [
            "/x?consistency=eventual",
            "/x?consistency",
            "/x?consistency=",
            "/x?consistency=stale&consistency=stale",
        ] {
            let problem = take(place).expect_err(place);
            assert_eq!(problem.code(), "invalid");
            assert!(problem.detail().contains("consistency"), "{problem:?}");
        }
    }
}
