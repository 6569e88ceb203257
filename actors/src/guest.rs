//! Actors that an embedder brings: one mailbox, one state, a supervisor of their own.
//!
//! ```text
//!   Handle::post ─► mailbox (bounded, outlives restarts) ─► actor ─► Guest::handle ─► answer
//! ```
//!
//! A guest that panics is made anew and goes on with its mailbox; what it had in hand is lost, and whoever asked is
//! told. One that fails too often stays down, and says so to whoever writes to it; it takes nothing else with it.
//! Promises one letter at a time, in order, each at most once, and none whose time was over before it was read. Leaves
//! to others where letters come from and how they are written.

use std::collections::VecDeque;
use std::future::Future;
use std::marker::PhantomData;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use synod_domain::restart::RestartPolicy;
use synod_domain::sources::{Clock, Entropy};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::address::Address;
use crate::supervisor::{self, STOP_PATIENCE, Supervisor, child};

/// Letters that wait for one guest, unless it is said otherwise. Enough for a burst; more only wait longer.
pub const MAILBOX_DEFAULT: NonZeroUsize = NonZeroUsize::new(1_000).expect("it is not zero");

/// An actor of an embedder's.
pub trait Guest: Send + 'static {
    /// What it is told.
    type Letter: Send + 'static;

    /// What it answers.
    type Reply: Send + 'static;

    /// Does what a letter asks for, one at a time. A panic makes the guest anew.
    fn handle(&mut self, letter: Self::Letter) -> impl Future<Output = Self::Reply> + Send;
}

/// Why a letter has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The mailbox is full. The letter had no effect.
    #[error("the mailbox is full")]
    Full,
    /// Its time was over before it was read. It had no effect.
    #[error("its time was over before it was read")]
    Late,
    /// The guest failed while it had it. It may have had its effect.
    #[error("the guest failed while it had it")]
    Failed,
    /// The guest was stopped, or failed too often. The letter had no effect.
    #[error("the guest has stopped: {0}")]
    Stopped(String),
}

/// Says what became of a letter.
pub type Answered<R> = oneshot::Receiver<Result<R, Refused>>;

struct Item<G: Guest> {
    letter: G::Letter,
    until: Instant,
    answer: oneshot::Sender<Result<G::Reply, Refused>>,
}

struct Mailbox<G: Guest> {
    waiting: VecDeque<Item<G>>,
    size: NonZeroUsize,
    stopped: Option<String>,
}

type Shared<G> = Arc<Mutex<Mailbox<G>>>;

/// The only way to talk to a guest. Stays valid when it restarts.
pub struct Handle<G: Guest> {
    mailbox: Shared<G>,
    address: Address<Message>,
}

impl<G: Guest> Clone for Handle<G> {
    fn clone(&self) -> Self {
        Self { mailbox: self.mailbox.clone(), address: self.address.clone() }
    }
}

impl<G: Guest> Handle<G> {
    /// Puts a letter into the mailbox, to be read within `patience`; what it returns says what became of it.
    ///
    /// # Errors
    /// When the mailbox is full or the guest has stopped; the letter had no effect.
    pub fn post(&self, letter: G::Letter, patience: Duration) -> Result<Answered<G::Reply>, Refused> {
        let (answer, answered) = oneshot::channel();
        let now = Instant::now();
        let until = now.checked_add(patience).unwrap_or(now);
        {
            let mut mailbox = self.mailbox.lock();
            if let Some(why) = &mailbox.stopped {
                return Err(Refused::Stopped(why.clone()));
            }
            if mailbox.waiting.len() >= mailbox.size.get() {
                return Err(Refused::Full);
            }
            mailbox.waiting.push_back(Item { letter, until, answer });
        }
        // While it is down nothing is lost: it looks into its mailbox when it starts.
        let _ = self.address.tell(Message::LetterCame);
        Ok(answered)
    }
}

/// What a guest's start needs.
#[derive(Clone)]
pub struct Terms {
    /// How often it may fail, and how long it rests then.
    pub restart: RestartPolicy,
    /// How many letters may wait for it.
    pub mailbox: NonZeroUsize,
    /// For counting restarts.
    pub clock: Arc<dyn Clock>,
    /// For the jitter of rests.
    pub entropy: Arc<dyn Entropy>,
}

/// A guest that runs.
pub struct Running<G: Guest> {
    handle: Handle<G>,
    supervisor: ActorRef<supervisor::Message>,
}

