//! Bytes of payloads and results, in the log or beside it, and the ids that callers need.

use bytes::Bytes;
use synod_domain::id::{AgentId, RequestId, RunId, TaskId, TokenId};
use synod_domain::payload::{INLINE_BYTES_MAX, Payload};

use crate::node::{Error, Node};

impl Node {
    /// Returns the bytes of a payload or result.
    ///
    /// # Errors
    /// When the blob store does not have them whole.
    pub fn fetch(&self, payload: &Payload) -> Result<Bytes, Error> {
        match payload {
            Payload::Inline(bytes) => Ok(Bytes::copy_from_slice(bytes)),
            Payload::Blob { hash, .. } => self.world.blobs.get(hash).map_err(Error::Blob),
        }
    }

    /// Stores bytes as a payload: in the log when they are small, else as a blob, durable on return.
    ///
    /// # Errors
    /// When they are too large or the disk does not take them.
    pub fn store(&self, bytes: &[u8]) -> Result<Payload, Error> {
        if bytes.len() <= INLINE_BYTES_MAX {
            return Ok(Payload::inline(bytes));
        }
        let hash = self.world.blobs.put(bytes).map_err(Error::Blob)?;
        Ok(Payload::Blob { hash, size: bytes.len() as u64 })
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
