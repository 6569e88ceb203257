//! What a fleet file says of simulated agents, and what is assumed where it says nothing.
//!
//! Asked for an entry and the pool whose agent works on it: the entry's section goes before the pool's, that before
//! the default's, field by field, and an assumption stands behind all. Nothing here is used by a run.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use synod_domain::name::Name;
use synod_domain::task::Usage;

use super::file::{BehaviourShape, DurationShape, Period, SpreadForm};
use super::read::Fleet;

/// How long attempts are assumed to work when nobody says it: as agents that call a model do.
const DURATION_ASSUMED: Length =
    Length::Between { min: Duration::from_secs(60), max: Duration::from_secs(5 * 60) };

/// How many of ten thousand attempts are assumed to fail.
const FAILURES_ASSUMED: u32 = 200;

/// How many parts of ten thousand a percent has.
const PARTS_PER_PERCENT: f64 = 100.0;

/// How many millionths a dollar has.
const MICROS_PER_DOLLAR: f64 = 1_000_000.0;

/// How long attempts work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Length {
    /// All as long.
    Fixed(Duration),
    /// Any length between two, each as likely.
    Between {
        /// The shortest.
        min: Duration,
        /// The longest.
        max: Duration,
    },
    /// Lognormal.
    Lognormal {
        /// Half of them are at most so long.
        p50: Duration,
        /// Nine tenths are at most so long.
        p90: Duration,
    },
}

/// How the agents of a pool behave with the tasks of an entry. Shares are parts of ten thousand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Behaviour {
    /// How long an attempt works.
    pub duration: Length,
    /// How many attempts fail.
    pub failures: u32,
    /// How many never end by themselves.
    pub hangs: u32,
    /// How many answer much too late and do not stop.
    pub late: u32,
    /// How many results are given twice.
    pub twice: u32,
    /// What an attempt uses.
    pub usage: Usage,
    /// What a completed task gives back.
    pub result: Value,
    /// Whether the file says how long attempts work.
    pub duration_is_said: bool,
    /// Whether the file says how many fail.
    pub failures_are_said: bool,
}

/// What a fleet file says of simulated agents.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Simulation {
    default: Said,
    pools: BTreeMap<Name, Said>,
    tasks: BTreeMap<Name, Said>,
}

/// What is said in one place.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Said {
    duration: Option<Length>,
    failures: Option<u32>,
    hangs: Option<u32>,
    late: Option<u32>,
    twice: Option<u32>,
    usage: Option<Usage>,
    result: Option<Value>,
    agents: Option<u32>,
}

impl Fleet {
    /// Returns what the file says of simulated agents.
    pub fn simulation(&self) -> Simulation {
        let Some(shape) = &self.shape.simulation else { return Simulation::default() };
        let all = |some: &BTreeMap<Name, BehaviourShape>| {
            some.iter().map(|(name, behaviour)| (name.clone(), said(behaviour))).collect()
        };
        Simulation {
            default: shape.default.as_ref().map(said).unwrap_or_default(),
            pools: all(&shape.pools),
            tasks: all(&shape.tasks),
        }
    }
}

impl Simulation {
    /// Returns how an agent of a pool behaves with a task of an entry.
    pub fn behaviour(&self, entry: &Name, pool: &Name) -> Behaviour {
        let places = [self.tasks.get(entry), self.pools.get(pool), Some(&self.default)];
        let places: Vec<&Said> = places.into_iter().flatten().collect();
        let share = |of: fn(&Said) -> Option<u32>| places.iter().find_map(|said| of(said));
        let duration = places.iter().find_map(|said| said.duration);
        let failures = share(|said| said.failures);
        Behaviour {
            duration: duration.unwrap_or(DURATION_ASSUMED),
            failures: failures.unwrap_or(FAILURES_ASSUMED),
            hangs: share(|said| said.hangs).unwrap_or(0),
            late: share(|said| said.late).unwrap_or(0),
            twice: share(|said| said.twice).unwrap_or(0),
            usage: places.iter().find_map(|said| said.usage.clone()).unwrap_or_default(),
            result: places
                .iter()
                .find_map(|said| said.result.clone())
                .unwrap_or_else(|| Value::Object(Map::new())),
            duration_is_said: duration.is_some(),
            failures_are_said: failures.is_some(),
        }
    }

