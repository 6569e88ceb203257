//! `synod run`

mod bars;
mod tables;

use std::io::IsTerminal;
use std::path::PathBuf;

use clap::Args;

use super::output::{Output, OutputArgs};
use super::print::{self, complain};
use super::remote::{self, Failure, RemoteArgs};
use super::signals::{Signal, Signals};
use super::{Common, exit};
use synod_actors::ports::JournalError;
use synod_domain::id::RunId;

use crate::client::Client;
use crate::clock::Stopwatch;
use crate::fleet::{Fleet, Inputs, Plan};
use crate::node::{self, Node};
use crate::run::{self, Outcome, RemoteRun, Run};
use crate::settings::Settings;
use crate::telemetry;

/// The folder beside the fleet file that holds the data unless something else is said.
const DATA_BESIDE_FLEET: &str = ".synod";

#[derive(Debug, Args)]
pub(super) struct RunArgs {
    /// The fleet file: YAML, JSON or TOML.
    file: PathBuf,
    /// Where the data goes; `.synod` beside the fleet file if neither flag nor setting names it.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Sets an input of the fleet for this run; may be given several times.
    #[arg(long = "input", value_name = "KEY=VALUE")]
    inputs: Vec<String>,
    /// Start anew even if a run of this fleet was interrupted.
    #[arg(long)]
    fresh: bool,
    /// Run it on nodes that run elsewhere: their addresses, with commas between them. Programs run where the nodes
    /// are; paths in the file must mean the same there.
    #[arg(long, value_name = "URL,...", conflicts_with = "data")]
    server: Option<String>,
    /// The file that holds the token for --server [env: SYNOD_TOKEN_FILE or SYNOD_TOKEN].
    #[arg(long, value_name = "FILE", requires = "server")]
    token_file: Option<PathBuf>,
    /// A PEM file of certificates to believe, for --server [env: SYNOD_CA].
    #[arg(long, value_name = "FILE", requires = "server")]
    ca: Option<PathBuf>,
    /// Print one JSON document instead of tables.
    #[arg(long)]
    json: bool,
}

/// Why a run did not come to its end.
enum Stop {
    Interrupted,
    Terminated,
    Failed(run::Error),
}

pub(super) fn main(common: &Common, args: RunArgs) -> u8 {
    let settings = match common.load(args.data.clone()) {
        Ok(loaded) => loaded.settings,
        Err(error) => {
            complain(&error);
            return exit::USAGE;
        }
    };
    if let Err(reason) = telemetry::start(&settings.log) {
        print::note(&format!("error: {reason}"));
        return exit::USAGE;
    }
    let (fleet, plan) = match plan(&args) {
        Ok(planned) => planned,
        Err(error) => {
            report(*error);
            return exit::USAGE;
        }
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            complain(&error);
            return exit::NODE_FAILED;
        }
    };
    match &args.server {
        Some(server) => runtime.block_on(elsewhere(server, plan, &args)),
        None => runtime.block_on(start(&settings, &fleet, plan, &args)),
    }
}

/// Runs a plan on nodes elsewhere.
async fn elsewhere(server: &str, plan: Plan, args: &RunArgs) -> u8 {
    let watch = Stopwatch::start();
    let output = Output::new(&OutputArgs::default());
    let remote = RemoteArgs::at(server, args.token_file.clone(), args.ca.clone());
    let client = match remote::connect(&remote) {
        Ok(client) => client,
        Err(failure) => return failure.tell(&output),
    };
    let mut signals = match Signals::listen() {
        Ok(signals) => signals,
        Err(error) => {
            complain(&error);
            return exit::NODE_FAILED;
        }
    };
    let ended = tokio::select! {
        biased;
        signal = signals.next() => {
            print::note(&"stopped; the nodes go on with what they have. Run the same command again to continue");
            return if signal == Signal::Interrupt { exit::INTERRUPTED } else { exit::TERMINATED };
        }
        ended = go_elsewhere(&client, plan, args.fresh) => ended,
    };
    match ended {
        Ok(outcome) => show(&outcome, args.json, &watch),
        Err(run::Error::Client(error)) => {
            print::note(&"note: the run stays open; run the same command again to continue");
            Failure::Client(error).tell(&output)
        }
        Err(error) => {
            complain(&error);
            exit::USAGE
        }
    }
}

async fn go_elsewhere(client: &Client, plan: Plan, fresh: bool) -> Result<Outcome, run::Error> {
    let run = RemoteRun::open(client, plan, fresh).await?;
    if let Some(continued) = &run.continued {
        note_continued(run.id, &run.plan, *continued);
    }
    run.govern().await?;
    run.put_webhooks().await?;
    run.set_up_pools().await?;
    let mut bars = bars::Bars::new();
    let outcome = run.drive(&mut bars).await;
    bars.finish(false);
    outcome
}

