//! Which datagrams of each sender were seen.
//!
//! Promises that a datagram counts once, and that one of an earlier start of its sender, or older than the last
//! [`WINDOW`] of the sender's, counts not at all. Datagrams may overtake each other within the window. A receiver that
//! restarts has seen nothing: messages of SWIM name the start of the receiver they are for, so it takes none of those
//! for its own.

use std::collections::BTreeMap;

use synod_domain::id::NodeId;

use crate::gossip::seal::Stamp;

/// How many of a sender's latest datagrams may come in any order: some seconds of them in a large cluster.
const WINDOW: u64 = 128;

/// Senders that are remembered: every node of some regions. More would be forgotten, the longest silent first.
pub(super) const SENDERS_MAX: usize = 1024;

/// Why a datagram does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stale {
    /// Seen before, or too old to know.
    Replayed,
    /// Its sender has started again since.
    Forgotten,
}

#[derive(Debug, Clone, Copy)]
struct Window {
    generation: u64,
    highest: u64,
    /// Bit n says that `highest - n` was seen.
    seen: u128,
    /// When it was heard last, counted in datagrams of all.
    heard: u64,
}

/// The windows of all senders.
#[derive(Debug, Default)]
pub(super) struct Windows {
    senders: BTreeMap<NodeId, Window>,
    heard: u64,
}

impl Windows {
    /// Notes a datagram that was opened.
    pub(super) fn note(&mut self, stamp: Stamp) -> Result<(), Stale> {
        self.heard += 1;
        let fresh =
            Window { generation: stamp.generation, highest: stamp.counter, seen: 1, heard: self.heard };
        match self.senders.get_mut(&stamp.node) {
            None => {
                self.make_room();
                self.senders.insert(stamp.node, fresh);
            }
            Some(window) if window.generation < stamp.generation => *window = fresh,
            Some(window) if window.generation > stamp.generation => return Err(Stale::Forgotten),
            Some(window) => {
                window.note(stamp.counter)?;
                window.heard = self.heard;
            }
        }
        Ok(())
    }

    fn make_room(&mut self) {
        if self.senders.len() >= SENDERS_MAX {
            let silent = self.senders.iter().min_by_key(|(_, window)| window.heard).map(|(node, _)| *node);
            if let Some(silent) = silent {
                self.senders.remove(&silent);
            }
        }
    }
}

impl Window {
    fn note(&mut self, counter: u64) -> Result<(), Stale> {
        if counter > self.highest {
            let ahead = counter - self.highest;
            let shifted = u32::try_from(ahead).ok().and_then(|ahead| self.seen.checked_shl(ahead));
            self.seen = shifted.unwrap_or(0) | 1;
            self.highest = counter;
            return Ok(());
        }
        let behind = self.highest - counter;
        if behind >= WINDOW || self.seen & (1 << behind) != 0 {
            return Err(Stale::Replayed);
        }
        self.seen |= 1 << behind;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn stamp(node: u128, generation: u64, counter: u64) -> Stamp {
        Stamp { node: NodeId::from_raw(node), generation, counter }
    }

    proptest! {
        #[test]
        fn each_datagram_counts_at_most_once_and_those_within_the_window_do(counters in prop::collection::vec(0_u64..400, 1..300)) {
            let mut windows = Windows::default();
            let (mut seen, mut highest) = (BTreeSet::new(), None::<u64>);
            for counter in counters {
                let within = highest.is_none_or(|highest| counter + WINDOW > highest);
                let expected = within && !seen.contains(&counter);
                prop_assert_eq!(windows.note(stamp(1, 1, counter)).is_ok(), expected);
                if expected {
                    seen.insert(counter);
                    highest = highest.max(Some(counter));
                }
            }
        }
    }

    #[test]
    fn earlier_start_is_forgotten_and_a_later_one_begins_anew() {
        let mut windows = Windows::default();
        assert_eq!(windows.note(stamp(1, 2, 900)), Ok(()));
        assert_eq!(windows.note(stamp(1, 1, 901)), Err(Stale::Forgotten));
        assert_eq!(windows.note(stamp(1, 3, 5)), Ok(()));
        assert_eq!(windows.note(stamp(1, 3, 5)), Err(Stale::Replayed));
        assert_eq!(windows.note(stamp(1, 2, 902)), Err(Stale::Forgotten));
        assert_eq!(windows.note(stamp(2, 1, 5)), Ok(()), "senders are apart");
    }

    #[test]
    fn longest_silent_sender_makes_room() {
        let mut windows = Windows::default();
        for node in 0..SENDERS_MAX as u128 {
            windows.note(stamp(node, 1, 1)).unwrap();
        }
        windows.note(stamp(0, 1, 2)).unwrap();
        windows.note(stamp(5_000, 1, 1)).unwrap();
        assert_eq!(windows.senders.len(), SENDERS_MAX);
        assert_eq!(windows.note(stamp(0, 1, 2)), Err(Stale::Replayed));
        assert!(!windows.senders.contains_key(&NodeId::from_raw(1)));
    }
}
