//! One node process and what can be done to it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::Child;
use tokio::time::{Instant, sleep};

use super::{LOOK_EVERY, LOOK_WITHIN, commands};
use crate::http::{Link, Outcome};
use crate::place::Place;

/// What a node says last whose port is still held, by a process that its killed life had just forked.
const TAKEN: &str = "Address already in use (os error 98)";

/// One node: where its data is and where it listens, in all of its lives.
#[derive(Debug)]
pub struct Node {
    /// Its number in this run, from 0.
    pub number: usize,
    /// What it is called.
    pub name: String,
    /// Its data folder.
    pub data: PathBuf,
    /// Where its standard error goes, of all lives.
    pub log: PathBuf,
    /// Where it serves its API.
    pub api: SocketAddr,
    /// Where it listens for the other nodes.
    pub cluster: SocketAddr,
    /// The network it is in.
    pub namespace: Option<String>,
    /// How wrong its clock is.
    pub clock: Option<String>,
    /// The binary.
    pub binary: PathBuf,
    /// Settings, as environment variables.
    pub settings: Vec<(String, String)>,
    /// Whether it belongs to no cluster.
    pub alone: bool,
    /// The process, while it runs.
    pub child: Option<Child>,
}

impl Node {
    /// Returns where its API is reached.
    pub fn place(&self) -> Place {
        Place { address: self.api, namespace: self.namespace.clone() }
    }

    fn command(&self) -> tokio::process::Command {
        let mut command = commands::synod(&self.binary, self.namespace.as_deref(), self.clock.as_deref());
        command.envs(self.settings.iter().map(|(name, value)| (name, value)));
        command.env("XDG_CONFIG_HOME", self.data.with_extension("config"));
        command.env("XDG_STATE_HOME", self.data.with_extension("state"));
        command.stdin(Stdio::null()).kill_on_drop(true);
        command
    }

    /// Makes it the founder of a cluster.
    ///
    /// # Errors
    /// When the command fails; the text holds what it said.
    pub async fn init(&self) -> Result<(), String> {
        let output = commands::init(self.command(), &self.data, &self.name).output().await;
        let output = output.map_err(|error| format!("{}: {error}", self.binary.display()))?;
        if output.status.success() {
            return Ok(());
        }
        Err(format!("cluster init: {}", String::from_utf8_lossy(&output.stderr)))
    }

    /// Starts it; returns before it answers. `join` is for the first start.
    ///
    /// # Errors
    /// When the process cannot be started.
    pub fn start(&mut self, join: Option<(&str, &str)>) -> Result<(), String> {
        let (api, cluster) = (self.api.to_string(), self.cluster.to_string());
        let mut command = match self.alone {
            true => commands::server_alone(self.command(), &self.data, &api),
            false => commands::server(self.command(), &self.data, &self.name, &api, &cluster, join),
        };
        let log = std::fs::OpenOptions::new().create(true).append(true).open(&self.log);
        let log = log.map_err(|error| format!("{}: {error}", self.log.display()))?;
        command.stdout(Stdio::null()).stderr(log);
        self.child = Some(command.spawn().map_err(|error| format!("{}: {error}", self.binary.display()))?);
        Ok(())
    }

    /// Tells whether its process runs.
    pub fn runs(&self) -> bool {
        self.child.as_ref().is_some_and(|child| child.id().is_some())
    }

    /// Returns how its process ended, if it has.
    pub fn ended(&mut self) -> Option<std::process::ExitStatus> {
        self.child.as_mut()?.try_wait().ok()?
    }

    /// Waits until it answers.
    ///
    /// # Errors
    /// When it ends, or does not answer in time; the text holds the end of its log.
    pub async fn answers(&mut self, within: Duration) -> Result<(), String> {
        let until = Instant::now() + within;
        let mut link = Link::new(self.place(), "");
        loop {
            if let Outcome::Answer { status: 200, .. } = link.get("/healthz", LOOK_WITHIN).await {
                return Ok(());
            }
            if let Some(status) = self.ended() {
                if self.last_words().ends_with(TAKEN) && Instant::now() < until {
                    // As whoever runs it does; told, because a node should find its own port free.
                    eprintln!(
                        "NOTE: {} found its port taken after it was killed, and is started again",
                        self.name
                    );
                    sleep(LOOK_EVERY * 5).await;
                    self.start(None)?;
                    continue;
                }
                return Err(format!("{} ended with {status}: {}", self.name, self.last_words()));
            }
            if Instant::now() > until {
                return Err(format!("{} does not answer: {}", self.name, self.last_words()));
            }
            sleep(LOOK_EVERY).await;
        }
    }

    /// Reads the operator's token, which the founder writes on its first start.
    ///
    /// # Errors
    /// When there is none in time.
    pub async fn operator_token(&self, within: Duration) -> Result<String, String> {
        let until = Instant::now() + within;
        let file = self.data.join("admin-token");
        loop {
            if let Ok(token) = std::fs::read_to_string(&file) {
                return Ok(token.trim().to_owned());
            }
            if Instant::now() > until {
                return Err(format!("there is no {}: {}", file.display(), self.last_words()));
            }
            sleep(LOOK_EVERY).await;
        }
    }

    /// Returns the end of its log.
    pub fn last_words(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    /// Returns how often it said something in its log, in all lives.
    pub fn said(&self, words: &str) -> usize {
        std::fs::read_to_string(&self.log).unwrap_or_default().matches(words).count()
    }

    /// Kills it: not a byte is written after this. Returns when the process is gone.
    pub async fn kill(&mut self) {
        self.signal(Signal::KILL);
        self.wait().await;
    }

    /// Asks it to end in order, and waits for that.
    ///
    /// # Errors
    /// When it takes too long; it is killed then.
    pub async fn stop(&mut self, within: Duration) -> Result<(), String> {
        self.signal(Signal::TERM);
        if tokio::time::timeout(within, self.wait()).await.is_ok() {
            return Ok(());
        }
        self.kill().await;
        Err(format!("{} did not end within {within:?}: {}", self.name, self.last_words()))
    }

    /// Stops the process where it stands: it holds its connections and says nothing.
    pub fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets it go on.
    pub fn wake(&self) {
        self.signal(Signal::CONT);
    }

    /// Sends a signal to its process.
    pub fn signal(&self, signal: Signal) {
        let pid = self.child.as_ref().and_then(Child::id).and_then(|pid| i32::try_from(pid).ok());
        if let Some(pid) = pid.and_then(Pid::from_raw) {
            let _ = kill_process(pid, signal);
        }
    }

    async fn wait(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.wait().await;
        }
        self.child = None;
    }

    /// Empties its disk, its identity among it.
    ///
    /// # Errors
    /// When the folder cannot be removed.
    pub fn wipe(&self) -> Result<(), String> {
        std::fs::remove_dir_all(&self.data).map_err(|error| format!("{}: {error}", self.data.display()))
    }
}
