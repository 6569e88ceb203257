//! `synod cluster`: forming a cluster, looking at it, letting nodes in and out, and backups.

mod backup;
mod joining;
mod keyring;
mod offline;
mod regions;
mod shown;

use std::path::PathBuf;

use clap::{Args, Subcommand};

use self::joining::TokenCommand;
use self::keyring::KeyringCommand;
use self::offline::{InitArgs, RestoreArgs};
use self::regions::RegionsArgs;
use super::confirm::ConfirmArgs;
use super::pages::{self, ListArgs};
use super::print;
use super::remote::{self, ClientArgs, Failure, Session};
use super::{Common, exit};

#[derive(Debug, Args)]
pub(super) struct ClusterArgs {
    #[command(subcommand)]
    command: ClusterCommand,
    #[command(flatten)]
    client: ClientArgs,
}

#[derive(Debug, Subcommand)]
enum ClusterCommand {
    /// Make a data folder, new or in use by a node that stood alone, the first node of a cluster. No node may run on
    /// it.
    Init(InitArgs),
    /// Let other nodes join: make, list and revoke join tokens.
    Token {
        #[command(subcommand)]
        command: TokenCommand,
    },
    /// Rotate the keys of gossip, within the cluster or between regions.
    Keyring {
        #[command(subcommand)]
        command: KeyringCommand,
    },
    /// Show nodes, roles, term, leader, log positions, gossip and lag; exit code 1 if nobody leads.
    Status,
    /// List the members as gossip knows them.
    Members {
        #[command(flatten)]
        list: ListArgs,
    },
    /// List the regions that know each other, or end the trust in one.
    Regions(RegionsArgs),
    /// Let the node that is asked leave the cluster for good; its process ends.
    Leave {
        #[command(flatten)]
        confirm: ConfirmArgs,
    },
    /// Take a node out of the cluster for good, one that is lost for example.
    Remove {
        /// Its id or name.
        node: String,
        #[command(flatten)]
        confirm: ConfirmArgs,
    },
    /// Make a worker a voter.
    Promote {
        /// Its id or name.
        node: String,
    },
    /// Make a voter a worker.
    Demote {
        /// Its id or name.
        node: String,
    },
    /// Let another voter lead: the named one, or the one that is least behind.
    TransferLeadership {
        /// Its id or name.
        node: Option<String>,
    },
    /// Make a snapshot on the node that is asked.
    Snapshot,
    /// Write everything that is agreed into a file, while work goes on.
    Backup {
        /// The file; one that is there is replaced when the backup is whole.
        file: PathBuf,
    },
    /// Make a data folder out of a backup: that of a node which stands alone.
    Restore(RestoreArgs),
}

pub(super) fn main(common: &Common, args: &ClusterArgs) -> u8 {
    match &args.command {
        ClusterCommand::Init(init) => offline::init(common, init, &args.client),
        ClusterCommand::Restore(restore) => offline::restore(common, restore, &args.client),
        command => remote::run(common, &args.client, async |session| run(&session, command).await),
    }
}

async fn run(session: &Session, command: &ClusterCommand) -> Result<u8, Failure> {
    let Session { client, output } = session;
    match command {
        // These were met before there was a session.
        ClusterCommand::Init(_) | ClusterCommand::Restore(_) => Ok(exit::USAGE),
        ClusterCommand::Token { command } => joining::run(session, command).await,
        ClusterCommand::Keyring { command } => keyring::run(session, command).await,
        ClusterCommand::Status => {
            let cluster = client.cluster().await?;
            let shown = shown::status(output, &cluster);
            let Some(lack) = shown::lack_of_leader(&cluster) else { return Ok(shown) };
            print::note(&print::harmless(&format!("error: {lack}")));
            Ok(if shown == exit::OK { exit::WORK_FAILED } else { shown })
        }
        ClusterCommand::Members { list } => {
            pages::list(session, list, async |page| client.members(&page).await).await
        }
        ClusterCommand::Regions(args) => regions::run(session, args).await,
        ClusterCommand::Leave { confirm } => {
            if client.has_others() {
                let why = "several servers are named, and the one that answers would leave; name the node that \
                           shall leave, alone, with --server";
                return Err(Failure::Usage(why.to_owned()));
            }
            let cluster = client.cluster().await?;
            let name =
                cluster.nodes.iter().find(|node| node.id == cluster.node).map_or("?", |node| &node.name);
            let what =
                format!("node {name} ({}) at {} leaves the cluster for good", cluster.node, client.url());
            if confirm.dry_run {
                return Ok(output.done("node_removal", &cluster.node, &format!("would do: {what}")));
            }
            confirm.ask(&format!("Go on: {what}"))?;
            client.leave_cluster().await?;
            Ok(output.done("node_removal", &cluster.node, &format!("done: {what}")))
        }
        ClusterCommand::Remove { node, confirm } => {
            let node = client.node(node).await?;
            let what = format!("node {} ({}), which is {}", node.name, node.id, node.standing);
            if confirm.dry_run {
                return Ok(output.done("node_removal", &node.id, &format!("would remove {what}")));
            }
            confirm.ask(&format!("Remove {what}, for good"))?;
            client.remove_node(&node.id).await?;
            Ok(output.done("node_removal", &node.id, &format!("removed: {what}")))
        }
        ClusterCommand::Promote { node } => Ok(output.item(&client.set_node_role(node, "voter").await?)),
        ClusterCommand::Demote { node } => Ok(output.item(&client.set_node_role(node, "worker").await?)),
        ClusterCommand::TransferLeadership { node } => {
            let leads = client.transfer_leadership(node.as_deref()).await?;
            Ok(output.one("leader", &leads.leader, &leads))
        }
        ClusterCommand::Snapshot => {
            let made = client.make_snapshot().await?;
            Ok(output.one("snapshot", &made.node, &made))
        }
        ClusterCommand::Backup { file } => backup::run(session, file).await,
    }
}
