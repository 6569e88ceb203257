//! The smallest world of a seed in which the same judge objects.
//!
//! Takes away time first, then kinds of faults, then single faults, then operations of clients; each try is a process of
//! its own, and counts when the judge that objected first still does.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use synod_simulations::left_out::{LeftOut, Numbers};

use super::arguments::{Arguments, WorldArgs};
use super::child::{self, Ended};
use super::one::{self, One};
use super::reduce::fewest;
use super::signals::Signals;
use super::{exit, print};

/// The most worlds that are tried: what is left after that is small enough to read.
const TRIES_MAX: u64 = 500;

/// How near the end is sought.
const NEAR: Duration = Duration::from_millis(100);

/// Operations beyond those of the whole world that are left out too: who is refused asks again.
const MORE_OPERATIONS: u64 = 1_000;

/// The kind of its envelope.
const KIND: &str = "simulation_shrunk";

/// The smallest world that was found.
#[derive(Debug, Clone, Serialize)]
struct Smallest {
    seed: u64,
    /// Which judge objects.
    judge: String,
    /// How many worlds were tried.
    tries: u64,
    /// Whether it was stopped before there was nothing more to take away.
    stopped: bool,
    /// How many faults of the plan are left, of how many.
    faults: [usize; 2],
    /// How many operations are left, of how many.
    operations: [usize; 2],
    /// The command.
    replay: String,
    /// What the world does.
    outcome: One,
}

/// An operation: whose, and which.
type Operation = (String, u64);

struct Shrink<'a> {
    arguments: &'a Arguments,
    seed: u64,
    whole: One,
    judge: String,
    faults: Vec<u64>,
    operations: Vec<Operation>,
    until: Option<Duration>,
    best: One,
    tries: u64,
    bar: ProgressBar,
}

/// Shrinks the world of a seed, says what is left and returns the exit code.
pub(crate) async fn main(arguments: &Arguments, seed: u64) -> u8 {
    let failed = |error: std::io::Error| {
        print::note(&format!("error: {error}"));
        exit::UNAVAILABLE
    };
    let mut signals = match Signals::listen() {
        Ok(signals) => signals,
        Err(error) => return failed(error),
    };
    let whole = tokio::select! {
        biased;
        code = signals.next() => return code,
        whole = child::live(seed, &arguments.world, None) => whole,
    };
    let whole = match whole {
        Ok(Ended::Judged(whole)) => *whole,
        Ok(Ended::Died(how)) => {
            print::note(&format!("error: seed {seed} cannot be shrunk: {how}"));
            return exit::BROKEN;
        }
        Err(error) => return failed(error),
    };
    let Some(first) = whole.report.broken.first() else {
        let said =
            if arguments.json { print::envelope(one::KIND, &whole) } else { print::out(&one::said(&whole)) };
        return said.err().unwrap_or(exit::OK);
    };
    let judge = first.judge.clone();
    let mut shrink = Shrink::new(arguments, seed, whole, judge);
    let stopped = tokio::select! {
        biased;
        code = signals.next() => Some(code),
        () = shrink.run() => None,
    };
    shrink.bar.finish_and_clear();
    let smallest = shrink.smallest(stopped.is_some());
    let said = if arguments.json { print::envelope(KIND, &smallest) } else { print::out(&said(&smallest)) };
    said.err().or(stopped).unwrap_or(exit::BROKEN)
}

fn said(smallest: &Smallest) -> String {
    let Smallest { judge, tries, faults, operations, replay, outcome, .. } = smallest;
    let mut said = String::new();
    for broken in outcome.report.broken.iter().filter(|broken| broken.judge == *judge) {
        said += &broken.to_string();
    }
    said += &format!(
        "{} of {} faults and {} of {} operations are left after {tries} tries\n",
        faults[0], faults[1], operations[0], operations[1]
    );
    if smallest.stopped {
        said += "it was stopped: there may be a smaller one\n";
    }
    said += &format!("smallest: {replay}\n");
    said
}

impl<'a> Shrink<'a> {
    fn new(arguments: &'a Arguments, seed: u64, whole: One, judge: String) -> Self {
        let settings = arguments.world.settings(seed);
        let numbers = 1..=u64::try_from(whole.plan.len()).unwrap_or(0);
        let faults = numbers.filter(|number| !settings.left_out.faults.0.contains(number)).collect();
        let all = |(client, count): (&String, &u64)| {
            let already = settings.left_out.operations.get(client).map_or(0, |numbers| numbers.0.len());
            let last = count + u64::try_from(already).unwrap_or(0);
            (1..=last).map(|number| (client.clone(), number)).collect::<Vec<_>>()
        };
        let mut operations: Vec<Operation> = whole.report.operations.iter().flat_map(all).collect();
        operations.retain(|(client, number)| !settings.left_out.has_operation(client, *number));
        let bar = ProgressBar::new(TRIES_MAX);
        if let Ok(style) = ProgressStyle::with_template("[{bar:40}] {pos} tries, {msg} {elapsed}") {
            bar.set_style(style.progress_chars("=> "));
        }
        let until = settings.left_out.after;
        Self { arguments, seed, best: whole.clone(), whole, judge, faults, operations, until, tries: 0, bar }
    }

