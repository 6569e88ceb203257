//! Makes the webhooks of a plan, or changes those that are there under their names. Who runs a plan where nobody outside is
//! to be told leaves it out.
//!
//! A secret is drawn once, when a webhook is made, and kept where the file says. It comes to the disk before the webhook is
//! agreed where both are made here: the other way round a crash in between would leave one whose secret nobody knows.

use std::sync::Arc;

use synod_domain::command::Command;
use synod_domain::name::Name;
use synod_domain::refusal::Refusal;
use synod_domain::webhook::WebhookCommand;

use crate::api::{ChangeWebhook, PageQuery, Webhook};
use crate::client::Client;
use crate::fleet::WebhookPlan;
use crate::http::native::webhook_of;
use crate::http::tls;
use crate::node::{self, Node};
use crate::run::{Error, RemoteRun, Run};
use crate::webhooks::secret_text;

impl Run {
    /// Makes the webhooks of the plan, or changes those that are there.
    ///
    /// # Errors
    /// When messages may not go there, a secret cannot be written, or the node does not take it.
    pub async fn put_webhooks(&self, node: &Node) -> Result<(), Error> {
        for plan in &self.plan.governing.webhooks {
            put_here(node, &self.plan.name, plan).await?;
        }
        Ok(())
    }
}

impl RemoteRun {
    /// Makes the webhooks of the plan, or changes those that are there.
    ///
    /// # Errors
    /// When messages may not go there, a secret cannot be written, no node takes it, or the token does not allow it.
    pub async fn put_webhooks(&self) -> Result<(), Error> {
        for plan in &self.plan.governing.webhooks {
            put_there(self.client(), plan).await?;
        }
        Ok(())
    }
}

async fn put_here(node: &Node, fleet: &Name, plan: &WebhookPlan) -> Result<(), Error> {
    let wanted = &plan.webhook;
    let known = node.read(|state| {
        let named = state.outboxes().find(|one| one.webhook.spec.name.as_str() == wanted.name);
        named.map(|one| one.webhook.spec.clone())
    });
    let id = known.as_ref().map_or_else(|| node.new_webhook_id(), |known| known.id);
    let owner = known.as_ref().map_or_else(|| format!("fleet {fleet}"), |known| known.owner.to_string());
    let mut spec = webhook_of(id, &owner, node.webhook_rules(), wanted)
        .map_err(|problem| refused(plan, "url", problem.detail().to_owned()))?;
    // Somebody may have turned it off.
    spec.enabled = known.as_ref().is_none_or(|known| known.enabled);
    let command = match known {
        Some(known) if known == spec => return Ok(()),
        Some(_) => WebhookCommand::Change { spec: Arc::new(spec) },
        None => {
            let secret = node.new_webhook_secret();
            keep(plan, &secret_text(&secret))?;
            WebhookCommand::Put { spec: Arc::new(spec), secret }
        }
    };
    node.propose(Command::Webhook(command)).await?;
    Ok(())
}

async fn put_there(client: &Client, plan: &WebhookPlan) -> Result<(), Error> {
    let wanted = &plan.webhook;
    let Some(known) = find(client, &wanted.name).await? else {
        let made = client.create_webhook(wanted).await?;
        // It is made: whoever runs the file again without the secret gets another with `synod webhook rotate`.
        return keep(plan, &made.secret);
    };
    // It stands there as it was read.
    let url = reqwest::Url::parse(&wanted.url).map_or_else(|_| wanted.url.clone(), String::from);
    let equal = known.url == url
        && (wanted.topics.is_empty() || known.topics == wanted.topics)
        && known.retry == wanted.retry.unwrap_or_default();
    if known.workspace != wanted.workspace {
        let why = "there is one of that name for another workspace; remove it, or call this one otherwise";
        return Err(refused(plan, "workspace", why.to_owned()));
    }
    if !equal {
        let change = ChangeWebhook {
            url: Some(wanted.url.clone()),
            topics: Some(wanted.topics.clone()).filter(|topics| !topics.is_empty()),
            retry: Some(wanted.retry.unwrap_or_default()),
            ..ChangeWebhook::default()
        };
        client.change_webhook(&known.id, &change).await?;
    }
    Ok(())
}

/// Finds the webhook of a name; the oldest of several.
async fn find(client: &Client, name: &str) -> Result<Option<Webhook>, Error> {
    let mut page = PageQuery::default();
    loop {
        let found = client.webhooks(&page).await?;
        if let Some(one) = found.items.into_iter().find(|one| one.name == name) {
            return Ok(Some(one));
        }
        match found.next_cursor {
            Some(cursor) => page.cursor = Some(cursor),
            None => return Ok(None),
        }
    }
}

/// Writes a secret where the file says, if it does.
fn keep(plan: &WebhookPlan, secret: &str) -> Result<(), Error> {
    let Some(file) = &plan.secret_file else { return Ok(()) };
    tls::write(file, format!("{secret}\n").as_bytes(), true).map_err(|error| {
        let name = &plan.webhook.name;
        let help = format!("`synod webhook rotate {name}` shows another if the webhook is there");
        refused(plan, "secret_file", format!("{} cannot be written: {error}; {help}", file.display()))
    })
}

fn refused(plan: &WebhookPlan, field: &str, why: String) -> Error {
    let field = format!("webhooks.{}.{field}", plan.webhook.name);
    node::Error::Refused(Refusal::Invalid { field, why }).into()
}
