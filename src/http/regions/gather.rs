//! One list of what all regions have.
//!
//! A page holds what one page of each region holds. Its cursor names the regions that have more, each with the cursor
//! that goes on there, so that no region is asked again that has nothing left. Who does not answer is named.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Json;
use axum::body::to_bytes;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use futures::future::join_all;
use serde_json::Value;
use synod_domain::name::Name;

use super::escape::{escaped, unescaped};
use super::far::{picked, principal, target_of};
use super::wish::take;
use crate::api;
use crate::http::{Caller, Context, Problem};
use crate::node::elsewhere::HandedRequest;

/// How long a region may take to answer its part of a list. One that is slower is named as missing; whoever needs its
/// part asks it alone.
const PATIENCE: Duration = Duration::from_secs(5);

/// The list that begins with what was made last.
const TASKS: &str = "/api/v1/tasks";

/// The most bytes of a page of this region: more than its lists give.
const PAGE_BYTES_MAX: usize = 16 << 20;

/// Where the next page begins in one region.
type Place = (Name, Option<String>);

/// Answers a list from this region and all others within reach. `here` answers this region's part.
pub(in crate::http) async fn gather<F>(
    context: &Context,
    request: Request,
    here: impl FnOnce(Request) -> F,
) -> Response
where
    F: Future<Output = Response>,
{
    let mut request = request;
    let places = match take(&mut request, "cursor") {
        Ok(Some(cursor)) => read(&cursor),
        Ok(None) => Ok(everywhere(context)),
        Err(problem) => Err(problem),
    };
    match places {
        Ok(places) => all(context, request, places, here).await,
        Err(problem) => problem.into_response(),
    }
}

async fn all<F>(
    context: &Context,
    request: Request,
    places: Vec<Place>,
    here: impl FnOnce(Request) -> F,
) -> Response
where
    F: Future<Output = Response>,
{
    let Some(caller) = request.extensions().get::<Caller>().cloned() else {
        return Problem::no_token().into_response();
    };
    let (method, headers) = (request.method().to_string(), picked(request.headers(), &["accept"]));
    let target = target_of(request.uri());
    let is_here = |(region, _): &&Place| region == context.node().region();
    let ours = places.iter().find(is_here).map(|(_, cursor)| at(&target, cursor.as_deref()));
    let others = places.iter().filter(|place| !is_here(place)).map(|(region, cursor)| {
        let handed = HandedRequest {
            method: method.clone(),
            target: at(&target, cursor.as_deref()),
            headers: headers.clone(),
            body: Vec::new(),
            principal: principal(context, &caller),
        };
        async move {
            let answer = tokio::time::timeout(PATIENCE, context.node().ask_region(region, handed)).await;
            (region.clone(), answer)
        }
    });
    let mine = async {
        let target = ours?;
        let mut request = request;
        match target.parse() {
            Ok(uri) => *request.uri_mut() = uri,
            Err(_) => return Some(Problem::bad_request("cursor", "it is no cursor").into_response()),
        }
        Some(here(request).await)
    };
    let (mine, others) = tokio::join!(mine, join_all(others));
    let mut merged = Merged { latest_first: target.starts_with(TASKS), ..Merged::default() };
    if let Some(response) = mine {
        let (parts, body) = response.into_parts();
        if parts.status != StatusCode::OK {
            // What is wrong with the request is told as if it were asked here alone.
            return Response::from_parts(parts, body);
        }
        match to_bytes(body, PAGE_BYTES_MAX).await {
            Ok(bytes) => merged.add(context.node().region(), &bytes),
            Err(error) => return Problem::internal(&error.to_string()).into_response(),
        }
    }
    for (region, answer) in others {
        match answer {
            Ok(Ok(answer)) if answer.status == StatusCode::OK.as_u16() => merged.add(&region, &answer.body),
            Ok(Ok(answer)) => merged.lacks(&region, format!("it answered with status {}", answer.status)),
            Ok(Err(error)) => merged.lacks(&region, error.to_string()),
            Err(_) => merged.lacks(&region, format!("it did not answer within {PATIENCE:?}")),
        }
    }
    merged.shown()
}

/// Says where a list of all regions begins.
fn everywhere(context: &Context) -> Vec<Place> {
    let node = context.node();
    [node.region().clone()].into_iter().chain(node.known_regions()).map(|region| (region, None)).collect()
}

