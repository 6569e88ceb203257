//! Agents that are Rust types, in the node's own process.
//!
//! Promises: input and output are typed and travel as JSON; a panic is a failed attempt and not a dead node; an
//! agent that does not heed [`Context::cancelled`] is aborted at its next `await` after a grace.
//!
//! Leaves to the agent: to `await` now and then. A loop that never does cannot be ended from outside, and blocks
//! a thread that others need; such work belongs into `tokio::task::spawn_blocking` or a program.

mod context;
mod error;
mod runtime;

pub use context::Context;
pub use error::AgentError;
pub use runtime::{GRACE, NativeRuntime};

pub use crate::ports::ToolAnswer;

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Does attempts as a Rust type. Shared by all agents of its pool, which may run at the same time.
///
/// ```
/// use synod_actors::runtimes::native::{AgentError, Context, NativeAgent};
///
/// struct Greeter;
///
/// impl NativeAgent for Greeter {
///     type Input = String;
///     type Output = String;
///
///     async fn run(&self, context: Context, name: String) -> Result<String, AgentError> {
///         context.progress(50, "thinking of a greeting");
///         if name.is_empty() {
///             return Err(AgentError::fail("nobody to greet"));
///         }
///         Ok(format!("hello {name}"))
///     }
/// }
/// ```
pub trait NativeAgent: Send + Sync + 'static {
    /// What it is given: the task's payload, read as JSON. No payload reads as `null`.
    type Input: DeserializeOwned + Send + 'static;
    /// What it gives back, written as JSON.
    type Output: Serialize + Send + 'static;

    /// Does one attempt.
    ///
    /// # Errors
    /// With a reason for people; [`AgentError`] says whether another attempt makes sense.
    fn run(
        &self,
        context: Context,
        input: Self::Input,
    ) -> impl Future<Output = Result<Self::Output, AgentError>> + Send;
}
