//! `synod worker`: a remote worker that runs a command for each task it claims.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use synod_actors::runtimes::process::{ProcessNode, ProcessRuntime, ProcessSettings};
use synod_domain::agent::ProcessSpec;
use synod_domain::name::Name;
use synod_domain::sources::Entropy;
use tokio_util::sync::CancellationToken;

use super::agent::pair;
use super::output::Output;
use super::remote::{self, Failure, RemoteArgs};
use super::signals::{Signal, Signals};
use super::{Common, exit, print};
use crate::client::Client;
use crate::client::worker::{CONCURRENCY_MAX, HEARTBEAT_TIMEOUT, Settings, Tally, Worker};
use crate::clock::{SeededEntropy, SystemClock};
use crate::period::Period;

/// How long what it has may go on after SIGTERM, unless told otherwise.
const DRAIN: Duration = Duration::from_secs(30);

/// How long a worker tries to reach its node at first: the two are often started together.
const FIRST_CONTACT: Duration = Duration::from_secs(15);

#[derive(Debug, Args)]
pub(super) struct WorkerArgs {
    /// What it can do: NAME or NAME@VERSION; may be given several times.
    #[arg(long = "capability", value_name = "CAPABILITY")]
    capabilities: Vec<String>,
    /// The pool whose work it does, besides work for anybody.
    #[arg(long, value_name = "POOL")]
    pool: Option<String>,
    /// What people call it; made up if left out. One at a time on each machine.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// How many tasks at a time.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=i64::from(CONCURRENCY_MAX)))]
    concurrency: u32,
    /// A label; may be given several times.
    #[arg(long = "label", value_name = "NAME=VALUE", value_parser = pair)]
    labels: Vec<(String, String)>,
    /// Where it is.
    #[arg(long, value_name = "REGION")]
    region: Option<String>,
    /// How long it may be silent before its work is given to others.
    #[arg(long, value_name = "PERIOD", default_value_t = Period(HEARTBEAT_TIMEOUT))]
    heartbeat_timeout: Period,
    /// How long what it has may go on after SIGTERM; the rest is given back.
    #[arg(long, value_name = "PERIOD", default_value_t = Period(DRAIN))]
    drain: Period,
    /// Added to the command's environment, which is empty but for PATH, HOME, language and the like; may be given
    /// several times.
    #[arg(long = "env", value_name = "NAME=VALUE", value_parser = pair)]
    env: Vec<(String, String)>,
    /// The folder in which the command runs; this one if left out.
    #[arg(long, value_name = "DIR")]
    cwd: Option<PathBuf>,
    /// Keeps what commands write to standard error in this folder; without it, the last lines of failures are
    /// told and the rest is dropped.
    #[arg(long, value_name = "DIR")]
    logs: Option<PathBuf>,
    /// The program that is started for each task, and its arguments.
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<String>,
    #[command(flatten)]
    remote: RemoteArgs,
}

pub(super) fn main(common: &Common, args: &WorkerArgs) -> u8 {
    let output = Output::new(&super::output::OutputArgs::default());
    let done = remote::start_log(common, "info").and_then(|()| {
        let client = remote::connect(&args.remote)?;
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Failure::Usage(format!("nothing can be run here: {error}")))?;
        runtime.block_on(run(args, &client))
    });
    done.unwrap_or_else(|failure| failure.tell(&output))
}

async fn run(args: &WorkerArgs, client: &Client) -> Result<u8, Failure> {
    let name = args.name.clone().map_or_else(made_up_name, Ok)?;
    Name::new(&name).map_err(|error| Failure::Usage(format!("--name: {error}")))?;
    let folder = Folder::open(&name)?;
    let logs = args.logs.clone().unwrap_or_else(|| folder.path.join("logs"));
    // The folder is locked, so what carries its name is ours: a worker of the same name elsewhere has another.
    let mark = folder.path.display().to_string();
    let node = ProcessNode::start(ProcessSettings::new(&logs, mark))
        .await
        .map_err(|error| Failure::Usage(format!("no program can be run here: {error}")))?;
    let runtime = Arc::new(ProcessRuntime::new(args.spec()?, node.clone()));
    let runtime: Arc<dyn synod_actors::ports::AgentRuntime> = if args.logs.is_some() {
        runtime
    } else {
        Arc::new(forgetful::Forgetful { runtime, node: node.clone() })
    };
    // What can be wrong with the command is said before anything is claimed.
    runtime.prepare().await.map_err(Failure::Usage)?;
    let worker = Worker::new(client, args.settings(name), runtime, Arc::new(SystemClock));

    let stop = CancellationToken::new();
    let patient = client.patient(FIRST_CONTACT);
    let mut signals = Signals::listen()
        .map_err(|error| Failure::Usage(format!("signals cannot be heard here: {error}")))?;
    let mut working = std::pin::pin!(worker.run(&patient, stop.clone()));
    let (ended, signal) = tokio::select! {
        biased;
        signal = signals.next() => {
            print::note(&format!("stopping: what it has may go on for {}; once more to stop at once", args.drain));
            stop.cancel();
            let ended = tokio::select! {
                biased;
                _ = signals.next() => {
                    print::note(&"stopped at once");
                    None
                }
                ended = &mut working => Some(ended),
            };
            (ended, Some(signal))
        }
        ended = &mut working => (Some(ended), None),
    };
    node.sweep().await;
    folder.remove();
    let tally = match ended {
        Some(ended) => Some(ended?),
        None => None,
    };
    Ok(code(tally, signal))
}

