//! Flags of lists, and walking their pages.

use clap::Args;

use super::output::{self, Row};
use super::remote::{Failure, Session};
use crate::api::{Page, PageQuery};
use crate::client::Error;

/// How many items are asked for at a time when all are wanted: the longest page that a node gives.
const PAGE_MAX: u32 = 1000;

/// Flags of every list.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct ListArgs {
    /// How many to show at most.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000), conflicts_with = "all")]
    limit: Option<u32>,
    /// Go on behind this place, the `next_cursor` of the list before.
    #[arg(long, value_name = "CURSOR")]
    cursor: Option<String>,
    /// Show all, however many there are.
    #[arg(long)]
    all: bool,
    /// Show the list again whenever something happens, until stopped.
    #[arg(long, short = 'w')]
    watch: bool,
}

/// Lists something as the flags say.
pub(super) async fn list<R: Row>(
    session: &Session,
    args: &ListArgs,
    fetch: impl AsyncFn(PageQuery) -> Result<Page<R>, Error>,
) -> Result<u8, Failure> {
    output::list(session, args.watch, async || {
        let first = PageQuery { limit: args.limit, cursor: args.cursor.clone() };
        if args.all { walk(first.cursor, &fetch, usize::MAX).await } else { fetch(first).await }
    })
    .await
}

/// Walks pages from a place until there are no more, or `enough` items.
pub(super) async fn walk<R>(
    cursor: Option<String>,
    fetch: &impl AsyncFn(PageQuery) -> Result<Page<R>, Error>,
    enough: usize,
) -> Result<Page<R>, Error> {
    let mut items = Vec::new();
    let mut cursor = cursor;
    loop {
        let page = fetch(PageQuery { limit: Some(PAGE_MAX), cursor }).await?;
        items.extend(page.items);
        cursor = page.next_cursor;
        if cursor.is_none() || items.len() >= enough {
            return Ok(Page { items, next_cursor: cursor });
        }
    }
}
