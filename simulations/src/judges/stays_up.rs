//! A node ends by itself only over a disk that failed it, and never panics.
//!
//! Source: architecture, section 6 (a log that cannot sync ends the process); every other end is a bug.

use std::collections::BTreeMap;

use crate::faults::{Fault, Part};
use crate::history::{Fact, Record, WAS_REMOVED};
use crate::judges::{Judge, Verdict, broken};

pub(super) const JUDGE: Judge = Judge {
    name: "stays up",
    says: "a node fails only after a failed read or sync, over a damaged log, or when it has left, and nothing panics unasked",
    look,
};

/// What a node says that has no room for what it writes at its start.
const NO_ROOM: &str = "the disk has no room";

/// What a node says whose log is empty and which finds no whole snapshot that says why.
const NOTHING_LEFT: &str = "the log ends at nothing but was synced through";

/// What excuses the failures of one node.
#[derive(Default)]
struct Excuses {
    /// Failed syncs that no failure has been put down to; one may hit a checkpoint, which the node survives.
    failed_syncs: usize,
    /// Failed reads, likewise.
    failed_reads: usize,
    /// Whether its disk is full.
    full: bool,
    /// Whether it is alone and starts on a full disk: it says so and ends, where one of several waits.
    starts_full: bool,
    /// Whether it was told to leave since it was admitted: then it may find itself removed.
    leaves: bool,
    /// Whether its log is not what was written: a bit is another, or the end is gone. Other damage is made good.
    damaged: bool,
    /// Whether a snapshot is not what was written: it may have been the one that a log was emptied for, and then
    /// nobody can tell that log from one that was lost.
    unexplained: bool,
}

fn look(history: &[Record]) -> Verdict {
    let mut nodes = BTreeMap::<u64, Excuses>::new();
    let (mut checked, mut lone) = (0, false);
    for (place, record) in history.iter().enumerate() {
        let node = nodes.entry(record.node.unwrap_or_default()).or_default();
        match &record.fact {
            Fact::Injected(fault) => {
                let Some(node) = fault.node() else { continue };
                let node = nodes.entry(node).or_default();
                match fault {
                    Fault::FailedSync { .. } => node.failed_syncs += 1,
                    Fault::FailedRead { .. } => node.failed_reads += 1,
                    Fault::FullDisk { .. } => node.full = true,
                    Fault::BitFlip { part: Part::Log, .. } | Fault::LostFile { part: Part::Log, .. } => {
                        node.damaged = true;
                    }
                    Fault::BitFlip { part: Part::Snapshots, .. }
                    | Fault::LostFile { part: Part::Snapshots, .. } => node.unexplained = true,
                    Fault::EmptyDisk { .. } => (node.damaged, node.unexplained) = (false, false),
                    Fault::Leave { .. } | Fault::StayOut { .. } => node.leaves = true,
                    _ => {}
                }
            }
            Fact::Began { nodes, .. } => lone = *nodes == 1,
            Fact::Healed(Fault::FullDisk { node, .. }) => nodes.entry(*node).or_default().full = false,
            Fact::Starting { .. } => {
                node.starts_full = lone && node.full;
                checked += 1;
            }
            Fact::Started { .. } => node.starts_full = false,
            Fact::NodeFailed { reason } if node.starts_full && reason.contains(NO_ROOM) => {}
            Fact::Admitted { .. } => node.leaves = false,
            Fact::NodeFailed { reason } if node.leaves && reason.contains(WAS_REMOVED) => {}
            Fact::NodeFailed { .. } if node.damaged => node.damaged = false,
            Fact::NodeFailed { reason } if node.unexplained && reason.contains(NOTHING_LEFT) => {
                node.unexplained = false;
            }
            Fact::NodeFailed { .. } if node.failed_syncs > 0 => node.failed_syncs -= 1,
            Fact::NodeFailed { .. } if node.failed_reads > 0 => node.failed_reads -= 1,
            Fact::NodeFailed { reason } => return broken(place, None, format!("the node failed: {reason}")),
            Fact::Panicked { message } => return broken(place, None, format!("a panic: {message}")),
            _ => {}
        }
    }
    Ok(checked)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::judges::histories::*;

    use super::*;

    fn failed() -> Fact {
        Fact::NodeFailed { reason: "it did".to_owned() }
    }

    #[test]
    fn a_failure_out_of_the_blue_is_found() {
        assert!(look(&history([Fact::Starting { life: 1 }, failed()])).is_err());
    }

    #[test]
    fn one_failed_sync_excuses_one_failure() {
        let sync = || Fact::Injected(Fault::FailedSync { node: 1 });
        assert_eq!(look(&history([sync(), failed()])), Ok(0));
        assert!(look(&history([sync(), failed(), failed()])).is_err());
    }

    #[test]
    fn a_damaged_log_excuses_one_failure_and_nothing_else_on_the_disk_any() {
        let flip = |part| Fact::Injected(Fault::BitFlip { node: 1, part, position: 0 });
        assert_eq!(look(&history([flip(Part::Log), failed()])), Ok(0));
        assert!(look(&history([flip(Part::Log), failed(), failed()])).is_err());
        assert!(look(&history([flip(Part::State), failed()])).is_err());
        let full = Fault::FullDisk { node: 1, lasts: Duration::ZERO, bytes: 0 };
        assert!(look(&history([Fact::Injected(full), failed()])).is_err());
    }

    #[test]
    fn a_damaged_snapshot_excuses_that_an_empty_log_is_refused_once_and_nothing_else() {
        let flip = || Fact::Injected(Fault::BitFlip { node: 1, part: Part::Snapshots, position: 0 });
        let refuses = || Fact::NodeFailed { reason: format!("{NOTHING_LEFT} 352") };
        assert_eq!(look(&history([flip(), refuses()])), Ok(0));
        assert!(look(&history([flip(), refuses(), refuses()])).is_err());
        assert!(look(&history([flip(), failed()])).is_err());
        assert!(look(&history([refuses()])).is_err());
    }

    #[test]
    fn a_lone_node_may_refuse_to_start_on_a_full_disk_and_not_to_go_on() {
        let full = || Fault::FullDisk { node: 1, lasts: Duration::ZERO, bytes: 0 };
        let refuses = || Fact::NodeFailed { reason: format!("{NO_ROOM} for new work") };
        let starts = || [began(true), Fact::Injected(full()), Fact::Starting { life: 2 }];
        assert!(look(&history(starts().into_iter().chain([refuses()]))).is_ok());
        assert!(look(&history(starts().into_iter().chain([failed()]))).is_err());
        let started = Fact::Started { life: 2 };
        assert!(look(&history(starts().into_iter().chain([started, refuses()]))).is_err());
        let healed = [began(true), Fact::Injected(full()), Fact::Healed(full()), Fact::Starting { life: 2 }];
        assert!(look(&history(healed.into_iter().chain([refuses()]))).is_err());
    }

    #[test]
    fn who_was_told_to_leave_may_find_itself_removed_and_nobody_else() {
        let removed = || Fact::NodeFailed { reason: format!("nobody talks to it: {WAS_REMOVED}") };
        let leave = || Fact::Injected(Fault::Leave { node: 1 });
        assert_eq!(look(&history([leave(), removed()])), Ok(0));
        assert!(look(&history([removed()])).is_err());
        assert!(look(&history([leave(), failed()])).is_err());
        assert!(look(&history([leave(), Fact::Admitted { number: 4 }, removed()])).is_err());
    }

    #[test]
    fn a_panic_is_found() {
        assert!(look(&history([Fact::Panicked { message: "here".to_owned() }])).is_err());
    }
}
