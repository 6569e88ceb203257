//! What `server` and `dev` have in common: a node with its API, from start to stop.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::json;

use super::exit;
use super::print::{self, complain};
use super::run::node_error_code;
use super::signals::Signals;
use crate::http::server::{self, Bound};
use crate::http::{Server, TokenText, first_token};
use crate::node::Node;
use crate::settings::{Loaded, Settings};
use crate::telemetry;

/// A served node is worth more lines than a run: what an operator wants to know.
pub(super) struct Serving {
    pub(super) loaded: Loaded,
    pub(super) data: PathBuf,
    /// Prints one JSON document on standard output when the node is ready.
    pub(super) json: bool,
    pub(super) greeting: Greeting,
}

/// What is said when the node is ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Greeting {
    /// One line; a first token only on a terminal.
    Server,
    /// Everything that helps to go on.
    Dev,
}

impl Serving {
    /// Serves until a signal or a failure, and returns the exit code.
    pub(super) fn run(self) -> u8 {
        if let Err(reason) = telemetry::start(&self.loaded.settings.log) {
            print::note(&format!("error: {reason}"));
            return exit::USAGE;
        }
        for note in &self.loaded.notes {
            tracing::warn!("{note}");
        }
        let options = match self.loaded.server() {
            Ok(options) => within_descriptors(options),
            Err(error) => {
                complain(&error);
                return exit::USAGE;
            }
        };
        match runtime() {
            Ok(runtime) => runtime.block_on(self.serve(options)),
            Err(code) => code,
        }
    }

    async fn serve(self, options: server::Options) -> u8 {
        let mut signals = match Signals::listen() {
            Ok(signals) => signals,
            Err(error) => {
                complain(&error);
                return exit::NODE_FAILED;
            }
        };
        // Before the node: nothing is started, and nothing made, for an address that cannot be had.
        let bound = match Bound::bind(options).await {
            Ok(bound) => bound,
            Err(error) => {
                complain(&error);
                return exit::USAGE;
            }
        };
        let node = match start(&self.loaded.settings, &self.data).await {
            Ok(node) => Arc::new(node),
            Err(code) => return code,
        };
        let (server, token) = match self.open(bound, &node).await {
            Ok(opened) => opened,
            Err(code) => {
                node.stop().await;
                return code;
            }
        };
        let told = self.greet(&server, token.as_ref());
        drop(token);
        let failed = tokio::select! {
            biased;
            _ = signals.next() => None,
            reason = node.failed() => Some(reason),
        };
        match &failed {
            None => print::note(&"stopping; once more to stop at once"),
            Some(reason) => print::note(&format!("error: the node has failed: {reason}")),
        }
        tokio::select! {
            biased;
            // Nothing acknowledged is lost by this either; programs end with the node.
            _ = signals.next() => print::note(&"stopped at once"),
            () = stop(server, &node) => {}
        }
        if failed.is_some() { exit::NODE_FAILED } else { told }
    }

    async fn open(&self, bound: Bound, node: &Arc<Node>) -> Result<(Server, Option<TokenText>), u8> {
        let token = first_token::first_token(node, &self.data).await.map_err(|error| {
            complain(&error);
            exit::DATA
        })?;
        let server = bound.serve(node.clone(), crate::http::routes()).map_err(|error| {
            complain(&error);
            exit::USAGE
        })?;
        Ok((server, token))
    }

    /// Says where the node is, and to a person how to get in; returns the code of what could not be said.
    fn greet(&self, server: &Server, token: Option<&TokenText>) -> u8 {
        let (url, data) = (server.url(), self.data.display());
        let file = self.data.join(first_token::FILE);
        print::note(&format!("synod {} serves {url}, data in {data}", env!("CARGO_PKG_VERSION")));
        match self.greeting {
            Greeting::Server => {
                if let Some(token) = token {
                    print::note(&format!("the operator's token is in {}", file.display()));
                    if std::io::stderr().is_terminal() {
                        print::note(&format!("shown this once: {}", token.expose()));
                    }
                }
            }
            Greeting::Dev => greet_developer(&url, &file),
        }
        if !self.json {
            return exit::OK;
        }
        let ready = json!({
            "version": 1,
            "url": url,
            "pid": std::process::id(),
            "data": self.data,
            "token_file": file.exists().then_some(file),
        });
        print::result(&ready, exit::OK)
    }
}

/// Leaves half of the process's descriptors to the node: a log that cannot open its next file ends it, and
/// connections come from outside.
fn within_descriptors(mut options: server::Options) -> server::Options {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let half = limit.map_or(usize::MAX, |limit| usize::try_from(limit / 2).unwrap_or(usize::MAX));
    if options.connections > half {
        tracing::info!(connections = half, "fewer connections than set: half of the open files allowed");
        options.connections = half;
    }
    options
}

/// Says what to type next. A development server's token is shown: its data goes away with it.
fn greet_developer(url: &str, file: &Path) {
    let token = std::fs::read_to_string(file).unwrap_or_default();
    let token = match token.trim() {
        "" => "TOKEN",
        token => token,
    };
    print::note(&format!(
        "\ntry, in another terminal:\n  \
         export SYNOD_URL={url} SYNOD_TOKEN={token}\n  \
         synod worker --capability echo -- cat &\n  \
         synod task submit --type echo --payload '{{\"hello\": \"world\"}}' --wait\n  \
         synod top\n"
    ));
}

/// Stops in order: first nobody comes in any more, then the node.
async fn stop(server: Server, node: &Node) {
    server.stop().await;
    node.stop().await;
}

/// Starts a node, and says what had to be repaired.
pub(super) async fn start(settings: &Settings, data: &Path) -> Result<Node, u8> {
    let node = settings.node().data(data).start().await.map_err(|error| {
        complain(&error);
        node_error_code(&error)
    })?;
    if let Some(repair) = node.repaired() {
        print::note(&format!("note: the data folder was repaired, nothing is lost: {}", repair.reason));
        if let Some(folder) = &repair.moved_to {
            print::note(&format!("note: what was damaged is kept in {}", folder.display()));
        }
    }
    Ok(node)
}

pub(super) fn runtime() -> Result<tokio::runtime::Runtime, u8> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|error| {
        complain(&error);
        exit::NODE_FAILED
    })
}
