//! A caller's seat at the claims desk: whoever leaves it early leaves nothing behind.

use tokio::sync::oneshot;

use crate::desk::{ClaimError, Desk, Outcome};

/// Held by the caller for as long as it waits. Dropping it gives the place up, and with it what was on its
/// way to the caller.
pub(super) struct Seat {
    desk: Desk,
    ticket: u64,
    /// Tells this caller from one that asks the same again.
    caller: u64,
    called: oneshot::Receiver<()>,
    settled: bool,
}

impl Seat {
    pub(super) fn new(desk: Desk, ticket: u64, caller: u64, called: oneshot::Receiver<()>) -> Self {
        Self { desk, ticket, caller, called, settled: false }
    }

    /// Waits until there is an answer, or until somebody else has taken the place over.
    pub(super) async fn called(&mut self) {
        // An error means that the place was taken over, which the book says too.
        let _ = (&mut self.called).await;
    }

    /// Takes the answer.
    pub(super) fn take(mut self) -> Outcome {
        self.settled = true;
        let taken = self.desk.0.book.lock().take(self.ticket, self.caller);
        taken.unwrap_or(Err(ClaimError::Superseded))
    }

    /// Leaves the line; tells whether it could. If not, there is an answer or it is on its way.
    pub(super) fn leave(&mut self) -> bool {
        self.settled = self.desk.0.book.lock().leave(self.ticket, self.caller);
        self.settled
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if !self.settled {
            self.desk.look(|book, _, orders| orders.extend(book.abandon(self.ticket, self.caller)));
        }
    }
}
