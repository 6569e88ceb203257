//! After the last fault everything ends: no task is forgotten, no lease is held for ever.
//!
//! Source: issue 5, "after healing all acknowledged work ends, within a bound of simulated time". The bound is
//! the world's `settle`; the last look comes when it has passed or nothing is unfinished.

use std::collections::BTreeMap;

use crate::history::{Fact, Record};
use crate::judges::{Judge, Verdict, broken};

pub(super) const JUDGE: Judge = Judge {
    name: "all work ends",
    says: "at the last look, every task that the node knows of has ended",
    look,
};

fn look(history: &[Record]) -> Verdict {
    let mut last = BTreeMap::new();
    for (place, record) in history.iter().enumerate() {
        if let Fact::Stands(standing) = &record.fact {
            last.insert(standing.task, (place, standing.phase));
        }
    }
    for (task, (place, phase)) in &last {
        if let Some(phase) = phase.filter(|phase| !phase.is_end()) {
            return broken(*place, Some(*task), format!("it is still {phase}"));
        }
    }
    Ok(last.len())
}

#[cfg(test)]
mod tests {
    use synod::node::domain::task::Phase;

    use crate::judges::histories::*;

    use super::*;

    #[test]
    fn a_task_that_never_ends_is_found() {
        let running = || stands(1, Some(Phase::Running), 1);
        assert_eq!(look(&history([running(), stands(1, Some(Phase::Failed), 2)])), Ok(1));
        assert!(look(&history([stands(2, Some(Phase::Failed), 1), running()])).is_err());
    }
}
