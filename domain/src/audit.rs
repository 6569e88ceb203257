//! The audit log: who changed what, in a chain that shows tampering.
//!
//! ```text
//!  anchor ◄── record 1 ◄── record 2 ◄── ... ◄── record n ◄── head
//!  (agreed)    each holds the hash of the one before it      (agreed)
//! ```
//!
//! A record is made by the same entry of the log that makes the change, on every replica alike: there is no change
//! without its record, and nobody writes one without the other. What is audited is everything that somebody asks for,
//! but for the traffic of work under a lease, which the task itself tells. The hash of a record is the SHA-256 of the
//! hash before it and of the record's [canonical bytes](AuditRecord::canonical); the first and the last hash that must
//! hold are agreed rows. Keeping the records is left to whoever keeps the rows, and checking a chain to [`Verifier`].

mod digest;
mod verify;

pub use digest::digest_of;
pub use verify::{Broken, Flaw, Verifier};

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::id::RequestId;
use crate::name::Name;
use crate::time::Timestamp;

/// SHA-256.
pub type Hash = [u8; 32];

/// How many records lie between two marks, and so how many are dropped at once when they are old. More makes the marks
/// fewer and the steps of retention coarser.
pub const MARK_RECORDS: u64 = 1024;

/// How many records are kept, unless that is changed. Each takes some 400 bytes of disk on every replica.
pub const KEEP_RECORDS_DEFAULT: u64 = 1_000_000;

/// The longest text of an actor that a record keeps: names and addresses are shorter.
const ACTOR_BYTES_MAX: usize = 256;

/// What sort of somebody asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActorKind {
    /// Who shows an agreed token.
    Token,
    /// Who shows a token that the node's environment gave.
    Static,
    /// The process that the node runs in: an embedder, a command on the machine itself.
    Local,
    /// A node by itself, because of what it sees.
    Node,
    /// Somebody whom another region has let in.
    Region,
    /// An agent, about itself.
    Agent,
}

impl ActorKind {
    /// All kinds.
    pub const ALL: [Self; 6] =
        [Self::Token, Self::Static, Self::Local, Self::Node, Self::Region, Self::Agent];

    /// Returns the word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Static => "static",
            Self::Local => "local",
            Self::Node => "node",
            Self::Region => "region",
            Self::Agent => "agent",
        }
    }
}

/// Who asks for a change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// What sort of somebody.
    pub kind: ActorKind,
    /// Names them in lists and logs: the accessor of a token, the id of a node or an agent.
    pub id: Arc<str>,
    /// What people call them; empty when nobody gave a name.
    pub name: Arc<str>,
    /// The workspace that they are bound to; none for an operator of all.
    pub workspace: Option<Name>,
    /// Where the request came from, as far as that is known: an address, a region.
    pub source: Arc<str>,
}

impl Actor {
    /// Returns the process that the node runs in.
    pub fn local() -> Self {
        Self::of(ActorKind::Local, "local")
    }

    /// Returns somebody of whom only the id is known.
    pub fn of(kind: ActorKind, id: &str) -> Self {
        Self { kind, id: id.into(), name: "".into(), workspace: None, source: "".into() }
    }

    /// Returns the actor with texts that are no longer than a record keeps.
    fn bounded(&self) -> Self {
        Self {
            id: bounded(&self.id),
            name: bounded(&self.name),
            source: bounded(&self.source),
            ..self.clone()
        }
    }
}

fn bounded(text: &Arc<str>) -> Arc<str> {
    if text.len() <= ACTOR_BYTES_MAX {
        return Arc::clone(text);
    }
    let end = (0..=ACTOR_BYTES_MAX).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    text[..end].into()
}

/// What became of what was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum AuditVerdict {
    /// It was done.
    Accepted,
    /// It was refused, with this code.
    Refused(Arc<str>),
}

impl fmt::Display for AuditVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Accepted => f.pad("accepted"),
            Self::Refused(code) => f.pad(code),
        }
    }
}

/// What a record says, before it is put into the chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Audited {
    /// The request; the same one is applied once.
    pub request: RequestId,
    /// Who asked.
    pub actor: Arc<Actor>,
    /// What for, as a word: `pool.put`.
    pub action: Arc<str>,
    /// What was touched, its kind first: `pool/encoders`.
    pub resource: Arc<str>,
    /// The workspace that it belongs to; none for what belongs to all.
    pub workspace: Option<Name>,
    /// What became of it.
    pub verdict: AuditVerdict,
    /// The digest of what was touched, as it was before; none when it was not there.
    pub before: Option<Hash>,
    /// The same, afterwards.
    pub after: Option<Hash>,
}

/// One record of the audit log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditRecord {
    /// Its place, from 1 on, without gaps.
    pub seq: u64,
    /// When it happened, by the log's time.
    pub at: Timestamp,
    /// What it says.
    pub said: Audited,
    /// The hash of the record before it; zeros for the first.
    pub previous: Hash,
    /// Its own.
    pub hash: Hash,
}

impl AuditRecord {
    /// Puts what is said into the chain, behind `last`.
    pub fn behind(last: Link, at: Timestamp, said: Audited) -> Self {
        let said = Audited { actor: Arc::new(said.actor.bounded()), ..said };
        let mut record = Self { seq: last.seq + 1, at, said, previous: last.hash, hash: Hash::default() };
        record.hash = record.computed();
        record
    }

