//! A cluster of real processes, from the commands that form it to the death of its leader.

use std::path::Path;

use serde_json::Value;

use crate::support::{Fleet, PATIENCE, ended, ending, eventually, synod, tasks};
use crate::three::{ServerNode, Three, runs};

#[tokio::test]
async fn nothing_of_a_cluster_is_served_without_an_identity_and_the_error_says_how_to_get_one() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let data = folder.path().join("data");
    let server = |args: &[&str]| {
        let mut call = synod();
        call.args(["server", "--listen", "127.0.0.1:0", "--data"]).arg(&data).args(args);
        ended(call)
    };
    for (args, words) in [
        (&["--cluster-listen", "127.0.0.1:0"][..], &["synod cluster init", "--join"][..]),
        (&["--advertise", "a.example:1"], &["synod cluster init"]),
        (&["--join", "127.0.0.1:1"], &["synod cluster token create", "SYNOD_JOIN_TOKEN"]),
        (&["--join", "nowhere", "--token", "x"], &["HOST:PORT"]),
        (&["--join", "127.0.0.1:1", "--token-file", "gone"], &["gone"]),
    ] {
        let said = server(args).await;
        said.assert_code(2);
        for word in words {
            assert!(said.err.contains(word), "{word:?}: {said:#?}");
        }
        assert!(!data.exists(), "{args:?} made the folder");
    }
    let said = server(&["--join", "127.0.0.1:1", "--token", "not-a-token"]).await;
    assert_ne!(said.code(), 0);
    assert!(!said.err.contains("not-a-token"), "a secret is not repeated: {said:#?}");
}

#[tokio::test]
async fn a_folder_is_made_the_first_node_once_and_its_secrets_are_the_owners_alone() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let data = folder.path().join("data");
    let init = || {
        let mut call = synod();
        call.args(["cluster", "init", "--json", "--name", "first", "--data"]).arg(&data);
        ended(call)
    };
    let said = init().await;
    said.assert_code(0);
    let made = said.json();
    assert_eq!((&made["kind"], &made["version"]), (&"cluster_founded".into(), &1.into()));
    assert!(made["item"]["next"].as_str().unwrap().contains("--node-name first"), "{made}");
    for entry in std::fs::read_dir(data.join("cluster")).unwrap() {
        assert_private(&entry.unwrap().path());
    }
    let again = init().await;
    assert_ne!(again.code(), 0);
    assert_eq!(again.out, "");
}

fn assert_private(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(path).unwrap().permissions().mode() & 0o077;
    let name = path.file_name().unwrap().to_string_lossy();
    // Certificates are no secrets.
    assert!(mode == 0 || name.contains("cert") || name.contains("ca"), "{}: {mode:o}", path.display());
}

