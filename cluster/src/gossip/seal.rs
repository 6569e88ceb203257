//! The seal of datagrams: XChaCha20-Poly1305 with a key of the ring.
//!
//! ```text
//!   'S' version channel | key number | nonce | sealed: node generation counter body | tag
//!    1     1      1          4          24             16     8        8             16
//! ```
//!
//! What stands before the nonce is in clear and bound to the seal. Promises that what opens was sealed with a secret
//! of the ring, for this channel, and was not changed. That it is new, [`replay`](crate::gossip::replay) promises.

use std::sync::Arc;

use bytes::{Buf, BufMut, Bytes};
use chacha20poly1305::aead::{Aead as _, Payload};
use chacha20poly1305::{Key, KeyInit as _, XChaCha20Poly1305, XNonce};
use synod_domain::id::NodeId;
use synod_domain::node::{GossipKey, Keyring};
use synod_domain::sources::Entropy;

use crate::transport::DATAGRAM_BYTES_MAX;

/// The bytes that a node's datagrams begin with, and the version of all that follows.
const MARK: u8 = b'S';
const VERSION: u8 = 1;

const HEAD_BYTES: usize = 7;
const NONCE_BYTES: usize = 24;
const TAG_BYTES: usize = 16;
const STAMP_BYTES: usize = 32;

/// The most bytes of a body.
pub(super) const BODY_BYTES_MAX: usize =
    DATAGRAM_BYTES_MAX - HEAD_BYTES - NONCE_BYTES - STAMP_BYTES - TAG_BYTES;

/// Who sealed a datagram, and which of its datagrams it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    /// Who says that it sealed it. Whoever has the key can say so.
    pub(super) node: NodeId,
    /// The number of its start.
    pub(super) generation: u64,
    /// Higher with each datagram of a start.
    pub(super) counter: u64,
}

/// Why a datagram is not opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    /// It is no datagram of this version and channel.
    Foreign,
    /// The key it names is not in the ring.
    UnknownKey,
    /// It was changed, cut, or sealed with another secret under that number.
    Damaged,
}

/// Seals `body`; `None` when no key is in use or the body is too large.
pub(super) fn seal(
    ring: &Keyring,
    channel: u8,
    stamp: Stamp,
    body: &[u8],
    entropy: &Arc<dyn Entropy>,
) -> Option<Bytes> {
    let key = ring.keys.iter().find(|key| Some(key.number) == ring.used)?;
    if body.len() > BODY_BYTES_MAX {
        return None;
    }
    let mut datagram = Vec::with_capacity(DATAGRAM_BYTES_MAX);
    datagram.put_slice(&[MARK, VERSION, channel]);
    datagram.put_u32(key.number);
    for _ in 0..NONCE_BYTES / 8 {
        datagram.put_u64(entropy.draw());
    }
    let mut plain = Vec::with_capacity(STAMP_BYTES + body.len());
    plain.put_u128(stamp.node.raw());
    plain.put_u64(stamp.generation);
    plain.put_u64(stamp.counter);
    plain.put_slice(body);
    let (head, nonce) = datagram.split_at(HEAD_BYTES);
    let sealed = cipher(key).encrypt(XNonce::from_slice(nonce), Payload { msg: &plain, aad: head }).ok()?;
    datagram.put_slice(&sealed);
    Some(datagram.into())
}

/// Opens a datagram.
pub(super) fn open(ring: &Keyring, channel: u8, datagram: &[u8]) -> Result<(Stamp, Vec<u8>), Refused> {
    if datagram.len() < HEAD_BYTES + NONCE_BYTES + STAMP_BYTES + TAG_BYTES {
        return Err(Refused::Foreign);
    }
    let (head, rest) = datagram.split_at(HEAD_BYTES);
    let (nonce, sealed) = rest.split_at(NONCE_BYTES);
    if head[..3] != [MARK, VERSION, channel] {
        return Err(Refused::Foreign);
    }
    let number = (&head[3..]).get_u32();
    let key = ring.keys.iter().find(|key| key.number == number).ok_or(Refused::UnknownKey)?;
    let plain = cipher(key)
        .decrypt(XNonce::from_slice(nonce), Payload { msg: sealed, aad: head })
        .map_err(|_| Refused::Damaged)?;
    let mut stamp = plain.get(..STAMP_BYTES).ok_or(Refused::Damaged)?;
    let node = NodeId::from_raw(stamp.get_u128());
    let stamp = Stamp { node, generation: stamp.get_u64(), counter: stamp.get_u64() };
    Ok((stamp, plain[STAMP_BYTES..].to_vec()))
}

