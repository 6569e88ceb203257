//! `synod pool`

mod rollout;
mod tending;

use clap::{Args, Subcommand};
use synod_domain::time::Timestamp;

use super::Common;
use super::agent::pair;
use super::confirm::ConfirmArgs;
use super::output::{Cell, Row, Tone};
use super::pages::{self, ListArgs};
use super::remote::{self, ClientArgs, Failure, Session};
use super::task::SubmitArgs;
use crate::api::{HostedSpec, NewPool, Pool, PoolRuntime, Recovery, Share, Spread};
use rollout::RolloutCommand;
use tending::TendingArgs;

#[derive(Debug, Args)]
pub(super) struct PoolArgs {
    #[command(subcommand)]
    command: PoolCommand,
    #[command(flatten)]
    client: ClientArgs,
}

#[derive(Debug, Subcommand)]
enum PoolCommand {
    /// List pools.
    List {
        #[command(flatten)]
        list: ListArgs,
    },
    /// Show one pool.
    Get {
        /// Its name.
        pool: String,
    },
    /// Create a pool, or change the one of that name. With a command, the node runs its agents; without one,
    /// agents register themselves.
    Create(CreateArgs),
    /// Change how many agents a pool should have.
    Scale {
        /// Its name.
        pool: String,
        /// How many; kept between its min and max.
        target: u32,
    },
    /// Remove a pool once its work is done.
    Delete {
        /// Its name.
        pool: String,
        /// At once, with its work.
        #[arg(long)]
        force: bool,
        #[command(flatten)]
        confirm: ConfirmArgs,
    },
    /// Bring a new version to a pool's agents, a few at a time.
    Rollout {
        #[command(subcommand)]
        command: RolloutCommand,
    },
    /// Submit a task to a pool.
    Submit {
        /// Its name.
        #[arg(value_name = "POOL")]
        to: String,
        #[command(flatten)]
        submit: SubmitArgs,
    },
}

#[derive(Debug, Args)]
struct CreateArgs {
    /// Its name.
    name: String,
    /// What its agents can do: NAME or NAME@VERSION; may be given several times.
    #[arg(long = "capability", value_name = "CAPABILITY")]
    capabilities: Vec<String>,
    /// How many agents it keeps at least.
    #[arg(long, value_name = "N")]
    min: Option<u32>,
    /// How many agents it may have.
    #[arg(long, value_name = "N")]
    max: Option<u32>,
    /// How many tasks each agent may hold.
    #[arg(long, value_name = "N")]
    concurrency: Option<u32>,
    /// How agents are chosen: round_robin, least_busy, random or capability_aware.
    #[arg(long, value_name = "STRATEGY")]
    strategy: Option<String>,
    #[command(flatten)]
    spread: SpreadArgs,
    #[command(flatten)]
    tending: TendingArgs,
    /// The folder in which the node runs the command; absolute.
    #[arg(long, value_name = "DIR", requires = "command")]
    cwd: Option<String>,
    /// Added to the command's environment; may be given several times.
    #[arg(long = "env", value_name = "NAME=VALUE", value_parser = pair, requires = "command")]
    env: Vec<(String, String)>,
    /// The program that the node starts for each task, and its arguments.
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
}

/// On which nodes agents are, and what becomes of them when theirs goes down.
#[derive(Debug, Args)]
struct SpreadArgs {
    /// How agents are put on nodes: even, packed on as few as possible, or zones (evenly over the label `zone`).
    #[arg(long, value_name = "MANNER")]
    manner: Option<String>,
    /// How many agents one node may have at most.
    #[arg(long, value_name = "N")]
    max_per_node: Option<u32>,
    /// What a node must be labelled with; may be given several times.
    #[arg(long = "node-label", value_name = "NAME=VALUE", value_parser = pair)]
    node_labels: Vec<(String, String)>,
    /// Where a node must be.
    #[arg(long = "node-region", value_name = "REGION")]
    node_region: Option<String>,
    /// A pool beside whose agents it has none while other nodes have room; may be given several times.
    #[arg(long, value_name = "POOL")]
    apart_from: Vec<String>,
    /// Have rather fewer agents than one beside one of theirs.
    #[arg(long, requires = "apart_from")]
    apart_strictly: bool,
    /// What becomes of agents whose node goes down: restart, replacement, failover or degraded.
    #[arg(long, value_name = "STRATEGY")]
    recovery: Option<String>,
    /// How many agents stand by, for `--recovery failover`.
    #[arg(long, value_name = "N", requires = "recovery")]
    standby: Option<u32>,
}

impl SpreadArgs {
    fn spread(&self) -> Option<Spread> {
        let spread = Spread {
            manner: self.manner.clone(),
            max_per_node: self.max_per_node,
            labels: self.node_labels.iter().cloned().collect(),
            region: self.node_region.clone(),
            apart_from: self.apart_from.clone(),
            apart_strictly: self.apart_strictly,
        };
        (spread != Spread::default()).then_some(spread)
    }

