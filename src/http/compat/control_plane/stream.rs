//! The event stream: a WebSocket, and for those who ask without one, where it is.
//!
//! Only a bearer token in the header opens it: a token in an address would stand in the logs of every proxy. A
//! listener that is too slow is told how many happenings it missed and goes on with the latest; one that is gone
//! is noticed by its silence.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{Message, Utf8Bytes, WebSocket, WebSocketUpgrade};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use synod_actors::events::{Heard, Subscription};
use tokio::time::{Instant, timeout};

use crate::http::StreamPermit;
use crate::http::{Caller, Context, Problem};

use super::frames::{Frames, frame};
use super::times::epoch;
use super::{PREFIXES, STREAM_PATH};

/// The largest message of a client; a ping is some 20 bytes.
const MESSAGE_BYTES_MAX: usize = 4 * 1024;

/// How long a client may be silent before it is asked whether it is there.
const SILENCE: Duration = Duration::from_secs(30);

/// How many such questions stay without an answer before the client is taken for gone.
const UNANSWERED_MAX: u32 = 2;

/// How long one frame may take to be sent; a client that takes none for so long is gone.
const SEND_PATIENCE: Duration = Duration::from_secs(10);

/// `GET /stream` and `GET /ws/control-plane`
pub(super) async fn stream(
    State(context): State<Context>,
    caller: Caller,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    let Ok(upgrade) = upgrade else { return Ok(Json(info(&headers)).into_response()) };
    let permit = context.stream_permit(&caller)?;
    // From here on nothing is missed, though the client hears of it only after the handshake.
    let events = context.node().events();
    let upgrade = upgrade.max_message_size(MESSAGE_BYTES_MAX).max_frame_size(MESSAGE_BYTES_MAX);
    let cut = context.clone();
    Ok(upgrade.on_upgrade(move |socket| async move {
        tokio::select! {
            biased;
            () = cut.cut() => {}
            () = serve(context, caller, permit, events, socket) => {}
        }
    }))
}

/// Says where the stream is, under the name by which the client came.
fn info(headers: &HeaderMap) -> Value {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    json!({
        "protocol": "websocket",
        "path": format!("{}/stream", PREFIXES[0]),
        "paths": [format!("{}/stream", PREFIXES[0]), format!("{}/stream", PREFIXES[1]), STREAM_PATH],
        "host": host,
        "authentication": "Authorization: Bearer TOKEN",
        "message_format": { "type": "str", "timestamp": "float", "data": "object" },
    })
}

/// Why a connection is over. Nobody is told: the other side closed it, or cannot hear.
struct Over;

async fn serve(
    context: Context,
    caller: Caller,
    permit: StreamPermit,
    mut events: Subscription,
    mut socket: WebSocket,
) {
    let mut frames = Frames::new(context.clone());
    let stopping = context.clone();
    let work = async {
        let hello = json!({ "message": "Connected to control plane stream" });
        send(&mut socket, frame("connected", context.node().now(), hello)).await?;
        talk(&context, &caller, &mut frames, &mut events, &mut socket).await
    };
    let over: Result<(), Over> = tokio::select! {
        biased;
        () = stopping.stopping() => Err(Over),
        over = work => over,
    };
    if over.is_err() {
        // A close that cannot be sent says the same.
        let _ = timeout(SEND_PATIENCE, socket.send(Message::Close(None))).await;
    }
    drop(permit);
}

async fn talk(
    context: &Context,
    caller: &Caller,
    frames: &mut Frames,
    events: &mut Subscription,
    socket: &mut WebSocket,
) -> Result<(), Over> {
    let (mut heard_at, mut unanswered) = (Instant::now(), 0);
    loop {
        tokio::select! {
            biased;
            message = socket.recv() => {
                (heard_at, unanswered) = (Instant::now(), 0);
                let Some(Ok(message)) = message else { return Ok(()) };
                if let Some(answer) = answer(context, &message) {
                    send(socket, answer).await?;
                }
            }
            () = caller.expired(context.node()) => return Err(Over),
            heard = events.next() => {
                // A token that was revoked or rotated away is an event; so this is asked in time.
                if !caller.is_valid(context.node()) {
                    return Err(Over);
                }
                for text in texts(context, caller, frames, heard)? {
                    send(socket, text).await?;
                }
            }
            () = tokio::time::sleep_until(heard_at + SILENCE) => {
                if unanswered == UNANSWERED_MAX {
                    return Err(Over);
                }
                (heard_at, unanswered) = (Instant::now(), unanswered + 1);
                put(socket, Message::Ping(axum::body::Bytes::new())).await?;
            }
        }
    }
}

fn texts(context: &Context, caller: &Caller, frames: &mut Frames, heard: Heard) -> Result<Vec<String>, Over> {
    match heard {
        Heard::Happening(happening) => Ok(happening
            .events
            .iter()
            .enumerate()
            .filter(|(slot, _)| {
                caller.workspace().is_none_or(|own| happening.workspace_of(*slot) == Some(own))
            })
            .flat_map(|(_, event)| frames.of(happening.at, event))
            .collect()),
        Heard::Missed(missed) => {
            let message = format!("{missed} happenings were missed; read agents and tasks afresh");
            *frames = Frames::new(context.clone());
            let data = json!({ "message": message, "missed": missed });
            Ok(vec![frame("error", context.node().now(), data)])
        }
        Heard::Closed => Err(Over),
    }
}

#[derive(Debug, Deserialize)]
struct Said {
    #[serde(rename = "type")]
    kind: String,
}

/// Answers what a client says; there is nothing to say but `ping`.
fn answer(context: &Context, message: &Message) -> Option<String> {
    let Message::Text(text) = message else { return None };
    let now = context.node().now();
    match serde_json::from_str::<Said>(text) {
        Ok(said) if said.kind == "ping" => {
            Some(json!({ "type": "pong", "timestamp": epoch(now) }).to_string())
        }
        Ok(said) => {
            let message = format!("unknown message type: {}", said.kind);
            Some(frame("error", now, json!({ "message": message })))
        }
        Err(_) => Some(frame("error", now, json!({ "message": "a message is a JSON object with a type" }))),
    }
}

async fn send(socket: &mut WebSocket, text: String) -> Result<(), Over> {
    put(socket, Message::Text(Utf8Bytes::from(text))).await
}

async fn put(socket: &mut WebSocket, message: Message) -> Result<(), Over> {
    match timeout(SEND_PATIENCE, socket.send(message)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) | Err(_) => Err(Over),
    }
}
