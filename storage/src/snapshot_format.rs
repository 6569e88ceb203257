//! The bytes of a snapshot, the same in a file, in memory and on the wire.
//!
//! ```text
//!  header  "SYNODSNP" · version u8 · applied u64 · meta length u32 · meta · CRC u32
//!  block   length u32 · CRC u32 · rows (key length u32 · value length u32 · key · value)*
//!  ...
//!  end     0 u32 · rows u64 · CRC u32 over all block checksums and the row count
//! ```
//!
//! Numbers are little endian. Nothing may follow the end.

use std::io::{ErrorKind, Read, Write};

use bytes::Bytes;

use crate::{
    error::{Error, Place},
    snapshots::SnapshotInfo,
    state_store::Row,
};

const MAGIC: &[u8; 8] = b"SYNODSNP";
const VERSION: u8 = 1;

/// A block is closed once it holds this much: one checksum and one write for many rows.
const BLOCK_BYTES: usize = 64 * 1024;

/// Largest block that is believed when reading: one full block and one row of the largest size.
/// Without it a flipped length would allocate gigabytes before the checksum is looked at.
const BLOCK_BYTES_MAX: usize = BLOCK_BYTES + 64 * 1024 * 1024;

/// Largest metadata that is believed.
const META_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Writes a snapshot and returns what it holds.
pub(crate) fn write(
    to: &mut dyn Write,
    applied: u64,
    meta: Bytes,
    rows: &mut dyn Iterator<Item = Result<Row, Error>>,
) -> Result<SnapshotInfo, Error> {
    let mut out = Output { to, written: 0 };
    let mut header = Vec::with_capacity(32 + meta.len());
    header.extend_from_slice(MAGIC);
    header.push(VERSION);
    header.extend_from_slice(&applied.to_le_bytes());
    header.extend_from_slice(&length("snapshot metadata", meta.len(), META_BYTES_MAX)?.to_le_bytes());
    header.extend_from_slice(&meta);
    let crc = crc32fast::hash(&header);
    header.extend_from_slice(&crc.to_le_bytes());
    out.write(&header)?;

    let mut total = crc32fast::Hasher::new();
    let mut count = 0_u64;
    let mut block = Vec::with_capacity(BLOCK_BYTES + 4096);
    for row in rows {
        let (key, value) = row?;
        block.extend_from_slice(&length("key", key.len(), BLOCK_BYTES_MAX / 2)?.to_le_bytes());
        block.extend_from_slice(&length("row", value.len(), BLOCK_BYTES_MAX / 2)?.to_le_bytes());
        block.extend_from_slice(&key);
        block.extend_from_slice(&value);
        count += 1;
        if block.len() >= BLOCK_BYTES {
            out.write_block(&mut block, &mut total)?;
        }
    }
    if !block.is_empty() {
        out.write_block(&mut block, &mut total)?;
    }
    total.update(&count.to_le_bytes());
    out.write(&0_u32.to_le_bytes())?;
    out.write(&count.to_le_bytes())?;
    out.write(&total.finalize().to_le_bytes())?;
    Ok(SnapshotInfo { applied, meta, rows: count, bytes: out.written })
}

fn length(what: &'static str, bytes: usize, max: usize) -> Result<u32, Error> {
    let too_large = || Error::TooLarge { what, bytes: bytes as u64, max: max as u64 };
    if bytes > max {
        return Err(too_large());
    }
    u32::try_from(bytes).map_err(|_| too_large())
}

struct Output<'a> {
    to: &'a mut dyn Write,
    written: u64,
}

impl Output<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.written += bytes.len() as u64;
        self.to.write_all(bytes).map_err(|error| Error::io("write", "a snapshot", error))
    }

    fn write_block(&mut self, block: &mut Vec<u8>, total: &mut crc32fast::Hasher) -> Result<(), Error> {
        let crc = crc32fast::hash(block).to_le_bytes();
        total.update(&crc);
        self.write(&length("snapshot block", block.len(), BLOCK_BYTES_MAX)?.to_le_bytes())?;
        self.write(&crc)?;
        self.write(block)?;
        block.clear();
        Ok(())
    }
}

/// Reads the rows of a snapshot in its raw form, each block checked before any of its rows is given.
///
/// # Errors
///
/// [`Error::Damaged`] for bytes that do not begin as a snapshot.
pub fn snapshot_rows<R: Read>(from: R) -> Result<impl Iterator<Item = Result<Row, Error>>, Error> {
    Decoder::open(from)
}

/// Reads rows and checks each block before it gives any of its rows out.
pub(crate) struct Decoder<R> {
    from: R,
    pub(crate) applied: u64,
    pub(crate) meta: Bytes,
    block: Bytes,
    total: crc32fast::Hasher,
    count: u64,
    bytes: u64,
    ended: bool,
}

