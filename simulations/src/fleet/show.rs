//! The answer for people.

use std::fmt;
use std::time::Duration;

use super::answer::{Answer, Death, Used, Verdict};
use super::draw::millis;

/// How many dead letters, agents and waits are shown; `--json` has all.
const SHOWN: usize = 10;

/// How much of a reason is shown.
const REASON_CHARS: usize = 120;

/// Units of time for people, with their milliseconds.
const UNITS: [(&str, u64); 3] = [("h", 3_600_000), ("m", 60_000), ("s", 1_000)];

/// Says a length of time in its two largest units: `1h 5m`, `2m 30s`, `4.20s`, `35ms`.
pub fn span(length: Duration) -> String {
    let all = millis(length);
    if all < 1_000 {
        return format!("{all}ms");
    }
    if all < 60_000 {
        return format!("{}.{:02}s", all / 1_000, all % 1_000 / 10);
    }
    let mut rest = all;
    let mut parts = Vec::new();
    for (unit, each) in UNITS {
        if rest >= each && parts.len() < 2 {
            parts.push(format!("{}{unit}", rest / each));
        }
        rest %= each;
    }
    parts.join(" ")
}

/// Says a number of millionths of a dollar as dollars.
pub fn amount(microusd: u64) -> String {
    let cents = microusd / 10_000;
    match microusd {
        0 => "$0".to_owned(),
        1..10_000 => format!("${}.{:06}", microusd / 1_000_000, microusd % 1_000_000),
        _ => format!("${}.{:02}", cents / 100, cents % 100),
    }
}

fn of_millis(millis: u64) -> String {
    span(Duration::from_millis(millis))
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Complete => "complete",
            Self::Incomplete => "incomplete",
            Self::Stuck => "stuck: it never ends",
            Self::Refused => "refused",
            Self::Unended => "not ended within the longest time of a world",
        })
    }
}

impl fmt::Display for Used {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { tokens_in, tokens_out, cost_microusd } = self;
        write!(f, "{}, {tokens_in} tokens in, {tokens_out} tokens out", amount(*cost_microusd))
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.head(f)?;
        if let Some(bottleneck) = &self.bottleneck {
            writeln!(f, "bottleneck   {}", bottleneck.says)?;
            if bottleneck.path.len() > 1 {
                writeln!(f, "longest way  {}", bottleneck.path.join(" -> "))?;
            }
        }
        if let Some(death) = &self.death {
            death.fmt(f)?;
        }
        self.entries(f)?;
        self.workers(f)?;
        self.trouble(f)?;
        for assumed in &self.assumed {
            writeln!(f, "note: {assumed}")?;
        }
        for broken in &self.broken {
            broken.fmt(f)?;
        }
        Ok(())
    }
}

impl Answer {
    fn head(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { fleet, seed, nodes, tasks, .. } = self;
        let entries = self.entries.len();
        writeln!(
            f,
            "fleet {fleet}, seed {seed}: {tasks} tasks of {entries} entries on {nodes} simulated nodes"
        )?;
        let ends: Vec<String> = self.ends.iter().map(|(how, count)| format!("{count} {how}")).collect();
        writeln!(f, "ends         {}: {}", self.verdict, ends.join(", "))?;
        if let Some(why) = &self.refused {
            writeln!(f, "             {why}")?;
        }
        for (entry, why) in &self.not_begun {
            writeln!(f, "             `{entry}` is not begun: {why}")?;
        }
        writeln!(f, "takes        {}", of_millis(self.duration_ms))?;
        writeln!(f, "costs        {}", self.usage)?;
        let Self { attempts, retries, lost, dead_letters, .. } = self;
        writeln!(
            f,
            "attempts     {attempts}, {retries} of them again, {lost} lost with their agent; {} dead letters",
            dead_letters.len()
        )
    }

