//! One attempt, from lease to last word.
//!
//! Fetches the payload, lets the runtime work, passes on what the work says of itself, has answered what it asks, and
//! proposes how it ended. It runs beside its agent's mailbox, so that neither a slow disk nor a slow program
//! keeps the agent from hearing that the attempt must stop.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use synod_domain::budget::amount as budget;
use synod_domain::budget::command::BudgetCommand;
use synod_domain::command::Command;
use synod_domain::id::AgentId;
use synod_domain::name::Name;
use synod_domain::payload::{INLINE_BYTES_MAX, Payload};
use synod_domain::refusal::Refusal;
use synod_domain::reply::Answer;
use synod_domain::task::{Progress, TaskSpec, Usage, bounded_reason};
use synod_domain::time::Timestamp;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::ports::{AgentRuntime, Finish, JournalError, Report, Work};
use crate::propose::World;
use crate::tools;

/// How many reports may wait; they are hints, and the newest are dropped first.
const REPORTS_WAITING: usize = 64;

/// How many tools an attempt may wait for at a time; whoever asks for more waits to ask.
const TOOLS_WAITING: usize = 16;

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
        let (finish, usage) = match AssertUnwindSafe(self.work()).catch_unwind().await {
            Ok(worked) => worked,
            Err(panic) => {
                let reason = format!("it panicked: {}", words(&*panic));
                (Finish::Failed { reason, retryable: true }, Usage::default())
            }
        };
        self.conclude(finish, usage).await;
    }

    async fn work(&self) -> (Finish, Usage) {
        let payload = match &self.spec.payload {
            Payload::Inline(bytes) => Bytes::copy_from_slice(bytes),
            Payload::Blob { hash, .. } => match self.world.blobs.get(hash).await {
                Ok(bytes) => bytes,
                Err(error) => {
                    let reason = format!("its payload: {error}");
                    // The nodes that have it may only be away.
                    return (Finish::Failed { reason, retryable: true }, Usage::default());
                }
            },
        };
        let (reports, mut heard) = mpsc::channel(REPORTS_WAITING);
        let (tools, mut asked) = mpsc::channel(TOOLS_WAITING);
        let work = Work {
            spec: self.spec.clone(),
            payload,
            agent: self.agent,
            agent_name: self.agent_name.clone(),
            attempt: self.number,
            deadline: self.deadline,
            stop: self.stop.clone(),
            reports,
            tools,
        };
        let mut teller = Teller::new(self);
        let mut asking = FuturesUnordered::new();
        let mut working = std::pin::pin!(self.runtime.run(work));
        let finish = loop {
            // What is due stands before what comes in: however much comes in, a lease is renewed in time.
            tokio::select! {
                biased;
                finish = &mut working => break finish,
                () = teller.tell_when_due() => {}
                Some(()) = asking.next() => teller.waits = !asking.is_empty(),
                Some(report) = heard.recv() => teller.take(report),
                Some(request) = asked.recv(), if asking.len() < TOOLS_WAITING => {
                    asking.push(tools::answer(&self.world, self.spec.id, self.agent, request));
                    teller.waits = true;
                }
            }
        };
        while let Ok(report) = heard.try_recv() {
            teller.take(report);
        }
        teller.tell_a_zero().await;
        (finish, teller.usage)
    }

    async fn conclude(&self, finish: Finish, usage: Usage) {
        match finish {
            Finish::Completed { result } => self.complete(result, usage).await,
            Finish::Failed { reason, retryable } => self.fail(&reason, retryable, usage).await,
            // Whoever stopped it has written why.
            Finish::Stopped if self.stop.is_cancelled() => {}
            Finish::Stopped => self.fail("it stopped without being told to", true, usage).await,
        }
    }

    async fn complete(&self, result: Bytes, usage: Usage) {
        let result = if result.len() <= INLINE_BYTES_MAX {
            Payload::inline(&result[..])
        } else {
            match self.world.blobs.put(&result).await {
                Ok(hash) => Payload::Blob { hash, size: result.len() as u64 },
                Err(error) => return self.fail(&format!("its result: {error}"), true, usage).await,
            }
        };
        let (task, attempt) = (self.spec.id, self.number);
        let refused = self.propose(Command::Complete { task, attempt, result, usage: usage.clone() }).await;
        if let Some(refusal @ Refusal::Invalid { .. }) = refused {
            self.fail(&refusal.to_string(), false, usage).await;
        }
    }

    async fn fail(&self, reason: &str, retryable: bool, usage: Usage) {
        let (task, attempt) = (self.spec.id, self.number);
        let reason = bounded_reason(reason);
        self.propose(Command::Fail { task, attempt, reason, retryable, usage }).await;
    }

    /// Proposes an end until the journal has it, however long that takes: the work is done and must not be lost; returns why it was refused, if it was.
    async fn propose(&self, command: Command) -> Option<Refusal> {
        let (task, attempt) = (self.spec.id, self.number);
        // The lease ends with the node; then the task is redelivered.
        let outcome = tokio::select! {
            biased;
            () = self.stop.cancelled() => return None,
            outcome = self.world.persist(command) => outcome,
        };
        match outcome {
            Ok(Ok(_)) => None,
            Ok(Err(refusal)) => {
                // Mostly because the lease was lost meanwhile: another attempt has the task, and this
                // one's word does not count.
                tracing::info!(%task, attempt, %refusal, "the end of an attempt was refused");
                Some(refusal)
            }
            Err(error) => {
                tracing::info!(%task, attempt, %error, "the end of an attempt was not recorded");
                // Whoever stops the node stops this as well; until then the work counts as not given back.
                self.stop.cancelled().await;
                None
            }
        }
    }
}

