//! What `server` and `dev` have in common: a node with its API, from start to stop.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use secrecy::SecretString;
use serde_json::json;

use super::exit;
use super::print::{self, complain};
use super::run::node_error_code;
use super::signals::Signals;
use crate::http::server::{self, Bound};
use crate::http::{Server, TokenText, first_token};
use crate::node::{Cluster, Node};
use crate::settings::{Loaded, Settings};
use crate::telemetry;

/// A served node is worth more lines than a run: what an operator wants to know.
pub(super) struct Serving {
    pub(super) loaded: Loaded,
    pub(super) data: PathBuf,
    /// The text of a join token that the command line or the environment gave.
    pub(super) join_token: Option<SecretString>,
    /// Stops when standard input ends.
    pub(super) until_input_ends: bool,
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
        let mut signals = match Signals::listen_and(self.until_input_ends) {
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
        let cluster = self.loaded.cluster(&self.data, bound.address(), self.join_token.as_ref());
        let cluster = match cluster {
            Ok(cluster) => cluster,
            Err(error) => {
                complain(&error);
                return exit::USAGE;
            }
        };
        let starting = start(&self.loaded.settings, cluster, &self.data);
        let started = tokio::select! {
            biased;
            _ = signals.next() => {
                print::note(&"stopped before the node had started");
                return exit::OK;
            }
            started = starting => started,
        };
        let node = match started {
            Ok(node) => Arc::new(node),
            Err(code) => return code,
        };
        // Before the node takes work: its health is asked for, and most of all while it waits for others.
        let server = match bound.serve(node.clone(), crate::http::routes()) {
            Ok(server) => server,
            Err(error) => {
                complain(&error);
                node.stop().await;
                return exit::USAGE;
            }
        };
        let mut told = exit::OK;
        let ended = tokio::select! {
            biased;
            _ = signals.next() => Ended::Asked,
            reason = node.failed() => Ended::Failed(reason),
            opened = self.open(&server, &node) => match opened {
                Ok(code) => {
                    told = code;
                    self.last(&mut signals, &server, &node).await
                }
                Err(code) => {
                    stop(server, &node).await;
                    return code;
                }
            },
        };
        match &ended {
            Ended::Asked => print::note(&"stopping; once more to stop at once"),
            Ended::Left => print::note(&"the node has left its cluster and stops"),
            Ended::Failed(reason) => print::note(&format!("error: the node has failed: {reason}")),
        }
        tokio::select! {
            biased;
            // Nothing acknowledged is lost by this either; programs end with the node.
            _ = signals.next() => print::note(&"stopped at once"),
            () = stop(server, &node) => {}
        }
        match ended {
            Ended::Failed(_) => exit::NODE_FAILED,
            Ended::Asked | Ended::Left => told,
        }
    }

    /// Serves until somebody asks for the end, or it comes by itself.
    async fn last(&self, signals: &mut Signals, server: &Server, node: &Node) -> Ended {
        tokio::select! {
            biased;
            _ = signals.next() => Ended::Asked,
            // Before a failure: a node that has left is refused by the others.
            () = server.context().left() => Ended::Left,
            reason = node.failed() => Ended::Failed(reason),
        }
    }

    /// Waits until the node takes work, makes the first token if there is none, and says so.
    async fn open(&self, server: &Server, node: &Arc<Node>) -> Result<u8, u8> {
        if let Some(what) = node.waits_for() {
            print::note(&format!("{} is served; the node waits for {what}", server.url()));
        }
        node.ready().await.map_err(|error| {
            complain(&error);
            node_error_code(&error)
        })?;
        let token = first_token::first_token(node, &self.data).await.map_err(|error| {
            complain(&error);
            exit::DATA
        })?;
        Ok(self.greet(server, token.as_ref()))
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

/// How serving came to its end.
enum Ended {
    /// A signal asked for it.
    Asked,
    /// The node has left its cluster.
    Left,
    /// The node has failed, for this reason.
    Failed(String),
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
pub(super) async fn start(settings: &Settings, cluster: Option<Cluster>, data: &Path) -> Result<Node, u8> {
    let mut builder = settings.node().data(data);
    if let Some(cluster) = cluster {
        builder = builder.cluster(cluster);
    }
    let node = builder.start().await.map_err(|error| {
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
