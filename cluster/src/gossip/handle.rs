//! The handle of gossip: starts it, reads it, tells it what changed.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use synod_domain::id::NodeId;
use synod_domain::node::Keyring;
use synod_domain::sources::{Clock, Entropy};
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::gossip::book::Book;
use crate::gossip::counters::{Counters, Counting};
use crate::gossip::profile::Profile;
use crate::gossip::rumour::{ADDRESS_BYTES_MAX, Member, Rumour};
use crate::gossip::task::{Command, Task};
use crate::lasting::Lasting;
use crate::transport::Datagrams;
use crate::transport::links::AddressBook;

/// The most addresses that are knocked at; a caller who gives more keeps the first of them.
const SEEDS_MAX: usize = 64;

/// What a node needs to gossip.
pub struct Options {
    /// Where datagrams come and go.
    pub datagrams: Box<dyn Datagrams>,
    /// Where others send their datagrams, as `host:port`; `None` is where they are bound. Needed when that is every
    /// address of the machine.
    pub advertise: Option<String>,
    /// What this node tells of itself at first.
    pub me: Rumour,
    /// Where datagrams of some members arrive. One that is reached is enough.
    pub seeds: Vec<String>,
    /// The keys. A change counts from the next datagram on.
    pub keyring: watch::Receiver<Keyring>,
    /// What time it is, for people: nothing is decided by it.
    pub clock: Arc<dyn Clock>,
    /// Chance: who is probed next, and the nonces of seals.
    pub entropy: Arc<dyn Entropy>,
    /// How patient it is.
    pub profile: Profile,
}

/// Why a node cannot gossip so. Nothing was started.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address is empty or does not fit a datagram beside others.
    #[error("{address:?} cannot be told to others: use 1 to {limit} bytes of host:port")]
    Address {
        /// As given.
        address: String,
        /// The bound.
        limit: usize,
    },
    /// What the node tells of itself does not fit a datagram, even without labels.
    #[error(
        "what this node tells of itself has {size} bytes, at most {limit} fit: shorten names and addresses"
    )]
    TooLarge {
        /// Its size.
        size: usize,
        /// The bound.
        limit: usize,
    },
}

/// What the handle and the task share.
pub(super) struct Shared {
    pub(super) book: Mutex<Book>,
    /// What this node tells of itself.
    pub(super) me: Mutex<Rumour>,
    pub(super) told: Notify,
    pub(super) seeds: Mutex<BTreeSet<String>>,
    pub(super) counting: Counting,
    pub(super) changes: watch::Sender<u64>,
    pub(super) address: String,
    profile: Profile,
}

/// The gossip of one node. Cheap to clone; it ends when the last clone is gone, without a word to the others.
#[derive(Clone)]
pub struct Gossip {
    shared: Arc<Shared>,
    commands: mpsc::Sender<Command>,
    stop: CancellationToken,
    fatal: watch::Receiver<Option<String>>,
    _end: Arc<DropGuard>,
}

impl Gossip {
    /// Starts to gossip: knocks at the seeds, and answers whoever knocks.
    ///
    /// # Errors
    /// When what the node tells of itself does not fit a datagram.
    pub async fn start(options: Options) -> Result<Self, Error> {
        let address = options.advertise.clone().unwrap_or_else(|| options.datagrams.address());
        for address in [&address, &options.me.address, &options.me.api] {
            let fits =
                address.len() <= ADDRESS_BYTES_MAX && (!address.is_empty() || *address == options.me.api);
            if !fits {
                return Err(Error::Address { address: address.clone(), limit: ADDRESS_BYTES_MAX });
            }
        }
        let shared = Arc::new(Shared {
            book: Mutex::new(Book::new(options.me.clone(), options.clock.now())?),
            me: Mutex::new(options.me.clone()),
            told: Notify::new(),
            seeds: Mutex::new(options.seeds.iter().take(SEEDS_MAX).cloned().collect()),
            counting: Counting::default(),
            changes: watch::Sender::new(0),
            address,
            profile: options.profile,
        });
        let (commands, receiver) = mpsc::channel(1);
        let stop = CancellationToken::new();
        let task = Task::new(options, shared.clone());
        let (died, fatal) = watch::channel(None);
        Lasting::until(died, stop.clone()).spawn("gossip", task.run(receiver, stop.clone()));
        Ok(Self { shared, commands, stop: stop.clone(), fatal, _end: Arc::new(stop.drop_guard()) })
    }

    /// Returns everybody who is known, this node among them, in order of id.
    pub fn members(&self) -> Vec<Member> {
        self.shared.book.lock().members()
    }

    /// Returns one of them.
    pub fn member(&self, node: NodeId) -> Option<Member> {
        self.shared.book.lock().member(node)
    }

    /// Returns a number that changes whenever what [`Self::members`] returns does.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.shared.changes.subscribe()
    }

    /// Returns after how long, of so many members, a live one has been heard of that was taken for dead without a reason.
    pub fn patience(&self, members: usize) -> Duration {
        self.shared.profile.patience(members)
    }

    /// Changes what this node tells of itself; who it is stays. Frequent changes are told together.
    pub fn tell(&self, change: impl FnOnce(&mut Rumour)) {
        let mut me = self.shared.me.lock();
        let mut changed = me.clone();
        change(&mut changed);
        (changed.node, changed.generation) = (me.node, me.generation);
        if changed != *me {
            *me = changed;
            drop(me);
            self.shared.told.notify_one();
        }
    }

    /// Adds addresses to knock at until somebody there is a member.
    pub fn seed(&self, addresses: Vec<String>) {
        let mut seeds = self.shared.seeds.lock();
        for address in addresses {
            if seeds.len() < SEEDS_MAX {
                seeds.insert(address);
            }
        }
        drop(seeds);
        self.shared.told.notify_one();
    }

    /// Says that this node goes, and ends. The others take it for left, and not for dead.
    pub async fn leave(&self) {
        let (done, left) = oneshot::channel();
        if self.commands.send(Command::Leave(done)).await.is_ok() {
            let _ = left.await;
        }
    }

    /// Ends without a word, as a dead node does.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// Returns why it has ended without being told to: then this node hears and says nothing any more, and the others
    /// will take it for dead. `None` while it lives or was told to end.
    pub fn fatal(&self) -> watch::Receiver<Option<String>> {
        self.fatal.clone()
    }

    /// Returns where others send their datagrams.
    pub fn address(&self) -> String {
        self.shared.address.clone()
    }

    /// Returns what became of datagrams.
    pub fn counters(&self) -> Counters {
        self.shared.counting.read()
    }
}

impl AddressBook for Gossip {
    fn address_of(&self, node: NodeId) -> Option<String> {
        self.member(node).map(|member| member.rumour.address)
    }
}
