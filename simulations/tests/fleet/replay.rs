//! What was recorded of a real node happens again in a world.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use synod::native::{AgentError, Context, NativeAgent};
use synod::node::domain::command::Command;
use synod::node::domain::name::Name;
use synod::node::domain::resource::ResourceCommand;
use synod::node::domain::retry::RetryPolicy;
use synod::node::feed::{Place, Read};
use synod::node::{NewTask, Node, Pool};
use synod::recording::Writer;

use super::{code, file, item, simulate};

/// Fails as often as its task says, then succeeds; or fails for good.
struct Fickle;

impl NativeAgent for Fickle {
    type Input = u32;
    type Output = Value;

    async fn run(&self, context: Context, failures: u32) -> Result<Value, AgentError> {
        match failures {
            GIVES_UP => Err(AgentError::fail("it cannot be done")),
            failures if context.attempt <= failures => Err(AgentError::retry("not yet")),
            _ => Ok(Value::Null),
        }
    }
}

/// The task that fails for good.
const GIVES_UP: u32 = 99;

/// Runs a real node with some work, and records what its feed tells.
async fn recorded(folder: &Path) -> PathBuf {
    let node =
        Node::builder().data(folder.join("data")).native("fickle", Fickle).unwrap().start().await.unwrap();
    node.put_pool(Pool::native("workers", "fickle").unwrap().size(2)).await.unwrap();
    let resource = ResourceCommand::Put { name: Name::new("gpu").unwrap(), capacity: 1, about: "".into() };
    node.propose(Command::Resource(resource)).await.unwrap();
    let retry = RetryPolicy { initial: Duration::from_millis(20), ..RetryPolicy::default() };
    let mut tasks = Vec::new();
    for failures in [0, 1, 2, 0, GIVES_UP, 0] {
        let task = NewTask::to_pool("workers", "fickle", &failures).unwrap().retry(retry.clone());
        tasks.push(node.submit(task).await.unwrap());
    }
    for task in tasks {
        node.wait(task).await.unwrap();
    }
    let path = folder.join("recording.jsonl");
    let into = BufWriter::new(File::create(&path).unwrap());
    let mut writer = Writer::begin(into, "2026-01-01T00:00:00Z".to_owned()).unwrap();
    let mut reader = node.feed().reader(Some(Place { index: 0, number: 0 }));
    node.stop().await;
    loop {
        match reader.next().await {
            Read::Events(events) => events.iter().for_each(|told| writer.told(told).unwrap()),
            Read::Missed { .. } => {}
            Read::Closed => break,
        }
    }
    writer.end().unwrap();
    path
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_real_node_did_happens_again_with_the_same_ends_and_retries() {
    let folder = file("recorded/nothing", "").parent().unwrap().to_owned();
    let recording = recorded(&folder).await;
    let args = ["--replay", recording.to_str().unwrap(), "--seed", "5", "--json"];
    let output = simulate(&args);
    assert_eq!(code(&output), 0, "{output:?}");
    let replay = item(&output, "replay");
    assert_eq!((&replay["tasks"], &replay["compared"]), (&6.into(), &6.into()), "{replay}");
    for side in ["recorded", "simulated"] {
        assert_eq!(replay[side]["ends"]["completed"], 5, "{side}: {replay}");
        assert_eq!(replay[side]["ends"]["failed"], 1, "{side}: {replay}");
        assert_eq!(replay[side]["retries"], 3, "{side}: {replay}");
    }
    assert_eq!(replay["different"], serde_json::json!([]), "{replay}");
    let notes = replay["notes"].to_string();
    assert!(
        notes.contains("1 change of a resource is left out"),
        "what does not happen again is said: {notes}"
    );
    assert!(replay["checked"].as_object().unwrap().len() > 10, "the ordinary judges are asked: {replay}");
    assert_eq!(simulate(&args).stdout, output.stdout, "the same recording and seed give the same answer");
}

#[test]
fn a_recording_that_is_broken_or_cut_off_is_refused_with_its_line_and_what_to_do() {
    let header = r#"{"synod_recording":1,"synod":"0.1.0","recorded_at":"2026-01-01T00:00:00Z"}"#;
    let end = r#"{"version":1,"kind":"end","item":{"pools":0,"tasks":0,"events":0}}"#;
    let cases = [
        (String::new(), ":1: the file is empty"),
        ("what I wanted to buy\n".to_owned(), ":1: this is not the first line of a recording"),
        (header.replace(":1,", ":2,"), ":1: the recording has the format 2; this program reads 1"),
        (header.to_owned(), ":1: the recording was cut off behind this line"),
        (format!("{header}\n{{\"kind\":\"ev"), ":2: this is no line of a recording"),
        (format!("{header}\n{{\"kind\":\"song\",\"item\":{{}}}}\n"), ":2: \"song\" is no kind of line"),
        (format!("{header}\n{{\"kind\":\"event\",\"item\":{{}}}}\n"), ":2: this is no event"),
        (format!("{header}\n{}\n", end.replace("\"events\":0", "\"events\":3")), ":2: lines are missing"),
        (format!("{header}\n{end}\nmore\n"), ":3: something stands behind the end"),
        (format!("{header}\n{end}\n"), "no task was submitted within the recording"),
    ];
    for (text, says) in cases {
        let recording = file("broken.jsonl", &text);
        let output = simulate(&["--replay", recording.to_str().unwrap()]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(code(&output), 2, "{text}: {said}");
        assert!(said.contains(says), "{text}: {said}");
        assert!(said.contains("synod event export FILE") || says.contains("no task"), "{said}");
    }
    let output = simulate(&["--replay", "no-such-recording.jsonl"]);
    assert_eq!(code(&output), 2, "{output:?}");
}
