//! Checks what is said of simulated agents.

use synod_domain::name::Name;

use super::check::Check;
use super::file::{BehaviourShape, DurationShape, Period, RuntimeKind, SpreadForm};
use super::source::Fault;
use super::suggest;
use super::tree::Place;

/// The most agents of an external pool that are simulated: each is a client of its own.
const AGENTS_MAX: u32 = 1_000;

/// The most that one attempt may cost, in dollars: sums over all attempts of a plan must not overflow.
const COST_USD_MAX: f64 = 1_000_000.0;

/// The most tokens of one attempt, for the same reason.
const TOKENS_MAX: u64 = 1_000_000_000_000;

/// Of whom something is said.
enum Of<'a> {
    All,
    Pool(&'a Name),
    Task,
}

impl Check<'_> {
    pub(super) fn simulation(&mut self) {
        let Some(simulation) = &self.shape.simulation else { return };
        let place = Place::top("simulation");
        if let Some(default) = &simulation.default {
            self.behaviour(&place.key("default"), default, &Of::All);
        }
        for (name, behaviour) in &simulation.pools {
            let at = place.key("pools").key(name.as_str());
            if !self.shape.pools.contains_key(name) {
                let known = self.shape.pools.keys().map(Name::as_str);
                let help = suggest::help(name.as_str(), "pools of this file", known);
                self.key_fault(&at, Fault::new(format!("there is no pool `{name}` to simulate")).help(help));
            }
            self.behaviour(&at, behaviour, &Of::Pool(name));
        }
        for (name, behaviour) in &simulation.tasks {
            let at = place.key("tasks").key(name.as_str());
            if !self.shape.tasks.iter().any(|task| task.name == *name) {
                let known: Vec<&str> = self.shape.tasks.iter().map(|task| task.name.as_str()).collect();
                let help = suggest::help(name.as_str(), "tasks of this file", known.iter().copied());
                self.key_fault(&at, Fault::new(format!("there is no task `{name}` to simulate")).help(help));
            }
            self.behaviour(&at, behaviour, &Of::Task);
        }
    }

    fn behaviour(&mut self, place: &Place, behaviour: &BehaviourShape, of: &Of<'_>) {
        if let Some(duration) = behaviour.duration {
            self.duration(&place.key("duration"), duration);
        }
        let BehaviourShape { failure_percent, hang_percent, late_percent, twice_percent, .. } = behaviour;
        let percents = [
            ("failure_percent", failure_percent),
            ("hang_percent", hang_percent),
            ("late_percent", late_percent),
            ("twice_percent", twice_percent),
        ];
        for (field, percent) in percents {
            if let Some(percent) = percent.filter(|percent| !(0.0..=100.0).contains(percent)) {
                let fault = Fault::new(format!("`{field}` is {percent}; it must be from 0 to 100"));
                self.fault(
                    &place.key(field),
                    fault.help("write how many of a hundred attempts, as in 2 or 0.5"),
                );
            }
        }
        // Each attempt does one of these.
        let bad: f64 = [failure_percent, hang_percent, late_percent].into_iter().flatten().sum();
        if bad > 100.0 {
            let fault =
                Fault::new(format!("failures, hangs and late answers are {bad} of a hundred together"));
            self.fault(
                place,
                fault.help("each attempt does one of them at most; make them at most 100 together"),
            );
        }
        self.external_only(place, behaviour, of);
        if let Some(usage) = &behaviour.usage {
            let at = place.key("usage");
            for (field, tokens) in [("tokens_in", usage.tokens_in), ("tokens_out", usage.tokens_out)] {
                if tokens > TOKENS_MAX {
                    let fault =
                        Fault::new(format!("`{field}` is {tokens}; at most {TOKENS_MAX} are allowed"));
                    self.fault(&at.key(field), fault.help("write the tokens of one attempt"));
                }
            }
            if !(0.0..=COST_USD_MAX).contains(&usage.cost_usd) {
                let cost = usage.cost_usd;
                let fault = Fault::new(format!("`cost_usd` is {cost}; it must be from 0 to {COST_USD_MAX}"));
                self.fault(&at.key("cost_usd"), fault.help("write the cost of one attempt in US dollars"));
            }
        }
    }

    /// Checks that what only agents elsewhere can do is said of those only.
    fn external_only(&mut self, place: &Place, behaviour: &BehaviourShape, of: &Of<'_>) {
        self.between(place, "agents", behaviour.agents, 1, AGENTS_MAX);
        match of {
            Of::All => {}
            Of::Task => {
                if behaviour.agents.is_some() {
                    let fault = Fault::new("`agents` has no meaning for a task: pools have agents");
                    self.key_fault(&place.key("agents"), fault.help("say it in `simulation.pools`"));
                }
            }
            Of::Pool(name) => {
                let kind = self.shape.pools.get(*name).and_then(|pool| pool.kind());
                if kind.is_none() || kind == Some(RuntimeKind::External) {
                    return;
                }
                if behaviour.agents.is_some() {
                    let fault =
                        Fault::new(format!("`agents` has no meaning for `{name}`: its nodes run its agents"));
                    self.key_fault(&place.key("agents"), fault.help("its `size` says how many there are"));
                }
                if behaviour.twice_percent.is_some() {
                    let fault = Fault::new(format!(
                        "`twice_percent` has no meaning for `{name}`: its nodes run its agents and hear each once"
                    ));
                    self.key_fault(&place.key("twice_percent"), fault.help("remove it"));
                }
            }
        }
    }

    fn duration(&mut self, place: &Place, duration: DurationShape) {
        match duration {
            DurationShape::Fixed(_) => {}
            DurationShape::Spread(SpreadForm { min: Some(least), max: Some(most), p50: None, p90: None }) => {
                self.rising(place, ("min", least), ("max", most));
            }
            DurationShape::Spread(SpreadForm { min: None, max: None, p50: Some(half), p90: Some(most) }) => {
                self.rising(place, ("p50", half), ("p90", most));
                if half.0.is_zero() {
                    let fault = Fault::new("`p50` is zero, and then all of a lognormal distribution is");
                    self.fault(&place.key("p50"), fault.help("write a longer time"));
                }
            }
            DurationShape::Spread(_) => {
                let fault =
                    Fault::new("a duration is a length of time, or has `min` and `max`, or `p50` and `p90`");
                self.fault(place, fault.help("write 30s, or {min: 10s, max: 1m}, or {p50: 20s, p90: 1m}"));
            }
        }
    }

    fn rising(&mut self, place: &Place, low: (&str, Period), high: (&str, Period)) {
        if low.1 > high.1 {
            let ((low, least), (high, most)) = (low, high);
            let fault = Fault::new(format!("`{low}` is {least}, which is longer than `{high}`, {most}"));
            self.fault(&place.key(low), fault.help(format!("make `{low}` shorter or `{high}` longer")));
        }
    }
}
