//! What the tests of clients share: a served node that can be killed and started again, and calls of the binary.

use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use serde_json::Value;
use synod::client::{Client, Token};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::Instant;

/// How long anything may take that takes milliseconds on a quiet machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The settings of a node that has some.
const SETTINGS: &str = "synod.toml";

/// The pause between two looks at a condition.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Looks until there is something to see.
pub(crate) async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(seen) = look().await {
            return seen;
        }
        assert!(Instant::now() < until, "not within {PATIENCE:?}: {what}");
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// A node that is served by the real binary, with a folder for it and for those who call it.
pub(crate) struct Served {
    pub(crate) folder: TempDir,
    pub(crate) url: String,
    child: Child,
}

impl Served {
    /// Serves a new node on a free port of loopback.
    pub(crate) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// Serves a new node with settings, which it has after each start.
    pub(crate) async fn start_set(settings: &str) -> Self {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        std::fs::write(folder.path().join(SETTINGS), settings).unwrap();
        let (child, url) = serve(folder.path(), "127.0.0.1:0", &[]).await;
        Self { folder, url, child }
    }

    /// Serves a new node with more arguments.
    pub(crate) async fn start_with(args: &[&str]) -> Self {
        // On the disk that cargo builds on; `/tmp` may be memory.
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let (child, url) = serve(folder.path(), "127.0.0.1:0", args).await;
        Self { folder, url, child }
    }

    /// Kills the node with SIGKILL and starts it again, at the same address and on the same data.
    pub(crate) async fn kill_and_start_again(&mut self) {
        self.kill().await;
        self.start_again().await;
    }

    /// Kills the node with SIGKILL.
    pub(crate) async fn kill(&mut self) {
        self.child.start_kill().unwrap();
        self.child.wait().await.unwrap();
    }

    /// Starts the node again that was killed.
    pub(crate) async fn start_again(&mut self) {
        let address = self.url.strip_prefix("http://").unwrap().to_owned();
        let (child, url) = serve(self.folder.path(), &address, &[]).await;
        assert_eq!(url, self.url);
        self.child = child;
    }

    pub(crate) fn token_file(&self) -> PathBuf {
        self.folder.path().join("data").join("admin-token")
    }

    pub(crate) fn token(&self) -> String {
        std::fs::read_to_string(self.token_file()).unwrap().trim().to_owned()
    }

    /// Returns a client of the operator.
    pub(crate) fn client(&self) -> Client {
        Client::new(&self.url, Token::from(self.token())).unwrap()
    }

    /// Describes a call of the binary by the operator.
    pub(crate) fn call(&self, args: &[&str]) -> Command {
        let mut command = synod(self.folder.path());
        command.env("SYNOD_URL", &self.url).env("SYNOD_TOKEN_FILE", self.token_file()).args(args);
        command
    }

    /// Lets a call of the operator end.
    pub(crate) async fn said(&self, args: &[&str]) -> Said {
        ended(self.call(args)).await
    }

    /// Lets a call of the operator end that must go well, and reads its one document.
    #[track_caller]
    pub(crate) fn json(&self, args: &[&str]) -> impl Future<Output = Value> {
        let mut command = self.call(args);
        command.arg("--json");
        let args = format!("{args:?}");
        async move {
            let said = ended(command).await;
            assert_eq!((said.code(), said.err.as_str()), (0, ""), "{args}: {said:#?}");
            let document = said.json();
            assert_eq!(document["version"], 1, "{args}: {document}");
            document
        }
    }
}

async fn serve(folder: &Path, address: &str, args: &[&str]) -> (Child, String) {
    let log = std::fs::OpenOptions::new().create(true).append(true).open(folder.join("server.log")).unwrap();
    let mut command = synod(folder);
    command.args(["server", "--json", "--listen", address, "--data"]).arg(folder.join("data"));
    let settings = folder.join(SETTINGS);
    if settings.exists() {
        command.arg("--config").arg(settings);
    }
    command.args(args).stderr(log);
    let mut child = command.spawn().unwrap();
    let mut line = String::new();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    tokio::time::timeout(PATIENCE, out.read_line(&mut line)).await.expect("it is ready").unwrap();
    let log = || std::fs::read_to_string(folder.join("server.log")).unwrap();
    let ready: Value =
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?} {}", log()));
    (child, ready["url"].as_str().unwrap().to_owned())
}

/// Describes a call of the binary that ends with this test, without settings from outside.
pub(crate) fn synod(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_synod"));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("SYNOD_")) {
        command.env_remove(name);
    }
    command.env("XDG_CONFIG_HOME", folder.join("config")).env("XDG_STATE_HOME", folder.join("state"));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

/// What a call said, and how it ended.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) status: ExitStatus,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Said {
    /// Returns the exit code; the call ended by itself.
    pub(crate) fn code(&self) -> i32 {
        self.status.code().unwrap_or_else(|| panic!("a signal ended it: {self:#?}"))
    }

    /// Reads standard output as exactly one JSON document.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:#?}"))
    }

    #[track_caller]
    pub(crate) fn assert_code(&self, code: i32) {
        assert_eq!(self.code(), code, "{self:#?}");
    }
}

/// Lets a call end.
pub(crate) async fn ended(mut command: Command) -> Said {
    ending(command.spawn().unwrap()).await
}

/// Waits for the end of a call that was started.
pub(crate) async fn ending(child: Child) -> Said {
    let output = tokio::time::timeout(PATIENCE, child.wait_with_output());
    let output = output.await.expect("the call ends").unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Said { status: output.status, out: text(output.stdout), err: text(output.stderr) }
}

/// Sends a signal to a process that this test started.
pub(crate) fn signal(child: &Child, signal: rustix::process::Signal) {
    let pid = i32::try_from(child.id().expect("it runs")).unwrap();
    rustix::process::kill_process(rustix::process::Pid::from_raw(pid).unwrap(), signal).unwrap();
}

/// Returns the lines of a file that programs append to; none before the first.
pub(crate) fn lines(path: &Path) -> Vec<String> {
    std::fs::read_to_string(path).unwrap_or_default().lines().map(str::to_owned).collect()
}
