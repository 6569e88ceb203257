//! What the world does to a node, and when: drawn from the seed before the world begins.
//!
//! Swarm testing (Groce and others, "Swarm Testing", ISSTA 2012): each run draws a subset of the faults that
//! are asked for, because faults that are always all on hide what each does alone.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::chance::Stream;

/// The kinds of faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// The node dies and comes back; what its disk had not synced is lost, or some of it.
    Crash,
    /// Syncs take long for a while.
    SlowDisk,
    /// One sync fails.
    FailedSync,
    /// The disk has little room left for a while.
    FullDisk,
    /// The disk says that it synced when it did not. No node survives that: for seeing the judges fail.
    LyingDisk,
}

impl Kind {
    /// The faults that a node must survive.
    pub const ALL: [Self; 4] = [Self::Crash, Self::SlowDisk, Self::FailedSync, Self::FullDisk];

    /// Returns its word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Crash => "crash",
            Self::SlowDisk => "slow-disk",
            Self::FailedSync => "failed-sync",
            Self::FullDisk => "full-disk",
            Self::LyingDisk => "lying-disk",
        }
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
#[error("{0:?} is not a fault; there are: all, none, crash, slow-disk, failed-sync, full-disk, lying-disk")]
pub struct UnknownKind(String);

impl FromStr for Kinds {
    type Err = UnknownKind;

    fn from_str(text: &str) -> Result<Self, UnknownKind> {
        let kind = |name: &str| {
            let known = Kind::ALL.into_iter().chain([Kind::LyingDisk]);
            known.into_iter().find(|kind| kind.as_str() == name).ok_or_else(|| UnknownKind(name.to_owned()))
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

/// One fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// See [`Kind::Crash`].
    Crash {
        /// How long the node stays away.
        down: Duration,
        /// How much of the unsynced writes survives, of 100.
        keep_percent: u64,
    },
    /// See [`Kind::SlowDisk`].
    SlowDisk {
        /// How long it lasts.
        lasts: Duration,
        /// How long a sync takes meanwhile.
        sync: Duration,
    },
    /// See [`Kind::FailedSync`].
    FailedSync,
    /// See [`Kind::FullDisk`].
    FullDisk {
        /// How long it lasts.
        lasts: Duration,
        /// What room is left.
        bytes: u64,
    },
    /// See [`Kind::LyingDisk`].
    LyingDisk,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Crash { down, keep_percent } => write!(f, "crash, down {down:?}, keeps {keep_percent} %"),
            Self::SlowDisk { lasts, sync } => write!(f, "slow disk for {lasts:?}, {sync:?} a sync"),
            Self::FailedSync => f.write_str("failed sync"),
            Self::FullDisk { lasts, bytes } => write!(f, "full disk for {lasts:?}, {bytes} bytes left"),
            Self::LyingDisk => f.write_str("lying disk"),
        }
    }
}

impl Fault {
    /// Returns its kind.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Crash { .. } => Kind::Crash,
            Self::SlowDisk { .. } => Kind::SlowDisk,
            Self::FailedSync => Kind::FailedSync,
            Self::FullDisk { .. } => Kind::FullDisk,
            Self::LyingDisk => Kind::LyingDisk,
        }
    }
}

/// Draws which faults come when, in order. Not empty unless nothing is asked for.
pub fn draw(asked: &Kinds, duration: Duration, stream: &mut Stream) -> Vec<(Duration, Fault)> {
    let survivable: Vec<Kind> = asked.0.iter().copied().filter(|kind| *kind != Kind::LyingDisk).collect();
    let mut kinds: Vec<Kind> = survivable.iter().copied().filter(|_| stream.happens(60)).collect();
    if kinds.is_empty() {
        kinds.extend(stream.pick(&survivable));
    }
    let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let mut plan = Vec::new();
    if asked.0.contains(&Kind::LyingDisk) {
        plan.push((Duration::ZERO, Fault::LyingDisk));
    }
    for kind in kinds {
        // A fault every 2 to 15 seconds, and one at least.
        let every = stream.between(2_000, 15_000);
        for _ in 0..(millis / every).max(1) {
            // Not in the last moment: what nobody lives to see is not a fault.
            let at = stream.millis(millis / 20, millis - millis / 10);
            plan.push((at, one(kind, stream)));
        }
    }
    plan.sort_by_key(|(at, _)| *at);
    plan
}

fn one(kind: Kind, stream: &mut Stream) -> Fault {
    match kind {
        Kind::Crash => Fault::Crash {
            down: stream.millis(1, 3_000),
            // Often all or nothing, where most mistakes are.
            keep_percent: if stream.happens(50) {
                100 * stream.between(0, 1)
            } else {
                stream.between(0, 100)
            },
        },
        Kind::SlowDisk => Fault::SlowDisk { lasts: stream.millis(100, 5_000), sync: stream.millis(20, 800) },
        Kind::FailedSync => Fault::FailedSync,
        Kind::FullDisk => {
            Fault::FullDisk { lasts: stream.millis(100, 4_000), bytes: stream.between(0, 80 * 1024) }
        }
        Kind::LyingDisk => Fault::LyingDisk,
    }
}

#[cfg(test)]
mod tests {
    use crate::chance::Streams;

    use super::*;

    #[test]
    fn something_is_always_drawn_when_something_is_asked_for() {
        for seed in 0..200 {
            let mut stream = Streams::new(seed).open("faults");
            let plan = draw(&Kinds(Kind::ALL.to_vec()), Duration::from_secs(20), &mut stream);
            assert!(!plan.is_empty(), "seed {seed}");
            assert!(plan.iter().all(|(at, _)| *at < Duration::from_secs(20)), "seed {seed}");
        }
        assert_eq!(draw(&Kinds(Vec::new()), Duration::from_secs(9), &mut Streams::new(0).open("f")), []);
    }

    #[test]
    fn kinds_are_read_as_they_are_written() {
        for text in ["all", "none", "crash", "crash,full-disk"] {
            assert_eq!(text.parse::<Kinds>().map(|kinds| kinds.to_string()), Ok(text.to_owned()));
        }
        assert!("crush".parse::<Kinds>().is_err());
    }
}
