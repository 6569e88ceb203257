//! Whether somebody is there who knows what happened.
//!
//! What nodes tell is told once, by whoever is first. What one has not told when it dies, another tells; only when none
//! is left may something have happened that nobody ever tells. Promises to err on the side of knowing less.

use std::collections::BTreeSet;

use crate::history::{Fact, Record};

/// Follows which nodes live.
#[derive(Debug, Default)]
pub(super) struct Lives(BTreeSet<u64>);

impl Lives {
    /// Takes note of a record, and tells whether from here on only what is looked up is known.
    pub(super) fn forget(&mut self, record: &Record) -> bool {
        let node = record.node.unwrap_or_default();
        match &record.fact {
            Fact::Starting { .. } => {
                let alone = self.0.is_empty();
                self.0.insert(node);
                alone
            }
            Fact::Lost { .. } | Fact::NodeFailed { .. } | Fact::Stopped => {
                self.0.remove(&node);
                false
            }
            Fact::Skipped => true,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::judges::histories::*;

    use super::*;

    #[test]
    fn only_the_first_of_all_that_come_back_knows_nothing() {
        let mut lives = Lives::default();
        let mut starts = |node| lives.forget(&of(node, Fact::Starting { life: 1 }));
        assert_eq!([starts(1), starts(2), starts(3)], [true, false, false]);
        let mut goes = |node| lives.forget(&of(node, Fact::Lost { unsynced: 0, kept: 0 }));
        assert_eq!([goes(1), goes(2)], [false, false]);
        assert!(!lives.forget(&of(1, Fact::Starting { life: 2 })));
        assert!(lives.forget(&of(1, Fact::Skipped)));
        lives.forget(&of(1, Fact::Stopped));
        lives.forget(&of(3, Fact::NodeFailed { reason: String::new() }));
        assert!(lives.forget(&of(2, Fact::Starting { life: 2 })));
    }
}
