//! Actors of an embedder's, reached by name from any node.
//!
//! ```text
//!   tell/ask(address, &letter) ─► JSON in an envelope ─► courier ─► mailbox ─► Guest::handle ─► answer
//! ```
//!
//! An embedder [registers](Courier::register) a [`Guest`] under a name; whoever knows the name writes to it from any
//! node of the cluster. A [`Letter`] says what kind it is and of which version, and a guest that reads another refuses
//! it. Promises what the [courier of the cluster](synod_cluster::courier) and [guests](synod_actors::guest) promise:
//! at most once, a deadline for each, clear refusals, dead letters counted. A letter lives in memory alone: what must
//! not be lost is a task.

mod letter;
mod recipient;

pub use letter::Letter;
pub use synod_actors::guest::Guest;
pub use synod_cluster::courier::{Address, DeadLetter, DeadLetters, Undelivered};
pub use synod_domain::restart::{RestartKind, RestartPolicy};

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use parking_lot::Mutex;
use serde::Serialize;
use synod_actors::guest::{self, MAILBOX_DEFAULT, Terms};
use synod_cluster::courier::{Courier as Post, Registration};
use synod_domain::name::{Name, NameError};
use synod_domain::sources::{Clock, Entropy};

use recipient::Seat;

/// How long a mailbox may take to take a letter that asks for nothing, on another node too.
const TELL_PATIENCE: Duration = Duration::from_secs(10);

/// How a guest is kept.
#[derive(Debug, Clone)]
pub struct Keeping {
    /// How often it may fail, and how long it rests then. One that fails more often stays down.
    pub restart: RestartPolicy,
    /// How many letters may wait for it. More only wait longer.
    pub mailbox: NonZeroUsize,
}

impl Default for Keeping {
    fn default() -> Self {
        Self { restart: RestartPolicy::default(), mailbox: MAILBOX_DEFAULT }
    }
}

/// Why the courier did not do what it should.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The text is no name. Nothing was done.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The guest cannot be registered. Nothing was done.
    #[error("{name} cannot be registered: {why}")]
    Register {
        /// The name.
        name: Name,
        /// Why.
        why: String,
    },
    /// The letter was not delivered or has no answer; the error says whether it may have had its effect.
    #[error(transparent)]
    Undelivered(#[from] Undelivered),
    /// The letter cannot be written as JSON. It was not sent.
    #[error("the letter cannot be written: {0}")]
    Unwritable(String),
    /// The answer is not what the letter says it is. The letter had its effect.
    #[error("the answer cannot be read: {0}")]
    UnreadableAnswer(String),
}

struct Kept {
    name: Name,
    registration: Registration,
    stop: BoxFuture<'static, ()>,
}

/// The courier of a node. Cheap to clone.
#[derive(Clone)]
pub struct Courier {
    post: Post,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    /// In order of registration; `None` once the node stops.
    kept: Arc<Mutex<Option<Vec<Kept>>>>,
}

impl std::fmt::Debug for Courier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Courier").field("names", &self.post.names()).finish_non_exhaustive()
    }
}

impl Courier {
    /// Makes a node's courier out of the cluster's.
    pub fn new(post: Post, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        Self { post, clock, entropy, kept: Arc::new(Mutex::new(Some(Vec::new()))) }
    }

    /// Starts a guest under a supervisor of its own, and gives it a name on this node; `make` makes it, after a
    /// failure anew.
    ///
    /// # Errors
    /// When the text is no name, somebody here has it, the node is stopping, or the guest does not start.
    pub async fn register<G>(
        &self,
        name: &str,
        keeping: Keeping,
        make: impl Fn() -> G + Send + Sync + 'static,
    ) -> Result<(), Error>
    where
        G: Guest<Reply: Serialize>,
        G::Letter: Letter<Reply = G::Reply>,
    {
        let name = Name::new(name)?;
        let terms = Terms {
            restart: keeping.restart,
            mailbox: keeping.mailbox,
            clock: self.clock.clone(),
            entropy: self.entropy.clone(),
        };
        let refuse = |why: String| Error::Register { name: name.clone(), why };
        let running = guest::start(terms, make).await.map_err(refuse)?;
        let seat = Seat { name: name.clone(), handle: running.handle(), post: self.post.clone() };
        let registered = self.post.register(name.clone(), Arc::new(seat));
        let registration = match registered {
            Ok(registration) => registration,
            Err(why) => {
                running.stop().await;
                return Err(Error::Register { name, why });
            }
        };
        let stop: BoxFuture<'static, ()> = Box::pin(running.stop());
        let kept = Kept { name: name.clone(), registration, stop };
        let late = match self.kept.lock().as_mut() {
            Some(all) => {
                all.push(kept);
                return Ok(());
            }
            None => kept,
        };
        late.end().await;
        Err(Error::Register { name, why: "the node is stopping".to_owned() })
    }

    /// Frees a name and stops its guest after the letter it is at; `false` when nobody here has it.
    pub async fn unregister(&self, name: &Name) -> bool {
        let kept = {
            let mut all = self.kept.lock();
            let all = all.as_mut();
            all.and_then(|all| all.iter().position(|kept| kept.name == *name).map(|place| all.remove(place)))
        };
        match kept {
            Some(kept) => {
                kept.end().await;
                true
            }
            None => false,
        }
    }

    /// Sends a letter and waits until its recipient's mailbox has it.
    ///
    /// # Errors
    /// When it is not delivered; the error says whether it may have been all the same.
    pub async fn tell<L: Letter>(&self, to: &Address, letter: &L) -> Result<(), Error> {
        let body = letter::write(letter)?;
        self.post.send(to, (L::KIND, L::VERSION), body, TELL_PATIENCE, false).await?;
        Ok(())
    }

    /// Sends a letter and waits for what its recipient answers, at most for `patience`.
    ///
    /// # Errors
    /// When it is not answered; the error says whether it may have had its effect.
    pub async fn ask<L: Letter>(
        &self,
        to: &Address,
        letter: &L,
        patience: Duration,
    ) -> Result<L::Reply, Error> {
        let body = letter::write(letter)?;
        let answer = self.post.send(to, (L::KIND, L::VERSION), body, patience, true).await?;
        serde_json::from_slice(&answer.unwrap_or_default())
            .map_err(|error| Error::UnreadableAnswer(error.to_string()))
    }

    /// Returns the names of this node's guests, in order.
    pub fn names(&self) -> Vec<Name> {
        self.post.names()
    }

    /// Returns the letters that could not be delivered, as far as this node knows.
    pub fn dead_letters(&self) -> DeadLetters {
        self.post.dead_letters()
    }

    /// Stops all guests, the last first; none can be registered any more.
    pub(crate) async fn stop(&self) {
        let all = self.kept.lock().take();
        for kept in all.into_iter().flatten().rev() {
            kept.end().await;
        }
    }
}

impl Kept {
    /// The name first: whoever writes is told that nobody has it, and not that it stopped.
    async fn end(self) {
        drop(self.registration);
        self.stop.await;
    }
}
