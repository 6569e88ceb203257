//! `synod policy`

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use synod_domain::time::Timestamp;

use super::Common;
use super::output::{Cell, Output, Row, Tone, age};
use super::pages::{self, ListArgs};
use super::print;
use super::remote::{self, ClientArgs, Failure, Session};
use crate::api::{
    DryRun, DryRunChange, DryRunReport, Evaluate, NewPolicy, Policy, PolicyDefaults, SettleViolation,
    Violation, ViolationFilter,
};
use crate::client::Error;

#[derive(Debug, Args)]
pub(super) struct PolicyArgs {
    #[command(subcommand)]
    command: PolicyCommand,
    #[command(flatten)]
    client: ClientArgs,
}

#[derive(Debug, Subcommand)]
enum PolicyCommand {
    /// List policies, by name.
    List {
        #[command(flatten)]
        list: ListArgs,
    },
    /// Show a policy.
    Show {
        /// Its name.
        policy: String,
    },
    /// Make a policy, or change it, from a file (.yaml or .json); `-` reads standard input.
    Put {
        /// The file.
        file: PathBuf,
    },
    /// Remove a policy.
    Remove {
        /// Its name.
        policy: String,
    },
    /// Let a policy be asked.
    Enable {
        /// Its name.
        policy: String,
    },
    /// Let a policy be as if it were not there.
    Disable {
        /// Its name.
        policy: String,
    },
    /// Show or set what holds where no rule matches.
    Defaults {
        /// Whether tools are allowed.
        #[arg(long, value_name = "BOOL")]
        tools: Option<bool>,
        /// Whether tasks are taken in.
        #[arg(long, value_name = "BOOL")]
        tasks: Option<bool>,
        /// Whether everything else is allowed.
        #[arg(long, value_name = "BOOL")]
        others: Option<bool>,
    },
    /// Ask what policies say to an action; nothing is noted and nobody is asked.
    Check {
        /// The action, such as tool.shell.execute.
        action: String,
        /// What is said of it: NAME=VALUE, where VALUE is JSON or a text.
        #[arg(long = "attribute", short = 'a', value_name = "NAME=VALUE")]
        attributes: Vec<String>,
        /// In the name of this agent.
        #[arg(long, value_name = "AGENT")]
        agent: Option<String>,
        /// For this task.
        #[arg(long, value_name = "TASK")]
        task: Option<String>,
        /// Of this workspace.
        #[arg(long, value_name = "WORKSPACE")]
        workspace: Option<String>,
    },
    /// Try policies on the tasks and approvals on record: what would come out otherwise; nothing is changed.
    DryRun {
        /// Files with one policy each (.yaml or .json), as for put.
        #[arg(required_unless_present_any = ["without", "replace"])]
        files: Vec<PathBuf>,
        /// As if there were none but those of the files.
        #[arg(long)]
        replace: bool,
        /// As if this policy were not there; may be given several times.
        #[arg(long, value_name = "POLICY")]
        without: Vec<String>,
        /// How many tasks are looked at, the latest first.
        #[arg(long, value_name = "N")]
        tasks: Option<u32>,
    },
    /// List violations, oldest first.
    Violations {
        /// In this status: open, investigating, resolved, false_positive, overridden.
        #[arg(long, value_name = "STATUS")]
        status: Option<String>,
        /// Of this policy.
        #[arg(long, value_name = "POLICY")]
        policy: Option<String>,
        #[command(flatten)]
        list: ListArgs,
    },
    /// Say what becomes of a violation; `overridden` lets what a soft policy denied pass for an hour.
    Settle {
        /// Its id.
        violation: String,
        /// resolved, false_positive, investigating, open or overridden.
        status: String,
        /// Why.
        #[arg(long, value_name = "TEXT")]
        note: Option<String>,
    },
}

pub(super) fn main(common: &Common, args: &PolicyArgs) -> u8 {
    remote::run(common, &args.client, async |session| run(&session, &args.command).await)
}

