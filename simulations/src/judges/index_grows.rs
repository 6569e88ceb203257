//! What was told stays told: the log never goes back behind an event that somebody heard.
//!
//! Source: Raft, state machine safety (Ongaro and Ousterhout, 2014, figure 3): an entry that was applied at an
//! index is the only one ever applied there. A node that forgot it would give its index to another.

use crate::history::{Fact, Record};
use crate::judges::{Judge, Verdict, broken};

pub(super) const JUDGE: Judge = Judge {
    name: "index grows",
    says: "events carry the index of their entry, and it never goes back, over all lives of the node",
    look,
};

fn look(history: &[Record]) -> Verdict {
    let (mut last, mut checked, mut new_life) = (0, 0, false);
    for (place, record) in history.iter().enumerate() {
        match &record.fact {
            Fact::Starting { .. } => new_life = true,
            Fact::Happened { index, event, .. } => {
                // Events of one entry share its index; another life never adds to it.
                if *index < last || *index == last && new_life {
                    let what = format!("index {index} was told after index {last}");
                    return broken(place, event.task(), what);
                }
                (last, checked, new_life) = (*index, checked + 1, false);
            }
            _ => {}
        }
    }
    Ok(checked)
}

#[cfg(test)]
mod tests {
    use crate::judges::histories::*;

    use super::*;

    #[test]
    fn an_index_that_goes_back_is_found() {
        assert_eq!(look(&history([submitted(3, 1), submitted(3, 2), submitted(4, 3)])), Ok(3));
        assert!(look(&history([submitted(3, 1), submitted(2, 2)])).is_err());
    }

    #[test]
    fn an_index_that_is_given_again_in_another_life_is_found() {
        let again = [submitted(3, 1), Fact::Starting { life: 2 }, submitted(3, 2)];
        assert!(look(&history(again)).is_err());
    }
}
