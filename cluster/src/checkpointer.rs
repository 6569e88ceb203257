//! Mirrors the state to disk behind the hot path, and makes snapshots of the mirror.
//!
//! ```text
//!  apply ─► woken ─► waits out the interval ─► takes changes + place ─► one batch, durable
//!                                                    (one lock)              │
//!               log grown? ─► openraft asks for a snapshot ─► rows ─► file ◄─┘ ─► log purged
//! ```
//!
//! Promises that rows and the place in the log they belong to reach the disk in one batch, that what the
//! disk had no room for is written later, and that the node goes on when the mirror breaks: the log has
//! everything, and it is not purged any more. Costs nothing while nothing is applied. Leaves to the storage
//! how a batch becomes durable, and to openraft when the log is purged.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use openraft::Snapshot;
use parking_lot::Mutex;
use synod_domain::mutants::{Mutant, mutant};
use synod_domain::row::Changes;
use synod_domain::time::Timestamp;
use synod_storage::encode;
use synod_storage::{Batch, SnapshotInfo, Snapshots, StateStore};
use tokio_util::sync::CancellationToken;

use crate::backup::{Backup, names_of};
use crate::group::{Group, LogId};
use crate::history::Retention;
use crate::log_store::{FULL_DISK_PAUSE, LogMeter};
use crate::machine::{Machine, Place};
use crate::offload::Offload;
use crate::records::{BOOKKEEPING_KEY, Bookkeeping, stored};
use crate::snapshot::{SnapshotData, meta_of};

/// The time between two checkpoints. Longer writes short-lived tasks less often and replays more at start, which
/// [`CHECKPOINT_ENTRIES`] bounds; ended tasks stay in memory for as long.
pub const CHECKPOINT_INTERVAL: Duration = Duration::from_secs(5);

/// Applied entries after which a checkpoint does not wait for the interval; it bounds the replay.
pub const CHECKPOINT_ENTRIES: u64 = 16 * 1024;

/// Changed rows after which a checkpoint does not wait for the interval. It bounds the memory of a checkpoint, which
/// takes some kilobytes for each of its rows: sled keeps every node that a batch replaces until the batch has ended.
pub const CHECKPOINT_ROWS: usize = 8 * 1024;

/// The log grows by at least this much between two snapshots, and by the size of the last snapshot, so that
/// writing snapshots is at most half of what is written.
pub const SNAPSHOT_LOG_BYTES_MIN: u64 = 64 << 20;

/// Entries after which a snapshot is made whatever their size, so that a quiet node's log ends too.
pub const SNAPSHOT_LOG_ENTRIES: u64 = 500_000;

/// What went wrong with the mirror or a snapshot.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The disk refused.
    #[error("the mirror of the state cannot be written or read: {0}")]
    Storage(#[from] synod_storage::Error),
    /// What was installed does not make a state.
    #[error("the installed snapshot is not a state: {0}")]
    Machine(#[from] crate::machine::Error),
    /// The thread for disk work is gone.
    #[error("the mirror has no thread")]
    Offload(#[from] crate::offload::Error),
    /// The mirror broke and there is no snapshot from before.
    #[error("the mirror of the state is broken and no snapshot can be made")]
    Broken,
}

/// When to make snapshots, and how long to keep history.
#[derive(Debug, Clone)]
pub struct Policy {
    /// See [`CHECKPOINT_INTERVAL`].
    pub checkpoint_interval: Duration,
    /// See [`SNAPSHOT_LOG_BYTES_MIN`].
    pub snapshot_log_bytes_min: u64,
    /// See [`SNAPSHOT_LOG_ENTRIES`].
    pub snapshot_log_entries: u64,
    /// How long ended tasks stay in history; `None` for ever. Longer takes more disk.
    pub history_retention: Option<Duration>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            checkpoint_interval: CHECKPOINT_INTERVAL,
            snapshot_log_bytes_min: SNAPSHOT_LOG_BYTES_MIN,
            snapshot_log_entries: SNAPSHOT_LOG_ENTRIES,
            history_retention: Some(Duration::from_secs(30 * 24 * 60 * 60)),
        }
    }
}

/// How the mirror is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MirrorStatus {
    /// Through which index the mirror is durable.
    pub checkpointed: Option<u64>,
    /// Through which index the latest snapshot goes.
    pub snapshot: Option<u64>,
    /// Why the mirror is not written any more. The node goes on; the log is not purged until a restart.
    pub broken: Option<String>,
}