async fn run(session: &Session, command: &PolicyCommand) -> Result<u8, Failure> {
    let Session { client, output } = session;
    match command {
        PolicyCommand::List { list } => {
            pages::list(session, list, async |page| client.policies(&page).await).await
        }
        PolicyCommand::Show { policy } => Ok(output.item(&client.policy(policy).await?)),
        PolicyCommand::Put { file } => Ok(output.item(&client.put_policy(&read(file)?).await?)),
        PolicyCommand::Remove { policy } => {
            client.remove_policy(policy).await?;
            Ok(output.done("policy", policy, &format!("removed: policy {policy}")))
        }
        PolicyCommand::Enable { policy } => Ok(output.item(&client.toggle_policy(policy, true).await?)),
        PolicyCommand::Disable { policy } => Ok(output.item(&client.toggle_policy(policy, false).await?)),
        PolicyCommand::Defaults { tools, tasks, others } => {
            let known = client.policy_defaults().await?;
            let wanted = PolicyDefaults {
                tools: tools.unwrap_or(known.tools),
                tasks: tasks.unwrap_or(known.tasks),
                others: others.unwrap_or(known.others),
            };
            let now = if wanted == known { known } else { client.set_policy_defaults(&wanted).await? };
            Ok(output.one("policy_defaults", "defaults", &now))
        }
        PolicyCommand::Check { action, attributes, agent, task, workspace } => {
            let question = Evaluate {
                action: action.clone(),
                attributes: attributes.iter().map(|text| said(text)).collect::<Result<_, _>>()?,
                agent_id: agent.clone(),
                task_id: task.clone(),
                workspace: workspace.clone(),
                dry: true,
                ..Evaluate::default()
            };
            Ok(output.one("decision", action, &client.evaluate(&question).await?))
        }
        PolicyCommand::DryRun { files, replace, without, tasks } => {
            let trial = DryRun {
                policies: files.iter().map(|file| read(file)).collect::<Result<_, _>>()?,
                removed: without.clone(),
                replace: *replace,
                defaults: None,
                tasks: *tasks,
            };
            Ok(tell(output, &client.dry_run_policies(&trial).await?))
        }
        PolicyCommand::Violations { status, policy, list } => {
            let filter = ViolationFilter { policy: policy.clone(), status: status.clone(), workspace: None };
            pages::list(session, list, async |page| client.violations(&filter, &page).await).await
        }
        PolicyCommand::Settle { violation, status, note } => {
            let settle = SettleViolation { status: status.clone(), note: note.clone() };
            Ok(output.item(&client.settle_violation(violation, &settle).await?))
        }
    }
}

/// Tells what would come out otherwise: everything to programs, a table and what it says to people.
fn tell(output: &Output, report: &DryRunReport) -> u8 {
    if output.is_json() {
        return output.one("dry_run", "policies", report);
    }
    let code = output.list(&report.changes, None);
    if output.is_for_people() {
        let DryRunReport { tasks, approvals, questions, changed, .. } = report;
        print::note(&format!(
            "{changed} of {questions} questions would come out otherwise; looked at {tasks} tasks and {approvals} approvals"
        ));
    }
    code
}

/// Reads a policy from a file. YAML reads JSON as well.
fn read(file: &Path) -> Result<NewPolicy, Failure> {
    let wrong = |why: String| Failure::from(Error::Setup(format!("{}: {why}", file.display())));
    let text = if file == Path::new("-") {
        std::io::read_to_string(std::io::stdin())
    } else {
        std::fs::read_to_string(file)
    };
    let text = text.map_err(|error| wrong(error.to_string()))?;
    serde_saphyr::from_str(&text).map_err(|error| wrong(error.to_string()))
}

fn said(text: &str) -> Result<(String, serde_json::Value), Failure> {
    let Some((name, value)) = text.split_once('=') else {
        return Err(Error::Setup(format!("{text:?} is not NAME=VALUE")).into());
    };
    let value = serde_json::from_str(value).unwrap_or_else(|_| value.into());
    Ok((name.to_owned(), value))
}

impl Row for DryRunChange {
    const KIND: &'static str = "dry_run_change";
    const COLUMNS: &'static [&'static str] =
        &["action", "about", "age", "workspace", "now", "then", "because"];

    fn id(&self) -> &str {
        self.approval_id.as_deref().or(self.task_id.as_deref()).unwrap_or(&self.action)
    }

    fn cells(&self, now: Timestamp) -> Vec<Cell> {
        let by = self.after.policy.as_deref().map(|policy| format!("{policy}: ")).unwrap_or_default();
        vec![
            self.action.as_str().into(),
            self.id().into(),
            age(now, Some(&self.at)).into(),
            self.workspace.as_deref().unwrap_or("-").into(),
            self.before.decision.as_str().into(),
            self.after.decision.as_str().into(),
            format!("{by}{}", self.after.reason).into(),
        ]
    }
}

impl Row for Policy {
    const KIND: &'static str = "policy";
    const COLUMNS: &'static [&'static str] =
        &["name", "priority", "version", "enabled", "enforcement", "rules", "changed"];

    fn id(&self) -> &str {
        &self.spec.name
    }

    fn cells(&self, now: Timestamp) -> Vec<Cell> {
        vec![
            self.spec.name.as_str().into(),
            self.spec.priority.to_string().into(),
            self.version.to_string().into(),
            if self.spec.enabled == Some(false) { Cell::toned("no", Tone::Bad) } else { "yes".into() },
            self.spec.enforcement.as_deref().unwrap_or("hard").into(),
            self.spec.rules.len().to_string().into(),
            age(now, Some(&self.changed_at)).into(),
        ]
    }
}

impl Row for Violation {
    const KIND: &'static str = "violation";
    const COLUMNS: &'static [&'static str] =
        &["id", "policy", "action", "subject", "count", "status", "last", "reason"];

    fn id(&self) -> &str {
        &self.id
    }

    fn cells(&self, now: Timestamp) -> Vec<Cell> {
        vec![
            self.id.as_str().into(),
            self.policy.as_deref().unwrap_or("-").into(),
            self.action.as_str().into(),
            self.subject.as_str().into(),
            self.count.to_string().into(),
            self.status.as_str().into(),
            age(now, Some(&self.last_at)).into(),
            self.reason.as_str().into(),
        ]
    }
}
