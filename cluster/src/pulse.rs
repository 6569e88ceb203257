//! The signs of life of a leader, and who answers them.
//!
//! A leader says that it leads and what time it is, to every member, on its own: not through openraft, whose core
//! says nothing while it waits for the disk and whose messages to a member wait for each other. Promises that this
//! node counts as leader only while a quorum of voters answers, that it lets go of the lead within the longest
//! election timeout when none does, so that whoever still hears it may elect another, and that a leader whose log
//! hangs falls silent. Leaves standing for leader to [`elections`](crate::elections).

use std::sync::Arc;

use openraft::raft::VoteRequest;
use openraft::{CommittedLeaderId, ServerState, Vote};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::elections::{Electorate, STALL_ROUNDS, needs_others, quorum_heard};
use crate::group::{LogId, Raft};
use crate::hearing::Here;
use crate::log_store::LogStore;
use crate::network::Colleagues;

/// Pulses whenever this node leads, until `stop`.
pub(crate) async fn run(
    raft: Raft,
    here: Arc<Here>,
    colleagues: Colleagues,
    log: LogStore,
    stop: CancellationToken,
) {
    let mut metrics = raft.server_metrics();
    // The lead that this node let go of; the metrics may still show it for a moment.
    let mut over = None;
    loop {
        let (leads, vote) = {
            let now = metrics.borrow_and_update();
            (now.state == ServerState::Leader && now.current_leader == Some(here.number), now.vote)
        };
        if leads && over != Some(vote) {
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                lives = async {
                    // The term lasts as long as the metrics say the same vote.
                    while metrics.changed().await.is_ok() {
                        let now = metrics.borrow_and_update();
                        if now.state != ServerState::Leader || now.vote != vote {
                            return true;
                        }
                    }
                    false
                // The core has ended, and what it said last stays said: nothing is left to be waited for.
                } => if !lives { break },
                () = lead(&raft, &here, &colleagues, &log, vote) => over = Some(vote),
            }
            here.leading.send_replace(None);
            here.clock.follow();
            metrics.mark_changed();
        }
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            changed = metrics.changed() => if changed.is_err() { break },
        }
    }
    here.leading.send_replace(None);
}

/// Pulses for one term; returns when the lead is lost.
async fn lead(raft: &Raft, here: &Arc<Here>, colleagues: &Colleagues, log: &LogStore, vote: Vote<u64>) {
    here.answered.lock().clear();
    let more = Arc::<Notify>::default();
    let begun = Instant::now();
    let patience = here.timing.election.1;
    here.clock.lead();
    here.leading.send_replace(Some(vote.leader_id.term));
    let mut beat = tokio::time::interval(here.timing.heartbeat);
    beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut alive = begun;
    let mut probe = None;
    loop {
        let electorate = Electorate::of(raft);
        let heard = {
            let answered = here.answered.lock();
            quorum_heard(&electorate.voters, here.number, Instant::now(), &answered)
        };
        // It was elected by a quorum that heard it then.
        let lost = heard.unwrap_or(begun).max(begun) + patience;
        if Instant::now() >= lost {
            tracing::warn!(term = vote.leader_id.term, "no quorum answers any more; lets go of the lead");
            here.leading.send_replace(None);
            let_go(raft, here, &electorate, vote).await;
            return;
        }
        let stalled = alive.elapsed() >= patience * STALL_ROUNDS;
        tokio::select! {
            biased;
            synced = answered(&mut probe) => if synced { alive = Instant::now() },
            () = more.notified() => {}
            () = tokio::time::sleep_until(lost) => {}
            _ = beat.tick() => {
                if probe.is_none() {
                    probe = Some(tokio::spawn(look(raft.clone(), log.clone(), vote, here.number)));
                }
                if stalled {
                    // Whoever misses it elects another; its log may come back meanwhile.
                    continue;
                }
                pulse(here, colleagues, &electorate, vote, &more);
            }
        }
    }
}

/// Asks the core for the members, which tells the log whether it may run ahead of the disk, and waits until what is
/// in the log now is on the disk: a leader whose disk hangs shall fall silent, whether its core waits for it or not.
/// Returns whether all of it is there. `lead` is the vote by which this node leads: what it asked may be answered only
/// after it has begun to follow another, and a follower's log never runs ahead.
async fn look(raft: Raft, log: LogStore, lead: Vote<u64>, me: u64) -> bool {
    let known = log.clone();
    let asked = raft.with_raft_state(move |state| {
        let members = state.membership_state.effective().membership();
        let leads = is_lead_of(me, &lead, state.vote_ref());
        known.note_lead(state.vote_ref(), leads && needs_others(members.get_joint_config(), me));
    });
    // A log that has ended is told elsewhere.
    let _ = asked.await;
    log.synced_through(log.last()).await.is_ok()
}

/// Tells whether a node still leads by a vote, now that the core knows this one.
fn is_lead_of(me: u64, lead: &Vote<u64>, known: &Vote<u64>) -> bool {
    known.committed && known == lead && known.leader_id.voted_for == Some(me)
}

/// Waits until the log has answered, and returns whether it is well.
async fn answered(probe: &mut Option<JoinHandle<bool>>) -> bool {
    match probe {
        Some(asked) => {
            // A log that has ended is told elsewhere.
            let synced = asked.await.unwrap_or(false);
            *probe = None;
            synced
        }
        None => std::future::pending().await,
    }
}

fn pulse(
    here: &Arc<Here>,
    colleagues: &Colleagues,
    electorate: &Electorate,
    vote: Vote<u64>,
    more: &Arc<Notify>,
) {
    let at = synod_domain::sources::Clock::now(&*here.clock);
    for (number, node) in &electorate.members {
        let (number, node) = (*number, *node);
        if number == here.number {
            continue;
        }
        let (colleagues, here, more) = (colleagues.clone(), Arc::clone(here), Arc::clone(more));
        let deadline = here.timing.election.0;
        let sent = Instant::now();
        tokio::spawn(async move {
            if colleagues.pulse(node, vote, at, deadline).await {
                let mut answered = here.answered.lock();
                let last = answered.entry(number).or_insert(sent);
                *last = (*last).max(sent);
                drop(answered);
                more.notify_one();
            }
        });
    }
}

/// Makes openraft stop leading: it is told of a vote in the next term, which it grants as any voter may. The vote
/// is for another, so that this node does not take it for its own; whoever it is still asks for it, and then its
/// log is looked at as always.
async fn let_go(raft: &Raft, here: &Here, electorate: &Electorate, vote: Vote<u64>) {
    let Some((other, _)) = electorate.other_voters(here.number).first().copied() else { return };
    let end = LogId::new(CommittedLeaderId::new(u64::MAX, 0), u64::MAX);
    let request = VoteRequest::new(Vote::new(vote.leader_id.term + 1, other), Some(end));
    // An ended core leads no more.
    let _ = raft.vote(request).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_follows_another_by_now_leads_no_more_though_it_asked_as_leader() {
        let lead = Vote::new_committed(5, 1);
        assert!(is_lead_of(1, &lead, &lead));
        assert!(!is_lead_of(1, &lead, &Vote::new_committed(6, 2)), "it follows the next leader");
        assert!(!is_lead_of(1, &lead, &Vote::new(6, 2)), "it voted for the next leader");
        assert!(
            !is_lead_of(1, &Vote::new_committed(6, 2), &Vote::new_committed(6, 2)),
            "that lead is another's"
        );
        assert!(
            !is_lead_of(1, &lead, &Vote::new_committed(7, 1)),
            "a lead of its own that it has not begun yet"
        );
    }
}
