//! A node with a hook that is killed in the middle of the work: the work goes on and ends on the branch.

use std::path::{Path, PathBuf};
use std::process::Command as Program;

use rustix::process::Signal;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::support::{Fleet, PATIENCE, Said, ended, eventually, signal, synod};

fn git(at: &Path, arguments: &[&str]) -> String {
    let who = ["-c", "user.name=somebody", "-c", "user.email=somebody@localhost"];
    let output = Program::new("git").arg("-C").arg(at).args(who).args(arguments).output().unwrap();
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

/// Starts a node and returns it with its address.
pub(crate) async fn served(data: &Path) -> (Child, String) {
    let mut command = synod();
    command.args(["server", "--listen", "127.0.0.1:0", "--json", "--data"]).arg(data);
    command.env("SYNOD_HOOKS__PATROL", "200ms");
    let mut child = command.spawn().unwrap();
    let mut line = String::new();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    tokio::time::timeout(PATIENCE, out.read_line(&mut line)).await.expect("it is ready").unwrap();
    let ready: Value = serde_json::from_str(&line).unwrap();
    (child, ready["url"].as_str().unwrap().to_owned())
}

pub(crate) struct Client<'a> {
    pub(crate) url: String,
    pub(crate) data: &'a Path,
}

impl Client<'_> {
    fn call(&self, arguments: &[&str]) -> Command {
        let mut command = synod();
        let (noun, verb) = arguments.split_first().unwrap();
        command.arg(noun).args(["--json", "--url", &self.url, "--token-file"]);
        command.arg(self.data.join("admin-token")).args(verb);
        command
    }

    pub(crate) async fn ask(&self, arguments: &[&str]) -> Value {
        let said: Said = ended(self.call(arguments)).await;
        said.assert_code(0);
        said.json()
    }
}

