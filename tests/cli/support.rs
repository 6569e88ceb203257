//! What the tests of the binary share: a folder with a fleet, and the binary with a deadline.

use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::Instant;

/// How long anything may take that takes milliseconds on a quiet machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The pause between two looks at a condition.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Looks until there is something to see.
pub(crate) async fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(Instant::now() < until, "not within {PATIENCE:?}: {what}");
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Describes a call of the binary that ends with this test, without settings from outside.
pub(crate) fn synod() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_synod"));
    for (name, _) in std::env::vars_os().filter(|(name, _)| is_ours(&name.to_string_lossy())) {
        command.env_remove(name);
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

fn is_ours(name: &str) -> bool {
    name.starts_with("SYNOD_") || name.starts_with("CONTROL_PLANE_") || name == "ARAGORA_API_TOKEN"
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

/// A folder with a fleet file.
pub(crate) struct Fleet {
    folder: TempDir,
}

impl Fleet {
    /// Writes the fleet file into a folder on the disk that cargo builds on; `/tmp` may be memory.
    pub(crate) fn new(text: &str) -> Self {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let fleet = Self { folder };
        fleet.write("fleet.yaml", text);
        fleet
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.file(name), text).unwrap();
    }

    /// Returns the lines of a file that agents append to; none before the first.
    pub(crate) fn lines(&self, name: &str) -> Vec<String> {
        let text = std::fs::read_to_string(self.file(name)).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// Describes `synod run` of this fleet.
    pub(crate) fn call(&self, args: &[&str]) -> Command {
        let mut command = synod();
        command.arg("run").arg(self.file("fleet.yaml")).args(args);
        command
    }

    /// Runs the fleet to its end.
    pub(crate) async fn run(&self, args: &[&str]) -> Said {
        ended(self.call(args)).await
    }
}

/// Returns all tasks of a `--json` document.
pub(crate) fn tasks(document: &Value) -> Vec<&Value> {
    let entries = document["outcome"]["entries"].as_array().unwrap();
    entries.iter().flat_map(|entry| entry["tasks"].as_array().unwrap()).collect()
}

/// Sends a signal to a process that this test started.
pub(crate) fn signal(child: &Child, signal: rustix::process::Signal) {
    let pid = i32::try_from(child.id().expect("it runs")).unwrap();
    rustix::process::kill_process(rustix::process::Pid::from_raw(pid).unwrap(), signal).unwrap();
}
