//! What this crate writes to disk: the shapes of log records, notes and bookkeeping.
//!
//! These are formats: fields and variants are only appended, and `tests/` holds golden bytes. They are our
//! own and not openraft's, so that a new openraft does not change what is on the disk. The storage numbers
//! records from 1 and calls an empty state "applied through 0"; Raft counts from 0. [`stored`] and
//! [`logical`] are the only places that know.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use openraft::{CommittedLeaderId, EntryPayload, Vote};
use serde::{Deserialize, Serialize};
use synod_domain::command::Entry;
use synod_domain::row::LIVE_PREFIXES;

use crate::group::{LogEntry, LogId, Membership, Peer, Proposal};

/// The state store's row of bookkeeping; it sorts before every row of the state.
pub const BOOKKEEPING_KEY: &[u8] = b"!raft";

/// Returns how the keys begin that a start reads: the state's and the bookkeeping, but not history.
pub fn live_prefixes() -> Vec<Vec<u8>> {
    let rows = LIVE_PREFIXES.iter().map(|prefix| vec![*prefix]);
    rows.chain([BOOKKEEPING_KEY.to_vec()]).collect()
}

/// The log's note that holds the vote.
pub(crate) const VOTE_NOTE: &str = "vote";
/// The log's note that holds an id known to be committed.
pub(crate) const COMMITTED_NOTE: &str = "committed";
/// The log's note that holds the last purged id.
pub(crate) const PURGED_NOTE: &str = "purged";

/// Returns the storage's number of a log index.
pub(crate) const fn stored(index: u64) -> u64 {
    index + 1
}

/// Returns the log index of a storage's number, `None` for "nothing".
pub(crate) const fn logical(number: u64) -> Option<u64> {
    number.checked_sub(1)
}

/// One record of the log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LogRecord {
    /// The term of the leader who proposed it.
    pub term: u64,
    /// Its place.
    pub index: u64,
    /// What it says.
    pub content: Content,
}

/// What a record of the log says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Content {
    /// A leader began its term.
    Blank,
    /// Commands.
    Commands(Arc<Entry>),
    /// Who votes from here on.
    Members(Members),
}

/// Who votes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Members {
    /// The sets of voters; two while the group changes.
    pub voters: Vec<BTreeSet<u64>>,
    /// Where each member is.
    pub peers: BTreeMap<u64, Peer>,
}

/// A place in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlaceRecord {
    /// The term of the leader who proposed it.
    pub term: u64,
    /// The index.
    pub index: u64,
}

/// What a node promised in an election.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VoteRecord {
    /// In which term.
    pub term: u64,
    /// For whom.
    pub node: Option<u64>,
    /// Whether a majority did.
    pub committed: bool,
}

/// Through where the state is applied, kept beside the state and in every snapshot.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bookkeeping {
    /// The last applied entry.
    pub applied: Option<PlaceRecord>,
    /// The entry that set the members.
    pub members_at: Option<PlaceRecord>,
    /// The members.
    pub members: Members,
}

impl From<LogId> for PlaceRecord {
    fn from(id: LogId) -> Self {
        Self { term: id.leader_id.term, index: id.index }
    }
}

impl From<PlaceRecord> for LogId {
    fn from(place: PlaceRecord) -> Self {
        // With one leader a term, the node is not part of the id.
        Self::new(CommittedLeaderId::new(place.term, 0), place.index)
    }
}

impl From<&openraft::Membership<u64, Peer>> for Members {
    fn from(membership: &openraft::Membership<u64, Peer>) -> Self {
        let peers = membership.nodes().map(|(node, peer)| (*node, peer.clone())).collect();
        Self { voters: membership.get_joint_config().clone(), peers }
    }
}

impl From<Members> for openraft::Membership<u64, Peer> {
    fn from(members: Members) -> Self {
        Self::new(members.voters, members.peers)
    }
}

impl From<&Vote<u64>> for VoteRecord {
    fn from(vote: &Vote<u64>) -> Self {
        Self { term: vote.leader_id.term, node: vote.leader_id.voted_for, committed: vote.committed }
    }
}

impl From<VoteRecord> for Vote<u64> {
    fn from(record: VoteRecord) -> Self {
        let leader_id = openraft::LeaderId { term: record.term, voted_for: record.node };
        Self { leader_id, committed: record.committed }
    }
}

impl Bookkeeping {
    /// Notes through where the state is applied.
    pub(crate) fn of(applied: Option<LogId>, membership: &Membership) -> Self {
        Self {
            applied: applied.map(PlaceRecord::from),
            members_at: membership.log_id().map(PlaceRecord::from),
            members: membership.membership().into(),
        }
    }

    /// Returns the last applied id.
    pub(crate) fn applied_id(&self) -> Option<LogId> {
        self.applied.map(LogId::from)
    }

    /// Returns the members and since when.
    pub(crate) fn membership(&self) -> Membership {
        Membership::new(self.members_at.map(LogId::from), self.members.clone().into())
    }
}

impl From<&LogEntry> for LogRecord {
    fn from(entry: &LogEntry) -> Self {
        let content = match &entry.payload {
            EntryPayload::Blank => Content::Blank,
            EntryPayload::Normal(proposal) => Content::Commands(Arc::clone(&proposal.entry)),
            EntryPayload::Membership(membership) => Content::Members(membership.into()),
        };
        Self { term: entry.log_id.leader_id.term, index: entry.log_id.index, content }
    }
}

impl From<LogRecord> for LogEntry {
    fn from(record: LogRecord) -> Self {
        let payload = match record.content {
            Content::Blank => EntryPayload::Blank,
            Content::Commands(entry) => EntryPayload::Normal(Proposal { entry, ticket: None }),
            Content::Members(members) => EntryPayload::Membership(members.into()),
        };
        Self { log_id: PlaceRecord { term: record.term, index: record.index }.into(), payload }
    }
}
