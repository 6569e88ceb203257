//! One attempt, from lease to last word.
//!
//! Fetches the payload, lets the runtime work, passes on what the work says of itself, and proposes
//! how it ended. It runs beside its agent's mailbox, so that neither a slow disk nor a slow program
//! keeps the agent from hearing that the attempt must stop.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use synod_domain::command::Command;
use synod_domain::id::AgentId;
use synod_domain::name::Name;
use synod_domain::payload::{INLINE_BYTES_MAX, Payload};
use synod_domain::task::{Progress, TaskSpec, Usage};
use synod_domain::time::Timestamp;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::ports::{AgentRuntime, Finish, Report, Work};
use crate::propose::World;

/// How many reports may wait; they are hints, and the newest are dropped first.
const REPORTS_WAITING: usize = 64;

/// How often progress reaches the log at most; people read it, and each costs a sync.
const PROGRESS_EVERY: Duration = Duration::from_secs(1);

/// One leased task, in the hands of its agent.
pub(crate) struct Attempt {
    pub(crate) world: World,
    pub(crate) runtime: Arc<dyn AgentRuntime>,
    pub(crate) spec: Arc<TaskSpec>,
    pub(crate) agent: AgentId,
    pub(crate) agent_name: Name,
    pub(crate) number: u32,
    pub(crate) deadline: Option<Timestamp>,
    /// Cancelled when the attempt must stop.
    pub(crate) stop: CancellationToken,
}

impl Attempt {
    /// Works to the end and proposes it. Returns when nothing of the attempt runs any more.
    pub(crate) async fn run(self) {
        let payload = match &self.spec.payload {
            Payload::Inline(bytes) => Bytes::copy_from_slice(bytes),
            Payload::Blob { hash, .. } => match self.world.blobs.get(hash) {
                Ok(bytes) => bytes,
                Err(error) => {
                    return self.fail(format!("its payload: {error}"), false, Usage::default()).await;
                }
            },
        };
        let (reports, mut heard) = mpsc::channel(REPORTS_WAITING);
        let work = Work {
            spec: self.spec.clone(),
            payload,
            agent: self.agent,
            agent_name: self.agent_name.clone(),
            attempt: self.number,
            deadline: self.deadline,
            stop: self.stop.clone(),
            reports,
        };
        let mut teller = Teller::new(&self);
        let runtime = self.runtime.clone();
        let mut working = std::pin::pin!(runtime.run(work));
        let finish = loop {
            tokio::select! {
                biased;
                finish = &mut working => break finish,
                Some(report) = heard.recv() => teller.take(report),
                () = teller.due() => teller.tell().await,
            }
        };
        while let Ok(report) = heard.try_recv() {
            teller.take(report);
        }
        self.conclude(finish, teller.usage).await;
    }

    async fn conclude(&self, finish: Finish, usage: Usage) {
        match finish {
            Finish::Completed { result } => self.complete(&result, usage).await,
            Finish::Failed { reason, retryable } => self.fail(reason, retryable, usage).await,
            // Whoever stopped it has written why.
            Finish::Stopped => {}
        }
    }

    async fn complete(&self, result: &[u8], usage: Usage) {
        let result = if result.len() <= INLINE_BYTES_MAX {
            Payload::inline(result)
        } else {
            match self.world.blobs.put(result) {
                Ok(hash) => Payload::Blob { hash, size: result.len() as u64 },
                Err(error) => return self.fail(format!("its result: {error}"), true, usage).await,
            }
        };
        let (task, attempt) = (self.spec.id, self.number);
        self.propose(Command::Complete { task, attempt, result, usage }).await;
    }

    async fn fail(&self, reason: String, retryable: bool, usage: Usage) {
        let (task, attempt) = (self.spec.id, self.number);
        let reason = reason.into();
        self.propose(Command::Fail { task, attempt, reason, retryable, usage }).await;
    }

    async fn propose(&self, command: Command) {
        let (task, attempt) = (self.spec.id, self.number);
        match self.world.propose(command).await {
            Ok(Ok(_)) => {}
            // The lease was lost meanwhile: another attempt has the task, this one's word does not count.
            Ok(Err(refusal)) => tracing::info!(%task, attempt, %refusal, "the end of an attempt was refused"),
            // The lease ends with the node; the task is redelivered.
            Err(error) => tracing::info!(%task, attempt, %error, "the end of an attempt was not recorded"),
        }
    }
}

/// Collects what an attempt says and passes it on, not more often than it matters.
struct Teller<'a> {
    attempt: &'a Attempt,
    usage: Usage,
    progress: Option<Progress>,
    alive: bool,
    every: Duration,
    next: Instant,
}

impl<'a> Teller<'a> {
    fn new(attempt: &'a Attempt) -> Self {
        // A third of the silence allowed: two words may be lost before the lease is.
        let every = match attempt.spec.timeouts.silence {
            Some(silence) => (silence / 3).min(PROGRESS_EVERY),
            None => PROGRESS_EVERY,
        };
        Self { attempt, usage: Usage::default(), progress: None, alive: false, every, next: Instant::now() }
    }

    fn take(&mut self, report: Report) {
        match report {
            Report::Heartbeat => {}
            Report::Progress { percent, message } => {
                let message = message.as_deref().map(Arc::from);
                self.progress = Some(Progress { percent, message });
            }
            Report::Usage { usage, model: _ } => {
                self.usage.tokens_in = self.usage.tokens_in.saturating_add(usage.tokens_in);
                self.usage.tokens_out = self.usage.tokens_out.saturating_add(usage.tokens_out);
                self.usage.cost_microusd = self.usage.cost_microusd.saturating_add(usage.cost_microusd);
            }
        }
        self.alive = true;
    }

    /// Waits until there is something to tell and it is time for it; for ever when there is nothing.
    async fn due(&self) {
        let renews = self.attempt.spec.timeouts.silence.is_some();
        if (self.alive && renews) || self.progress.is_some() {
            tokio::time::sleep_until(self.next).await;
        } else {
            std::future::pending::<()>().await;
        }
    }

    async fn tell(&mut self) {
        self.next = Instant::now() + self.every;
        self.alive = false;
        let (task, attempt) = (self.attempt.spec.id, self.attempt.number);
        let progress = self.progress.take();
        let id = self.attempt.world.ids.request();
        let command = Command::Heartbeat { task, attempt, progress };
        // A heartbeat that fails is followed by the next.
        if let Ok(Err(refusal)) = self.attempt.world.journal.propose(id, command).await {
            tracing::info!(%task, attempt, %refusal, "a heartbeat was refused");
            self.attempt.stop.cancel();
        }
    }
}
