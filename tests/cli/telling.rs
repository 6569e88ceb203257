//! Breakers, webhooks and pools that let nothing wait, from a fleet file to a node.

use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use crate::hooks::{Client, served};
use crate::support::{Fleet, ended, tasks};

const TOLD: &str = "
name: told
pools:
  shell:
    command: [sh, -c, 'read task; echo did >> \"$0\"; echo done', '{{fleet.dir}}/seen']
    size: 2
    assignment: immediate
breakers:
  pool/shell: {failures: 3, open_for: 1m}
  type/work: {failures: 9, rate_percent: 0}
webhooks:
  on-call: {url: 'https://ops.example.org/synod', topics: [breaker_opened], secret_file: on-call.secret}
tasks:
  - {name: work, pool: shell, for_each: {list: [1, 2, 3, 4, 5, 6, 7]}}
";

/// Reads the secret, which is for its owner alone.
fn secret(fleet: &Fleet) -> String {
    let file = fleet.file("on-call.secret");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let text = std::fs::read_to_string(file).unwrap();
    assert!(text.starts_with("whsec_"), "{text}");
    text
}

#[tokio::test]
async fn breakers_and_webhooks_of_a_fleet_file_are_put_on_the_server_and_work_waits_for_who_is_free() {
    let fleet = Fleet::new(TOLD);
    let data = fleet.file("data");
    let (_child, url) = served(&data).await;
    let client = Client { url, data: &data };
    let run = async || {
        let mut command = fleet.call(&["--json", "--server", &client.url, "--token-file"]);
        command.arg(data.join("admin-token"));
        let said = ended(command).await;
        said.assert_code(0);
        let document = said.json();
        assert_eq!(document["complete"], true, "{document:#}");
        let tasks = tasks(&document);
        assert_eq!(tasks.len(), 7);
        assert!(tasks.iter().all(|task| task["completions"] == 1), "{document:#}");
    };
    run().await;
    let first = secret(&fleet);
    let breakers = client.ask(&["breaker", "list"]).await;
    let settings = |of: &str| -> Value {
        let items = breakers["items"].as_array().unwrap();
        items.iter().find(|one| one["of"] == of).unwrap_or_else(|| panic!("{of}: {breakers}"))["settings"]
            .clone()
    };
    assert_eq!(settings("pool/told/shell")["open_for_ms"], 60_000);
    assert_eq!(
        (&settings("type/work")["failures"], &settings("type/work")["rate_percent"]),
        (&json!(9), &json!(0))
    );
    // Another run changes what the file says otherwise, and draws no other secret.
    fleet.write("fleet.yaml", &TOLD.replace("[breaker_opened]", "[breaker_opened, 'budget_*']"));
    run().await;
    let webhooks = client.ask(&["webhook", "list"]).await;
    let items = webhooks["items"].as_array().unwrap();
    assert_eq!(items.len(), 1, "{webhooks}");
    assert_eq!(
        (&items[0]["name"], &items[0]["topics"]),
        (&json!("told/on-call"), &json!(["breaker_opened", "budget_*"]))
    );
    assert_eq!(secret(&fleet), first);
    let pool = client.ask(&["pool", "get", "told/shell"]).await["item"].clone();
    assert_eq!(pool["assignment"]["kind"], "immediate", "{pool}");
    assert_eq!(fleet.lines("seen").len(), 14);
}

#[tokio::test]
async fn a_run_on_a_node_of_its_own_hands_work_over_when_somebody_is_free_and_keeps_its_secret() {
    let fleet = Fleet::new(TOLD);
    for run in 1..=2 {
        let said = fleet.run(&["--json"]).await;
        said.assert_code(0);
        assert_eq!(tasks(&said.json()).len(), 7);
        assert_eq!(fleet.lines("seen").len(), 7 * run);
    }
    let kept = secret(&fleet);
    fleet.run(&["--json"]).await.assert_code(0);
    assert_eq!(secret(&fleet), kept, "it is drawn once");
    // Where messages may not go is said before anything begins.
    fleet.write(
        "fleet.yaml",
        &TOLD.replace("https://ops.example.org", "https://10.0.0.1").replace("name: told", "name: other"),
    );
    let said = fleet.run(&["--json"]).await;
    assert_ne!(said.code(), 0, "{said:#?}");
    assert!(said.err.contains("webhooks.other/on-call.url"), "{said:#?}");
    assert_eq!(fleet.lines("seen").len(), 21);
}
