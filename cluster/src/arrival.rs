//! A snapshot on its way from the leader: pieces to the disk, and the whole installed when the last has come.
//!
//! Promises that what has come is not sent again when a connection was lost: the answer to any piece is the offset
//! of the next one wanted; that a piece of another snapshot begins anew; and that a node which dies midway has
//! lost nothing but the pieces. Each message has its checksum, and the whole is checked before it is kept. Leaves
//! asking again to the sender, and judging the sender's term to the handler.

use std::sync::Arc;

use openraft::{Snapshot, SnapshotMeta};
use synod_storage::{Snapshots, Spool};
use tokio::sync::Mutex;

use crate::group::{Group, Peer};
use crate::offload::Offload;
use crate::snapshot::SnapshotData;

/// What may still come of a piece.
pub(crate) enum Taken {
    /// The piece from this offset on is wanted next.
    Wants(u64),
    /// It was the last.
    Whole(Snapshot<Group>),
}

/// Takes pieces.
pub(crate) struct Arrivals {
    snapshots: Arc<dyn Snapshots>,
    offload: Offload,
    current: Mutex<Option<Arriving>>,
}

struct Arriving {
    meta: SnapshotMeta<u64, Peer>,
    spool: Arc<dyn Spool>,
}

impl Arrivals {
    pub(crate) fn new(snapshots: Arc<dyn Snapshots>, offload: Offload) -> Self {
        Self { snapshots, offload, current: Mutex::new(None) }
    }

    /// Takes a piece.
    ///
    /// # Errors
    /// When the disk refuses; the next piece begins anew.
    pub(crate) async fn take(
        &self,
        meta: SnapshotMeta<u64, Peer>,
        offset: u64,
        piece: Vec<u8>,
        last: bool,
    ) -> Result<Taken, crate::checkpointer::Error> {
        let mut current = self.current.lock().await;
        let spool = match current.take() {
            Some(arriving) if arriving.meta == meta => arriving.spool,
            Some(_) | None => {
                let snapshots = Arc::clone(&self.snapshots);
                Arc::from(self.offload.run(move || snapshots.spool()).await??)
            }
        };
        let size = spool.size();
        if offset == size {
            let target = Arc::clone(&spool);
            self.offload.run(move || target.append(&piece)).await??;
            if last {
                return Ok(Taken::Whole(Snapshot {
                    meta,
                    snapshot: Box::new(SnapshotData::Received(spool)),
                }));
            }
        }
        let wanted = spool.size();
        *current = Some(Arriving { meta, spool });
        Ok(Taken::Wants(wanted))
    }
}

#[cfg(test)]
mod tests {
    use synod_storage::MemoryDisk;

    use super::*;

    fn meta(id: &str) -> SnapshotMeta<u64, Peer> {
        SnapshotMeta { snapshot_id: id.to_owned(), ..SnapshotMeta::default() }
    }

    fn wanted(taken: Taken) -> u64 {
        match taken {
            Taken::Wants(offset) => offset,
            Taken::Whole(_) => u64::MAX,
        }
    }

    #[tokio::test]
    async fn a_sender_that_begins_again_is_told_where_to_go_on() {
        let arrivals = Arrivals::new(MemoryDisk::new().open().snapshots, Offload::Inline);
        let take = async |id: &str, offset, piece: &[u8], last| {
            arrivals.take(meta(id), offset, piece.to_vec(), last).await.unwrap()
        };
        assert_eq!(wanted(take("a", 0, b"", false).await), 0);
        assert_eq!(wanted(take("a", 0, b"one ", false).await), 4);
        assert_eq!(wanted(take("a", 4, b"two ", false).await), 8);
        // The answer was lost, and the sender begins again.
        assert_eq!(wanted(take("a", 0, b"", false).await), 8);
        assert_eq!(wanted(take("a", 4, b"two ", false).await), 8);
        assert_eq!(wanted(take("a", 4, b"", true).await), 8);
        let Taken::Whole(whole) = take("a", 8, b"three", true).await else { panic!("not whole") };
        assert_eq!(whole.snapshot.read_at(0, 100).unwrap(), "one two three");
        // Nothing of it is left for the next.
        assert_eq!(wanted(take("a", 13, b"", false).await), 0);
    }

    #[tokio::test]
    async fn another_snapshot_begins_anew() {
        let arrivals = Arrivals::new(MemoryDisk::new().open().snapshots, Offload::Inline);
        let take = async |id: &str, offset, piece: &[u8]| {
            wanted(arrivals.take(meta(id), offset, piece.to_vec(), false).await.unwrap())
        };
        assert_eq!(take("a", 0, b"one").await, 3);
        assert_eq!(take("b", 3, b"two").await, 0);
        assert_eq!(take("b", 0, b"zwei").await, 4);
    }
}
