//! Settings: which source wins, and what is said of mistakes.

use serde_json::{Value, json};

use crate::support::{Fleet, Said, ended, synod};

async fn show(file: Option<&str>, env: &[(&str, &str)], args: &[&str]) -> Said {
    let mut call = synod();
    call.args(["config", "show"]).args(args).envs(env.iter().copied());
    if let Some(file) = file {
        call.arg("--config").arg(file);
    }
    ended(call).await
}

fn setting<'a>(document: &'a Value, key: &str) -> &'a Value {
    let settings = document["settings"].as_array().unwrap();
    settings.iter().find(|setting| setting["key"] == key).unwrap_or_else(|| panic!("no {key}: {document:#}"))
}

#[tokio::test]
async fn flags_win_over_environment_over_file_over_defaults_and_each_value_says_where_it_is_from() {
    let fleet = Fleet::new("");
    let toml =
        "[log]\nlevel = \"info\"\nformat = \"json\"\n[stop]\ndrain = \"3s\"\n[limits]\nmailbox_depth = 7\n";
    fleet.write("synod.toml", toml);
    let path = fleet.file("synod.toml");
    let file = path.to_str().unwrap();
    let env = [("SYNOD_LOG__LEVEL", "debug"), ("SYNOD_STOP__DRAIN", "4s")];
    let said = show(Some(file), &env, &["--json", "--log", "trace"]).await;
    said.assert_code(0);
    let document = said.json();
    assert_eq!(document["version"], 1);
    let expect = |key, value: Value, kind, name: Value| {
        let found = setting(&document, key);
        assert_eq!(found["value"], value, "{key}");
        assert_eq!(found["origin"]["kind"], kind, "{key}: {found}");
        assert_eq!(found["origin"]["name"], name, "{key}");
    };
    expect("log.level", json!("trace"), "flag", Value::Null);
    expect("stop.drain", json!("4s"), "environment", json!("SYNOD_STOP__DRAIN"));
    expect("limits.mailbox_depth", json!(7), "file", json!(file));
    expect("log.format", json!("json"), "file", json!(file));
    expect("stop.kill_grace", json!("5s"), "default", Value::Null);
    expect("data", Value::Null, "default", Value::Null);

    let table = show(Some(file), &env, &["--origin", "--log", "trace"]).await;
    table.assert_code(0);
    let line = |key| table.out.lines().find(|line| line.trim_start().starts_with(key)).unwrap().to_owned();
    assert!(line("log.level").contains("trace") && line("log.level").contains("command line"));
    assert!(line("stop.drain").contains("environment SYNOD_STOP__DRAIN"));
    assert!(line("limits.mailbox_depth").contains("synod.toml"));
    assert!(line("stop.kill_grace").contains("default"));
}

#[tokio::test]
async fn a_settings_file_may_be_toml_yaml_or_json_and_named_by_the_environment() {
    let fleet = Fleet::new("");
    for (name, text) in [
        ("s.toml", "[history]\nretention = \"2d\"\n"),
        ("s.yaml", "history: {retention: 2d}\n"),
        ("s.json", "{\"history\": {\"retention\": \"2d\"}}"),
    ] {
        fleet.write(name, text);
        let path = fleet.file(name);
        let said = show(None, &[("SYNOD_CONFIG", path.to_str().unwrap())], &["--json"]).await;
        said.assert_code(0);
        let document = said.json();
        let found = setting(&document, "history.retention");
        assert_eq!((&found["value"], &found["origin"]["kind"]), (&json!("2d"), &json!("file")), "{name}");
    }
}

#[tokio::test]
async fn unknown_keys_and_wrong_values_exit_2_and_are_named_with_their_source() {
    let fleet = Fleet::new("name: f\npools: {p: {command: [cat]}}\ntasks: [{name: t, pool: p}]\n");
    fleet.write("unknown.toml", "[stop]\ndrian = \"3s\"\n");
    fleet.write("wrong.yaml", "limits: {mailbox_depth: many}\n");
    fleet.write("broken.json", "{\"log\": ");
    fleet.write("s.ini", "x");
    let file = |name: &str| fleet.file(name).to_str().unwrap().to_owned();
    type Case<'a> = (Option<String>, &'a [(&'a str, &'a str)], &'a [&'a str]);
    let cases: [Case<'_>; 8] = [
        (Some(file("unknown.toml")), &[], &["stop.drian in the file", "unknown.toml", "`drain`"]),
        (Some(file("wrong.yaml")), &[], &["limits.mailbox_depth in the file", "wrong.yaml"]),
        (Some(file("broken.json")), &[], &["broken.json"]),
        (Some(file("s.ini")), &[], &["must end in .toml, .yaml, .yml or .json"]),
        (Some(file("gone.toml")), &[], &["gone.toml", "cannot be read"]),
        (None, &[("SYNOD_LOG__LEVLE", "info")], &["SYNOD_LOG__LEVLE: unknown field", "`level`"]),
        (None, &[("SYNOD_NONSENSE", "1")], &["SYNOD_NONSENSE: unknown field"]),
        (None, &[("SYNOD_STOP__DRAIN", "10")], &["SYNOD_STOP__DRAIN: the length of time 10 has no unit"]),
    ];
    for (config, env, words) in cases {
        let shown = show(config.as_deref(), env, &[]).await;
        let mut call = fleet.call(&[]);
        call.envs(env.iter().copied());
        if let Some(config) = &config {
            call.arg("--config").arg(config);
        }
        for said in [shown, ended(call).await] {
            said.assert_code(2);
            for word in words {
                assert!(said.err.contains(word), "{word:?}: {said:#?}");
            }
            assert_eq!(said.out, "");
        }
    }
    assert!(!fleet.file(".synod").exists(), "something was started");
}

