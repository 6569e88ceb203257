//! Where a node keeps everything, and what its log notes about the node itself.

use std::path::PathBuf;

use bytes::Bytes;
use synod_domain::id::{IdGenerator, NodeId};
use synod_domain::sources::{Clock, Entropy};
use synod_storage::{Repair, Storage, Verify};
use tokio::sync::oneshot;

use crate::node::Error;

/// Where the log keeps the node's id.
const NODE_ID_NOTE: &str = "synod.node-id";

/// Where the log counts the node's starts.
const GENERATION_NOTE: &str = "synod.generation";

pub(super) enum Home {
    Nowhere,
    Folder(PathBuf),
    Storage(Storage),
}

/// Opens the home, with as much of the state checked as `verify` says. History may be large and is checked
/// row by row when it is read.
pub(super) fn open(home: &Home, verify: Verify) -> Result<(Storage, Option<Repair>, Option<PathBuf>), Error> {
    match home {
        Home::Folder(folder) => {
            let options = synod_storage::Options { verify, ..synod_storage::Options::default() };
            let opened = synod_storage::open(folder, &options)?;
            Ok((opened.storage, opened.repaired, Some(folder.clone())))
        }
        Home::Storage(storage) => Ok((storage.clone(), None, None)),
        Home::Nowhere => Err(Error::Start("no data folder was given; call `data`".to_owned())),
    }
}

/// Returns the id that the log holds; `None` when it has none.
pub(super) fn kept_id(storage: &Storage) -> Result<Option<NodeId>, Error> {
    let Some(bytes) = storage.log.note(NODE_ID_NOTE)? else { return Ok(None) };
    let raw = <[u8; 16]>::try_from(&bytes[..])
        .map_err(|_| Error::Start(format!("the node's id in the log has {} bytes", bytes.len())))?;
    Ok(Some(NodeId::from_raw(u128::from_be_bytes(raw))))
}

/// Returns the id that the log holds, or makes one and writes it there.
pub(super) async fn node_id(
    storage: &Storage,
    clock: &dyn Clock,
    entropy: &dyn Entropy,
) -> Result<NodeId, Error> {
    if let Some(node) = kept_id(storage)? {
        return Ok(node);
    }
    let raw = IdGenerator::default().next(clock.now(), entropy.draw());
    keep_note(storage, NODE_ID_NOTE, &raw.to_be_bytes()).await?;
    Ok(NodeId::from_raw(raw))
}

/// Tells whether a node has ever started here.
pub(super) fn has_started(storage: &Storage) -> Result<bool, Error> {
    Ok(storage.log.note(GENERATION_NOTE)?.is_some())
}

/// Counts this start, durably, before anybody hears of it.
pub(super) async fn next_generation(storage: &Storage) -> Result<u64, Error> {
    let last = match storage.log.note(GENERATION_NOTE)? {
        Some(bytes) => u64::from_be_bytes(<[u8; 8]>::try_from(&bytes[..]).map_err(|_| {
            Error::Start(format!("the number of the last start in the log has {} bytes", bytes.len()))
        })?),
        None => 0,
    };
    let next = last + 1;
    keep_note(storage, GENERATION_NOTE, &next.to_be_bytes()).await?;
    Ok(next)
}

/// Writes a note into the log and waits until it is durable.
async fn keep_note(storage: &Storage, name: &'static str, value: &[u8]) -> Result<(), Error> {
    let (done, durable) = oneshot::channel();
    storage.log.put_note(
        name,
        Bytes::copy_from_slice(value),
        Box::new(move |outcome| {
            // An error means that the start was given up.
            let _ = done.send(outcome);
        }),
    );
    durable.await.map_err(|_| Error::Start(format!("the log stopped while it wrote {name}")))??;
    Ok(())
}
