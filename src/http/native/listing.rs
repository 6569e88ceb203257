//! Lists: which page is asked for, and the page itself.

use std::io;
use std::sync::Arc;

use axum::extract::{FromRequestParts, Query};
use axum::http::Uri;
use axum::http::request::Parts;
use serde::Serialize;
use serde::de::DeserializeOwned;
use synod_domain::id::TaskId;
use synod_domain::task::Task;

use super::shown::{self, Detail};
use crate::api;
use crate::http::Problem;
use crate::node::Node;

/// The longest page. More makes one request hold the state longer than others like to wait.
pub(super) const PAGE_MAX: u32 = 1000;

/// How many items a page has that does not say.
const PAGE_DEFAULT: u32 = 100;

/// How many bytes of items make a page end before its limit. A task with all the labels and metadata that it may have
/// shows as hundreds of kilobytes, and a page of a thousand such would be held in memory for every client that asks.
const PAGE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The query of a list: a page, and a filter of the list's own.
#[derive(Debug)]
pub(super) struct Listing<F> {
    /// What is listed.
    pub(super) filter: F,
    /// Where the page begins.
    pub(super) cursor: Option<String>,
    /// How many items it has at most.
    pub(super) limit: usize,
}

/// The filter of a list that has none: every other parameter is refused by its name.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Everything {}

impl<F: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Listing<F> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let query = parts.uri.query().unwrap_or_default();
        let is_page =
            |pair: &&str| matches!(pair.split_once('=').map_or(*pair, |(name, _)| name), "cursor" | "limit");
        let (page, rest): (Vec<&str>, Vec<&str>) = query.split('&').partition(is_page);
        let page: api::PageQuery = read(&page)?;
        let limit = page.limit.unwrap_or(PAGE_DEFAULT);
        if !(1..=PAGE_MAX).contains(&limit) {
            return Err(Problem::bad_request("limit", format!("it must be from 1 to {PAGE_MAX}")));
        }
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        Ok(Self { filter: read(&rest)?, cursor: page.cursor, limit })
    }
}

fn read<T: DeserializeOwned>(pairs: &[&str]) -> Result<T, Problem> {
    let wrong = |why: String| Problem::bad_request("the query", why);
    let uri: Uri =
        format!("/?{}", pairs.join("&")).parse().map_err(|_| wrong("it is no query".to_owned()))?;
    let Query(value) = Query::<T>::try_from_uri(&uri).map_err(|error| wrong(error.body_text()))?;
    Ok(value)
}

/// Makes a page of items that come in order; each is named by the cursor that goes on behind it.
pub(super) fn page<T: Serialize>(items: impl Iterator<Item = (String, T)>, limit: usize) -> api::Page<T> {
    let mut items = items;
    let mut shown = Vec::new();
    let mut last = None;
    let mut room = Room::default();
    for (name, item) in items.by_ref().take(limit) {
        last = Some(name);
        let is_full = room.is_full_with(&item);
        shown.push(item);
        if is_full {
            break;
        }
    }
    let next_cursor = last.filter(|_| items.next().is_some());
    api::Page::of(shown, next_cursor)
}

/// Makes a page of the tasks that were found, or of the first that fit, and of where the next begins.
pub(super) async fn lines(
    node: &Node,
    found: &[Arc<Task>],
    next: Option<TaskId>,
) -> Result<api::Page<api::Task>, Problem> {
    let (mut items, mut room) = (Vec::new(), Room::default());
    let mut next = next;
    for (left, one) in (0..found.len()).rev().zip(found) {
        let item = shown::task(node, one, Detail::Line).await?;
        let is_full = room.is_full_with(&item);
        items.push(item);
        if is_full && left > 0 {
            next = Some(one.spec.id);
            break;
        }
    }
    Ok(api::Page::of(items, next.map(|next| next.to_string())))
}

/// Counts the bytes of a page's items.
#[derive(Debug, Default)]
struct Room(usize);

impl Room {
    /// Counts an item in as it will be written, and tells whether the page ends with it.
    fn is_full_with(&mut self, item: &impl Serialize) -> bool {
        // What cannot be written fails when the answer is.
        let _ = serde_json::to_writer(&mut *self, item);
        self.0 >= PAGE_BYTES_MAX
    }
}

impl io::Write for Room {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self.0.saturating_add(bytes.len());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    async fn listing(query: &str) -> Result<Listing<api::AgentFilter>, Problem> {
        let request = Request::builder().uri(format!("/agents?{query}")).body(()).expect("a request");
        Listing::from_request_parts(&mut request.into_parts().0, &()).await
    }

    #[tokio::test]
    async fn page_and_filter_are_told_apart() {
        let read = listing("pool=a%2Fb&limit=7&available=true&cursor=x").await.expect("a listing");
        assert_eq!((read.limit, read.cursor.as_deref()), (7, Some("x")));
        assert_eq!((read.filter.pool.as_deref(), read.filter.available), (Some("a/b"), Some(true)));
        assert_eq!(listing("").await.expect("a listing").limit, 100);
    }

    #[tokio::test]
    async fn what_the_list_does_not_know_is_refused_by_its_name() {
        for (query, named) in
            [("colour=red", "colour"), ("limit=0", "limit"), ("limit=1001", "limit"), ("limit=x", "limit")]
        {
            let problem = listing(query).await.expect_err(query);
            assert!(problem.status().as_u16() == 400 && problem.detail().contains(named), "{problem:?}");
        }
    }

    #[test]
    fn page_of_large_items_ends_early_and_names_the_next() {
        let large = "x".repeat(PAGE_BYTES_MAX / 2);
        let items = || (0..5).map(|number: i32| (number.to_string(), large.as_str()));
        let first = page(items(), 5);
        assert_eq!((first.items.len(), first.next_cursor.as_deref()), (2, Some("1")));
        let larger_than_a_page =
            [("0".to_owned(), "x".repeat(PAGE_BYTES_MAX)), ("1".to_owned(), String::new())];
        let first = page(larger_than_a_page.into_iter(), 5);
        assert_eq!((first.items.len(), first.next_cursor.as_deref()), (1, Some("0")));
    }

    #[test]
    fn page_names_the_next_only_when_there_is_one() {
        let items = || (0..3).map(|number: i32| (number.to_string(), number));
        assert_eq!(page(items(), 2), api::Page::of(vec![0, 1], Some("1".to_owned())));
        assert_eq!(page(items(), 3), api::Page::of(vec![0, 1, 2], None));
    }
}
