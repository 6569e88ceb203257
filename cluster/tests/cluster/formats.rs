//! Golden bytes of everything this crate writes to disk. A change here is a change of format.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use synod_cluster::group::Peer;
use synod_cluster::records::{Bookkeeping, Content, LogRecord, Members, PlaceRecord, VoteRecord};
use synod_domain::command::{Command, Entry, Request};
use synod_domain::name::Name;
use synod_domain::time::Timestamp;
use synod_storage::{decode, encode};

use super::support::request;

/// Returns a record's bytes as hexadecimal digits, after reading them back.
fn bytes_of<T>(value: &T) -> String
where
    T: std::fmt::Debug + PartialEq + serde::Serialize + serde::de::DeserializeOwned,
{
    let bytes = encode(value).unwrap();
    assert_eq!(&decode::<T>(&bytes).unwrap(), value);
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn members() -> Members {
    Members {
        voters: vec![BTreeSet::from([1, 2])],
        peers: BTreeMap::from([
            (1, Peer { address: "a:1".to_owned() }),
            (2, Peer { address: "b:1".to_owned() }),
        ]),
    }
}

#[test]
fn log_records_keep_their_bytes() {
    let entry = Entry {
        at: Timestamp::from_millis(1000),
        seed: 9,
        commands: vec![Request {
            id: request(3),
            command: Command::SetWeight { workspace: Name::default(), weight: 4 },
        }],
    };
    let found = [
        bytes_of(&LogRecord { term: 2, index: 5, content: Content::Blank }),
        bytes_of(&LogRecord { term: 2, index: 6, content: Content::Commands(Arc::new(entry)) }),
        bytes_of(&LogRecord { term: 2, index: 7, content: Content::Members(members()) }),
    ];
    assert_eq!(
        found,
        [
            "0152980be7020500",
            "0161bb7e59020601fbe803090103010764656661756c7404",
            "014b7e32c002070201020102020103613a310203623a31"
        ]
    );
}

#[test]
fn notes_and_bookkeeping_keep_their_bytes() {
    let place = PlaceRecord { term: 3, index: 300 };
    let kept = Bookkeeping { applied: Some(place), members_at: Some(place), members: members() };
    let vote = VoteRecord { term: 3, node: Some(1), committed: true };
    let found = [bytes_of(&vote), bytes_of(&place), bytes_of(&kept)];
    assert_eq!(
        found,
        [
            "01a31a298603010101",
            "014ab6501e03fb2c01",
            "01e42c5e1a0103fb2c010103fb2c0101020102020103613a310203623a31"
        ]
    );
}
