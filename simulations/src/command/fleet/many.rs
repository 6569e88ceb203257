//! The seeds that were asked for, some at a time, and what they come to together.

use std::sync::Arc;

use indicatif::{ProgressBar, ProgressStyle};
use synod::fleet::Plan;
use synod_simulations::fleet::Answer;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::super::arguments::{Arguments, Seeds};
use super::super::signals::Signals;
use super::super::totals::rate;
use super::super::{exit, print, sweep};
use super::child::{self, Shows};
use super::spread::Spread;
use super::{KIND, code};

/// The kind of the envelope of many seeds.
const MANY: &str = "fleet_simulation_sweep";

/// How often the bar is drawn anew when nothing ends.
const TICK: std::time::Duration = std::time::Duration::from_millis(500);

type Lived = (u64, std::io::Result<Result<Answer, String>>);

/// Runs them and returns the exit code.
pub(super) async fn main(arguments: &Arguments, plan: &Plan) -> u8 {
    let one = Seeds { from: arguments.seed, to: arguments.seed.checked_add(1) };
    let seeds = arguments.seeds.clone().unwrap_or(one);
    let Some(to) = seeds.to else {
        print::note(&"error: a distribution needs an end; write --seeds 0..20");
        return exit::USAGE;
    };
    let mut signals = match Signals::listen() {
        Ok(signals) => signals,
        Err(error) => {
            print::note(&format!("error: {error}"));
            return exit::UNAVAILABLE;
        }
    };
    let is_one = arguments.seeds.is_none();
    let (mut living, mut left) = (JoinSet::<Lived>::new(), seeds.from..to);
    let shared = Arc::new(arguments.clone());
    let (mut spread, begun) = (Spread::new(plan), Instant::now());
    let bar = bar(to - seeds.from, is_one);
    loop {
        while living.len() < sweep::jobs(arguments)
            && let Some(seed) = left.next()
        {
            let arguments = Arc::clone(&shared);
            let shows = if is_one { Shows::Progress } else { Shows::Nothing };
            living.spawn(async move { (seed, child::live(&arguments, seed, shows).await) });
        }
        let next = tokio::select! {
            biased;
            code = signals.next() => {
                // The processes end with the futures that wait for them.
                living.shutdown().await;
                return code;
            }
            next = living.join_next() => next,
        };
        let Some(joined) = next else { break };
        let lived = joined.map_err(std::io::Error::other).and_then(|(seed, lived)| Ok((seed, lived?)));
        let (seed, answer) = match lived {
            Ok(lived) => lived,
            Err(error) => {
                print::note(&format!("error: {error}"));
                return exit::UNAVAILABLE;
            }
        };
        bar.inc(1);
        if is_one {
            let real = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
            return shown(arguments, seed, answer, real);
        }
        if let Ok(answer) = &answer
            && arguments.json
            && let Err(code) = print::envelope(KIND, answer)
        {
            return code;
        }
        spread.add(seed, answer);
    }
    bar.finish_and_clear();
    let said = if arguments.json { print::envelope(MANY, &spread) } else { print::out(&spread) };
    said.map_or_else(|code| code, |()| spread.code())
}

fn shown(arguments: &Arguments, seed: u64, answer: Result<Answer, String>, real_ms: u64) -> u8 {
    let answer = match answer {
        Ok(answer) => answer,
        Err(died) => {
            print::note(&format!("error: seed {seed}: {died}"));
            return exit::BROKEN;
        }
    };
    let said = if arguments.json { print::envelope(KIND, &answer) } else { print::out(&answer) };
    let simulated = answer.simulated_ms + answer.death.as_ref().map_or(0, |death| death.duration_ms);
    print::progress(&format!("{} simulated seconds per second", rate(simulated, real_ms)));
    said.map_or_else(|code| code, |()| code(&answer))
}

/// Makes a bar of so many seeds; one seed shows its own progress.
fn bar(seeds: u64, is_one: bool) -> ProgressBar {
    if is_one {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(seeds);
    if let Ok(style) = ProgressStyle::with_template("[{bar:40}] {pos}/{len} seeds {elapsed}") {
        bar.set_style(style.progress_chars("=> "));
    }
    bar.enable_steady_tick(TICK);
    bar
}