#[tokio::test]
async fn three_nodes_form_a_cluster_that_is_led_moved_backed_up_and_restored() {
    let three = Three::start().await;
    let status = three.status().await;
    assert_eq!([&status["voters"], &status["voters_up"], &status["quorum"]], [3, 3, 2]);
    let first = three.leader().await;

    // Leadership goes where it is sent, and every node says the same.
    let names = ["node-a", "node-b", "node-c"];
    let next = *names.iter().find(|name| **name != first).unwrap();
    let mut said = three.say(&["cluster", "transfer-leadership", next]).await;
    for _ in 0..4 {
        // On a disk that others keep busy it may not be elected in time; then the lead stays where it is.
        if said.status.success() || !said.err.contains("in time") {
            break;
        }
        said = three.say(&["cluster", "transfer-leadership", next]).await;
    }
    said.assert_code(0);
    assert_eq!(three.leader().await, next);

    // Agents are on all nodes, and leave one that drains.
    three.say(&["pool", "create", "echo", "--min", "3", "--", "cat"]).await.assert_code(0);
    let done =
        three.say(&["task", "submit", "--type", "t", "--pool", "echo", "--payload", "1", "--wait"]).await;
    done.assert_code(0);
    let pool = three.say(&["pool", "get", "echo", "--json"]).await.json();
    let shares = pool["item"]["shares"].as_array().unwrap();
    assert_eq!(shares.iter().map(|share| share["agents"].as_u64().unwrap()).collect::<Vec<_>>(), [1, 1, 1]);
    three.say(&["node", "drain", "node-c", "--reason", "test"]).await.assert_code(0);
    let pool = three.say(&["pool", "get", "echo", "--json"]).await.json();
    let shares = pool["item"]["shares"].as_array().unwrap();
    assert!(shares.iter().all(|share| share["name"] != "node-c"), "{pool}");
    three.say(&["node", "undrain", "node-c"]).await.assert_code(0);

    // A key of gossip is rotated.
    let installed = three.say(&["cluster", "keyring", "install", "-q"]).await;
    installed.assert_code(0);
    let number = installed.out.trim();
    three.say(&["cluster", "keyring", "use", number]).await.assert_code(0);
    three.say(&["cluster", "keyring", "remove", number]).await.assert_code(1);
    three.say(&["cluster", "keyring", "remove", "1"]).await.assert_code(0);

    // A voter becomes a worker and a voter again; one is removed for good.
    let demoted = three.say(&["cluster", "demote", "node-c", "--json"]).await;
    assert_eq!(demoted.json()["item"]["role"], "worker");
    three.say(&["cluster", "promote", "node-c"]).await.assert_code(0);
    three.say(&["cluster", "remove", "nobody", "--yes"]).await.assert_code(1);

    let (held, of_old) = (three.token(), three.status().await["cluster"].clone());

    // A backup is whole and its owner's alone, and a node that stands alone is made of it.
    let file = three.folder.path().join("backup");
    let said = three.say(&["cluster", "backup", file.to_str().unwrap()]).await;
    said.assert_code(0);
    assert_private(&file);
    let home = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let data = home.path().join("restored");
    let mut restore = synod();
    restore.args(["cluster", "restore", "--data"]).arg(&data).arg(&file);
    ended(restore).await.assert_code(0);
    three.stop().await;

    // What is restored becomes the first node of another cluster, and has what the old one had.
    let mut init = synod();
    init.args(["cluster", "init", "--name", "anew", "--data"]).arg(&data);
    ended(init).await.assert_code(0);
    let token = data.with_extension("token");
    std::fs::write(&token, &held).unwrap();
    let anew = ServerNode::start_with(&data, &["--node-name", "anew"], token.to_str()).await;
    let status = anew.status().await;
    assert_eq!([&status["voters"], &status["voters_up"], &status["quorum"]], [1, 1, 1], "{status}");
    assert!(status["cluster"].is_string() && status["cluster"] != of_old, "{status}");
    let tasks = anew.say(&["task", "list", "--json"]).await.json();
    assert_eq!(
        (&tasks["items"][0]["type"], &tasks["items"][0]["status"]),
        (&"t".into(), &"completed".into())
    );
    anew.stop().await;
}

#[tokio::test]
async fn a_run_goes_on_over_the_death_of_the_leader_and_ends_with_the_right_report() {
    let three = Three::start().await;
    let fleet = Fleet::new(
        r#"
name: work
pools:
  hands:
    command: [sh, -c, "cat >/dev/null; echo one >> began; sleep 0.05; echo 1"]
    min: 3
tasks:
  - name: many
    pool: hands
    for_each: {list: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30]}
    payload: {n: "{{item}}"}
  - name: last
    pool: hands
    after: [many]
"#,
    );
    let mut run = three.command(&["run"]);
    run.arg(fleet.file("fleet.yaml")).args(["--json", "--server", three.ready["servers"].as_str().unwrap()]);
    let run = run.spawn().unwrap();
    eventually("ten attempts began", || (fleet.lines("began").len() >= 10).then_some(())).await;
    let leader = three.leader().await;
    let killed = three.say(&["dev", "kill", &leader]).await;
    killed.assert_code(0);
    let said = ending(run).await;
    said.assert_code(0);
    let document = said.json();
    let tasks = tasks(&document);
    assert_eq!((document["complete"].as_bool(), tasks.len()), (Some(true), 31));
    for task in tasks {
        assert_eq!((&task["status"], &task["completions"]), (&"completed".into(), &1.into()), "{task}");
    }
    assert_ne!(three.leader().await, leader);
    // It comes back under its own name, and is counted on again.
    three.say(&["dev", "kill", &leader]).await.assert_code(1);
    three.say(&["dev", "start", &leader]).await.assert_code(0);
    three.say(&["dev", "start", &leader]).await.assert_code(1);
    three.stop().await;
}

