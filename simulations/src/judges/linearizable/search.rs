//! Looks for an order of what was done with one task that keeps real time and that the register allows.
//!
//! Wing and Gong, "Testing and verifying concurrent objects", 1993, with the memo of Lowe, "Testing for linearizability",
//! 2017: a set of things done and the register they led to is looked at once. What was done is kept as how many from the
//! first, and those beyond, so that a history without much at the same time costs little more than reading it.

use std::collections::BTreeSet;

use super::register::{Register, Silent, Step};

/// States looked at before the search gives up: a task has some dozen calls, and this is far beyond them.
const STATES_MAX: usize = 500_000;

/// A call that was answered. Times are places in the history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) asked: usize,
    pub(super) answered: usize,
    pub(super) step: Step,
}

/// Everything that is known to have happened to one task.
#[derive(Debug, Default)]
pub(super) struct Course {
    /// In the order in which they were asked.
    pub(super) calls: Vec<Call>,
    /// What events told, in the order of the log, each with the place where it was told: it had happened by then.
    pub(super) told: Vec<(usize, Step)>,
    /// What was asked and never answered, in the order in which it was asked.
    pub(super) silent: Vec<(usize, Silent)>,
    /// Whether agents of the nodes work on it.
    pub(super) inside: bool,
}

/// Why there is no order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Disorder {
    /// Nothing explains what was said at this place.
    At(usize),
    /// The search was given up at this place.
    TooMany(usize),
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    /// All calls before this one are done,
    before: usize,
    /// and these behind it.
    beyond: BTreeSet<usize>,
    told: usize,
    silent: BTreeSet<usize>,
    register: Register,
}

impl Course {
    /// Looks for an order.
    pub(super) fn search(&self) -> Result<(), Disorder> {
        let mut seen = BTreeSet::new();
        let mut furthest = 0;
        let mut open = vec![Place {
            before: 0,
            beyond: BTreeSet::new(),
            told: 0,
            silent: BTreeSet::new(),
            register: Register::Unknown,
        }];
        while let Some(place) = open.pop() {
            if !seen.insert(place.clone()) {
                continue;
            }
            let (due, until) = self.due(&place);
            if due.is_empty() {
                return Ok(());
            }
            furthest = furthest.max(until);
            if seen.len() > STATES_MAX {
                return Err(Disorder::TooMany(furthest));
            }
            self.go_on(&place, &due, until, &mut open);
        }
        Err(Disorder::At(furthest))
    }

    /// Returns what may come next of all that must come, each with the place until which it must, the soonest last; and
    /// the place before which something must.
    fn due(&self, place: &Place) -> (Vec<(usize, Next)>, usize) {
        let mut until = usize::MAX;
        let mut due = Vec::new();
        if let Some((told, step)) = self.told.get(place.told) {
            until = *told;
            due.push((*told, Next::Told(*step)));
        }
        for (at, call) in self.calls.iter().enumerate().skip(place.before) {
            // They stand in the order in which they were asked, so no later one was asked earlier.
            if call.asked > until {
                break;
            }
            if !place.beyond.contains(&at) {
                until = until.min(call.answered);
                due.push((call.answered, Next::Call(at, call.step)));
            }
        }
        due.sort_by_key(|(until, _)| std::cmp::Reverse(*until));
        (due, until)
    }

    fn go_on(&self, place: &Place, due: &[(usize, Next)], until: usize, open: &mut Vec<Place>) {
        // What need not have been done is tried last.
        for (at, (asked, request)) in self.silent.iter().enumerate() {
            if *asked > until {
                break;
            }
            if place.silent.contains(&at) {
                continue;
            }
            for register in place.register.after_silence(*request) {
                let mut next = Place { register, ..place.clone() };
                next.silent.insert(at);
                open.push(next);
            }
        }
        for (_, next) in due {
            let step = match next {
                Next::Told(step) | Next::Call(_, step) => *step,
            };
            for register in place.register.after(step, self.inside) {
                let mut after = Place { register, ..place.clone() };
                match next {
                    Next::Told(_) => after.told += 1,
                    Next::Call(at, _) => {
                        after.beyond.insert(*at);
                        while after.beyond.remove(&after.before) {
                            after.before += 1;
                        }
                    }
                }
                open.push(after);
            }
        }
    }
}

/// What may come next.
#[derive(Debug, Clone, Copy)]
enum Next {
    Told(Step),
    Call(usize, Step),
}