    fn recovery(&self) -> Option<Recovery> {
        let kind = self.recovery.clone()?;
        Some(Recovery { kind, standby: self.standby })
    }
}

pub(super) fn main(common: &Common, args: &PoolArgs) -> u8 {
    remote::run(common, &args.client, async |session| run(&session, &args.command).await)
}

async fn run(session: &Session, command: &PoolCommand) -> Result<u8, Failure> {
    let Session { client, output } = session;
    match command {
        PoolCommand::List { list } => {
            pages::list(session, list, async |page| client.pools(&page).await).await
        }
        PoolCommand::Get { pool } => Ok(output.item(&client.pool(pool).await?)),
        PoolCommand::Create(args) => Ok(output.item(&client.put_pool(&args.pool()).await?)),
        PoolCommand::Scale { pool, target } => Ok(output.item(&client.scale_pool(pool, *target).await?)),
        PoolCommand::Delete { pool, force, confirm } => {
            let pool = client.pool(pool).await?;
            let what = format!("pool {} with {} unfinished tasks", pool.name, pool.unfinished);
            if confirm.dry_run {
                return Ok(output.done("pool_removal", &pool.name, &format!("would remove {what}")));
            }
            if *force && pool.unfinished > 0 {
                confirm.ask(&format!("Remove {what}, at once"))?;
            }
            client.delete_pool(&pool.name, *force).await?;
            Ok(output.done("pool_removal", &pool.name, &format!("being removed: {what}")))
        }
        PoolCommand::Rollout { command } => rollout::run(session, command).await,
        PoolCommand::Submit { to, submit } => submit.run(session, Some(to)).await,
    }
}

impl CreateArgs {
    fn pool(&self) -> NewPool {
        let runtime = if self.command.is_empty() {
            PoolRuntime::External
        } else {
            let env = self.env.iter().cloned().collect();
            PoolRuntime::Process(HostedSpec { command: self.command.clone(), cwd: self.cwd.clone(), env })
        };
        NewPool {
            name: self.name.clone(),
            runtime,
            capabilities: self.capabilities.clone(),
            min: self.min,
            max: self.max,
            concurrency: self.concurrency,
            strategy: self.strategy.clone(),
            spread: self.spread.spread(),
            recovery: self.spread.recovery(),
            restart: None,
            autoscale: self.tending.autoscale(),
            assignment: self.tending.assignment(),
            restart_after: self.tending.restart_after(),
            rollout: self.tending.rollout.policy(),
        }
    }
}

impl Row for Pool {
    const KIND: &'static str = "pool";
    const COLUMNS: &'static [&'static str] =
        &["name", "runtime", "ready", "target", "min-max", "waiting", "unfinished", "nodes", "state"];

    fn id(&self) -> &str {
        &self.name
    }

    fn cells(&self, _: Timestamp) -> Vec<Cell> {
        let runtime = match &self.runtime {
            PoolRuntime::Process(spec) => spec.command.join(" "),
            PoolRuntime::Native(name) => format!("native {name}"),
            PoolRuntime::External => "external".to_owned(),
        };
        let state = match &self.paused {
            Some(reason) => Cell::toned(format!("paused: {reason}"), Tone::Bad),
            None if self.breaker.as_deref().is_some_and(|state| state != "closed") => {
                Cell::toned("its breaker is open", Tone::Bad)
            }
            None if self.retiring => Cell::toned("retiring", Tone::Busy),
            None if self.rolling.is_some() && self.shortfall.is_none() => {
                let stage = self.rolling.as_deref().unwrap_or_default();
                Cell::toned(format!("rollout: {stage}"), Tone::Busy)
            }
            None => match &self.shortfall {
                Some(short) => {
                    Cell::toned(format!("degraded, {} missing: {}", short.missing, short.reason), Tone::Bad)
                }
                None => "-".into(),
            },
        };
        let on_nodes = |share: &Share| match share.standbys {
            0 => format!("{}:{}", share.name, share.agents),
            standbys => format!("{}:{}+{standbys}", share.name, share.agents),
        };
        let nodes: Vec<String> = self.shares.iter().map(on_nodes).collect();
        vec![
            self.name.as_str().into(),
            super::print::first_line(&runtime, 40).into(),
            format!("{}/{}", self.ready, self.agents).into(),
            self.target.to_string().into(),
            format!("{}-{}", self.min, self.max).into(),
            self.waiting.to_string().into(),
            self.unfinished.to_string().into(),
            if nodes.is_empty() { "-".into() } else { nodes.join(" ").as_str().into() },
            state,
        ]
    }
}