    async fn run(&mut self) {
        self.end_earlier().await;
        self.forget_what_never_came();
        let kinds: BTreeSet<&str> = self.whole.plan.iter().map(|planned| planned.kind.as_str()).collect();
        let kinds: Vec<String> = kinds.into_iter().map(str::to_owned).collect();
        let kinds = fewest(kinds, async |kinds: &[String]| {
            let faults = self.faults_of(kinds);
            self.fails(&faults, &self.operations.clone(), self.until).await
        });
        let kinds = kinds.await;
        self.faults = self.faults_of(&kinds);
        let faults = self.faults.clone();
        self.faults = fewest(faults, async |faults: &[u64]| {
            self.fails(faults, &self.operations.clone(), self.until).await
        })
        .await;
        let operations = self.operations.clone();
        self.operations = fewest(operations, async |operations: &[Operation]| {
            self.fails(&self.faults.clone(), operations, self.until).await
        })
        .await;
        self.end_earlier().await;
    }

    /// What comes after the end of the shortened world is not there to be taken away.
    fn forget_what_never_came(&mut self) {
        let Some(until) = self.until else { return };
        let plan = &self.whole.plan;
        let at = |number: u64| {
            usize::try_from(number - 1).ok().and_then(|place| plan.get(place)).map(|planned| planned.at_ms)
        };
        self.faults.retain(|number| at(*number).is_some_and(|at| u128::from(at) < until.as_millis()));
        let done = &self.best.report.operations;
        if self.arguments.world.skip_operations.is_empty() {
            self.operations.retain(|(client, number)| done.get(client).is_some_and(|count| number <= count));
        }
    }

    fn faults_of(&self, kinds: &[String]) -> Vec<u64> {
        let plan =
            |number: u64| usize::try_from(number - 1).ok().and_then(|place| self.whole.plan.get(place));
        let of_kind = |number: &&u64| plan(**number).is_some_and(|planned| kinds.contains(&planned.kind));
        self.faults.iter().filter(of_kind).copied().collect()
    }

    /// Halves the time in which anything is done, as long as the judge objects.
    async fn end_earlier(&mut self) {
        let mut enough =
            self.until.unwrap_or(self.arguments.world.duration.0).min(self.arguments.world.duration.0);
        let mut too_short = Duration::ZERO;
        while enough.saturating_sub(too_short) > NEAR {
            let middle = (enough + too_short) / 2;
            let middle = Duration::from_millis(u64::try_from(middle.as_millis()).unwrap_or(u64::MAX));
            if self.fails(&self.faults.clone(), &self.operations.clone(), Some(middle)).await {
                enough = middle;
                self.until = Some(middle);
            } else {
                too_short = middle;
            }
        }
    }

    /// Tells whether the judge objects to a world with these faults and operations.
    async fn fails(&mut self, faults: &[u64], operations: &[Operation], until: Option<Duration>) -> bool {
        if self.tries >= TRIES_MAX {
            return false;
        }
        self.tries += 1;
        let world = self.world(faults, operations, until);
        let ended = child::live(self.seed, &world, None).await;
        self.bar.set_position(self.tries);
        let Ok(Ended::Judged(one)) = ended else { return false };
        let objects = one.report.broken.iter().any(|broken| broken.judge == self.judge);
        if objects {
            self.bar.set_message(format!("{} faults, {} operations,", faults.len(), operations.len()));
            self.best = *one;
        }
        objects
    }

    fn world(&self, faults: &[u64], operations: &[Operation], until: Option<Duration>) -> WorldArgs {
        let all = 1..=u64::try_from(self.whole.plan.len()).unwrap_or(0);
        let skip = Numbers(all.filter(|number| !faults.contains(number)).collect());
        let mut skipped = BTreeMap::<String, Numbers>::new();
        if operations.len() < self.all_operations() {
            let kept: BTreeSet<&Operation> = operations.iter().collect();
            for (client, count) in &self.whole.report.operations {
                let numbers =
                    (1..=count + MORE_OPERATIONS).filter(|number| !kept.contains(&(client.clone(), *number)));
                skipped.insert(client.clone(), Numbers(numbers.collect()));
            }
        } else {
            skipped = self.arguments.world.settings(self.seed).left_out.operations;
        }
        self.arguments.world.without(&LeftOut { faults: skip, operations: skipped, after: until })
    }

    fn all_operations(&self) -> usize {
        self.whole.report.operations.values().map(|count| usize::try_from(*count).unwrap_or(usize::MAX)).sum()
    }

    fn smallest(&self, stopped: bool) -> Smallest {
        Smallest {
            seed: self.seed,
            judge: self.judge.clone(),
            tries: self.tries,
            stopped,
            faults: [self.faults.len(), self.whole.plan.len()],
            operations: [self.operations.len(), self.all_operations()],
            replay: self.best.replay.clone(),
            outcome: self.best.clone(),
        }
    }
}
