//! Every command over the client: what it prints for programs, and with which exit code it ends.

use serde_json::Value;

use crate::support::{Served, ended};

/// Holds that a document is a list of a kind, and returns its items.
#[track_caller]
fn items<'a>(document: &'a Value, kind: &str) -> &'a Vec<Value> {
    assert_eq!(document["kind"], kind, "{document}");
    document["items"].as_array().unwrap_or_else(|| panic!("{document}"))
}

/// Holds that a document is one thing of a kind, and returns it.
#[track_caller]
fn item<'a>(document: &'a Value, kind: &str) -> &'a Value {
    assert_eq!(document["kind"], kind, "{document}");
    let fields = document.as_object().unwrap();
    assert_eq!(fields.keys().collect::<Vec<_>>(), ["version", "kind", "item"], "{document}");
    &document["item"]
}

#[tokio::test]
async fn every_command_prints_one_envelope_of_its_kind_and_nothing_else() {
    let served = Served::start().await;
    let pool = served.json(&["pool", "create", "builders", "--capability", "rust"]).await;
    assert_eq!(item(&pool, "pool")["name"], "builders");
    assert_eq!(items(&served.json(&["pool", "list"]).await, "pool_list").len(), 1);
    assert_eq!(item(&served.json(&["pool", "get", "builders"]).await, "pool")["runtime"], "external");

    let agent =
        served.json(&["agent", "register", "ada", "--pool", "builders", "--capability", "rust"]).await;
    assert_eq!(item(&agent, "agent")["status"], "READY");
    assert_eq!(items(&served.json(&["agent", "list"]).await, "agent_list").len(), 1);
    assert_eq!(item(&served.json(&["agent", "get", "ada"]).await, "agent")["name"], "ada");
    assert_eq!(item(&served.json(&["agent", "drain", "ada"]).await, "agent")["status"], "DRAINING");

    let submit = ["task", "submit", "--type", "review", "--payload", "{\"a\":1}", "--pool", "builders"];
    let labelled = [submit.as_slice(), &["--label", "team=a", "--priority", "high", "--key", "K"]].concat();
    let submitted = served.json(&labelled).await;
    let task = item(&submitted, "submitted")["task_id"].as_str().unwrap().to_owned();
    let again = served.json(&labelled).await;
    assert_eq!(item(&again, "submitted")["task_id"], task.as_str(), "the same key is the same task");
    assert_eq!(item(&again, "submitted")["duplicate"], true);
    let to_pool = served.json(&["pool", "submit", "builders", "--type", "build"]).await;
    let other = item(&to_pool, "submitted")["task_id"].as_str().unwrap().to_owned();

    let all = served.json(&["task", "list"]).await;
    assert_eq!(items(&all, "task_list").len(), 2);
    let first = served.json(&["task", "list", "--limit", "1"]).await;
    let cursor = first["next_cursor"].as_str().expect("there is another page");
    let second = served.json(&["task", "list", "--limit", "1", "--cursor", cursor]).await;
    assert_ne!(items(&first, "task_list")[0]["id"], items(&second, "task_list")[0]["id"]);
    assert_eq!(second.get("next_cursor"), None);
    assert_eq!(items(&served.json(&["task", "list", "--all"]).await, "task_list").len(), 2);
    let filtered = served.json(&["task", "list", "--label", "team=a", "--type", "review"]).await;
    assert_eq!(items(&filtered, "task_list")[0]["id"], task.as_str());
    let got = served.json(&["task", "get", &task]).await;
    assert_eq!(
        (&item(&got, "task")["payload"]["a"], &item(&got, "task")["priority"]),
        (&1.into(), &"high".into())
    );
    assert_eq!(item(&served.json(&["task", "why", &task]).await, "why")["task_id"], task.as_str());
    let moved = served.json(&["task", "priority", &task, "low"]).await;
    assert_eq!(item(&moved, "task")["lane"], "low");

    let boxes = served.json(&["mailbox", "list"]).await;
    assert_eq!(items(&boxes, "mailbox_list")[0]["waiting"], 2);
    item(&served.json(&["mailbox", "pause", "--pool", "builders", "--reason", "repairs"]).await, "pause");
    let pauses = served.json(&["mailbox", "pauses"]).await;
    assert_eq!(items(&pauses, "pause_list")[0]["reason"], "repairs");
    item(&served.json(&["mailbox", "resume", "--pool", "builders"]).await, "pause");

    let made = served.json(&["resource", "put", "gpu", "--capacity", "2", "--about", "cards"]).await;
    assert_eq!(
        (&item(&made, "resource")["capacity"], &item(&made, "resource")["in_use"]),
        (&2.into(), &0.into())
    );
    assert_eq!(items(&served.json(&["resource", "list"]).await, "resource_list")[0]["name"], "gpu");
    let needs = ["task", "submit", "--type", "train", "--resource", "gpu=1", "--after", &task, "--dry-run"];
    let dry = served.json(&needs).await;
    assert_eq!(item(&dry, "new_task")["resources"]["gpu"], 1);
    assert_eq!(item(&dry, "new_task")["after"][0], task.as_str());
    assert_eq!(items(&served.json(&["resource", "show", "gpu"]).await, "resource_share_list").len(), 0);
    assert_eq!(items(&served.json(&["resource", "line", "gpu"]).await, "resource_share_list").len(), 0);
    item(&served.json(&["resource", "remove", "gpu"]).await, "resource");

    item(&served.json(&["task", "cancel", &task]).await, "cancelled");
    let dry = served.json(&["task", "cancel", "--type", "build", "--dry-run"]).await;
    assert_eq!(item(&dry, "bulk_dry_run")["done"], "would be cancelled: 1 task");
    let bulk = served.json(&["task", "cancel", "--type", "build", "--yes"]).await;
    assert_eq!(item(&bulk, "bulk")["done"], 1);
    assert_eq!(item(&served.json(&["task", "get", &other]).await, "task")["status"], "cancelled");
    assert_eq!(items(&served.json(&["dead-letter", "list"]).await, "task_list").len(), 0);

    assert_eq!(items(&served.json(&["node", "list"]).await, "node_list").len(), 1);
    assert_eq!(item(&served.json(&["node", "stats"]).await, "stats")["cancelled"], 2);
    assert_eq!(item(&served.json(&["node", "health"]).await, "health")["status"], "healthy");

    let made = served.json(&["token", "create", "ci", "--kind", "worker", "--expires-in", "1h"]).await;
    let token = &item(&made, "token_with_secret")["token"];
    assert_eq!((&token["name"], &token["kind"]), (&"ci".into(), &"worker".into()));
    let id = token["id"].as_str().unwrap();
    assert_eq!(items(&served.json(&["token", "list"]).await, "token_list").len(), 2);
    assert_eq!(item(&served.json(&["token", "get", id]).await, "token")["id"], id);
    let rotated = served.json(&["token", "rotate", id]).await;
    assert_ne!(item(&rotated, "token_with_secret")["secret"], made["item"]["secret"]);
    item(&served.json(&["token", "revoke", id, "--yes"]).await, "token_revocation");

    let top = served.json(&["top", "--once"]).await;
    assert_eq!(item(&top, "top")["stats"]["cancelled"], 2);
    item(&served.json(&["agent", "delete", "ada", "--force", "--yes"]).await, "agent_removal");
    item(&served.json(&["pool", "delete", "builders"]).await, "pool_removal");
}

