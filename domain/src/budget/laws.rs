//! Laws of the ledger: sums are exact, refunds are exact, and hard limits hold.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;

use crate::budget::amount::{Amount, FIGURE_MAX, Measure};
use crate::budget::scope::Scope;
use crate::budget::spec::{BudgetSpec, Enforcement, Limit, WARN_PERCENT};
use crate::budget::tally::Booking;
use crate::budget::window::Window;
use crate::budget::{AlertKind, Budget};
use crate::name::Name;
use crate::time::Timestamp;

const MINUTE: u64 = 60_000;

/// One thing that happens to a budget.
#[derive(Debug, Clone)]
enum Act {
    Reserve(u64),
    Raise(usize, u64),
    Settle(usize, u64),
    Record(u64),
    Pass(u64),
    Reset,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        4 => (0..400_u64).prop_map(Act::Reserve),
        2 => (any::<usize>(), 0..900_u64).prop_map(|(which, to)| Act::Raise(which, to)),
        4 => (any::<usize>(), 0..900_u64).prop_map(|(which, used)| Act::Settle(which, used)),
        1 => (0..500_u64).prop_map(Act::Record),
        2 => (0..4 * MINUTE).prop_map(Act::Pass),
        1 => Just(Act::Reset),
    ];
    prop::collection::vec(act, 1..120)
}

fn windows() -> impl Strategy<Value = Window> {
    prop_oneof![
        Just(Window::Minute),
        Just(Window::Hour),
        Just(Window::Whole),
        Just(Window::Rolling { length_ms: 5 * MINUTE }),
        Just(Window::Opened { length_ms: 3 * MINUTE }),
    ]
}

fn budget(window: Window, most: u64, enforcement: Enforcement) -> Budget {
    let spec = BudgetSpec {
        name: Name::new("b").unwrap(),
        scope: Scope::Global,
        limits: vec![Limit { measure: Measure::Tokens, most, window }],
        enforcement,
        warn_percent: WARN_PERCENT,
        note: None,
    };
    Budget::new(Arc::new(spec), at(0), &mut 0)
}

fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(1_000_000_000 + millis)
}

fn tokens(tokens: u64) -> Amount {
    Amount { tokens, ..Amount::default() }
}

/// A budget, who holds what of it, and what was truly used when.
struct Desk {
    budget: Budget,
    now: u64,
    held: Vec<(u64, Booking)>,
    /// What was used, by the slot it was booked in.
    used: BTreeMap<Timestamp, u64>,
    largest: u64,
}

impl Desk {
    fn new(budget: Budget) -> Self {
        Self { budget, now: 0, held: Vec::new(), used: BTreeMap::new(), largest: 0 }
    }