fn cipher(key: &GossipKey) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new(Key::from_slice(&key.secret.0))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use synod_domain::node::GossipSecret;

    use super::*;

    struct Fixed;

    impl Entropy for Fixed {
        fn draw(&self) -> u64 {
            7
        }
    }

    fn ring(keys: &[(u32, u8)], used: u32) -> Keyring {
        let key =
            |(number, byte): &(u32, u8)| GossipKey { number: *number, secret: GossipSecret([*byte; 32]) };
        Keyring { keys: keys.iter().map(key).collect(), used: Some(used), last: 9 }
    }

    fn entropy() -> Arc<dyn Entropy> {
        Arc::new(Fixed)
    }

    fn stamp() -> Stamp {
        Stamp { node: NodeId::from_raw(3), generation: 2, counter: 1 }
    }

    proptest! {
        #[test]
        fn what_is_sealed_opens_and_fits_a_datagram(body in prop::collection::vec(any::<u8>(), 0..=BODY_BYTES_MAX)) {
            let sealed = seal(&ring(&[(1, 1)], 1), 1, stamp(), &body, &entropy()).unwrap();
            prop_assert!(sealed.len() <= DATAGRAM_BYTES_MAX);
            prop_assert_eq!(open(&ring(&[(2, 2), (1, 1)], 2), 1, &sealed), Ok((stamp(), body)));
        }

        #[test]
        fn no_changed_bit_and_no_cut_goes_unnoticed(place in 0_usize..200, bit in 0_u8..8, cut in 0_usize..200) {
            let ring = ring(&[(1, 1), (2, 2)], 1);
            let sealed = seal(&ring, 1, stamp(), &[5; 120], &entropy()).unwrap();
            let mut changed = sealed.to_vec();
            let place = place.min(changed.len() - 1);
            changed[place] ^= 1 << bit;
            prop_assert!(open(&ring, 1, &changed).is_err());
            prop_assert!(open(&ring, 1, &sealed[..cut.min(sealed.len() - 1)]).is_err());
        }

        #[test]
        fn arbitrary_bytes_open_nothing(bytes in prop::collection::vec(any::<u8>(), 0..1400)) {
            prop_assert!(open(&ring(&[(1, 1)], 1), 1, &bytes).is_err());
        }
    }

    #[test]
    fn each_refusal_says_what_is_wrong() {
        let sealed = seal(&ring(&[(1, 1)], 1), 1, stamp(), b"body", &entropy()).unwrap();
        assert_eq!(open(&ring(&[(2, 1)], 2), 1, &sealed), Err(Refused::UnknownKey));
        assert_eq!(open(&ring(&[(1, 2)], 1), 1, &sealed), Err(Refused::Damaged));
        assert_eq!(open(&ring(&[(1, 1)], 1), 2, &sealed), Err(Refused::Foreign));
        assert_eq!(open(&ring(&[(1, 1)], 1), 1, b"hello, who is there?"), Err(Refused::Foreign));
    }

    #[test]
    fn nothing_is_sealed_without_a_key_in_use_or_beyond_a_datagram() {
        let mut keys = ring(&[(1, 1)], 1);
        assert_eq!(seal(&keys, 1, stamp(), &[0; BODY_BYTES_MAX + 1], &entropy()), None);
        keys.used = None;
        assert_eq!(seal(&keys, 1, stamp(), b"body", &entropy()), None);
    }

    #[test]
    fn sealed_datagram_is_these_bytes() {
        let sealed = seal(&ring(&[(1, 1)], 1), 1, stamp(), b"body", &entropy()).unwrap();
        assert_eq!(sealed[..8], [b'S', 1, 1, 0, 0, 0, 1, 0]);
        assert_eq!(sealed.len(), HEAD_BYTES + NONCE_BYTES + STAMP_BYTES + 4 + TAG_BYTES);
    }
}
