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

/// Checks a record's bytes, as hexadecimal digits, in both directions.
fn golden<T>(value: &T, expected: &str)
where
    T: std::fmt::Debug + PartialEq + serde::Serialize + serde::de::DeserializeOwned,
{
    let bytes = encode(value).unwrap();
    let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(text, expected, "{value:?}");
    assert_eq!(&decode::<T>(&bytes).unwrap(), value);
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
    golden(&LogRecord { term: 2, index: 5, content: Content::Blank }, "BLANK");
    golden(&LogRecord { term: 2, index: 6, content: Content::Commands(Arc::new(entry)) }, "COMMANDS");
    golden(&LogRecord { term: 2, index: 7, content: Content::Members(members()) }, "MEMBERS");
}

#[test]
fn notes_and_bookkeeping_keep_their_bytes() {
    golden(&VoteRecord { term: 3, node: Some(1), committed: true }, "VOTE");
    golden(&PlaceRecord { term: 3, index: 300 }, "PLACE");
    let place = PlaceRecord { term: 3, index: 300 };
    let kept = Bookkeeping { applied: Some(place), members_at: Some(place), members: members() };
    golden(&kept, "BOOKKEEPING");
}
