//! `synod agent`

use std::collections::BTreeMap;

use clap::{Args, Subcommand};
use synod_domain::time::Timestamp;

use super::Common;
use super::confirm::ConfirmArgs;
use super::output::{Cell, Row, Tone, age};
use super::pages::{self, ListArgs};
use super::remote::{self, ClientArgs, Failure, Session};
use crate::api::{Agent, AgentFilter, Json, RegisterAgent};
use crate::period::Period;

#[derive(Debug, Args)]
pub(super) struct AgentArgs {
    #[command(subcommand)]
    command: AgentCommand,
    #[command(flatten)]
    client: ClientArgs,
}

#[derive(Debug, Subcommand)]
enum AgentCommand {
    /// List agents.
    List {
        /// In one of these statuses: STARTING, READY, BUSY, DRAINING, OFFLINE, FAILED.
        #[arg(long, value_name = "STATUS")]
        status: Option<String>,
        /// Of this pool.
        #[arg(long, value_name = "POOL")]
        pool: Option<String>,
        /// That offer this: NAME or NAME@VERSION.
        #[arg(long, value_name = "CAPABILITY")]
        capability: Option<String>,
        #[command(flatten)]
        list: ListArgs,
    },
    /// Show one agent, with how it does.
    #[command(visible_alias = "show")]
    Get {
        /// Its id or name.
        agent: String,
    },
    /// Register an external agent, or change the one of that name.
    Register(RegisterArgs),
    /// Remove an agent once it has finished what it has.
    Delete {
        /// Its id or name.
        agent: String,
        /// At once; its work is given to others.
        #[arg(long)]
        force: bool,
        #[command(flatten)]
        confirm: ConfirmArgs,
    },
    /// Restart a hosted agent.
    Restart {
        /// Its id or name.
        agent: String,
    },
    /// Let an agent finish what it has and take nothing new.
    Drain {
        /// Its id or name.
        agent: String,
    },
}

#[derive(Debug, Args)]
struct RegisterArgs {
    /// What people call it.
    name: String,
    /// The pool it belongs to.
    #[arg(long, value_name = "POOL")]
    pool: Option<String>,
    /// What it can do: NAME or NAME@VERSION; may be given several times.
    #[arg(long = "capability", value_name = "CAPABILITY")]
    capabilities: Vec<String>,
    /// A label; may be given several times.
    #[arg(long = "label", value_name = "NAME=VALUE", value_parser = pair)]
    labels: Vec<(String, String)>,
    /// Kept with it, any JSON.
    #[arg(long, value_name = "JSON")]
    metadata: Option<String>,
    /// Where it is.
    #[arg(long, value_name = "REGION")]
    region: Option<String>,
    /// How many tasks it may hold at a time.
    #[arg(long, value_name = "N")]
    concurrency: Option<u32>,
    /// How long it may be silent.
    #[arg(long, value_name = "PERIOD")]
    heartbeat_timeout: Option<Period>,
}

/// Reads `NAME=VALUE`.
pub(super) fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write it as NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

pub(super) fn main(common: &Common, args: &AgentArgs) -> u8 {
    remote::run(common, &args.client, async |session| run(&session, &args.command).await)
}

async fn run(session: &Session, command: &AgentCommand) -> Result<u8, Failure> {
    let Session { client, output } = session;
    match command {
        AgentCommand::List { status, pool, capability, list } => {
            let filter = AgentFilter {
                status: status.clone(),
                pool: pool.clone(),
                capability: capability.clone(),
                available: None,
            };
            pages::list(session, list, async |page| client.agents(&filter, &page).await).await
        }
        AgentCommand::Get { agent } => Ok(output.item(&client.agent(agent).await?)),
        AgentCommand::Register(args) => Ok(output.item(&client.register_agent(&args.agent()?).await?)),
        AgentCommand::Delete { agent, force, confirm } => {
            let agent = client.agent(agent).await?;
            let what = format!("agent {} ({}), which holds {} tasks", agent.name, agent.id, agent.held.len());
            if confirm.dry_run {
                return Ok(output.done("agent_removal", &agent.id, &format!("would remove {what}")));
            }
            if *force {
                confirm.ask(&format!("Remove {what}, at once"))?;
            }
            client.delete_agent(&agent.id, *force).await?;
            let said = if *force || agent.held.is_empty() { "removed" } else { "being removed" };
            Ok(output.done("agent_removal", &agent.id, &format!("{said}: {what}")))
        }
        AgentCommand::Restart { agent } => Ok(output.item(&client.restart_agent(agent).await?)),
        AgentCommand::Drain { agent } => Ok(output.item(&client.drain_agent(agent).await?)),
    }
}

impl RegisterArgs {
    fn agent(&self) -> Result<RegisterAgent, Failure> {
        let wait = self.heartbeat_timeout.map(|period| period.0.as_millis());
        Ok(RegisterAgent {
            name: self.name.clone(),
            pool: self.pool.clone(),
            capabilities: self.capabilities.clone(),
            labels: self.labels.iter().cloned().collect::<BTreeMap<_, _>>(),
            metadata: self.metadata.clone().map(|text| json("--metadata", text)).transpose()?,
            region: self.region.clone(),
            concurrency: self.concurrency,
            heartbeat_timeout_ms: wait.and_then(|millis| u64::try_from(millis).ok()),
            hosted: None,
        })
    }
}

/// Reads JSON that somebody typed.
pub(super) fn json(what: &str, text: String) -> Result<Json, Failure> {
    Json::from_text(text)
        .ok_or_else(|| Failure::Usage(format!("{what} is not JSON; a text needs quotes of its own")))
}

impl Row for Agent {
    const KIND: &'static str = "agent";
    const COLUMNS: &'static [&'static str] =
        &["name", "status", "pool", "capabilities", "held", "completed", "failed", "host", "since"];

    fn id(&self) -> &str {
        &self.id
    }

    fn cells(&self, now: Timestamp) -> Vec<Cell> {
        let since = age(now, Some(&self.since));
        vec![
            self.name.as_str().into(),
            Cell::toned(&self.status, tone(&self.status)),
            self.pool.as_deref().unwrap_or("-").into(),
            self.capabilities.join(",").into(),
            format!("{}/{}", self.held.len(), self.concurrency).into(),
            self.completed.to_string().into(),
            self.failed.to_string().into(),
            self.node_name.as_deref().unwrap_or(&self.host).into(),
            Cell::toned(since, Tone::Faint),
        ]
    }
}

/// Tells how an agent's status is meant.
pub(super) fn tone(status: &str) -> Tone {
    match status {
        "READY" => Tone::Good,
        "BUSY" => Tone::Busy,
        "OFFLINE" | "FAILED" => Tone::Bad,
        _ => Tone::Plain,
    }
}
