//! No process outlives its node: T34.
//!
//! The node that is killed is this test program itself, started again with the name of the test that plays it.

use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use synod_actors::ports::AgentRuntime;
use synod_actors::runtimes::process::{ProcessNode, ProcessRuntime, ProcessSettings};
use synod_domain::agent::ProcessSpec;

use crate::support::{STUBBORN, World, alive, children, completed, fresh_mark, order, until, until_exists};

/// Tells the test that plays a node that it is one, and in which folder. Its mark is the folder's name.
const NODE_FOLDER: &str = "SYNOD_TEST_NODE_FOLDER";

/// What the threshold of T34 allows.
const ORPHANS_MAX: Duration = Duration::from_secs(5);

#[tokio::test]
async fn plays_a_node_for_the_tests_below() {
    let Some(folder) = std::env::var_os(NODE_FOLDER).map(PathBuf::from) else { return };
    let mark = folder.file_name().unwrap().to_str().unwrap();
    let node = ProcessNode::start(ProcessSettings::new(folder.join("logs"), mark)).await.unwrap();
    let spec = ProcessSpec {
        command: ["sh", "-c", STUBBORN].map(str::to_owned).to_vec(),
        cwd: folder.to_str().map(str::to_owned),
        env: [].into(),
    };
    ProcessRuntime::new(spec, node).run(order("null").work).await;
}

/// A node in a process of its own that runs [`STUBBORN`].
struct Node {
    process: Child,
    reaper: Pid,
    mark: String,
    _home: tempfile::TempDir,
}

impl Node {
    async fn start() -> Self {
        let home = tempfile::tempdir().unwrap();
        let mark = fresh_mark();
        let folder = home.path().join(&mark);
        std::fs::create_dir(&folder).unwrap();
        let process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "orphans::plays_a_node_for_the_tests_below"])
            .env(NODE_FOLDER, &folder)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        until_exists(&folder.join("ready")).await;
        assert!(alive(&mark).len() >= 2, "program and grandchild: {:?}", alive(&mark));
        let reapers = children(process.id(), "synod-reaper");
        assert_eq!(reapers.len(), 1);
        Self { process, reaper: Pid::from_raw(reapers[0]).unwrap(), mark, _home: home }
    }

    fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

#[tokio::test]
async fn nothing_survives_a_node_that_is_killed_with_sigkill() {
    let mut node = Node::start().await;
    node.kill();
    until("no orphan", ORPHANS_MAX, || alive(&node.mark).is_empty()).await;
    until("no reaper", ORPHANS_MAX, || test_kill_process(node.reaper).is_err()).await;
}

#[tokio::test]
async fn when_even_the_reaper_is_killed_the_program_dies_with_its_node_and_the_next_start_finds_the_rest() {
    let mut node = Node::start().await;
    let programs = children(node.process.id(), "touch ready");
    let program = Pid::from_raw(programs[0]).unwrap();
    kill_process(node.reaper, Signal::KILL).unwrap();
    node.kill();
    until("the program died with its node", ORPHANS_MAX, || test_kill_process(program).is_err()).await;
    assert!(!alive(&node.mark).is_empty(), "nobody is left to kill the grandchild");

    let home = tempfile::tempdir().unwrap();
    ProcessNode::start(ProcessSettings::new(home.path(), &node.mark)).await.unwrap();
    assert_eq!(alive(&node.mark), [""; 0]);
}

#[tokio::test]
async fn the_next_start_of_a_node_kills_what_an_earlier_life_left() {
    let mark = fresh_mark();
    let program = |mark: &str| {
        let mut command = Command::new("sleep");
        command.arg("300").env("SYNOD_NODE", mark).process_group(0).spawn().unwrap()
    };
    let mut leftover = program(&mark);
    let mut stranger = program(&format!("{mark}-other"));
    let home = tempfile::tempdir().unwrap();
    let node = ProcessNode::start(ProcessSettings::new(home.path(), &mark)).await.unwrap();
    let end = leftover.try_wait().unwrap().expect("killed before the node is ready");
    assert_eq!(end.signal(), Some(Signal::KILL.as_raw()));
    assert_eq!(stranger.try_wait().unwrap(), None);
    assert_eq!(node.sweep().await, 0);
    stranger.kill().unwrap();
    stranger.wait().unwrap();
}

#[tokio::test]
async fn a_program_that_left_its_group_is_found_by_the_sweep() {
    let world = World::new().await;
    completed(world.run("setsid sleep 300 >/dev/null 2>&1 3>&- </dev/null & while ! grep -q sleep /proc/$!/comm; do :; done").await);
    assert_eq!(world.alive().len(), 1);
    assert_eq!(world.node.sweep().await, 1);
    assert_eq!(world.alive(), [""; 0]);
}
