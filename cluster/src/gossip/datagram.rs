//! What stands in a sealed datagram: a message of SWIM, or one of the three that SWIM has no word for.
//!
//! SWIM announces itself to members that it knows; a seed is only an address. So a node knocks there, and is told who
//! is there. A rumour goes directly to a member that has come, and spreads as news of SWIM otherwise.

use bytes::{Buf, BufMut};

use crate::gossip::codec::{get_presence, put_presence};
use crate::gossip::presence::Presence;
use crate::gossip::seal::BODY_BYTES_MAX;

/// The most bytes of a message of SWIM.
pub(super) const SWIM_BYTES_MAX: usize = BODY_BYTES_MAX - 1;

/// What a datagram says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Body {
    /// A message of foca's.
    Swim(Vec<u8>),
    /// Asks who is there, and says who asks.
    Knock(Presence),
    /// Answers a knock.
    Here(Presence),
    /// A rumour, as the [`Book`](crate::gossip::book::Book) writes it.
    Rumour(Vec<u8>),
}

impl Body {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let (kind, rest, presence) = match self {
            Self::Swim(rest) => (1, rest.as_slice(), None),
            Self::Knock(presence) => (2, [].as_slice(), Some(presence)),
            Self::Here(presence) => (3, [].as_slice(), Some(presence)),
            Self::Rumour(rest) => (4, rest.as_slice(), None),
        };
        bytes.put_u8(kind);
        bytes.put_slice(rest);
        if let Some(presence) = presence {
            // A vector has room for any presence whose address was checked at the start.
            let _ = put_presence(presence, &mut bytes);
        }
        bytes
    }

    /// Reads one; `None` when it is nothing that this version understands.
    pub(super) fn decode(mut bytes: &[u8]) -> Option<Self> {
        if bytes.is_empty() {
            return None;
        }
        match bytes.get_u8() {
            1 => Some(Self::Swim(bytes.to_vec())),
            2 => get_presence(&mut bytes).ok().map(Self::Knock),
            3 => get_presence(&mut bytes).ok().map(Self::Here),
            4 => Some(Self::Rumour(bytes.to_vec())),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use synod_domain::id::NodeId;

    use super::*;

    #[test]
    fn bodies_come_back_as_they_went_and_unknown_ones_are_none() {
        let presence =
            Presence { node: NodeId::from_raw(5), generation: 1, renewed: 2, address: "b:2".to_owned() };
        let bodies = [
            Body::Swim(vec![1, 2]),
            Body::Knock(presence.clone()),
            Body::Here(presence),
            Body::Rumour(vec![3]),
        ];
        for body in bodies {
            assert_eq!(Body::decode(&body.encode()), Some(body));
        }
        assert_eq!(Body::decode(&[]), None);
        assert_eq!(Body::decode(&[9, 9]), None);
        assert_eq!(Body::decode(&[2, 9]), None);
    }
}
