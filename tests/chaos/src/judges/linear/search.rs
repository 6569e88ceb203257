//! Looks for an order of the calls about one task that keeps real time and that the model allows.
//!
//! Wing and Gong, "Testing and verifying concurrent objects", 1993, with the memo of Lowe, "Testing for
//! linearizability", 2017: a set of calls done and the state they led to is looked at once.

use std::collections::BTreeSet;

use super::model::Task;
use crate::history::{Answer, Micros, Request};

/// One call about the task.
#[derive(Debug, Clone)]
pub struct Step<'a> {
    /// When it was asked.
    pub asked: Micros,
    /// When its answer came; `None` while it may still be done.
    pub answered: Option<Micros>,
    /// What was asked.
    pub request: &'a Request,
    /// The answer that came.
    pub answer: Option<&'a Answer>,
}

/// Looked at states before the search gives up: a task has some ten calls, and this is far beyond them.
const STATES_MAX: usize = 2_000_000;

/// What a search found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// There is an order.
    Order,
    /// There is none.
    None,
    /// The search was given up.
    TooMany,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    done: Vec<u64>,
    task: Task,
}

/// Looks for an order of `steps`, which stand in the order of their questions.
pub fn search(id: &str, first: Task, steps: &[Step<'_>]) -> Found {
    let mut seen = BTreeSet::new();
    let mut open = vec![Place { done: vec![0; steps.len().div_ceil(64)], task: first }];
    while let Some(place) = open.pop() {
        if !seen.insert(place.clone()) {
            continue;
        }
        if seen.len() > STATES_MAX {
            return Found::TooMany;
        }
        let left = || steps.iter().enumerate().filter(|(at, _)| !is_done(&place.done, *at));
        // Whatever comes next must have been asked before the first of those left was answered.
        let Some(before) = left().filter_map(|(_, step)| step.answered).min() else {
            return Found::Order;
        };
        for (at, step) in left().take_while(|(_, step)| step.asked <= before) {
            let next = match step.answer {
                Some(answer) => place.task.after(id, step.request, answer),
                None => place.task.after_silence(step.request),
            };
            for task in next {
                let mut done = place.done.clone();
                done[at / 64] |= 1 << (at % 64);
                open.push(Place { done, task });
            }
        }
    }
    Found::None
}

fn is_done(done: &[u64], at: usize) -> bool {
    done[at / 64] & (1 << (at % 64)) != 0
}
