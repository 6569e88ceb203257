//! A node's verbs for those who do the work elsewhere: claim, start, say how it goes, end.
//!
//! Each of them is a sign of life of its agent; so is every command about a lease that is
//! [proposed](Node::propose_as).

use std::time::Duration;

use synod_actors::desk::Ask;
use synod_domain::command::Command;
use synod_domain::id::{AgentId, RequestId, TaskId};
use synod_domain::reply::{Assignment, Reply};
use synod_domain::task::{Phase, Progress, Usage};

use crate::node::{Error, Node};

impl Node {
    /// Takes the next tasks for an agent, in order, and starts them; none when nothing fits.
    ///
    /// # Errors
    /// When the agent is unknown or takes no work.
    pub async fn claim(&self, agent: AgentId, max: u32) -> Result<Vec<Assignment>, Error> {
        let request = self.new_request_id();
        let ask = Ask { agent, offered: None, max, start: true, wait: Duration::ZERO, request };
        self.claim_when_ready(ask).await
    }

    /// Takes the next tasks for an agent, and waits for some if there are none; none when there were none for
    /// as long as the agent waits. The same request asked again gets the same leases, as far as they are
    /// still valid. Dropping the future gives the place in line up and what was on its way back.
    ///
    /// # Errors
    /// When the agent is unknown, takes no work or does everybody's while whoever asks is bound to a workspace, too many
    /// claims wait, or the node stops.
    pub async fn claim_when_ready(&self, ask: Ask) -> Result<Vec<Assignment>, Error> {
        let agent = ask.agent;
        self.check_claimant(agent)?;
        self.liveness.hear(agent).await??;
        let claimed = self.desk.claim(ask).await;
        self.liveness.heard(agent);
        Ok(claimed?)
    }

    /// Returns how many claims wait for work or are on their way.
    pub fn claims_waiting(&self) -> usize {
        self.desk.waiting()
    }

    /// Says that work on a leased task has begun.
    ///
    /// # Errors
    /// When the attempt does not hold the lease any more.
    pub async fn start_task(&self, task: TaskId, attempt: u32) -> Result<(), Error> {
        self.propose(Command::Start { task, attempt }).await.map(drop)
    }

    /// Renews a lease, and says how far the work is.
    ///
    /// # Errors
    /// When the attempt does not hold the lease any more; then it should stop.
    pub async fn heartbeat_task(
        &self,
        task: TaskId,
        attempt: u32,
        progress: Option<Progress>,
    ) -> Result<(), Error> {
        self.propose(Command::Heartbeat { task, attempt, progress }).await.map(drop)
    }

    /// Completes a task under a lease, with a JSON text as result.
    ///
    /// # Errors
    /// When the attempt does not hold the lease any more; its result is dropped then.
    pub async fn complete(
        &self,
        task: TaskId,
        attempt: u32,
        result: &[u8],
        usage: Usage,
    ) -> Result<Phase, Error> {
        self.complete_as(self.new_request_id(), task, attempt, result, usage).await
    }

    /// Completes a task as [`Node::complete`] does, under a request id that the caller chose.
    ///
    /// # Errors
    /// As [`Node::complete`].
    pub async fn complete_as(
        &self,
        request: RequestId,
        task: TaskId,
        attempt: u32,
        result: &[u8],
        usage: Usage,
    ) -> Result<Phase, Error> {
        let result = self.store(result).await?;
        match self.propose_as(request, Command::Complete { task, attempt, result, usage }).await? {
            Reply::Ended { phase } => Ok(phase),
            Reply::Done
            | Reply::Submitted { .. }
            | Reply::Claimed(_)
            | Reply::WillRetry { .. }
            | Reply::Ruled(_)
            | Reply::Admitted { .. } => Ok(Phase::Completed),
        }
    }

    /// Ends an attempt without a result. The reply says whether the task is over or will be tried again.
    ///
    /// # Errors
    /// When the attempt does not hold the lease any more.
    pub async fn fail(
        &self,
        task: TaskId,
        attempt: u32,
        reason: &str,
        retryable: bool,
        usage: Usage,
    ) -> Result<Reply, Error> {
        let reason = reason.into();
        self.propose(Command::Fail { task, attempt, reason, retryable, usage }).await
    }

    /// Gives a lease back; the work is not at fault and goes back to its place.
    ///
    /// # Errors
    /// When the attempt does not hold the lease any more.
    pub async fn release(&self, task: TaskId, attempt: u32, reason: &str) -> Result<(), Error> {
        self.propose(Command::Release { task, attempt, reason: reason.into() }).await.map(drop)
    }

    /// Notes that the agent lives that speaks of its lease in a command.
    pub(super) fn note_speaker(&self, command: &Command) {
        if let Some((task, attempt)) = command.under_lease() {
            let holder = self.read(|state| {
                let lease = state.task(task)?.lease().filter(|lease| lease.attempt == attempt)?;
                Some(lease.agent)
            });
            if let Some(agent) = holder {
                self.liveness.heard(agent);
            }
        }
    }
}
