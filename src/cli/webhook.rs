//! `synod webhook`

use clap::{Args, Subcommand};
use synod_domain::time::Timestamp;

use super::Common;
use super::confirm::ConfirmArgs;
use super::output::{Cell, Row, Tone, age};
use super::pages::{self, ListArgs};
use super::print;
use super::remote::{self, ClientArgs, Failure, Session};
use crate::api::{
    ChangeWebhook, NewWebhook, RedeliverWebhook, RotateWebhook, Webhook, WebhookDelivery,
    WebhookDeliveryFilter, WebhookRetry, WebhookWithSecret,
};
use crate::period::Period;

#[derive(Debug, Args)]
pub(super) struct WebhookArgs {
    #[command(subcommand)]
    command: WebhookCommand,
    #[command(flatten)]
    client: ClientArgs,
}

#[derive(Debug, Subcommand)]
enum WebhookCommand {
    /// Make a webhook. Its secret is shown this once.
    Create {
        /// What people call it.
        name: String,
        /// Where its messages go: an https address that everybody can reach, unless the operator allows others.
        #[arg(long, value_name = "ADDRESS")]
        to: String,
        /// What it wants to be told: `approval_requested`, `budget_*`, `*`; apart by commas, or given several times. What
        /// asks for somebody or has gone wrong if left out.
        #[arg(long = "topic", value_name = "TOPIC", value_delimiter = ',')]
        topics: Vec<String>,
        /// The one workspace whose events it is told.
        #[arg(long, value_name = "NAME")]
        workspace: Option<String>,
        #[command(flatten)]
        retry: RetryArgs,
    },
    /// List webhooks with how they stand.
    List {
        #[command(flatten)]
        list: ListArgs,
    },
    /// Show a webhook: what it wants, what waits, why something was not taken.
    Show {
        #[command(flatten)]
        webhook: Which,
    },
    /// Change a webhook; what is left out stays.
    Change {
        #[command(flatten)]
        webhook: Which,
        /// What people call it.
        #[arg(long)]
        name: Option<String>,
        /// Where its messages go, those that wait included.
        #[arg(long, value_name = "ADDRESS")]
        to: Option<String>,
        /// What it wants to be told, in place of what it wanted.
        #[arg(long = "topic", value_name = "TOPIC", value_delimiter = ',')]
        topics: Vec<String>,
        #[command(flatten)]
        retry: RetryArgs,
    },
    /// Tell a webhook what happens, and what waits for it.
    Enable {
        #[command(flatten)]
        webhook: Which,
    },
    /// Tell a webhook nothing; what waits for it stays.
    Disable {
        #[command(flatten)]
        webhook: Which,
    },
    /// Have a message told that says nothing but that it comes.
    Test {
        #[command(flatten)]
        webhook: Which,
    },
    /// Give a webhook a new secret, which is shown this once.
    Rotate {
        #[command(flatten)]
        webhook: Which,
        /// How long messages are signed with the old secret too.
        #[arg(long, value_name = "PERIOD", default_value = "1d")]
        keep_old: Period,
    },
    /// List the messages that are still to be told or were given up.
    Deliveries {
        #[command(flatten)]
        webhook: Which,
        /// Those that are waiting or given_up.
        #[arg(long, value_name = "STATUS")]
        status: Option<String>,
        #[command(flatten)]
        list: ListArgs,
    },
    /// Try again at once what was given up or waits for its next try.
    Redeliver {
        #[command(flatten)]
        webhook: Which,
        /// One message, by its number; all that were given up if left out.
        #[arg(value_name = "SEQ")]
        seq: Option<u64>,
    },
    /// Remove a webhook with all that is still to be told it.
    Remove {
        #[command(flatten)]
        webhook: Which,
        #[command(flatten)]
        confirm: ConfirmArgs,
    },
}

#[derive(Debug, Args)]
struct Which {
    /// The webhook's id.
    #[arg(value_name = "WEBHOOK")]
    id: String,
}

#[derive(Debug, Args)]
struct RetryArgs {
    /// How often a message is tried until it is given up.
    #[arg(long, value_name = "N")]
    tries: Option<u32>,
    /// The wait after the first try; each is twice as long as the one before.
    #[arg(long, value_name = "PERIOD")]
    first_wait: Option<Period>,
    /// The longest wait.
    #[arg(long, value_name = "PERIOD")]
    longest_wait: Option<Period>,
}

impl RetryArgs {
    /// Returns what was asked for over what holds; nothing when nothing was.
    fn over(&self, known: WebhookRetry) -> Option<WebhookRetry> {
        let millis = |period: &Option<Period>, known| period.as_ref().map_or(known, millis);
        let wanted = WebhookRetry {
            tries: self.tries.unwrap_or(known.tries),
            first_wait_ms: millis(&self.first_wait, known.first_wait_ms),
            longest_wait_ms: millis(&self.longest_wait, known.longest_wait_ms),
        };
        (wanted != known).then_some(wanted)
    }
}

fn millis(period: &Period) -> u64 {
    u64::try_from(period.0.as_millis()).unwrap_or(u64::MAX)
}

pub(super) fn main(common: &Common, args: &WebhookArgs) -> u8 {
    remote::run(common, &args.client, async |session| run(&session, &args.command).await)
}

