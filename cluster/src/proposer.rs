//! The way into the log: many commands, one entry, one sync.
//!
//! ```text
//!  propose ─┐
//!  propose ─┼─► queue ─► one task ─► entry of the log ─► flush ─► apply ─► every caller its answer
//!  tick ────┘              ▲                                        │
//!                          └── a few batches on their way ◄─────────┘
//! ```
//!
//! Whatever queues up while earlier batches are on their way becomes the next entry, which leaves when they are answered,
//! or have waited long for other members ([`turns`]).
//! Promises that a caller is answered only after its command is durable and applied, that the queue is
//! bounded, and that a caller who goes away changes nothing. Leaves judging to `State::apply` and
//! retrying to the caller, who keeps the request id.

mod turns;
mod weight;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;

use futures::FutureExt as _;
use openraft::error::ClientWriteError;
use openraft::raft::ClientWriteResult;
use synod_domain::command::{Command, Entry, Request};
use synod_domain::id::RequestId;
use synod_domain::reply::Answer;
use synod_domain::sources::{Clock, Entropy};
use synod_storage::{Log, Room};
use tokio::sync::oneshot::error::TryRecvError;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::time::Instant;

use crate::clock::ClusterClock;
use crate::group::{Group, Proposal, Raft, Ticket, Told};
use crate::leadership::lost;
use crate::proposer::turns::Stage;
use crate::proposer::weight::{creates_work, weight};

/// Commands in one entry. More makes each sync cheaper, but a reader of the state waits while an entry is
/// applied: 4096 commands are some milliseconds.
pub const BATCH_COMMANDS_MAX: usize = 4096;

/// Bytes in one entry, roughly; the last command may pass it by its own size. A frame between nodes must
/// hold an entry, see [`crate::transport::FRAME_BYTES_MAX`].
pub const BATCH_BYTES_MAX: usize = 4 << 20;

/// Commands that may wait. A higher number answers "overloaded" later, and makes those who wait wait longer.
pub const QUEUE_COMMANDS_MAX: usize = 16 * 1024;

/// Bytes of commands that may wait, so that a queue of large payloads does not fill the memory.
pub const QUEUE_BYTES_MAX: usize = 64 << 20;

/// What came of a proposal.
#[derive(Debug, Clone, PartialEq)]
pub struct Settled {
    /// The answer; the command being refused is one, too.
    pub answer: Answer,
    /// The index of the entry: whoever has applied it sees the effect.
    pub index: u64,
}

/// Why a proposal has no answer. It says nothing about whether the command is right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProposeError {
    /// Nothing was written: the node is stopping or has not started.
    #[error("the node is stopping")]
    Stopped,
    /// Nothing was written: another node leads, or nobody yet.
    #[error("this node does not lead")]
    NotLeader,
    /// Nothing was written: too many proposals wait. Try again shortly.
    #[error("too many proposals wait for the disk; try again shortly")]
    Overloaded,
    /// Nothing was written: the disk has no room for new work. Work in hand can still end.
    #[error("the disk has no room for new work; free some space and submit again")]
    NoSpace,
    /// It may have been written or not. Sending it again under the same id is safe.
    #[error("the outcome is not known; send it again under the same request id: {0}")]
    Unknown(String),
}

/// Proposes commands. Cheap to clone.
#[derive(Clone)]
pub struct Proposer {
    queue: mpsc::Sender<Waiting>,
    bytes: Arc<AtomicUsize>,
    log: Arc<dyn Log>,
    /// The only term in which what it proposes may be written.
    term: Option<u64>,
}

struct Waiting {
    /// The only term in which it may be written.
    term: Option<u64>,
    /// None for a tick.
    request: Option<Request>,
    bytes: usize,
    caller: oneshot::Sender<Told>,
}

impl Proposer {
    /// Starts the task that batches; it ends when every handle is gone or `stop` is notified.
    pub(crate) fn start(parts: Parts) -> (Self, tokio::task::JoinHandle<()>) {
        let (sender, queue) = mpsc::channel(QUEUE_COMMANDS_MAX);
        let bytes = Arc::new(AtomicUsize::new(0));
        let handle = Self { queue: sender, bytes: Arc::clone(&bytes), log: parts.log, term: None };
        let batcher = Batcher {
            queue,
            bytes,
            ready: VecDeque::new(),
            raft: parts.raft,
            clock: parts.clock,
            entropy: parts.entropy,
            settled: Arc::new(Notify::new()),
            in_flight: Vec::with_capacity(parts.in_flight_max),
            in_flight_max: parts.in_flight_max,
            crowded: false,
            leading: parts.leading,
            held: parts.held,
            in_hand: parts.in_hand,
        };
        (handle, tokio::spawn(batcher.run(parts.stop)))
    }

