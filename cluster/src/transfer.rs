//! Giving the lead to another voter, in the time of a few messages instead of an election timeout.
//!
//! ```text
//!   wait for a change of the group ─►
//!   hold proposals ─► wait until the other has everything ─► "take over" ─► it elects itself, its voters are
//!                                                            told that the leader wishes it ─► this node follows
//! ```
//!
//! Promises that no proposal is lost: those that are held were never written, and go on here when the other does
//! not take over, or are told that another node leads. Leaves the election to openraft.

use std::cmp::Reverse;
use std::sync::Arc;

use openraft::ServerState;
use openraft::metrics::{RaftDataMetrics, RaftServerMetrics};
use synod_domain::id::NodeId;
use tokio::sync::{Mutex, MutexGuard, watch};

use crate::elections::Electorate;
use crate::group::{Peer, Raft};
use crate::hearing::Here;
use crate::log_store::LogStore;
use crate::network::Colleagues;

/// Why the lead was not given to another.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TransferError {
    /// Another node leads, or nobody.
    #[error("this node does not lead")]
    NotLeader,
    /// There is no other voter, or it is not the one that was named.
    #[error("there is no such voter to give the lead to")]
    NoTarget,
    /// Members are changing, and those who could elect the other are not agreed yet.
    #[error("the group is changing its members; try again when it has")]
    Changing,
    /// It lacks entries that it did not get in time.
    #[error("the other voter is too far behind")]
    Behind,
    /// It was asked, and this node still leads or nobody does.
    #[error("the other voter did not take over: {0}")]
    Refused(String),
}

/// How many election timeouts the one who was told to take over may need until it is heard. More makes whoever
/// asked wait longer to be told that nobody leads.
const ELECTIONS: u32 = 5;

/// Gives the lead away.
pub(crate) struct Transfer {
    pub(crate) raft: Raft,
    pub(crate) here: Arc<Here>,
    pub(crate) colleagues: Colleagues,
    pub(crate) log: LogStore,
    /// Holds the proposer while it is true.
    pub(crate) hold: watch::Sender<bool>,
    /// How many batches are on their way.
    pub(crate) in_hand: watch::Receiver<usize>,
    /// Whoever has it changes the group, or its leader. Both at once would leave a leader-to-be without the last
    /// entry of the change, and nobody elected.
    pub(crate) one_change: Mutex<()>,
}

/// Lets proposals go on when it is dropped.
struct Held<'a>(&'a watch::Sender<bool>);

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.send_replace(false);
    }
}

impl Transfer {
    /// Gives the lead to `to`, or to whichever voter has most of the log.
    pub(crate) async fn give(&self, to: Option<NodeId>) -> Result<NodeId, TransferError> {
        let term = (*self.here.leading.borrow()).ok_or(TransferError::NotLeader)?;
        let _alone = self.group_stands().await.ok_or(TransferError::Changing)?;
        let electorate = Electorate::of(&self.raft);
        let mut others = electorate.other_voters(self.here.number);
        if let Some(to) = to {
            others.retain(|(_, node)| *node == to);
        }
        others.sort_by_key(|(number, _)| Reverse((self.here.answers(*number), self.matched(*number))));
        if others.is_empty() {
            return Err(TransferError::NoTarget);
        }
        // Held at once, so that the other catches up with an end that stands still.
        if self.hold.send_replace(true) {
            return Err(TransferError::Refused("another transfer is on its way".to_owned()));
        }
        let held = Held(&self.hold);
        let mut leading = self.here.leading.subscribe();
        let (number, node) = self.appoint_one_of(&others).await?;
        let gone = leading.wait_for(|now| *now != Some(term));
        if !matches!(tokio::time::timeout(self.here.timing.election.1, gone).await, Ok(Ok(_))) {
            return Err(TransferError::Refused("it was not elected in time".to_owned()));
        }
        drop(held);
        // It pulses as soon as it leads.
        let mut heard = self.here.hearing.leader();
        let elected = async {
            tokio::select! {
                biased;
                vote = heard.wait_for(|vote| vote.is_some_and(|vote| vote.leader_id.term > term)) => {
                    vote.ok().and_then(|vote| vote.as_ref()?.leader_id.voted_for)
                }
                _ = leading.wait_for(|now| now.is_some_and(|now| now > term)) => Some(self.here.number),
            }
        };
        // Nothing is held any more: a slow disk is waited for as long as another election would be.
        match tokio::time::timeout(self.here.timing.election.1 * ELECTIONS, elected).await {
            Ok(Some(elected)) if elected == number => Ok(node),
            Ok(_) => Err(TransferError::Refused("another voter was elected".to_owned())),
            Err(_) => Err(TransferError::Refused("nobody was elected in time".to_owned())),
        }
    }

