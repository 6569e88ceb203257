//! Who belongs to a cluster, as operators change it: tokens, a worker that comes and goes, a node that is removed.

use serde_json::Value;

use crate::support::{PATIENCE, ending};
use crate::three::{ServerNode, Three};

/// Asks until an answer is as it shall be.
async fn until(what: &str, mut ask: impl AsyncFnMut() -> Value, is: impl Fn(&Value) -> bool) -> Value {
    let until = tokio::time::Instant::now() + PATIENCE;
    loop {
        let said = ask().await;
        if is(&said) {
            return said;
        }
        assert!(tokio::time::Instant::now() < until, "not within {PATIENCE:?}: {what}: {said:#}");
    }
}

/// Returns one field of each item, in order.
fn each<'a>(list: &'a Value, field: &str) -> Vec<&'a str> {
    let items = list.as_array().unwrap_or_else(|| panic!("{list}"));
    items.iter().map(|item| item[field].as_str().unwrap_or_else(|| panic!("{item}"))).collect()
}

#[tokio::test]
async fn a_worker_joins_and_leaves_by_itself_and_a_voter_is_removed_by_the_others() {
    let three = Three::start().await;
    let names = ["node-a", "node-b", "node-c"];

    let listed = async || three.say(&["cluster", "members", "--json"]).await.json();
    let alive = |listed: &Value| each(&listed["items"], "health").iter().all(|health| *health == "alive");
    let members = until("gossip hears all", listed, alive).await;
    assert_eq!(members["kind"], "member_list");
    assert_eq!(each(&members["items"], "name"), names);
    let snapshot = three.say(&["cluster", "snapshot", "--json"]).await;
    snapshot.assert_code(0);
    let snapshot = snapshot.json();
    assert_eq!(snapshot["kind"], "snapshot");
    assert!(snapshot["item"]["applied"].as_u64().is_some_and(|applied| applied > 0), "{snapshot}");

    // Of two tokens one is revoked, and is listed no more.
    let create = async || {
        let said = three.say(&["cluster", "token", "create", "--role", "worker", "--json"]).await;
        said.assert_code(0);
        said.json()["item"].clone()
    };
    let (token, other) = (create().await, create().await);
    let id = |token: &Value| token["token"]["id"].as_str().unwrap().to_owned();
    let listed = async || three.say(&["cluster", "token", "list", "--json"]).await.json();
    let tokens = listed().await;
    let ids = each(&tokens["items"], "id").iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
    assert!(ids.contains(&id(&token)) && ids.contains(&id(&other)), "{tokens}");
    assert!(!tokens.to_string().contains(token["text"].as_str().unwrap()), "a text is shown once");
    three.say(&["cluster", "token", "revoke", &id(&other)]).await.assert_code(0);
    assert!(!each(&listed().await["items"], "id").contains(&id(&other).as_str()));
    three.say(&["cluster", "token", "revoke", &id(&other)]).await.assert_code(1);

    let home = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let file = home.path().join("join-token");
    std::fs::write(&file, token["text"].as_str().unwrap()).unwrap();
    let args = [
        "--join",
        token["join"].as_str().unwrap(),
        "--role",
        "worker",
        "--token-file",
        file.to_str().unwrap(),
        "--node-name",
        "node-d",
    ];
    let held = three.ready["token_file"].as_str();
    let mut worker = ServerNode::start_with(&home.path().join("node-d"), &args, held).await;
    let node = worker.say(&["node", "show", "node-d", "--json"]).await.json();
    assert_eq!((&node["item"]["role"], &node["item"]["leader"]), (&"worker".into(), &false.into()));
    let status = three.status().await;
    assert_eq!(each(&status["nodes"], "name").len(), 4);
    assert_eq!(status["voters"], 3, "a worker has no vote");

    // It leaves only when it is asked itself, and its process ends then.
    three.say(&["cluster", "leave", "--yes"]).await.assert_code(2);
    worker.say(&["cluster", "leave", "--yes"]).await.assert_code(0);
    let ended = tokio::time::timeout(PATIENCE, worker.child.wait()).await.expect("its process ends");
    assert!(ended.unwrap().success());
    assert_eq!(each(&three.status().await["nodes"], "name"), names);

    // The others remove one that does not lead, and go on without it.
    let leader = three.leader().await;
    let removed = *names.iter().find(|name| **name != leader).unwrap();
    three.say(&["cluster", "remove", removed, "--yes"]).await.assert_code(0);
    let leads = three.place(&leader, "url");
    let asked =
        async || three.say(&["cluster", "status", "--json", "--url", &leads]).await.json()["item"].clone();
    let status = until("its vote is gone", asked, |status| status["voters"] == 2).await;
    assert!(!each(&status["nodes"], "name").contains(&removed), "{status}");
    three.say(&["task", "submit", "--type", "t", "--url", &leads]).await.assert_code(0);
    three.say(&["cluster", "remove", removed, "--yes", "--url", &leads]).await.assert_code(1);
    crate::support::signal(&three.child, rustix::process::Signal::TERM);
    ending(three.child).await.assert_code(0);
}
