//! Messages and answers that come in pieces, until they are whole, done with, or were fetched.
//!
//! Promises that what is half taken, in work or not yet fetched has bounds, in all and for each region, so that no region
//! takes the room of all others; that a message that is refused for want of room was not taken, so that it may be sent
//! again later; that nobody's message is pushed out by another's unless its sender has fallen silent; and that only what
//! is whole and has its hash counts.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};
use synod_domain::id::NodeId;
use synod_domain::name::Name;
use synod_storage::BLOB_MAX;
use tokio::time::Instant;

/// The bytes of a piece: several of them share a connection without holding each other up.
pub(super) const PIECE_BYTES: usize = 1 << 20;

/// The longest message or answer: the largest payload, and what is said of it.
pub(super) const PARCEL_BYTES_MAX: usize = BLOB_MAX + PIECE_BYTES;

/// Parcels at a time, of each direction; each holds its bytes in memory.
const PARCELS_MAX: usize = 8;

/// Parcels of one region at a time, of each direction. Fewer than all, so that one region leaves room for the others.
const PARCELS_OF_REGION_MAX: usize = 4;

/// How long the next piece of a message may take until its place is another's. Longer than a sender waits for the word
/// that the last one was taken.
const SILENCE: Duration = Duration::from_secs(30);

/// Names a parcel: who sends or fetches it, and its hash.
pub(super) type Key = (NodeId, [u8; 32]);

/// What is on its way.
#[derive(Default)]
pub(super) struct Parcels {
    coming: BTreeMap<Key, Coming>,
    going: BTreeMap<Key, Going>,
    count: u64,
}

/// A message that comes.
struct Coming {
    region: Name,
    heard_at: Instant,
    /// What has come of it; nothing once it is whole and in work.
    taken: Option<BytesMut>,
}

/// An answer that waits to be fetched.
struct Going {
    region: Name,
    number: u64,
    bytes: Bytes,
}

