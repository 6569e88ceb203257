//! The log of one attempt, piece by piece.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use bytes::Bytes;
use synod_domain::agent::Host;
use synod_domain::id::{AgentId, TaskId};
use synod_domain::task::Task;
use tokio::sync::broadcast::error::RecvError;

use crate::api;
use crate::http::extract::{InPath, InQuery};
use crate::http::native::problems::NotFound;
use crate::http::native::{LONG_POLL_MAX, examples, read};
use crate::http::{Caller, Context, Problem};
use crate::node::Node;

/// The largest piece. A whole log is a few of these.
const CHUNK_BYTES_MAX: usize = 256 * 1024;

/// Read the log of an attempt
///
/// What a program that the node runs wrote to standard error. Read on with `next_offset`; with `wait_ms` the
/// request waits while there is nothing new and the attempt is not over. Other agents keep their own logs; `note`
/// says so then.
#[utoipa::path(
    get,
    path = "/api/v1/tasks/{id}/log",
    tag = "tasks",
    params(("id" = String, Path, description = "The task's id.", example = json!(examples::TASK)), api::LogQuery),
    responses(
        (status = 200, description = "A piece of the log, which may be empty.", body = api::LogChunk, example = json!(examples::log_chunk())),
        (status = 404, response = NotFound),
    ),
)]
pub(super) async fn task_log(
    State(context): State<Context>,
    caller: Caller,
    InPath(id): InPath<String>,
    InQuery(query): InQuery<api::LogQuery>,
) -> Result<Json<api::LogChunk>, Problem> {
    let node = context.node();
    let id = read::id::<TaskId>("the task's id", &id)?;
    read::open(node, id)?;
    let wait = read::patience("wait_ms", query.wait_ms.unwrap_or(0), LONG_POLL_MAX)?;
    let attempt = query.attempt.unwrap_or(node.task(id)?.attempt);
    let offset = query.offset.unwrap_or(0);
    let read = async {
        tokio::select! {
            biased;
            read = read_on(node, id, attempt, offset, wait) => read,
            () = context.stopping() => piece(node, id, attempt, offset).await,
        }
    };
    caller.while_valid(node, read).await.map(Json)
}

/// Reads what comes behind `offset`, and waits for it if there is nothing yet.
async fn read_on(
    node: &Node,
    id: TaskId,
    attempt: u32,
    offset: u64,
    wait: Duration,
) -> Result<api::LogChunk, Problem> {
    // Both are heard from before the first look, so that what comes in between wakes.
    let mut grown = node.processes().map(|processes| processes.log_growth());
    let mut events = node.events();
    let until = tokio::time::Instant::now() + wait;
    loop {
        let piece = piece(node, id, attempt, offset).await?;
        if !piece.text.is_empty() || !piece.more || grown.is_none() {
            return Ok(piece);
        }
        let woken = async {
            loop {
                let concerns = tokio::select! {
                    biased;
                    grown = hear(&mut grown) => grown.is_none_or(|grown| grown == (id, attempt)),
                    heard = events.next() => match heard {
                        synod_actors::events::Heard::Happening(happening) => {
                            happening.events.iter().any(|event| event.task() == Some(id))
                        }
                        synod_actors::events::Heard::Missed(_) | synod_actors::events::Heard::Closed => true,
                    },
                };
                if concerns {
                    return;
                }
            }
        };
        if tokio::time::timeout_at(until, woken).await.is_err() {
            return Ok(piece);
        }
    }
}

/// Waits until some log has grown; `None` when some of that was missed.
async fn hear(grown: &mut Option<tokio::sync::broadcast::Receiver<(TaskId, u32)>>) -> Option<(TaskId, u32)> {
    match grown {
        Some(receiver) => match receiver.recv().await {
            Ok(grown) => Some(grown),
            Err(RecvError::Lagged(_)) => None,
            Err(RecvError::Closed) => {
                *grown = None;
                None
            }
        },
        None => std::future::pending().await,
    }
}

async fn piece(node: &Node, id: TaskId, attempt: u32, offset: u64) -> Result<api::LogChunk, Problem> {
    let task = node.task(id)?;
    let more = task.lease().is_some_and(|lease| lease.attempt == attempt);
    let log = node.attempt_log(id, attempt).await?;
    let note = if log.is_none() { Some(why_none(node, &task, attempt)) } else { None };
    let log = log.unwrap_or_default();
    let start = usize::try_from(offset).unwrap_or(usize::MAX).min(log.len());
    let text =
        whole_characters(&log.slice(start..log.len().min(start.saturating_add(CHUNK_BYTES_MAX))), more);
    let next = u64::try_from(start + text.len()).unwrap_or(u64::MAX);
    Ok(api::LogChunk {
        task_id: id.to_string(),
        attempt,
        text: String::from_utf8_lossy(&text).into_owned(),
        offset: u64::try_from(start).unwrap_or(u64::MAX),
        next_offset: next,
        more: more || start + text.len() < log.len(),
        note,
    })
}

/// Leaves a character at the end to the next piece that is not all there, if there may be one.
fn whole_characters(bytes: &Bytes, more: bool) -> Bytes {
    match std::str::from_utf8(bytes) {
        Err(error) if error.error_len().is_none() && (more || bytes.len() == CHUNK_BYTES_MAX) => {
            bytes.slice(..error.valid_up_to())
        }
        Ok(_) | Err(_) => bytes.clone(),
    }
}

fn why_none(node: &Node, task: &Arc<Task>, attempt: u32) -> String {
    let of_attempt = task.attempts.iter().find(|one| one.number == attempt).map(|one| one.agent);
    let of_lease = task.lease().filter(|lease| lease.attempt == attempt).map(|lease| lease.agent);
    let outside = |agent: AgentId| {
        node.read(|state| state.agent(agent).is_some_and(|agent| agent.spec.host == Host::External))
    };
    match of_lease.or(of_attempt) {
        Some(agent) if outside(agent) => format!("{agent} runs elsewhere and keeps its own log"),
        Some(agent) => format!("{agent} wrote nothing to standard error, or its log is not here"),
        None if task.attempt == 0 => "no attempt has begun".to_owned(),
        None => format!("nothing is known of an attempt {attempt}"),
    }
}