    /// Tells the first of them who has everything and will do it to take over. One that is about to go will not.
    async fn appoint_one_of(&self, others: &[(u64, NodeId)]) -> Result<(u64, NodeId), TransferError> {
        let mut why = TransferError::NoTarget;
        for (place, (number, node)) in others.iter().enumerate() {
            // Whoever does not even answer is asked only for want of another.
            if place > 0 && !self.here.answers(*number) {
                break;
            }
            if !self.catches_up(*number).await {
                why = TransferError::Behind;
                continue;
            }
            let vote = self.raft.server_metrics().borrow().vote;
            match self.colleagues.appoint(*node, vote, self.here.timing.election.0).await {
                Some(true) => return Ok((*number, *node)),
                Some(false) => {
                    why = TransferError::Refused(
                        "it is about to go itself, or knows of another leader".to_owned(),
                    );
                }
                // It may be standing for leader all the same; a second one beside it would split the votes.
                None => return Err(TransferError::Refused("it does not answer".to_owned())),
            }
        }
        Err(why)
    }

    /// Waits until no change of the group is under way, and keeps the next one from beginning.
    async fn group_stands(&self) -> Option<MutexGuard<'_, ()>> {
        let mut metrics = self.raft.server_metrics();
        let one_set = |now: &RaftServerMetrics<u64, Peer>| {
            now.membership_config.membership().get_joint_config().len() == 1
        };
        let stands = async {
            loop {
                // Whoever finishes the change needs the lock.
                metrics.wait_for(one_set).await.ok()?;
                let alone = self.one_change.lock().await;
                if one_set(&metrics.borrow_and_update()) {
                    return Some(alone);
                }
            }
        };
        tokio::time::timeout(self.here.timing.election.1, stands).await.ok().flatten()
    }

    /// Returns through where a member is known to have the log.
    fn matched(&self, number: u64) -> Option<u64> {
        let metrics = self.raft.data_metrics();
        let metrics = metrics.borrow();
        let matched = metrics.replication.as_ref()?.get(&number)?;
        matched.map(|id| id.index)
    }

    /// Waits until a member has everything.
    async fn catches_up(&self, number: u64) -> bool {
        let (mut metrics, mut in_hand) = (self.raft.data_metrics(), self.in_hand.clone());
        let all = async {
            in_hand.wait_for(|open| *open == 0).await.ok()?;
            let last = self.log.last();
            let has = |now: &RaftDataMetrics<u64>| {
                now.replication.as_ref().and_then(|known| known.get(&number).copied()).flatten() >= last
            };
            metrics.wait_for(has).await.ok().map(drop)
        };
        matches!(tokio::time::timeout(self.here.timing.election.1, all).await, Ok(Some(())))
    }

    /// Tells whether there is somebody to give the lead to.
    pub(crate) fn may_give(&self) -> bool {
        let leads = self.raft.server_metrics().borrow().state == ServerState::Leader;
        leads && !Electorate::of(&self.raft).other_voters(self.here.number).is_empty()
    }
}
