//! What the world does to its nodes, and when: drawn from the seed before the world begins.
//!
//! Swarm testing (Groce and others, "Swarm Testing", ISSTA 2012): each run draws a subset of the faults that
//! are asked for, and how often each comes, because faults that are always all on hide what each does alone.

mod draw;
mod kind;

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

pub use draw::draw;
pub use kind::{Kind, Kinds, UnknownKind};

/// What is flipped on a disk.
pub use synod::node::storage::Part;

/// One fault. Those of some length say how long they last.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "what each field says is in the words of its Display")]
pub enum Fault {
    /// See [`Kind::Crash`].
    Crash { node: u64, down: Duration, keep_percent: u64, silent: bool },
    /// See [`Kind::Blackout`].
    Blackout { down: Duration, apart: Duration, keep_percent: u64 },
    /// See [`Kind::SlowDisk`].
    SlowDisk { node: u64, lasts: Duration, sync: Duration },
    /// See [`Kind::FailedSync`].
    FailedSync { node: u64 },
    /// See [`Kind::FullDisk`].
    FullDisk { node: u64, lasts: Duration, bytes: u64 },
    /// See [`Kind::BitFlip`].
    BitFlip { node: u64, part: Part, position: usize },
    /// See [`Kind::EmptyDisk`].
    EmptyDisk { node: u64, down: Duration },
    /// See [`Kind::ClockJump`].
    ClockJump { node: u64, lasts: Duration, millis: i64 },
    /// See [`Kind::ClockDrift`].
    ClockDrift { node: u64, lasts: Duration, millionths: i64 },
    /// See [`Kind::Pause`].
    Pause { node: u64, lasts: Duration },
    /// See [`Kind::Restart`].
    Restart { node: u64 },
    /// See [`Kind::RollingRestart`].
    RollingRestart,
    /// See [`Kind::Leave`].
    Leave { node: u64 },
    /// See [`Kind::Join`].
    Join { node: u64 },
    /// See [`Kind::StayOut`].
    StayOut { node: u64 },
    /// See [`Kind::Partition`].
    Partition { lasts: Duration, side: BTreeSet<u64> },
    /// See [`Kind::OneWay`].
    OneWay { lasts: Duration, from: u64, to: u64 },
    /// See [`Kind::Partial`].
    Partial { lasts: Duration, one: u64, other: u64 },
    /// See [`Kind::SlowLink`].
    SlowLink { lasts: Duration, one: u64, other: u64, latency: Duration },
    /// See [`Kind::HungPeer`].
    HungPeer { lasts: Duration, node: u64 },
    /// See [`Kind::Datagrams`].
    Datagrams { lasts: Duration, lost: u64, doubled: u64, late: u64 },
    /// See [`Kind::Reconnect`].
    Reconnect { one: u64, other: u64 },
    /// See [`Kind::FailedRead`].
    FailedRead { node: u64, part: Part },
    /// See [`Kind::CutWrite`].
    CutWrite { node: u64, part: Part, counts: bool, down: Duration, keep_percent: u64 },
    /// See [`Kind::LostFile`].
    LostFile { node: u64, part: Part, position: usize, down: Duration },
    /// See [`Kind::LyingDisk`].
    LyingDisk,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Crash { node, down, keep_percent, silent } => {
                let how = if *silent { "power loss" } else { "crash" };
                write!(f, "{how} of n{node}, down {down:?}, keeps {keep_percent} %")
            }
            Self::Blackout { down, apart, keep_percent } => {
                write!(f, "blackout, down {down:?} and {apart:?} for each, keeps {keep_percent} %")
            }
            Self::SlowDisk { node, lasts, sync } => {
                write!(f, "slow-disk of n{node} for {lasts:?}, {sync:?} a sync")
            }
            Self::FailedSync { node } => write!(f, "failed-sync of n{node}"),
            Self::FullDisk { node, lasts, bytes } => {
                write!(f, "full-disk of n{node} for {lasts:?}, {bytes} bytes left")
            }
            Self::BitFlip { node, part, position } => {
                write!(f, "bit-flip of n{node} in {part:?} at {position}")
            }
            Self::EmptyDisk { node, down } => write!(f, "empty-disk of n{node}, down {down:?}"),
            Self::ClockJump { node, lasts, millis } => {
                write!(f, "clock-jump of n{node} by {millis} ms for {lasts:?}")
            }
            Self::ClockDrift { node, lasts, millionths } => {
                write!(f, "clock-drift of n{node} by {millionths} millionths for {lasts:?}")
            }
            Self::Pause { node, lasts } => write!(f, "pause of n{node} for {lasts:?}"),
            Self::Restart { node } => write!(f, "restart of n{node}"),
            Self::RollingRestart => f.write_str("rolling-restart"),
            Self::Leave { node } => write!(f, "leave of n{node}"),
            Self::Join { node } => write!(f, "join of n{node}"),
            Self::StayOut { node } => write!(f, "stay-out of n{node}"),
            Self::Partition { lasts, side } => write!(f, "partition of {side:?} for {lasts:?}"),
            Self::OneWay { lasts, from, to } => write!(f, "one-way from n{from} to n{to} for {lasts:?}"),
            Self::Partial { lasts, one, other } => {
                write!(f, "partial between n{one} and n{other} for {lasts:?}")
            }
            Self::SlowLink { lasts, one, other, latency } => {
                write!(f, "slow-link between n{one} and n{other} for {lasts:?}, {latency:?}")
            }
            Self::HungPeer { lasts, node } => write!(f, "hung-peer n{node} for {lasts:?}"),
            Self::Datagrams { lasts, lost, doubled, late } => {
                write!(f, "datagrams {lost} % lost, {doubled} % doubled, {late} % overtaken for {lasts:?}")
            }
            Self::FailedRead { node, part } => write!(f, "failed-read of n{node} in {part:?}"),
            Self::CutWrite { node, part, counts, down, keep_percent } => {
                let done = if *counts { "done" } else { "not done" };
                write!(f, "cut-write of n{node} in {part:?}, {done}, down {down:?}, keeps {keep_percent} %")
            }
            Self::LostFile { node, part, position, down } => {
                write!(f, "lost-file of n{node} in {part:?} at {position}, down {down:?}")
            }
            Self::Reconnect { one, other } => write!(f, "reconnect between n{one} and n{other}"),
            Self::LyingDisk => f.write_str("lying-disk"),
        }
    }
}