/// Writes checkpoints and snapshots.
pub struct Checkpointer {
    machine: Arc<Machine>,
    store: Arc<dyn StateStore>,
    snapshots: Arc<dyn Snapshots>,
    meter: Arc<LogMeter>,
    offload: Offload,
    policy: Policy,
    /// Cancelled when the node stops, and nothing is waited for any more.
    stop: CancellationToken,
    status: Mutex<MirrorStatus>,
    /// Held while the store is written or walked.
    turn: tokio::sync::Mutex<Turn>,
    sizes: Mutex<Sizes>,
}

#[derive(Default)]
struct Turn {
    /// Rows that the disk had no room for, newest content.
    carried: Rows,
    retention: Retention,
}

/// Encoded rows by key; `None` deletes.
type Rows = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

#[derive(Default, Clone, Copy)]
struct Sizes {
    snapshot_bytes: u64,
    /// What the log had appended when the last snapshot was made.
    log_bytes: u64,
}

impl Checkpointer {
    /// Makes a checkpointer for a machine that was loaded from the same store.
    ///
    /// # Errors
    /// When the snapshots cannot be read.
    pub(crate) fn new(
        machine: Arc<Machine>,
        store: Arc<dyn StateStore>,
        snapshots: Arc<dyn Snapshots>,
        meter: Arc<LogMeter>,
        offload: Offload,
        policy: Policy,
        stop: CancellationToken,
    ) -> Result<Self, Error> {
        let latest = snapshots.latest_raw()?.map(|raw| raw.info().clone());
        let mut status = MirrorStatus::default();
        let mut sizes = Sizes::default();
        if let Some(info) = latest {
            status.snapshot = meta_of(&info)?.last_log_id.map(|id| id.index);
            sizes.snapshot_bytes = info.bytes;
            meter.purge_limit.store(info.applied, Ordering::Release);
        }
        status.checkpointed = machine.place().applied.map(|id| id.index);
        let turn = tokio::sync::Mutex::default();
        let (status, sizes) = (Mutex::new(status), Mutex::new(sizes));
        Ok(Self { machine, store, snapshots, meter, offload, policy, stop, status, turn, sizes })
    }

    /// Returns how the mirror is.
    pub fn status(&self) -> MirrorStatus {
        self.status.lock().clone()
    }

    /// Writes checkpoints until the node stops; calls `snapshot_due` when it is time for a snapshot.
    pub(crate) async fn run(self: Arc<Self>, snapshot_due: impl AsyncFn()) {
        let stop = self.stop.clone();
        let mut again = false;
        loop {
            if !again {
                tokio::select! {
                    biased;
                    () = stop.cancelled() => return,
                    () = self.machine.applied.notified() => {}
                }
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = self.machine.urgent.notified() => {}
                () = tokio::time::sleep(self.policy.checkpoint_interval) => {}
            }
            again = !self.checkpoint().await;
            if self.status.lock().broken.is_some() {
                return;
            }
            if !again && self.is_snapshot_due() {
                snapshot_due().await;
            }
        }
    }

    /// Writes what changed. Returns false when the disk has no room: the same is tried again later.
    pub async fn checkpoint(&self) -> bool {
        let mut turn = self.turn.lock().await;
        self.checkpoint_in(&mut turn).await
    }

    async fn checkpoint_in(&self, turn: &mut Turn) -> bool {
        if self.status.lock().broken.is_some() {
            return true;
        }
        let (changes, mut place, now) = self.machine.freeze(|state, place| {
            self.machine.note_taken();
            (state.take_changes(), place.clone(), state.now())
        });
        if mutant(Mutant::CheckpointWithoutItsIndex) {
            tokio::time::sleep(self.policy.checkpoint_interval).await;
            place = self.machine.place(); // where the rows are not yet
        }
        let Some(applied) = place.applied else { return true };
        if self.status.lock().checkpointed == Some(applied.index) && turn.carried.is_empty() {
            return true;
        }
        let job = Job {
            store: Arc::clone(&self.store),
            carried: std::mem::take(&mut turn.carried),
            retention: std::mem::take(&mut turn.retention),
            keep_for: self.policy.history_retention,
        };
        let done = self.offload.run(move || job.write(changes, applied, &place, now)).await;
        match done {
            Ok((result, carried, retention)) => {
                turn.carried = carried;
                turn.retention = retention;
                self.conclude(applied, result)
            }
            Err(error) => {
                self.give_up(&error.to_string());
                true
            }
        }
    }