pub(super) fn hash_of(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

impl Parcels {
    /// Adds a piece of what comes; returns the whole with the last one. Its place is taken until [`Place`] gives it back.
    pub(super) fn take(
        &mut self,
        region: &Name,
        key: Key,
        (size, offset): (u64, u64),
        piece: &[u8],
        now: Instant,
    ) -> Result<Option<Bytes>, String> {
        let size = usize::try_from(size).ok().filter(|size| *size <= PARCEL_BYTES_MAX);
        let size = size.ok_or_else(|| format!("more than {PARCEL_BYTES_MAX} bytes are not taken"))?;
        if offset == 0 {
            self.begin(region, key, now)?;
        }
        let begin_anew = || "its first pieces were given up; begin anew".to_owned();
        let coming = self.coming.get_mut(&key).ok_or_else(begin_anew)?;
        let Some(mut taken) = coming.taken.take() else {
            return Err("it is in work already; its answer is on its way".to_owned());
        };
        let fits = u64::try_from(taken.len()) == Ok(offset) && !piece.is_empty();
        if !fits || taken.len() + piece.len() > size {
            self.coming.remove(&key);
            return Err("a piece is missing; begin anew".to_owned());
        }
        taken.extend_from_slice(piece);
        if taken.len() < size {
            (coming.heard_at, coming.taken) = (now, Some(taken));
            return Ok(None);
        }
        if hash_of(&taken) != key.1 {
            self.coming.remove(&key);
            return Err("the bytes are not what their hash says".to_owned());
        }
        Ok(Some(taken.freeze()))
    }

    /// Makes a place for a message, if there is room.
    fn begin(&mut self, region: &Name, key: Key, now: Instant) -> Result<(), String> {
        let is_in_work = |coming: &Coming| coming.taken.is_none();
        if self.coming.get(&key).is_some_and(is_in_work) {
            return Err("it is in work already; its answer is on its way".to_owned());
        }
        // What was half taken of it is of no use any more.
        self.coming.remove(&key);
        let of_region = |coming: &&Coming| coming.region == *region;
        if self.coming.values().filter(of_region).count() >= PARCELS_OF_REGION_MAX {
            self.give_up_silent(Some(region), now)?;
        }
        if self.coming.len() >= PARCELS_MAX {
            self.give_up_silent(None, now)?;
        }
        let coming = Coming { region: region.clone(), heard_at: now, taken: Some(BytesMut::new()) };
        self.coming.insert(key, coming);
        Ok(())
    }

    /// Gives up the message whose sender has been silent for longest; refuses when none has for long enough.
    fn give_up_silent(&mut self, of: Option<&Name>, now: Instant) -> Result<(), String> {
        let silent = self.coming.iter().filter(|(_, coming)| {
            coming.taken.is_some()
                && of.is_none_or(|region| coming.region == *region)
                && now.saturating_duration_since(coming.heard_at) >= SILENCE
        });
        let oldest = silent.min_by_key(|(_, coming)| coming.heard_at).map(|(key, _)| *key);
        let oldest = oldest.ok_or("too many large messages are on their way here; send it again later")?;
        self.coming.remove(&oldest);
        Ok(())
    }

    /// Keeps a long answer until it was fetched; returns its hash. The oldest of whichever region has most is given up for
    /// want of room: what it answers was done, and cannot be refused any more.
    pub(super) fn keep(&mut self, region: &Name, node: NodeId, bytes: Bytes) -> [u8; 32] {
        let hash = hash_of(&bytes);
        self.count += 1;
        let going = Going { region: region.clone(), number: self.count, bytes };
        self.going.insert((node, hash), going);
        let mut of_region: BTreeMap<Name, usize> = BTreeMap::new();
        for going in self.going.values() {
            *of_region.entry(going.region.clone()).or_default() += 1;
        }
        let most = of_region.into_iter().max_by_key(|(_, number)| *number);
        if let Some((most, number)) = most
            && (number > PARCELS_OF_REGION_MAX || self.going.len() > PARCELS_MAX)
        {
            let theirs = self.going.iter().filter(|(_, going)| going.region == most);
            let oldest = theirs.min_by_key(|(_, going)| going.number).map(|(key, _)| *key);
            oldest.and_then(|key| self.going.remove(&key));
        }
        hash
    }

    /// Returns the piece of a kept answer that begins there; the answer is forgotten with the last one.
    pub(super) fn piece(&mut self, key: Key, offset: u64) -> Option<Bytes> {
        let whole = self.going.get(&key)?.bytes.clone();
        let start = usize::try_from(offset).ok().filter(|start| *start < whole.len())?;
        let end = whole.len().min(start + PIECE_BYTES);
        if end == whole.len() {
            self.going.remove(&key);
        }
        Some(whole.slice(start..end))
    }
}

/// The place of a message that is whole and in work; free again when it is dropped.
pub(super) struct Place<'a> {
    parcels: &'a Mutex<Parcels>,
    key: Key,
}

