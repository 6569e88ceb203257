//! Nodes of a cluster as processes: three that `synod dev` runs, and single ones.

use std::path::Path;
use std::process::Stdio;

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::support::{PATIENCE, Said, ended, ending, signal, synod};

/// Three nodes that `synod dev` runs.
pub(crate) struct Three {
    pub(crate) child: Child,
    pub(crate) ready: Value,
    pub(crate) folder: TempDir,
}

impl Three {
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        // Sockets have short names; a folder of the build need not be short.
        let data = tempfile::Builder::new().prefix("synod").tempdir().unwrap();
        let mut command = synod();
        command.args(["dev", "--nodes", "3", "--json", "--data"]).arg(data.path());
        let mut child = command.stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        tokio::time::timeout(PATIENCE, out.read_line(&mut line)).await.expect("it is ready").unwrap();
        assert!(!line.is_empty(), "it did not start");
        let ready = serde_json::from_str(&line).unwrap();
        drop(folder);
        Self { child, ready, folder: data }
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = synod();
        command.args(args).env("SYNOD_SERVER", self.ready["servers"].as_str().unwrap());
        command.env("SYNOD_TOKEN_FILE", self.ready["token_file"].as_str().unwrap());
        command.env("SYNOD_DEV", self.folder.path());
        command
    }

    pub(crate) async fn say(&self, args: &[&str]) -> Said {
        ended(self.command(args)).await
    }

    pub(crate) async fn status(&self) -> Value {
        self.say(&["cluster", "status", "--json"]).await.json()["item"].clone()
    }

    pub(crate) async fn leader(&self) -> String {
        let status = self.status().await;
        let nodes = status["nodes"].as_array().unwrap();
        let leader = nodes.iter().find(|node| node["leader"] == true).expect("one leads");
        leader["name"].as_str().unwrap().to_owned()
    }

    /// Returns one thing that was said of a node at the start.
    pub(crate) fn place(&self, name: &str, what: &str) -> String {
        let nodes = self.ready["nodes"].as_array().unwrap();
        let node = nodes.iter().find(|node| node["name"] == name).expect("there is such a node");
        node[what].as_str().unwrap().to_owned()
    }

    pub(crate) fn token(&self) -> String {
        let file = self.ready["token_file"].as_str().unwrap();
        std::fs::read_to_string(file).unwrap().trim().to_owned()
    }

    pub(crate) fn pids(&self) -> Vec<i32> {
        let nodes = self.ready["nodes"].as_array().unwrap().iter();
        nodes.map(|node| i32::try_from(node["pid"].as_i64().unwrap()).unwrap()).collect()
    }

    pub(crate) async fn stop(self) {
        let pids = self.pids();
        signal(&self.child, Signal::TERM);
        ending(self.child).await.assert_code(0);
        for pid in pids {
            assert!(!runs(pid), "process {pid} is left behind");
        }
    }
}

/// Tells whether a process is there.
pub(crate) fn runs(pid: i32) -> bool {
    rustix::process::test_kill_process(rustix::process::Pid::from_raw(pid).unwrap()).is_ok()
}

/// A node of `synod server`.
pub(crate) struct ServerNode {
    pub(crate) child: Child,
    pub(crate) ready: Value,
    token_file: String,
}

impl ServerNode {
    /// Starts the first node of a folder that was made one.
    pub(crate) async fn start(data: &Path) -> Self {
        Self::start_with(data, &[], None).await
    }

    /// Starts a node with more arguments. One that has no token of its own is asked with that of `token_file`.
    pub(crate) async fn start_with(data: &Path, args: &[&str], token_file: Option<&str>) -> Self {
        let log = std::fs::File::create(data.with_extension("log")).unwrap();
        let mut command = synod();
        command.args(["server", "--json", "--listen", "127.0.0.1:0"]).args(args);
        if !args.contains(&"--cluster-listen") {
            command.args(["--cluster-listen", "127.0.0.1:0"]);
        }
        let mut child = command.arg("--data").arg(data).stderr(log).spawn().unwrap();
        let mut line = String::new();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        tokio::time::timeout(PATIENCE, out.read_line(&mut line)).await.expect("it is ready").unwrap();
        let log = || std::fs::read_to_string(data.with_extension("log")).unwrap();
        let ready: Value =
            serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?} {}", log()));
        let token_file = token_file.or(ready["token_file"].as_str()).expect("a token").to_owned();
        Self { child, ready, token_file }
    }

    pub(crate) fn url(&self) -> &str {
        self.ready["url"].as_str().unwrap()
    }

    pub(crate) async fn say(&self, args: &[&str]) -> Said {
        let mut command = synod();
        command.args(args).env("SYNOD_SERVER", self.url()).env("SYNOD_TOKEN_FILE", &self.token_file);
        ended(command).await
    }

    pub(crate) async fn status(&self) -> Value {
        self.say(&["cluster", "status", "--json"]).await.json()["item"].clone()
    }

    pub(crate) async fn stop(self) {
        signal(&self.child, Signal::TERM);
        ending(self.child).await.assert_code(0);
    }
}
