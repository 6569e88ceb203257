//! Agents that are Rust types.

use std::collections::BTreeMap;
use std::num::ParseIntError;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;
use synod_actors::ports::{AgentRuntime, Finish, Report, ToolAnswer};
use synod_actors::runtimes::native::{AgentError, Context, NativeAgent, NativeRuntime};
use synod_domain::task::Usage;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::support::{completed, failed, name, order, within};

#[derive(Deserialize)]
struct Sum {
    left: i64,
    right: i64,
}

#[derive(Serialize)]
struct Total {
    total: i64,
    labels: BTreeMap<String, String>,
}

struct Adder;

impl NativeAgent for Adder {
    type Input = Sum;
    type Output = Total;

    async fn run(&self, context: Context, sum: Sum) -> Result<Total, AgentError> {
        context.heartbeat();
        context.progress(130, "added");
        context.usage(Usage { tokens_in: 1, ..Usage::default() }, Some("abacus"));
        assert_eq!((context.attempt, &context.agent), (2, &name("coder-1")));
        let labels =
            context.labels.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        Ok(Total { total: sum.left + sum.right, labels })
    }
}

#[tokio::test]
async fn typed_input_and_output_travel_as_json_and_reports_arrive() {
    let mut order = order(r#"{"left": 20, "right": 22}"#);
    let result = completed(NativeRuntime::new(Adder).run(order.work).await);
    assert_eq!(result, json!({"total": 42, "labels": {"team": "core"}}));
    let mut reports = Vec::new();
    while let Some(report) = order.reports.recv().await {
        reports.push(report);
    }
    let expected = [
        Report::Heartbeat,
        Report::Progress { percent: Some(100), message: Some("added".to_owned()) },
        Report::Usage { usage: Usage { tokens_in: 1, ..Usage::default() }, model: Some("abacus".to_owned()) },
    ];
    assert_eq!(reports, expected);
}

/// Uses a tool if it may.
struct Asking;

impl NativeAgent for Asking {
    type Input = serde_json::Value;
    type Output = String;

    async fn run(&self, context: Context, attributes: serde_json::Value) -> Result<String, AgentError> {
        Ok(context.may_use("shell", attributes).await.reason)
    }
}

#[tokio::test]
async fn an_agent_asks_whether_it_may_use_a_tool_and_hears_the_answer() {
    let mut order = order(r#"{"command": "make"}"#);
    let answering = async {
        let request = order.tools.recv().await.unwrap();
        assert_eq!((request.tool.as_str(), &request.attributes["command"]), ("shell", &json!("make")));
        request.answer.send(ToolAnswer::no("not on a Friday".to_owned())).unwrap();
    };
    let runtime = NativeRuntime::new(Asking);
    let (finish, ()) = within(futures::future::join(runtime.run(order.work), answering)).await;
    assert_eq!(completed(finish), json!("not on a Friday"));
}

#[tokio::test]
async fn attributes_that_are_no_object_are_answered_with_no() {
    let order = order("[1]");
    assert_eq!(
        completed(NativeRuntime::new(Asking).run(order.work).await),
        json!("the attributes are no object")
    );
}

#[tokio::test]
async fn input_of_another_shape_fails_for_good_and_says_where() {
    let (reason, retryable) = failed(NativeRuntime::new(Adder).run(order(r#"{"left": 20}"#).work).await);
    assert_eq!(reason, "the payload is not what this agent takes: missing field `right` at line 1 column 12");
    assert!(!retryable);
}

/// Fails in the way its input names.
struct Failing;

impl NativeAgent for Failing {
    type Input = String;
    type Output = u8;

    async fn run(&self, _context: Context, how: String) -> Result<u8, AgentError> {
        match how.as_str() {
            "panic" => panic!("lost my {}", "mind"),
            "fail" => Err(AgentError::fail("cannot be done")),
            "retry" => Err(AgentError::retry("not yet")),
            number => Ok(number.parse::<u8>().map_err(|error: ParseIntError| error)?),
        }
    }
}

#[tokio::test]
async fn failures_and_panics_fail_the_attempt_and_not_the_node() {
    let runtime = NativeRuntime::new(Failing);
    let cases = [
        (r#""panic""#, "the agent panicked: lost my mind", true),
        (r#""fail""#, "cannot be done", false),
        (r#""retry""#, "not yet", true),
        (r#""300""#, "number too large to fit in target type", true),
    ];
    for (input, reason, retryable) in cases {
        assert_eq!(failed(runtime.run(order(input).work).await), (reason.to_owned(), retryable));
    }
    assert_eq!(completed(runtime.run(order(r#""7""#).work).await), json!(7));
}

/// Runs until it is told to stop, or for ever when its input is false.
struct Patient {
    started: Arc<Notify>,
    alive: Arc<()>,
}

impl NativeAgent for Patient {
    type Input = bool;
    type Output = ();

    async fn run(&self, context: Context, listens: bool) -> Result<(), AgentError> {
        let _alive = Arc::clone(&self.alive);
        self.started.notify_one();
        if listens {
            context.cancelled().await;
            return Ok(());
        }
        std::future::pending().await
    }
}

#[tokio::test]
async fn a_stop_reaches_the_agent_and_one_that_does_not_listen_is_aborted_after_its_grace() {
    for (listens, grace) in [(true, Duration::from_secs(3600)), (false, Duration::from_millis(100))] {
        let (started, alive) = (Arc::new(Notify::new()), Arc::new(()));
        let agent = Patient { started: Arc::clone(&started), alive: Arc::clone(&alive) };
        let runtime = NativeRuntime::new(agent).with_grace(grace);
        let order = order(listens.to_string());
        let attempt = tokio::spawn(async move { runtime.run(order.work).await });
        started.notified().await;
        let begin = Instant::now();
        order.stop.cancel();
        assert_eq!(within(attempt).await.unwrap(), Finish::Stopped);
        assert!(listens || begin.elapsed() >= grace, "it had its grace");
        assert!(begin.elapsed() < Duration::from_millis(900), "and is not waited for longer");
        assert_eq!(Arc::strong_count(&alive), 1, "nothing of it is left");
    }
}

#[tokio::test]
async fn an_attempt_that_is_dropped_takes_its_agent_along() {
    let (started, alive) = (Arc::new(Notify::new()), Arc::new(()));
    let agent = Patient { started: Arc::clone(&started), alive: Arc::clone(&alive) };
    let runtime = NativeRuntime::new(agent);
    let order = order("false");
    let attempt = tokio::spawn(async move { runtime.run(order.work).await });
    started.notified().await;
    attempt.abort();
    within(async {
        while Arc::strong_count(&alive) > 1 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

struct Bulky;

impl NativeAgent for Bulky {
    type Input = ();
    type Output = String;

    async fn run(&self, _context: Context, (): ()) -> Result<String, AgentError> {
        Ok("x".repeat(64 * 1024 * 1024))
    }
}

#[tokio::test]
async fn a_result_over_the_limit_fails_for_good_and_no_payload_reads_as_null() {
    let (reason, retryable) = failed(NativeRuntime::new(Bulky).run(order("").work).await);
    assert!(reason.starts_with("the result is larger than 64 MiB"), "{reason}");
    assert!(!retryable);
}
