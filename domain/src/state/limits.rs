//! Limits and weights.

use std::time::Duration;

use crate::limits::Limits;
use crate::name::Name;
use crate::refusal::Refusal;
use crate::reply::{Answer, Reply};
use crate::row::RowKey;
use crate::state::{State, Step};

/// The largest share of a workspace in one turn. A larger one lets others wait longer.
const WEIGHT_MAX: u32 = 1000;

impl State {
    pub(super) fn set_limits(&mut self, step: &mut Step, limits: &Limits) -> Answer {
        if limits.ageing < Duration::from_millis(1) {
            return Err(Refusal::Invalid {
                field: "limits.ageing".to_owned(),
                why: "it must be at least a millisecond".to_owned(),
            });
        }
        self.meta.limits = limits.clone();
        self.trim_dead_letters(step);
        Ok(Reply::Done)
    }

    pub(super) fn set_weight(&mut self, workspace: &Name, weight: u32) -> Answer {
        if weight == 0 || weight > WEIGHT_MAX {
            return Err(Refusal::Invalid {
                field: "weight".to_owned(),
                why: format!("it must be from 1 to {WEIGHT_MAX}"),
            });
        }
        self.weights.set(workspace.clone(), weight);
        self.changes.touch(RowKey::Workspace(workspace.clone()));
        Ok(Reply::Done)
    }
}
