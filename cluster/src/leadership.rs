//! Who leads, told to whoever wants to know: this node's own lead, and whose word it hears.
//!
//! Promises that this node's lead is announced only when everything committed is applied here, and taken back as
//! soon as no quorum answers; and that a leader who has been silent for the longest election timeout is no leader
//! any more, as far as this node knows.

use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::elections::Electorate;
use crate::group::Raft;
use crate::hearing::Here;
use crate::view::Leader;

/// Announces this node's lead.
pub(crate) async fn announce(
    raft: Raft,
    here: Arc<Here>,
    led: watch::Sender<Option<u64>>,
    stop: CancellationToken,
) {
    let mut leading = here.leading.subscribe();
    loop {
        let term = *leading.borrow_and_update();
        if *led.borrow() != term {
            led.send_if_modified(|led| led.take().is_some());
        }
        if term.is_some() && *led.borrow() != term {
            // Leading means to know everything that was ever promised: wait until it is applied.
            let ready = tokio::select! {
                biased;
                () = stop.cancelled() => break,
                changed = leading.changed() => if changed.is_err() { break } else { continue },
                ready = raft.ensure_linearizable() => ready.is_ok(),
            };
            if ready {
                led.send_replace(term);
                continue;
            }
        }
        let retry = term.is_some() && *led.borrow() != term;
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            changed = leading.changed() => if changed.is_err() { break },
            // The others were asked and did not answer; nothing tells when they will.
            () = tokio::time::sleep(here.timing.heartbeat), if retry => {}
        }
    }
    led.send_replace(None);
}

/// Tells who leads, as far as is known here.
pub(crate) async fn tell(
    raft: Raft,
    here: Arc<Here>,
    known: watch::Sender<Option<Leader>>,
    stop: CancellationToken,
) {
    let mut metrics = raft.server_metrics();
    let mut leading = here.leading.subscribe();
    let mut heard = here.hearing.leader();
    loop {
        metrics.mark_unchanged();
        let term = *leading.borrow_and_update();
        let vote = *heard.borrow_and_update();
        let until = here.hearing.last().map(|at| at + here.timing.election.1);
        if until.is_some_and(|until| Instant::now() >= until) {
            here.hearing.forget();
        }
        let named = match (term, vote) {
            (Some(term), _) => Some((here.number, term)),
            (None, Some(vote)) => vote.leader_id.voted_for.map(|number| (number, vote.leader_id.term)),
            (None, None) => None,
        };
        let electorate = Electorate::of(&raft);
        let leader =
            named.and_then(|(number, term)| Some(Leader { node: *electorate.members.get(&number)?, term }));
        known.send_if_modified(|known| std::mem::replace(known, leader) != leader);
        let waits = vote.is_some() && term.is_none();
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            changed = metrics.changed() => if changed.is_err() { break },
            changed = leading.changed() => if changed.is_err() { break },
            changed = heard.changed() => if changed.is_err() { break },
            () = tokio::time::sleep_until(until.unwrap_or_else(Instant::now)), if waits => {}
        }
    }
    known.send_replace(None);
}

/// Waits until this node no longer leads in the term it led in. What it knew stands in `term`, so that a loss is
/// not missed while nobody waits.
pub(crate) async fn lost(leading: &mut watch::Receiver<Option<u64>>, term: &mut Option<u64>) {
    loop {
        let now = *leading.borrow_and_update();
        let before = std::mem::replace(term, now);
        if before.is_some() && now != before {
            return;
        }
        if leading.changed().await.is_err() {
            return std::future::pending().await;
        }
    }
}
