//! `synod approval`

use clap::{Args, Subcommand};
use synod_domain::time::Timestamp;

use super::Common;
use super::output::{Cell, Row, Tone, age};
use super::pages::{self, ListArgs};
use super::remote::{self, ClientArgs, Failure, Session};
use crate::api::{Approval, ApprovalFilter};

#[derive(Debug, Args)]
pub(super) struct ApprovalArgs {
    #[command(subcommand)]
    command: ApprovalCommand,
    #[command(flatten)]
    client: ClientArgs,
}

#[derive(Debug, Subcommand)]
enum ApprovalCommand {
    /// List the approvals that are waited for, or those in another status.
    List {
        /// pending, approved, denied, expired, withdrawn or all.
        #[arg(long, value_name = "STATUS", default_value = "pending")]
        status: String,
        /// Those to which this token may say something, by its name or id; `me` for your own.
        #[arg(long, value_name = "TOKEN")]
        approver: Option<String>,
        #[command(flatten)]
        list: ListArgs,
    },
    /// Show an approval: what is to be done, who may agree, what was said.
    Show {
        /// Its id.
        approval: String,
    },
    /// Say yes.
    Approve {
        /// Its id.
        approval: String,
        /// Why, for whoever looks at it later.
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
    },
    /// Say no; one no is enough.
    Deny {
        /// Its id.
        approval: String,
        /// Why, for whoever looks at it later.
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
    },
}

pub(super) fn main(common: &Common, args: &ApprovalArgs) -> u8 {
    remote::run(common, &args.client, async |session| run(&session, &args.command).await)
}

async fn run(session: &Session, command: &ApprovalCommand) -> Result<u8, Failure> {
    let Session { client, output } = session;
    match command {
        ApprovalCommand::List { status, approver, list } => {
            let status = Some(status.clone()).filter(|status| status != "all");
            let filter = ApprovalFilter { status, approver: approver.clone() };
            pages::list(session, list, async |page| client.approvals(&filter, &page).await).await
        }
        ApprovalCommand::Show { approval } => Ok(output.item(&client.approval(approval).await?)),
        ApprovalCommand::Approve { approval, reason } => {
            Ok(output.item(&client.say_to_approval(approval, true, reason.clone()).await?))
        }
        ApprovalCommand::Deny { approval, reason } => {
            Ok(output.item(&client.say_to_approval(approval, false, reason.clone()).await?))
        }
    }
}

impl Row for Approval {
    const KIND: &'static str = "approval";
    const COLUMNS: &'static [&'static str] =
        &["id", "status", "action", "workspace", "agreed", "asked", "reason"];

    fn id(&self) -> &str {
        &self.id
    }

    fn cells(&self, now: Timestamp) -> Vec<Cell> {
        let status = match self.status.as_str() {
            "denied" | "expired" => Cell::toned(&self.status, Tone::Bad),
            other => other.into(),
        };
        vec![
            self.id.as_str().into(),
            status,
            self.action.as_str().into(),
            self.workspace.as_deref().unwrap_or("-").into(),
            format!("{} of {}", self.agreed, self.quorum).into(),
            age(now, Some(&self.requested_at)).into(),
            self.reason.as_str().into(),
        ]
    }
}
