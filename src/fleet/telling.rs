//! Breakers and webhooks of a plan: what is left alone when it fails, and who is told.
//!
//! A breaker of a pool is for the pool of this file. One of a type is for all tasks of that type, whosever, and so is
//! said of an entry of this file only. A webhook carries the fleet's name and tells of whatever happens under its topics.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::check::Check;
use super::file::{BreakerShape, FleetShape, WebhookShape};
use super::governing::{millis, of_fleet};
use super::source::Fault;
use super::suggest;
use super::tree::Place;
use crate::api;

/// A webhook, and where its secret goes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookPlan {
    /// The webhook, as it is sent to a node.
    pub webhook: api::NewWebhook,
    /// The file that the secret is written to when it is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_file: Option<PathBuf>,
}

/// Returns the breakers of a file, by what they are about on a node. Those that name nothing were refused.
pub(super) fn breakers(shape: &FleetShape) -> BTreeMap<String, api::PutBreaker> {
    let known = shape.breakers.iter();
    known.filter_map(|(of, one)| Some((about(shape, of).ok()?, breaker(one)))).collect()
}

/// Returns the webhooks of a file that lies in the folder `dir`.
pub(super) fn webhooks(shape: &FleetShape, dir: &str) -> Vec<WebhookPlan> {
    let plan = |one: &WebhookShape, name: String| WebhookPlan {
        webhook: webhook(one, name),
        secret_file: one.secret_file.as_ref().map(|file| Path::new(dir).join(file)),
    };
    shape.webhooks.iter().map(|(name, one)| plan(one, of_fleet(shape, name).to_string())).collect()
}

/// Returns what a breaker is about on a node.
fn about(shape: &FleetShape, of: &str) -> Result<String, Fault> {
    let unknown = |what: &str, plural: &str, name: &str, known: Vec<&str>| {
        let help = suggest::help(name, &format!("{plural} of this file"), known.iter().copied());
        Err(Fault::new(format!("there is no {what} `{name}`")).help(help))
    };
    match of.split_once('/') {
        Some(("pool", pool)) if shape.pools.contains_key(pool) => Ok(format!("pool/{}/{pool}", shape.name)),
        Some(("pool", pool)) => {
            unknown("pool", "pools", pool, shape.pools.keys().map(|name| name.as_str()).collect())
        }
        Some(("type", kind)) if shape.tasks.iter().any(|task| task.name.as_str() == kind) => {
            Ok(of.to_owned())
        }
        Some(("type", kind)) => {
            unknown("entry", "entries", kind, shape.tasks.iter().map(|task| task.name.as_str()).collect())
        }
        Some(_) | None => Err(Fault::new(format!("`{of}` says not what the breaker is about"))
            .help("write `pool/NAME` with a pool of this file, or `type/NAME` with an entry of it")),
    }
}

fn breaker(breaker: &BreakerShape) -> api::PutBreaker {
    api::PutBreaker {
        failures: breaker.failures,
        rate_percent: breaker.rate_percent,
        window: breaker.window,
        at_least: breaker.at_least,
        open_for_ms: breaker.open_for.map(millis),
        open_max_ms: breaker.open_max.map(millis),
        probes: breaker.probes,
    }
}

fn webhook(webhook: &WebhookShape, name: String) -> api::NewWebhook {
    let default = api::WebhookRetry::default();
    let retry = api::WebhookRetry {
        tries: webhook.tries.unwrap_or(default.tries),
        first_wait_ms: webhook.first_wait.map_or(default.first_wait_ms, millis),
        longest_wait_ms: webhook.longest_wait.map_or(default.longest_wait_ms, millis),
    };
    api::NewWebhook {
        name,
        url: webhook.url.clone(),
        topics: webhook.topics.clone(),
        workspace: webhook.workspace.as_ref().map(ToString::to_string),
        enabled: None,
        retry: (retry != default).then_some(retry),
    }
}

impl Check<'_> {
    /// Checks breakers and webhooks: as the node will, but for where messages may go, which its settings say.
    pub(super) fn telling(&mut self) {
        let shape = self.shape;
        for (of, one) in &shape.breakers {
            let at = Place::top("breakers").key(of);
            let of = match about(shape, of) {
                Ok(of) => of,
                Err(fault) => {
                    self.key_fault(&at, fault);
                    continue;
                }
            };
            match crate::http::native::breaker_of(&of, &breaker(one)) {
                Ok(spec) => self.soundness(&at, spec.check().map_err(|refusal| refusal.to_string())),
                Err(problem) => self.soundness(&at, Err(problem.detail().to_owned())),
            }
        }
        for (name, one) in &shape.webhooks {
            let at = Place::top("webhooks").key(name.as_str());
            let wanted = webhook(one, of_fleet(shape, name).to_string());
            match crate::http::native::webhook_that_might_be(&wanted) {
                Ok(spec) => self.soundness(&at, spec.check().map_err(|refusal| refusal.to_string())),
                Err(problem) => self.soundness(&at, Err(problem.detail().to_owned())),
            }
        }
    }
}