    fn act(&mut self, act: &Act) {
        let now = at(self.now);
        match *act {
            Act::Reserve(asked) => {
                if self.budget.covers(&tokens(asked), now).is_ok() {
                    let bookings: Vec<_> = self.budget.reserve(&tokens(asked), now).collect();
                    self.held.extend(bookings);
                }
            }
            Act::Raise(which, to) if !self.held.is_empty() => {
                let which = which % self.held.len();
                let (number, booking) = &mut self.held[which];
                let to = to.max(booking.total());
                self.largest = self.largest.max(to);
                self.budget.raise(*number, booking, &tokens(to), now);
            }
            Act::Settle(which, used) if !self.held.is_empty() => {
                let (number, booking) = self.held.swap_remove(which % self.held.len());
                let used = if booking.overrun > 0 { used.max(booking.total()) } else { used };
                self.largest = self.largest.max(used);
                *self.used.entry(booking.slot).or_default() += used;
                self.budget.settle(number, booking, &tokens(used), now);
            }
            Act::Raise(..) | Act::Settle(..) => {}
            Act::Record(used) => {
                self.largest = self.largest.max(used);
                self.budget.look(now);
                let line = &self.budget.lines[0];
                *self.used.entry(line.tally.slot(line.limit.window, now)).or_default() += used;
                self.budget.record(&tokens(used), now);
            }
            Act::Pass(millis) => self.now += millis,
            Act::Reset => {
                self.budget.reset();
                self.used.clear();
            }
        }
        self.budget.look(now);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn settled_and_reserved_never_pass_a_hard_limit_by_more_than_one_report(
        acts in acts(),
        window in windows(),
        most in 0..1500_u64,
    ) {
        let mut desk = Desk::new(budget(window, most, Enforcement::Hard));
        for act in &acts {
            desk.act(act);
            let sums = desk.budget.lines[0].sums(at(desk.now));
            prop_assert!(
                sums.settled + sums.reserved <= most + desk.largest,
                "{sums:?} of {most} after {act:?}, the largest report was {}", desk.largest
            );
        }
    }

    #[test]
    fn what_is_spent_is_the_exact_sum_of_what_was_used_in_the_window(
        acts in acts(),
        window in windows(),
        most in 0..1500_u64,
        hard in any::<bool>(),
    ) {
        let enforcement = if hard { Enforcement::Hard } else { Enforcement::Soft };
        let mut desk = Desk::new(budget(window, most, enforcement));
        for act in acts.iter().filter(|act| !matches!(act, Act::Raise(..) | Act::Reset)) {
            desk.act(act);
            let now = at(desk.now);
            let sums = desk.budget.lines[0].sums(now);
            let counts = |slot: Timestamp| window.ends(slot) > now;
            let used: u64 = desk.used.iter().filter(|(slot, _)| counts(**slot)).map(|(_, used)| used).sum();
            prop_assert_eq!(sums.spent(), used, "after {:?}", act);
            let reserved: u64 = desk.held.iter().filter(|(_, held)| counts(held.slot)).map(|(_, held)| held.reserved).sum();
            prop_assert_eq!(sums.reserved, reserved, "after {:?}", act);
        }
    }

    #[test]
    fn when_nothing_is_held_nothing_is_reserved(acts in acts(), window in windows(), most in 0..1500_u64) {
        let mut desk = Desk::new(budget(window, most, Enforcement::Hard));
        for act in &acts {
            desk.act(act);
        }
        while !desk.held.is_empty() {
            desk.act(&Act::Settle(0, 0));
        }
        prop_assert_eq!(desk.budget.lines[0].sums(at(desk.now)).reserved, 0);
    }

    #[test]
    fn a_rolling_window_lets_no_span_of_its_length_hold_more_than_its_limit(
        steps in prop::collection::vec((0..MINUTE, 1..300_u64), 1..150),
        most in 1..1000_u64,
    ) {
        let length = 5 * MINUTE;
        let mut desk = Desk::new(budget(Window::Rolling { length_ms: length }, most, Enforcement::Hard));
        let mut granted: Vec<(u64, u64)> = Vec::new();
        for (pass, asked) in steps {
            desk.act(&Act::Pass(pass));
            let held = desk.held.len();
            desk.act(&Act::Reserve(asked));
            if desk.held.len() > held {
                granted.push((desk.now, asked));
                let within = granted.iter().filter(|(when, _)| when + length > desk.now);
                prop_assert!(within.map(|(_, asked)| asked).sum::<u64>() <= most);
            }
            prop_assert!(desk.budget.lines[0].tally.slots() <= 62);
        }
    }

    #[test]
    fn an_alert_is_told_once_for_each_window(used in prop::collection::vec((0..30_000_u64, 0..400_u64), 1..100)) {
        let mut desk = Desk::new(budget(Window::Minute, 1000, Enforcement::Soft));
        let mut told = BTreeMap::<(Timestamp, &str), u32>::new();
        for (pass, used) in used {
            desk.now += pass;
            let now = at(desk.now);
            desk.budget.record(&tokens(used), now);
            for alert in desk.budget.look(now) {
                let kind = match alert.kind {
                    AlertKind::Warned => "warned",
                    AlertKind::Exhausted => "exhausted",
                    AlertKind::Reopened => continue,
                };
                let times = told.entry((Window::Minute.slot(now, None), kind)).or_default();
                *times += 1;
                prop_assert_eq!(*times, 1, "{} twice in a window", kind);
            }
        }
    }
}

#[test]
fn the_rest_of_a_reservation_comes_back_to_the_last_token() {
    let mut budget = budget(Window::Hour, 1000, Enforcement::Hard);
    let held: Vec<_> = budget.reserve(&tokens(700), at(0)).collect();
    assert!(budget.covers(&tokens(301), at(1)).is_err());
    assert!(budget.covers(&tokens(300), at(1)).is_ok());
    budget.settle(held[0].0, held[0].1, &tokens(123), at(2));
    assert!(budget.covers(&tokens(877), at(3)).is_ok());
    let short = budget.covers(&tokens(878), at(3)).unwrap_err();
    assert_eq!((short.used, short.asks, short.most), (123, 878, 1000));
}

#[test]
fn a_reservation_counts_in_the_window_in_which_it_was_made_until_it_is_settled() {
    let mut budget = budget(Window::Minute, 100, Enforcement::Hard);
    let start = 20_000; // 40 seconds before the minute turns
    let held: Vec<_> = budget.reserve(&tokens(100), at(start)).collect();
    assert!(budget.covers(&tokens(1), at(start + 1)).is_err());
    assert!(budget.covers(&tokens(100), at(start + MINUTE)).is_ok());
    budget.look(at(start + MINUTE));
    budget.settle(held[0].0, held[0].1, &tokens(100), at(start + MINUTE));
    assert_eq!(budget.lines[0].sums(at(start + MINUTE)).used(), 0);
}

#[test]
fn sums_that_would_pass_64_bits_say_that_they_are_not_exact() {
    let mut budget = budget(Window::Whole, 5, Enforcement::Soft);
    let tally = &mut budget.lines[0].tally;
    tally.record(Window::Whole, at(0), u64::MAX - 1, None);
    assert!(!tally.is_saturated());
    tally.record(Window::Whole, at(0), FIGURE_MAX, None);
    assert!(tally.is_saturated());
    assert_eq!(tally.sums(Window::Whole, at(0)).settled, u64::MAX);
}

#[test]
fn a_raise_holds_until_its_time_and_a_limit_that_stays_goes_on_with_what_was_spent() {
    let mut budget = budget(Window::Hour, 100, Enforcement::Hard);
    budget.record(&tokens(100), at(0));
    assert_eq!(budget.look(at(0)).iter().map(|alert| alert.kind).collect::<Vec<_>>(), [AlertKind::Exhausted]);
    budget.raise = Some(crate::budget::Raise { percent: 50, until: at(1000), reason: "the demo".into() });
    assert_eq!(budget.look(at(1)).iter().map(|alert| alert.kind).collect::<Vec<_>>(), [AlertKind::Reopened]);
    assert!(budget.covers(&tokens(50), at(2)).is_ok());
    assert!(budget.covers(&tokens(50), at(1000)).is_err());
    let spec = BudgetSpec {
        limits: vec![
            Limit { measure: Measure::Tokens, most: 300, window: Window::Hour },
            Limit { measure: Measure::Requests, most: 1, window: Window::Hour },
        ],
        ..(*budget.spec).clone()
    };
    let mut next = 1;
    budget.change(Arc::new(spec), &mut next);
    assert_eq!(budget.lines[0].sums(at(2)).settled, 100);
    assert_eq!((budget.lines[1].number, next), (2, 2));
}

#[test]
fn what_is_used_after_a_reset_counts_though_nothing_was_reserved_for_it() {
    let mut desk = Desk::new(budget(Window::Hour, 1000, Enforcement::Hard));
    for act in [Act::Reserve(0), Act::Reset, Act::Settle(0, 300)] {
        desk.act(&act);
    }
    assert_eq!(desk.budget.lines[0].tally.sums(Window::Hour, at(0)).settled, 300);
}