/// Reads a cursor: `region=cursor`, apart by commas. Both are escaped, so neither holds one.
fn read(cursor: &str) -> Result<Vec<Place>, Problem> {
    let place = |text: &str| {
        let (region, cursor) = text.split_once('=')?;
        Some((Name::new(&unescaped(region)?).ok()?, Some(unescaped(cursor)?)))
    };
    let places: Option<Vec<Place>> = cursor.split(',').map(place).collect();
    let known: Option<BTreeMap<Name, Option<String>>> = cursor.split(',').map(place).collect();
    // Each region once: a page of the list asks no region twice.
    match (places, known) {
        (Some(places), Some(known)) if places.len() == known.len() => Ok(places),
        _ => Err(Problem::bad_request("cursor", "it is not one of a list of all regions")),
    }
}

fn at(target: &str, cursor: Option<&str>) -> String {
    match cursor {
        None => target.to_owned(),
        Some(cursor) if target.contains('?') => format!("{target}&cursor={}", escaped(cursor)),
        Some(cursor) => format!("{target}?cursor={}", escaped(cursor)),
    }
}

/// The pages of the regions, as one.
#[derive(Debug, Default)]
struct Merged {
    /// Whether the list begins with the greatest id, and not with the least.
    latest_first: bool,
    items: Vec<Value>,
    cursors: Vec<String>,
    unanswered: Vec<api::Unanswered>,
}

impl Merged {
    fn add(&mut self, region: &Name, page: &[u8]) {
        let Ok(page) = serde_json::from_slice::<api::Page<Value>>(page) else {
            return self.lacks(region, "what it answered is not a page of a list".to_owned());
        };
        self.items.extend(page.items);
        let name = escaped(region.as_str());
        self.cursors.extend(page.next_cursor.map(|cursor| format!("{name}={}", escaped(&cursor))));
    }

    fn lacks(&mut self, region: &Name, reason: String) {
        self.unanswered.push(api::Unanswered { region: region.to_string(), reason });
    }

    fn shown(mut self) -> Response {
        // Ids begin with the time at which they were made: in the order of each region's list.
        self.items.sort_by(|left, right| left["id"].as_str().cmp(&right["id"].as_str()));
        if self.latest_first {
            self.items.reverse();
        }
        let next_cursor = (!self.cursors.is_empty()).then(|| self.cursors.join(","));
        let page = api::Page { items: self.items, next_cursor, unanswered: self.unanswered };
        Json(page).into_response()
    }
}

/// Says that a route gives no list of all regions.
pub(in crate::http) fn refused() -> Response {
    let why = "only the lists of agents and of tasks are gathered from all regions; name one of them";
    Problem::bad_request("region", why).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursor_names_the_regions_that_have_more() {
        let mut merged = Merged::default();
        let us = Name::new("us").expect("a name");
        merged.add(&us, br#"{"items":[{"id":"a"}],"next_cursor":"a"}"#);
        merged.add(&Name::new("eu").expect("a name"), br#"{"items":[{"id":"b"}]}"#);
        assert_eq!(merged.cursors, ["us=a"]);
        assert_eq!(read("us=a").expect("a cursor"), [(us, Some("a".to_owned()))]);
        assert!(read("a").is_err());
        let mut merged = Merged::default();
        let west = Name::new("eu/west").expect("a name");
        merged.add(&west, br#"{"items":[],"next_cursor":"a b,c=d&e"}"#);
        assert_eq!(merged.cursors, ["eu%2Fwest=a%20b%2Cc%3Dd%26e"]);
        let place = (west, Some("a b,c=d&e".to_owned()));
        assert_eq!(read(&merged.cursors[0]).expect("a cursor"), [place]);
        assert_eq!(at("/x", Some("a b&c")), "/x?cursor=a%20b%26c");
        assert_eq!(at("/x?limit=1", Some("a")), "/x?limit=1&cursor=a");
    }

    #[test]
    fn what_is_no_page_is_named_as_missing() {
        let mut merged = Merged::default();
        merged.add(&Name::new("eu").expect("a name"), b"<html>");
        assert_eq!(merged.unanswered.len(), 1);
    }
}
