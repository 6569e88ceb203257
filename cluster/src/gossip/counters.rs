//! What became of datagrams, counted.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// What became of datagrams since the start.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
        pub struct Counters {
            $($(#[$doc])* pub $name: u64,)*
        }

        /// The same, while it counts.
        #[derive(Debug, Default)]
        pub(super) struct Counting {
            $(pub(super) $name: AtomicU64,)*
        }

        impl Counting {
            pub(super) fn read(&self) -> Counters {
                Counters { $($name: self.$name.load(Ordering::Relaxed),)* }
            }
        }
    };
}

counters! {
    /// Sealed and handed to the network.
    sent,
    /// Could not be sent: the network refused, no key to seal with, or too many wait.
    unsent,
    /// Opened, fresh, and understood.
    received,
    /// Dropped: not sealed, too short, or of another version or channel.
    foreign,
    /// Dropped: sealed with a key that is not in the ring.
    unknown_key,
    /// Dropped: changed or cut on the way, or sealed with another secret.
    damaged,
    /// Dropped: seen before, or older than those that are remembered.
    replayed,
    /// Dropped: of an earlier start of its sender.
    forgotten,
    /// Opened, but nothing that this version understands.
    malformed,
    /// Times that this node was late with its own work; the patience with others was lengthened by as much.
    stalls,
    /// Times that others took this node for dead and it came back under a renewed presence.
    renewals,
}

pub(super) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
