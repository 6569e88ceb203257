//! Messages and answers that come in pieces, until they are whole or were fetched.
//!
//! Promises that what is half taken or not yet fetched has bounds, the oldest given up first, and that only what is
//! whole and has its hash counts. Whoever's parcel was given up begins anew.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use sha2::{Digest as _, Sha256};
use synod_domain::id::NodeId;
use synod_storage::BLOB_MAX;

/// The bytes of a piece: several of them share a connection without holding each other up.
pub(super) const PIECE_BYTES: usize = 1 << 20;

/// The longest message or answer: the largest payload, and what is said of it.
pub(super) const PARCEL_BYTES_MAX: usize = BLOB_MAX + PIECE_BYTES;

/// Parcels at a time, of each direction; each holds its bytes in memory.
const PARCELS_MAX: usize = 4;

/// Names a parcel: who sends or fetches it, and its hash.
type Key = (NodeId, [u8; 32]);

/// What is on its way.
#[derive(Default)]
pub(super) struct Parcels {
    coming: BTreeMap<Key, (u64, BytesMut)>,
    going: BTreeMap<Key, (u64, Bytes)>,
    count: u64,
}

pub(super) fn hash_of(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

impl Parcels {
    /// Adds a piece of what comes; returns the whole with the last one.
    pub(super) fn take(
        &mut self,
        key: Key,
        size: u64,
        offset: u64,
        piece: &[u8],
    ) -> Result<Option<Bytes>, String> {
        let size = usize::try_from(size).ok().filter(|size| *size <= PARCEL_BYTES_MAX);
        let size = size.ok_or_else(|| format!("more than {PARCEL_BYTES_MAX} bytes are not taken"))?;
        let mut taken = match offset {
            0 => BytesMut::new(),
            _ => self.coming.remove(&key).ok_or("its first pieces were given up; begin anew")?.1,
        };
        if u64::try_from(taken.len()) != Ok(offset) || piece.is_empty() || taken.len() + piece.len() > size {
            return Err("a piece is missing; begin anew".to_owned());
        }
        taken.extend_from_slice(piece);
        if taken.len() < size {
            self.count += 1;
            self.coming.insert(key, (self.count, taken));
            bound(&mut self.coming);
            return Ok(None);
        }
        if hash_of(&taken) != key.1 {
            return Err("the bytes are not what their hash says".to_owned());
        }
        Ok(Some(taken.freeze()))
    }

    /// Keeps a long answer until it was fetched; returns its hash.
    pub(super) fn keep(&mut self, node: NodeId, bytes: Bytes) -> [u8; 32] {
        let hash = hash_of(&bytes);
        self.count += 1;
        self.going.insert((node, hash), (self.count, bytes));
        bound(&mut self.going);
        hash
    }

    /// Returns the piece of a kept answer that begins there; the answer is forgotten with the last one.
    pub(super) fn piece(&mut self, key: Key, offset: u64) -> Option<Bytes> {
        let whole = self.going.get(&key)?.1.clone();
        let start = usize::try_from(offset).ok().filter(|start| *start < whole.len())?;
        let end = whole.len().min(start + PIECE_BYTES);
        if end == whole.len() {
            self.going.remove(&key);
        }
        Some(whole.slice(start..end))
    }
}

fn bound<T>(parcels: &mut BTreeMap<Key, (u64, T)>) {
    if parcels.len() > PARCELS_MAX {
        let oldest = parcels.iter().min_by_key(|(_, (count, _))| *count).map(|(key, _)| *key);
        oldest.and_then(|key| parcels.remove(&key));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(number: u128) -> NodeId {
        NodeId::from_raw(number)
    }

    #[test]
    fn message_counts_when_it_is_whole_and_has_its_hash() {
        let mut parcels = Parcels::default();
        let key = (node(1), hash_of(b"abcd"));
        assert_eq!(parcels.take(key, 4, 0, b"ab"), Ok(None));
        assert_eq!(parcels.take((node(2), key.1), 4, 0, b"xy"), Ok(None), "another one's is apart");
        assert_eq!(parcels.take(key, 4, 2, b"cd"), Ok(Some(Bytes::from("abcd"))));
        assert!(parcels.take((node(2), key.1), 4, 2, b"zz").unwrap_err().contains("hash"));
        assert!(parcels.take(key, 4, 2, b"cd").unwrap_err().contains("anew"), "it is forgotten");
        assert_eq!(parcels.take(key, 4, 0, b"ab"), Ok(None));
        assert!(parcels.take(key, 4, 3, b"d").unwrap_err().contains("missing"));
        assert!(parcels.take(key, 4, 0, b"abcde").is_err(), "more than it says");
        let huge = u64::try_from(PARCEL_BYTES_MAX).unwrap() + 1;
        assert!(parcels.take(key, huge, 0, b"ab").is_err());
    }

    #[test]
    fn answer_is_fetched_piece_by_piece_and_then_forgotten() {
        let mut parcels = Parcels::default();
        let answer = Bytes::from(vec![7; PIECE_BYTES + 3]);
        let hash = parcels.keep(node(1), answer.clone());
        assert_eq!(parcels.piece((node(2), hash), 0), None, "it is another one's");
        let offset = u64::try_from(PIECE_BYTES).unwrap();
        let first = parcels.piece((node(1), hash), 0).unwrap();
        let rest = parcels.piece((node(1), hash), offset).unwrap();
        assert_eq!([first, rest].concat(), answer);
        assert_eq!(parcels.piece((node(1), hash), 0), None);
    }

    #[test]
    fn oldest_parcels_are_given_up() {
        let mut parcels = Parcels::default();
        for number in 0..=PARCELS_MAX {
            let key = (node(number as u128), [1; 32]);
            parcels.take(key, 4, 0, b"ab").unwrap();
            parcels.keep(key.0, Bytes::from("x"));
        }
        assert_eq!((parcels.coming.len(), parcels.going.len()), (PARCELS_MAX, PARCELS_MAX));
        assert!(!parcels.coming.contains_key(&(node(0), [1; 32])));
    }
}
