//! What becomes of what a program writes.

use std::os::unix::fs::PermissionsExt;

use serde_json::json;
use synod_actors::ports::{AgentRuntime, Report, ToolAnswer};
use synod_actors::runtimes::process::LOG_BYTES_MAX;
use synod_domain::id::TaskId;
use synod_domain::task::Usage;

use crate::support::{World, completed, failed, order, task, within};

#[tokio::test]
async fn json_output_is_the_result_and_text_becomes_a_string() {
    let world = World::new().await;
    assert_eq!(completed(world.run(r#"echo '{"ok": true}'"#).await), json!({"ok": true}));
    assert_eq!(completed(world.run("echo all done").await), json!("all done"));
    assert_eq!(completed(world.run("true").await), json!(""));
}

#[tokio::test]
async fn output_that_is_not_utf8_is_kept_as_text_and_the_log_says_so() {
    let world = World::new().await;
    assert_eq!(completed(world.run(r"printf 'a\377b'").await), json!("a\u{fffd}b"));
    assert!(world.log().await.contains("not UTF-8"));
}

#[tokio::test]
async fn too_much_output_ends_the_program_and_the_task_for_good() {
    let world = World::new().await;
    let (reason, retryable) = failed(world.run("yes").await);
    assert!(reason.contains("more than 8 MiB to standard output"), "{reason}");
    assert!(!retryable);
    assert_eq!(world.alive(), [""; 0]);
}

#[tokio::test]
async fn standard_error_is_the_log_and_can_be_read_later() {
    let world = World::new().await;
    completed(world.run("echo one >&2; echo two >&2").await);
    assert_eq!(world.log().await, "one\ntwo\n");
    assert_eq!(world.node.attempts(task()).await.unwrap(), [2]);
    assert_eq!(world.node.read_log(task(), 1).await.unwrap(), None);
    assert_eq!(world.node.attempts(TaskId::from_raw(1)).await.unwrap(), [0_u32; 0]);
    let file = world.path("logs").join(task().to_string()).join("2.log");
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(world.path("logs").metadata().unwrap().permissions().mode() & 0o777, 0o700);

    world.node.remove_logs(task()).await.unwrap();
    world.node.remove_logs(task()).await.unwrap();
    assert_eq!(world.node.attempts(task()).await.unwrap(), [0_u32; 0]);
}

#[tokio::test]
async fn a_silent_program_leaves_no_log() {
    let world = World::new().await;
    assert_eq!(completed(world.run("echo '\"done\"'").await), json!("done"));
    assert_eq!(world.node.read_log(task(), 2).await.unwrap(), None);
    assert_eq!(world.node.attempts(task()).await.unwrap(), [0_u32; 0]);
    assert_eq!(world.path("logs").read_dir().unwrap().count(), 0);
}

#[tokio::test]
async fn a_log_that_keeps_only_its_end_is_made_when_the_program_ended() {
    let world = World::with(|settings| settings.log_bytes_max = 0).await;
    completed(world.run("echo the end >&2; ls logs/* >&2 || true").await);
    let log = world.log().await;
    assert!(log.starts_with("the end\n") && !log.contains("2.log"), "{log}");
}

#[tokio::test]
async fn an_attempt_whose_log_the_disk_refuses_goes_on_and_keeps_its_last_words() {
    let world = World::new().await;
    std::fs::write(world.path("logs").join(task().to_string()), "where a folder should be").unwrap();
    let (reason, _) = failed(world.run("echo the cause >&2; exit 4").await);
    assert_eq!(reason, "exit code 4: the cause");
}

#[tokio::test]
async fn a_long_log_is_bounded_and_keeps_both_ends() {
    let world = World::new().await;
    let script = "echo first >&2; yes filler | head -c 5000000 >&2; echo the last words >&2; exit 4";
    let (reason, _) = failed(world.run(script).await);
    assert!(reason.starts_with("exit code 4: filler\n") && reason.ends_with("the last words"), "{reason}");
    let log = world.log().await;
    assert!(log.starts_with("first\n") && log.ends_with("the last words\n"));
    assert!(log.contains("bytes left out here"));
    assert!(log.len() < LOG_BYTES_MAX + 200, "{}", log.len());
}

#[tokio::test]
async fn lines_on_descriptor_3_become_reports_and_bad_ones_notes() {
    let world = World::new().await;
    let script = r#"
        echo '{"type":"heartbeat"}' >&3
        echo 'not json' >&3
        echo '{"type":"progress","percent":40,"message":"tests run"}' >&3
        printf '{"type":"usage","tokens_in":12,"tokens_out":3,"cost_usd":0.5,"model":"m"}' >&3
    "#;
    let mut order = order("null");
    completed(within(world.shell(script).run(order.work)).await);
    let mut reports = Vec::new();
    while let Some(report) = order.reports.recv().await {
        reports.push(report);
    }
    let usage = Usage { tokens_in: 12, tokens_out: 3, cost_microusd: 500_000 };
    let expected = [
        Report::Heartbeat,
        Report::Progress { percent: Some(40), message: Some("tests run".to_owned()) },
        Report::Usage { usage, model: Some("m".to_owned()) },
    ];
    assert_eq!(reports, expected);
    assert!(world.log().await.contains("a line on fd 3 was not understood"));
}

#[tokio::test]
async fn tool_requests_on_descriptor_3_are_answered_on_descriptor_4() {
    let world = World::new().await;
    let script = r#"
        echo '{"type":"tool_request","id":"a","tool":"shell","attributes":{"command":"make"}}' >&3
        read -r first <&4
        echo '{"type":"tool_request","id":"b","tool":7}' >&3
        read -r second <&4
        printf '[%s,%s]' "$first" "$second"
    "#;
    let mut order = order("null");
    let answering = async {
        let request = order.tools.recv().await.unwrap();
        assert_eq!((request.tool.as_str(), &request.attributes["command"]), ("shell", &json!("make")));
        let answer = ToolAnswer { allowed: true, ..ToolAnswer::no("go on".to_owned()) };
        request.answer.send(answer).unwrap();
    };
    let runtime = world.shell(script);
    let (finish, ()) = within(futures::future::join(runtime.run(order.work), answering)).await;
    let said = completed(finish);
    assert_eq!((&said[0]["id"], &said[0]["decision"]), (&json!("a"), &json!("allow")));
    assert_eq!((&said[1]["id"], &said[1]["allowed"]), (&json!("b"), &json!(false)));
    assert!(said[1]["reason"].as_str().unwrap().contains("not understood"), "{said}");
}

#[tokio::test]
async fn a_flood_of_reports_that_nobody_reads_does_not_hold_the_program() {
    let world = World::new().await;
    let script =
        r#"i=0; while [ $i -lt 20000 ]; do echo '{"type":"heartbeat"}' >&3; i=$((i+1)); done; echo 1"#;
    let order = order("null");
    assert_eq!(completed(within(world.shell(script).run(order.work)).await), json!(1));
}