/// Starts a guest under a supervisor of its own; `make` makes it, at each restart anew.
///
/// # Errors
/// When it does not start: `make` panicked.
pub async fn start<G: Guest>(
    terms: Terms,
    make: impl Fn() -> G + Send + Sync + 'static,
) -> Result<Running<G>, String> {
    let mailbox = Mailbox { waiting: VecDeque::new(), size: terms.mailbox, stopped: None };
    let handle = Handle { mailbox: Arc::new(Mutex::new(mailbox)), address: Address::default() };
    let args = Args { mailbox: handle.mailbox.clone(), make: Arc::new(make) };
    let row = child("guest", terms.restart, Host(PhantomData), args, handle.address.clone());
    let gone = handle.mailbox.clone();
    let args = supervisor::Args {
        name: "guests",
        children: vec![row],
        clock: terms.clock,
        entropy: terms.entropy,
        failed: Arc::new(move |why| close(&gone, why)),
    };
    let started = Actor::spawn(None, Supervisor, args).await;
    let (supervisor, _) = started.map_err(supervisor::why_not_started)?;
    Ok(Running { handle, supervisor })
}

impl<G: Guest> Running<G> {
    /// Returns how to talk to it.
    pub fn handle(&self) -> Handle<G> {
        self.handle.clone()
    }

    /// Stops it after the letter it is at. Letters that wait are refused.
    pub async fn stop(self) {
        close(&self.handle.mailbox, "it was stopped");
        let supervisor = Address::default();
        supervisor.point_at(self.supervisor.clone());
        let stopping = supervisor.ask(STOP_PATIENCE * 2, |reply| supervisor::Message::Stop { reply });
        if stopping.await.is_err() {
            self.supervisor.kill();
        }
    }
}

impl<G: Guest> Drop for Running<G> {
    /// Without a stop it ends as in a crash; what waits is refused.
    fn drop(&mut self) {
        close(&self.handle.mailbox, "it was dropped");
        self.supervisor.kill();
    }
}

fn close<G: Guest>(mailbox: &Shared<G>, why: &str) {
    let waiting = {
        let mut mailbox = mailbox.lock();
        mailbox.stopped.get_or_insert_with(|| why.to_owned());
        std::mem::take(&mut mailbox.waiting)
    };
    for item in waiting {
        // An error means that nobody waits any more.
        let _ = item.answer.send(Err(Refused::Stopped(why.to_owned())));
    }
}

/// What a guest's actor is told. Letters are not in it: they wait in the mailbox, which outlives it.
#[derive(Debug)]
enum Message {
    LetterCame,
}

struct Args<G: Guest> {
    mailbox: Shared<G>,
    make: Arc<dyn Fn() -> G + Send + Sync>,
}

impl<G: Guest> Clone for Args<G> {
    fn clone(&self) -> Self {
        Self { mailbox: self.mailbox.clone(), make: self.make.clone() }
    }
}

struct State<G: Guest> {
    mailbox: Shared<G>,
    guest: G,
}

struct Host<G>(PhantomData<fn() -> G>);

impl<G> Clone for Host<G> {
    fn clone(&self) -> Self {
        Self(PhantomData)
    }
}

impl<G: Guest> Actor for Host<G> {
    type Msg = Message;
    type State = State<G>;
    type Arguments = Args<G>;

    async fn pre_start(&self, me: ActorRef<Message>, args: Args<G>) -> Result<State<G>, ActorProcessingErr> {
        // What came while it was down woke nobody.
        me.send_message(Message::LetterCame)?;
        Ok(State { guest: (args.make)(), mailbox: args.mailbox })
    }

    async fn handle(
        &self,
        me: ActorRef<Message>,
        message: Message,
        state: &mut State<G>,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            Message::LetterCame => state.read_one(&me).await?,
        }
        Ok(())
    }
}