impl<'a> Place<'a> {
    pub(super) const fn of(parcels: &'a Mutex<Parcels>, key: Key) -> Self {
        Self { parcels, key }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.parcels.lock().coming.remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(number: usize) -> NodeId {
        NodeId::from_raw(number as u128)
    }

    fn eu() -> Name {
        Name::new("eu").unwrap()
    }

    fn us() -> Name {
        Name::new("us").unwrap()
    }

    #[test]
    fn message_counts_when_it_is_whole_and_has_its_hash() {
        let parcels = Mutex::<Parcels>::default();
        let (key, now) = ((node(1), hash_of(b"abcd")), Instant::now());
        let take =
            |key, size, offset, piece: &[u8]| parcels.lock().take(&eu(), key, (size, offset), piece, now);
        assert_eq!(take(key, 4, 0, b"ab"), Ok(None));
        assert_eq!(take((node(2), key.1), 4, 0, b"xy"), Ok(None), "another one's is apart");
        assert_eq!(take(key, 4, 2, b"cd"), Ok(Some(Bytes::from("abcd"))));
        assert!(take((node(2), key.1), 4, 2, b"zz").unwrap_err().contains("hash"));
        assert!(take(key, 4, 2, b"cd").unwrap_err().contains("in work"), "it is done once at a time");
        assert!(take(key, 4, 0, b"ab").unwrap_err().contains("in work"));
        drop(Place::of(&parcels, key));
        assert!(take(key, 4, 2, b"cd").unwrap_err().contains("anew"), "it is forgotten");
        assert_eq!(take(key, 4, 0, b"ab"), Ok(None));
        assert!(take(key, 4, 3, b"d").unwrap_err().contains("missing"));
        assert!(take(key, 4, 0, b"abcde").is_err(), "more than it says");
        let huge = u64::try_from(PARCEL_BYTES_MAX).unwrap() + 1;
        assert!(take(key, huge, 0, b"ab").is_err());
    }

    #[test]
    fn answer_is_fetched_piece_by_piece_and_then_forgotten() {
        let mut parcels = Parcels::default();
        let answer = Bytes::from(vec![7; PIECE_BYTES + 3]);
        let hash = parcels.keep(&eu(), node(1), answer.clone());
        assert_eq!(parcels.piece((node(2), hash), 0), None, "it is another one's");
        let offset = u64::try_from(PIECE_BYTES).unwrap();
        let first = parcels.piece((node(1), hash), 0).unwrap();
        let rest = parcels.piece((node(1), hash), offset).unwrap();
        assert_eq!([first, rest].concat(), answer);
        assert_eq!(parcels.piece((node(1), hash), 0), None);
    }

    #[test]
    fn message_without_room_is_refused_and_pushes_nobody_out() {
        let parcels = Mutex::<Parcels>::default();
        let (whole, now) = (hash_of(b"abcd"), Instant::now());
        let begin_at = |now: Instant, region: &Name, number: usize| {
            parcels.lock().take(region, (node(number), whole), (4, 0), b"ab", now)
        };
        let begin = |region: &Name, number: usize| begin_at(now, region, number);
        let end = |region: &Name, number: usize| {
            parcels.lock().take(region, (node(number), whole), (4, 2), b"cd", now)
        };
        for number in 0..PARCELS_OF_REGION_MAX {
            assert_eq!(begin(&eu(), number), Ok(None));
        }
        assert!(begin(&eu(), 100).unwrap_err().contains("later"), "the region has its share");
        for number in PARCELS_OF_REGION_MAX..PARCELS_MAX {
            assert_eq!(begin(&us(), number), Ok(None), "another region has its own");
        }
        let asia = Name::new("asia").unwrap();
        assert!(begin(&asia, 101).unwrap_err().contains("later"), "there is no more room at all");
        // All that were taken go on, and give their places back when they are done with and not before.
        for number in 0..PARCELS_OF_REGION_MAX {
            assert_eq!(end(&eu(), number), Ok(Some(Bytes::from("abcd"))));
        }
        assert!(begin(&eu(), 100).is_err(), "they are in work");
        drop(Place::of(&parcels, (node(0), whole)));
        assert_eq!(begin(&eu(), 100), Ok(None));
        // Who has fallen silent gives way; who is in work does not.
        assert_eq!(begin_at(now + SILENCE, &asia, 101), Ok(None));
        assert!(end(&us(), PARCELS_OF_REGION_MAX).unwrap_err().contains("anew"), "it was given up");
        assert_eq!(end(&eu(), 100), Ok(Some(Bytes::from("abcd"))));
        assert_eq!(parcels.lock().coming.len(), PARCELS_MAX);
    }

    #[test]
    fn answers_of_one_region_push_out_no_others() {
        let mut parcels = Parcels::default();
        let theirs = parcels.keep(&us(), node(100), Bytes::from("x"));
        for number in 0..3 * PARCELS_MAX {
            parcels.keep(&eu(), node(number), Bytes::from("y"));
        }
        assert_eq!(parcels.going.len(), 1 + PARCELS_OF_REGION_MAX);
        assert_eq!(parcels.piece((node(100), theirs), 0), Some(Bytes::from("x")));
        let last = (node(3 * PARCELS_MAX - 1), hash_of(b"y"));
        assert_eq!(parcels.piece(last, 0), Some(Bytes::from("y")), "the oldest are given up first");
    }
}
