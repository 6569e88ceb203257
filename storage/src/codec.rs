//! Turns values into records that say when they are damaged.
//!
//! A record is `version byte · CRC-32 (little endian) · body`; the checksum covers the version
//! and the body. This is the only file that names the codec crate. It promises that a record
//! decodes to exactly the value that was encoded, or not at all. It leaves the shape of the
//! values to its callers: their enums and structs are formats, so fields and variants are only
//! ever appended, and a test holds golden bytes.

use std::cell::Cell;

use serde::{Serialize, de::DeserializeOwned};

use crate::error::{Error, Place};

/// The format written by this binary.
pub const VERSION: u8 = 3;

/// Bytes before the body: the version and the checksum.
const HEADER: usize = 1 + 4;

/// What a small record is, and what it may ask memory for while it is decoded. A text says its length before it
/// comes, and memory is taken for it: without a bound, ten bytes from a wire could ask for all there is. No value
/// takes more than sixteen times its bytes, so that every honest record is within its bound.
const SMALL: usize = 64 * 1024;
const SMALL_MEMORY_MAX: usize = 16 * SMALL;
const MEMORY_MAX: usize = 1 << 30;

/// What a thread keeps of memory to write records in. A larger record is rare, and gives its memory back.
const SCRATCH_MAX: usize = 1 << 20;

thread_local! {
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Encodes `value` as one record.
///
/// # Errors
///
/// [`Error::Encode`] when the value has a shape the codec cannot write.
pub fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, Error> {
    // Written where the thread wrote the last one: a vector that grows by doubling asks for new memory each time.
    let mut scratch = SCRATCH.take();
    scratch.clear();
    scratch.resize(HEADER, 0);
    bincode::serde::encode_into_std_write(value, &mut scratch, bincode::config::standard())
        .map_err(|error| Error::Encode { reason: error.to_string() })?;
    scratch[0] = VERSION;
    let crc = checksum(VERSION, &scratch[HEADER..]);
    scratch[1..HEADER].copy_from_slice(&crc.to_le_bytes());
    let record = scratch.as_slice().to_vec();
    if scratch.capacity() <= SCRATCH_MAX {
        SCRATCH.set(scratch);
    }
    Ok(record)
}

/// Decodes one record.
///
/// # Errors
///
/// [`Error::UnknownVersion`] for a record of a newer or an older binary, [`Error::Damaged`] for anything
/// that is not exactly one whole record.
pub fn decode<T: DeserializeOwned>(record: &[u8]) -> Result<T, Error> {
    let damaged = |reason: String| Error::Damaged { place: Place::Value, reason };
    let Some((header, body)) = record.split_first_chunk::<HEADER>() else {
        return Err(damaged(format!("{} bytes are too few for a record", record.len())));
    };
    let [version, crc @ ..] = *header;
    // The checksum first: a flipped version byte is damage, not a newer format.
    if u32::from_le_bytes(crc) != checksum(version, body) {
        return Err(damaged("checksum does not match".to_owned()));
    }
    if version != VERSION {
        return Err(Error::UnknownVersion { found: version, known: VERSION });
    }
    let config = bincode::config::standard();
    let decoded = if body.len() <= SMALL {
        bincode::serde::decode_from_slice(body, config.with_limit::<SMALL_MEMORY_MAX>())
    } else {
        bincode::serde::decode_from_slice(body, config.with_limit::<MEMORY_MAX>())
    };
    let (value, used) = decoded
        .map_err(|error| damaged(format!("checksum matches but the body does not decode: {error}")))?;
    if used != body.len() {
        return Err(damaged(format!("{} bytes follow the value", body.len() - used)));
    }
    Ok(value)
}

fn checksum(version: u8, body: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&[version]);
    hasher.update(body);
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    enum Sample {
        Empty,
        Full { number: u64, name: String, list: Vec<u8>, maybe: Option<bool> },
    }

    fn sample() -> Sample {
        Sample::Full { number: 300, name: "synod".into(), list: vec![1, 2, 3], maybe: Some(true) }
    }

    #[test]
    fn record_keeps_its_golden_bytes() {
        let expected = [3, 77, 198, 62, 242, 1, 251, 44, 1, 5, 115, 121, 110, 111, 100, 3, 1, 2, 3, 1, 1];
        assert_eq!(encode(&sample()).unwrap(), expected);
        assert_eq!(decode::<Sample>(&expected).unwrap(), sample());
        assert_eq!(decode::<Sample>(&encode(&Sample::Empty).unwrap()).unwrap(), Sample::Empty);
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_refused() {
        let record = encode(&sample()).unwrap();
        for position in 0..record.len() * 8 {
            let mut flipped = record.clone();
            flipped[position / 8] ^= 1 << (position % 8);
            let error = decode::<Sample>(&flipped).unwrap_err();
            assert!(matches!(error, Error::Damaged { .. }), "bit {position}: {error}");
        }
        for length in 0..record.len() {
            assert!(decode::<Sample>(&record[..length]).is_err(), "cut at {length}");
        }
    }

    #[test]
    fn newer_and_older_versions_are_named_with_what_to_do() {
        for (version, word) in [(VERSION + 1, "by a later synod"), (VERSION - 1, "choose a new folder")] {
            let mut record = encode(&sample()).unwrap();
            record[0] = version;
            let crc = checksum(version, &record[HEADER..]);
            record[1..HEADER].copy_from_slice(&crc.to_le_bytes());
            let error = decode::<Sample>(&record).unwrap_err();
            assert!(matches!(error, Error::UnknownVersion { found, known: VERSION } if found == version));
            assert!(error.to_string().contains(word), "{error}");
        }
    }

    #[test]
    fn record_that_asks_for_more_memory_than_it_has_bytes_is_refused() {
        // A variant, a number, and a text of 2^60 bytes of which none is there.
        for body in [
            &[1, 0, 253, 0, 0, 0, 0, 0, 0, 0, 16][..],
            &[&[1, 0, 253, 0, 0, 0, 0, 0, 0, 0, 16], &vec![0; SMALL][..]].concat(),
        ] {
            let mut record = [&[VERSION, 0, 0, 0, 0], body].concat();
            let crc = checksum(VERSION, body);
            record[1..HEADER].copy_from_slice(&crc.to_le_bytes());
            let error = decode::<Sample>(&record).unwrap_err();
            assert!(error.to_string().contains("LimitExceeded"), "{error}");
        }
    }

    #[test]
    fn bytes_after_the_value_are_refused_even_with_a_good_checksum() {
        let mut record = encode(&sample()).unwrap();
        record.push(0);
        let crc = checksum(VERSION, &record[HEADER..]);
        record[1..HEADER].copy_from_slice(&crc.to_le_bytes());
        let error = decode::<Sample>(&record).unwrap_err();
        assert!(error.to_string().contains("1 bytes follow"), "{error}");
    }
}
