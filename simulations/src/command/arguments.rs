//! What can be asked of `synod-simulate`, and how the same world is asked for again.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Parser};
use synod_simulations::Settings;
use synod_simulations::faults::Kinds;
use synod_simulations::fleet::Kill;
use synod_simulations::left_out::{LeftOut, Numbers};
use synod_simulations::workload::Workloads;

use super::length::Length;

/// How long faults and new work go on unless something else is said.
const DURATION: &str = "1m";

/// With how many nodes a world begins unless something else is said.
const NODES: &str = "3";

/// Runs real nodes in a simulated world made from a seed, and judges what happened.
///
/// With a FILE: runs that fleet on them, with simulated agents, and says how long it takes, what it costs, what stands in
/// its way and what happens when a node dies.
///
/// Same seed, same world, same trace, byte for byte. Exit code 0: every judge was content; 1: something broke, and the
/// command that shows it again is printed; 2: the arguments or files are not valid.
#[derive(Debug, Clone, Parser)]
#[command(name = "synod-simulate", bin_name = "synod simulate", version, max_term_width = 100)]
pub(crate) struct Arguments {
    /// A fleet file: YAML, JSON or TOML. Its section `simulation` says how its agents behave; without faults unless
    /// --faults says otherwise.
    #[arg(conflicts_with_all = ["ledger", "twice", "shrink", "until", "skip", "skip_operations", "workload"])]
    pub(crate) file: Option<PathBuf>,
    /// Sets an input of the fleet; may be given several times.
    #[arg(long = "input", value_name = "KEY=VALUE", requires = "file")]
    pub(crate) inputs: Vec<String>,
    /// Lets what `synod event export` has recorded of a real node happen again, and compares; without faults unless
    /// --faults says otherwise.
    #[arg(
        long,
        value_name = "RECORDING",
        conflicts_with_all = ["file", "seeds", "ledger", "twice", "shrink", "view", "until", "skip", "skip_operations", "workload"]
    )]
    pub(crate) replay: Option<PathBuf>,
    /// The source of everything random.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
    /// Many seeds, each in a process of its own: from A up to B, without B; `A..` goes on until it is stopped.
    #[arg(long, value_name = "A..B", conflicts_with_all = ["seed", "trace", "view"])]
    pub(crate) seeds: Option<Seeds>,
    #[command(flatten)]
    pub(crate) world: WorldArgs,
    /// Writes what happened, a line for each fact; `-` is standard output.
    #[arg(long, value_name = "FILE")]
    pub(crate) trace: Option<PathBuf>,
    /// Writes a page that shows what happened, to look at in a browser.
    #[arg(long, value_name = "FILE.html")]
    pub(crate) view: Option<PathBuf>,
    /// Prints one JSON document for each seed, and one for all of them at the end of --seeds.
    #[arg(long)]
    pub(crate) json: bool,
    /// How many processes at a time; as many as there are processors without it.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) jobs: Option<u16>,
    /// Notes the outcome of each seed in this file, and passes over those that are in it from this version.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["trace", "view"])]
    pub(crate) ledger: Option<PathBuf>,
    /// Runs each seed in two processes and compares their traces byte for byte.
    #[arg(long, conflicts_with_all = ["trace", "view"])]
    pub(crate) twice: bool,
    /// When something breaks: takes away faults, operations and time as long as the same judge objects, and prints the
    /// smallest command. With --seeds, of the first seed that breaks.
    #[arg(long, conflicts_with_all = ["trace", "view"])]
    pub(crate) shrink: bool,
    /// Lives one world of a fleet only, for the process that asks for it.
    #[arg(long, hide = true, requires = "file")]
    pub(crate) alone: bool,
    /// Lets a node die in it, as NODE@MILLISECONDS.
    #[arg(long, hide = true, requires = "alone")]
    pub(crate) kill: Option<Kill>,
}

/// What a world is made from besides its seed.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub(crate) struct WorldArgs {
    /// With how many nodes the world begins; one alone is no cluster.
    #[arg(long, value_name = "N", default_value = NODES, value_parser = clap::value_parser!(u64).range(1..=9))]
    pub(crate) nodes: u64,
    /// How long faults and new work go on, in simulated time: 250ms, 30s, 10m; a number alone is seconds.
    #[arg(long, value_name = "TIME", default_value = DURATION)]
    pub(crate) duration: Length,
    /// Which faults may come: all, none, or names with commas; a wrong name lists them [default: all; none with a FILE].
    #[arg(long)]
    pub(crate) faults: Option<Kinds>,
    /// What clients ask for: all, of which each world draws some, or names with commas; a wrong name lists them.
    #[arg(long, value_name = "NAMES", default_value = "all")]
    pub(crate) workload: Workloads,
    /// Ends faults and new work at this time, although they were drawn for the whole duration.
    #[arg(long, value_name = "TIME", help_heading = "Less of the same world")]
    pub(crate) until: Option<Length>,
    /// Leaves faults out, by their numbers in the plan, from 1: 1-4,7.
    #[arg(
        long,
        value_name = "NUMBERS",
        help_heading = "Less of the same world",
        default_value = "",
        hide_default_value = true
    )]
    pub(crate) skip: Numbers,
    /// Leaves operations of a client out, by their numbers, from 1: client-0:1-4,7. May be given several times.
    #[arg(long, value_name = "CLIENT:NUMBERS", help_heading = "Less of the same world")]
    pub(crate) skip_operations: Vec<Skip>,
    /// Puts this bug into every node; only in a build that has them.
    #[arg(long, value_name = "NAME", hide = true)]
    pub(crate) mutant: Option<String>,
}

