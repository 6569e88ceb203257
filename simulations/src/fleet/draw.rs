//! What one attempt of a simulated agent does, drawn from what the fleet file says.
//!
//! Drawn from the entry, the item and the attempt alone, so that the same work takes as long in two worlds of a seed,
//! whoever does it and when: what differs between them is then due to what was done to them.

use std::time::Duration;

use synod::fleet::{Behaviour, Length};

use crate::chance::Stream;
use crate::script::Act;

/// Parts of a whole, as shares are given.
const PARTS: u64 = 10_000;

/// How many times as long a late attempt works.
const LATE_TIMES: u32 = 3;

/// How many standard deviations from the middle nine tenths of a normal distribution end.
const NINE_TENTHS: f64 = 1.281_551_565_5;

/// How many uniform numbers make a normal one: the sum of twelve has a variance of one.
const SUMMANDS: u32 = 12;

/// What an attempt does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Doing {
    pub(super) act: Act,
    pub(super) length: Duration,
    /// Whether it does not hear that it must stop.
    pub(super) late: bool,
    /// Whether it says its result twice, where it says it itself.
    pub(super) twice: bool,
}

/// Draws what an attempt does.
pub(super) fn draw(behaviour: &Behaviour, stream: &mut Stream) -> Doing {
    let length = length(behaviour.duration, stream);
    let lot = stream.between(0, PARTS - 1);
    let twice = stream.between(0, PARTS - 1) < u64::from(behaviour.twice);
    let failures = u64::from(behaviour.failures);
    let hangs = failures + u64::from(behaviour.hangs);
    let late = hangs + u64::from(behaviour.late);
    match lot {
        lot if lot < failures => Doing { act: Act::Fail, length, late: false, twice: false },
        lot if lot < hangs => Doing { act: Act::Hang, length, late: false, twice: false },
        lot if lot < late => Doing { act: Act::Succeed, length: length * LATE_TIMES, late: true, twice },
        _ => Doing { act: Act::Succeed, length, late: false, twice },
    }
}

/// Draws how long an attempt works, in whole milliseconds.
pub(super) fn length(length: Length, stream: &mut Stream) -> Duration {
    match length {
        Length::Fixed(length) => length,
        Length::Between { min, max } => stream.millis(millis(min), millis(max)),
        Length::Lognormal { p50, p90 } => {
            let sigma = (p90.as_secs_f64() / p50.as_secs_f64()).ln() / NINE_TENTHS;
            let seconds = p50.as_secs_f64() * (sigma * normal(stream)).exp();
            Duration::try_from_secs_f64(seconds).map_or(p90, |length| Duration::from_millis(millis(length)))
        }
    }
}

/// Draws from about the standard normal distribution, without functions that differ between machines.
fn normal(stream: &mut Stream) -> f64 {
    let uniform = |stream: &mut Stream| {
        let number = u32::try_from(stream.draw() >> 32).unwrap_or(0);
        f64::from(number) / f64::from(u32::MAX)
    };
    (0..SUMMANDS).map(|_| uniform(stream)).sum::<f64>() - f64::from(SUMMANDS) / 2.0
}

/// Returns whole milliseconds.
pub(super) fn millis(length: Duration) -> u64 {
    u64::try_from(length.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use synod::node::domain::task::Usage;

    use crate::chance::Streams;

    use super::*;

    fn behaviour(duration: Length) -> Behaviour {
        Behaviour {
            duration,
            failures: 2_000,
            hangs: 1_000,
            late: 500,
            twice: 0,
            usage: Usage::default(),
            result: serde_json::Value::Null,
            duration_is_said: true,
            failures_are_said: true,
        }
    }

    #[test]
    fn lengths_have_the_quantiles_that_were_asked_for() {
        let (p50, p90) = (Duration::from_secs(10), Duration::from_secs(40));
        let mut stream = Streams::new(1).open("test");
        let mut lengths: Vec<Duration> =
            (0..10_000).map(|_| length(Length::Lognormal { p50, p90 }, &mut stream)).collect();
        lengths.sort_unstable();
        let near = |length: Duration, wanted: Duration| {
            let ratio = length.as_secs_f64() / wanted.as_secs_f64();
            (0.9..1.1).contains(&ratio)
        };
        assert!(near(lengths[5_000], p50), "{:?}", lengths[5_000]);
        assert!(near(lengths[9_000], p90), "{:?}", lengths[9_000]);
    }

    #[test]
    fn shares_are_those_that_were_asked_for() {
        let behaviour = behaviour(Length::Fixed(Duration::from_secs(1)));
        let mut stream = Streams::new(2).open("test");
        let drawn: Vec<Doing> = (0..10_000).map(|_| draw(&behaviour, &mut stream)).collect();
        let count = |is: fn(&Doing) -> bool| drawn.iter().filter(|doing| is(doing)).count();
        assert!((1_800..2_200).contains(&count(|doing| doing.act == Act::Fail)));
        assert!((850..1_150).contains(&count(|doing| doing.act == Act::Hang)));
        assert!((400..600).contains(&count(|doing| doing.late)));
    }
}
