//! The port: [`AgentRuntime`] for Rust types.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use synod_domain::payload::PAYLOAD_BYTES_MAX;
use tokio::task::{JoinError, JoinHandle};
use tokio::time::timeout;
use tracing::{Instrument, error, info_span};

use super::{AgentError, Context, NativeAgent};
use crate::ports::{AgentRuntime, Finish, Work};

/// How long an agent has after it is told to stop, before it is aborted. As for programs; longer delays every
/// cancel of an agent that does not listen.
pub const GRACE: Duration = Duration::from_secs(5);

/// How long an aborted agent may take to reach its next `await`. One that takes longer is stuck, and waiting for
/// it would hold its slot for nothing.
const ABORT_WAIT_MAX: Duration = Duration::from_secs(1);

/// Runs a [`NativeAgent`].
#[derive(Debug)]
pub struct NativeRuntime<A> {
    agent: Arc<A>,
    grace: Duration,
}

impl<A: NativeAgent> NativeRuntime<A> {
    /// Wraps an agent.
    pub fn new(agent: A) -> Self {
        Self { agent: Arc::new(agent), grace: GRACE }
    }

    /// Changes the grace from [`GRACE`].
    #[must_use]
    pub fn with_grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }
}

#[async_trait]
impl<A: NativeAgent> AgentRuntime for NativeRuntime<A> {
    async fn prepare(&self) -> Result<(), String> {
        Ok(())
    }

    async fn run(&self, work: Work) -> Finish {
        if work.stop.is_cancelled() {
            return Finish::Stopped;
        }
        let input = match read::<A::Input>(&work.payload) {
            Ok(input) => input,
            Err(reason) => return Finish::Failed { reason, retryable: false },
        };
        // A child, so that an agent that cancels its own token does not look like a stopped one.
        let context = Context::new(&work, work.stop.child_token());
        let span =
            info_span!("attempt", task = %work.spec.id, attempt = work.attempt, agent = %work.agent_name);
        let agent = Arc::clone(&self.agent);
        let attempt = async move { agent.run(context, input).await.map(|output| write(&output)) };
        let mut running = AbortOnDrop(tokio::spawn(attempt.instrument(span)));
        tokio::select! {
            biased;
            () = work.stop.cancelled() => {
                stop(&mut running.0, self.grace, &work).await;
                Finish::Stopped
            }
            ended = &mut running.0 => finish(ended),
        }
    }
}

/// The agent's task, which does not outlive the attempt's future.
struct AbortOnDrop<T>(JoinHandle<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn stop<T>(running: &mut JoinHandle<T>, grace: Duration, work: &Work) {
    if timeout(grace, &mut *running).await.is_ok() {
        return;
    }
    running.abort();
    if timeout(ABORT_WAIT_MAX, running).await.is_err() {
        error!(task = %work.spec.id, attempt = work.attempt, agent = %work.agent_name, "an aborted agent does not end, it never awaits");
    }
}

fn finish(ended: Result<Result<Result<Bytes, String>, AgentError>, JoinError>) -> Finish {
    match ended {
        Ok(Ok(Ok(result))) => Finish::Completed { result },
        // The same input would give the same output.
        Ok(Ok(Err(reason))) => Finish::Failed { reason, retryable: false },
        Ok(Err(AgentError { reason, retryable })) => Finish::Failed { reason, retryable },
        Err(error) => match error.try_into_panic() {
            Ok(panic) => {
                Finish::Failed { reason: format!("the agent panicked: {}", words(&*panic)), retryable: true }
            }
            // Only the runtime's own end aborts a task that we did not abort.
            Err(_) => Finish::Stopped,
        },
    }
}

fn words(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("without words")
}

fn read<T: serde::de::DeserializeOwned>(payload: &Bytes) -> Result<T, String> {
    let payload: &[u8] = if payload.is_empty() { b"null" } else { payload };
    serde_json::from_slice(payload)
        .map_err(|error| format!("the payload is not what this agent takes: {error}"))
}

fn write<T: serde::Serialize>(output: &T) -> Result<Bytes, String> {
    let bytes = serde_json::to_vec(output)
        .map_err(|error| format!("the result cannot be written as JSON: {error}"))?;
    if bytes.len() as u64 > PAYLOAD_BYTES_MAX {
        let limit = PAYLOAD_BYTES_MAX / (1024 * 1024);
        return Err(format!("the result is larger than {limit} MiB; store it elsewhere and return where"));
    }
    Ok(bytes.into())
}