#[tokio::test]
async fn nobody_is_left_behind_when_the_process_that_runs_the_nodes_is_killed() {
    let mut three = Three::start().await;
    let pids = three.pids();
    three.child.kill().await.unwrap();
    eventually("all nodes are gone", || pids.iter().all(|pid| !runs(*pid)).then_some(())).await;
}

#[tokio::test]
async fn without_a_quorum_status_says_who_is_missing_and_ends_with_1() {
    let three = Three::start().await;
    let leader = three.leader().await;
    for name in ["node-a", "node-b", "node-c"].into_iter().filter(|name| *name != leader) {
        three.say(&["dev", "kill", name]).await.assert_code(0);
    }
    // What it takes for a leader to let go is not ours to time: ask until it has.
    let said = tokio::time::timeout(PATIENCE, async {
        loop {
            let said = three.say(&["cluster", "status"]).await;
            if said.code() == 1 {
                return said;
            }
        }
    });
    let said = said.await.expect("it lets go");
    assert!(said.err.contains("nobody leads") && said.err.contains("of 3 voters"), "{said:#?}");
    let said = three.say(&["task", "list", "--json"]).await;
    said.assert_code(69);
    assert!(said.err.contains("no_leader"), "{said:#?}");
    // What it has is shown all the same, and it does not say that it leads.
    let lets_go = async { while age(&three, &leader).await == "0" {} };
    tokio::time::timeout(PATIENCE, lets_go).await.expect("it says that it is old");
    let url = three.place(&leader, "url");
    let said = three.say(&["task", "list", "--stale", "--json", "--url", &url]).await;
    said.assert_code(0);
    assert!(said.err.contains("note: "), "{said:#?}");
    three.stop().await;
}

/// Waits until a region is listed with so many voters that are heard, and returns it.
async fn region(node: &ServerNode, name: &str, alive: u64) -> Value {
    let until = tokio::time::Instant::now() + PATIENCE;
    loop {
        let listed = node.say(&["cluster", "regions", "--json"]).await.json();
        let found = listed["items"].as_array().unwrap().iter().find(|one| one["name"] == name).cloned();
        match found {
            Some(region) if region["alive"] == alive => return region,
            _ => assert!(tokio::time::Instant::now() < until, "not in time: {listed}"),
        }
    }
}

/// Reads tasks from what a node has, and returns how old that may be, as it says.
async fn age(three: &Three, node: &str) -> String {
    let asked =
        reqwest::Client::new().get(format!("{}/api/v1/tasks?consistency=stale", three.place(node, "url")));
    let answer = asked.bearer_auth(three.token()).timeout(PATIENCE).send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 200, "{answer:?}");
    answer.headers()["synod-state-age-ms"].to_str().unwrap().to_owned()
}

/// Holds that a node that has lost its leader shows what it has and says how old that may be, and changes nothing.
async fn reads_what_is_old(three: &Three, survivor: &str) {
    let in_ms = async || age(three, survivor).await.parse::<u64>().expect("it has heard a leader");
    let grows = async {
        let first = in_ms().await;
        while in_ms().await <= first.max(1) {}
        first.max(1)
    };
    let first = tokio::time::timeout(PATIENCE, grows).await.expect("it grows while nobody is heard");
    let url = three.place(survivor, "url");
    let said = three.say(&["task", "list", "--stale", "--json", "--url", &url]).await;
    said.assert_code(0);
    assert_eq!(said.json()["kind"], "task_list");
    let told = said.err.split(" ms old").next().and_then(|text| text.rsplit(' ').next()).unwrap();
    assert!(told.parse::<u64>().is_ok_and(|told| told > first), "{first} {said:#?}");
    let refused = three.say(&["task", "submit", "--type", "t", "--stale", "--url", &url]).await;
    assert!(refused.code() != 0 && refused.err.contains("--stale"), "{refused:#?}");
}

