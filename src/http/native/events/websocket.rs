//! Events over a WebSocket.

use std::time::Duration;

use axum::extract::State;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::response::Response;

use super::frames::{Frame, Frames};
use crate::api;
use crate::http::extract::InQuery;
use crate::http::native::examples;
use crate::http::{Caller, Context, Problem};

/// How often a ping is sent; a client that answers none for [`SILENCE_MAX`] is gone.
const PING_EVERY: Duration = Duration::from_secs(15);

/// How long a client may say nothing at all, not even a pong.
const SILENCE_MAX: Duration = Duration::from_secs(45);

/// The largest message of a client: it has nothing to say but pongs and its goodbye.
const MESSAGE_BYTES_MAX: usize = 4096;

/// How long a client may take to read one message before it is cut off.
const SEND_PATIENCE: Duration = Duration::from_secs(30);

/// Listen to events over a WebSocket
///
/// The same events as with `GET /api/v1/events`, each as a text message with its JSON; `after` says where to go on. A
/// message whose `type` is `missed` says that some are gone. Answer pings with pongs.
#[utoipa::path(
    get,
    path = "/api/v1/events/ws",
    tag = "events",
    params(
        api::EventFilter,
        ("Upgrade" = Option<String>, Header, description = "`websocket`.", example = "websocket"),
        ("Connection" = Option<String>, Header, description = "`Upgrade`.", example = "Upgrade"),
        ("Sec-WebSocket-Version" = Option<String>, Header, description = "13.", example = "13"),
        ("Sec-WebSocket-Key" = Option<String>, Header, description = "16 bytes of chance, in base 64.", example = "dGhlIHNhbXBsZSBub25jZQ=="),
    ),
    responses((status = 101, description = "The connection is a WebSocket; each message is an event.", body = api::Event, example = json!(examples::event()))),
)]
pub(super) async fn events_websocket(
    State(context): State<Context>,
    caller: Caller,
    InQuery(filter): InQuery<api::EventFilter>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    let upgrade =
        upgrade.map_err(|error| Problem::bad_request("the upgrade to a WebSocket", error.body_text()))?;
    let frames = Frames::subscribe(&context, &caller, &filter, filter.after.as_deref())?;
    let upgrade = upgrade.max_message_size(MESSAGE_BYTES_MAX).max_frame_size(MESSAGE_BYTES_MAX);
    Ok(upgrade.on_upgrade(move |socket| async move {
        tokio::select! {
            biased;
            () = context.cut() => {}
            () = serve(socket, frames) => {}
        }
    }))
}

/// Why a connection is over.
enum Over {
    /// The stream has an end: the node stops or the token is revoked.
    Ended,
    /// The client is gone, or does not read.
    Gone,
}

async fn serve(mut socket: WebSocket, mut frames: Frames) {
    match pass_on(&mut socket, &mut frames).await {
        Over::Ended => {
            let goodbye = CloseFrame { code: close_code::AWAY, reason: "the stream has ended".into() };
            // An error means that the client was faster.
            let _ = send(&mut socket, Message::Close(Some(goodbye))).await;
        }
        Over::Gone => {}
    }
}

async fn pass_on(socket: &mut WebSocket, frames: &mut Frames) -> Over {
    let mut ping = tokio::time::interval(PING_EVERY);
    let mut heard = tokio::time::Instant::now();
    loop {
        tokio::select! {
            biased;
            message = socket.recv() => match message {
                Some(Ok(Message::Close(_)) | Err(_)) | None => return Over::Gone,
                Some(Ok(Message::Text(_) | Message::Binary(_) | Message::Ping(_) | Message::Pong(_))) => {
                    heard = tokio::time::Instant::now();
                }
            },
            _ = ping.tick() => {
                if heard.elapsed() > SILENCE_MAX || send(socket, Message::Ping(Vec::new().into())).await.is_err() {
                    return Over::Gone;
                }
            }
            batch = frames.next() => {
                let Some(batch) = batch else { return Over::Ended };
                for frame in &batch {
                    if send(socket, message(frame)).await.is_err() {
                        return Over::Gone;
                    }
                }
            }
        }
    }
}

fn message(frame: &Frame) -> Message {
    let written = match frame {
        Frame::Event(event) => serde_json::to_string(event),
        Frame::Missed(missed) => serde_json::to_string(&MissedMessage { kind: "missed", data: missed }),
    };
    Message::text(written.unwrap_or_default())
}

/// A `missed` among the events, told apart by its type as they are.
#[derive(serde::Serialize)]
struct MissedMessage<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    data: &'a api::Missed,
}

async fn send(socket: &mut WebSocket, message: Message) -> Result<(), ()> {
    match tokio::time::timeout(SEND_PATIENCE, socket.send(message)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) | Err(_) => Err(()),
    }
}
