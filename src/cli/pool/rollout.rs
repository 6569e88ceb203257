//! `synod pool rollout`

use clap::{Args, Subcommand};
use synod_domain::time::Timestamp;

use super::tending::PolicyArgs;
use crate::api::{HostedSpec, NewRollout, PoolRuntime, Rollout, RolloutVersion};
use crate::cli::agent::pair;
use crate::cli::output::{Cell, Row, Tone, age};
use crate::cli::remote::{Failure, Session};

#[derive(Debug, Subcommand)]
pub(super) enum RolloutCommand {
    /// Show how far the rollout of a pool is.
    Status {
        /// The pool.
        pool: String,
    },
    /// Replace the agents of a pool by those of a new version, a few at a time.
    Start(StartArgs),
    /// Let a rollout stand still.
    Pause {
        /// The pool.
        pool: String,
        /// Why, for whoever asks.
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
    },
    /// Let a paused rollout go on.
    Resume {
        /// The pool.
        pool: String,
    },
    /// Take a rollout back: agents of the new version begin anew from the old one.
    Abort {
        /// The pool.
        pool: String,
    },
}

#[derive(Debug, Args)]
pub(super) struct StartArgs {
    /// The pool.
    pool: String,
    /// What the new agents can do, if that changes: NAME or NAME@VERSION; may be given several times.
    #[arg(long = "capability", value_name = "CAPABILITY")]
    capabilities: Vec<String>,
    /// How many tasks each new agent may hold, if that changes.
    #[arg(long, value_name = "N")]
    concurrency: Option<u32>,
    #[command(flatten)]
    policy: PolicyArgs,
    /// The folder in which the node runs the command; absolute.
    #[arg(long, value_name = "DIR", requires = "command")]
    cwd: Option<String>,
    /// Added to the command's environment; may be given several times. What the old one had is not kept.
    #[arg(long = "env", value_name = "NAME=VALUE", value_parser = pair, requires = "command")]
    env: Vec<(String, String)>,
    /// The new program and its arguments, if that changes.
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
}

impl StartArgs {
    fn rollout(&self) -> NewRollout {
        let hosted = || HostedSpec {
            command: self.command.clone(),
            cwd: self.cwd.clone(),
            env: self.env.iter().cloned().collect(),
        };
        NewRollout {
            runtime: (!self.command.is_empty()).then(|| PoolRuntime::Process(hosted())),
            capabilities: (!self.capabilities.is_empty()).then(|| self.capabilities.clone()),
            concurrency: self.concurrency,
            policy: self.policy.policy(),
        }
    }
}

pub(super) async fn run(session: &Session, command: &RolloutCommand) -> Result<u8, Failure> {
    let Session { client, output } = session;
    let rollout = match command {
        RolloutCommand::Status { pool } => client.rollout(pool).await?,
        RolloutCommand::Start(args) => client.begin_rollout(&args.pool, &args.rollout()).await?,
        RolloutCommand::Pause { pool, reason } => client.pause_rollout(pool, reason.clone()).await?,
        RolloutCommand::Resume { pool } => client.resume_rollout(pool).await?,
        RolloutCommand::Abort { pool } => client.abort_rollout(pool).await?,
    };
    Ok(output.item(&rollout))
}

impl Row for Rollout {
    const KIND: &'static str = "rollout";
    const COLUMNS: &'static [&'static str] =
        &["pool", "stage", "old", "new", "renewing", "since", "reason", "next"];

    fn id(&self) -> &str {
        &self.pool
    }

    fn cells(&self, now: Timestamp) -> Vec<Cell> {
        let version = |version: &RolloutVersion| {
            let ended = version.completed + version.failed;
            format!("v{}: {} agents, {} of {ended} failed", version.number, version.agents, version.failed)
        };
        let stage = match (self.stage.as_str(), &self.paused) {
            (stage, Some(_)) => Cell::toned(format!("{stage}, paused"), Tone::Bad),
            (stage @ ("rolling_back" | "rolled_back"), None) => Cell::toned(stage, Tone::Bad),
            (stage, None) => Cell::toned(stage, Tone::Busy),
        };
        vec![
            self.pool.as_str().into(),
            stage,
            version(&self.from).into(),
            version(&self.to).into(),
            self.renewing.to_string().into(),
            age(now, Some(&self.since)).into(),
            self.reason.as_str().into(),
            self.next.as_str().into(),
        ]
    }
}
