//! What a node shows of its group: who leads, who votes, who lags.

use std::collections::BTreeMap;

use openraft::ServerState;
use synod_domain::id::NodeId;

use crate::forgetting::Memory;
use crate::group::Raft;

/// Who leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leader {
    /// The node.
    pub node: NodeId,
    /// In which term.
    pub term: u64,
}

/// The group, as one node knows it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GroupView {
    /// The term of this node's last vote.
    pub term: u64,
    /// Whether this node is the leader; only a leader knows how far the others are.
    pub leads: bool,
    /// Whether a change of its voters is half done: those before and those after must both agree.
    pub changing: bool,
    /// Its members, by number.
    pub members: Vec<MemberView>,
}

/// One member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberView {
    /// Its number in the group.
    pub number: u64,
    /// Who it is.
    pub node: NodeId,
    /// Whether it votes; the others learn.
    pub voter: bool,
    /// The last index that it is known to have, told by the leader only.
    pub matched: Option<u64>,
    /// How many entries it lacks, told by the leader only.
    pub lag: Option<u64>,
    /// Through where it had acknowledged the log and has lost it, told by the leader only: its disk is an older copy.
    pub lost: Option<u64>,
}

/// Looks at the group.
pub(crate) fn look(raft: &Raft, memory: &Memory) -> GroupView {
    let metrics = raft.metrics();
    let metrics = metrics.borrow();
    let leads = metrics.state == ServerState::Leader;
    let lost = if leads { memory.all_lost() } else { BTreeMap::new() };
    let membership = metrics.membership_config.membership();
    let last = metrics.last_log_index.map_or(0, |index| index + 1);
    let members = membership.nodes().map(|(number, peer)| {
        let matched = metrics.replication.as_ref().and_then(|known| known.get(number));
        let matched = if leads { matched } else { None };
        let index = matched.and_then(|id| id.map(|id| id.index));
        MemberView {
            number: *number,
            node: peer.node,
            voter: membership.get_joint_config().iter().any(|voters| voters.contains(number)),
            matched: index,
            lag: matched.map(|_| last.saturating_sub(index.map_or(0, |index| index + 1))),
            lost: lost.get(&peer.node).copied(),
        }
    });
    GroupView {
        term: metrics.current_term,
        leads,
        changing: membership.get_joint_config().len() > 1,
        members: members.collect(),
    }
}
