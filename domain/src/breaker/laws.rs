//! What a breaker does in every history.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::{Breaker, BreakerSpec, Circuit, Guarded, Input, Try, Turn};
use crate::id::TaskId;
use crate::name::Name;
use crate::time::Timestamp;

fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn one(number: u128) -> Try {
    Try { task: TaskId::from_raw(number), attempt: 1 }
}

fn failed(number: u128) -> Input {
    Input::Failed(one(number), "no route to host".into())
}

fn spec() -> BreakerSpec {
    BreakerSpec {
        failures: 3,
        rate_percent: 50,
        window: 8,
        at_least: 6,
        open_for: Duration::from_millis(100),
        open_max: Duration::from_millis(350),
        probes: 2,
        ..BreakerSpec::of(Guarded::Pool(Name::default()))
    }
}

fn opened() -> Breaker {
    let mut breaker = Breaker::new(spec());
    for number in 0..3 {
        breaker.take(&failed(number), at(1000));
    }
    breaker
}

#[test]
fn it_opens_at_failures_in_a_row_and_says_why() {
    let breaker = opened();
    let Circuit::Open { until, cause, .. } = &breaker.circuit else { panic!("it is not open") };
    assert_eq!((*until, &**cause), (at(1100), "3 failures in a row, the last: no route to host"));
    assert!(!breaker.admits());
}

#[test]
fn it_opens_at_a_rate_of_failures_among_enough_attempts() {
    let mut breaker = Breaker::new(spec());
    let mut turns = Vec::new();
    for number in 0..6 {
        let input = if number % 2 == 0 { Input::Succeeded(one(number)) } else { failed(number) };
        turns.push(breaker.take(&input, at(1000)));
    }
    assert_eq!(turns, [None, None, None, None, None, Some(Turn::Opened)]);
}

#[test]
fn a_success_between_begins_the_row_anew() {
    let mut breaker = Breaker::new(BreakerSpec { rate_percent: 0, ..spec() });
    for number in 0..20 {
        breaker.take(&failed(number), at(1));
        breaker.take(&failed(number), at(1));
        assert_eq!(breaker.take(&Input::Succeeded(one(number)), at(1)), None);
    }
    assert_eq!((breaker.failed, breaker.succeeded), (40, 20));
}

#[test]
fn it_lets_probes_through_and_closes_when_all_of_them_succeed() {
    let mut breaker = opened();
    assert_eq!(breaker.take(&Input::Elapsed, at(1099)), None);
    assert_eq!(breaker.take(&Input::Elapsed, at(1100)), Some(Turn::HalfOpened));
    breaker.take(&Input::Granted(one(10)), at(1101));
    breaker.take(&Input::Granted(one(11)), at(1101));
    assert!(!breaker.admits());
    assert_eq!(breaker.take(&Input::Succeeded(one(10)), at(1102)), None);
    assert!(!breaker.admits(), "one has succeeded and one is on its way: two are enough");
    // Its agent was lost, so another takes its place.
    breaker.take(&Input::Gone(one(11)), at(1103));
    assert!(breaker.admits());
    breaker.take(&Input::Granted(one(12)), at(1104));
    assert_eq!(breaker.take(&Input::Succeeded(one(12)), at(1105)), Some(Turn::Closed));
    assert_eq!(breaker.circuit, Circuit::default());
}

#[test]
fn a_failed_probe_opens_it_again_and_for_longer_up_to_the_most() {
    let mut breaker = opened();
    let mut now = 1100;
    let mut waits = Vec::new();
    for number in 0..4 {
        breaker.take(&Input::Elapsed, at(now));
        breaker.take(&Input::Granted(one(number)), at(now));
        assert_eq!(breaker.take(&failed(number), at(now)), Some(Turn::Opened));
        let until = breaker.circuit.due().expect("a time").as_millis();
        waits.push(until - now);
        now = until;
    }
    assert_eq!(waits, [200, 350, 350, 350]);
}

#[test]
fn what_began_before_it_opened_neither_closes_nor_opens_it() {
    let mut breaker = opened();
    assert_eq!(breaker.take(&Input::Succeeded(one(90)), at(1050)), None);
    breaker.take(&Input::Elapsed, at(1100));
    for _ in 0..5 {
        assert_eq!(breaker.take(&Input::Succeeded(one(91)), at(1101)), None);
        assert_eq!(breaker.take(&failed(92), at(1101)), None);
    }
    assert_eq!(breaker.circuit.word(), "half_open");
}

