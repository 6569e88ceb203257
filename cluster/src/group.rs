//! What the Raft group is made of: the types that openraft is told to use.
//!
//! An entry of the log carries one [`Proposal`], a batch of commands. Answers travel back to those who
//! asked by the [`Ticket`] that a proposal carries while it stays in this process; on the wire and on
//! disk a proposal is only its [`Entry`]. Openraft's own way back (through its core, which waits for the
//! next flush meanwhile) would make every answer wait for the batch behind it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use synod_domain::command::Entry;
use synod_domain::id::NodeId;
use synod_domain::reply::Answer;
use tokio::sync::{Notify, oneshot};

use crate::proposer::{ProposeError, Settled};
use crate::runtime::SeededTokio;
use crate::snapshot::SnapshotData;

openraft::declare_raft_types!(
    /// The types of a synod group.
    pub Group:
        D = Proposal,
        R = Answers,
        NodeId = u64,
        Node = Peer,
        SnapshotData = SnapshotData,
        AsyncRuntime = SeededTokio,
);

/// The running group.
pub type Raft = openraft::Raft<Group>;
/// Names a place in the log: term and index.
pub type LogId = openraft::LogId<u64>;
/// Who votes, and since which entry.
pub type Membership = openraft::StoredMembership<u64, Peer>;
/// What openraft calls an entry: a log id and a payload.
pub type LogEntry = openraft::Entry<Group>;
/// What openraft is told when the disk fails.
pub(crate) type StorageError = openraft::StorageError<u64>;

/// A member of the group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peer {
    /// Who it is. Where it is, the node's address book says.
    pub node: NodeId,
}

impl Default for Peer {
    /// Nobody; openraft wants a default and shows it to no one.
    fn default() -> Self {
        Self { node: NodeId::from_raw(0) }
    }
}

/// One batch of commands on its way through the log.
#[derive(Clone, Default, Serialize, Deserialize)]
pub struct Proposal {
    /// What is proposed; shared, so that no step copies it.
    pub entry: Arc<Entry>,
    /// Who waits for the answers, in the process that proposed.
    #[serde(skip)]
    pub(crate) ticket: Option<Arc<Ticket>>,
}

impl Proposal {
    /// Wraps an entry that nobody waits for.
    pub fn of(entry: Entry) -> Self {
        Self { entry: Arc::new(entry), ticket: None }
    }
}

impl fmt::Debug for Proposal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proposal({} commands at {})", self.entry.commands.len(), self.entry.at)
    }
}

/// The answers to one entry, in the order of its commands; none when its ticket has been settled.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Answers {
    /// One for each command. It never travels: openraft asks for a type that could.
    #[serde(skip)]
    pub answers: Vec<Answer>,
}

/// What a caller of the proposer is told.
pub(crate) type Told = Result<Settled, ProposeError>;

/// Who waits for one batch. Whoever knows the outcome first settles it; later outcomes are ignored.
pub(crate) struct Ticket {
    waiting: Mutex<Option<Vec<oneshot::Sender<Told>>>>,
    settled: Arc<Notify>,
    /// Whether the batch got into the log of this node.
    written: AtomicBool,
    /// Whether it got to the disk of this node.
    synced: AtomicBool,
}

impl Ticket {
    /// Makes a ticket; `settled` is notified when its batch is on the disk, and when it is settled.
    pub(crate) fn new(waiting: Vec<oneshot::Sender<Told>>, settled: Arc<Notify>) -> Self {
        let waiting = Mutex::new(Some(waiting));
        Self { waiting, settled, written: AtomicBool::new(false), synced: AtomicBool::new(false) }
    }

    /// Tells each caller its answer, by position, and the entry's index. Returns the answers when somebody
    /// settled before.
    pub(crate) fn settle(&self, index: u64, answers: Vec<Answer>) -> Vec<Answer> {
        let Some(waiting) = self.waiting.lock().take() else { return answers };
        let mut answers = answers.into_iter();
        for caller in waiting {
            // A tick waits in an entry of its own without commands: it is answered without an answer.
            let answer = answers.next().unwrap_or(Ok(synod_domain::reply::Reply::Done));
            // A caller who went away changes nothing.
            let _ = caller.send(Ok(Settled { answer, index }));
        }
        self.settled.notify_one();
        Vec::new()
    }

    /// Tells every caller why there is no answer.
    pub(crate) fn fail(&self, error: &ProposeError) {
        let Some(waiting) = self.waiting.lock().take() else { return };
        for caller in waiting {
            let _ = caller.send(Err(error.clone()));
        }
        self.settled.notify_one();
    }

    /// Notes that the batch stands in the log of this node, and may stand in those of others.
    pub(crate) fn note_written(&self) {
        self.written.store(true, Ordering::Release);
    }

    /// Tells whether the batch ever stood in the log of this node.
    pub(crate) fn was_written(&self) -> bool {
        self.written.load(Ordering::Acquire)
    }

    /// Notes that the batch is on the disk of this node.
    pub(crate) fn note_synced(&self) {
        self.synced.store(true, Ordering::Release);
        self.settled.notify_one();
    }

    /// Tells whether the batch is on the disk of this node.
    pub(crate) fn is_synced(&self) -> bool {
        self.synced.load(Ordering::Acquire)
    }

    /// Tells whether the outcome is known.
    pub(crate) fn is_settled(&self) -> bool {
        self.waiting.lock().is_none()
    }
}