impl<R: Read> Decoder<R> {
    /// Reads and checks the header.
    pub(crate) fn open(mut from: R) -> Result<Self, Error> {
        let mut head = vec![0; MAGIC.len() + 1 + 8 + 4];
        read_exact(&mut from, &mut head, 0)?;
        if head[..8] != *MAGIC {
            return Err(Error::damaged(Place::Snapshot(0), "it does not begin as a snapshot"));
        }
        let version = head[8];
        let applied = u64_at(&head, 9);
        let meta_length = usize::try_from(u32_at(&head, 17)).unwrap_or(usize::MAX);
        if meta_length > META_BYTES_MAX {
            return Err(Error::damaged(Place::Snapshot(applied), "its metadata has no sane length"));
        }
        let mut rest = vec![0; meta_length + 4];
        read_exact(&mut from, &mut rest, applied)?;
        let (meta, crc) = rest.split_at(meta_length);
        head.extend_from_slice(meta);
        if crc32fast::hash(&head).to_le_bytes() != crc {
            return Err(Error::damaged(
                Place::Snapshot(applied),
                "the checksum of its header does not match",
            ));
        }
        if version != VERSION {
            return Err(Error::UnknownVersion { found: version, known: VERSION });
        }
        let meta = Bytes::copy_from_slice(meta);
        let bytes = (head.len() + 4) as u64;
        let total = crc32fast::Hasher::new();
        Ok(Self { from, applied, meta, block: Bytes::new(), total, count: 0, bytes, ended: false })
    }

    /// Reads to the end and returns what the snapshot holds.
    pub(crate) fn verify(mut self) -> Result<SnapshotInfo, Error> {
        while self.next_row()?.is_some() {}
        Ok(SnapshotInfo { applied: self.applied, meta: self.meta, rows: self.count, bytes: self.bytes })
    }

    fn next_row(&mut self) -> Result<Option<Row>, Error> {
        if self.block.is_empty() && (self.ended || !self.next_block()?) {
            return Ok(None);
        }
        let damaged = || Error::damaged(Place::Snapshot(self.applied), "a row does not fit its block");
        let lengths = self.block.get(..8).ok_or_else(damaged)?;
        let key_end = 8 + usize::try_from(u32_at(lengths, 0)).unwrap_or(usize::MAX / 4);
        let end = key_end + usize::try_from(u32_at(lengths, 4)).unwrap_or(usize::MAX / 4);
        if end > self.block.len() {
            return Err(damaged());
        }
        let row = self.block.split_to(end);
        self.count += 1;
        Ok(Some((row[8..key_end].to_vec(), row[key_end..].to_vec())))
    }

    /// Loads the next block; `false` at a good end.
    fn next_block(&mut self) -> Result<bool, Error> {
        let applied = self.applied;
        let damaged = |reason: &str| Error::damaged(Place::Snapshot(applied), reason);
        let mut length = [0; 4];
        read_exact(&mut self.from, &mut length, applied)?;
        self.bytes += 4;
        let length = usize::try_from(u32::from_le_bytes(length)).unwrap_or(usize::MAX);
        if length == 0 {
            self.ended = true;
            return self.check_end().map(|()| false);
        }
        if length > BLOCK_BYTES_MAX {
            return Err(damaged("a block has no sane length"));
        }
        let mut crc = [0; 4];
        read_exact(&mut self.from, &mut crc, applied)?;
        let mut block = vec![0; length];
        read_exact(&mut self.from, &mut block, applied)?;
        if crc32fast::hash(&block).to_le_bytes() != crc {
            return Err(damaged("the checksum of a block does not match"));
        }
        self.bytes += 4 + length as u64;
        self.total.update(&crc);
        self.block = Bytes::from(block);
        Ok(true)
    }

    fn check_end(&mut self) -> Result<(), Error> {
        let mut end = [0; 12];
        read_exact(&mut self.from, &mut end, self.applied)?;
        self.bytes += 12;
        let mut total = self.total.clone();
        total.update(&end[..8]);
        let damaged = |reason: &str| Err(Error::damaged(Place::Snapshot(self.applied), reason));
        if u64_at(&end, 0) != self.count || u32_at(&end, 8) != total.finalize() {
            return damaged("its rows are not the ones it ends with");
        }
        match self.from.read(&mut [0]) {
            Ok(0) => Ok(()),
            Ok(_) => damaged("bytes follow its end"),
            Err(error) => Err(Error::io("read", "a snapshot", error)),
        }
    }
}

impl<R: Read> Iterator for Decoder<R> {
    type Item = Result<Row, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let row = self.next_row().transpose();
        if matches!(row, Some(Err(_))) {
            self.block = Bytes::new();
            self.ended = true;
        }
        row
    }
}

fn read_exact(from: &mut impl Read, bytes: &mut [u8], applied: u64) -> Result<(), Error> {
    from.read_exact(bytes).map_err(|error| match error.kind() {
        ErrorKind::UnexpectedEof => Error::damaged(Place::Snapshot(applied), "it ends too early"),
        _ => Error::io("read", "a snapshot", error),
    })
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut number = [0; 4];
    number.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(number)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut number = [0; 8];
    number.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn snapshot_keeps_its_golden_bytes() {
        let mut bytes = Vec::new();
        let mut rows = [Ok((b"k".to_vec(), b"value".to_vec()))].into_iter();
        let info = write(&mut bytes, 7, Bytes::from_static(b"me"), &mut rows).unwrap();
        let expected: Vec<u8> = [
            b"SYNODSNP\x01\x07\0\0\0\0\0\0\0\x02\0\0\0me".as_slice(),
            &[253, 45, 224, 209],
            b"\x0e\0\0\0",
            &[69, 3, 251, 19],
            b"\x01\0\0\0\x05\0\0\0kvalue",
            b"\0\0\0\0\x01\0\0\0\0\0\0\0",
            &[202, 105, 188, 251],
        ]
        .concat();
        assert_eq!(bytes, expected);
        assert_eq!(Decoder::open(bytes.as_slice()).unwrap().verify().unwrap(), info);
    }
}