    /// Returns a proposer for one term: whatever of it still waits when this node leads in another is not written.
    #[must_use]
    pub fn of_term(&self, term: u64) -> Self {
        Self { term: Some(term), ..self.clone() }
    }

    /// Proposes a command and returns its answer once it is durable and applied.
    ///
    /// The same `id` is applied once, so a caller who got [`ProposeError::Unknown`] sends it again.
    ///
    /// # Errors
    /// When there is no answer; the command itself being refused is an answer.
    pub async fn propose(&self, id: RequestId, command: Command) -> Result<Settled, ProposeError> {
        match self.log.room() {
            Room::Ample => {}
            Room::Reserve if !creates_work(&command) => {}
            Room::Reserve | Room::Exhausted => return Err(ProposeError::NoSpace),
        }
        let bytes = weight(&command);
        self.ask(Some(Request { id, command }), bytes).await
    }

    /// Lets time pass in the log, so that what is due happens.
    ///
    /// # Errors
    /// When it is not known to have passed.
    pub async fn tick(&self) -> Result<(), ProposeError> {
        self.ask(None, 0).await.map(drop)
    }

    async fn ask(&self, request: Option<Request>, bytes: usize) -> Told {
        if self.bytes.load(Ordering::Relaxed) + bytes > QUEUE_BYTES_MAX {
            return Err(ProposeError::Overloaded);
        }
        let (caller, answer) = oneshot::channel();
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        if let Err(refused) = self.queue.try_send(Waiting { term: self.term, request, bytes, caller }) {
            self.bytes.fetch_sub(bytes, Ordering::Relaxed);
            return Err(match refused {
                mpsc::error::TrySendError::Full(_) => ProposeError::Overloaded,
                mpsc::error::TrySendError::Closed(_) => ProposeError::Stopped,
            });
        }
        answer.await.unwrap_or(Err(ProposeError::Stopped))
    }
}

/// What the batching task works with.
pub(crate) struct Parts {
    pub(crate) raft: Raft,
    pub(crate) clock: Arc<ClusterClock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) log: Arc<dyn Log>,
    pub(crate) stop: Arc<Notify>,
    /// The term in which this node leads and a quorum follows.
    pub(crate) leading: watch::Receiver<Option<u64>>,
    /// Whether nothing is to be written now.
    pub(crate) held: watch::Receiver<bool>,
    /// Told how many batches are on their way.
    pub(crate) in_hand: watch::Sender<usize>,
    /// Batches that may be on their way at once: more than may be on their way to a member would only wait.
    pub(crate) in_flight_max: usize,
}

struct Batcher {
    queue: mpsc::Receiver<Waiting>,
    bytes: Arc<AtomicUsize>,
    /// Taken from the queue, not yet proposed: what did not fit the batch before.
    ready: VecDeque<Waiting>,
    raft: Raft,
    clock: Arc<ClusterClock>,
    entropy: Arc<dyn Entropy>,
    settled: Arc<Notify>,
    in_flight: Vec<InFlight>,
    in_flight_max: usize,
    /// Whether the last batch was of several callers: then more of them are likely to be on their way.
    crowded: bool,
    leading: watch::Receiver<Option<u64>>,
    held: watch::Receiver<bool>,
    in_hand: watch::Sender<usize>,
}

/// How openraft tells the outcome of an entry.
type Outcome = oneshot::Receiver<ClientWriteResult<Group>>;

/// A batch on its way. The state machine settles its ticket; openraft's own outcome comes later, and is
/// taken all the same, because openraft complains when nobody does.
struct InFlight {
    ticket: Arc<Ticket>,
    outcome: Outcome,
    stage: Stage,
}

