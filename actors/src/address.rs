//! Addresses that survive restarts.
//!
//! A restarted ractor actor has a new mailbox, so nobody outside keeps an `ActorRef`: handles hold an
//! [`Address`], and the supervisor points it at the new mailbox. A message sent while the actor is
//! down is refused at once with [`Gone`], never queued. Mailboxes themselves are unbounded; each handle
//! bounds what it lets in, in its own way (one wake-up at a time, one message a lease).

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use ractor::{ActorRef, Message};
use tokio::sync::oneshot;

/// Says that an actor is not running: it is being restarted, or it has been stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the actor is not running")]
pub struct Gone;

/// Why an [`Address::ask`] has no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// The actor is not running, or stopped before it answered.
    #[error("the actor is not running")]
    Gone,
    /// The answer did not come in time; the question may still have had its effect.
    #[error("the actor did not answer within {0:?}")]
    Late(Duration),
}

/// Where an actor's answer goes. A caller who hung up is not the actor's failure.
#[derive(Debug)]
pub struct Reply<T>(oneshot::Sender<T>);

impl<T> Reply<T> {
    /// Answers.
    pub fn send(self, answer: T) {
        // An error means that nobody waits any more.
        let _ = self.0.send(answer);
    }
}

/// Points at the mailbox of an actor, whichever that is after restarts. Cheap to clone.
pub struct Address<M>(Arc<RwLock<Option<ActorRef<M>>>>);

impl<M> Clone for Address<M> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<M> Default for Address<M> {
    /// An address at which nobody runs yet.
    fn default() -> Self {
        Self(Arc::new(RwLock::new(None)))
    }
}

impl<M> fmt::Debug for Address<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = if self.0.read().is_some() { "running" } else { "gone" };
        write!(f, "Address({state})")
    }
}

impl<M: Message> Address<M> {
    /// Points the address at a mailbox; for supervisors.
    pub fn point_at(&self, actor: ActorRef<M>) {
        *self.0.write() = Some(actor);
    }

    /// Tells whether both are the same address, and not only point at the same actor.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Points the address at nothing; for supervisors.
    pub fn clear(&self) {
        *self.0.write() = None;
    }

    /// Stops the actor after the message it is at; for supervisors.
    pub(crate) fn stop(&self) {
        if let Some(actor) = self.0.write().take() {
            actor.stop(None);
        }
    }

    /// Sends a message.
    ///
    /// # Errors
    /// When the actor is not running; the message had no effect.
    pub fn tell(&self, message: M) -> Result<(), Gone> {
        match &*self.0.read() {
            Some(actor) => actor.send_message(message).map_err(|_| Gone),
            None => Err(Gone),
        }
    }

    /// Sends a question and waits for the answer, at most for `patience`.
    ///
    /// # Errors
    /// When the actor is not running, stops before it answers, or is late.
    pub async fn ask<T>(
        &self,
        patience: Duration,
        question: impl FnOnce(Reply<T>) -> M,
    ) -> Result<T, AskError> {
        let (reply, answer) = oneshot::channel();
        self.tell(question(Reply(reply))).map_err(|Gone| AskError::Gone)?;
        match tokio::time::timeout(patience, answer).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) => Err(AskError::Gone),
            Err(_) => Err(AskError::Late(patience)),
        }
    }
}
