//! The public Python client of the older control plane, unchanged, against a real `synod server`.
//!
//! Needs `python3` with `venv`, and for the first run a package index that pip can reach: the environment is kept
//! in the target folder and made anew only when `tests/sdk/requirements.txt` changes. Without them this test fails
//! and says so; it never passes by doing nothing.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// How long anything may take that takes seconds on a quiet machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// How long the packages may take to be fetched over a slow line.
const INSTALL_PATIENCE: Duration = Duration::from_secs(600);

const REQUIREMENTS: &str = include_str!("sdk/requirements.txt");

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sdk").join(path)
}

/// Runs a command to its end.
async fn run(patience: Duration, command: &mut Command) -> std::io::Result<Output> {
    let ended = command.stdin(Stdio::null()).kill_on_drop(true).output();
    timeout(patience, ended).await.unwrap_or_else(|_| panic!("not within {patience:?}: {command:?}"))
}

/// Runs a command that must succeed, or says what is needed.
async fn need(what: &str, command: &mut Command) {
    let needs = "this test needs python3 with venv, and once a package index that pip can reach";
    let output = run(INSTALL_PATIENCE, command).await;
    let output = output.unwrap_or_else(|error| panic!("{what} failed: {error}\n{needs}"));
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{what} failed: {}\n{err}\n{needs}", output.status);
}

/// Returns a Python that has the client, from the environment in the target folder.
async fn python() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("sdk-venv");
    let (python, installed) = (folder.join("bin/python"), folder.join("installed.txt"));
    if std::fs::read_to_string(&installed).is_ok_and(|text| text == REQUIREMENTS) {
        return python;
    }
    need("making the environment", Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder))
        .await;
    let mut install = Command::new(&python);
    install.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--no-deps",
        "--requirement",
    ]);
    need("installing the client", install.arg(here("requirements.txt"))).await;
    // Last, so that an environment that was interrupted is made again.
    std::fs::write(&installed, REQUIREMENTS).unwrap();
    python
}

/// A served node, started by the binary.
struct Served {
    child: Child,
    url: String,
    token: String,
    // Held for its `Drop`.
    _folder: TempDir,
}

impl Served {
    async fn start(environment: &[(&str, &str)]) -> Self {
        // On the disk that cargo builds on; `/tmp` may be memory.
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_synod"));
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if ["SYNOD_", "ARAGORA_", "CONTROL_PLANE_"].iter().any(|prefix| text.starts_with(prefix)) {
                command.env_remove(&name);
            }
        }
        command
            .args(["server", "--listen", "127.0.0.1:0", "--json", "--data"])
            .arg(folder.path().join("data"));
        command
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let ready = async {
            let mut text = String::new();
            while let Some(line) = lines.next_line().await.unwrap() {
                text.push_str(&line);
                if let Ok(ready) = serde_json::from_str::<Value>(&text) {
                    return ready;
                }
            }
            panic!("the server ended before it was ready: {text}")
        };
        let ready = timeout(PATIENCE, ready).await.expect("the server is ready");
        let token = std::fs::read_to_string(ready["token_file"].as_str().unwrap()).unwrap();
        let url = ready["url"].as_str().unwrap().to_owned();
        Self { child, url, token: token.trim().to_owned(), _folder: folder }
    }

    /// Asks the server to stop, and waits until it has.
    async fn stop(mut self) {
        let pid = rustix::process::Pid::from_raw(i32::try_from(self.child.id().unwrap()).unwrap()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        let status = timeout(PATIENCE, self.child.wait()).await.expect("the server stops").unwrap();
        assert!(status.success(), "{status}");
    }
}

/// Drives every method and holds that each answered as it should.
async fn drive(python: &Path, served: &Served, token: &str) {
    let mut script = Command::new(python);
    // No byte code in the tree.
    script.arg("-B").arg(here("control_plane.py")).env("SYNOD_URL", &served.url).env("SYNOD_TOKEN", token);
    let output = run(PATIENCE, &mut script).await.unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    println!("{out}");
    assert!(output.status.success(), "{}\n{out}\n{err}", output.status);
    assert!(out.ends_with("50 methods, 0 not as expected\n"), "{out}");
}

#[tokio::test]
async fn every_method_of_the_public_client_is_answered_as_documented_with_our_token_and_with_its_own() {
    let python = python().await;
    let served = Served::start(&[]).await;
    drive(&python, &served, &served.token).await;
    served.stop().await;

    let token = "a-static-token-of-the-older-control-plane";
    let served = Served::start(&[("ARAGORA_API_TOKEN", token)]).await;
    drive(&python, &served, token).await;
    served.stop().await;
}
