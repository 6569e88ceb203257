//! Makes storage that never held a node hold what a backup holds, for one node that will stand alone.
//!
//! ```text
//!  backup ─► snapshot ─► state ─► without the old cluster ─► state, snapshot, group of one
//! ```
//!
//! Promises that nothing of the backup counts before all of it was checked, and that what the node will write comes
//! behind everything the backup holds. Leaves the folder and who the node is to the caller.

use std::sync::Arc;

use openraft::Vote;
use openraft::storage::RaftLogStorage as _;
use synod_domain::id::NodeId;
use synod_storage::{Batch, Spool, Storage, encode};

use crate::checkpointer::{adopt, save};
use crate::group::{Membership, Peer};
use crate::log_store::LogStore;
use crate::machine::read_mirror;
use crate::offload::Offload;
use crate::records::{BOOKKEEPING_KEY, Bookkeeping, stored};
use crate::snapshot::SnapshotData;

/// The number of the only voter.
const FOUNDER: u64 = 1;

/// Why a backup was not restored.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The disk refuses, or the backup is damaged.
    #[error("the backup cannot be read, or what it holds cannot be kept: {0}")]
    Storage(#[from] synod_storage::Error),
    /// Its rows do not make a state.
    #[error(transparent)]
    Machine(#[from] crate::machine::Error),
    /// It says nothing of where it stands.
    #[error("the backup holds nothing that was agreed")]
    Empty,
    /// The log does not take the first vote.
    #[error("the log cannot be prepared: {0}")]
    Log(String),
}

/// Restores the snapshot of a backup for the node `me`, and returns through which index of the old log it goes.
///
/// # Errors
/// When the backup is damaged or the disk refuses; the storage is to be thrown away then.
pub async fn restore(storage: &Storage, backup: Arc<dyn Spool>, me: NodeId) -> Result<u64, Error> {
    let (store, snapshots) = (&*storage.state, &*storage.snapshots);
    snapshots.receive(&mut SnapshotData::Received(backup).reader())?;
    adopt(store, snapshots)?;
    let (mut state, place) = read_mirror(store)?;
    let applied = place.applied.ok_or(Error::Empty)?;
    state.found_anew();
    let voters = std::collections::BTreeSet::from([FOUNDER]);
    let members = std::collections::BTreeMap::from([(FOUNDER, Peer { node: me })]);
    let group = Membership::new(Some(applied), openraft::Membership::new(vec![voters], members));
    let mut batch = Batch { applied: stored(applied.index), puts: Vec::new(), deletes: Vec::new() };
    for (key, row) in state.take_changes().rows {
        match row {
            Some(row) => batch.puts.push((key.to_bytes(), encode(&row)?)),
            None => batch.deletes.push(key.to_bytes()),
        }
    }
    let bookkeeping = Bookkeeping::of(Some(applied), &group);
    batch.puts.push((BOOKKEEPING_KEY.to_vec(), encode(&bookkeeping)?));
    store.commit(batch)?;
    save(store, snapshots)?;
    // Entries are ordered by term first: those of the new group come behind the old ones'.
    let mut log = LogStore::open(storage.log.clone(), Offload::Inline)?;
    let vote = Vote::new(applied.leader_id.term, FOUNDER);
    log.save_vote(&vote).await.map_err(|error| Error::Log(error.to_string()))?;
    Ok(applied.index)
}
