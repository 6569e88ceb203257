//! A budget: what it shall be and how it stands.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::budget::amount::{Amount, Figure, Measure};
use crate::budget::line::{Level, Line};
use crate::budget::spec::{BudgetSpec, Enforcement};
use crate::budget::tally::{Booking, Tally};
use crate::budget::window::Window;
use crate::name::Name;
use crate::time::{Timestamp, Utc};

/// How many alerts a budget remembers; the oldest are dropped first.
const ALERTS_KEPT: usize = 32;

/// A raise of all limits for a while.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Raise {
    /// By how much, in percent of each limit.
    pub percent: u32,
    /// Until when.
    pub until: Timestamp,
    /// Why, for a person.
    pub reason: Arc<str>,
}

/// What was told of a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertKind {
    /// Its warning level was reached.
    Warned,
    /// It is used up.
    Exhausted,
    /// There is room again.
    Reopened,
}

/// One thing that was told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// When.
    pub at: Timestamp,
    /// What.
    pub kind: AlertKind,
    /// Of which limit: what it counts,
    pub measure: Measure,
    /// and in which time.
    pub window: Window,
    /// What was spent then.
    pub spent: u64,
    /// The limit then, with a raise.
    pub most: u64,
}

/// Why a budget does not cover what is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Short {
    /// Which budget.
    pub budget: Name,
    /// What is short.
    pub measure: Measure,
    /// In which time.
    pub window: Window,
    /// The limit, with a raise.
    pub most: u64,
    /// What is spent or reserved of it.
    pub used: u64,
    /// What is asked for.
    pub asks: u64,
    /// When something of it comes free by itself.
    pub turns_at: Option<Timestamp>,
}

impl Short {
    /// Tells whether more is asked for than there would be with nothing spent.
    pub const fn is_beyond(&self) -> bool {
        self.asks > self.most
    }
}

impl std::fmt::Display for Short {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let figure = |figure| Figure(self.measure, figure);
        if self.is_beyond() {
            return write!(
                f,
                "budget {} has {} in all in its window ({}), and {} are asked for",
                self.budget,
                figure(self.most),
                self.window,
                figure(self.asks)
            );
        }
        write!(
            f,
            "budget {} has {} of {} left in its window ({}), and {} are asked for",
            self.budget,
            figure(self.most.saturating_sub(self.used)),
            figure(self.most),
            self.window,
            figure(self.asks)
        )?;
        match self.turns_at {
            Some(at) => write!(f, "; it turns at {}", Utc(at)),
            None => Ok(()),
        }
    }
}

/// A budget.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budget {
    /// What it shall be.
    pub spec: Arc<BudgetSpec>,
    /// Its limits with what was spent, in the order of the spec.
    pub lines: Vec<Line>,
    /// A raise in force.
    pub raise: Option<Raise>,
    /// The last things told, oldest first.
    pub alerts: Vec<Alert>,
    /// When it was first put.
    pub created_at: Timestamp,
    /// Whether an agent was given nothing for it, and nothing came free since.
    pub withholds: bool,
    /// When more of those that wait for it are let go, if there is room for more than were let go.
    pub again: Option<Timestamp>,
}

impl Budget {
    /// Makes one with nothing spent. Lines get their numbers from `next`.
    pub fn new(spec: Arc<BudgetSpec>, now: Timestamp, next: &mut u64) -> Self {
        let mut budget = Self {
            lines: Vec::new(),
            raise: None,
            alerts: Vec::new(),
            created_at: now,
            withholds: false,
            again: None,
            spec: spec.clone(),
        };
        budget.change(spec, next);
        budget
    }

    /// Makes it what another spec says. A limit of the same measure and window goes on with what was spent of it.
    pub fn change(&mut self, spec: Arc<BudgetSpec>, next: &mut u64) {
        let mut before = std::mem::take(&mut self.lines);
        self.lines = spec
            .limits
            .iter()
            .map(|limit| {
                let same = |line: &Line| {
                    (line.limit.measure, line.limit.window) == (limit.measure, limit.window)
                        && self.spec.scope == spec.scope
                };
                match before.iter().position(same) {
                    Some(place) => Line { limit: *limit, ..before.swap_remove(place) },
                    None => {
                        *next += 1;
                        Line::new(*next, *limit, Tally::default())
                    }
                }
            })
            .collect();
        self.spec = spec;
    }

    /// Tells whether it holds anything back.
    pub fn is_hard(&self) -> bool {
        self.spec.enforcement == Enforcement::Hard
    }

    /// Returns a limit as it is at a time, with the raise.
    pub fn most(&self, line: &Line, now: Timestamp) -> u64 {
        let percent = self.raise.as_ref().filter(|raise| raise.until > now).map_or(0, |raise| raise.percent);
        let more = u128::from(line.limit.most) * u128::from(percent) / 100;
        line.limit.most.saturating_add(u64::try_from(more).unwrap_or(u64::MAX))
    }

    /// Tells what is short if `asked` were reserved; a soft budget is never short.
    ///
    /// # Errors
    /// With the first limit that would be passed.
    pub fn covers(&self, asked: &Amount, now: Timestamp) -> Result<(), Short> {
        if !self.is_hard() {
            return Ok(());
        }
        for line in &self.lines {
            let short = self.short(line, asked, now);
            // Who asks for nothing of a measure is not held up by it before it is used up.
            let fits = match short.asks {
                0 => short.used < short.most || short.most == 0,
                asks => short.used.saturating_add(asks) <= short.most,
            };
            if !fits {
                return Err(short);
            }
        }
        Ok(())
    }

