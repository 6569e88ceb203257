//! Notices that the log has ended, or must: the core of it is gone, or this node has lost what it had acknowledged.
//!
//! Promises that why is told as soon as it is known, and that a node which forgot does not start again. Leaves ending
//! the process to whoever hears it.

use std::sync::Arc;

use bytes::Bytes;
use synod_storage::Log;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::forgetting::{FORGOT_NOTE, what_to_do};
use crate::group::Raft;
use crate::hearing::Here;

/// Ends the part of a node that has lost what it had acknowledged, so that it votes on nothing more, and sees to it that it
/// does not start again.
async fn end_for_good(raft: &Raft, log: &dyn Log, through: u64, died: &watch::Sender<Option<String>>) {
    let why = what_to_do(through);
    tracing::error!(why, "this node must not go on");
    // It has stopped or will: a core that panicked votes on nothing either.
    let _ = raft.shutdown().await;
    let (done, noted) = tokio::sync::oneshot::channel();
    let note = Bytes::copy_from_slice(&through.to_be_bytes());
    log.put_note(FORGOT_NOTE, note, Box::new(move |outcome| drop(done.send(outcome))));
    if !matches!(noted.await, Ok(Ok(()))) {
        tracing::warn!("that this node must not start again could not be noted on its disk");
    }
    died.send_replace(Some(why));
}

/// Tells when the log has ended, until `stop`.
pub(crate) async fn watch_life(
    raft: Raft,
    here: Arc<Here>,
    log: Arc<dyn Log>,
    died: watch::Sender<Option<String>>,
    stop: CancellationToken,
) {
    let mut metrics = raft.metrics();
    let mut forgot = here.forgot.subscribe();
    loop {
        let lost = *forgot.borrow_and_update();
        if let Some(through) = lost {
            return end_for_good(&raft, &*log, through, &died).await;
        }
        let running = metrics.borrow_and_update().running_state.clone();
        match running {
            Ok(()) => {}
            Err(openraft::error::Fatal::Stopped) if stop.is_cancelled() => return,
            Err(fatal) => {
                tracing::error!(error = %fatal, "the log has ended");
                died.send_replace(Some(fatal.to_string()));
                return;
            }
        }
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            // Its sender is here.
            _ = forgot.changed() => {}
            // The sender is gone without a word when the core panicked.
            changed = metrics.changed() => if changed.is_err() {
                died.send_replace(Some("the core of the log has panicked".to_owned()));
                return;
            },
        }
    }
}
