//! What a program reads: its task, as one JSON document on standard input.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;
use synod_domain::id::TaskId;
use synod_domain::name::Name;
use tokio::io::AsyncWriteExt;
use tokio::process::ChildStdin;

use super::json::is_json;
use crate::ports::Work;

/// The document without its last field, the payload, which is spliced in as it is: it may be large.
#[derive(Serialize)]
struct Head<'a> {
    task: TaskId,
    kind: &'a Name,
    workspace: &'a Name,
    attempt: u32,
    agent: &'a Name,
    /// Milliseconds since 1970-01-01 UTC, or null.
    deadline: Option<u64>,
    labels: &'a BTreeMap<Name, Arc<str>>,
}

/// The pieces of the document, in order.
pub(super) struct Input {
    head: Vec<u8>,
    payload: Bytes,
}

impl Input {
    /// Writes the document for an attempt.
    ///
    /// A payload that is not JSON becomes a JSON string, with U+FFFD for what is not UTF-8; no payload becomes
    /// `null`.
    pub(super) fn new(work: &Work) -> Result<Self, serde_json::Error> {
        let mut head = serde_json::to_vec(&Head {
            task: work.spec.id,
            kind: &work.spec.kind,
            workspace: &work.spec.workspace,
            attempt: work.attempt,
            agent: &work.agent_name,
            deadline: work.deadline.map(|deadline| deadline.as_millis()),
            labels: &work.spec.labels,
        })?;
        head.pop();
        head.extend_from_slice(b",\"payload\":");
        Ok(Self { head, payload: payload(&work.payload)? })
    }

    /// Gives the document to the program and closes its standard input.
    ///
    /// A program that does not read, or not all, is within its rights: it ends this with a broken pipe.
    pub(super) async fn feed(self, mut stdin: ChildStdin) {
        let pieces: [&[u8]; 3] = [&self.head, &self.payload, b"}\n"];
        for piece in pieces {
            if stdin.write_all(piece).await.is_err() {
                return;
            }
        }
    }
}

fn payload(bytes: &Bytes) -> Result<Bytes, serde_json::Error> {
    if bytes.is_empty() {
        return Ok(Bytes::from_static(b"null"));
    }
    if is_json(bytes) {
        return Ok(bytes.clone());
    }
    let text: Cow<'_, str> = String::from_utf8_lossy(bytes);
    serde_json::to_vec(&text).map(Bytes::from)
}
