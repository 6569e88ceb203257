//! The things that do attempts: programs and Rust types.
//!
//! Each implements [`AgentRuntime`](crate::ports::AgentRuntime): one attempt in, one
//! [`Finish`](crate::ports::Finish) out, nothing left running. They know neither leases nor retries nor the log;
//! whoever calls them does.

pub mod native;
#[cfg(unix)]
pub mod process;

/// The longest message or model name that is passed on in a report, in bytes; it stands in the log of the cluster.
const TEXT_BYTES_MAX: usize = 1024;

/// Returns the beginning of a text, at most `bytes` bytes of it, cut between characters.
fn shortened(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}