fn note_continued(run: RunId, plan: &Plan, continued: run::Continued) {
    print::note(&format!("continuing run {run} of fleet {}", plan.name));
    if continued.plan_changed {
        print::note(
            &"note: the fleet file, its inputs or its folders changed since the run began; it goes on with \
             what it began. Use --fresh to start anew.",
        );
    }
}

/// Shows what is wrong with a fleet file. Lines are broken for terminals only: elsewhere a path stays whole.
fn report(error: crate::fleet::Error) {
    let wrap = std::io::stderr().is_terminal();
    let options = move || miette::MietteHandlerOpts::new().wrap_lines(wrap).build();
    // An error means that somebody has set one before; theirs stays.
    let _ = miette::set_hook(Box::new(move |_| Box::new(options())));
    print::note(&format!("{:?}", miette::Report::new(error)));
}

fn plan(args: &RunArgs) -> Result<(Fleet, Plan), Box<crate::fleet::Error>> {
    let fleet = Fleet::read(&args.file).map_err(Box::new)?;
    let inputs = Inputs::from_arguments(&args.inputs).map_err(Box::new)?;
    let plan = fleet.expand(&inputs).map_err(Box::new)?;
    Ok((fleet, plan))
}

async fn start(settings: &Settings, fleet: &Fleet, plan: Plan, args: &RunArgs) -> u8 {
    let watch = Stopwatch::start();
    let mut signals = match Signals::listen() {
        Ok(signals) => signals,
        Err(error) => {
            complain(&error);
            return exit::NODE_FAILED;
        }
    };
    let data = settings.data.clone().unwrap_or_else(|| fleet.dir().join(DATA_BESIDE_FLEET));
    let node = match settings.node().data(&data).start().await {
        Ok(node) => node,
        Err(error) => {
            complain(&error);
            return node_error_code(&error);
        }
    };
    if let Some(repair) = node.repaired() {
        print::note(&format!("note: the data folder was repaired, nothing is lost: {}", repair.reason));
        if let Some(folder) = &repair.moved_to {
            print::note(&format!("note: what was damaged is kept in {}", folder.display()));
        }
    }
    let ended = tokio::select! {
        biased;
        signal = signals.next() => Err(match signal {
            Signal::Interrupt => Stop::Interrupted,
            Signal::Terminate => Stop::Terminated,
        }),
        ended = go(&node, plan, args.fresh) => ended.map_err(Stop::Failed),
    };
    if matches!(ended, Err(Stop::Interrupted | Stop::Terminated)) {
        let patience = settings.stop.drain;
        print::note(&format!(
            "stopping: agents may finish what they have within {patience}; once more to stop at once"
        ));
    }
    tokio::select! {
        biased;
        // Nothing acknowledged is lost by this either; programs end with the node.
        _ = signals.next() => print::note(&"stopped at once"),
        () = node.stop() => {}
    }
    match ended {
        Ok(outcome) => show(&outcome, args.json, &watch),
        Err(Stop::Interrupted) => {
            print::note(&"interrupted; run the same command again to continue");
            exit::INTERRUPTED
        }
        Err(Stop::Terminated) => {
            print::note(&"terminated; run the same command again to continue");
            exit::TERMINATED
        }
        Err(Stop::Failed(error)) => {
            complain(&error);
            match &error {
                run::Error::Pool { .. } | run::Error::Plan { .. } | run::Error::Hooks => exit::USAGE,
                run::Error::Client(_) => exit::UNAVAILABLE,
                run::Error::Node(error) => node_error_code(error),
            }
        }
    }
}

/// Says by an exit code what kept a node from its work.
pub(super) fn node_error_code(error: &node::Error) -> u8 {
    match error {
        node::Error::Storage(_) | node::Error::Journal(JournalError::NoSpace) => exit::DATA,
        // Mostly a limit; the text names it.
        node::Error::Refused(_) => exit::USAGE,
        error if error.is_unanswered() => exit::UNAVAILABLE,
        _ => exit::NODE_FAILED,
    }
}

async fn go(node: &Node, plan: Plan, fresh: bool) -> Result<Outcome, run::Error> {
    let run = Run::open(node, plan, fresh).await?;
    if let Some(continued) = &run.continued {
        note_continued(run.id, &run.plan, *continued);
    }
    run.govern(node).await?;
    run.put_webhooks(node).await?;
    run.set_up_pools(node).await?;
    let mut bars = bars::Bars::new();
    let outcome = run.drive(node, &mut bars).await;
    bars.finish(run.continued.is_some());
    outcome
}

fn show(outcome: &Outcome, json: bool, watch: &Stopwatch) -> u8 {
    let code = if outcome.is_complete() { exit::OK } else { exit::WORK_FAILED };
    if json {
        let document = serde_json::json!({
            "version": 1,
            "complete": outcome.is_complete(),
            "duration_ms": u64::try_from(watch.elapsed().as_millis()).unwrap_or(u64::MAX),
            "outcome": outcome,
        });
        print::result(&document, code)
    } else {
        print::result(&tables::render(outcome, watch.elapsed()), code)
    }
}
