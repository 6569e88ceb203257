//! Why a request was not done.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Why a request was not done, as RFC 9457 asks (`application/problem+json`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// Names the sort of problem: `urn:synod:problem:` and the code.
    #[serde(rename = "type")]
    #[schema(example = "urn:synod:problem:lease_lost")]
    pub kind: String,
    /// The sort of problem in a few words.
    #[schema(example = "Lease lost")]
    pub title: String,
    /// The HTTP status.
    #[schema(example = 409)]
    pub status: u16,
    /// What and why, for a person.
    #[schema(example = "attempt 1 holds no lease on task_01k00000000000000000000000")]
    pub detail: String,
    /// The stable code for programs.
    #[schema(example = "lease_lost")]
    pub code: String,
    /// What to do about it.
    #[schema(example = "stop this attempt and drop its result; another attempt has the task")]
    pub hint: String,
    /// Names this request in the node's log.
    #[schema(example = "req_01k00000000000000000000000")]
    pub request_id: String,
    /// After how long the same request may succeed, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
}