#[tokio::test]
async fn a_dead_letter_is_redriven_retried_and_purged() {
    let served = Served::start().await;
    let client = served.client();
    let fail = async || {
        served.json(&["task", "submit", "--type", "review", "--attempts", "1", "--agent", "ada"]).await;
        let claim = synod::api::Claim {
            agent_id: "ada".to_owned(),
            capabilities: None,
            max: 1,
            wait_ms: 0,
            start: true,
        };
        let leased = client.claim(&claim, &client.new_key()).await.unwrap().tasks.remove(0);
        let reason = "no\u{1b}[31m luck".to_owned();
        let fail = synod::api::Fail {
            attempt: leased.attempt,
            reason,
            retryable: true,
            usage: None,
            rate_limited_for_ms: None,
        };
        client.fail(&leased.task.id, &fail).await.unwrap();
        leased.task.id
    };
    served.json(&["agent", "register", "ada"]).await;
    let first = fail().await;
    let letters = served.json(&["dead-letter", "list"]).await;
    assert_eq!(items(&letters, "task_list")[0]["id"], first.as_str());
    assert_eq!(item(&served.json(&["dead-letter", "get", &first]).await, "task")["status"], "failed");
    let shown = served.said(&["dead-letter", "list"]).await;
    assert!(
        shown.out.contains("no\\u{1b}[31m luck"),
        "control characters are shown and not obeyed: {shown:#?}"
    );

    let waited = served.said(&["task", "wait", &first]).await;
    waited.assert_code(1);
    let result = served.said(&["task", "result", &first]).await;
    assert_eq!((result.code(), result.out.as_str()), (1, ""), "{result:#?}");

    let redriven = served.json(&["dead-letter", "redrive", &first]).await;
    let new = item(&redriven, "redriven")["id"].as_str().unwrap().to_owned();
    assert_ne!(new, first);
    let late = served.said(&["task", "wait", &new, "--timeout", "10ms"]).await;
    late.assert_code(75);
    assert!(late.err.contains("not over yet"), "{late:#?}");
    served.json(&["task", "cancel", &new]).await;

    let second = fail().await;
    let many = served.json(&["dead-letter", "redrive", "--all", "--type", "review", "--yes"]).await;
    assert_eq!(item(&many, "bulk")["done"], 1, "{second}");
    served.json(&["task", "cancel", "--all", "--yes"]).await;
    let third = fail().await;
    assert_eq!(
        item(&served.json(&["dead-letter", "purge", "--all", "--yes"]).await, "bulk")["done"],
        1,
        "{third}"
    );
    assert_eq!(items(&served.json(&["dead-letter", "list"]).await, "task_list").len(), 0);
}

