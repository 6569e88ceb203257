//! What foca asks of the world, collected: the task performs it after each call.

use std::sync::Arc;
use std::time::Duration;

use foca::{Notification, Runtime, Timer};
use synod_domain::sources::Entropy;

use crate::gossip::presence::Presence;

/// What one call of foca's asked for.
#[derive(Debug, Default)]
pub(super) struct Collected {
    /// Messages to send, in order.
    pub(super) sends: Vec<(Presence, Vec<u8>)>,
    /// Timers to set.
    pub(super) timers: Vec<(Duration, Timer<Presence>)>,
    /// Members that came, or came anew.
    pub(super) came: Vec<Presence>,
    /// This node was taken for dead and has renewed its presence.
    pub(super) renewed: bool,
    /// A member is otherwise than it was, as far as that is said: who is suspected and who objects is not.
    pub(super) changed: bool,
}

impl Runtime<Presence> for Collected {
    fn notify(&mut self, notification: Notification<'_, Presence>) {
        self.changed = true;
        match notification {
            Notification::MemberUp(member) => self.came.push(member.clone()),
            // A new start knows nobody's rumour, though it was never missed.
            Notification::Rename(old, new) if old.generation != new.generation => self.came.push(new.clone()),
            Notification::Rejoin(_) => self.renewed = true,
            // The book looks at all members then.
            Notification::Rename(..)
            | Notification::MemberDown(_)
            | Notification::Active
            | Notification::Idle
            | Notification::Defunct => {}
        }
    }

    fn send_to(&mut self, to: Presence, data: &[u8]) {
        self.sends.push((to, data.to_vec()));
    }

    fn submit_after(&mut self, event: Timer<Presence>, after: Duration) {
        self.timers.push((after, event));
    }
}

/// Draws for foca, in the terms of rand 0.10.
pub(super) struct Draws(pub(super) Arc<dyn Entropy>);

impl rand_core_010::TryRng for Draws {
    type Error = std::convert::Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        // The upper half of what is drawn.
        Ok(u32::try_from(self.0.draw() >> 32).unwrap_or(u32::MAX))
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        Ok(self.0.draw())
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Self::Error> {
        for piece in bytes.chunks_mut(8) {
            let drawn = self.0.draw().to_le_bytes();
            piece.copy_from_slice(&drawn[..piece.len()]);
        }
        Ok(())
    }
}
