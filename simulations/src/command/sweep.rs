//! Many seeds, each in a process of its own, some at a time.
//!
//! Goes on after a violation: what breaks is told at once and once more at the end. A stop ends all processes and says
//! what there was until then.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use indicatif::{ProgressBar, ProgressStyle};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::arguments::{Arguments, Seeds};
use super::child::{self, Ended};
use super::entry::{Entry, Outcome, Sort};
use super::ledger::Ledger;
use super::signals::Signals;
use super::totals::{self, Totals};
use super::twice::{self, Difference, Scratch};
use super::version::version;
use super::{exit, one, print};

/// How often the bar is drawn anew when nothing ends.
const TICK: std::time::Duration = std::time::Duration::from_millis(500);

/// How many processes at a time when nobody knows how many processors there are.
const JOBS: usize = 2;

/// What a seed came to, or why nobody knows.
type Lived = std::io::Result<(u64, Ended, Option<Difference>)>;

/// A sweep that goes on.
struct Sweep<'a> {
    arguments: &'a Arguments,
    sort: Sort,
    ledger: Option<Ledger>,
    totals: Totals,
    bar: ProgressBar,
}

/// Runs it and returns the exit code, and the first seed at which a judge objected.
pub(crate) async fn main(arguments: &Arguments) -> (u8, Option<u64>) {
    let seeds =
        arguments.seeds.clone().unwrap_or(Seeds { from: arguments.seed, to: arguments.seed.checked_add(1) });
    match prepared(arguments, &seeds) {
        Ok((mut sweep, known)) => {
            let code = sweep.run(seeds, &known).await;
            let first = sweep.totals.broken.iter().find(|finding| finding.outcome == Outcome::Broken);
            (code, first.map(|finding| finding.seed))
        }
        Err(error) => {
            print::note(&format!("error: {error}"));
            (exit::USAGE, None)
        }
    }
}

/// Opens the ledger. Of a seed that stands there several times, the last entry counts.
fn prepared<'a>(
    arguments: &'a Arguments,
    seeds: &Seeds,
) -> Result<(Sweep<'a>, BTreeMap<u64, Entry>), String> {
    let version = version().map_err(|error| format!("this program cannot be read: {error}"))?;
    let sort = Sort { version, world: arguments.world.words().join(" "), twice: arguments.twice };
    let mut known = BTreeMap::new();
    let mut ledger = None;
    if let Some(path) = &arguments.ledger {
        let opened = Ledger::open(path);
        let (open, entries) =
            opened.map_err(|error| format!("the ledger {} cannot be used: {error}", path.display()))?;
        let is_asked = |seed: u64| seed >= seeds.from && seeds.to.is_none_or(|to| seed < to);
        let asked = entries.into_iter().filter(|entry| sort.covers(entry) && is_asked(entry.seed));
        known = asked.map(|entry| (entry.seed, entry)).collect();
        ledger = Some(open);
    }
    let bar = match seeds.to {
        Some(to) => ProgressBar::new(to - seeds.from),
        None => ProgressBar::new_spinner(),
    };
    let template = if seeds.to.is_some() {
        "[{bar:40}] {pos}/{len} {msg} {elapsed}"
    } else {
        "{spinner} {pos} {msg} {elapsed}"
    };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("=> "));
    }
    bar.enable_steady_tick(TICK);
    Ok((Sweep { arguments, sort, ledger, totals: Totals::default(), bar }, known))
}

impl Sweep<'_> {
    async fn run(&mut self, seeds: Seeds, known: &BTreeMap<u64, Entry>) -> u8 {
        for entry in known.values() {
            self.totals.add(entry, &self.arguments.world, true);
        }
        self.bar.set_position(u64::try_from(known.len()).unwrap_or(u64::MAX));
        let begun = Instant::now();
        let swept = self.sweep(seeds, known, begun).await;
        self.bar.finish_and_clear();
        self.totals.real_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        let said = if self.arguments.json {
            print::envelope(totals::KIND, &self.totals)
        } else {
            print::out(&self.totals)
        };
        match (swept, said) {
            (Err(code), _) | (Ok(()), Err(code)) => code,
            (Ok(()), Ok(())) if self.totals.broken.is_empty() => exit::OK,
            (Ok(()), Ok(())) => exit::BROKEN,
        }
    }

    async fn sweep(&mut self, seeds: Seeds, known: &BTreeMap<u64, Entry>, begun: Instant) -> Result<(), u8> {
        let failed = |error: std::io::Error| {
            print::note(&format!("error: {error}"));
            exit::UNAVAILABLE
        };
        let mut signals = Signals::listen().map_err(failed)?;
        let scratch = if self.arguments.twice { Some(Scratch::make().map_err(failed)?) } else { None };
        let world = Arc::new(self.arguments.world.clone());
        let mut left = (seeds.from..seeds.to.unwrap_or(u64::MAX)).filter(|seed| !known.contains_key(seed));
        let mut living = JoinSet::<Lived>::new();
        loop {
            while living.len() < jobs(self.arguments)
                && let Some(seed) = left.next()
            {
                let (world, scratch) =
                    (Arc::clone(&world), scratch.as_ref().map(|scratch| scratch.path().to_owned()));
                living.spawn(async move { live(seed, &world, scratch.as_deref()).await });
            }
            tokio::select! {
                biased;
                code = signals.next() => {
                    // The processes end with the futures that wait for them.
                    living.shutdown().await;
                    return Err(code);
                }
                next = living.join_next() => {
                    let Some(joined) = next else { return Ok(()) };
                    let (seed, ended, difference) = joined.map_err(std::io::Error::other).flatten().map_err(failed)?;
                    self.take(seed, &ended, difference.as_ref(), begun)?;
                }
            }
        }
    }

    fn take(
        &mut self,
        seed: u64,
        ended: &Ended,
        difference: Option<&Difference>,
        begun: Instant,
    ) -> Result<(), u8> {
        let entry = self.sort.entry(seed, ended, difference);
        self.totals.add(&entry, &self.arguments.world, false);
        self.totals.real_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        if let Some(ledger) = &mut self.ledger {
            ledger.add(&entry).map_err(|error| {
                print::note(&format!("error: the ledger cannot be written: {error}"));
                exit::DATA
            })?;
        }
        if self.arguments.json {
            print::envelope(ENTRY_KIND, &entry)?;
        } else if entry.outcome != Outcome::Holds {
            let said = match ended {
                Ended::Judged(one) if difference.is_none() => one::said(one),
                Ended::Judged(_) | Ended::Died(_) => entry.why.clone().unwrap_or_default(),
            };
            self.bar
                .suspend(|| print::out(&format!("seed {seed} {}\n{}\n", entry.outcome, said.trim_end())))?;
        }
        self.bar.inc(1);
        let broken = self.totals.broken.len();
        self.bar.set_message(format!("{broken} broken, {} simulated seconds per second", self.totals.rate()));
        Ok(())
    }
}

/// How many processes at a time.
pub(crate) fn jobs(arguments: &Arguments) -> usize {
    let asked = arguments.jobs.map(usize::from);
    asked.unwrap_or_else(|| std::thread::available_parallelism().map_or(JOBS, std::num::NonZero::get))
}

/// The kind of the envelope of one seed among many.
const ENTRY_KIND: &str = "simulation_seed";

async fn live(seed: u64, world: &super::arguments::WorldArgs, scratch: Option<&Path>) -> Lived {
    let (ended, difference) = match scratch {
        Some(scratch) => twice::live(seed, world, scratch).await?,
        None => (child::live(seed, world, None).await?, None),
    };
    Ok((seed, ended, difference))
}
