//! Snapshots in memory, in the same bytes as on a disk.

use std::io::{Cursor, Read};

use bytes::Bytes;

use super::{
    Session,
    disk::{Disk, Part},
};
use crate::{
    error::Error,
    snapshot_format::{self, Decoder},
    snapshots::{RawSnapshot, SnapshotInfo, SnapshotReader, Snapshots},
    spool::{MemorySpool, Spool},
    state_store::Row,
};

/// Snapshots on a memory disk.
pub(super) struct MemorySnapshots(pub(super) Session);

impl MemorySnapshots {
    fn keep(&self, info: SnapshotInfo, bytes: Vec<u8>) -> Result<SnapshotInfo, Error> {
        self.0.with(|disk| {
            disk.faults.take_space(bytes.len())?;
            disk.faults.sync()?;
            // The name of the new file is durable with its folder; that of an older one goes after that.
            disk.write(Part::Snapshots, |disk| {
                disk.removed.snapshots.clear();
                disk.snapshots.insert(info.applied, Bytes::from(bytes));
                Ok(())
            })?;
            let stale: Vec<u64> =
                disk.snapshots.keys().copied().filter(|other| *other != info.applied).collect();
            for other in stale {
                let removed = disk.snapshots.remove(&other);
                disk.removed.snapshots.extend(removed.map(|bytes| (other, bytes)));
            }
            Ok(info)
        })
    }
}

impl Disk {
    fn read_snapshot(&mut self) -> Result<Option<(SnapshotInfo, Bytes)>, Error> {
        self.faults.read(Part::Snapshots)?;
        Ok(self.latest_snapshot())
    }
}

impl Snapshots for MemorySnapshots {
    fn save(
        &self,
        applied: u64,
        meta: Bytes,
        rows: &mut dyn Iterator<Item = Result<Row, Error>>,
    ) -> Result<SnapshotInfo, Error> {
        let mut bytes = Vec::new();
        let info = snapshot_format::write(&mut bytes, applied, meta, rows)?;
        self.keep(info, bytes)
    }

    fn receive(&self, raw: &mut dyn Read) -> Result<SnapshotInfo, Error> {
        let mut bytes = Vec::new();
        raw.read_to_end(&mut bytes).map_err(|error| Error::io("receive", "a snapshot", error))?;
        let info = Decoder::open(bytes.as_slice())?.verify()?;
        self.keep(info, bytes)
    }

    fn spool(&self) -> Result<Box<dyn Spool>, Error> {
        Ok(Box::<MemorySpool>::default())
    }

    fn latest(&self) -> Result<Option<SnapshotReader>, Error> {
        let Some((info, bytes)) = self.0.with(Disk::read_snapshot)? else {
            return Ok(None);
        };
        let rows = Box::new(Decoder::open(Cursor::new(bytes))?);
        Ok(Some(SnapshotReader { info, rows }))
    }

    fn latest_raw(&self) -> Result<Option<Box<dyn RawSnapshot>>, Error> {
        let raw = self.0.with(Disk::read_snapshot)?;
        Ok(raw.map(|(info, bytes)| Box::new(Raw { info, bytes }) as Box<dyn RawSnapshot>))
    }
}

struct Raw {
    info: SnapshotInfo,
    bytes: Bytes,
}

impl RawSnapshot for Raw {
    fn info(&self) -> &SnapshotInfo {
        &self.info
    }

    fn read_at(&self, offset: u64, max: usize) -> Result<Bytes, Error> {
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(self.bytes.len());
        let end = start.saturating_add(max).min(self.bytes.len());
        Ok(self.bytes.slice(start..end))
    }
}
