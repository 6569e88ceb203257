//! A node ends by itself only over a disk that failed it, and never panics.
//!
//! Source: architecture, section 6 (a log that cannot sync ends the process); every other end is a bug.

use std::collections::BTreeMap;

use crate::faults::Fault;
use crate::history::{Fact, Record};
use crate::judges::{Judge, Verdict, broken};

pub(super) const JUDGE: Judge = Judge {
    name: "stays up",
    says: "a node fails only after a failed sync, on a full or a damaged disk, and nothing panics unasked",
    look,
};

/// What excuses the failures of one node.
#[derive(Default)]
struct Excuses {
    /// Failed syncs that no failure has been put down to; one may hit a checkpoint, which the node survives.
    failed_syncs: usize,
    full: bool,
    full_in_this_life: bool,
    /// Whether a bit on its disk was flipped that is still there.
    flipped: bool,
}

fn look(history: &[Record]) -> Verdict {
    let mut nodes = BTreeMap::<u64, Excuses>::new();
    let mut checked = 0;
    for (place, record) in history.iter().enumerate() {
        let node = nodes.entry(record.node.unwrap_or_default()).or_default();
        match &record.fact {
            Fact::Injected(fault) => {
                let Some(node) = fault.node() else { continue };
                let node = nodes.entry(node).or_default();
                match fault {
                    Fault::FailedSync { .. } => node.failed_syncs += 1,
                    Fault::FullDisk { .. } => (node.full, node.full_in_this_life) = (true, true),
                    Fault::BitFlip { .. } => node.flipped = true,
                    Fault::EmptyDisk { .. } => node.flipped = false,
                    _ => {}
                }
            }
            Fact::Healed(Fault::FullDisk { node, .. }) => nodes.entry(*node).or_default().full = false,
            Fact::Starting { .. } => {
                node.full_in_this_life = node.full;
                checked += 1;
            }
            Fact::NodeFailed { .. } if node.full_in_this_life => {}
            Fact::NodeFailed { .. } if node.flipped => node.flipped = false,
            Fact::NodeFailed { .. } if node.failed_syncs > 0 => node.failed_syncs -= 1,
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
    fn a_full_disk_excuses_the_lives_that_it_met() {
        let fault = Fault::FullDisk { node: 1, lasts: Duration::ZERO, bytes: 0 };
        let (full, healed) = (Fact::Injected(fault.clone()), Fact::Healed(fault));
        let met = [full.clone(), healed.clone(), failed()];
        assert_eq!(look(&history(met)), Ok(0));
        assert!(look(&history([full, healed, Fact::Starting { life: 2 }, failed()])).is_err());
    }

    #[test]
    fn a_panic_is_found() {
        assert!(look(&history([Fact::Panicked { message: "here".to_owned() }])).is_err());
    }
}