fn words(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("without words")
}

/// A heartbeat on its way.
type Telling = BoxFuture<'static, Result<Answer, JournalError>>;

/// Collects what an attempt says and passes it on, not more often than it matters.
struct Teller<'a> {
    attempt: &'a Attempt,
    usage: Usage,
    /// With which model, as it said last.
    model: Option<Name>,
    /// Whether it used something since that was told.
    used: bool,
    progress: Option<Progress>,
    alive: bool,
    /// Whether it waits for an answer to what it asked: that is no silence.
    waits: bool,
    every: Duration,
    next: Instant,
    telling: Option<Telling>,
}

impl<'a> Teller<'a> {
    fn new(attempt: &'a Attempt) -> Self {
        // A third of the silence allowed: two words may be lost before the lease is.
        let every = match attempt.spec.timeouts.silence {
            Some(silence) => (silence / 3).min(PROGRESS_EVERY),
            None => PROGRESS_EVERY,
        };
        Self {
            attempt,
            usage: Usage::default(),
            model: None,
            used: false,
            progress: None,
            alive: false,
            waits: false,
            every,
            next: Instant::now(),
            telling: None,
        }
    }

    fn take(&mut self, report: Report) {
        match report {
            Report::Heartbeat => {}
            Report::Progress { percent, message } => {
                let message = message.as_deref().map(bounded_reason);
                self.progress = Some(Progress { percent, message });
            }
            Report::Usage { usage, model } => {
                self.model = model.and_then(|model| Name::new(&model).ok()).or_else(|| self.model.take());
                self.used = true;
                self.usage.tokens_in = self.usage.tokens_in.saturating_add(usage.tokens_in);
                self.usage.tokens_out = self.usage.tokens_out.saturating_add(usage.tokens_out);
                self.usage.cost_microusd = self.usage.cost_microusd.saturating_add(usage.cost_microusd);
            }
        }
        self.alive = true;
    }

    /// Tells what there is to tell when it is time for it; waits for ever when there is nothing. Dropping the
    /// future loses nothing, so the work goes on while the journal writes.
    async fn tell_when_due(&mut self) {
        if self.telling.is_none() {
            let renews = self.attempt.spec.timeouts.silence.is_some();
            let spends = self.used && self.is_counted();
            let lives = self.alive || self.waits;
            if !(lives && renews) && self.progress.is_none() && !spends {
                std::future::pending::<()>().await;
            }
            tokio::time::sleep_until(self.next).await;
            self.next = Instant::now() + self.every;
            self.alive = false;
            self.telling = Some(if spends { self.report() } else { self.heartbeat() });
        }
        if let Some(telling) = &mut self.telling {
            let answer = telling.await;
            self.telling = None;
            self.told(answer);
        }
    }

    fn heartbeat(&mut self) -> Telling {
        let (task, attempt) = (self.attempt.spec.id, self.attempt.number);
        let (journal, id) = (self.attempt.world.journal.clone(), self.attempt.world.ids.request());
        let progress = self.progress.take();
        async move { journal.propose(id, Command::Heartbeat { task, attempt, progress }).await }.boxed()
    }

    /// Tells whether budgets count what the attempt uses while it works.
    fn is_counted(&self) -> bool {
        let task = self.attempt.spec.id;
        self.attempt.world.read(|state| state.hold_of(task).is_some())
    }

    /// Tells a usage of zero that was meant: an end without figures says nothing, and a budget takes it for what was
    /// expected. However short an attempt is, the same words cost the same.
    async fn tell_a_zero(&mut self) {
        let said = self.used || self.telling.is_some();
        if !said || self.usage != Usage::default() || !self.is_counted() {
            return;
        }
        let telling = match self.telling.take() {
            Some(under_way) if !self.used => under_way,
            _ => self.report(),
        };
        tokio::select! {
            biased;
            () = self.attempt.stop.cancelled() => {}
            answer = telling => self.told(answer),
        }
    }

    /// Says what was used so far, and renews the lease with it.
    fn report(&mut self) -> Telling {
        self.used = false;
        let (task, attempt) = (self.attempt.spec.id, self.attempt.number);
        let (journal, id) = (self.attempt.world.journal.clone(), self.attempt.world.ids.request());
        let (report, model) = (budget::Report::from(&self.usage), self.model.clone());
        let command = Command::Budget(BudgetCommand::Report { task, attempt, report, model });
        let heartbeat = self.heartbeat();
        async move {
            match journal.propose(id, command).await {
                Ok(Ok(_)) => heartbeat.await,
                other => other,
            }
        }
        .boxed()
    }

    fn told(&mut self, answer: Result<Answer, JournalError>) {
        let (task, attempt) = (self.attempt.spec.id, self.attempt.number);
        match answer {
            Ok(Ok(_)) => {}
            Ok(Err(refusal)) => {
                tracing::info!(%task, attempt, %refusal, "a heartbeat was refused");
                self.attempt.stop.cancel();
            }
            Err(error) => {
                tracing::debug!(%task, attempt, %error, "a heartbeat was not recorded");
                self.alive = true;
                self.used = true;
            }
        }
    }
}
