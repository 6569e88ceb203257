//! When this node stands for leader.
//!
//! ```text
//!   silence ≥ a drawn timeout ─► canvass every voter ─► a quorum would vote ─► elect
//!        ▲                                │ no
//!        └──────── a new draw ◄───────────┘
//! ```
//!
//! openraft's own elections are off: they raise the term first and ask then, so that a node that comes back from
//! isolation, or hears only half of the others, deposes a leader whom a majority follows. Here nobody's term
//! changes before a quorum has said that it misses a leader too and lacks nothing that the candidate has. Promises
//! a fresh draw for each round, that a voter who is alone elects itself at once, and that one who is about to go
//! does not stand. Leaves the election itself to
//! openraft, and refusing votes while a leader is heard to the handler.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use openraft::ServerState;
use synod_domain::id::NodeId;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::group::{LogId, Raft};
use crate::hearing::Here;
use crate::network::Colleagues;

/// Tells whether those who satisfy `has` are a majority of every set of voters.
pub(crate) fn is_quorum(voters: &[BTreeSet<u64>], has: impl Fn(u64) -> bool) -> bool {
    let most = |set: &BTreeSet<u64>| set.iter().filter(|number| has(**number)).count() * 2 > set.len();
    !voters.is_empty() && voters.iter().all(most)
}

/// Tells whether nothing is decided by one node alone.
pub(crate) fn needs_others(voters: &[BTreeSet<u64>], me: u64) -> bool {
    // A set with anybody else in it has no majority without somebody else.
    voters.iter().any(|set| set.iter().any(|number| *number != me))
}

/// Who votes, as this node knows it now.
#[derive(Debug, Clone, Default)]
pub(crate) struct Electorate {
    /// The sets of voters; two while the group changes.
    pub(crate) voters: Vec<BTreeSet<u64>>,
    /// Everybody, learners too.
    pub(crate) members: BTreeMap<u64, NodeId>,
}

impl Electorate {
    /// Reads it from the group's metrics.
    pub(crate) fn of(raft: &Raft) -> Self {
        let metrics = raft.server_metrics();
        let metrics = metrics.borrow();
        let membership = metrics.membership_config.membership();
        let members = membership.nodes().map(|(number, peer)| (*number, peer.node)).collect();
        Self { voters: membership.get_joint_config().clone(), members }
    }

    /// Tells whether a node votes.
    pub(crate) fn has_voter(&self, number: u64) -> bool {
        self.voters.iter().any(|set| set.contains(&number))
    }

    /// Returns the voters besides one, and who they are.
    pub(crate) fn other_voters(&self, number: u64) -> Vec<(u64, NodeId)> {
        let others = self.members.iter().filter(|(other, _)| **other != number && self.has_voter(**other));
        others.map(|(other, node)| (*other, *node)).collect()
    }
}

/// What a node asks before it stands for leader.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Canvass {
    /// The end of its log.
    pub(crate) last: Option<LogId>,
}

/// Says what this node would answer a candidate.
pub(crate) fn would_vote(misses_a_leader: bool, mine: Option<LogId>, canvass: Canvass) -> bool {
    misses_a_leader && canvass.last >= mine
}

/// Stands for leader whenever it is time, until `stop`.
pub(crate) async fn run(raft: Raft, here: Arc<Here>, colleagues: Colleagues, stop: CancellationToken) {
    let mut metrics = raft.server_metrics();
    let mut retires = here.retires.subscribe();
    let mut patience = here.draw(here.timing.election.0, here.timing.election.1);
    loop {
        let retired = *retires.borrow_and_update();
        let state = metrics.borrow_and_update().state;
        let electorate = Electorate::of(&raft);
        let alone = electorate.other_voters(here.number).is_empty();
        let votes = electorate.has_voter(here.number);
        let due = match state {
            ServerState::Leader | ServerState::Shutdown => None,
            ServerState::Follower | ServerState::Candidate | ServerState::Learner if !votes => None,
            // Its own vote is on its way to the disk; it needs no other.
            ServerState::Candidate if alone => None,
            ServerState::Follower | ServerState::Learner if alone => Some(Instant::now()),
            ServerState::Follower | ServerState::Candidate | ServerState::Learner if retired => None,
            ServerState::Follower | ServerState::Candidate | ServerState::Learner => {
                Some(here.hearing.calm_since() + patience)
            }
        };
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            changed = metrics.changed() => {
                if changed.is_err() {
                    return;
                }
                continue;
            }
            changed = retires.changed() => {
                if changed.is_err() {
                    return;
                }
                continue;
            }
            () = tokio::time::sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {}
        }
        if !alone && Instant::now() < here.hearing.calm_since() + patience {
            // Somebody was heard meanwhile.
            continue;
        }
        let stands = alone || {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                // It may retire while it asks.
                stands = canvass(&raft, &here, &colleagues, &electorate) => stands && !*here.retires.borrow(),
            }
        };
        here.hearing.give_way();
        patience = if stands {
            here.draw(here.timing.election.0, here.timing.election.1)
        } else {
            // Nothing was raised and nobody disturbed: the next round may come soon.
            here.draw(here.timing.heartbeat, here.timing.election.0)
        };
        if stands {
            tracing::info!(number = here.number, "stands for leader");
            if raft.trigger().elect().await.is_err() {
                return;
            }
            if alone {
                // The next look shall see the outcome.
                tokio::select! {
                    biased;
                    () = stop.cancelled() => return,
                    changed = metrics.changed() => if changed.is_err() { return },
                }
            }
        }
    }
}

