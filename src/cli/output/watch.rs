//! Lists, once or again whenever something happens.

use std::time::Duration;

use futures::{Stream, StreamExt};
use tokio::time::Instant;

use super::Row;
use crate::api::{EventFilter, Page};
use crate::cli::remote::{Failure, Session};
use crate::cli::{exit, print};
use crate::client::{Error, Signal};

/// How often a list is shown anew at most; a person reads no faster, and each look costs the node a list.
const REDRAW_EVERY: Duration = Duration::from_millis(250);

/// Clears a terminal and goes to its first line.
const CLEAR: &str = "\u{1b}[H\u{1b}[2J\u{1b}[3J";

/// Shows a list; with `watch` again whenever the node tells an event, until somebody stops it.
pub(in crate::cli) async fn list<R: Row>(
    session: &Session,
    watch: bool,
    fetch: impl AsyncFn() -> Result<Page<R>, Error>,
) -> Result<u8, Failure> {
    if !watch {
        let page = fetch().await?;
        return Ok(session.output.list(&page.items, page.next_cursor.as_deref()));
    }
    // All events: which of them change a list is not for the client to guess.
    let mut signals = Box::pin(session.client.events(EventFilter::default()));
    while let Some(signal) = signals.next().await {
        if let Signal::Away { reason } = signal? {
            print::note(&print::harmless(&format!("note: the node is away ({reason}); waiting for it")));
            continue;
        }
        settle(&mut signals).await?;
        let page = match fetch().await {
            Ok(page) => page,
            // The stream notices too, and says when it is back.
            Err(error) if error.is_passing() => continue,
            Err(error) => return Err(error.into()),
        };
        if session.output.is_terminal() && session.output.is_for_people() {
            print::result(&CLEAR, exit::OK);
        }
        if let Err(code) = session.output.list_again(&page.items, page.next_cursor.as_deref()) {
            return Ok(code);
        }
    }
    Ok(exit::OK)
}

/// Takes in what else happens for a moment, so that many events make one look.
async fn settle(signals: &mut (impl Stream<Item = Result<Signal, Error>> + Unpin)) -> Result<(), Error> {
    let until = Instant::now() + REDRAW_EVERY;
    while let Ok(Some(signal)) = tokio::time::timeout_at(until, signals.next()).await {
        signal?;
    }
    Ok(())
}