#[tokio::test]
async fn the_data_folder_may_be_a_setting() {
    let fleet = Fleet::new("name: f\npools: {p: {command: [cat]}}\ntasks: [{name: t, pool: p}]\n");
    let mut call = fleet.call(&[]);
    call.env("SYNOD_DATA", fleet.file("from-env"));
    ended(call).await.assert_code(0);
    assert!(fleet.file("from-env/lock").is_file());
    assert!(!fleet.file(".synod").exists());
}

#[tokio::test]
async fn names_of_the_older_control_plane_count_less_than_ours_and_say_where_they_are_from() {
    let fleet = Fleet::new("");
    fleet.write(
        "s.yaml",
        "control_plane: {heartbeat_interval: 7, agent_timeout: 70, max_retries: 1}\ntasks: {max_retries_default: 2}\n",
    );
    let path = fleet.file("s.yaml");
    let file = path.to_str().unwrap();
    let env = [
        ("CONTROL_PLANE_AGENT_TIMEOUT", "80"),
        ("CONTROL_PLANE_HEARTBEAT_INTERVAL", "8"),
        ("SYNOD_AGENTS__HEARTBEAT_INTERVAL", "9s"),
        ("ARAGORA_API_TOKEN", "a-secret-of-some-length"),
    ];
    let said = show(Some(file), &env, &["--json"]).await;
    said.assert_code(0);
    let document = said.json();
    let expect = |key, value: Value, kind, name: &str| {
        let found = setting(&document, key);
        assert_eq!(found["value"], value, "{key}");
        assert_eq!(
            (found["origin"]["kind"].as_str(), &found["origin"]["name"]),
            (Some(kind), &json!(name)),
            "{key}"
        );
    };
    expect("tasks.max_retries_default", json!(2), "file", file);
    expect("agents.timeout", json!("1m20s"), "environment", "CONTROL_PLANE_AGENT_TIMEOUT");
    expect("agents.heartbeat_interval", json!("9s"), "environment", "SYNOD_AGENTS__HEARTBEAT_INTERVAL");
    expect("http.extra_token", json!("(not shown)"), "environment", "ARAGORA_API_TOKEN");
    assert!(!said.out.contains("a-secret"), "{said:#?}");
    for (name, value) in [("CONTROL_PLANE_AGENT_TIMEOUT", "soon"), ("CONTROL_PLANE_MAX_RETRIES", "-1")] {
        let said = show(None, &[(name, value)], &[]).await;
        said.assert_code(2);
        assert!(said.err.contains(name), "{said:#?}");
    }
}

#[tokio::test]
async fn lists_come_from_files_as_lists_and_from_the_environment_as_words() {
    let fleet = Fleet::new("");
    fleet.write("s.toml", "[http]\nallow_hosts = [\"a.example\", \"b.example:8443\"]\n");
    let path = fleet.file("s.toml");
    let hosts = async |env: &[(&str, &str)]| {
        let said = show(path.to_str(), env, &["--json"]).await;
        said.assert_code(0);
        setting(&said.json(), "http.allow_hosts")["value"].clone()
    };
    assert_eq!(hosts(&[]).await, json!(["a.example", "b.example:8443"]));
    assert_eq!(
        hosts(&[("SYNOD_HTTP__ALLOW_HOSTS", "c.example, d.example")]).await,
        json!(["c.example", "d.example"])
    );
    assert_eq!(hosts(&[("SYNOD_HTTP__ALLOW_HOSTS", "c.example")]).await, json!(["c.example"]));
}

#[tokio::test]
async fn what_belongs_to_the_client_is_no_setting_of_the_node() {
    let env = ["SYNOD_URL", "SYNOD_TOKEN", "SYNOD_TOKEN_FILE", "SYNOD_CA", "SYNOD_CONTEXT"];
    let env = env.map(|name| (name, "http://x"));
    let said = show(None, &env, &["--json"]).await;
    said.assert_code(0);
    assert!(!said.out.contains("http://x"), "{said:#?}");
}
