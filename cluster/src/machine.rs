//! The state as the log has made it, and openraft's way to apply entries to it.
//!
//! ```text
//!  committed entries ─► apply ─► state (readers see it) ─► events told ─► callers answered
//!                         └────► checkpointer woken
//! ```
//!
//! Promises that entries are applied in order and once, that readers see a command's effects before anyone
//! hears of them, and that its events were told before its caller is answered. Leaves judging to the
//! domain, and the disk to the checkpointer.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use openraft::storage::RaftStateMachine;
use openraft::{
    AnyError, EntryPayload, OptionalSend, RaftSnapshotBuilder, Snapshot, SnapshotMeta, StorageIOError,
};
use parking_lot::{Mutex, RwLock};
use synod_domain::event::Event;
use synod_domain::row::Row;
use synod_domain::state::{RestoreError, State};
use synod_domain::time::Timestamp;
use synod_storage::decode;
use synod_storage::{StateStore, Storage};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use crate::checkpointer::{CHECKPOINT_ENTRIES, CHECKPOINT_ROWS, Checkpointer, Policy};
use crate::clock::ClusterClock;
use crate::group::{Answers, Group, LogEntry, LogId, Membership, Peer, StorageError};
use crate::offload::Offload;
use crate::records::{BOOKKEEPING_KEY, Bookkeeping};
use crate::snapshot::SnapshotData;

/// Rows that a restore loads at once.
const PAGE: usize = 512;

/// Hears what happened, in order. Called on the path of every command: it must not wait.
///
/// After a restart the entries behind the last checkpoint are applied again and told again, with the same
/// index; whoever minds compares it.
pub trait EventSink: Send + Sync + 'static {
    /// Takes the events of one entry.
    fn publish(&self, index: u64, at: Timestamp, events: Vec<Event>);

    /// Hears that a snapshot brought everything through this entry, so that what happened up to there is not told.
    fn skip(&self, _index: u64, _at: Timestamp) {}
}

/// Why the mirror on disk does not make a state.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The disk did not give a row, or gave a damaged one.
    #[error("the state cannot be read from disk")]
    Storage(#[from] synod_storage::Error),
    /// The rows do not fit together.
    #[error("the state on disk is not a state")]
    Restore(#[from] RestoreError),
}

/// The state, and through where it is applied.
pub struct Machine {
    pub(crate) state: Arc<RwLock<State>>,
    place: Mutex<Place>,
    /// Entries applied since the last checkpoint took the changes.
    unsaved: AtomicU64,
    /// Rows changed since then, as of the last entry.
    changed: AtomicUsize,
    /// Woken by every apply.
    pub(crate) applied: Notify,
    /// Through which index the state is applied; 0 before the first entry.
    pub(crate) reached: watch::Sender<u64>,
    /// Told the time of what is applied.
    clock: OnceLock<Arc<ClusterClock>>,
    /// Woken when so much is unsaved that the next checkpoint should not wait.
    pub(crate) urgent: Notify,
    sink: Arc<dyn EventSink>,
}

/// Through where the state is applied, and who votes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Place {
    pub(crate) applied: Option<LogId>,
    pub(crate) membership: Membership,
}

impl Machine {
    /// Loads the state from its mirror.
    ///
    /// # Errors
    /// When the mirror is damaged.
    pub fn load(store: &dyn StateStore, sink: Arc<dyn EventSink>) -> Result<Self, Error> {
        let (state, place) = read_mirror(store)?;
        Ok(Self {
            state: Arc::new(RwLock::new(state)),
            reached: watch::Sender::new(place.applied.map_or(0, |id| id.index)),
            clock: OnceLock::new(),
            place: Mutex::new(place),
            unsaved: AtomicU64::new(0),
            changed: AtomicUsize::new(0),
            applied: Notify::new(),
            urgent: Notify::new(),
            sink,
        })
    }

    /// Returns the state, shared with everybody who reads it.
    pub fn state(&self) -> Arc<RwLock<State>> {
        Arc::clone(&self.state)
    }

