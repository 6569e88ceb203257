//! The kinds of faults, and how they are asked for.

use std::fmt;
use std::str::FromStr;

/// The kinds of faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A node dies and comes back; what its disk had not synced is lost, or some of it. Its streams end, or nobody
    /// hears of it, as when the power is gone.
    Crash,
    /// All nodes lose power at once, and come back one after the other: nobody is left who remembers what no disk has.
    Blackout,
    /// Syncs take long for a while.
    SlowDisk,
    /// One sync fails.
    FailedSync,
    /// The disk has little room left for a while.
    FullDisk,
    /// A bit on a disk is another, on a minority of the nodes at a time.
    BitFlip,
    /// A disk is empty when its node comes back, on a minority of the nodes at a time.
    EmptyDisk,
    /// A wall clock is wrong by up to a day for a while.
    ClockJump,
    /// A wall clock goes too fast or too slow for a while.
    ClockDrift,
    /// Nothing of a node is heard for longer than a lease, and its disk and its wall clock stand still. The node's own
    /// timers run on: it knows that it hears nobody, which a process that is stopped does not.
    Pause,
    /// A node is stopped in order and started again.
    Restart,
    /// All nodes are, one after the other.
    RollingRestart,
    /// A node leaves the cluster, and its machine joins as another.
    Leave,
    /// A machine that was not there joins, and stays.
    Join,
    /// A node leaves the cluster, and its machine stays out.
    StayOut,
    /// Some nodes and the others do not reach each other for a while.
    Partition,
    /// Nothing gets through in one direction between two nodes for a while.
    OneWay,
    /// Two nodes do not reach each other for a while, and both reach the others.
    Partial,
    /// What two nodes say to each other takes long for a while.
    SlowLink,
    /// A node takes connections and never answers for a while.
    HungPeer,
    /// Datagrams are lost, doubled and overtaken for a while.
    Datagrams,
    /// All streams between two nodes break.
    Reconnect,
    /// One read fails.
    FailedRead,
    /// Power goes in the middle of a write that would have been durable on return: of a snapshot, a blob, the mirror, or
    /// when the log is cut. It counts as done, or not.
    CutWrite,
    /// Files of a node are gone when it comes back: the end of its log, its snapshots, its mirror or a blob; on a
    /// minority of the nodes at a time.
    LostFile,
    /// The disks say that they synced when they did not. No node survives that: for seeing the judges fail.
    LyingDisk,
}

impl Kind {
    /// The faults that nodes must survive.
    pub const ALL: [Self; 25] = [
        Self::Crash,
        Self::Blackout,
        Self::SlowDisk,
        Self::FailedSync,
        Self::FullDisk,
        Self::BitFlip,
        Self::EmptyDisk,
        Self::ClockJump,
        Self::ClockDrift,
        Self::Pause,
        Self::Restart,
        Self::RollingRestart,
        Self::Leave,
        Self::Partition,
        Self::OneWay,
        Self::Partial,
        Self::SlowLink,
        Self::HungPeer,
        Self::Datagrams,
        Self::Reconnect,
        Self::Join,
        Self::StayOut,
        Self::FailedRead,
        Self::CutWrite,
        Self::LostFile,
    ];

    /// Returns its word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Crash => "crash",
            Self::Blackout => "blackout",
            Self::SlowDisk => "slow-disk",
            Self::FailedSync => "failed-sync",
            Self::FullDisk => "full-disk",
            Self::BitFlip => "bit-flip",
            Self::EmptyDisk => "empty-disk",
            Self::ClockJump => "clock-jump",
            Self::ClockDrift => "clock-drift",
            Self::Pause => "pause",
            Self::Restart => "restart",
            Self::RollingRestart => "rolling-restart",
            Self::Leave => "leave",
            Self::Join => "join",
            Self::StayOut => "stay-out",
            Self::Partition => "partition",
            Self::OneWay => "one-way",
            Self::Partial => "partial",
            Self::SlowLink => "slow-link",
            Self::HungPeer => "hung-peer",
            Self::Datagrams => "datagrams",
            Self::Reconnect => "reconnect",
            Self::FailedRead => "failed-read",
            Self::CutWrite => "cut-write",
            Self::LostFile => "lost-file",
            Self::LyingDisk => "lying-disk",
        }
    }

    /// Tells whether it needs other nodes.
    pub const fn needs_others(self) -> bool {
        match self {
            Self::Blackout
            | Self::BitFlip
            | Self::EmptyDisk
            | Self::LostFile
            | Self::RollingRestart
            | Self::Leave
            | Self::Join
            | Self::StayOut
            | Self::Partition
            | Self::OneWay
            | Self::Partial
            | Self::SlowLink
            | Self::HungPeer
            | Self::Datagrams
            | Self::Reconnect => true,
            Self::Crash
            | Self::SlowDisk
            | Self::FailedSync
            | Self::FullDisk
            | Self::ClockJump
            | Self::ClockDrift
            | Self::Pause
            | Self::Restart
            | Self::FailedRead
            | Self::CutWrite
            | Self::LyingDisk => false,
        }
    }

    /// Tells whether it may cost a node everything it knows.
    pub const fn is_destructive(self) -> bool {
        matches!(self, Self::BitFlip | Self::EmptyDisk | Self::LostFile | Self::Leave | Self::StayOut)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Which kinds are asked for. Text form: `all`, `none`, or names with commas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kinds(pub Vec<Kind>);

/// Says that a text names no fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name:?} is not a fault; there are: all, none, {known}")]
pub struct UnknownKind {
    name: String,
    known: String,
}

impl FromStr for Kinds {
    type Err = UnknownKind;

    fn from_str(text: &str) -> Result<Self, UnknownKind> {
        let known = || Kind::ALL.into_iter().chain([Kind::LyingDisk]);
        let kind = |name: &str| {
            known().find(|kind| kind.as_str() == name).ok_or_else(|| UnknownKind {
                name: name.to_owned(),
                known: known().map(Kind::as_str).collect::<Vec<_>>().join(", "),
            })
        };
        Ok(Self(match text {
            "all" => Kind::ALL.to_vec(),
            "none" => Vec::new(),
            names => names.split(',').map(|name| kind(name.trim())).collect::<Result<_, _>>()?,
        }))
    }
}

impl fmt::Display for Kinds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_slice() {
            [] => f.write_str("none"),
            kinds if kinds == Kind::ALL => f.write_str("all"),
            kinds => f.write_str(&kinds.iter().map(|kind| kind.as_str()).collect::<Vec<_>>().join(",")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_read_as_they_are_written() {
        for text in ["all", "none", "crash", "crash,full-disk"] {
            assert_eq!(text.parse::<Kinds>().map(|kinds| kinds.to_string()), Ok(text.to_owned()));
        }
        assert!("crush".parse::<Kinds>().is_err());
    }
}
