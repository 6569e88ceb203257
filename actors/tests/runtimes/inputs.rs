//! What a program is given.

use serde_json::json;
use synod_actors::ports::AgentRuntime;

use crate::support::{World, completed, order, task, within};

#[tokio::test]
async fn a_program_reads_its_task_as_json() {
    let world = World::new().await;
    let order = order(r#"{"file": "a.rs"}"#);
    let task = completed(within(world.shell("cat").run(order.work)).await);
    let expected = json!({
        "task": crate::support::task(), "kind": "review", "workspace": "acme", "attempt": 2, "agent": "coder-1",
        "deadline": 1234, "labels": {"team": "core"}, "payload": {"file": "a.rs"},
    });
    assert_eq!(task, expected);
}

#[tokio::test]
async fn a_payload_that_is_not_json_arrives_as_a_string_and_none_as_null() {
    let world = World::new().await;
    for (payload, expected) in [("hello \"you\"", json!("hello \"you\"")), ("", json!(null))] {
        let task = completed(within(world.shell("cat").run(order(payload).work)).await);
        assert_eq!(task["payload"], expected);
    }
}

#[tokio::test]
async fn the_environment_is_cleared_but_for_what_is_listed() {
    let world = World::new().await;
    let secret = "CARGO_MANIFEST_DIR";
    assert!(std::env::var_os(secret).is_some(), "cargo sets it; it plays the node's secret");
    let text = completed(world.run("env").await);
    let lines: Vec<_> = text.as_str().unwrap().lines().collect();
    assert!(!lines.iter().any(|line| line.starts_with(secret)), "{lines:?}");
    let expected = [
        "FROM_POOL=yes".to_owned(),
        format!("SYNOD_TASK_ID={}", task()),
        "SYNOD_ATTEMPT=2".to_owned(),
        "SYNOD_AGENT=coder-1".to_owned(),
        format!("SYNOD_NODE={}", world.mark),
    ];
    for line in expected {
        assert!(lines.contains(&line.as_str()), "{line} is missing in {lines:?}");
    }
}

#[tokio::test]
async fn a_program_that_does_not_read_its_input_neither_fails_nor_hangs() {
    let world = World::new().await;
    let large = format!("\"{}\"", "x".repeat(1024 * 1024));
    for script in ["true", "sleep 0.2; echo 1", "exec 0<&-; sleep 0.2", "head -c 100 >/dev/null"] {
        completed(within(world.shell(script).run(order(large.clone()).work)).await);
    }
}

#[tokio::test]
async fn a_program_has_no_descriptors_but_its_own_five() {
    // Plays what a careless parent left open: not close-on-exec.
    let leaked = rustix::io::dup(std::io::stderr()).unwrap();
    let world = World::new().await;
    let list = completed(world.run("ls /proc/self/fd | tr '\\n' ' '").await);
    // The last is the folder that ls itself reads.
    assert_eq!(list, "0 1 2 3 4 5 ");
    drop(leaked);
}

#[tokio::test]
async fn a_program_leads_its_own_session() {
    let world = World::new().await;
    let ids = completed(world.run("set -- $(cut -d' ' -f1,5,6 /proc/$$/stat); echo \"[$1,$2,$3]\"").await);
    assert!(ids[0] == ids[1] && ids[0] == ids[2], "{ids}");
}
