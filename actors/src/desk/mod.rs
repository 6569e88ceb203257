//! The claims desk: agents that run elsewhere ask for work here and wait until there is some.
//!
//! ```text
//!  claim ─► join the line ─► look ─► called ─► Command::Claim ─► leases ─► caller
//!                  ▲           ▲                   │       ╲
//!                  └── nothing ┼───────────────────┘        ╲ the caller is gone: Command::Release
//!                  events ─────┘◄──────── ended ──┘
//! ```
//!
//! Who waits costs nothing and writes nothing. It stands in the lines of the mailboxes that its agent takes
//! from; a look at a mailbox calls as many of its line as there is work for, first come first served, and
//! only a called one proposes its claim.
//!
//! **No wake-up is lost.** For every waiting task, one of these holds: nobody in line can do it; a claim is on
//! its way that the task was set against; or a look at its mailbox is about to happen. It is kept by looking
//! after each of the things that can break it: work comes into a mailbox or an agent gets free, ready or
//! resumed (an event, told after the state shows it); somebody joins the line (looked at under the lock under
//! which it joins, so an event of before is in the state and one of after finds it in line); and a claim
//! ends, with or without work (looked at, after whoever got nothing has gone back to its place). A claim on
//! its way always ends, if only with an error. When events were missed, everything is looked at.
//!
//! **Nobody is called for nothing**, as far as the state tells: each call is set against tasks that its agent
//! can do and that are not paused, after the claims on their way have been set against theirs. So n tasks call
//! at most n of those who wait.
//!
//! **A lease reaches its claimer or goes back.** The claim is carried out apart from the caller. When that is
//! gone before it took the answer, the leases are released. A claim is made under an id that follows from
//! the request; the same request asked again is answered with the leases of the first time that are still
//! valid. While it is in line, on its way or being released it has one place in the book: the later caller
//! takes over, and waits until a release is done, so it never gets a lease that is about to end. A claim that
//! brought nothing, or whose leases are over, is made again under the next id that follows.
//!
//! The same request may be asked at the desks of two nodes. Only the one whose claim was granted the leases gives them
//! back when its caller is gone; the other keeps them for its caller first, by a sign of life under the very id under
//! which they would be given back. Whichever of the two comes first counts.

mod book;
mod lines;
mod seat;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use parking_lot::Mutex;
use synod_domain::capability::Capabilities;
use synod_domain::command::Command;
use synod_domain::id::{AgentId, RequestId};
use synod_domain::refusal::Refusal;
use synod_domain::reply::{Assignment, Reply};
use tokio_util::sync::CancellationToken;

use crate::ports::JournalError;
use crate::propose::World;
use crate::scheduler::Touched;
use book::{Book, Joined, Order};
use seat::Seat;

/// The most claims that wait at a time. Each holds a connection and some hundred bytes; more than these
/// agents should share claims by taking several tasks at once.
pub const CLAIMS_WAITING_MAX: usize = 10_000;

/// Why leases are given back that nobody waits for any more.
const GONE: &str = "the claimer went away before it got the lease";

/// A claim that may wait.
#[derive(Debug, Clone)]
pub struct Ask {
    /// Who takes the work.
    pub agent: AgentId,
    /// What it offers this time; what it was registered with when nothing is said.
    pub offered: Option<Capabilities>,
    /// How many tasks at most.
    pub max: u32,
    /// Whether the claim also starts them.
    pub start: bool,
    /// How long to wait while there is nothing.
    pub wait: Duration,
    /// The same request asked again gets the same leases, as far as they are still valid.
    pub request: RequestId,
}

/// Why a claim was not answered with leases or with none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClaimError {
    /// The rules refuse it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The log did not take it.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// Too many claims wait; nothing was claimed.
    #[error("{CLAIMS_WAITING_MAX} claims wait already; try again shortly")]
    Crowded,
    /// The same request was asked again meanwhile.
    #[error("the same request was asked again; the later call gets the answer")]
    Superseded,
}

/// What a claim comes to.
pub(crate) type Outcome = Result<Vec<Assignment>, ClaimError>;