    /// Returns how many agents of an external pool there are; nothing when the file does not say it.
    pub fn agents(&self, pool: &Name) -> Option<u32> {
        self.pools.get(pool).and_then(|said| said.agents).or(self.default.agents)
    }
}

impl Length {
    /// Returns the length that half of them do not exceed.
    pub fn median(self) -> Duration {
        match self {
            Self::Fixed(length) | Self::Lognormal { p50: length, .. } => length,
            Self::Between { min, max } => min + (max - min) / 2,
        }
    }
}

impl std::fmt::Display for Length {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match *self {
            Self::Fixed(length) => Period(length).fmt(f),
            Self::Between { min, max } => write!(f, "{} to {}", Period(min), Period(max)),
            Self::Lognormal { p50, p90 } => write!(f, "p50 {}, p90 {}", Period(p50), Period(p90)),
        }
    }
}

/// The checks have shown that everything is within its bounds.
fn said(shape: &BehaviourShape) -> Said {
    let share = |percent: Option<f64>| percent.map(|percent| parts(percent, PARTS_PER_PERCENT));
    Said {
        duration: shape.duration.and_then(length),
        failures: share(shape.failure_percent).map(short),
        hangs: share(shape.hang_percent).map(short),
        late: share(shape.late_percent).map(short),
        twice: share(shape.twice_percent).map(short),
        usage: shape.usage.as_ref().map(|usage| Usage {
            tokens_in: usage.tokens_in,
            tokens_out: usage.tokens_out,
            cost_microusd: parts(usage.cost_usd, MICROS_PER_DOLLAR),
        }),
        result: shape.result.clone(),
        agents: shape.agents,
    }
}

fn length(shape: DurationShape) -> Option<Length> {
    match shape {
        DurationShape::Fixed(Period(length)) => Some(Length::Fixed(length)),
        DurationShape::Spread(SpreadForm { min: Some(min), max: Some(max), .. }) => {
            Some(Length::Between { min: min.0, max: max.0 })
        }
        DurationShape::Spread(SpreadForm { p50: Some(p50), p90: Some(p90), .. }) => {
            Some(Length::Lognormal { p50: p50.0, p90: p90.0 })
        }
        DurationShape::Spread(_) => None,
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "from 0 to a trillion by the checks"
)]
fn parts(number: f64, of_one: f64) -> u64 {
    (number * of_one).round().max(0.0) as u64
}

fn short(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "
name: f
pools:
  w: {command: [cat]}
  x: {runtime: external}
tasks:
  - {name: one, pool: w}
  - {name: two, pool: w}
simulation:
  default: {failure_percent: 0.5, agents: 3}
  pools:
    w: {duration: 30s, usage: {tokens_in: 10, cost_usd: 0.25}}
  tasks:
    two: {duration: {p50: 1s, p90: 4s}, result: {n: 1}}
";

    fn name(text: &str) -> Name {
        Name::new(text).unwrap()
    }

    #[test]
    fn what_is_said_of_an_entry_goes_before_what_is_said_of_its_pool() {
        let simulation = Fleet::parse("f.yaml", TEXT).unwrap().simulation();
        let one = simulation.behaviour(&name("one"), &name("w"));
        let two = simulation.behaviour(&name("two"), &name("w"));
        assert_eq!(one.duration, Length::Fixed(Duration::from_secs(30)));
        assert_eq!(
            two.duration,
            Length::Lognormal { p50: Duration::from_secs(1), p90: Duration::from_secs(4) }
        );
        assert_eq!((one.failures, two.failures), (50, 50));
        assert_eq!((one.usage.tokens_in, two.usage.cost_microusd), (10, 250_000));
        assert_eq!(two.result, serde_json::json!({"n": 1}));
        assert_eq!(simulation.agents(&name("x")), Some(3));
    }

    #[test]
    fn what_nobody_says_is_assumed_and_known_to_be() {
        let text = TEXT.split_once("simulation:").unwrap().0;
        let simulation = Fleet::parse("f.yaml", text).unwrap().simulation();
        let one = simulation.behaviour(&name("one"), &name("w"));
        assert_eq!((one.duration, one.failures), (DURATION_ASSUMED, FAILURES_ASSUMED));
        assert!(!one.duration_is_said && !one.failures_are_said);
        assert_eq!(simulation.agents(&name("x")), None);
    }
}