    /// Returns the hash that a record of this content has.
    pub fn computed(&self) -> Hash {
        let mut hash = Sha256::new();
        hash.update(self.previous);
        self.canonical(|bytes| hash.update(bytes));
        hash.finalize().into()
    }

    /// Returns the link that it is.
    pub const fn link(&self) -> Link {
        Link { seq: self.seq, hash: self.hash }
    }

    /// Gives the canonical bytes: the fields in order, each as text behind its length as four bytes, the highest first.
    /// What is not there is empty; numbers are decimal, times milliseconds since 1970, digests lowercase hex.
    pub fn canonical(&self, mut give: impl FnMut(&[u8])) {
        let mut field = |text: &str| {
            give(&u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes());
            give(text.as_bytes());
        };
        let Audited { request, actor, action, resource, workspace, verdict, before, after } = &self.said;
        let optional = |name: &Option<Name>| name.as_ref().map(Name::to_string).unwrap_or_default();
        field(&self.seq.to_string());
        field(&self.at.as_millis().to_string());
        field(&request.to_string());
        field(actor.kind.as_str());
        field(&actor.id);
        field(&actor.name);
        field(&optional(&actor.workspace));
        field(&actor.source);
        field(action);
        field(resource);
        field(&optional(workspace));
        field(match verdict {
            AuditVerdict::Accepted => "",
            AuditVerdict::Refused(code) => code,
        });
        field(&before.as_ref().map(hex).unwrap_or_default());
        field(&after.as_ref().map(hex).unwrap_or_default());
    }
}

/// Writes a hash as people see it.
pub fn hex(hash: &Hash) -> String {
    use fmt::Write as _;
    hash.iter().fold(String::with_capacity(64), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Reads a hash as people see it.
pub fn from_hex(text: &str) -> Option<Hash> {
    let mut hash = Hash::default();
    if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)) {
        return None;
    }
    for (place, byte) in hash.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(place * 2..place * 2 + 2)?, 16).ok()?;
    }
    Some(hash)
}

/// A place in the chain with the hash of the record there; number 0 and zeros before the first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Link {
    /// The record's number.
    pub seq: u64,
    /// Its hash.
    pub hash: Hash,
}

/// How long records are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditKeep {
    /// How many at least; what is more goes, the oldest [`MARK_RECORDS`] at once.
    pub records: u64,
    /// For how long at least; for ever when there is none. Whichever of the two is over first counts.
    pub time: Option<Duration>,
}

impl Default for AuditKeep {
    fn default() -> Self {
        Self { records: KEEP_RECORDS_DEFAULT, time: None }
    }
}

/// The ends of the chain, as agreed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditHead {
    /// The last record.
    pub last: Link,
    /// The last record that was dropped for its age: the first kept one is behind it.
    pub anchor: Link,
    /// How long records are kept.
    pub keep: AuditKeep,
}

/// Every so many records one is noted, so that old ones are dropped up to it by agreement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditMark {
    /// The record.
    pub link: Link,
    /// When it was made.
    pub at: Timestamp,
}

/// Changes of the audit log itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum AuditCommand {
    /// Sets how long records are kept.
    Keep(AuditKeep),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(action: &str) -> Audited {
        Audited {
            request: RequestId::from_raw(7),
            actor: Arc::new(Actor::of(ActorKind::Token, "token_1")),
            action: action.into(),
            resource: "pool/p".into(),
            workspace: None,
            verdict: AuditVerdict::Accepted,
            before: None,
            after: Some([1; 32]),
        }
    }

    #[test]
    fn canonical_bytes_and_hash_stay_as_they_are() {
        let record = AuditRecord::behind(Link::default(), Timestamp::from_millis(1000), said("pool.put"));
        let mut bytes = Vec::new();
        record.canonical(|piece| bytes.extend_from_slice(piece));
        let text = String::from_utf8_lossy(&bytes).replace('\0', "");
        assert!(text.contains("pool.put") && text.contains("pool/p") && text.contains(&hex(&[1; 32])));
        assert_eq!(bytes[..9], [0, 0, 0, 1, b'1', 0, 0, 0, 4]);
        assert_eq!(hex(&record.hash), "92a2831c8c0734c8ff4f7b073cdcd3d288c73eb06f8ed25a31a1463dbc22b912");
    }

    #[test]
    fn fields_do_not_run_into_each_other() {
        let at = Timestamp::from_millis(1);
        let one = AuditRecord::behind(Link::default(), at, Audited { resource: "ab".into(), ..said("x") });
        let other = AuditRecord::behind(Link::default(), at, Audited { resource: "b".into(), ..said("xa") });
        assert_ne!(one.hash, other.hash);
    }

    #[test]
    fn hashes_are_read_as_they_are_written() {
        let hash: Hash = std::array::from_fn(|place| u8::try_from(place * 7).expect("small"));
        assert_eq!(from_hex(&hex(&hash)), Some(hash));
        for wrong in ["", "zz", &"0".repeat(63), &"A".repeat(64), &"+f".repeat(32)] {
            assert_eq!(from_hex(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn long_texts_of_an_actor_are_cut_at_a_character() {
        let actor = Actor { name: "ä".repeat(200).into(), ..Actor::local() };
        assert_eq!(actor.bounded().name.len(), ACTOR_BYTES_MAX);
    }
}