    fn conclude(&self, applied: LogId, result: Result<(), synod_storage::Error>) -> bool {
        match result {
            Ok(()) => {
                self.machine.state.write().changes_stored();
                self.status.lock().checkpointed = Some(applied.index);
                true
            }
            Err(error @ synod_storage::Error::NoSpace { .. }) => {
                tracing::warn!(%error, "the checkpoint waits for space on the disk");
                false
            }
            Err(error) => {
                self.give_up(&error.to_string());
                true
            }
        }
    }

    fn give_up(&self, why: &str) {
        tracing::error!(
            error = why,
            "the mirror of the state is broken; the log keeps everything until a restart"
        );
        self.status.lock().broken = Some(why.to_owned());
    }

    fn is_snapshot_due(&self) -> bool {
        let status = self.status.lock().clone();
        let sizes = *self.sizes.lock();
        let grown = self.meter.appended_bytes.load(Ordering::Relaxed).saturating_sub(sizes.log_bytes);
        let entries =
            status.checkpointed.map_or(0, |index| index + 1) - status.snapshot.map_or(0, |index| index + 1);
        grown > self.policy.snapshot_log_bytes_min.max(sizes.snapshot_bytes)
            || entries > self.policy.snapshot_log_entries
    }

    /// Makes a snapshot of everything applied. When the mirror is broken it is the one from before.
    pub(crate) async fn build_snapshot(&self) -> Result<Snapshot<Group>, Error> {
        // The turn keeps checkpoints away while the rows are walked; entries are applied meanwhile.
        let mut turn = self.turn.lock().await;
        let written = self.checkpoint_in(&mut turn).await;
        if written && self.status.lock().broken.is_none() {
            let log_bytes = self.meter.appended_bytes.load(Ordering::Relaxed);
            let (store, snapshots) = (Arc::clone(&self.store), Arc::clone(&self.snapshots));
            let saved = self.offload.run(move || save(&*store, &*snapshots)).await?;
            match saved {
                Ok(None) => {}
                Ok(Some(info)) => {
                    self.status.lock().snapshot = info.applied.checked_sub(1);
                    *self.sizes.lock() = Sizes { snapshot_bytes: info.bytes, log_bytes };
                    self.meter.purge_limit.store(info.applied, Ordering::Release);
                }
                Err(error) => {
                    tracing::warn!(%error, "the snapshot could not be written; the one before stays");
                }
            }
        }
        drop(turn);
        // Openraft takes a failed build for a broken node, and an old snapshot for nothing new.
        Ok(self.current_snapshot().await?.unwrap_or_else(|| Snapshot {
            meta: openraft::SnapshotMeta::default(),
            snapshot: Box::default(),
        }))
    }

    /// Makes a snapshot of everything applied and reads what it names.
    pub(crate) async fn backup(&self) -> Result<Backup, Error> {
        let snapshot = match *self.build_snapshot().await?.snapshot {
            SnapshotData::Stored(raw) if self.status.lock().broken.is_none() => raw,
            SnapshotData::Stored(_) | SnapshotData::Received(_) | SnapshotData::Empty => {
                return Err(Error::Broken);
            }
        };
        let read = Arc::clone(&snapshot);
        let payloads = self.offload.run(move || names_of(&read)).await??;
        Ok(Backup { snapshot, payloads })
    }

    /// Returns the latest snapshot, or another one where that is damaged or ends before the log begins: whoever needs
    /// what the log has forgotten would get nothing or too little, and openraft takes either for the end of this node.
    pub(crate) async fn lasting_snapshot(&self) -> Result<Option<Snapshot<Group>>, Error> {
        let needed =
            self.meter.purge_limit.load(Ordering::Acquire).max(self.meter.purged.load(Ordering::Acquire));
        let found = self.current_snapshot().await?;
        let has = found.as_ref().and_then(|found| found.meta.last_log_id).map_or(0, |id| stored(id.index));
        if has >= needed {
            return Ok(found);
        }
        tracing::warn!(needed, has, "the latest snapshot cannot be read; another one is made");
        let built = self.build_snapshot().await?;
        Ok(built.meta.last_log_id.is_some().then_some(built))
    }

    /// Returns the latest snapshot that is whole.
    async fn current_snapshot(&self) -> Result<Option<Snapshot<Group>>, Error> {
        let snapshots = Arc::clone(&self.snapshots);
        let latest = self.offload.run(move || snapshots.latest_raw()).await??;
        let Some(raw) = latest else { return Ok(None) };
        let meta = meta_of(raw.info())?;
        Ok(Some(Snapshot { meta, snapshot: Box::new(SnapshotData::Stored(Arc::from(raw))) }))
    }

