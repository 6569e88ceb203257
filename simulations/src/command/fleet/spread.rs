//! What many seeds of one fleet come to.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::Serialize;
use synod::fleet::Plan;
use synod_simulations::fleet::{Answer, Verdict, amount, quantile, span};

use super::super::exit;

/// What the seeds come to.
#[derive(Debug, Serialize)]
pub(super) struct Spread {
    fleet: String,
    tasks: usize,
    seeds: usize,
    /// How many seeds ended how.
    verdicts: BTreeMap<Verdict, usize>,
    duration_ms: Quantiles,
    cost_microusd: Quantiles,
    retries: Quantiles,
    dead_letters: Quantiles,
    /// How long it takes when a node dies.
    with_death_ms: Quantiles,
    /// How many attempts are made again then.
    done_again: Quantiles,
    /// How often what was the bottleneck.
    bottlenecks: BTreeMap<String, usize>,
    /// What was assumed, for people.
    assumed: Vec<String>,
    /// Seeds at which a judge objected or a process died, and why.
    broken: BTreeMap<u64, String>,
    #[serde(skip)]
    values: BTreeMap<u64, [u64; 6]>,
    #[serde(skip)]
    refused: bool,
}

/// How a number is spread.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
struct Quantiles {
    min: u64,
    p50: u64,
    p90: u64,
    max: u64,
}

impl Quantiles {
    fn of(mut values: Vec<u64>) -> Self {
        values.sort_unstable();
        let [min, p50, p90, max] = [0, 50, 90, 100].map(|percent| quantile(&values, percent));
        Self { min, p50, p90, max }
    }
}

impl Spread {
    pub(super) fn new(plan: &Plan) -> Self {
        Self {
            fleet: plan.name.to_string(),
            tasks: plan.task_count(),
            seeds: 0,
            verdicts: BTreeMap::new(),
            duration_ms: Quantiles::default(),
            cost_microusd: Quantiles::default(),
            retries: Quantiles::default(),
            dead_letters: Quantiles::default(),
            with_death_ms: Quantiles::default(),
            done_again: Quantiles::default(),
            bottlenecks: BTreeMap::new(),
            assumed: Vec::new(),
            broken: BTreeMap::new(),
            values: BTreeMap::new(),
            refused: false,
        }
    }

    /// Adds a seed. In which order they come changes nothing.
    pub(super) fn add(&mut self, seed: u64, answer: Result<Answer, String>) {
        self.seeds += 1;
        let answer = match answer {
            Ok(answer) => answer,
            Err(died) => {
                self.broken.insert(seed, died);
                return;
            }
        };
        *self.verdicts.entry(answer.verdict).or_default() += 1;
        self.refused |= answer.verdict == Verdict::Refused;
        let death = answer.death.as_ref();
        let of_death = death.into_iter().flat_map(|death| &death.broken);
        let broken: Vec<&str> =
            answer.broken.iter().chain(of_death).map(|broken| broken.judge.as_str()).collect();
        if !broken.is_empty() {
            self.broken.insert(seed, broken.join("; "));
        }
        if let Some(bottleneck) = &answer.bottleneck {
            let what = match &bottleneck.pool {
                Some(pool) => format!("pool {pool}"),
                None => format!("{} of {}", bottleneck.kind, bottleneck.entry),
            };
            *self.bottlenecks.entry(what).or_default() += 1;
        }
        let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        self.values.insert(
            seed,
            [
                answer.duration_ms,
                answer.usage.cost_microusd,
                count(answer.retries),
                count(answer.dead_letters.len()),
                death.map_or(answer.duration_ms, |death| death.duration_ms),
                death.map_or(0, |death| count(death.done_again)),
            ],
        );
        self.assumed = answer.assumed;
        let of = |place: usize| Quantiles::of(self.values.values().map(|values| values[place]).collect());
        self.duration_ms = of(0);
        self.cost_microusd = of(1);
        self.retries = of(2);
        self.dead_letters = of(3);
        self.with_death_ms = of(4);
        self.done_again = of(5);
    }

    pub(super) fn code(&self) -> u8 {
        match (self.broken.is_empty(), self.refused) {
            (false, _) => exit::BROKEN,
            (true, true) => exit::USAGE,
            (true, false) => exit::OK,
        }
    }
}

/// How a number of a row is said.
type Say<'a> = &'a dyn Fn(u64) -> String;

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "fleet {}: {} tasks, {} seeds", self.fleet, self.tasks, self.seeds)?;
        for (verdict, count) in &self.verdicts {
            writeln!(f, "  {count:>6}  {verdict}")?;
        }
        writeln!(f, "{:<24} {:>12} {:>12} {:>12} {:>12}", "", "least", "p50", "p90", "most")?;
        let time = |millis: u64| span(Duration::from_millis(millis));
        let rows: [(&str, Quantiles, Say<'_>); 6] = [
            ("takes", self.duration_ms, &time),
            ("takes when a node dies", self.with_death_ms, &time),
            ("costs", self.cost_microusd, &amount),
            ("attempts again", self.retries, &|count| count.to_string()),
            ("again after a death", self.done_again, &|count| count.to_string()),
            ("dead letters", self.dead_letters, &|count| count.to_string()),
        ];
        for (what, Quantiles { min, p50, p90, max }, say) in rows {
            let [min, p50, p90, max] = [min, p50, p90, max].map(say);
            writeln!(f, "{what:<24} {min:>12} {p50:>12} {p90:>12} {max:>12}")?;
        }
        for (what, count) in &self.bottlenecks {
            writeln!(f, "bottleneck at {count} seeds: {what}")?;
        }
        for assumed in &self.assumed {
            writeln!(f, "note: {assumed}")?;
        }
        self.broken.iter().try_for_each(|(seed, why)| writeln!(f, "seed {seed} broken: {why}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_spread_from_its_least_to_its_most() {
        let spread = Quantiles::of(vec![5, 1, 4, 2, 3]);
        assert_eq!(spread, Quantiles { min: 1, p50: 3, p90: 5, max: 5 });
        assert_eq!(Quantiles::of(Vec::new()), Quantiles::default());
    }
}