#[tokio::test]
async fn exit_codes_say_what_went_wrong_and_standard_output_stays_empty() {
    let served = Served::start().await;
    let unknown = "task_01k00000000000000000000000";
    let cases: [(&[&str], i32, &str); 10] = [
        (&["task", "get", unknown], 1, "there is no task"),
        (&["agent", "get", "nobody"], 1, "nobody"),
        (&["task", "get", "rubbish"], 2, "rubbish"),
        (&["task", "submit", "--type", "a b"], 2, "a b"),
        (&["task", "submit", "--type", "a", "--payload", "{"], 2, "not JSON"),
        (&["task", "submit", "--type", "a", "--payload", "@/no/such/file"], 2, "/no/such/file"),
        (&["task", "cancel"], 2, "say which"),
        (&["task", "cancel", "--all"], 2, "--yes"),
        (&["task", "frobnicate"], 2, "frobnicate"),
        (&["task", "list", "--url", "http://127.0.0.1:1"], 69, "cannot reach http://127.0.0.1:1"),
    ];
    for (args, code, words) in cases {
        let said = served.said(args).await;
        assert_eq!((said.code(), said.out.as_str()), (code, ""), "{args:?}: {said:#?}");
        assert!(said.err.contains(words), "{args:?}: {said:#?}");
    }
}

