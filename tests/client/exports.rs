//! `synod event export` against a real node: the file is one that the reader of recordings takes whole, and that the
//! program which simulates makes happen again.

use std::path::Path;

use synod::api::{Claim, Complete};
use synod::node::domain::event::Event;
use synod::node::domain::task::Phase;
use synod::recording;

use crate::support::{Served, ended, synod};

/// Lets an agent outside do three tasks, and calls a fourth off.
async fn some_work(served: &Served) {
    served.json(&["pool", "create", "builders"]).await;
    served.json(&["agent", "register", "ada", "--pool", "builders"]).await;
    for _ in 0..4 {
        served.json(&["pool", "submit", "builders", "--type", "build"]).await;
    }
    let client = served.client();
    for _ in 0..3 {
        let claim = Claim { agent_id: "ada".to_owned(), capabilities: None, max: 1, wait_ms: 0, start: true };
        let leased = client.claim(&claim, &client.new_key()).await.unwrap().tasks.remove(0);
        let complete = Complete { attempt: leased.attempt, result: None, usage: None };
        client.complete(&leased.task.id, &complete).await.unwrap();
    }
    served.json(&["task", "cancel", "--type", "build", "--yes"]).await;
}

#[tokio::test]
async fn what_a_node_knows_of_its_past_is_exported_whole_and_can_happen_again() {
    let served = Served::start().await;
    some_work(&served).await;
    let file = served.folder.path().join("past.jsonl");
    let exported = served.json(&["event", "export", file.to_str().unwrap()]).await;
    let recording = recording::read(&file).unwrap();
    assert_eq!(exported["item"]["tasks"], 4, "{exported}");
    assert_eq!(exported["item"]["events"], recording.events.len(), "{exported}");
    assert_eq!((recording.tasks.len(), recording.pools.len()), (4, 1));
    let phases = recording.events.iter().filter_map(|one| match &one.event {
        Event::TaskEnded { phase, .. } => Some(*phase),
        _ => None,
    });
    let phases: Vec<Phase> = phases.collect();
    assert_eq!(phases.iter().filter(|phase| **phase == Phase::Completed).count(), 3, "{phases:?}");
    assert_eq!(phases.iter().filter(|phase| **phase == Phase::Cancelled).count(), 1, "{phases:?}");

    // A file whose end is missing is none.
    let text = std::fs::read_to_string(&file).unwrap();
    let cut = served.folder.path().join("cut.jsonl");
    std::fs::write(&cut, &text[..text.len() / 2]).unwrap();
    assert!(recording::read(&cut).is_err());

    // Where the program that simulates was built, too: it has a package of its own.
    if Path::new(env!("CARGO_BIN_EXE_synod")).with_file_name("synod-simulate").exists() {
        let replay = |file: &Path| {
            let mut command = synod(served.folder.path());
            command.args(["simulate", "--json", "--replay"]).arg(file);
            ended(command)
        };
        replay(&file).await.assert_code(0);
        replay(&cut).await.assert_code(2);
    }
}
