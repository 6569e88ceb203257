//! Flags of lists, and walking their pages.

use clap::Args;

use super::output::{self, Row};
use super::print;
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
    /// Of another region; `*` gathers agents or tasks from all regions.
    #[arg(long, value_name = "REGION", conflicts_with = "watch")]
    region: Option<String>,
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
        let (limit, cursor, region) = (args.limit, args.cursor.clone(), args.region.clone());
        let first = PageQuery { limit, cursor, region };
        let page = if args.all { walk(first, &fetch, usize::MAX).await? } else { fetch(first).await? };
        for missing in &page.unanswered {
            print::note(&print::harmless(&format!(
                "note: without region {}: {}",
                missing.region, missing.reason
            )));
        }
        Ok(page)
    })
    .await
}

/// Walks pages from a place until there are no more, or `enough` items.
pub(super) async fn walk<R>(
    first: PageQuery,
    fetch: &impl AsyncFn(PageQuery) -> Result<Page<R>, Error>,
    enough: usize,
) -> Result<Page<R>, Error> {
    let (mut items, mut unanswered) = (Vec::new(), Vec::new());
    let PageQuery { mut cursor, region, .. } = first;
    loop {
        let page = fetch(PageQuery { limit: Some(PAGE_MAX), cursor, region: region.clone() }).await?;
        items.extend(page.items);
        unanswered.extend(page.unanswered);
        cursor = page.next_cursor;
        if cursor.is_none() || items.len() >= enough {
            return Ok(Page { items, next_cursor: cursor, unanswered });
        }
    }
}
