//! How patient gossip is: on a local network, and between far places.
//!
//! How long it takes until a dead node is known to be dead, on a local network of a few nodes: until somebody probes
//! it, half a second on average and rarely more than one; the probe, half a second; the suspicion, one and a half.
//! Together 2.5 s, and about 3 s at worst: its agents must run elsewhere within 5 s. A node that stalls has the time
//! of the suspicion to deny it, so shorter stalls than that cost nothing.

use std::num::{NonZeroU8, NonZeroUsize};
use std::time::Duration;

use foca::{Config, PeriodicParams};

use crate::gossip::datagram::SWIM_BYTES_MAX;

/// Members that are asked to probe one that did not answer. With three, a single bad link convicts nobody.
const INDIRECT_PROBES: usize = 3;

/// How often news are sent on, for each decimal digit of the number of members: the number of rounds that an
/// epidemic needs grows so.
const TRANSMISSIONS_PER_DIGIT: u8 = 4;

/// How long the dead are remembered. A node that comes back says so by a higher generation or a renewed presence.
const REMEMBER_DEAD: Duration = Duration::from_secs(24 * 3600);

/// How patient gossip is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// Nodes of one region: answers within milliseconds.
    Lan,
    /// Regions among each other: answers within some tenths of a second, lost datagrams are usual.
    Wan,
}

/// The times of a profile that foca does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Timing {
    /// How often a member is probed. A timer that is later than this says that this node itself has stalled.
    pub(super) probe_period: Duration,
    /// How often seeds and the dead are knocked at: until the parts of a split cluster find each other.
    pub(super) knock_every: Duration,
    /// The least time between two tellings of a changed rumour.
    pub(super) tell_gap: Duration,
    /// How often a node tells its rumour again though nothing changed, among few members.
    pub(super) refresh_every: Duration,
    /// What each member adds to that, so that all of them together do not fill the network.
    pub(super) refresh_per_member: Duration,
}

impl Profile {
    /// Names the profile in datagrams, so that those of one are nothing to the other.
    pub(super) fn channel(self) -> u8 {
        match self {
            Self::Lan => 1,
            Self::Wan => 2,
        }
    }

    pub(super) fn timing(self) -> Timing {
        match self {
            Self::Lan => Timing {
                probe_period: Duration::from_millis(500),
                knock_every: Duration::from_secs(1),
                tell_gap: Duration::from_millis(250),
                refresh_every: Duration::from_secs(3),
                refresh_per_member: Duration::from_millis(50),
            },
            Self::Wan => Timing {
                probe_period: Duration::from_secs(2),
                knock_every: Duration::from_secs(5),
                tell_gap: Duration::from_secs(1),
                refresh_every: Duration::from_secs(10),
                refresh_per_member: Duration::from_millis(100),
            },
        }
    }

    /// Returns how long one of so many members that did not answer has to deny it: the suspicion.
    fn suspicion(self, members: usize) -> Duration {
        let (few, per_digit) = match self {
            Self::Lan => (1_500, 500),
            Self::Wan => (8_000, 2_000),
        };
        Duration::from_millis(few) + Duration::from_millis(per_digit).saturating_mul(digits(members) - 1)
    }

    /// Returns after how long, of so many members, a live one has been heard of by whoever took it for dead without a
    /// reason: a probe, and as long as it has to deny a suspicion.
    pub fn patience(self, members: usize) -> Duration {
        self.timing().probe_period + self.suspicion(members)
    }

    /// Returns foca's settings for a cluster of so many members.
    pub(super) fn config(self, members: usize) -> Config {
        let digits_u8 = u8::try_from(digits(members)).unwrap_or(u8::MAX);
        let transmissions = digits_u8.saturating_mul(TRANSMISSIONS_PER_DIGIT);
        let periodic = |frequency, num_members| {
            let num_members = NonZeroUsize::new(num_members).unwrap_or(NonZeroUsize::MIN);
            Some(PeriodicParams { frequency, num_members })
        };
        let (probe_rtt, announce, announce_down, gossip) = match self {
            Self::Lan => (200, 3_000, 5_000, 200),
            Self::Wan => (800, 15_000, 15_000, 500),
        };
        Config {
            probe_period: self.timing().probe_period,
            probe_rtt: Duration::from_millis(probe_rtt),
            num_indirect_probes: NonZeroUsize::new(INDIRECT_PROBES).unwrap_or(NonZeroUsize::MIN),
            max_transmissions: NonZeroU8::new(transmissions).unwrap_or(NonZeroU8::MIN),
            suspect_to_down_after: self.suspicion(members),
            remove_down_after: Some(REMEMBER_DEAD),
            max_packet_size: NonZeroUsize::new(SWIM_BYTES_MAX).unwrap_or(NonZeroUsize::MIN),
            notify_down_members: true,
            periodic_announce: periodic(Duration::from_millis(announce), 1),
            periodic_announce_to_down_members: periodic(Duration::from_millis(announce_down), 2),
            periodic_gossip: periodic(Duration::from_millis(gossip), 3),
        }
    }
}

/// Returns how many decimal digits a number of members has; at least one.
fn digits(members: usize) -> u32 {
    members.max(1).ilog10() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patience_outlasts_the_suspicion_of_a_group_of_any_size() {
        for profile in [Profile::Lan, Profile::Wan] {
            for members in [0, 1, 3, 9, 10, 99, 100, 1_000, 1_000_000] {
                let suspicion = profile.config(members).suspect_to_down_after;
                assert!(profile.patience(members) > suspicion, "{profile:?} of {members}: {suspicion:?}");
            }
        }
        // More would delay the recovery from the loss of a leader.
        assert_eq!(Profile::Lan.patience(3), Duration::from_secs(2));
        assert_eq!(Profile::Lan.patience(100), Duration::from_secs(3));
    }
}