    /// Returns through where the state is applied.
    pub(crate) fn place(&self) -> Place {
        self.place.lock().clone()
    }

    /// Looks at the state and its place while no entry is applied.
    pub(crate) fn freeze<T>(&self, look: impl FnOnce(&mut State, &Place) -> T) -> T {
        let mut state = self.state.write();
        let place = self.place.lock();
        look(&mut state, &place)
    }

    /// Takes what an installed snapshot has put into the store.
    pub(crate) fn reload(&self, store: &dyn StateStore) -> Result<(), Error> {
        let (state, place) = read_mirror(store)?;
        let (index, at) = (place.applied.map_or(0, |id| id.index), state.now());
        let mut current = self.state.write();
        *self.place.lock() = place;
        *current = state;
        self.note_taken();
        if let Some(clock) = self.clock.get() {
            clock.applied(current.now());
        }
        drop(current);
        self.sink.skip(index, at);
        self.tell_reached();
        Ok(())
    }

    fn apply(&self, entry: LogEntry) -> Answers {
        let index = entry.log_id.index;
        match entry.payload {
            EntryPayload::Blank => {
                let _state = self.state.write();
                self.place.lock().applied = Some(entry.log_id);
                Answers::default()
            }
            EntryPayload::Membership(membership) => {
                let _state = self.state.write();
                let mut place = self.place.lock();
                place.applied = Some(entry.log_id);
                place.membership = Membership::new(Some(entry.log_id), membership);
                Answers::default()
            }
            EntryPayload::Normal(proposal) => {
                let (effects, at) = {
                    let mut state = self.state.write();
                    let effects = state.apply(&proposal.entry);
                    // Time does not go back with a leader whose clock is behind: what happened, happened by this one.
                    let at = state.now();
                    if let Some(clock) = self.clock.get() {
                        clock.applied(at);
                    }
                    self.place.lock().applied = Some(entry.log_id);
                    self.changed.store(state.changed_rows(), Ordering::Relaxed);
                    (effects, at)
                };
                if !effects.events.is_empty() {
                    self.sink.publish(index, at, effects.events);
                }
                let answers = match &proposal.ticket {
                    Some(ticket) => ticket.settle(index, effects.answers),
                    None => effects.answers,
                };
                Answers { answers }
            }
        }
    }

    /// Tells whoever waits for an index.
    fn tell_reached(&self) {
        let index = self.place.lock().applied.map_or(0, |id| id.index);
        self.reached.send_if_modified(|reached| std::mem::replace(reached, index) != index);
    }

    /// Tells this clock the time of every entry from here on.
    pub(crate) fn set_clock(&self, clock: Arc<ClusterClock>) {
        // One machine has one clock for its life.
        let _ = self.clock.set(clock);
    }

    /// Takes note that a checkpoint has taken what changed.
    pub(crate) fn note_taken(&self) {
        self.unsaved.store(0, Ordering::Relaxed);
        self.changed.store(0, Ordering::Relaxed);
    }

    fn note_applied(&self, entries: u64) {
        self.tell_reached();
        let unsaved = self.unsaved.fetch_add(entries, Ordering::Relaxed) + entries;
        self.applied.notify_one();
        let changed = self.changed.load(Ordering::Relaxed);
        if unsaved >= CHECKPOINT_ENTRIES || changed >= CHECKPOINT_ROWS {
            self.urgent.notify_one();
        }
    }
}

pub(crate) fn read_mirror(store: &dyn StateStore) -> Result<(State, Place), Error> {
    let mut failed = None;
    let state =
        State::restore(state_rows(store).map_while(|row| row.map_err(|error| failed = Some(error)).ok()));
    if let Some(error) = failed {
        return Err(error.into());
    }
    let bookkeeping = store.get(BOOKKEEPING_KEY)?.map(|bytes| decode::<Bookkeeping>(&bytes)).transpose()?;
    let place = bookkeeping.map_or_else(Place::default, |kept| Place {
        applied: kept.applied_id(),
        membership: kept.membership(),
    });
    Ok((state?, place))
}