#[tokio::test]
async fn a_region_is_founded_beside_another_seen_and_removed() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let data = |name: &str| folder.path().join(name);
    let init = async |args: &[&str], name: &str| {
        let mut call = synod();
        call.args(["cluster", "init", "--json"]).args(args).arg("--data").arg(data(name));
        ended(call).await
    };
    let made = init(&["--region", "us"], "us").await;
    made.assert_code(0);
    assert_eq!(made.json()["item"]["region"], "us");
    let us = ServerNode::start(&data("us")).await;
    let token = us.say(&["cluster", "token", "create", "--role", "region", "--json"]).await.json();
    let (text, join) = (token["item"]["text"].as_str().unwrap(), token["item"]["join"].as_str().unwrap());
    assert_eq!(token["item"]["token"]["role"], "region");
    let bare = init(&["--region", "eu", "--federate", join], "eu").await;
    assert_ne!(bare.code(), 0);
    assert!(bare.err.contains("--role region"), "{bare:#?}");
    let file = folder.path().join("token");
    std::fs::write(&file, text).unwrap();
    let file = file.to_str().unwrap();
    init(&["--region", "eu", "--federate", join, "--token-file", file], "eu").await.assert_code(0);
    let again = init(&["--region", "asia", "--federate", join, "--token-file", file], "asia").await;
    assert_ne!(again.code(), 0);
    assert!(again.err.contains("used for another region"), "{again:#?}");
    let eu = ServerNode::start(&data("eu")).await;
    region(&us, "eu", 1).await;
    let here = region(&eu, "eu", 1).await;
    assert_eq!(here["here"], true);
    region(&eu, "us", 1).await;
    let installed = us.say(&["cluster", "keyring", "install", "--regions", "-q"]).await;
    assert_eq!(installed.out.trim(), "2");
    us.say(&["cluster", "regions", "remove", "us", "--yes"]).await.assert_code(1);
    us.say(&["cluster", "regions", "remove", "eu", "--yes"]).await.assert_code(0);
    let removed = region(&us, "eu", 0).await;
    assert!(removed["removed_at"].is_string(), "{removed}");
    eu.stop().await;
    us.stop().await;
}

#[tokio::test]
async fn a_node_without_a_quorum_lives_and_is_not_ready_and_says_why() {
    let three = Three::start().await;
    let leader = three.leader().await;
    let names = ["node-a", "node-b", "node-c"];
    let follower = *names.iter().find(|name| **name != leader).unwrap();
    // Together, so that neither takes the other's place before it dies.
    let kills = [["dev", "kill", leader.as_str()], ["dev", "kill", follower]];
    let (one, other) = tokio::join!(three.say(&kills[0]), three.say(&kills[1]));
    one.assert_code(0);
    other.assert_code(0);
    let token = std::fs::read_to_string(three.ready["token_file"].as_str().unwrap()).unwrap();
    let client = reqwest::Client::new();
    let get = async |url: &str, path: &str| {
        let asked = client.get(format!("{url}{path}")).bearer_auth(token.trim()).timeout(PATIENCE);
        let answer = asked.send().await.ok()?;
        Some((answer.status().as_u16(), answer.text().await.unwrap()))
    };
    let mut alive = 0;
    for url in three.ready["servers"].as_str().unwrap().split(',') {
        let Some(lives) = get(url, "/healthz").await else { continue };
        alive += 1;
        assert_eq!(lives, (200, "ok".to_owned()));
        let waited = tokio::time::timeout(PATIENCE, async {
            // How soon it misses its leader is not ours to time.
            while get(url, "/readyz").await.unwrap().0 != 503 {}
            loop {
                let (status, text) = get(url, "/api/v1/health").await.unwrap();
                assert_eq!(status, 200, "{text}");
                let health: Value = serde_json::from_str(&text).unwrap();
                let parts = health["components"].as_array().unwrap();
                let ill = |name: &str| {
                    parts.iter().any(|part| part["name"] == name && part["status"] == "unhealthy")
                };
                if health["status"] == "unhealthy" && ill("log") && ill("quorum") {
                    return;
                }
            }
        });
        waited.await.expect("it says what is missing");
    }
    assert_eq!(alive, 1);
    let survivor = names.into_iter().find(|name| *name != leader && *name != follower).unwrap();
    reads_what_is_old(&three, survivor).await;
    three.stop().await;
}
