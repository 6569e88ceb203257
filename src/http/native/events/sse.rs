//! Events as a stream of server-sent events.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::stream::{self, Stream, StreamExt};

use super::frames::{Frame, Frames};
use crate::api;
use crate::http::extract::InQuery;
use crate::http::native::examples;
use crate::http::{Caller, Context, Problem};

/// How often a comment is sent while nothing happens, so that whoever is in between does not take the stream for
/// dead.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// Listen to events
///
/// A stream of server-sent events that does not end: `id` is the event's place, `event` its type, `data` the whole
/// event as JSON. Reconnect with `Last-Event-ID`, as browsers do by themselves, and the stream goes on behind that
/// event. The latest 65 536 events are kept; who comes back later, or falls behind, is told so by an event of type
/// `missed` and goes on with the first that is kept. A comment comes every 15 seconds.
#[utoipa::path(
    get,
    path = "/api/v1/events",
    tag = "events",
    params(
        api::EventFilter,
        ("Last-Event-ID" = Option<String>, Header, description = "The last event that was seen.", example = "1042.0"),
    ),
    responses((status = 200, description = "Events as they happen.", body = String, content_type = "text/event-stream", example = json!(examples::sse_text()))),
)]
pub(super) async fn stream_events(
    State(context): State<Context>,
    caller: Caller,
    InQuery(filter): InQuery<api::EventFilter>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let last = match headers.get("last-event-id").map(|last| last.to_str()).transpose() {
        Ok(last) => last.or(filter.after.as_deref()),
        Err(_) => return Err(Problem::bad_request("the header Last-Event-ID", "it is no text")),
    };
    let frames = Frames::subscribe(&context, &caller, &filter, last)?;
    let alive = KeepAlive::new().interval(HEARTBEAT);
    Ok(Sse::new(events(frames)).keep_alive(alive).into_response())
}

fn events(frames: Frames) -> impl Stream<Item = Result<Event, Infallible>> {
    let batches = stream::unfold(frames, |mut frames| async move {
        let batch = frames.next().await?;
        Some((stream::iter(batch), frames))
    });
    batches.flatten().map(|frame| Ok(event(&frame)))
}

fn event(frame: &Frame) -> Event {
    let (event, written) = match frame {
        Frame::Event(event) => {
            (Event::default().id(&event.id).event(&event.kind), serde_json::to_string(event))
        }
        // Without an id of its own: who is cut off before the next event asks for the same again.
        Frame::Missed(missed) => (Event::default().event("missed"), serde_json::to_string(missed)),
    };
    event.data(written.unwrap_or_default())
}
