//! Bytes of payloads and results, in the log or beside it, and the ids that callers need.

use bytes::Bytes;
use synod_domain::agent::Host;
use synod_domain::id::{AgentId, RequestId, RunId, TaskId, TokenId};
use synod_domain::payload::{INLINE_BYTES_MAX, Payload};

use crate::node::{Error, Node};

/// The most that is taken of a log that another node has: more than any node keeps of one.
const LOG_BYTES_MAX: usize = 64 << 20;

impl Node {
    /// Returns the bytes of a payload or result.
    ///
    /// # Errors
    /// When the blob store does not have them whole.
    pub async fn fetch(&self, payload: &Payload) -> Result<Bytes, Error> {
        match payload {
            Payload::Inline(bytes) => Ok(Bytes::copy_from_slice(bytes)),
            Payload::Blob { hash, .. } => self.world.blobs.get(hash).await.map_err(Error::Blob),
        }
    }

    /// Stores bytes as a payload: in the log when they are small, else as a blob, durable on return.
    ///
    /// # Errors
    /// When they are too large or the disk does not take them.
    pub async fn store(&self, bytes: &[u8]) -> Result<Payload, Error> {
        if bytes.len() <= INLINE_BYTES_MAX {
            return Ok(Payload::inline(bytes));
        }
        let hash = self.world.blobs.put(&Bytes::copy_from_slice(bytes)).await.map_err(Error::Blob)?;
        Ok(Payload::Blob { hash, size: bytes.len() as u64 })
    }

    /// Returns what an attempt of a program wrote to standard error, wherever it ran; `None` when there is nothing of
    /// it any more.
    ///
    /// # Errors
    /// When it cannot be read, or a node that may have it does not answer.
    pub async fn attempt_log(&self, task: TaskId, attempt: u32) -> Result<Option<Bytes>, Error> {
        if let Some(processes) = &self.processes {
            let here = processes.read_log(task, attempt).await;
            let here = here.map_err(|error| Error::Blob(format!("the log of {task}: {error}")))?;
            if here.is_some() || self.member.is_none() {
                return Ok(here);
            }
        }
        let host = self.read(|state| {
            let found = state.task(task)?;
            let of_lease = found.lease().filter(|lease| lease.attempt == attempt).map(|lease| lease.agent);
            let ended = found.attempts.iter().find(|one| one.number == attempt).map(|one| one.agent);
            match state.agent(of_lease.or(ended)?)?.spec.host {
                Host::Node(node) => Some(node),
                Host::External => None,
            }
        });
        if host == Some(self.id()) {
            return Ok(None);
        }
        self.blobs.log_elsewhere(task, attempt, host, LOG_BYTES_MAX).await.map_err(Error::Blob)
    }

    /// Makes the id of a new request.
    pub fn new_request_id(&self) -> RequestId {
        self.world.ids.request()
    }

    /// Makes the id of a new task.
    pub fn new_task_id(&self) -> TaskId {
        self.world.ids.task()
    }

    /// Makes the id of a new agent.
    pub fn new_agent_id(&self) -> AgentId {
        self.world.ids.agent()
    }

    /// Makes the id of a new run.
    pub fn new_run_id(&self) -> RunId {
        self.world.ids.run()
    }

    /// Makes the id of a new token.
    pub fn new_token_id(&self) -> TokenId {
        self.world.ids.token()
    }
}
