//! What is followed: events over restarts, lists that are watched, waits.

use futures::StreamExt;
use serde_json::Value;
use synod::api::{EventFilter, NewTask};
use synod::client::Signal;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout};

use crate::support::{PATIENCE, Served, ending};

fn follow(mut command: tokio::process::Command) -> (Child, Lines<BufReader<ChildStdout>>) {
    let mut child = command.spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    (child, lines)
}

async fn line(lines: &mut Lines<BufReader<ChildStdout>>) -> Value {
    let line = tokio::time::timeout(PATIENCE, lines.next_line()).await.expect("a line").unwrap();
    serde_json::from_str(&line.expect("not the end")).unwrap()
}

#[tokio::test]
async fn followed_events_are_one_envelope_on_each_line_and_go_on_after_a_kill() {
    let mut served = Served::start().await;
    let submit = async |served: &Served| {
        let submitted = served.json(&["task", "submit", "--type", "review"]).await;
        submitted["item"]["task_id"].as_str().unwrap().to_owned()
    };
    let first = submit(&served).await;
    let since = ["event", "--json", "--type", "task_submitted", "--since", "0.0"];
    let (child, mut lines) = follow(served.call(&since));
    // What stood before the first entry is not kept, and that is told.
    assert_eq!(line(&mut lines).await["kind"], "missed");
    let told = line(&mut lines).await;
    assert_eq!((&told["version"], &told["kind"]), (&1.into(), &"event".into()));
    assert_eq!(told["item"]["data"]["task"], first.as_str(), "{told}");

    served.kill_and_start_again().await;
    let second = submit(&served).await;
    let mut seen = Vec::new();
    while seen.last() != Some(&second) {
        let told = line(&mut lines).await;
        if told["kind"] == "event" {
            seen.push(told["item"]["data"]["task"].as_str().unwrap().to_owned());
        }
    }
    assert_eq!(seen, [second], "nothing is told twice");
    // The reader goes away, and the next event ends the command.
    drop(lines);
    submit(&served).await;
    let said = ending(child).await;
    said.assert_code(0);
    assert!(said.err.contains("the node is away"), "{said:#?}");
}

#[tokio::test]
async fn a_watched_list_is_shown_again_when_something_happens() {
    let served = Served::start().await;
    let (mut child, mut lines) = follow(served.call(&["task", "list", "--watch", "--json"]));
    assert_eq!(line(&mut lines).await["items"].as_array().unwrap().len(), 0);
    served.json(&["task", "submit", "--type", "review"]).await;
    let shown = line(&mut lines).await;
    assert_eq!((&shown["kind"], shown["items"].as_array().unwrap().len()), (&"task_list".into(), 1));
    child.kill().await.unwrap();
}

#[tokio::test]
async fn the_clients_stream_says_when_the_node_is_away_and_when_it_is_back() {
    let mut served = Served::start().await;
    let client = served.client();
    let mut signals = Box::pin(client.events(EventFilter::default()));
    let mut next =
        async || tokio::time::timeout(PATIENCE, signals.next()).await.expect("a signal").unwrap().unwrap();
    assert_eq!(next().await, Signal::Connected);
    client.submit(&NewTask { kind: "review".to_owned(), ..NewTask::default() }).await.unwrap();
    assert!(matches!(next().await, Signal::Event(event) if event.kind == "task_submitted"));
    served.kill().await;
    assert!(matches!(next().await, Signal::Away { .. }));
    served.start_again().await;
    assert_eq!(next().await, Signal::Connected);
}