impl Fault {
    /// Returns its kind.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Crash { .. } => Kind::Crash,
            Self::Blackout { .. } => Kind::Blackout,
            Self::SlowDisk { .. } => Kind::SlowDisk,
            Self::FailedSync { .. } => Kind::FailedSync,
            Self::FullDisk { .. } => Kind::FullDisk,
            Self::BitFlip { .. } => Kind::BitFlip,
            Self::EmptyDisk { .. } => Kind::EmptyDisk,
            Self::ClockJump { .. } => Kind::ClockJump,
            Self::ClockDrift { .. } => Kind::ClockDrift,
            Self::Pause { .. } => Kind::Pause,
            Self::Restart { .. } => Kind::Restart,
            Self::RollingRestart => Kind::RollingRestart,
            Self::Leave { .. } => Kind::Leave,
            Self::Join { .. } => Kind::Join,
            Self::StayOut { .. } => Kind::StayOut,
            Self::Partition { .. } => Kind::Partition,
            Self::OneWay { .. } => Kind::OneWay,
            Self::Partial { .. } => Kind::Partial,
            Self::SlowLink { .. } => Kind::SlowLink,
            Self::HungPeer { .. } => Kind::HungPeer,
            Self::Datagrams { .. } => Kind::Datagrams,
            Self::Reconnect { .. } => Kind::Reconnect,
            Self::FailedRead { .. } => Kind::FailedRead,
            Self::CutWrite { .. } => Kind::CutWrite,
            Self::LostFile { .. } => Kind::LostFile,
            Self::LyingDisk => Kind::LyingDisk,
        }
    }

    /// Returns the node that it is done to, if it is one.
    pub const fn node(&self) -> Option<u64> {
        match self {
            Self::Crash { node, .. }
            | Self::SlowDisk { node, .. }
            | Self::FailedSync { node }
            | Self::FullDisk { node, .. }
            | Self::BitFlip { node, .. }
            | Self::EmptyDisk { node, .. }
            | Self::ClockJump { node, .. }
            | Self::ClockDrift { node, .. }
            | Self::Pause { node, .. }
            | Self::Restart { node }
            | Self::Leave { node }
            | Self::Join { node }
            | Self::StayOut { node }
            | Self::FailedRead { node, .. }
            | Self::CutWrite { node, .. }
            | Self::LostFile { node, .. }
            | Self::HungPeer { node, .. } => Some(*node),
            Self::Blackout { .. }
            | Self::RollingRestart
            | Self::Partition { .. }
            | Self::OneWay { .. }
            | Self::Partial { .. }
            | Self::SlowLink { .. }
            | Self::Datagrams { .. }
            | Self::Reconnect { .. }
            | Self::LyingDisk => None,
        }
    }

    /// Returns how long it lasts; `None` when it is over at once.
    pub const fn lasts(&self) -> Option<Duration> {
        match self {
            Self::SlowDisk { lasts, .. }
            | Self::FullDisk { lasts, .. }
            | Self::ClockJump { lasts, .. }
            | Self::ClockDrift { lasts, .. }
            | Self::Pause { lasts, .. }
            | Self::Partition { lasts, .. }
            | Self::OneWay { lasts, .. }
            | Self::Partial { lasts, .. }
            | Self::SlowLink { lasts, .. }
            | Self::HungPeer { lasts, .. }
            | Self::Datagrams { lasts, .. } => Some(*lasts),
            Self::Crash { .. }
            | Self::Blackout { .. }
            | Self::FailedSync { .. }
            | Self::BitFlip { .. }
            | Self::EmptyDisk { .. }
            | Self::Restart { .. }
            | Self::RollingRestart
            | Self::Leave { .. }
            | Self::Join { .. }
            | Self::StayOut { .. }
            | Self::Reconnect { .. }
            | Self::FailedRead { .. }
            | Self::CutWrite { .. }
            | Self::LostFile { .. }
            | Self::LyingDisk => None,
        }
    }
}