    fn entries(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "\n{:<20} {:<16} {:>6} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9} {:>6}",
            "entry", "who", "tasks", "from", "to", "waits p50", "p90", "works p50", "p90", "again"
        )?;
        for entry in &self.entries {
            let star = if entry.critical { "*" } else { "" };
            writeln!(
                f,
                "{:<20} {:<16} {:>6} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9} {:>6}",
                format!("{}{star}", entry.name),
                entry.who,
                entry.tasks,
                of_millis(entry.began_ms),
                of_millis(entry.ended_ms),
                of_millis(entry.waited_ms[0]),
                of_millis(entry.waited_ms[1]),
                of_millis(entry.worked_ms[0]),
                of_millis(entry.worked_ms[1]),
                entry.retries
            )?;
        }
        writeln!(f, "* on the longest way")
    }

    fn workers(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "\n{:<20} {:>6} {:>6} {:>8} {:>10} {:>6}",
            "pool", "agents", "slots", "attempts", "no result", "busy"
        )?;
        for pool in &self.pools {
            writeln!(
                f,
                "{:<20} {:>6} {:>6} {:>8} {:>10} {:>4} % of the {} with work for it",
                pool.name,
                pool.agents,
                pool.slots,
                pool.attempts,
                pool.failed,
                pool.busy_percent,
                of_millis(pool.window_ms)
            )?;
        }
        writeln!(f, "\n{:<20} {:>8} {:>10} {:>6}", "agent", "attempts", "busy", "of run")?;
        for agent in self.agents.iter().take(SHOWN) {
            let busy = of_millis(agent.busy_ms);
            writeln!(f, "{:<20} {:>8} {:>10} {:>4} %", agent.name, agent.attempts, busy, agent.busy_percent)?;
        }
        more(f, self.agents.len())
    }

    fn trouble(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.dead_letters.is_empty() {
            writeln!(f, "\ndead letters")?;
        }
        for letter in self.dead_letters.iter().take(SHOWN) {
            let why: String = letter.why.chars().take(REASON_CHARS).collect();
            writeln!(f, "  {} {} after {} attempts: {why}", letter.key, letter.how, letter.attempts)?;
        }
        more(f, self.dead_letters.len())?;
        writeln!(f, "\nwhat blocks what")?;
        for limit in &self.limits {
            writeln!(f, "  {limit}")?;
        }
        if self.limits.is_empty() {
            writeln!(f, "  nothing")?;
        }
        writeln!(f)
    }
}

fn more(f: &mut fmt::Formatter<'_>, count: usize) -> fmt::Result {
    if count > SHOWN {
        writeln!(f, "  and {} more; --json has all", count - SHOWN)?;
    }
    Ok(())
}

impl fmt::Display for Death {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { node, at_ms, verdict, ended_before, done_again, completed, .. } = self;
        let back = match self.back_after_ms {
            Some(after) => format!("and comes back after {}", of_millis(after)),
            None => "and does not come back".to_owned(),
        };
        let added = of_millis(self.added_ms.unsigned_abs());
        let added = if self.added_ms < 0 { format!("{added} less") } else { format!("{added} more") };
        writeln!(
            f,
            "if a node dies: the leader, node {node}, dies at {} {back}: {verdict}, {completed} completed, takes {} \
             ({added}); {ended_before} tasks had ended and are not done again, {done_again} attempts were lost and are \
             made again",
            of_millis(*at_ms),
            of_millis(self.duration_ms)
        )?;
        self.broken.iter().try_for_each(|broken| broken.fmt(f))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_and_amounts_are_said_in_the_units_of_people() {
        let said = [0, 35, 4_200, 61_000, 150_000, 3_900_000].map(of_millis);
        assert_eq!(said, ["0ms", "35ms", "4.20s", "1m 1s", "2m 30s", "1h 5m"]);
        assert_eq!([0, 250, 1_250_000].map(amount), ["$0", "$0.000250", "$1.25"]);
    }
}
