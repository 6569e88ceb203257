//! Makes the group of those that the state names as nodes: voters of voters, learners of workers.
//!
//! Runs on the leader. Promises one change at a time, by joint consensus where it concerns voters; that nobody votes
//! who has not caught up and does not answer; that a vote is taken only while a majority of those who are left answers;
//! that a leader which shall not vote any more gives the lead away first; and that a node that is gone holds up no
//! change that a quorum can make without it. Leaves deciding who is a node to the state, and says nothing while the
//! state names none or not this one's group.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use openraft::ChangeMembers;
use synod_domain::id::NodeId;
use synod_domain::node::NodeRole;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::elections::{Electorate, is_quorum};
use crate::group::{Peer, Raft};
use crate::hearing::Here;
use crate::machine::Machine;
use crate::transfer::Transfer;

/// Entries that a learner may lack and still become a voter: what is on its way on a busy node. More would make the
/// group wait for it with its next commit.
const LAG_MAX: u64 = 64;

/// A node as the state names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Wanted {
    node: NodeId,
    role: NodeRole,
}

/// How a member does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Condition {
    /// Whether it has answered lately.
    answers: bool,
    /// How many entries it lacks.
    lag: u64,
}

/// The next change of the group.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Change {
    /// Finish what another leader began.
    Finish,
    /// Send it the log.
    Learn(u64, NodeId),
    /// Let it vote.
    Promote(u64),
    /// Let it vote no more.
    Demote(u64),
    /// Send it nothing any more.
    Forget(u64),
    /// Give the lead away: the next change concerns this node.
    GiveWay,
}

/// Decides the next change.
fn next_change(
    me: u64,
    wanted: &BTreeMap<u64, Wanted>,
    group: &Electorate,
    condition: impl Fn(u64) -> Condition,
) -> Option<Change> {
    let stays = |number: &u64| wanted.get(number).is_some_and(|node| node.role == NodeRole::Voter);
    // A table without a voter of this group is not its table: nothing could be decided by it.
    if !wanted.keys().any(|number| group.has_voter(*number)) {
        return None;
    }
    if group.voters.len() > 1 {
        return Some(Change::Finish);
    }
    let voters = group.voters.first()?;
    // What the group can do without comes first: each that leaves makes the rest easier.
    for number in group.members.keys().filter(|number| !wanted.contains_key(number)) {
        if voters.contains(number) {
            if let Some(change) = retire(me, *number, voters, stays, &condition) {
                return Some(change);
            }
            continue;
        }
        let condition = condition(*number);
        if *number != me && (!condition.answers || condition.lag == 0) {
            // Whoever is there hears first that it is no node any more.
            return Some(Change::Forget(*number));
        }
    }
    for (number, node) in wanted {
        if !group.members.contains_key(number) {
            return Some(Change::Learn(*number, node.node));
        }
    }
    for (number, node) in wanted {
        match (node.role, voters.contains(number)) {
            (NodeRole::Voter, false) => {
                let condition = condition(*number);
                if condition.answers && condition.lag <= LAG_MAX {
                    return Some(Change::Promote(*number));
                }
            }
            (NodeRole::Worker, true) => {
                if let Some(change) = retire(me, *number, voters, stays, &condition) {
                    return Some(change);
                }
            }
            (NodeRole::Voter, true) | (NodeRole::Worker, false) => {}
        }
    }
    None
}

/// Tells whether the group is what it shall be.
fn is_settled(wanted: &BTreeMap<u64, Wanted>, group: &Electorate) -> bool {
    let voters: BTreeSet<u64> =
        wanted.iter().filter(|(_, node)| node.role == NodeRole::Voter).map(|(number, _)| *number).collect();
    group.voters == [voters] && group.members.keys().eq(wanted.keys())
}

/// Takes the vote from one, as long as another who stays has one, and as those who are left are a majority of
/// themselves: the change counts from its entry on, and would never be decided without one.
fn retire(
    me: u64,
    number: u64,
    voters: &BTreeSet<u64>,
    stays: impl Fn(&u64) -> bool,
    condition: &impl Fn(u64) -> Condition,
) -> Option<Change> {
    let rest = || voters.iter().copied().filter(move |voter| *voter != number);
    let there = rest().filter(|voter| *voter == me || condition(*voter).answers).count();
    let may_go = rest().any(|voter| stays(&voter)) && there * 2 > rest().count();
    match (may_go, number == me) {
        (false, _) => None,
        (true, true) => Some(Change::GiveWay),
        (true, false) => Some(Change::Demote(number)),
    }
}

/// Makes the changes.
pub(crate) struct Keeper {
    pub(crate) raft: Raft,
    pub(crate) here: Arc<Here>,
    pub(crate) machine: Arc<Machine>,
    pub(crate) transfer: Arc<Transfer>,
}

