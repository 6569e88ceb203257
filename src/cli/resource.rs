//! `synod resource`

use clap::{Args, Subcommand};
use synod_domain::time::Timestamp;

use super::Common;
use super::output::{Cell, Row, Tone, age};
use super::pages::{self, ListArgs};
use super::remote::{self, ClientArgs, Failure, Session};
use crate::api::{PutResource, Resource, ResourceShare};

#[derive(Debug, Args)]
pub(super) struct ResourceArgs {
    #[command(subcommand)]
    command: ResourceCommand,
    #[command(flatten)]
    client: ClientArgs,
}

#[derive(Debug, Subcommand)]
enum ResourceCommand {
    /// Make a resource or change how much of it there is. What tasks have stays theirs.
    Put {
        /// What it is called.
        name: String,
        /// How much of it there is.
        #[arg(long, value_name = "N")]
        capacity: u64,
        /// What it is, for people.
        #[arg(long, value_name = "TEXT", default_value = "")]
        about: String,
    },
    /// List the resources: how much there is, how much is in use, how many tasks wait.
    List {
        #[command(flatten)]
        list: ListArgs,
    },
    /// Show who has a resource.
    Show {
        /// The resource.
        name: String,
    },
    /// Show who waits for a resource, the next first.
    Line {
        /// The resource.
        name: String,
    },
    /// Remove a resource that nobody has or waits for.
    Remove {
        /// The resource.
        name: String,
    },
}

pub(super) fn main(common: &Common, args: &ResourceArgs) -> u8 {
    remote::run(common, &args.client, async |session| run(&session, &args.command).await)
}

async fn run(session: &Session, command: &ResourceCommand) -> Result<u8, Failure> {
    let Session { client, output } = session;
    match command {
        ResourceCommand::Put { name, capacity, about } => {
            let wanted = PutResource { capacity: *capacity, about: about.clone() };
            Ok(output.item(&client.put_resource(name, &wanted).await?))
        }
        ResourceCommand::List { list } => {
            pages::list(session, list, async |page| client.resources(&page).await).await
        }
        ResourceCommand::Show { name } => Ok(output.list(&client.resource(name).await?.holders, None)),
        ResourceCommand::Line { name } => Ok(output.list(&client.resource(name).await?.line, None)),
        ResourceCommand::Remove { name } => {
            client.remove_resource(name).await?;
            Ok(output.done("resource", name, &format!("removed: resource {name}")))
        }
    }
}

impl Row for Resource {
    const KIND: &'static str = "resource";
    const COLUMNS: &'static [&'static str] = &["name", "capacity", "in use", "waiting", "about", "age"];

    fn id(&self) -> &str {
        &self.name
    }

    fn cells(&self, now: Timestamp) -> Vec<Cell> {
        let tone = if self.waiting > 0 { Tone::Busy } else { Tone::Plain };
        vec![
            self.name.as_str().into(),
            self.capacity.to_string().into(),
            self.in_use.to_string().into(),
            Cell::toned(self.waiting.to_string(), tone),
            if self.about.is_empty() { "-".into() } else { self.about.as_str().into() },
            age(now, Some(&self.created_at)).into(),
        ]
    }
}

impl Row for ResourceShare {
    const KIND: &'static str = "resource_share";
    const COLUMNS: &'static [&'static str] = &["task", "amount"];

    fn id(&self) -> &str {
        &self.task_id
    }

    fn cells(&self, _: Timestamp) -> Vec<Cell> {
        vec![self.task_id.as_str().into(), self.amount.to_string().into()]
    }
}
