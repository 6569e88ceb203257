//! The governed example: approved by the command line, within its budget and its limit, killed in the middle.

use std::path::{Path, PathBuf};
use std::process::Command as Program;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;
use synod::client::{Client, Token};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::support::{PATIENCE, Said, ended, signal, synod, tasks};

const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/governed.yaml");

/// How long the example may take: its budget opens for a minute, and a kill may cost it another.
const WHOLE: Duration = Duration::from_secs(240);

/// How many tokens its writers may use in a minute.
const BUDGET: u64 = 3000;

/// A server that is killed and started again at its address, and the runs on it.
struct World {
    folder: TempDir,
    url: String,
    server: Child,
    run: Option<Child>,
}

impl World {
    async fn start() -> Self {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let (server, url) = served(folder.path(), "127.0.0.1:0").await;
        Self { folder, url, server, run: None }
    }

    fn repository(&self) -> PathBuf {
        self.folder.path().join("governed.git")
    }

    fn token_file(&self) -> PathBuf {
        self.folder.path().join("data/admin-token")
    }

    fn client(&self) -> Client {
        let token = std::fs::read_to_string(self.token_file()).unwrap();
        Client::new(&self.url, Token::from(token.trim().to_owned())).unwrap()
    }

    /// Begins the run, or goes on with it.
    fn run(&mut self) {
        let mut command = synod();
        command
            .args(["run", EXAMPLE, "--json", "--server", &self.url, "--token-file"])
            .arg(self.token_file());
        command.args(["--input", "seconds=0.5", "--input"]);
        command.arg(format!("repository={}", self.repository().display()));
        self.run = Some(command.spawn().unwrap());
    }

    /// Kills server and run, and starts both again.
    async fn kill(&mut self) {
        signal(&self.server, Signal::KILL);
        self.server.wait().await.unwrap();
        let mut run = self.run.take().unwrap();
        run.start_kill().unwrap();
        run.wait().await.unwrap();
        let address = self.url.strip_prefix("http://").unwrap().to_owned();
        (self.server, self.url) = served(self.folder.path(), &address).await;
        self.run();
    }

    /// Calls the command line.
    async fn said(&self, arguments: &[&str]) -> Said {
        let mut command = synod();
        command.args(arguments).args(["--url", &self.url, "--token-file"]).arg(self.token_file());
        ended(command).await
    }

    /// Returns the only approval that is waited for, once there is one.
    async fn asked(&self) -> String {
        self.until("an approval is asked for", async || {
            let said = self.said(&["approval", "list", "-q"]).await;
            Some(said.out.trim().to_owned()).filter(|id| !id.is_empty())
        })
        .await
    }

