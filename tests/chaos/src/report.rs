//! What a run showed: a table for a person, and yes or no.

use std::path::Path;
use std::time::Duration;

use crate::history::{self, Answer, Fact, Record, Status, calls};
use crate::judges::outages::Outages;
use crate::judges::{self, seconds};

/// Goals of a scenario about how long writes may stop.
#[derive(Debug, Clone, Copy)]
pub struct Goals {
    /// Half of the outages are at most so long.
    pub p50: Duration,
    /// 99 of 100 are.
    pub p99: Duration,
    /// All of them are.
    pub max: Duration,
}

impl Goals {
    /// The goals of a failover with default settings, by issue and reliability plan.
    pub const FAILOVER: Self =
        Self { p50: Duration::from_secs(1), p99: Duration::from_secs(2), max: Duration::from_secs(8) };

    /// What a cluster must at least do to be of use, where a longer outage is in the nature of the fault.
    pub const LOOSE: Self =
        Self { p50: Duration::from_secs(20), p99: Duration::from_secs(30), max: Duration::from_secs(30) };
}

/// Fewer outages than this say nothing about percentiles: only the longest is held against its goal then.
const PERCENTILES_FROM: usize = 20;

/// Judges a history and prints what was found; returns whether everything holds.
pub fn judge_and_print(name: &str, history: &[Record], goals: Goals, keep_in: &Path) -> bool {
    let mut holds = true;
    println!("\n== {name}");
    println!("{}", figures(history));
    for (judge, said) in judges::ask_all(history) {
        match said {
            Ok(checked) => println!("  ok      {:<22} {checked:>8} facts", judge.name),
            Err(violation) => {
                holds = false;
                println!("  BROKEN  {:<22} {}", judge.name, judge.says);
                println!("          task {}: {}", violation.task.as_deref().unwrap_or("-"), violation.what);
                if let Some(story) = violation.task.and_then(|task| story(history, &task)) {
                    println!("          its attempts: {story}");
                }
            }
        }
    }
    holds &= outages(history, goals);
    if !holds {
        let file = keep_in.join(format!("{name}.history"));
        match history::write(history, &file) {
            Ok(()) => println!("  the history is in {}", file.display()),
            Err(error) => println!("  the history could not be kept: {error}"),
        }
    }
    println!("  {}", if holds { "holds" } else { "DOES NOT HOLD" });
    holds
}

fn outages(history: &[Record], goals: Goals) -> bool {
    let outages = Outages::of(history);
    let (Some(p50), Some(p99), Some(max)) = (outages.percentile(50), outages.percentile(99), outages.max())
    else {
        if outages.without_end > 0 {
            println!("  BROKEN  outages: no write was acknowledged after {} faults", outages.without_end);
        }
        return outages.without_end == 0;
    };
    let micros = |goal: Duration| u64::try_from(goal.as_micros()).unwrap_or(u64::MAX);
    let (count, endless) = (outages.lengths.len(), outages.without_end);
    let told = [(p50, goals.p50), (p99, goals.p99), (max, goals.max)]
        .map(|(is, goal)| format!("{} (goal {:.1} s)", seconds(is), goal.as_secs_f64()));
    println!(
        "  outages {count}: p50 {}, p99 {}, longest {}, without end {endless}",
        told[0], told[1], told[2]
    );
    let percentiles = count < PERCENTILES_FROM || p50 <= micros(goals.p50) && p99 <= micros(goals.p99);
    let met = percentiles && max <= micros(goals.max) && endless == 0;
    if !met {
        println!("  BROKEN  outages: the goals are not met");
    }
    met
}

/// Returns how a task's attempts ended, from the last look.
fn story(history: &[Record], wanted: &str) -> Option<String> {
    history.iter().find_map(|record| match &record.fact {
        Fact::Found { task, .. } if task.task == wanted => Some(task.story.clone()),
        _ => None,
    })
}

fn figures(history: &[Record]) -> String {
    let calls = calls(history);
    let count = |wanted: &dyn Fn(&Answer) -> bool| {
        calls.iter().filter(|call| call.answer.is_some_and(wanted)).count()
    };
    let submitted = count(&|answer| matches!(answer, Answer::Submitted { .. }));
    let ended = count(&|answer| matches!(answer, Answer::Stands { status: Status::Completed }));
    let refused = count(&|answer| matches!(answer, Answer::Refused { .. }));
    let unknown = calls.iter().filter(|call| call.answer.is_none()).count();
    let faults = history.iter().filter(|record| matches!(record.fact, Fact::Injected { .. })).count();
    let length = history.last().map_or(0, |record| record.at);
    format!(
        "  {} calls in {}: {submitted} submits and {ended} completions acknowledged, {refused} calls refused, {unknown} \
         without an answer; {faults} faults",
        calls.len(),
        seconds(length)
    )
}