/// Walks the rows of the state in order of key: without bookkeeping and without history.
fn state_rows(store: &dyn StateStore) -> impl Iterator<Item = Result<Row, synod_storage::Error>> + '_ {
    // The smallest key after the bookkeeping.
    let mut from = [BOOKKEEPING_KEY, &[0]].concat();
    let mut page = Vec::<(Bytes, Bytes)>::new().into_iter();
    let mut done = false;
    std::iter::from_fn(move || {
        loop {
            if let Some((_, value)) = page.next() {
                return Some(decode::<Row>(&value));
            }
            if done {
                return None;
            }
            match store.scan(&from, Some(&[synod_domain::row::HISTORY_PREFIX]), PAGE) {
                Ok(loaded) => {
                    done = loaded.len() < PAGE;
                    if let Some((last, _)) = loaded.last() {
                        from = [last.as_ref(), &[0]].concat();
                    }
                    page = loaded.into_iter();
                }
                Err(error) => {
                    done = true;
                    return Some(Err(error));
                }
            }
        }
    })
}

/// openraft's handle on the machine and its checkpointer.
#[derive(Clone)]
pub struct StateMachine {
    machine: Arc<Machine>,
    checkpointer: Arc<Checkpointer>,
}

impl StateMachine {
    /// Makes both on a storage, for those who bring their own openraft.
    ///
    /// # Errors
    /// When the mirror or the snapshots cannot be read.
    pub fn open(
        storage: Storage,
        sink: Arc<dyn EventSink>,
        offload: Offload,
        policy: Policy,
    ) -> Result<Self, crate::checkpointer::Error> {
        let Storage { state: store, snapshots, .. } = storage;
        let machine = Arc::new(Machine::load(&*store, sink)?);
        let stop = CancellationToken::new();
        let checkpointer =
            Checkpointer::new(Arc::clone(&machine), store, snapshots, Arc::default(), offload, policy, stop)?;
        Ok(Self::new(machine, Arc::new(checkpointer)))
    }

    /// Joins the two.
    pub(crate) fn new(machine: Arc<Machine>, checkpointer: Arc<Checkpointer>) -> Self {
        Self { machine, checkpointer }
    }
}

impl RaftStateMachine<Group> for StateMachine {
    type SnapshotBuilder = Self;

    async fn applied_state(&mut self) -> Result<(Option<LogId>, Membership), StorageError> {
        let place = self.machine.place();
        Ok((place.applied, place.membership))
    }

    async fn apply<I>(&mut self, entries: I) -> Result<Vec<Answers>, StorageError>
    where
        I: IntoIterator<Item = LogEntry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let answers: Vec<_> = entries.into_iter().map(|entry| self.machine.apply(entry)).collect();
        self.machine.note_applied(answers.len() as u64);
        Ok(answers)
    }

    async fn get_snapshot_builder(&mut self) -> Self {
        self.clone()
    }

    async fn begin_receiving_snapshot(&mut self) -> Result<Box<SnapshotData>, StorageError> {
        Ok(Box::default())
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMeta<u64, Peer>,
        snapshot: Box<SnapshotData>,
    ) -> Result<(), StorageError> {
        self.checkpointer.install(*snapshot).await.map_err(|error| {
            StorageIOError::write_snapshot(Some(meta.signature()), AnyError::new(&error)).into()
        })
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot<Group>>, StorageError> {
        self.checkpointer.lasting_snapshot().await.map_err(snapshot_unreadable)
    }
}

impl RaftSnapshotBuilder<Group> for StateMachine {
    async fn build_snapshot(&mut self) -> Result<Snapshot<Group>, StorageError> {
        self.checkpointer.build_snapshot().await.map_err(snapshot_unreadable)
    }
}

fn snapshot_unreadable(error: crate::checkpointer::Error) -> StorageError {
    StorageIOError::read_snapshot(None, AnyError::new(&error)).into()
}
