//! Golden bytes of everything this crate writes to disk. A change here is a change of format.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use synod_cluster::group::Peer;
use synod_cluster::records::{Bookkeeping, Content, LogRecord, Members, PlaceRecord, VoteRecord};
use synod_domain::command::{Command, Entry, Request};
use synod_domain::id::{AgentId, NodeId, TokenId};
use synod_domain::name::Name;
use synod_domain::pause::{Pausable, Pause};
use synod_domain::permission::Permissions;
use synod_domain::row::{Meta, Row};
use synod_domain::task::MailboxId;
use synod_domain::time::Timestamp;
use synod_domain::token::{Token, TokenKind, TokenSpec};
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
            (1, Peer { node: NodeId::from_raw(0xa1) }),
            (2, Peer { node: NodeId::from_raw(0xb1) }),
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
            "03d950024d020500",
            "03edcdb093020601fbe803090103010764656661756c7404",
            "03262a3c59020702010201020201a102b1"
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
        ["03c349e9fc03010101", "032ae5906403fb2c01", "036603a5a30103fb2c010103fb2c01010201020201a102b1"]
    );
}

fn token() -> TokenSpec {
    TokenSpec {
        id: TokenId::from_raw(5),
        name: Name::default(),
        kind: TokenKind::Worker,
        hash: [7; 32],
        permissions: Permissions::of_worker(),
        expires_at: Some(Timestamp::from_millis(9)),
        created_by: None,
    }
}

#[test]
fn commands_and_rows_of_the_control_plane_keep_their_bytes() {
    let offered = ["rust@1".parse().unwrap()].into_iter().collect();
    let agent = AgentId::from_raw(2);
    let what = || Pausable::Mailbox(MailboxId::Pool(Name::default()));
    let commands = [
        Command::Claim { agent, max: 1, start: true, offered: Some(offered) },
        Command::RetireAgent { agent },
        Command::RetirePool { pool: Name::default() },
        Command::Pause { what: what(), reason: "why".into() },
        Command::Resume { what: Pausable::Workspace(Name::default()) },
        Command::PutToken { spec: Arc::new(token()) },
        Command::RotateToken { token: TokenId::from_raw(5), hash: [8; 32], keep_old_until: None },
        Command::RevokeToken { token: TokenId::from_raw(5), reason: "lost".into() },
    ];
    let since = Timestamp::from_millis(3);
    let rotated = Token {
        spec: Arc::new(token()),
        created_at: since,
        rotated_at: None,
        previous: Some(([6; 32], since)),
    };
    let rows = [
        Row::Token(Arc::new(rotated)),
        Row::Pause(Pause { what: what(), reason: "why".into(), since }),
        Row::Meta(Meta::default()),
    ];
    let found: Vec<String> = commands.iter().map(bytes_of).chain(rows.iter().map(bytes_of)).collect();
    let expected = [
        "030872fe110a020101010106727573744031",
        "03b0b3910f1602",
        "03752aebb4170764656661756c74",
        "034e61af091800010764656661756c7403776879",
        "03f183df7319020764656661756c74",
        concat!(
            "0379218fea1a050764656661756c74020707070707070707070707070707070707070707070707070707070707",
            "0707070400010407010900",
        ),
        "03f351b3bb1b05080808080808080808080808080808080808080808080808080808080808080800",
        "03f5429f8f1c05046c6f7374",
        concat!(
            "0318e4fe170b050764656661756c74020707070707070707070707070707070707070707070707070707070707",
            "070707040001040701090003000106060606060606060606060606060606060606060606060606060606060606",
            "0603",
        ),
        "03d80f70e80c00010764656661756c740377687903",
        concat!(
            "03a55751d8000000fc40420f00fc40420f00fc80841e00fc00000080fca0860100fb2c01001e00fc8051010000",
            "00000000000000000000000000000000000000000000000000",
        ),
    ];
    assert_eq!(found, expected);
}
