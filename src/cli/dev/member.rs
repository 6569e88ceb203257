//! One node of `synod dev --nodes`: a process of its own that ends with this one.
//!
//! Its standard input is a pipe whose other end is ours. Whatever ends us closes it, and the node stops: nothing is
//! left behind even when we are killed.

use std::fs::OpenOptions;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use super::ports::Ports;
use crate::settings::{ENV_JOIN_TOKEN, is_member};

/// A node, as it is remembered between two runs on one folder.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Place {
    /// What it is called.
    pub(super) name: String,
    /// The port of its API.
    pub(super) api: u16,
    /// The port at which other nodes reach it.
    pub(super) cluster: u16,
}

/// A node and its process.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) place: Place,
    pub(super) data: PathBuf,
    pub(super) child: Option<Child>,
}

/// What all nodes are started with.
#[derive(Debug, Clone)]
pub(super) struct Start {
    pub(super) program: PathBuf,
    pub(super) config: Option<PathBuf>,
    pub(super) log: Option<String>,
}

impl Place {
    /// Names a place with ports that nobody has at this moment; `api` is asked for if given.
    pub(super) fn choose(number: u16, api: Option<u16>, ports: &mut Ports) -> std::io::Result<Self> {
        let letter = char::from(b'a' + u8::try_from(number.min(25)).unwrap_or(0));
        Ok(Self {
            name: format!("node-{letter}"),
            api: api.map_or_else(|| ports.next(), Ok)?,
            cluster: ports.next()?,
        })
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", loopback(self.api))
    }
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

/// Returns what a node said last, for the error of one that did not start: its folder may be gone by then.
fn last_words(log: &Path) -> String {
    let said = std::fs::read_to_string(log).unwrap_or_default();
    said.lines()
        .rev()
        .find(|line| !line.trim().is_empty())
        .map(|line| format!(": {line}"))
        .unwrap_or_default()
}

impl Member {
    pub(super) fn new(folder: &Path, place: Place) -> Self {
        let data = folder.join(&place.name);
        Self { place, data, child: None }
    }

    /// Returns the process's id, while it runs.
    pub(super) fn pid(&self) -> Option<u32> {
        self.child.as_ref().and_then(Child::id)
    }

    /// Starts the process; with a member's address and a join token if it shall join. Where it writes its log is
    /// beside its data.
    pub(super) fn spawn(&mut self, start: &Start, join: Option<(&Place, &str)>) -> std::io::Result<()> {
        let log = OpenOptions::new().create(true).append(true).open(self.data.with_extension("log"))?;
        let mut command = Command::new(&start.program);
        if let Some(config) = &start.config {
            command.arg("--config").arg(config);
        }
        command.args(["--log", start.log.as_deref().unwrap_or("info")]);
        command.args(["server", "--json", "--until-input-ends", "--data"]).arg(&self.data);
        command.args(["--listen", &loopback(self.place.api).to_string()]);
        command.args(["--cluster-listen", &loopback(self.place.cluster).to_string()]);
        command.args(["--node-name", &self.place.name]);
        if let Some((member, token)) = join {
            command.args(["--join", &loopback(member.cluster).to_string()]).env(ENV_JOIN_TOKEN, token);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log).kill_on_drop(true);
        // Ctrl-C in a terminal is for us; we stop the nodes in order.
        command.process_group(0);
        self.child = Some(command.spawn()?);
        Ok(())
    }

    /// Waits until the node takes work.
    pub(super) async fn ready(&mut self) -> Result<(), String> {
        let name = &self.place.name;
        let log = self.data.with_extension("log");
        let Some(out) = self.child.as_mut().and_then(|child| child.stdout.take()) else {
            return Err(format!("{name} does not run"));
        };
        let mut line = String::new();
        match BufReader::new(out).read_line(&mut line).await {
            Ok(read) if read > 0 => Ok(()),
            Ok(_) | Err(_) => Err(format!("{name} did not start{}; see {}", last_words(&log), log.display())),
        }
    }

    /// Tells whether it belongs to a cluster already.
    pub(super) fn is_member(&self) -> bool {
        is_member(&self.data)
    }

    /// Asks it to stop, and waits for it.
    pub(super) async fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            drop(child.stdin.take());
            let _ = child.wait().await;
        }
    }

    /// Kills it as a power cut would, and waits until it is gone.
    pub(super) async fn kill(&mut self) -> Result<u32, String> {
        let running = self.child.take().and_then(|child| child.id().map(|pid| (pid, child)));
        let Some((pid, mut child)) = running else { return Err(format!("{} does not run", self.place.name)) };
        child.kill().await.map_err(|error| format!("{} cannot be killed: {error}", self.place.name))?;
        Ok(pid)
    }
}
