//! `synod node`

use clap::{Args, Subcommand};
use synod_domain::time::Timestamp;

use super::output::{Cell, Row, Tone};
use super::pages::{self, ListArgs};
use super::remote::{self, ClientArgs, Failure, Session};
use super::{Common, exit};
use crate::api::Node;
use crate::period::Period;

#[derive(Debug, Args)]
pub(super) struct NodeArgs {
    #[command(subcommand)]
    command: NodeCommand,
    #[command(flatten)]
    client: ClientArgs,
}

#[derive(Debug, Subcommand)]
enum NodeCommand {
    /// List the nodes of the cluster.
    List {
        #[command(flatten)]
        list: ListArgs,
    },
    /// Show figures of the moment and since ever.
    Stats,
    /// Show whether the node can do its work; exit code 1 if it cannot.
    Health,
}

pub(super) fn main(common: &Common, args: &NodeArgs) -> u8 {
    remote::run(common, &args.client, async |session| run(&session, &args.command).await)
}

async fn run(session: &Session, command: &NodeCommand) -> Result<u8, Failure> {
    let Session { client, output } = session;
    match command {
        NodeCommand::List { list } => pages::list(session, list, async |_| client.nodes().await).await,
        NodeCommand::Stats => Ok(output.one("stats", "stats", &client.stats().await?)),
        NodeCommand::Health => {
            let health = client.health().await?;
            let shown = output.one("health", &health.status, &health);
            Ok(if shown == exit::OK && health.status == "unhealthy" { exit::WORK_FAILED } else { shown })
        }
    }
}

impl Row for Node {
    const KIND: &'static str = "node";
    const COLUMNS: &'static [&'static str] =
        &["id", "leads", "term", "applied", "agents", "uptime", "version"];

    fn id(&self) -> &str {
        &self.id
    }

    fn cells(&self, _: Timestamp) -> Vec<Cell> {
        let seconds = self.uptime_ms / 1000;
        vec![
            self.id.as_str().into(),
            Cell::toned(if self.leader { "yes" } else { "no" }, Tone::Plain),
            self.term.to_string().into(),
            self.applied.to_string().into(),
            self.agents.to_string().into(),
            Period(std::time::Duration::from_secs(seconds)).to_string().into(),
            self.version.as_str().into(),
        ]
    }
}