#[test]
fn it_is_tripped_and_reset_by_hand() {
    let mut breaker = Breaker::new(spec());
    let trip = Input::Tripped { until: Timestamp::NEVER, reason: "the vendor is down".into() };
    assert_eq!(breaker.take(&trip, at(5)), Some(Turn::Opened));
    assert_eq!(breaker.circuit.due(), None);
    assert_eq!(breaker.take(&Input::Elapsed, at(u64::MAX - 1)), None);
    assert_eq!(breaker.take(&Input::Reset, at(6)), Some(Turn::Closed));
    assert_eq!(breaker.take(&Input::Reset, at(6)), None);
}

#[test]
fn settings_that_make_no_sense_are_refused_by_field() {
    let wrong = [
        BreakerSpec { failures: 0, rate_percent: 0, ..spec() },
        BreakerSpec { rate_percent: 101, ..spec() },
        BreakerSpec { window: 129, ..spec() },
        BreakerSpec { at_least: 9, ..spec() },
        BreakerSpec { probes: 0, ..spec() },
        BreakerSpec { open_for: Duration::from_secs(1), ..spec() },
    ];
    let fields = ["failures", "rate_percent", "window", "at_least", "probes", "open_for"];
    for (spec, expected) in wrong.iter().zip(fields) {
        match spec.check() {
            Err(crate::refusal::Refusal::Invalid { field, .. }) => assert_eq!(field, expected),
            other => panic!("{expected}: {other:?}"),
        }
    }
    assert_eq!(spec().check(), Ok(()));
    assert_eq!(BreakerSpec::of(Guarded::Pool(Name::default())).check(), Ok(()));
}

#[test]
fn what_has_a_breaker_is_read_back_from_its_text() {
    let name = Name::new("a/b").expect("a name");
    for of in [Guarded::Pool(name.clone()), Guarded::Kind(name)] {
        assert_eq!(of.path().parse(), Ok(of));
    }
    assert!("mailbox/open".parse::<Guarded>().is_err() && "pool/".parse::<Guarded>().is_err());
}

/// Attempts begin only where the breaker admits them, and end in some way, some of them late.
fn inputs() -> impl Strategy<Value = Vec<(u8, u8, u64)>> {
    prop::collection::vec((0_u8..12, any::<u8>(), 0_u64..200), 1..200)
}

proptest! {
    #[test]
    fn at_most_its_probes_are_on_their_way_and_it_never_stays_open_for_longer_than_the_most(draws in inputs()) {
        let spec = spec();
        let mut breaker = Breaker::new(spec.clone());
        let mut running: Vec<Try> = Vec::new();
        let (mut now, mut next) = (1000, 0);
        for (what, which, step) in draws {
            now += step;
            let ended = (!running.is_empty()).then(|| usize::from(which) % running.len().max(1));
            let input = match (what, ended) {
                (0..4, _) if breaker.admits() => {
                    next += 1;
                    running.push(one(next));
                    Input::Granted(one(next))
                }
                (4..6, Some(place)) => Input::Succeeded(running.swap_remove(place)),
                (6..9, Some(place)) => Input::Failed(running.swap_remove(place), Arc::from("x")),
                (9, Some(place)) => Input::Gone(running.swap_remove(place)),
                _ => Input::Elapsed,
            };
            breaker.take(&input, at(now));
            match &breaker.circuit {
                Circuit::HalfOpen { probes, succeeded, .. } => {
                    prop_assert!(probes.len() + *succeeded as usize <= spec.probes as usize);
                    prop_assert!(*succeeded < spec.probes);
                    prop_assert!(probes.iter().all(|probe| running.contains(probe)));
                }
                Circuit::Open { since, until, .. } => {
                    prop_assert!(until.since(*since) <= spec.open_max && until > since);
                }
                Circuit::Closed { in_a_row, last } => {
                    prop_assert!(*in_a_row < spec.failures && last.len() <= spec.window);
                    prop_assert!(!last.reaches(spec.rate_percent, spec.at_least) || *in_a_row == 0);
                }
            }
        }
        // From wherever it stands, time and work that succeeds close it.
        now += 10_000;
        breaker.take(&Input::Elapsed, at(now));
        for task in running {
            breaker.take(&Input::Gone(task), at(now));
        }
        for number in 0..u128::from(spec.probes) {
            prop_assert!(breaker.admits());
            breaker.take(&Input::Granted(one(1_000_000 + number)), at(now));
            breaker.take(&Input::Succeeded(one(1_000_000 + number)), at(now));
        }
        prop_assert_eq!(breaker.circuit.word(), "closed");
    }
}