impl<G: Guest> State<G> {
    /// Reads one letter and comes back for the next, so that a stop has its turn in between.
    async fn read_one(&mut self, me: &ActorRef<Message>) -> Result<(), ActorProcessingErr> {
        let item = self.mailbox.lock().waiting.pop_front();
        let Some(Item { letter, until, answer }) = item else { return Ok(()) };
        // Only wake-ups for letters that were read already come too many, and they find nothing.
        me.send_message(Message::LetterCame)?;
        let answered =
            if until <= Instant::now() { Err(Refused::Late) } else { Ok(self.guest.handle(letter).await) };
        // An error means that nobody waits any more.
        let _ = answer.send(answered);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use synod_domain::time::Timestamp;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(60);

    #[derive(Default)]
    struct Sources(AtomicU64);

    impl Clock for Sources {
        fn now(&self) -> Timestamp {
            Timestamp::from_millis(1)
        }
    }

    impl Entropy for Sources {
        fn draw(&self) -> u64 {
            self.0.fetch_add(1, Ordering::Relaxed)
        }
    }

    fn terms(mailbox: usize) -> Terms {
        let mailbox = NonZeroUsize::new(mailbox).unwrap();
        let sources = Arc::new(Sources::default());
        Terms { restart: RestartPolicy::default(), mailbox, clock: sources.clone(), entropy: sources }
    }

    /// Adds up; fails at `None`; at 0 waits until it is let go.
    struct Sum {
        total: u64,
        gate: Arc<tokio::sync::Semaphore>,
    }

    impl Guest for Sum {
        type Letter = Option<u64>;
        type Reply = u64;

        async fn handle(&mut self, letter: Option<u64>) -> u64 {
            let more = letter.expect("this guest fails at None");
            if more == 0 {
                self.gate.acquire().await.unwrap().forget();
            }
            self.total += more;
            self.total
        }
    }

    async fn summing(mailbox: usize) -> (Running<Sum>, Arc<tokio::sync::Semaphore>) {
        let gate = Arc::new(tokio::sync::Semaphore::new(0));
        let made = gate.clone();
        let running = start(terms(mailbox), move || Sum { total: 0, gate: made.clone() }).await.unwrap();
        (running, gate)
    }

    #[tokio::test(start_paused = true)]
    async fn letters_are_read_in_order_and_answered() {
        let (running, _) = summing(10).await;
        let answers: Vec<_> =
            (1..=3).map(|more| running.handle().post(Some(more), PATIENCE).unwrap()).collect();
        let mut totals = Vec::new();
        for answer in answers {
            totals.push(answer.await.unwrap().unwrap());
        }
        assert_eq!(totals, [1, 3, 6]);
    }

    #[tokio::test(start_paused = true)]
    async fn guest_that_fails_is_made_anew_and_goes_on_with_its_mailbox() {
        let (running, _) = summing(10).await;
        let handle = running.handle();
        let first = handle.post(Some(5), PATIENCE).unwrap();
        let fatal = handle.post(None, PATIENCE).unwrap();
        let after = handle.post(Some(7), PATIENCE).unwrap();
        assert_eq!(first.await.unwrap(), Ok(5));
        assert!(fatal.await.is_err(), "what it had in hand is lost, and whoever asked learns it");
        assert_eq!(after.await.unwrap(), Ok(7), "the sum began anew");
    }

    #[tokio::test(start_paused = true)]
    async fn guest_that_fails_too_often_stays_down_and_says_so() {
        let (running, _) = summing(100).await;
        let handle = running.handle();
        let answers: Vec<_> = (0..20).map(|_| handle.post(None, PATIENCE).unwrap()).collect();
        let mut outcomes = Vec::new();
        for answer in answers {
            outcomes.push(answer.await);
        }
        assert!(outcomes[0].is_err());
        assert!(matches!(outcomes.last(), Some(Ok(Err(Refused::Stopped(_))))), "{outcomes:?}");
        assert!(matches!(handle.post(Some(1), PATIENCE), Err(Refused::Stopped(_))));
    }

    #[tokio::test(start_paused = true)]
    async fn full_mailbox_refuses_and_letters_whose_time_is_over_are_not_read() {
        let (running, gate) = summing(2).await;
        let handle = running.handle();
        let held = handle.post(Some(0), PATIENCE).unwrap();
        while !handle.mailbox.lock().waiting.is_empty() {
            tokio::task::yield_now().await;
        }
        let late = handle.post(Some(1), Duration::from_secs(1)).unwrap();
        let patient = handle.post(Some(2), PATIENCE).unwrap();
        assert!(matches!(handle.post(Some(3), PATIENCE), Err(Refused::Full)));
        tokio::time::advance(Duration::from_secs(2)).await;
        gate.add_permits(1);
        assert_eq!(held.await.unwrap(), Ok(0));
        assert_eq!(late.await.unwrap(), Err(Refused::Late));
        assert_eq!(patient.await.unwrap(), Ok(2));
    }

    #[tokio::test(start_paused = true)]
    async fn stopped_guest_finishes_what_it_has_and_refuses_the_rest() {
        let (running, gate) = summing(10).await;
        let handle = running.handle();
        let held = handle.post(Some(0), PATIENCE).unwrap();
        while !handle.mailbox.lock().waiting.is_empty() {
            tokio::task::yield_now().await;
        }
        let waiting = handle.post(Some(1), PATIENCE).unwrap();
        let stopping = tokio::spawn(running.stop());
        assert!(matches!(waiting.await.unwrap(), Err(Refused::Stopped(_))));
        gate.add_permits(1);
        assert_eq!(held.await.unwrap(), Ok(0));
        stopping.await.unwrap();
        assert!(matches!(handle.post(Some(1), PATIENCE), Err(Refused::Stopped(_))));
    }
}