#[tokio::test]
async fn a_hook_outlives_a_node_that_is_killed_in_the_middle_of_it() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let (data, repository) = (folder.path().join("data"), folder.path().join("repository"));
    std::fs::create_dir(&repository).unwrap();
    git(&repository, &["init", "--quiet", "--initial-branch", "main"]);
    git(&repository, &["commit", "--quiet", "--allow-empty", "--message", "begin"]);
    // The first time it leaves half of the work and waits to be killed, the second time it finds that and ends.
    let script = r#"worktree=$(cat | sed 's/.*"worktree":"\([^"]*\)".*/\1/'); cd "$worktree" || exit 1
        if [ -e half ]; then echo whole > whole; echo '{"ended":true}'; else echo half > half; sleep 600; fi"#;
    let (child, url) = served(&data).await;
    let client = Client { url, data: &data };
    client.ask(&["pool", "create", "clerks", "--min", "1", "--max", "1", "--", "sh", "-c", script]).await;
    let agents = client.ask(&["agent", "list"]).await;
    let agent = agents["items"][0]["id"].as_str().unwrap().to_owned();
    let path = repository.to_str().unwrap();
    let made = &client
        .ask(&["hook", "create", "--agent", &agent, "--repository", path, r#"{"task":"both"}"#])
        .await["item"];
    let id = made["id"].as_str().unwrap().to_owned();
    let worktree = Path::new(made["worktree"].as_str().unwrap()).to_owned();
    eventually("half of the work is there", || worktree.join("half").exists().then_some(())).await;
    signal(&child, Signal::KILL);
    drop(child);

    let (child, url) = served(&data).await;
    let client = Client { url, data: &data };
    let hook = loop {
        let hook = client.ask(&["hook", "show", &id]).await["item"].clone();
        if hook["status"] == "COMPLETED" {
            break hook;
        }
        assert_ne!(hook["status"], "FAILED", "{hook:#}");
    };
    assert_eq!((&hook["attempt"], &hook["result"]["ended"]), (&1.into(), &true.into()), "{hook:#}");
    let branch = hook["branch"].as_str().unwrap();
    eventually("both halves are on the branch", || {
        let files = git(&repository, &["ls-tree", "--name-only", branch]);
        (files.lines().collect::<Vec<_>>() == ["half", "whole"]).then_some(())
    })
    .await;
    assert_eq!(git(&repository, &["rev-list", "--count", "main"]), "1");
    let pending = client.ask(&["hook", "pending"]).await;
    assert_eq!(pending["items"].as_array().map(Vec::len), Some(0), "{pending:#}");
    signal(&child, Signal::TERM);
}

const PINNED: &str = r#"
name: pinned
budgets: {turns: {limits: [{requests: 20, per: whole}, {tokens: 100000, per: whole}]}}
pools:
  clerks: {command: [sh, '{{fleet.dir}}/clerk.sh', '{{fleet.dir}}/seen'], size: 2}
  counter: {command: [sh, -c, 'cat']}
tasks:
  - name: write
    pool: clerks
    for_each: {list: [ada, alan]}
    estimate: {tokens: 700}
    payload: {who: '{{item}}'}
    hook: {repository: site, branch: 'agent/{{item}}', base: main}
  - {name: sum, pool: counter, after: [write]}
"#;

/// Ada's is done at once; Alan's leaves half of it the first time and waits to be killed.
const CLERK: &str = r#"
task=$(cat)
worktree=$(echo "$task" | sed 's/.*"worktree":"\([^"]*\)".*/\1/')
who=$(echo "$task" | sed 's/.*"who":"\([^"]*\)".*/\1/')
cd "$worktree" || exit 1
if [ "$who" = alan ] && [ ! -e half ]; then echo half > half; sleep 600; fi
echo "$who" >> "$1"
echo "$who" > whole
git add --all && git -c user.name=clerk -c user.email=clerk@localhost commit --quiet --message "$who" >&2 || exit 1
echo "{\"who\":\"$who\"}"
"#;

/// Makes the fleet with its repository.
fn pinned() -> (Fleet, PathBuf) {
    let fleet = Fleet::new(PINNED);
    fleet.write("clerk.sh", CLERK);
    let repository = fleet.file("site");
    std::fs::create_dir(&repository).unwrap();
    git(&repository, &["init", "--quiet", "--initial-branch", "main"]);
    git(&repository, &["commit", "--quiet", "--allow-empty", "--message", "begin"]);
    (fleet, repository)
}

/// Waits until Ada's is done, and half of Alan's is there.
async fn half(fleet: &Fleet, data: &Path) {
    let half = || {
        let worktrees = std::fs::read_dir(data.join("hooks")).ok()?;
        let mut worktrees = worktrees.filter_map(|entry| Some(entry.ok()?.path().join("worktree/half")));
        (worktrees.any(|half| half.exists()) && fleet.lines("seen") == ["ada"]).then_some(())
    };
    eventually("one is done and half of the other is there", half).await;
}

/// Holds that all of it was done once, on its branches, and handed on.
fn judge(fleet: &Fleet, repository: &Path, document: &Value) {
    assert_eq!(document["complete"], true, "{document:#}");
    assert_eq!(document["outcome"]["continued"], true);
    assert_eq!(fleet.lines("seen"), ["ada", "alan"], "nothing is done twice");
    for who in ["ada", "alan"] {
        assert_eq!(git(repository, &["show", &format!("agent/{who}:whole")]), who);
    }
    let entries = document["outcome"]["entries"].as_array().unwrap();
    for (task, who) in entries[0]["tasks"].as_array().unwrap().iter().zip(["ada", "alan"]) {
        assert_eq!((&task["status"], &task["result"]["who"]), (&"completed".into(), &who.into()), "{task:#}");
        assert_eq!(task["completions"], 1, "{task:#}");
    }
    // What they gave back was handed on.
    let handed = &entries[1]["tasks"][0]["result"]["payload"]["after"]["write"];
    assert_eq!(handed[1]["result"]["who"], "alan", "{handed:#}");
}

#[tokio::test]
async fn work_of_a_fleet_file_hangs_on_hooks_and_ends_on_its_branches_over_a_kill() {
    let (fleet, repository) = pinned();
    let run = || {
        let mut command = fleet.call(&["--json"]);
        command.env("SYNOD_HOOKS__PATROL", "200ms");
        command
    };
    let killed = run().spawn().unwrap();
    half(&fleet, &fleet.file(".synod")).await;
    signal(&killed, Signal::KILL);
    drop(killed);

    let said = ended(run()).await;
    said.assert_code(0);
    judge(&fleet, &repository, &said.json());
}

#[tokio::test]
async fn work_of_a_fleet_file_hangs_on_hooks_of_a_server_and_ends_over_a_kill_of_it_and_of_the_run() {
    let (fleet, repository) = pinned();
    let data = fleet.file("data");
    let run = |url: &str| {
        let mut command = fleet.call(&["--json", "--server", url, "--token-file"]);
        command.arg(data.join("admin-token"));
        command
    };
    let (mut server, url) = served(&data).await;
    let killed = run(&url).spawn().unwrap();
    half(&fleet, &data).await;
    signal(&killed, Signal::KILL);
    signal(&server, Signal::KILL);
    server.wait().await.unwrap();
    drop(killed);

    let (_server, url) = served(&data).await;
    let said = ended(run(&url)).await;
    said.assert_code(0);
    judge(&fleet, &repository, &said.json());
    let client = Client { url, data: &data };
    let hooks = client.ask(&["hook", "list"]).await;
    let items = hooks["items"].as_array().unwrap();
    assert_eq!(items.len(), 2, "hung once: {hooks:#}");
    assert!(items.iter().all(|hook| hook["status"] == "COMPLETED"), "{hooks:#}");
    // Two that hang on hooks, one of them begun twice, and one that does not.
    let budget = client.ask(&["budget", "show", "pinned/turns"]).await;
    let settled = |line: usize| budget["item"]["limits"][line]["settled"].as_u64();
    assert!(settled(0) >= Some(3), "what hangs on hooks counts for its fleet: {budget:#}");
    assert!(settled(1) >= Some(1400) && settled(1) < Some(8000), "as much as was estimated: {budget:#}");
}