    /// Keeps a snapshot that came from elsewhere, and makes its content the state.
    pub(crate) async fn install(&self, data: SnapshotData) -> Result<(), Error> {
        let installed = self.install_whole(data).await;
        if installed.is_err() {
            // The log waits for it before it purges.
            self.meter.install_failed.cancel();
        }
        installed
    }

    async fn install_whole(&self, data: SnapshotData) -> Result<(), Error> {
        let mut turn = self.turn.lock().await;
        let info = self
            .outwait(|| {
                let (snapshots, data) = (Arc::clone(&self.snapshots), data.clone());
                move || snapshots.receive(&mut data.reader())
            })
            .await?;
        self.outwait(|| {
            let (store, snapshots) = (Arc::clone(&self.store), Arc::clone(&self.snapshots));
            move || adopt(&*store, &*snapshots)
        })
        .await?;
        self.machine.reload(&*self.store)?;
        *turn = Turn::default();
        self.meter.purge_limit.store(info.applied, Ordering::Release);
        let mut status = self.status.lock();
        status.snapshot = info.applied.checked_sub(1);
        status.checkpointed = status.snapshot;
        drop(status);
        tracing::info!(applied = info.applied, "a snapshot of another node was installed");
        Ok(())
    }

    /// Does disk work again and again while the disk has no room, until the node stops. An error that openraft sees
    /// ends the node, and a full disk is no reason for that.
    async fn outwait<T, W>(&self, work: impl Fn() -> W) -> Result<T, Error>
    where
        T: Send + 'static,
        W: FnOnce() -> Result<T, synod_storage::Error> + Send + 'static,
    {
        loop {
            match self.offload.run(work()).await? {
                Err(error @ synod_storage::Error::NoSpace { .. }) => {
                    tracing::warn!(%error, "a snapshot that has come waits for space on the disk");
                    tokio::select! {
                        biased;
                        () = self.stop.cancelled() => return Err(error.into()),
                        () = tokio::time::sleep(FULL_DISK_PAUSE) => {}
                    }
                }
                done => return Ok(done?),
            }
        }
    }
}

/// Makes the latest snapshot's rows the store's.
pub(crate) fn adopt(store: &dyn StateStore, snapshots: &dyn Snapshots) -> Result<(), synod_storage::Error> {
    match snapshots.latest()? {
        Some(mut snapshot) => store.replace(snapshot.info.applied, &mut snapshot),
        None => Ok(()),
    }
}

/// Makes a snapshot of the store; of an empty one there is none.
pub(crate) fn save(
    store: &dyn StateStore,
    snapshots: &dyn Snapshots,
) -> Result<Option<SnapshotInfo>, synod_storage::Error> {
    // What the rows belong to stands beside them: the same batch wrote both.
    let Some(meta) = store.get(BOOKKEEPING_KEY)? else { return Ok(None) };
    snapshots.save(store.applied(), meta, &mut synod_storage::rows(store)).map(Some)
}

/// One checkpoint's work on the disk.
struct Job {
    store: Arc<dyn StateStore>,
    carried: Rows,
    retention: Retention,
    keep_for: Option<Duration>,
}

impl Job {
    fn write(
        mut self,
        changes: Changes,
        applied: LogId,
        place: &Place,
        now: Timestamp,
    ) -> (Result<(), synod_storage::Error>, Rows, Retention) {
        let mut rows = self.carried;
        let result = (|| {
            for (key, row) in changes.rows {
                let value = row.map(|row| encode(&row)).transpose()?;
                rows.insert(key.to_bytes(), value);
            }
            let bookkeeping = Bookkeeping::of(place.applied, &place.membership);
            rows.insert(BOOKKEEPING_KEY.to_vec(), Some(encode(&bookkeeping)?));
            if let Some(keep_for) = self.keep_for {
                for key in self.retention.outdated(&*self.store, now, keep_for)? {
                    rows.entry(key).or_insert(None);
                }
            }
            let mut batch = Batch { applied: stored(applied.index), puts: Vec::new(), deletes: Vec::new() };
            for (key, value) in &rows {
                match value {
                    Some(value) => batch.puts.push((key.clone(), value.clone())),
                    None => batch.deletes.push(key.clone()),
                }
            }
            self.store.commit(batch)
        })();
        let carried = if result.is_ok() { Rows::new() } else { rows };
        (result, carried, self.retention)
    }
}