impl Keeper {
    /// Keeps the group while this node leads, until `stop`.
    pub(crate) async fn run(self, mut leadership: watch::Receiver<Option<u64>>, stop: CancellationToken) {
        loop {
            let leads = leadership.borrow_and_update().is_some();
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                changed = leadership.changed() => if changed.is_err() { return },
                () = self.keep(), if leads => {}
            }
        }
    }

    /// Changes what there is to change, for ever.
    async fn keep(&self) {
        let mut applied = self.machine.reached.subscribe();
        let mut metrics = self.raft.data_metrics();
        loop {
            applied.mark_unchanged();
            metrics.mark_unchanged();
            let (change, settled) = self.next();
            match change {
                Some(change) => {
                    tracing::info!(?change, "changes the group");
                    self.make(change).await;
                }
                // Whether a member answers is known with the next pulse.
                None if !settled => {}
                None => {
                    tokio::select! {
                        biased;
                        changed = applied.changed() => if changed.is_err() { return },
                        changed = metrics.changed() => if changed.is_err() { return },
                    }
                }
            }
            // A busy log wakes it with every entry, and a change that fails would fail at once again.
            tokio::time::sleep(self.here.timing.heartbeat).await;
        }
    }

    /// Returns the next change, and whether there is nothing to wait for either.
    fn next(&self) -> (Option<Change>, bool) {
        let wanted: BTreeMap<u64, Wanted> = {
            let state = self.machine.state.read();
            let nodes = state.nodes();
            nodes.map(|node| (node.number, Wanted { node: node.spec.id, role: node.role })).collect()
        };
        let metrics = self.raft.data_metrics();
        let metrics = metrics.borrow();
        let end = metrics.last_log.map_or(0, |id| id.index + 1);
        let condition = |number: u64| {
            let matched =
                metrics.replication.as_ref().and_then(|known| known.get(&number).copied()).flatten();
            let has = matched.map_or(0, |id| id.index + 1);
            Condition { answers: self.here.answers(number), lag: end.saturating_sub(has) }
        };
        let group = Electorate::of(&self.raft);
        let change = next_change(self.here.number, &wanted, &group, condition);
        (change, wanted.is_empty() || is_settled(&wanted, &group))
    }

    async fn make(&self, change: Change) {
        let one = |number| BTreeSet::from([number]);
        let (change, retain) = match change {
            Change::GiveWay => {
                if let Err(error) = self.transfer.give(None).await {
                    tracing::info!(%error, "this node shall not vote any more, and still leads");
                }
                return;
            }
            // Changing nothing ends what was begun.
            Change::Finish => (ChangeMembers::AddVoterIds(BTreeSet::new()), true),
            Change::Learn(number, node) => {
                (ChangeMembers::AddNodes(BTreeMap::from([(number, Peer { node })])), true)
            }
            Change::Promote(number) => (ChangeMembers::AddVoterIds(one(number)), true),
            Change::Demote(number) => {
                if !self.others_answer_now(number).await {
                    tracing::info!(number, "keeps its vote: those who are left do not answer");
                    return;
                }
                (ChangeMembers::RemoveVoters(one(number)), true)
            }
            Change::Forget(number) => {
                // It may have the last entries and not yet know that they hold.
                tokio::time::sleep(self.here.timing.heartbeat).await;
                (ChangeMembers::RemoveNodes(one(number)), true)
            }
        };
        let _alone = self.transfer.one_change.lock().await;
        if let Err(error) = self.raft.change_membership(change, retain).await {
            tracing::info!(%error, "the group was not changed; it is tried again");
        }
    }

    /// Tells whether a majority of the voters without that one answers a question that is asked only now. Who
    /// answered half a second ago may be gone by now, and from its entry on a change is decided with those who are
    /// left or never.
    async fn others_answer_now(&self, without: u64) -> bool {
        let here = &self.here;
        let vote = self.raft.server_metrics().borrow().vote;
        let at = synod_domain::sources::Clock::now(&*here.clock);
        let electorate = Electorate::of(&self.raft);
        let left: Vec<BTreeSet<u64>> = electorate
            .voters
            .iter()
            .map(|set| set.iter().copied().filter(|one| *one != without).collect())
            .collect();
        let deadline = here.timing.election.0;
        let mut asked: FuturesUnordered<_> = electorate
            .other_voters(here.number)
            .into_iter()
            .filter(|(number, _)| *number != without)
            .map(|(number, node)| async move {
                (number, self.transfer.colleagues.pulse(node, vote, at, deadline).await)
            })
            .collect();
        let mut there = BTreeSet::from([here.number]);
        while !is_quorum(&left, |number| there.contains(&number)) {
            match asked.next().await {
                Some((number, true)) => there.insert(number),
                Some((_, false)) => continue,
                None => return false,
            };
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(number: u64) -> NodeId {
        NodeId::from_raw(u128::from(number))
    }

    fn wanted(voters: &[u64], workers: &[u64]) -> BTreeMap<u64, Wanted> {
        let of = |role| move |number: &u64| (*number, Wanted { node: node(*number), role });
        voters.iter().map(of(NodeRole::Voter)).chain(workers.iter().map(of(NodeRole::Worker))).collect()
    }

    fn group(voters: &[u64], learners: &[u64]) -> Electorate {
        let members = voters.iter().chain(learners).map(|number| (*number, node(*number))).collect();
        Electorate { voters: vec![voters.iter().copied().collect()], members }
    }

    const WELL: Condition = Condition { answers: true, lag: 0 };
    const GONE: Condition = Condition { answers: false, lag: 0 };
    const BEHIND: Condition = Condition { answers: true, lag: LAG_MAX + 1 };

    #[test]
    fn a_new_voter_learns_first_and_votes_when_it_has_caught_up_and_answers() {
        let wanted = wanted(&[1, 2], &[]);
        let learning = group(&[1], &[2]);
        assert_eq!(next_change(1, &wanted, &group(&[1], &[]), |_| WELL), Some(Change::Learn(2, node(2))));
        assert_eq!(next_change(1, &wanted, &learning, |_| BEHIND), None);
        assert_eq!(next_change(1, &wanted, &learning, |_| GONE), None);
        assert_eq!(next_change(1, &wanted, &learning, |_| WELL), Some(Change::Promote(2)));
        assert_eq!(next_change(1, &wanted, &group(&[1, 2], &[]), |_| WELL), None);
    }

    #[test]
    fn a_worker_learns_and_never_votes() {
        let wanted = wanted(&[1], &[2]);
        assert_eq!(next_change(1, &wanted, &group(&[1], &[]), |_| WELL), Some(Change::Learn(2, node(2))));
        assert_eq!(next_change(1, &wanted, &group(&[1], &[2]), |_| WELL), None);
        assert_eq!(next_change(1, &wanted, &group(&[1, 2], &[]), |_| WELL), Some(Change::Demote(2)));
    }

    #[test]
    fn whoever_is_removed_hears_it_if_it_is_there_and_holds_up_nothing_if_not() {
        let wanted = wanted(&[1, 2], &[]);
        let third_is_gone = |number| if number == 3 { GONE } else { WELL };
        assert_eq!(next_change(1, &wanted, &group(&[1, 2, 3], &[]), third_is_gone), Some(Change::Demote(3)));
        assert_eq!(next_change(1, &wanted, &group(&[1, 2], &[3]), |_| GONE), Some(Change::Forget(3)));
        assert_eq!(next_change(1, &wanted, &group(&[1, 2], &[3]), |_| BEHIND), None);
        assert_eq!(next_change(1, &wanted, &group(&[1, 2], &[3]), |_| WELL), Some(Change::Forget(3)));
    }

    #[test]
    fn a_leader_gives_the_lead_away_before_it_loses_its_vote() {
        assert_eq!(next_change(1, &wanted(&[2], &[]), &group(&[1, 2], &[]), |_| WELL), Some(Change::GiveWay));
        assert_eq!(
            next_change(1, &wanted(&[2], &[1]), &group(&[1, 2], &[]), |_| WELL),
            Some(Change::GiveWay)
        );
        assert_eq!(next_change(1, &wanted(&[], &[1]), &group(&[1], &[]), |_| WELL), None);
    }

    #[test]
    fn nobody_loses_a_vote_that_the_rest_cannot_do_without() {
        let third_is_gone = |number| if number == 3 { GONE } else { WELL };
        let voters = group(&[1, 2, 3], &[]);
        assert_eq!(next_change(1, &wanted(&[1, 3], &[2]), &voters, third_is_gone), None);
        assert_eq!(next_change(1, &wanted(&[1, 3], &[2]), &voters, |_| WELL), Some(Change::Demote(2)));
        // Without the one that is gone it can.
        assert_eq!(next_change(1, &wanted(&[1], &[2]), &voters, third_is_gone), Some(Change::Demote(3)));
    }

    #[test]
    fn a_state_without_this_group_changes_nothing() {
        assert_eq!(next_change(1, &wanted(&[], &[]), &group(&[1, 2], &[]), |_| WELL), None);
        assert_eq!(next_change(1, &wanted(&[7], &[]), &group(&[1, 2], &[]), |_| WELL), None);
    }

    #[test]
    fn what_was_begun_is_finished_first() {
        let mut half = group(&[1, 2], &[]);
        half.voters.push(BTreeSet::from([1]));
        assert_eq!(next_change(1, &wanted(&[1, 2, 3], &[]), &half, |_| WELL), Some(Change::Finish));
    }
}
