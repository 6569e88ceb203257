//! Programs that cannot be started, and how they end when they can.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use synod_actors::ports::AgentRuntime;
use synod_actors::runtimes::process::ProcessRuntime;
use synod_domain::agent::ProcessSpec;

use crate::support::{World, failed, order, within};

/// What `prepare` and an attempt say, which must be the same.
async fn refusal(runtime: &ProcessRuntime) -> String {
    let early = runtime.prepare().await.unwrap_err();
    let (late, retryable) = failed(within(runtime.run(order("null").work)).await);
    assert_eq!(early, late);
    assert!(retryable, "the task is not at fault");
    early
}

#[tokio::test]
async fn a_missing_program_is_named_with_what_to_do() {
    let world = World::new().await;
    let reason = refusal(&world.runtime(&["no-such-agent", "--fast"])).await;
    assert!(reason.starts_with("program no-such-agent is not in the PATH ("), "{reason}");
    let reason = refusal(&world.runtime(&["/no/such/agent"])).await;
    assert!(reason.contains("/no/such/agent does not exist; install it"), "{reason}");
    let reason = refusal(&world.runtime(&[])).await;
    assert!(reason.contains("names no program"), "{reason}");
    assert!(world.log().await.contains("names no program"));
}

#[tokio::test]
async fn a_file_that_is_not_executable_is_named_with_what_to_do() {
    let world = World::new().await;
    fs::write(world.path("agent.sh"), "#!/bin/sh\necho 1\n").unwrap();
    let reason = refusal(&world.runtime(&["./agent.sh"])).await;
    assert!(
        reason.ends_with("agent.sh is not executable; run chmod +x on it, or name its interpreter first"),
        "{reason}"
    );
    let reason = refusal(&world.runtime(&["./logs"])).await;
    assert!(reason.contains("is not a file"), "{reason}");
}

#[tokio::test]
async fn a_script_whose_interpreter_is_missing_says_so() {
    let world = World::new().await;
    fs::write(world.path("agent.sh"), "#!/no/such/interpreter\n").unwrap();
    fs::set_permissions(world.path("agent.sh"), Permissions::from_mode(0o755)).unwrap();
    let runtime = world.runtime(&["./agent.sh"]);
    assert_eq!(runtime.prepare().await, Ok(()));
    let (reason, _) = failed(within(runtime.run(order("null").work)).await);
    assert!(reason.contains("the interpreter it asks for is not"), "{reason}");
}

#[tokio::test]
async fn a_missing_working_folder_is_named_with_what_to_do() {
    let world = World::new().await;
    let spec = ProcessSpec {
        command: vec!["sh".to_owned()],
        cwd: Some("/no/such/folder".to_owned()),
        env: BTreeMap::new(),
    };
    let reason = refusal(&ProcessRuntime::new(spec, world.node.clone())).await;
    assert!(reason.contains("/no/such/folder cannot be used"), "{reason}");
    assert!(reason.ends_with("create it or correct the pool's cwd"), "{reason}");
}

#[tokio::test]
async fn a_program_is_looked_for_in_the_path_of_its_pool() {
    let world = World::new().await;
    let spec = ProcessSpec {
        command: vec!["sh".to_owned()],
        cwd: None,
        env: BTreeMap::from([("PATH".to_owned(), "/no/such/folder".to_owned())]),
    };
    let reason = ProcessRuntime::new(spec, world.node.clone()).prepare().await.unwrap_err();
    assert!(reason.contains("not in the PATH (/no/such/folder)"), "{reason}");
}

#[tokio::test]
async fn a_failing_program_gives_its_last_words_as_the_reason() {
    let world = World::new().await;
    let (reason, retryable) = failed(world.run("echo context >&2; echo 'no such branch' >&2; exit 3").await);
    assert_eq!(reason, "exit code 3: context\nno such branch");
    assert!(retryable);
    let (reason, _) = failed(world.run("exit 1").await);
    assert_eq!(reason, "exit code 1");
}

#[tokio::test]
async fn exit_code_75_asks_for_a_retry() {
    let world = World::new().await;
    let (reason, retryable) = failed(world.run("echo rate limited >&2; exit 75").await);
    assert_eq!(reason, "the program asks for a retry (exit code 75): rate limited");
    assert!(retryable);
}

#[tokio::test]
async fn a_program_that_is_killed_names_the_signal() {
    let world = World::new().await;
    let (reason, retryable) = failed(world.run("kill -KILL $$").await);
    assert_eq!(reason, "killed by signal 9 (SIGKILL)");
    assert!(retryable);
}