/// Says what was done. The code is 0 if all of it was finished, and the signal's if something was not.
fn code(tally: Option<Tally>, signal: Option<Signal>) -> u8 {
    let by_signal = match signal {
        Some(Signal::Interrupt) => exit::INTERRUPTED,
        Some(Signal::Terminate) | None => exit::TERMINATED,
    };
    let Some(tally) = tally else { return by_signal };
    let Tally { completed, failed, lost, released } = tally;
    print::note(&format!("{completed} completed, {failed} failed, {lost} lost, {released} given back"));
    if released > 0 { by_signal } else { exit::OK }
}

impl WorkerArgs {
    fn spec(&self) -> Result<ProcessSpec, Failure> {
        let cwd = self.cwd.as_ref().map(|path| {
            let path = std::path::absolute(path);
            path.map_err(|error| Failure::Usage(format!("--cwd: {error}")))
        });
        let cwd = cwd.transpose()?.map(|path| path.to_string_lossy().into_owned());
        Ok(ProcessSpec { command: self.command.clone(), cwd, env: self.env.iter().cloned().collect() })
    }

    fn settings(&self, name: String) -> Settings {
        Settings {
            name,
            pool: self.pool.clone(),
            capabilities: self.capabilities.clone(),
            labels: self.labels.iter().cloned().collect(),
            region: self.region.clone(),
            concurrency: self.concurrency,
            heartbeat_timeout: self.heartbeat_timeout.0,
            drain: self.drain.0,
        }
    }
}

/// Makes a name that no other worker has.
fn made_up_name() -> Result<String, Failure> {
    let entropy = SeededEntropy::from_system()
        .map_err(|error| Failure::Usage(format!("the system gives no random numbers: {error}")))?;
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let host: String = host.chars().filter(char::is_ascii_alphanumeric).take(32).collect();
    let host = if host.is_empty() { "worker".to_owned() } else { host };
    Ok(format!("{host}-{:08x}", entropy.draw() >> 32))
}

/// The folder of one worker: held by a lock, so that two of one name never take each other's programs for
/// left-overs.
struct Folder {
    path: PathBuf,
    _lock: File,
}

impl Folder {
    fn open(name: &str) -> Result<Self, Failure> {
        let wrong = |path: &Path, error: &dyn std::fmt::Display| {
            Failure::Usage(format!("the worker's folder {} cannot be used: {error}", path.display()))
        };
        let path = state_folder().join(name.replace('/', "%2F"));
        create_private(&path).map_err(|error| wrong(&path, &error))?;
        let lock = File::create(path.join("lock")).map_err(|error| wrong(&path, &error))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path, _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(Failure::Usage(format!(
                "a worker named {name} runs on this machine already; give this one another --name"
            ))),
            Err(TryLockError::Error(error)) => Err(wrong(&path, &error)),
        }
    }

    /// Leaves nothing behind. What cannot be removed is used again by the next worker of that name.
    fn remove(self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// Where this user's programs keep what they need while they run.
fn state_folder() -> PathBuf {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = absolute("XDG_STATE_HOME").or_else(|| Some(absolute("HOME")?.join(".local").join("state")));
    base.unwrap_or_else(std::env::temp_dir).join("synod").join("workers")
}

fn create_private(folder: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// Programs whose logs nobody asked to keep.
mod forgetful {
    use std::sync::Arc;

    use async_trait::async_trait;
    use synod_actors::ports::{AgentRuntime, Finish, Work};
    use synod_actors::runtimes::process::{ProcessNode, ProcessRuntime};

    pub(super) struct Forgetful {
        pub(super) runtime: Arc<ProcessRuntime>,
        pub(super) node: ProcessNode,
    }

    #[async_trait]
    impl AgentRuntime for Forgetful {
        async fn prepare(&self) -> Result<(), String> {
            self.runtime.prepare().await
        }

        async fn run(&self, work: Work) -> Finish {
            let task = work.spec.id;
            let finish = self.runtime.run(work).await;
            if let Err(error) = self.node.remove_logs(task).await {
                tracing::debug!(%task, %error, "a log stays until the worker ends");
            }
            finish
        }
    }
}