impl WorldArgs {
    /// Says what it is made from to the library.
    pub(crate) fn settings(&self, seed: u64) -> Settings {
        let mut operations = BTreeMap::<String, Numbers>::new();
        for skip in &self.skip_operations {
            operations.entry(skip.client.clone()).or_default().0.extend(&skip.numbers.0);
        }
        let all = Settings::new(seed);
        Settings {
            nodes: self.nodes,
            duration: self.duration.0,
            faults: self.faults.clone().unwrap_or(all.faults),
            workloads: self.workload.clone(),
            left_out: LeftOut {
                faults: self.skip.clone(),
                operations,
                after: self.until.map(|until| until.0),
            },
            ..all
        }
    }

    /// Changes what is left out.
    pub(crate) fn without(&self, left_out: &LeftOut) -> Self {
        let some = left_out.operations.iter().filter(|(_, numbers)| !numbers.0.is_empty());
        let skip = |(client, numbers): (&String, &Numbers)| Skip {
            client: client.clone(),
            numbers: numbers.clone(),
        };
        Self {
            until: left_out.after.map(Length),
            skip: left_out.faults.clone(),
            skip_operations: some.map(skip).collect(),
            ..self.clone()
        }
    }

    /// Returns the arguments that ask for it again, those with a default left out.
    pub(crate) fn words(&self) -> Vec<String> {
        let mut words = Vec::new();
        let mut say = |flag: &str, value: String, default: &str| {
            if value != default {
                words.extend([flag.to_owned(), value]);
            }
        };
        say("--nodes", self.nodes.to_string(), NODES);
        say("--duration", self.duration.to_string(), DURATION);
        say("--faults", self.faults.as_ref().map_or_else(|| "all".to_owned(), ToString::to_string), "all");
        say("--workload", self.workload.to_string(), "all");
        say("--until", self.until.map(|until| until.to_string()).unwrap_or_default(), "");
        say("--skip", self.skip.to_string(), "");
        for skip in &self.skip_operations {
            say("--skip-operations", skip.to_string(), "");
        }
        if let Some(mutant) = &self.mutant {
            words.extend(["--mutant".to_owned(), mutant.clone()]);
        }
        words
    }

    /// Returns the command that shows the world of a seed again.
    pub(crate) fn replay(&self, seed: u64) -> String {
        let words: String = self.words().iter().map(|word| format!(" {word}")).collect();
        format!("synod simulate --seed {seed}{words}")
    }
}

/// Seeds from one up to another. Text form: `A..B`, without B, or `A..`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seeds {
    pub(crate) from: u64,
    pub(crate) to: Option<u64>,
}

impl FromStr for Seeds {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no range of seeds; write it like 0..200, or 0.. for no end");
        let (from, to) = text.split_once("..").ok_or_else(wrong)?;
        let from = from.parse().map_err(|_| wrong())?;
        let to = if to.is_empty() { None } else { Some(to.parse().map_err(|_| wrong())?) };
        if to.is_some_and(|to| to <= from) {
            return Err(format!("there is no seed in {text:?}: the second number is not among them"));
        }
        Ok(Self { from, to })
    }
}

/// Operations of a client that are left out. Text form: `client-0:1-4,7`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Skip {
    pub(crate) client: String,
    pub(crate) numbers: Numbers,
}

impl FromStr for Skip {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once(':').filter(|(client, _)| !client.is_empty());
        let (client, numbers) =
            parts.ok_or_else(|| format!("{text:?} names no client; write it like client-0:1-4,7"))?;
        let numbers = numbers.parse::<Numbers>().map_err(|error| error.to_string())?;
        Ok(Self { client: client.to_owned(), numbers })
    }
}

impl fmt::Display for Skip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.client, self.numbers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_a_world_ask_for_the_same_world() {
        let texts = [
            "",
            "--nodes 5 --duration 10m --faults crash,partition --workload submits,cancels",
            "--until 1500ms --skip 1-4,7 --skip-operations client-0:1-3 --skip-operations operator:2,9",
        ];
        for text in texts {
            let words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
            let mut line = vec!["synod-simulate".to_owned()];
            line.extend(words.clone());
            let parsed = Arguments::parse_from(line);
            assert_eq!(parsed.world.words(), words);
            let settings = parsed.world.settings(7);
            assert_eq!(parsed.world.without(&settings.left_out), parsed.world);
        }
    }

    #[test]
    fn a_range_without_a_seed_is_refused() {
        assert_eq!("3..5".parse(), Ok(Seeds { from: 3, to: Some(5) }));
        assert_eq!("3..".parse(), Ok(Seeds { from: 3, to: None }));
        for wrong in ["3", "..5", "5..5", "6..5", "a..b", "1..=3"] {
            assert!(wrong.parse::<Seeds>().is_err(), "{wrong}");
        }
    }
}