impl Batcher {
    async fn run(mut self, stop: Arc<Notify>) {
        let stopped = stop.notified();
        tokio::pin!(stopped);
        let (mut leading, mut term) = (self.leading.clone(), None);
        loop {
            tokio::select! {
                biased;
                () = &mut stopped => break,
                () = lost(&mut leading, &mut term) => self.fail_all(),
                more = self.next() => if !more { break },
            }
        }
        self.queue.close();
        // What is in flight is answered by whoever settles it; what only waits was never written.
        while let Some(waiting) = self.ready.pop_front() {
            let _ = waiting.caller.send(Err(ProposeError::Stopped));
        }
        while let Ok(waiting) = self.queue.try_recv() {
            let _ = waiting.caller.send(Err(ProposeError::Stopped));
        }
        tokio::select! {
            biased;
            () = self.wait_for_all() => {}
            // Nobody can say any more what came of it.
            () = lost(&mut leading, &mut term) => self.fail_all(),
        }
    }

    /// Tells everybody who waits that this node leads no more. What is on its way may still come through.
    fn fail_all(&mut self) {
        for batch in &self.in_flight {
            batch.ticket.fail(&ProposeError::Unknown("this node has lost the lead".to_owned()));
        }
        while let Ok(waiting) = self.queue.try_recv() {
            self.ready.push_back(waiting);
        }
        while let Some(waiting) = self.ready.pop_front() {
            self.bytes.fetch_sub(waiting.bytes, Ordering::Relaxed);
            let _ = waiting.caller.send(Err(ProposeError::NotLeader));
        }
    }

    /// Proposes one batch. Returns false when nobody can ask any more.
    ///
    /// Dropping it between two awaits loses nothing: what was taken stands in `ready`.
    async fn next(&mut self) -> bool {
        while self.ready.is_empty() {
            self.look();
            tokio::select! {
                biased;
                first = self.queue.recv() => match first {
                    Some(first) => self.ready.push_back(first),
                    None => return false,
                },
                () = self.settled.notified() => {}
                () = conclude_one(&mut self.in_flight) => {}
            }
        }
        self.wait_for_turn().await;
        if self.crowded {
            // Callers that are about to ask run first and share the entry and its sync. This waits for no timer
            // and for no more than what is ready to run.
            tokio::task::yield_now().await;
        }
        loop {
            let gone = self.wait_while_held().await;
            // Said before it is looked at again: whoever holds afterwards waits for this batch. Nothing is awaited
            // from here until it is sent.
            self.in_hand.send_modify(|in_hand| *in_hand += 1);
            if gone || !*self.held.borrow() {
                break;
            }
            self.in_hand.send_modify(|in_hand| *in_hand -= 1);
        }
        while self.ready.len() < BATCH_COMMANDS_MAX {
            let Ok(waiting) = self.queue.try_recv() else { break };
            self.ready.push_back(waiting);
        }
        self.send();
        true
    }

    /// Waits until nothing is held back, and looks on meanwhile: whoever holds waits for the batches on their way. Returns
    /// whether nobody can hold any more.
    async fn wait_while_held(&mut self) -> bool {
        while *self.held.borrow_and_update() {
            self.look();
            tokio::select! {
                biased;
                changed = self.held.changed() => if changed.is_err() { return true },
                () = self.settled.notified() => {}
                () = conclude_one(&mut self.in_flight) => {}
            }
        }
        false
    }

    /// Looks how far the batches on their way have come; returns how many are open.
    fn look(&mut self) -> usize {
        self.in_flight.retain_mut(|batch| !batch.is_over());
        let mut open = 0;
        for batch in self.in_flight.iter_mut().filter(|batch| !batch.ticket.is_settled()) {
            open += 1;
            if batch.ticket.is_synced() {
                batch.stage.note_synced();
            }
        }
        self.in_hand.send_if_modified(|in_hand| std::mem::replace(in_hand, open) != open);
        open
    }

    /// Waits until the outcome of every batch is known.
    async fn wait_for_all(&mut self) {
        while self.look() > 0 {
            tokio::select! {
                biased;
                () = self.settled.notified() => {}
                () = conclude_one(&mut self.in_flight) => {}
            }
        }
    }

    /// Waits until another batch may leave.
    async fn wait_for_turn(&mut self) {
        loop {
            let open = self.look();
            if open == 0 {
                return;
            }
            let newest = self.in_flight.iter().rev().find(|batch| !batch.ticket.is_settled());
            // One that is on the disk has those before it there.
            let turn =
                newest.filter(|_| open < self.in_flight_max).and_then(|batch| batch.stage.gives_way_at());
            let now = Instant::now();
            if turn.is_some_and(|turn| turn <= now) {
                return;
            }
            tokio::select! {
                biased;
                () = self.settled.notified() => {}
                () = conclude_one(&mut self.in_flight) => {}
                () = tokio::time::sleep_until(turn.unwrap_or(now)), if turn.is_some() => {}
            }
        }
    }