/// The desk. Cheap to clone.
#[derive(Clone)]
pub struct Desk(Arc<Inner>);

struct Inner {
    world: World,
    book: Mutex<Book>,
    closed: CancellationToken,
}

impl std::fmt::Debug for Desk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Desk({} claims)", self.waiting())
    }
}

impl Desk {
    pub(crate) fn new(world: World) -> Self {
        Self(Arc::new(Inner { world, book: Mutex::default(), closed: CancellationToken::new() }))
    }

    /// Claims work for an agent that runs elsewhere, and waits for it if need be. Empty when there was none.
    ///
    /// Dropping the future gives up the place in line; leases that were on their way are given back.
    ///
    /// # Errors
    /// When the agent is unknown or takes nothing new, too many wait, the node stops, or the same request is
    /// asked again meanwhile.
    pub async fn claim(&self, ask: Ask) -> Result<Vec<Assignment>, ClaimError> {
        if self.0.closed.is_cancelled() {
            return Err(JournalError::Stopped.into());
        }
        let wait = ask.wait;
        let mut seat = loop {
            match self.join(ask.clone())? {
                Joined::Answered(outcome) => return outcome,
                Joined::Earlier { key, leases } => {
                    let kept = self.keep(key, leases).await?;
                    if !kept.is_empty() {
                        return Ok(kept);
                    }
                    // They went back in the meantime.
                }
                Joined::Seated { ticket, caller, called } => {
                    break Seat::new(self.clone(), ticket, caller, called);
                }
            }
        };
        let unheard = tokio::select! {
            biased;
            () = seat.called() => return seat.take(),
            () = self.0.closed.cancelled() => Err(JournalError::Stopped.into()),
            () = passed(wait) => Ok(Vec::new()),
        };
        // A claim that is on its way may bring leases, and its answer is a sync away.
        if seat.leave() {
            return unheard;
        }
        seat.called().await;
        seat.take()
    }

    /// Returns how many claims wait or are on their way.
    pub fn waiting(&self) -> usize {
        self.0.book.lock().len()
    }

    /// Tells whether a claim of an agent waits or is on its way.
    pub(crate) fn has_claim_of(&self, agent: AgentId) -> bool {
        self.0.book.lock().has_claim_of(agent)
    }

    /// Returns whose claims wait or are on their way.
    pub(crate) fn claimants(&self) -> Vec<AgentId> {
        self.0.book.lock().claimants()
    }

    /// Looks at what was touched and calls those for whom there is work.
    pub(crate) fn touch(&self, touched: &Touched) {
        self.look(|book, world, orders| {
            if book.len() == 0 {
                return;
            }
            world.read(|state| {
                let mut mailboxes = touched.mailboxes.clone();
                if touched.everything {
                    book.review_all(state, &mut mailboxes, orders);
                } else {
                    for agent in &touched.agents {
                        book.review(state, *agent, &mut mailboxes);
                        book.ask_agent(state, *agent, orders);
                    }
                }
                for mailbox in &touched.barred {
                    book.ask_all(state, mailbox, orders);
                }
                for mailbox in &mailboxes {
                    book.call(state, mailbox, orders);
                }
            });
        });
    }

    /// Sends everybody away; nobody is let in after that.
    pub(crate) fn close(&self) {
        self.0.closed.cancel();
    }

    fn join(&self, ask: Ask) -> Result<Joined, ClaimError> {
        self.look(|book, world, orders| {
            world.read(|state| {
                let joined = book.join(state, ask)?;
                if let Joined::Seated { ticket, .. } = &joined {
                    book.ask(state, &[*ticket], orders);
                    for mailbox in book.sources_of(*ticket) {
                        book.call(state, &mailbox, orders);
                    }
                }
                Ok(joined)
            })
        })
    }

    /// Does something with the book, and carries out what follows from it.
    fn look<T>(&self, work: impl FnOnce(&mut Book, &World, &mut Vec<Order>) -> T) -> T {
        let mut orders = Vec::new();
        let done = work(&mut self.0.book.lock(), &self.0.world, &mut orders);
        for order in orders {
            self.carry_out(order);
        }
        done
    }

