//! `synod workspace`

use clap::{Args, Subcommand};
use synod_domain::time::Timestamp;

use super::Common;
use super::output::{Cell, Row, Tone};
use super::pages::{self, ListArgs};
use super::remote::{self, ClientArgs, Failure, Session};
use crate::api::{PutWorkspace, Quota, Workspace};

#[derive(Debug, Args)]
pub(super) struct WorkspaceArgs {
    #[command(subcommand)]
    command: WorkspaceCommand,
    #[command(flatten)]
    client: ClientArgs,
}

#[derive(Debug, Subcommand)]
enum WorkspaceCommand {
    /// List workspaces with what each has of what it may have.
    List {
        #[command(flatten)]
        list: ListArgs,
    },
    /// Show one.
    Show {
        /// Its name.
        name: String,
    },
    /// Change its weight or its quota. What is not named stays; `none` takes a bound away.
    Set(SetArgs),
}

#[derive(Debug, Args)]
struct SetArgs {
    /// Its name.
    name: String,
    /// How many tasks it takes in a turn, from 1 to 1000.
    #[arg(long, value_name = "N")]
    weight: Option<u32>,
    /// How many agents it may have.
    #[arg(long, value_name = "N", value_parser = most)]
    agents: Option<Most>,
    /// How many unfinished tasks it may have that no agent has.
    #[arg(long, value_name = "N", value_parser = most)]
    waiting: Option<Most>,
    /// How many submits it may make in a second.
    #[arg(long, value_name = "N", value_parser = most)]
    submits_per_second: Option<Most>,
    /// How many bytes of payload its unfinished tasks may hold.
    #[arg(long, value_name = "BYTES", value_parser = most)]
    storage: Option<Most>,
    /// How many of its tasks agents may have at once.
    #[arg(long, value_name = "N", value_parser = most)]
    concurrency: Option<Most>,
}

/// A bound, or that there shall be none.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Most(Option<u64>);

fn most(text: &str) -> Result<Most, String> {
    match text {
        "none" => Ok(Most(None)),
        text => {
            text.parse().map(|most| Most(Some(most))).map_err(|_| format!("{text:?} is no number, nor none"))
        }
    }
}

impl SetArgs {
    /// Returns what the quota shall be, if anything of it is changed.
    fn quota(&self, now: &Quota) -> Option<Quota> {
        let new = |wanted: Option<Most>, now: Option<u64>| wanted.map_or(now, |Most(most)| most);
        let submits = new(self.submits_per_second, now.submits_per_second.map(u64::from));
        let quota = Quota {
            agents: new(self.agents, now.agents),
            waiting: new(self.waiting, now.waiting),
            // The node says what is too much.
            submits_per_second: submits.map(|most| u32::try_from(most).unwrap_or(u32::MAX)),
            storage_bytes: new(self.storage, now.storage_bytes),
            concurrency: new(self.concurrency, now.concurrency),
        };
        Some(quota).filter(|quota| quota != now)
    }
}

pub(super) fn main(common: &Common, args: &WorkspaceArgs) -> u8 {
    remote::run(common, &args.client, async |session| run(&session, &args.command).await)
}

async fn run(session: &Session, command: &WorkspaceCommand) -> Result<u8, Failure> {
    let Session { client, output } = session;
    match command {
        WorkspaceCommand::List { list } => {
            pages::list(session, list, async |page| client.workspaces(&page).await).await
        }
        WorkspaceCommand::Show { name } => Ok(output.item(&client.workspace(name).await?)),
        WorkspaceCommand::Set(args) => {
            let now = client.workspace(&args.name).await?;
            let quota = args.quota(&now.quota);
            let wanted = PutWorkspace { weight: args.weight, quota };
            Ok(output.item(&client.put_workspace(&args.name, &wanted).await?))
        }
    }
}

impl Row for Workspace {
    const KIND: &'static str = "workspace";
    const COLUMNS: &'static [&'static str] =
        &["name", "weight", "agents", "waiting", "in hand", "held back", "payload bytes", "submits/s"];

    fn id(&self) -> &str {
        &self.name
    }

    fn cells(&self, _: Timestamp) -> Vec<Cell> {
        let Self { quota, uses, .. } = self;
        let of = |has: u64, most: Option<u64>| match most {
            Some(most) => {
                Cell::toned(format!("{has}/{most}"), if has >= most { Tone::Busy } else { Tone::Plain })
            }
            None => has.to_string().into(),
        };
        vec![
            self.name.as_str().into(),
            self.weight.to_string().into(),
            of(uses.agents, quota.agents),
            of(uses.waiting, quota.waiting),
            of(uses.concurrency, quota.concurrency),
            uses.held_back.to_string().into(),
            of(uses.storage_bytes, quota.storage_bytes),
            quota.submits_per_second.map_or_else(|| "-".into(), |most| most.to_string().into()),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_named_stays_and_none_takes_a_bound_away() {
        let now = Quota { agents: Some(3), waiting: Some(9), ..Quota::default() };
        let args = SetArgs {
            name: "w".to_owned(),
            weight: None,
            agents: most("none").ok(),
            waiting: None,
            submits_per_second: most("5").ok(),
            storage: None,
            concurrency: None,
        };
        let expected = Quota { waiting: Some(9), submits_per_second: Some(5), ..Quota::default() };
        assert_eq!(args.quota(&now), Some(expected));
        let nothing = SetArgs { agents: None, submits_per_second: None, ..args };
        assert_eq!(nothing.quota(&now), None);
        assert!(most("many").is_err());
    }
}
