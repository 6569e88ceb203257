//! What must hold in every run, one file each with the source of the property.
//!
//! A judge looks at a history and at nothing else. It returns how many facts it checked, or the first one that
//! breaks its property. Promises not to take silence for an answer.

mod acknowledged_exists;
mod all_nodes_agree;
mod all_work_ends;
mod ends_once;
mod hosted;
pub mod linear;
mod no_stale_completion;
mod one_key_one_task;
mod one_leader;
mod one_lease;
pub mod outages;
mod something_happened;
pub mod unhealed;

use crate::history::{Micros, Record};

/// One property.
#[derive(Debug, Clone, Copy)]
pub struct Judge {
    /// Its name.
    pub name: &'static str,
    /// What it says, in a sentence.
    pub says: &'static str,
    /// Looks at a history.
    pub look: fn(&[Record]) -> Verdict,
}

/// How many facts were checked, or what broke.
pub type Verdict = Result<usize, Violation>;

/// Where a property broke.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The place of the record in the history.
    pub record: usize,
    /// The task it is about, if it is about one.
    pub task: Option<String>,
    /// What is wrong.
    pub what: String,
}

/// All judges, in the order in which they are asked.
pub const ALL: [Judge; 11] = [
    something_happened::JUDGE,
    acknowledged_exists::JUDGE,
    one_key_one_task::JUDGE,
    one_lease::JUDGE,
    no_stale_completion::JUDGE,
    ends_once::JUDGE,
    hosted::JUDGE,
    linear::JUDGE,
    one_leader::JUDGE,
    all_nodes_agree::JUDGE,
    all_work_ends::JUDGE,
];

/// Asks all judges; returns what each said.
pub fn ask_all(history: &[Record]) -> Vec<(Judge, Verdict)> {
    ALL.iter().map(|judge| (*judge, (judge.look)(history))).collect()
}

fn broken<T>(record: usize, task: Option<&str>, what: impl Into<String>) -> Result<T, Violation> {
    Err(Violation { record, task: task.map(str::to_owned), what: what.into() })
}

/// Writes a time of a history as a person reads it.
pub(crate) fn seconds(at: Micros) -> String {
    format!("{}.{:03} s", at / 1_000_000, at / 1_000 % 1_000)
}
