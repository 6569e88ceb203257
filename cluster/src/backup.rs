//! What a backup is made of: a snapshot, and the names of the large payloads that its rows ask for.
//!
//! The names are read from the snapshot itself, so that they are those of the same moment: a task that ends while
//! a backup is written has its input in it all the same. Promises each name once, in order. Leaves the bytes behind
//! the names to whoever writes the backup.

use std::collections::BTreeSet;
use std::io::{BufReader, Read};
use std::sync::Arc;

use synod_domain::payload::Payload;
use synod_domain::row::Row;
use synod_domain::task::{Outcome, Task};
use synod_storage::{Error, RawSnapshot, Spool, decode, snapshot_rows};

use crate::records::BOOKKEEPING_KEY;
use crate::snapshot::SnapshotData;

/// Bytes read from a snapshot at once.
const PIECE_BYTES: usize = 256 * 1024;

/// The large payloads that somebody still waits for, by SHA-256; 32 bytes of memory for each.
pub type Names = BTreeSet<[u8; 32]>;

/// Everything that is agreed, as of one moment.
pub struct Backup {
    /// The rows.
    pub snapshot: Arc<dyn RawSnapshot>,
    /// The large payloads that they name: what unfinished tasks, dead letters and open runs were given, and what
    /// completed tasks gave back.
    pub payloads: Names,
}

/// Reads which large payloads the rows of an arrived snapshot ask for.
///
/// # Errors
/// When it is damaged.
pub fn names_in(arrived: &Arc<dyn Spool>) -> Result<Names, Error> {
    names(SnapshotData::Received(Arc::clone(arrived)).reader())
}

pub(crate) fn names_of(stored: &Arc<dyn RawSnapshot>) -> Result<Names, Error> {
    names(SnapshotData::Stored(Arc::clone(stored)).reader())
}

fn names(raw: impl Read) -> Result<Names, Error> {
    let mut names = Names::new();
    for row in snapshot_rows(BufReader::with_capacity(PIECE_BYTES, raw))? {
        let (key, value) = row?;
        if key == BOOKKEEPING_KEY {
            continue;
        }
        let row = decode::<Row>(&value)?;
        if let Row::Run(run) = &row {
            names.extend(run.plan.blob());
        } else if let Row::Hook(hook) = &row {
            names.extend(hook.spec.work.blob());
            names.extend(hook.result().and_then(Payload::blob));
        } else if let Row::DeadLetter(task) = &row {
            names.extend(task.spec.payload.blob());
        } else if let Row::Task(task) | Row::StrictTask(task) = &row {
            names.extend(of_task(task));
        }
    }
    Ok(names)
}

/// Of a task that is not over its input, of one that completed its result.
fn of_task(task: &Task) -> Option<[u8; 32]> {
    match task.end().map(|end| &end.outcome) {
        None => task.spec.payload.blob(),
        Some(Outcome::Completed { result }) => result.blob(),
        Some(Outcome::Failed { .. } | Outcome::TimedOut { .. } | Outcome::Cancelled { .. }) => None,
    }
}
