//! `synod node`

use clap::{Args, Subcommand};

use super::pages::{self, ListArgs};
use super::remote::{self, ClientArgs, Failure, Session};
use super::{Common, exit};

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
    /// Show one node.
    Show {
        /// Its id or name.
        node: String,
    },
    /// Let a node give its agents away and take no new ones; no task is lost by it.
    Drain {
        /// Its id or name.
        node: String,
        /// Why, for whoever looks later.
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
    },
    /// Let a node that drains take agents again.
    Undrain {
        /// Its id or name.
        node: String,
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
        NodeCommand::List { list } => {
            pages::list(session, list, async |page| client.nodes(&page).await).await
        }
        NodeCommand::Show { node } => Ok(output.item(&client.node(node).await?)),
        NodeCommand::Drain { node, reason } => {
            Ok(output.item(&client.drain_node(node, true, reason.as_deref()).await?))
        }
        NodeCommand::Undrain { node } => Ok(output.item(&client.drain_node(node, false, None).await?)),
        NodeCommand::Stats => Ok(output.one("stats", "stats", &client.stats().await?)),
        NodeCommand::Health => {
            let health = client.health().await?;
            let shown = output.one("health", &health.status, &health);
            Ok(if shown == exit::OK && health.status == "unhealthy" { exit::WORK_FAILED } else { shown })
        }
    }
}
