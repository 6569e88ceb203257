//! `synod-mutants`: puts one bug after the other into a node and sees who notices; prints the table.
//!
//! It starts `synod-simulate` and `synod-model` beside it, one process for each seed. All three must be of a build that
//! has the mutants in it: `simulations/mutants` makes it.

use std::io::Read;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use clap::Parser;
use synod_simulations::mutants::{ALL, Notices, Seeded, named};

/// What a process may take before it counts as hung; a world of a minute takes seconds.
const PATIENCE: Duration = Duration::from_secs(600);

/// Puts bugs into a node and sees which judge notices.
#[derive(Debug, Parser)]
#[command(name = "synod-mutants", version)]
struct Arguments {
    /// Only these; all without one.
    names: Vec<String>,
    /// Seeds that a bug may survive, and that the node without a bug must hold: 0 to this, without it.
    #[arg(long, default_value_t = 20)]
    seeds: u64,
    /// How long each world lasts, in simulated seconds.
    #[arg(long, default_value_t = 60)]
    duration: u64,
}

/// What a process said.
struct Said {
    success: bool,
    text: String,
}

/// Who noticed a bug, and at which seed.
struct Caught {
    by: String,
    seed: Option<u64>,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

fn run(arguments: &Arguments) -> Result<bool, String> {
    let mut wanted = Vec::new();
    for name in &arguments.names {
        wanted.push(*named(name).ok_or_else(|| format!("there is no mutant {name:?}"))?);
    }
    if wanted.is_empty() {
        wanted.extend(ALL);
    }
    let mut good = holds_unmutated(arguments)?;
    println!("| mutant | what it breaks | must be noticed by | noticed by | at seed |");
    println!("|---|---|---|---|---|");
    for seeded in wanted {
        let expected = match seeded.notices {
            Notices::Alone(name) => name.to_owned(),
            Notices::Model(property) => format!("the model: {property}"),
            Notices::AmongThree(name) => format!("{name}, among three nodes"),
        };
        let (by, at) = match hunt(&seeded, arguments)? {
            Some(Caught { by, seed }) => (by, seed.map_or_else(|| "-".to_owned(), |seed| seed.to_string())),
            None => {
                good = false;
                ("**nobody**".to_owned(), format!("not before {}", arguments.seeds))
            }
        };
        println!("| `{}` | {} | {expected} | {by} | {at} |", seeded.mutant.as_str(), seeded.breaks);
    }
    Ok(good)
}

/// A bug that is noticed shows nothing where the node without it is not clean.
fn holds_unmutated(arguments: &Arguments) -> Result<bool, String> {
    let mut good = true;
    for seed in 0..arguments.seeds {
        for nodes in [1, 3] {
            let said = simulate(None, None, nodes, seed, arguments)?;
            if !said.success {
                good = false;
                eprintln!("without a mutant, seed {seed} of {nodes} nodes does not hold:\n{}", said.text);
            }
        }
    }
    let said = model(None)?;
    if !said.success {
        good = false;
        eprintln!("without a mutant, the model does not hold:\n{}", said.text);
    }
    eprintln!("without a mutant: {} seeds and the model; they hold: {good}", arguments.seeds);
    Ok(good)
}

fn hunt(seeded: &Seeded, arguments: &Arguments) -> Result<Option<Caught>, String> {
    let name = seeded.mutant.as_str();
    let (nodes, expected) = match seeded.notices {
        Notices::Model(expected) => {
            let said = model(Some(name))?;
            let broken = after(&said.text, "BROKEN: ");
            let noticed = broken.iter().any(|property| property == expected);
            return Ok(
                noticed.then(|| Caught { by: format!("the model: {}", broken.join("; ")), seed: None })
            );
        }
        Notices::Alone(expected) => (1, expected),
        Notices::AmongThree(expected) => (3, expected),
    };
    for seed in 0..arguments.seeds {
        let said = simulate(Some(name), seeded.faults(), nodes, seed, arguments)?;
        let broken = after(&said.text, "VIOLATION of ");
        let judges: Vec<&str> = broken.iter().filter_map(|line| line.split('"').nth(1)).collect();
        // Worlds with all faults were held against the node without a bug already.
        let shows = seeded.faults().is_none()
            || judges.contains(&expected) && simulate(None, seeded.faults(), nodes, seed, arguments)?.success;
        if shows && judges.contains(&expected) {
            return Ok(Some(Caught { by: judges.join("; "), seed: Some(seed) }));
        }
    }
    Ok(None)
}

/// Returns what stands behind a word at the beginning of lines.
fn after(text: &str, word: &str) -> Vec<String> {
    text.lines().filter_map(|line| line.strip_prefix(word)).map(str::to_owned).collect()
}

fn simulate(
    mutant: Option<&str>,
    faults: Option<&str>,
    nodes: u64,
    seed: u64,
    arguments: &Arguments,
) -> Result<Said, String> {
    let mut command = beside("synod-simulate")?;
    command.args(["--seed", &seed.to_string(), "--duration", &format!("{}s", arguments.duration)]);
    command.args(["--nodes", &nodes.to_string()]);
    command.args(mutant.map(|name| format!("--mutant={name}")));
    command.args(faults.map(|faults| format!("--faults={faults}")));
    finish(command)
}

fn model(mutant: Option<&str>) -> Result<Said, String> {
    let mut command = beside("synod-model")?;
    command.args(mutant.map(|name| format!("--mutant={name}")));
    finish(command)
}

fn beside(name: &str) -> Result<Command, String> {
    let own =
        std::env::current_exe().map_err(|error| format!("where this program is, is not known: {error}"))?;
    let path: PathBuf = own.with_file_name(name);
    Ok(Command::new(path))
}

/// Runs a process to its end. One that hangs is killed and counts as an error: it shows nothing.
fn finish(mut command: Command) -> Result<Said, String> {
    let shown = format!("{command:?}");
    let wrong = |error: &dyn std::fmt::Display| format!("{shown}: {error}");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| wrong(&error))?;
    let (sender, ended) = std::sync::mpsc::channel();
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        for pipe in [err.map(|pipe| Box::new(pipe) as Box<dyn Read>), out.map(|pipe| Box::new(pipe) as _)] {
            let mut bytes = Vec::new();
            if let Some(mut pipe) = pipe {
                // What cannot be read is not said.
                let _ = pipe.read_to_end(&mut bytes);
            }
            text.push_str(&String::from_utf8_lossy(&bytes));
        }
        let _ = sender.send(());
        text
    });
    if ended.recv_timeout(PATIENCE).is_err() {
        child.kill().map_err(|error| wrong(&error))?;
        child.wait().map_err(|error| wrong(&error))?;
        return Err(wrong(&"it did not end"));
    }
    let status = child.wait().map_err(|error| wrong(&error))?;
    let text = reader.join().map_err(|_| wrong(&"its output was not read"))?;
    match status.code() {
        Some(0 | 1) => Ok(Said { success: status.success(), text }),
        Some(code) => Err(wrong(&format!("exit code {code}\n{text}"))),
        None => Err(wrong(&format!("it was killed\n{text}"))),
    }
}
