//! A node ends by itself only over a disk that failed it, and never panics.
//!
//! Source: architecture, section 6 (a log that cannot sync ends the process); every other end is a bug.

use crate::faults::Kind;
use crate::history::{Fact, Record};
use crate::judges::{Judge, Verdict, broken};

pub(super) const JUDGE: Judge = Judge {
    name: "stays up",
    says: "a node fails only after a failed sync or on a full disk, and nothing panics unasked",
    look,
};

fn look(history: &[Record]) -> Verdict {
    // Failed syncs that no failure has been put down to; one may hit a checkpoint, which the node survives.
    let mut failed_syncs = 0_usize;
    let mut full = false;
    let mut full_in_this_life = false;
    let mut checked = 0;
    for (place, record) in history.iter().enumerate() {
        match &record.fact {
            Fact::Injected(fault) => match fault.kind() {
                Kind::FailedSync => failed_syncs += 1,
                Kind::FullDisk => (full, full_in_this_life) = (true, true),
                Kind::Crash | Kind::SlowDisk | Kind::LyingDisk => {}
            },
            Fact::Healed(Kind::FullDisk) => full = false,
            Fact::Starting { .. } => (full_in_this_life, checked) = (full, checked + 1),
            Fact::NodeFailed { .. } if full_in_this_life => {}
            Fact::NodeFailed { .. } if failed_syncs > 0 => failed_syncs -= 1,
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

    use crate::faults::Fault;
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
        let sync = || Fact::Injected(Fault::FailedSync);
        assert_eq!(look(&history([sync(), failed()])), Ok(0));
        assert!(look(&history([sync(), failed(), failed()])).is_err());
    }

    #[test]
    fn a_full_disk_excuses_the_lives_that_it_met() {
        let full = Fact::Injected(Fault::FullDisk { lasts: Duration::ZERO, bytes: 0 });
        let healed = Fact::Healed(Kind::FullDisk);
        let met = [full.clone(), healed.clone(), failed()];
        assert_eq!(look(&history(met)), Ok(0));
        assert!(look(&history([full, healed, Fact::Starting { life: 2 }, failed()])).is_err());
    }

    #[test]
    fn a_panic_is_found() {
        assert!(look(&history([Fact::Panicked { message: "here".to_owned() }])).is_err());
    }
}