    async fn until<T>(&self, what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
        let until = Instant::now() + WHOLE;
        loop {
            if let Some(seen) = look().await {
                return seen;
            }
            assert!(Instant::now() < until, "not within {WHOLE:?}: {what}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    async fn end(&mut self) -> Value {
        let ending = tokio::time::timeout(WHOLE, self.run.take().unwrap().wait_with_output());
        let output = ending.await.expect("the run ends").unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let said = Said { status: output.status, out: text(output.stdout), err: text(output.stderr) };
        said.assert_code(0);
        said.json()
    }

    fn git(&self, arguments: &[&str]) -> String {
        let output = Program::new("git").arg("-C").arg(self.repository()).args(arguments).output().unwrap();
        assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    }

    fn commits_of_main(&self) -> usize {
        self.git(&["rev-list", "--first-parent", "--count", "main"]).parse().unwrap()
    }

    fn pages(&self) -> usize {
        self.git(&["for-each-ref", "--format=%(refname)", "refs/heads/page"]).lines().count()
    }

    /// Looks at the budget all the time: it is never passed. Counts the looks at which somebody waited for it.
    fn watch(&self) -> (JoinHandle<()>, Arc<AtomicUsize>) {
        let (client, waited) = (self.client(), Arc::new(AtomicUsize::new(0)));
        let counts = waited.clone();
        let watching = tokio::spawn(async move {
            loop {
                // Not while the server is dead, and not before the run has made it.
                if let Ok(budget) = client.budget("governed/tokens").await {
                    let line = &budget.limits[0];
                    assert_eq!((line.most, line.overrun), (BUDGET, 0), "{budget:?}");
                    assert!(line.settled + line.reserved <= BUDGET, "{budget:?}");
                    counts.fetch_add(usize::from(budget.waiting > 0 || budget.withholds), Ordering::Relaxed);
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
        (watching, waited)
    }

    /// Judges what came of it: each task completed once, no agent saw another on its shelf or was denied a tool, and
    /// all pages are on the main branch, by one merge that names its approval.
    fn judge(&self, document: &Value, approval: &str) {
        assert_eq!(document["complete"], true);
        let tasks = tasks(document);
        assert_eq!(tasks.len(), 6);
        for task in &tasks {
            assert_eq!(task["completions"], 1, "{task}");
            for attempt in task["attempts"].as_array().unwrap() {
                assert_ne!(attempt["end"], "failed", "{task}");
            }
        }
        let published = tasks.iter().find(|task| task["key"] == "publish").unwrap();
        assert_eq!(published["result"]["approval"], approval);
        assert_eq!(self.commits_of_main(), 2, "one merge");
        let files = self.git(&["ls-tree", "--name-only", "main"]);
        assert_eq!(files.lines().collect::<Vec<_>>(), ["ada.txt", "alan.txt", "cats.txt", "dogs.txt"]);
        for page in ["ada", "alan", "cats", "dogs"] {
            let range = format!("main~1..page/{page}");
            assert_eq!(self.git(&["rev-list", "--count", &range]), "1", "{page} is written once");
        }
        assert!(self.git(&["log", "-1", "--format=%B", "main"]).contains(&format!("Approval: {approval}")));
    }

    async fn approvals(&self) -> Vec<String> {
        let said = self.said(&["approval", "list", "--status", "all", "-q"]).await;
        said.assert_code(0);
        said.out.lines().map(str::to_owned).collect()
    }
}

/// Starts a node and returns it with its address.
pub(crate) async fn served(folder: &Path, address: &str) -> (Child, String) {
    let mut command: Command = synod();
    command.args(["server", "--listen", address, "--json", "--data"]).arg(folder.join("data"));
    command.env("XDG_CONFIG_HOME", folder.join("config"));
    let mut child = command.spawn().unwrap();
    let mut line = String::new();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    tokio::time::timeout(PATIENCE, out.read_line(&mut line)).await.expect("it is ready").unwrap();
    let ready: Value = serde_json::from_str(&line).unwrap();
    (child, ready["url"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn the_governed_example_keeps_its_rules_and_ends_when_the_command_line_approves() {
    let mut world = World::start().await;
    world.run();
    let (watching, waited) = world.watch();
    let approval = world.asked().await;
    assert!(waited.load(Ordering::Relaxed) > 0, "the fourth page waits for the budget");
    assert_eq!((world.pages(), world.commits_of_main()), (4, 1), "nothing is merged before it is approved");
    world.said(&["approval", "approve", &approval, "--reason", "fine pages"]).await.assert_code(0);
    let document = world.end().await;
    world.judge(&document, &approval);
    assert_eq!(world.approvals().await, [approval]);
    assert!(!watching.is_finished(), "the budget was kept at every look");
    watching.abort();
}

#[tokio::test]
async fn the_governed_example_keeps_its_rules_over_kill_9_in_the_middle() {
    let mut world = World::start().await;
    world.run();
    let (watching, _) = world.watch();
    // In the middle of the writing: one page is there, and others are being written.
    world
        .until("a page is written", async || {
            (world.repository().join("HEAD").exists() && world.pages() > 0).then_some(())
        })
        .await;
    world.kill().await;
    // And again while somebody is asked.
    let asked = world.asked().await;
    assert_eq!((world.pages(), world.commits_of_main()), (4, 1), "nothing is merged before it is approved");
    world.kill().await;
    let again = world.until("it is published by another attempt", async || {
        let running = world.said(&["task", "list", "--type", "publish", "--json"]).await;
        let task = serde_json::from_str::<Value>(&running.out).ok()?["items"][0].clone();
        (task["lease"]["attempt"].as_u64() > Some(1)).then_some(())
    });
    again.await;
    assert_eq!(
        (world.asked().await, world.commits_of_main()),
        (asked.clone(), 1),
        "the same approval is waited for"
    );
    world.said(&["approval", "approve", &asked, "--reason", "fine pages"]).await.assert_code(0);
    let document = world.end().await;
    assert_eq!(document["outcome"]["continued"], true);
    world.judge(&document, &asked);
    assert_eq!(world.approvals().await, [asked], "asked once");
    assert!(!watching.is_finished(), "the budget was kept at every look");
    watching.abort();
}
