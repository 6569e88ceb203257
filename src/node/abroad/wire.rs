//! What regions say to each other. Formats: variants and fields are only appended.
//!
//! A message that is too long for one frame travels in pieces, and so does a long answer; both are known by the hash of
//! the whole, and nothing is done with one that is not whole.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use synod_domain::id::RequestId;
use synod_domain::name::Name;
use synod_domain::node::Keyring;
use synod_domain::refusal::Refusal;
use synod_domain::reply::Applied;
use synod_domain::task::TaskSpec;

use super::through::Seen;
use crate::node::elsewhere::{HandedAnswer, HandedRequest};

/// What goes over the connection.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) enum Question {
    /// A message, whole.
    Whole(Bytes),
    /// A piece of a message. The last one is answered as the message is.
    Piece {
        /// The hash of the whole.
        hash: [u8; 32],
        /// Its size.
        size: u64,
        /// Where the piece begins.
        offset: u64,
        /// The piece.
        piece: Bytes,
    },
    /// Give the piece of a long answer that begins there.
    Rest {
        /// The hash of the whole.
        hash: [u8; 32],
        /// Where the piece begins.
        offset: u64,
    },
}

/// What is said to a question.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) enum Word {
    /// An answer, whole.
    Whole(Bytes),
    /// The piece was taken; the next one is wanted.
    Taken,
    /// The answer is long: ask for its pieces.
    Long {
        /// The hash of the whole.
        hash: [u8; 32],
        /// Its size.
        size: u64,
    },
    /// A piece of it.
    Piece(Bytes),
    /// Nothing was done, for this reason.
    Refused(String),
}

/// A message from another region.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Message {
    /// The region that speaks. It must be the one that the certificate names.
    pub(super) from: Name,
    /// What it wants.
    pub(super) wish: Wish,
}

/// What another region wants.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(
    clippy::large_enum_variant,
    reason = "it lives only on its way to the wire and from it, one at a time"
)]
pub(super) enum Wish {
    /// Take a task.
    Take {
        /// The request under which it is proposed.
        request: RequestId,
        /// The task. What it says of its payload counts for nothing.
        spec: TaskSpec,
        /// Its payload.
        payload: Bytes,
        /// Whether it is kept there until it is known to be taken. Else nothing of it is.
        kept: bool,
    },
    /// Answer a request of the API.
    Serve(HandedRequest),
    /// Take this ring of gossip between regions, if it is later.
    Share {
        /// The ring.
        ring: Keyring,
        /// Counts its changes.
        number: u64,
    },
    /// Wish this of another region, for a node of this one that does not talk to others.
    Carry {
        /// Which region.
        to: Name,
        /// What is wished of it.
        wish: Box<Wish>,
        /// Whether it does no harm to wish it twice.
        no_harm: bool,
    },
    /// Tell whom this voter hears, once that is something else than what is known.
    Look {
        /// What is known.
        known: Vec<Seen>,
    },
}

/// What is said to a wish.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) enum Said {
    /// The group has judged it.
    Judged(Result<Applied, Refusal>),
    /// The API answered.
    Served(HandedAnswer),
    /// Nothing was done; another node of the region may do it.
    NotHere(String),
    /// It may have been done or not.
    Unknown(String),
    /// Who is heard, in order of id.
    Seen(Vec<Seen>),
}

#[cfg(test)]
mod tests {
    use synod_cluster::gossip::Health;
    use synod_domain::id::{NodeId, TaskId};
    use synod_domain::permission::Permissions;
    use synod_storage::{decode, encode};

    use super::*;
    use crate::node::elsewhere::Principal;

    /// Returns a record's bytes as hexadecimal digits, after reading them back.
    fn bytes_of<T>(value: &T) -> String
    where
        T: std::fmt::Debug + PartialEq + Serialize + serde::de::DeserializeOwned,
    {
        let bytes = encode(value).unwrap();
        assert_eq!(&decode::<T>(&bytes).unwrap(), value);
        bytes[5..].iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn what_regions_say_to_each_other_keeps_its_bytes() {
        let from = Name::new("eu").unwrap();
        let principal = Principal { accessor: "t".to_owned(), permissions: Permissions::default() };
        let request = HandedRequest {
            method: "GET".to_owned(),
            target: "/".to_owned(),
            headers: Vec::new(),
            body: vec![7],
            principal,
        };
        let share = Wish::Share { ring: Keyring::default(), number: 3 };
        let seen = Seen {
            region: from.clone(),
            node: NodeId::from_raw(6),
            generation: 2,
            name: from.clone(),
            health: Health::Suspect,
            address: "a".to_owned(),
            api: String::new(),
        };
        let carry = Wish::Carry { to: from.clone(), wish: Box::new(share.clone()), no_harm: true };
        let found = [
            bytes_of(&Message { from: from.clone(), wish: Wish::Serve(request) }),
            bytes_of(&Message { from: from.clone(), wish: share }),
            bytes_of(&Message { from: from.clone(), wish: carry }),
            bytes_of(&Message { from, wish: Wish::Look { known: vec![seen.clone()] } }),
            bytes_of(&Said::Judged(Ok(Applied::Submitted(TaskId::from_raw(5))))),
            bytes_of(&Said::NotHere("x".to_owned())),
            bytes_of(&Said::Unknown("x".to_owned())),
            bytes_of(&Said::Seen(vec![seen])),
            bytes_of(&Question::Whole(Bytes::from("x"))),
            bytes_of(&Question::Rest { hash: [1; 32], offset: 2 }),
            bytes_of(&Word::Taken),
            bytes_of(&Word::Refused("x".to_owned())),
        ];
        let hash = "01".repeat(32);
        let expected = [
            "0265750103474554012f000107017400",
            "0265750200000003",
            "02657503026575020000000301",
            "0265750401026575060202657501016100",
            "00000105",
            "020178",
            "030178",
            "0401026575060202657501016100",
            "000178",
            &format!("02{hash}02"),
            "01",
            "040178",
        ];
        assert_eq!(found, expected);
    }
}
