//! `synod role`

use clap::{Args, Subcommand};
use synod_domain::time::Timestamp;

use super::Common;
use super::output::{Cell, Row};
use super::pages::{self, ListArgs};
use super::print;
use super::remote::{self, ClientArgs, Failure, Session};
use crate::api::{Ownership, PutRole, Role, RoleBinding};

#[derive(Debug, Args)]
pub(super) struct RoleArgs {
    #[command(subcommand)]
    command: RoleCommand,
    #[command(flatten)]
    client: ClientArgs,
}

#[derive(Debug, Subcommand)]
enum RoleCommand {
    /// List roles and what they allow.
    List {
        #[command(flatten)]
        list: ListArgs,
    },
    /// Make a role, or change what it allows.
    Put {
        /// Its name.
        name: String,
        /// What it allows, apart by commas: tasks:read, a group such as tasks:*, or *.
        #[arg(required = true, value_delimiter = ',')]
        permissions: Vec<String>,
    },
    /// Remove a role and its bindings.
    Remove {
        /// Its name.
        name: String,
    },
    /// List to whom roles are bound.
    Bindings {
        #[command(flatten)]
        list: ListArgs,
    },
    /// Bind a role to a token, or to all tokens of a name.
    Bind(BindArgs),
    /// End a binding.
    Unbind(BindArgs),
    /// List which pools and agents were given to a workspace.
    Owners {
        #[command(flatten)]
        list: ListArgs,
    },
    /// Give a pool or an agent to a workspace, or back to everybody.
    Give {
        #[command(flatten)]
        what: WhatArgs,
        /// The workspace; everybody's if left out.
        #[arg(long, value_name = "WORKSPACE")]
        workspace: Option<String>,
    },
}

#[derive(Debug, Args)]
struct BindArgs {
    /// The role.
    role: String,
    #[command(flatten)]
    subject: SubjectArgs,
    /// For tokens of this workspace alone.
    #[arg(long, value_name = "WORKSPACE")]
    workspace: Option<String>,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct SubjectArgs {
    /// To the token of this id.
    #[arg(long = "to-token", value_name = "ID")]
    token: Option<String>,
    /// To every token of this name.
    #[arg(long = "to-name", value_name = "NAME")]
    name: Option<String>,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct WhatArgs {
    /// The pool, its agents with it.
    #[arg(long, value_name = "POOL")]
    pool: Option<String>,
    /// The agent, by id or name.
    #[arg(long, value_name = "AGENT")]
    agent: Option<String>,
}

impl BindArgs {
    fn binding(&self) -> RoleBinding {
        RoleBinding {
            role: self.role.clone(),
            token: self.subject.token.clone(),
            name: self.subject.name.clone(),
            workspace: self.workspace.clone(),
        }
    }
}

pub(super) fn main(common: &Common, args: &RoleArgs) -> u8 {
    remote::run(common, &args.client, async |session| run(&session, &args.command).await)
}

async fn run(session: &Session, command: &RoleCommand) -> Result<u8, Failure> {
    let Session { client, output } = session;
    match command {
        RoleCommand::List { list } => {
            pages::list(session, list, async |page| client.roles(&page).await).await
        }
        RoleCommand::Put { name, permissions } => {
            let role = PutRole { permissions: permissions.clone() };
            Ok(output.item(&client.put_role(name, &role).await?))
        }
        RoleCommand::Remove { name } => {
            client.remove_role(name).await?;
            Ok(output.done("role_removal", name, &format!("removed: role {name}")))
        }
        RoleCommand::Bindings { list } => {
            pages::list(session, list, async |page| client.role_bindings(&page).await).await
        }
        RoleCommand::Bind(args) => Ok(output.item(&client.bind_role(&args.binding()).await?)),
        RoleCommand::Unbind(args) => {
            client.unbind_role(&args.binding()).await?;
            Ok(output.done("role_unbinding", &args.role, &format!("unbound: role {}", args.role)))
        }
        RoleCommand::Owners { list } => {
            pages::list(session, list, async |page| client.ownerships(&page).await).await
        }
        RoleCommand::Give { what, workspace } => {
            let given = Ownership {
                pool: what.pool.clone(),
                agent: what.agent.clone(),
                workspace: workspace.clone(),
            };
            Ok(output.item(&client.put_ownership(&given).await?))
        }
    }
}

impl Row for Role {
    const KIND: &'static str = "role";
    const COLUMNS: &'static [&'static str] = &["name", "built in", "permissions"];

    fn id(&self) -> &str {
        &self.name
    }

    fn cells(&self, _: Timestamp) -> Vec<Cell> {
        let built_in = if self.built_in { "yes" } else { "-" };
        vec![
            self.name.as_str().into(),
            built_in.into(),
            print::first_line(&self.permissions.join(","), 80).into(),
        ]
    }
}

impl Row for RoleBinding {
    const KIND: &'static str = "role_binding";
    const COLUMNS: &'static [&'static str] = &["role", "token", "name", "workspace"];

    fn id(&self) -> &str {
        &self.role
    }

    fn cells(&self, _: Timestamp) -> Vec<Cell> {
        let or_none = |text: &Option<String>| Cell::from(text.as_deref().unwrap_or("-"));
        vec![self.role.as_str().into(), or_none(&self.token), or_none(&self.name), or_none(&self.workspace)]
    }
}

impl Row for Ownership {
    const KIND: &'static str = "ownership";
    const COLUMNS: &'static [&'static str] = &["pool", "agent", "workspace"];

    fn id(&self) -> &str {
        self.pool.as_deref().or(self.agent.as_deref()).unwrap_or_default()
    }

    fn cells(&self, _: Timestamp) -> Vec<Cell> {
        let or_none = |text: &Option<String>| Cell::from(text.as_deref().unwrap_or("-"));
        vec![or_none(&self.pool), or_none(&self.agent), or_none(&self.workspace)]
    }
}
