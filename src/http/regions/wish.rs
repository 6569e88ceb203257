//! Which region a request is for.

use std::collections::BTreeMap;

use axum::extract::{Query, Request};
use axum::http::Uri;
use synod_domain::name::Name;

use super::NATIVE;
use crate::http::Problem;

/// The parameter of the query.
const PARAMETER: &str = "region";

/// Which region a request is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::http) enum Wish {
    /// This one.
    Here,
    /// Another one.
    There(Name),
    /// All that can be reached, this one among them.
    Everywhere,
}

impl Wish {
    /// Takes the wish out of a request's query, so that no handler meets a parameter that it does not know.
    ///
    /// # Errors
    /// When it is no name, or stands there twice.
    pub(in crate::http) fn take(request: &mut Request, here: &Name) -> Result<Self, Problem> {
        if !request.uri().path().starts_with(NATIVE) {
            return Ok(Self::Here);
        }
        match take(request, PARAMETER)?.as_deref() {
            None => Ok(Self::Here),
            Some("*") => Ok(Self::Everywhere),
            Some(text) => {
                let region = Name::new(text).map_err(|error| Problem::bad_request(PARAMETER, error))?;
                Ok(if region == *here { Self::Here } else { Self::There(region) })
            }
        }
    }
}

/// Takes a parameter out of a request's query.
///
/// # Errors
/// When it stands there twice, or cannot be read.
pub(super) fn take(request: &mut Request, parameter: &str) -> Result<Option<String>, Problem> {
    let Some(query) = request.uri().query() else { return Ok(None) };
    let is_ours = |pair: &&str| pair.split_once('=').map_or(*pair, |(name, _)| name) == parameter;
    let (ours, rest): (Vec<&str>, Vec<&str>) = query.split('&').partition(is_ours);
    let pair = match ours.as_slice() {
        [] => return Ok(None),
        [one] => (*one).to_owned(),
        [..] => return Err(Problem::bad_request(parameter, "it stands there more than once")),
    };
    let wrong = || Problem::bad_request("the query", "it is no query");
    let path = request.uri().path();
    let place = if rest.is_empty() { path.to_owned() } else { format!("{path}?{}", rest.join("&")) };
    let mut parts = request.uri().clone().into_parts();
    parts.path_and_query = Some(place.parse().map_err(|_| wrong())?);
    *request.uri_mut() = Uri::from_parts(parts).map_err(|_| wrong())?;
    let alone: Uri = format!("/?{pair}").parse().map_err(|_| wrong())?;
    let Query(read) = Query::<BTreeMap<String, String>>::try_from_uri(&alone).map_err(|_| wrong())?;
    Ok(read.into_values().next())
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    fn wish(place: &str) -> Result<(Wish, String), Problem> {
        let mut request = Request::builder().uri(place).body(Body::empty()).expect("a request");
        let here = Name::new("us").expect("a name");
        let wish = Wish::take(&mut request, &here)?;
        Ok((wish, request.uri().to_string()))
    }

    #[test]
    fn the_region_is_taken_out_and_the_rest_of_the_query_stays() {
        let there = |text: &str| Wish::There(Name::new(text).expect("a name"));
        for (place, wanted, left) in [
            ("/api/v1/tasks", Wish::Here, "/api/v1/tasks"),
            ("/api/v1/tasks?region=us&limit=7", Wish::Here, "/api/v1/tasks?limit=7"),
            ("/api/v1/tasks?a=%2F&region=eu%2Fwest", there("eu/west"), "/api/v1/tasks?a=%2F"),
            ("/api/v1/tasks?region=*", Wish::Everywhere, "/api/v1/tasks"),
            ("/api/control-plane/tasks?region=eu", Wish::Here, "/api/control-plane/tasks?region=eu"),
        ] {
            assert_eq!(wish(place).expect(place), (wanted, left.to_owned()));
        }
    }

    #[test]
    fn what_is_no_region_is_refused_by_the_name_of_the_parameter() {
        for place in ["/api/v1/x?region=", "/api/v1/x?region", "/api/v1/x?region=eu&region=us"] {
            let problem = wish(place).expect_err(place);
            assert_eq!(problem.code(), "invalid");
            assert!(problem.detail().contains("region"), "{problem:?}");
        }
    }
}
