//! `/api/v1/events`: what happens, as server-sent events or over a WebSocket.
//!
//! Both read the node's [feed](crate::node::feed): a subscriber says what it saw last, and is given everything
//! behind it or told that some is gone. A subscriber ends with its client, with the server, and with its token.

mod frames;
mod sse;
mod wanted;
mod websocket;

use synod_domain::permission::Permission::EventsRead;
use utoipa::OpenApi;

use crate::http::{Needs, Routes};

/// The events' part of the document.
#[derive(OpenApi)]
#[openapi(paths(sse::stream_events, websocket::events_websocket))]
pub(super) struct Doc;

pub(super) fn routes() -> Routes {
    let read = Needs::Permission(EventsRead).long().own();
    Routes::default().get("/api/v1/events", read, sse::stream_events).get(
        "/api/v1/events/ws",
        read,
        websocket::events_websocket,
    )
}