#[tokio::test]
async fn a_task_is_submitted_for_a_region_with_its_fallbacks_and_its_routing() {
    let served = Served::start().await;
    let submit = ["task", "submit", "--type", "review", "--region", "eu/west"];
    let with = |more: &[&'static str]| [submit.as_slice(), more].concat();
    let routed = ["--fallback-region", "asia", "--fallback-region", "moon", "--routing", "preferred"];
    let kept = served.json(&with(&routed)).await;
    let task = item(&kept, "submitted")["task_id"].as_str().unwrap().to_owned();
    let got = served.json(&["task", "get", &task]).await;
    let wanted = serde_json::json!({
        "region": "eu/west", "fallback_regions": ["asia", "moon"], "routing": "preferred"
    });
    assert_eq!(
        (&item(&got, "task")["kept_for"], &item(&got, "task")["status"]),
        (&wanted, &"pending".into())
    );
    let why = served.said(&["task", "why", &task]).await;
    assert!(why.out.contains("kept") && why.out.contains("asia"), "{why:#?}");
    // Preferred is what is meant when nothing is said, and any region will do where that is said.
    for (more, kept_for) in [(&[] as &[&str], Some("eu/west")), (&["--routing", "any"], None)] {
        let made = served.json(&with(more)).await;
        let made = item(&made, "submitted")["task_id"].as_str().unwrap().to_owned();
        let got = served.json(&["task", "get", &made]).await;
        assert_eq!(item(&got, "task")["kept_for"]["region"].as_str(), kept_for, "{more:?}");
    }
    let alone = served.said(&with(&["--routing", "strict"])).await;
    assert_eq!((alone.code(), alone.out.as_str()), (1, ""), "{alone:#?}");
    assert!(alone.err.contains("there is no region eu/west"), "{alone:#?}");
    let both = served.said(&with(&["--routing", "strict", "--fallback-region", "asia"])).await;
    assert!(both.code() != 0 && both.err.contains("a strict task has no fallback regions"), "{both:#?}");
    let usage: [&[&str]; 3] = [
        &["task", "submit", "--type", "a", "--routing", "strict"],
        &["task", "submit", "--type", "a", "--fallback-region", "asia"],
        &["task", "submit", "--type", "a", "--region", "eu", "--routing", "sometimes"],
    ];
    for args in usage {
        served.said(args).await.assert_code(2);
    }
    let lost = served.said(&["cluster", "regions", "remove", "eu", "--lost", "--dry-run"]).await;
    assert!(lost.out.contains("may run a second time"), "{lost:#?}");
}

#[tokio::test]
async fn a_token_that_is_missing_wrong_or_too_weak_is_exit_code_77() {
    let served = Served::start().await;
    let mut none = served.call(&["task", "list"]);
    let none = ended({
        none.env_remove("SYNOD_TOKEN_FILE");
        none
    })
    .await;
    none.assert_code(77);
    assert!(none.err.contains("admin-token") && none.err.contains("SYNOD_TOKEN"), "{none:#?}");

    let wrong = served.said(&["task", "list", "--token", "synod_admin_wrong"]).await;
    wrong.assert_code(77);
    assert!(!wrong.err.contains("synod_admin_wrong"), "{wrong:#?}");

    let weak = served.said(&["token", "create", "reader", "--permission", "tasks:read", "-q"]).await;
    let weak = weak.out.trim();
    served.said(&["task", "list", "--token", weak]).await.assert_code(0);
    let refused = served.said(&["agent", "list", "--json", "--token", weak]).await;
    refused.assert_code(77);
    assert_eq!(refused.out, "");
    let error: Value = serde_json::from_str(&refused.err).unwrap();
    assert_eq!((&error["version"], &error["kind"]), (&1.into(), &"error".into()));
    assert_eq!(error["error"]["code"], "not_allowed");
    assert!(error["error"]["request_id"].as_str().unwrap().starts_with("req_"), "{error}");
}

#[tokio::test]
async fn quiet_yaml_and_tables_say_the_same() {
    let served = Served::start().await;
    let id = served.said(&["task", "submit", "--type", "review"]).await.out.trim().to_owned();
    assert_eq!(served.said(&["task", "list", "-q"]).await.out, format!("{id}\n"));
    let yaml = served.said(&["task", "list", "-o", "yaml"]).await.out;
    assert!(yaml.contains("kind: task_list") && yaml.contains(&id), "{yaml}");
    let table = served.said(&["task", "list"]).await.out;
    assert!(table.contains("STATUS") && table.contains(&id) && !table.contains('\u{1b}'), "{table}");
    let frame = served.said(&["top", "--once"]).await.out;
    assert!(frame.contains("waiting 1") && frame.contains("mailboxes (1)"), "{frame}");
    let dry = served.said(&["task", "submit", "--type", "x", "--dry-run", "--json"]).await;
    assert_eq!(item(&dry.json(), "new_task")["type"], "x");
    assert_eq!(served.said(&["task", "list", "-q"]).await.out.lines().count(), 1, "nothing was submitted");
}