    /// Tells whether this node leads in that term, by its own announcement and by what the core last said.
    fn leads_in(&self, term: u64) -> bool {
        *self.leading.borrow() == Some(term)
            && self.raft.server_metrics().borrow().vote.leader_id.term == term
    }

    /// Sends one batch of what is ready; it counts as in hand already.
    fn send(&mut self) {
        let mut commands = Vec::with_capacity(self.ready.len().min(BATCH_COMMANDS_MAX));
        let mut callers = Vec::with_capacity(commands.capacity());
        let mut ticks = Vec::new();
        let mut size = 0;
        while commands.len() < BATCH_COMMANDS_MAX && size < BATCH_BYTES_MAX {
            let Some(waiting) = self.ready.pop_front() else { break };
            size += waiting.bytes;
            if waiting.term.is_some_and(|term| !self.leads_in(term)) {
                let _ = waiting.caller.send(Err(ProposeError::NotLeader));
                continue;
            }
            match waiting.request {
                Some(request) => {
                    commands.push(request);
                    callers.push(waiting.caller);
                }
                // Time passes with any entry; whoever asked for a tick is told after the others.
                None => ticks.push(waiting.caller),
            }
        }
        self.bytes.fetch_sub(size, Ordering::Relaxed);
        self.crowded = commands.len() > 1;
        callers.append(&mut ticks);
        if callers.is_empty() {
            // All of it was of a term that is over.
            self.in_hand.send_modify(|in_hand| *in_hand -= 1);
            return;
        }
        let entry = Entry { at: self.clock.now(), seed: self.entropy.draw(), commands };
        let ticket = Arc::new(Ticket::new(callers, Arc::clone(&self.settled)));
        let proposal = Proposal { entry: Arc::new(entry), ticket: Some(Arc::clone(&ticket)) };
        // Sending waits for nothing: openraft's queue is unbounded, and the bound is `in_flight_max`.
        match self.raft.client_write_ff(proposal).now_or_never() {
            Some(Ok(outcome)) => {
                self.in_flight.push(InFlight { ticket, outcome, stage: Stage::leaving() });
            }
            // The core is gone; it never saw this batch.
            Some(Err(_)) | None => {
                ticket.fail(&ProposeError::Stopped);
                self.in_hand.send_modify(|in_hand| *in_hand -= 1);
            }
        }
    }
}

/// Waits until openraft says how an open batch ended, and settles it.
async fn conclude_one(in_flight: &mut [InFlight]) {
    std::future::poll_fn(|context| {
        let mut open = in_flight.iter_mut().filter(|batch| !batch.ticket.is_settled());
        let concluded = open.any(|batch| match batch.outcome.poll_unpin(context) {
            Poll::Ready(result) => {
                batch.conclude(result.ok());
                true
            }
            Poll::Pending => false,
        });
        if concluded { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

impl InFlight {
    /// Tells whether nothing more will come of it.
    fn is_over(&mut self) -> bool {
        self.ticket.is_settled() && !matches!(self.outcome.try_recv(), Err(TryRecvError::Empty))
    }

    /// Settles the batch by openraft's outcome, for those cases in which the state machine has not: the
    /// entry was refused, overwritten, or came to be applied from disk and lost its ticket there.
    fn conclude(&self, outcome: Option<ClientWriteResult<Group>>) {
        match outcome {
            Some(Ok(written)) => drop(self.ticket.settle(written.log_id.index, written.data.answers)),
            // Cut off here by another leader; a third node may have it, and lead next.
            Some(Err(ClientWriteError::ForwardToLeader(_))) if self.ticket.was_written() => {
                self.ticket.fail(&ProposeError::Unknown("another node leads now".to_owned()));
            }
            Some(Err(ClientWriteError::ForwardToLeader(_))) => self.ticket.fail(&ProposeError::NotLeader),
            Some(Err(ClientWriteError::ChangeMembershipError(error))) => {
                self.ticket.fail(&ProposeError::Unknown(error.to_string()));
            }
            // The core is gone with the entry in hand.
            None => self.ticket.fail(&ProposeError::Unknown("the log has stopped".to_owned())),
        }
    }
}