    /// Carries an order out apart from whoever gave it. Outside of a runtime, where nothing runs any more that
    /// could, it does nothing: the leases end with their agent.
    fn carry_out(&self, order: Order) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let desk = self.clone();
        match order {
            Order::Claim { ticket, key, command } => {
                runtime.spawn(async move {
                    let claimed = desk.propose(key, command).await;
                    desk.look(|book, world, orders| {
                        world.read(|state| book.claimed(state, ticket, claimed, orders));
                    });
                });
            }
            Order::Release { ticket, key, leases } => {
                runtime.spawn(async move {
                    desk.release(key, leases).await;
                    desk.look(|book, world, orders| world.read(|state| book.released(state, ticket, orders)));
                });
            }
        }
    }

    /// Proposes a claim, and tells whether what it came to was granted to it.
    async fn propose(&self, key: RequestId, command: Command) -> (Outcome, bool) {
        let proposing = AssertUnwindSafe(self.0.world.propose(command)).catch_unwind();
        match proposing.await {
            Ok(Ok(Ok(Reply::Claimed(leases)))) => (Ok(leases), true),
            // The same was asked on another node, before this one knew of it.
            Ok(Ok(Ok(Reply::Done))) => {
                let outcome = match self.0.world.read(|state| state.answered(key)) {
                    Some(Reply::Claimed(leases)) => self.keep(key, leases).await,
                    Some(_) | None => Err(used_otherwise()),
                };
                (outcome, false)
            }
            Ok(Ok(Ok(_))) => (Err(used_otherwise()), false),
            Ok(Ok(Err(refusal))) => (Err(refusal.into()), false),
            Ok(Err(error)) => (Err(error.into()), false),
            Err(_) => (Err(JournalError::Unknown("a proposal panicked".to_owned()).into()), false),
        }
    }

    /// Keeps leases for a caller that were granted when the same was asked before, so that whoever was left then cannot
    /// give them back; returns those that are still there.
    async fn keep(&self, key: RequestId, leases: Vec<Assignment>) -> Outcome {
        let keeps = leases.iter().flat_map(|lease| {
            let (task, attempt) = (lease.spec.id, lease.attempt);
            // The first counts once, however often the same is asked; the second renews the lease each time.
            let ids = [book::kept_or_back(key, task), self.0.world.ids.request()];
            ids.map(|id| self.0.world.propose_as(id, Command::Heartbeat { task, attempt, progress: None }))
        });
        for kept in futures::future::join_all(keeps).await {
            // A refusal means that the lease is over, which is seen below.
            drop(kept?);
        }
        match self.0.world.read(|state| state.answered(key)) {
            Some(Reply::Claimed(leases)) => Ok(leases),
            Some(_) | None => Ok(Vec::new()),
        }
    }

    /// Gives leases back that nobody took, side by side, so that they share a sync.
    async fn release(&self, key: RequestId, leases: Vec<Assignment>) {
        let releases = leases.into_iter().map(|lease| {
            let (task, attempt) = (lease.spec.id, lease.attempt);
            async move {
                let command = Command::Release { task, attempt, reason: GONE.into() };
                let releasing = self.0.world.propose_as(book::kept_or_back(key, task), command);
                match AssertUnwindSafe(releasing).catch_unwind().await {
                    Ok(Ok(Ok(_))) => {}
                    Ok(Ok(Err(refusal))) => {
                        tracing::debug!(%task, attempt, %refusal, "a release was refused");
                    }
                    Ok(Err(error)) => tracing::info!(%task, attempt, %error, "a lease was not given back"),
                    Err(_) => tracing::error!(%task, attempt, "giving a lease back panicked"),
                }
            }
        });
        futures::future::join_all(releases).await;
    }
}

/// Waits, and not at all for no time: a timer has ticks of a millisecond and would make that one.
async fn passed(wait: Duration) {
    if !wait.is_zero() {
        tokio::time::sleep(wait).await;
    }
}

/// Refuses a request id under which something else was asked.
fn used_otherwise() -> ClaimError {
    let why = "it was used for something else".to_owned();
    Refusal::Invalid { field: "request".to_owned(), why }.into()
}