    /// Tells what is short even if nothing at all were spent.
    pub fn beyond(&self, asked: &Amount, now: Timestamp) -> Option<Short> {
        let mut lines = self.lines.iter().filter(|_| self.is_hard());
        lines.find_map(|line| Some(self.short(line, asked, now)).filter(Short::is_beyond))
    }

    fn short(&self, line: &Line, asked: &Amount, now: Timestamp) -> Short {
        let measure = line.limit.measure;
        Short {
            budget: self.spec.name.clone(),
            measure,
            window: line.limit.window,
            most: self.most(line, now),
            used: line.sums(now).used(),
            asks: asked.of(measure),
            turns_at: line.turns_at(now),
        }
    }

    /// Reserves an estimate in each of its limits.
    pub fn reserve(&mut self, asked: &Amount, now: Timestamp) -> impl Iterator<Item = (u64, Booking)> {
        self.lines.iter_mut().map(move |line| {
            let Line { number, limit, tally, .. } = line;
            tally.turn(limit.window, now);
            (*number, tally.reserve(limit.window, now, asked.of(limit.measure)))
        })
    }

    /// Raises what is booked with one of its limits, if it has it still, and tells whether the attempt may not go on: it
    /// used more than it was booked with, and the limit is passed.
    pub fn raise(&mut self, number: u64, booking: &mut Booking, used: &Amount, now: Timestamp) -> bool {
        let before = booking.total();
        let Some((line, most)) = self.line(number, now) else { return false };
        line.tally.raise(line.limit.window, now, booking, used.of(line.limit.measure), most);
        booking.total() > before && most.is_some_and(|most| line.sums(now).used() > most)
    }

    /// Settles what is booked with one of its limits, if it has it still.
    pub fn settle(&mut self, number: u64, booking: Booking, used: &Amount, now: Timestamp) {
        let Some((line, most)) = self.line(number, now) else { return };
        line.tally.settle(line.limit.window, now, booking, used.of(line.limit.measure), most);
    }

    /// Counts what was used without a reservation.
    pub fn record(&mut self, used: &Amount, now: Timestamp) {
        let numbers: Vec<u64> = self.lines.iter().map(|line| line.number).collect();
        for number in numbers {
            let Some((line, most)) = self.line(number, now) else { continue };
            line.tally.turn(line.limit.window, now);
            line.tally.record(line.limit.window, now, used.of(line.limit.measure), most);
        }
    }

    /// Tells whether one of its hard limits is passed.
    pub fn is_passed(&self, now: Timestamp) -> bool {
        self.is_hard() && self.lines.iter().any(|line| line.sums(now).used() > self.most(line, now))
    }

    /// Forgets what was spent in the windows that are open.
    pub fn reset(&mut self) {
        for line in &mut self.lines {
            line.tally.reset();
        }
    }

    /// Drops what does not count any more and tells what has changed since this was asked last: once for each limit and
    /// window.
    pub fn look(&mut self, now: Timestamp) -> Vec<Alert> {
        if self.raise.as_ref().is_some_and(|raise| raise.until <= now) {
            self.raise = None;
        }
        let mut told = Vec::new();
        for place in 0..self.lines.len() {
            let line = &mut self.lines[place];
            line.tally.turn(line.limit.window, now);
            let most = self.most(&self.lines[place], now);
            let line = &mut self.lines[place];
            let level = line.level(most, self.spec.warn_percent, now);
            let kind = match level {
                Level::Exhausted if !line.exhausted => Some(AlertKind::Exhausted),
                Level::Warned if !line.warned && !line.exhausted => Some(AlertKind::Warned),
                Level::Below | Level::Warned if line.exhausted => Some(AlertKind::Reopened),
                _ => None,
            };
            line.exhausted = level == Level::Exhausted;
            line.warned = level >= Level::Warned;
            told.extend(kind.map(|kind| Alert {
                at: now,
                kind,
                measure: line.limit.measure,
                window: line.limit.window,
                spent: line.sums(now).spent(),
                most,
            }));
        }
        self.alerts.extend(told.iter().cloned());
        let surplus = self.alerts.len().saturating_sub(ALERTS_KEPT);
        self.alerts.drain(..surplus);
        told
    }

    /// Tells whether one of its limits is used up.
    pub fn is_exhausted(&self) -> bool {
        self.lines.iter().any(|line| line.exhausted)
    }

    /// Returns when something of it comes free by itself, or a raise ends.
    pub fn turns_at(&self, now: Timestamp) -> Option<Timestamp> {
        let raise = self.raise.as_ref().map(|raise| raise.until);
        self.lines.iter().filter_map(|line| line.turns_at(now)).chain(raise).min()
    }

    /// Returns a line, and where overrun begins: nowhere when the budget is soft.
    fn line(&mut self, number: u64, now: Timestamp) -> Option<(&mut Line, Option<u64>)> {
        let place = self.lines.iter().position(|line| line.number == number)?;
        let most = self.is_hard().then(|| self.most(&self.lines[place], now));
        Some((&mut self.lines[place], most))
    }
}