/// Asks every voter; true as soon as a quorum would vote for this node.
async fn canvass(raft: &Raft, here: &Here, colleagues: &Colleagues, electorate: &Electorate) -> bool {
    let canvass = Canvass { last: raft.data_metrics().borrow().last_log };
    let mut asked: FuturesUnordered<_> = electorate
        .other_voters(here.number)
        .into_iter()
        .map(|(number, node)| async move {
            (number, colleagues.canvass(node, canvass, here.timing.election.0).await)
        })
        .collect();
    let mut granted = BTreeSet::from([here.number]);
    while let Some((number, answer)) = asked.next().await {
        let Some(answer) = answer else { continue };
        // Whoever was led remembers the time, and a group without a leader is not without a past.
        if let Some(at) = answer.at {
            here.clock.heard(at);
        }
        if answer.granted {
            granted.insert(number);
        }
        if is_quorum(&electorate.voters, |voter| granted.contains(&voter)) {
            return true;
        }
    }
    false
}

/// How long a leader whose log does not answer goes on saying that it leads, in election timeouts. A disk that
/// pauses for a second is better waited for than a change of leaders; one that hangs is not.
pub(crate) const STALL_ROUNDS: u32 = 3;

/// Returns when a quorum was last heard, by when each voter was; this node hears itself.
pub(crate) fn quorum_heard(
    voters: &[BTreeSet<u64>],
    me: u64,
    now: Instant,
    heard: &BTreeMap<u64, Instant>,
) -> Option<Instant> {
    let of_set = |set: &BTreeSet<u64>| {
        let mut times: Vec<Instant> = set
            .iter()
            .filter_map(|number| if *number == me { Some(now) } else { heard.get(number).copied() })
            .collect();
        times.sort_unstable_by(|one, other| other.cmp(one));
        times.get(set.len() / 2).copied()
    };
    let mut oldest = None;
    for set in voters {
        let time = of_set(set)?;
        oldest = Some(oldest.map_or(time, |oldest: Instant| oldest.min(time)));
    }
    oldest
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use openraft::CommittedLeaderId;

    use super::*;

    fn at(term: u64, index: u64) -> Option<LogId> {
        Some(LogId::new(CommittedLeaderId::new(term, 0), index))
    }

    #[test]
    fn a_vote_goes_to_nobody_while_a_leader_is_heard() {
        assert!(!would_vote(false, at(1, 5), Canvass { last: at(1, 9) }));
        assert!(would_vote(true, at(1, 5), Canvass { last: at(1, 9) }));
    }

    #[test]
    fn a_vote_goes_to_nobody_who_lacks_entries() {
        assert!(would_vote(true, at(1, 5), Canvass { last: at(1, 5) }));
        assert!(!would_vote(true, at(1, 5), Canvass { last: at(1, 4) }));
        assert!(!would_vote(true, at(2, 5), Canvass { last: at(1, 9) }));
        assert!(would_vote(true, None, Canvass { last: None }));
    }

    #[test]
    fn a_quorum_needs_a_majority_of_both_sets_while_the_group_changes() {
        let one = vec![BTreeSet::from([1, 2, 3])];
        assert!(is_quorum(&one, |number| number != 3));
        assert!(!is_quorum(&one, |number| number == 3));
        let both = vec![BTreeSet::from([1, 2, 3]), BTreeSet::from([3, 4, 5])];
        assert!(!is_quorum(&both, |number| number <= 3));
        assert!(is_quorum(&both, |number| number >= 2 && number != 5));
        assert!(!is_quorum(&[], |_| true));
    }

    #[test]
    fn only_a_sole_voter_decides_alone() {
        let sets = |sets: &[&[u64]]| sets.iter().map(|set| set.iter().copied().collect()).collect::<Vec<_>>();
        assert!(!needs_others(&sets(&[&[1]]), 1));
        assert!(!needs_others(&sets(&[&[1], &[1]]), 1));
        assert!(!needs_others(&sets(&[]), 1), "nobody is known yet");
        assert!(needs_others(&sets(&[&[1, 2]]), 1));
        assert!(needs_others(&sets(&[&[1], &[1, 2, 3]]), 1), "both sets must agree while the group changes");
        assert!(needs_others(&sets(&[&[2]]), 1), "it votes no more, and leads until the others know");
    }

    #[test]
    fn the_time_of_a_quorum_is_that_of_the_slowest_member_it_needs() {
        let begin = Instant::now();
        let after = |seconds| begin + Duration::from_secs(seconds);
        let heard = BTreeMap::from([(2, after(3)), (3, after(1)), (4, after(2))]);
        let sets = |sets: &[&[u64]]| sets.iter().map(|set| set.iter().copied().collect()).collect::<Vec<_>>();
        let when = |voters: &[BTreeSet<u64>]| quorum_heard(voters, 1, after(9), &heard);
        assert_eq!(when(&sets(&[&[1]])), Some(after(9)));
        assert_eq!(when(&sets(&[&[1, 2]])), Some(after(3)));
        assert_eq!(when(&sets(&[&[1, 2, 3]])), Some(after(3)));
        assert_eq!(when(&sets(&[&[1, 2, 3, 4, 5]])), Some(after(2)));
        assert_eq!(when(&sets(&[&[1, 2, 3], &[1, 3]])), Some(after(1)));
        assert_eq!(when(&sets(&[&[1, 6]])), None);
    }
}