async fn run(session: &Session, command: &WebhookCommand) -> Result<u8, Failure> {
    let Session { client, output } = session;
    match command {
        WebhookCommand::Create { name, to, topics, workspace, retry } => {
            let new = NewWebhook {
                name: name.clone(),
                url: to.clone(),
                topics: topics.clone(),
                workspace: workspace.clone(),
                enabled: None,
                retry: retry.over(WebhookRetry::default()),
            };
            Ok(show(session, &client.create_webhook(&new).await?))
        }
        WebhookCommand::List { list } => {
            pages::list(session, list, async |page| client.webhooks(&page).await).await
        }
        WebhookCommand::Show { webhook } => Ok(output.item(&client.webhook(&webhook.id).await?)),
        WebhookCommand::Change { webhook, name, to, topics, retry } => {
            let known = client.webhook(&webhook.id).await?;
            let change = ChangeWebhook {
                name: name.clone(),
                url: to.clone(),
                topics: (!topics.is_empty()).then(|| topics.clone()),
                enabled: None,
                retry: retry.over(known.retry),
            };
            Ok(output.item(&client.change_webhook(&webhook.id, &change).await?))
        }
        WebhookCommand::Enable { webhook } => toggle(session, webhook, true).await,
        WebhookCommand::Disable { webhook } => toggle(session, webhook, false).await,
        WebhookCommand::Test { webhook } => Ok(output.item(&client.test_webhook(&webhook.id).await?)),
        WebhookCommand::Rotate { webhook, keep_old } => {
            let rotate = RotateWebhook { keep_old_ms: millis(keep_old) };
            Ok(show(session, &client.rotate_webhook(&webhook.id, &rotate).await?))
        }
        WebhookCommand::Deliveries { webhook, status, list } => {
            let filter = WebhookDeliveryFilter { status: status.clone() };
            let deliveries = async |page| client.webhook_deliveries(&webhook.id, &filter, &page).await;
            pages::list(session, list, deliveries).await
        }
        WebhookCommand::Redeliver { webhook, seq } => {
            let which = RedeliverWebhook { seq: *seq };
            Ok(output.item(&client.redeliver_webhook(&webhook.id, &which).await?))
        }
        WebhookCommand::Remove { webhook, confirm } => {
            let found = client.webhook(&webhook.id).await?;
            let what = format!("webhook {} ({}), {} messages wait", found.name, found.id, found.waiting);
            if confirm.dry_run {
                return Ok(output.done("webhook_removal", &found.id, &format!("would remove {what}")));
            }
            confirm.ask(&format!("Remove {what}"))?;
            client.remove_webhook(&found.id).await?;
            Ok(output.done("webhook_removal", &found.id, &format!("removed: {what}")))
        }
    }
}

async fn toggle(session: &Session, webhook: &Which, enabled: bool) -> Result<u8, Failure> {
    let change = ChangeWebhook { enabled: Some(enabled), ..ChangeWebhook::default() };
    Ok(session.output.item(&session.client.change_webhook(&webhook.id, &change).await?))
}

/// Shows a new secret: alone on standard output for a person, so that it can be put into a file.
fn show(session: &Session, made: &WebhookWithSecret) -> u8 {
    if session.output.is_quiet() {
        return print::result(&made.secret, super::exit::OK);
    }
    if session.output.is_for_people() {
        print::note(&format!(
            "webhook {} ({}); its secret is not shown again:",
            print::harmless(&made.webhook.name),
            made.webhook.id
        ));
        return print::result(&made.secret, super::exit::OK);
    }
    session.output.one("webhook_with_secret", &made.webhook.id, made)
}

impl Row for Webhook {
    const KIND: &'static str = "webhook";
    const COLUMNS: &'static [&'static str] =
        &["id", "name", "status", "waiting", "given up", "dropped", "told", "topics", "last failure"];

    fn id(&self) -> &str {
        &self.id
    }

    fn cells(&self, now: Timestamp) -> Vec<Cell> {
        let status = match self.status.as_str() {
            "failing" => Cell::toned(&self.status, Tone::Bad),
            _ => self.status.as_str().into(),
        };
        let failure = self.failure.as_ref().map_or("-", |failure| failure.reason.as_str());
        vec![
            self.id.as_str().into(),
            self.name.as_str().into(),
            status,
            self.waiting.to_string().into(),
            self.given_up.to_string().into(),
            self.dropped.to_string().into(),
            age(now, self.delivered_at.as_deref()).into(),
            print::first_line(&self.topics.join(","), 40).into(),
            print::first_line(failure, 60).into(),
        ]
    }
}

impl Row for WebhookDelivery {
    const KIND: &'static str = "webhook_delivery";
    const COLUMNS: &'static [&'static str] =
        &["seq", "status", "topic", "subject", "tries", "next try", "last failure"];

    fn id(&self) -> &str {
        &self.message_id
    }

    fn cells(&self, _: Timestamp) -> Vec<Cell> {
        let status = match self.status.as_str() {
            "given_up" => Cell::toned(&self.status, Tone::Bad),
            _ => self.status.as_str().into(),
        };
        let failure = self.failure.as_ref().map_or("-", |failure| failure.reason.as_str());
        vec![
            self.seq.to_string().into(),
            status,
            self.topic.as_str().into(),
            print::first_line(self.subject.as_deref().unwrap_or("-"), 40).into(),
            self.tries.to_string().into(),
            self.next_try_at.as_deref().unwrap_or("-").into(),
            print::first_line(failure, 60).into(),
        ]
    }
}
