//! The example audit: its plan, and its programs with tasks made by hand.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};
use synod::fleet::{Fleet, Inputs};

const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples");

/// Runs a program of the example as an agent would, with this payload.
fn agent(program: &str, payload: &Value) -> Output {
    let mut child = Command::new("python3")
        .arg(format!("{EXAMPLES}/audit/{program}"))
        .current_dir(EXAMPLES)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("python3");
    let task =
        json!({"task": "task_1", "kind": "k", "workspace": "default", "attempt": 1, "payload": payload});
    child.stdin.take().expect("stdin").write_all(task.to_string().as_bytes()).expect("a task");
    child.wait_with_output().expect("an end")
}

fn result(program: &str, payload: &Value) -> Value {
    let output = agent(program, payload);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("a JSON result")
}

fn write(folder: &Path, file: &str, text: &str) {
    let path = folder.join(file);
    fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
    fs::write(path, text).expect("a file");
}

#[test]
fn the_example_plans_every_rust_file_and_every_package_from_a_registry() {
    let fleet = Fleet::read(format!("{EXAMPLES}/audit.yaml")).expect("the example");
    let plan = fleet.expand(&Inputs::default()).expect("a plan");
    let files = plan.entry("files").expect("files");
    assert!(files.items.iter().any(|item| item.key == "files[src/fleet/mod.rs]"));
    assert!(files.items.iter().all(|item| !item.key.starts_with("files[target/")));
    let licences = plan.entry("licences").expect("licences");
    assert!(licences.items.iter().any(|item| item.payload["name"] == "serde"));
    assert!(
        licences.items.iter().all(|item| item.payload["name"] != "synod"),
        "no source, no licence to look for"
    );
    assert_eq!(plan.entries.last().map(|entry| entry.name.as_str()), Some("report"));
}

#[test]
fn a_file_is_measured() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = "//! ä\nfn one() {}\n\npub(crate) async fn two<'a>(x: &'a str) -> [u8; 2] {\n    let s = \"}\"; // TODO: }\n    todo(s)\n}\n\ntrait T {\n    fn three(&self);\n}\n";
    write(folder.path(), "src/a.rs", text);
    let measured = result("file.py", &json!({"root": folder.path(), "file": "src/a.rs"}));
    let expected = json!({"file": "src/a.rs", "lines": 11, "functions": 2,
        "longest_function": {"name": "two", "lines": 4}, "todos": 1, "non_ascii": 1});
    assert_eq!(measured, expected);
}

#[test]
fn a_licence_comes_from_the_local_registry_or_the_task_fails_and_says_what_to_run() {
    let home = tempfile::tempdir().expect("a folder");
    let manifest =
        "[package]\nname = \"a\"\nlicense = \"MIT/Apache-2.0\"\n[dependencies.b]\nlicense = \"no\"\n";
    write(home.path(), "registry/src/index-1/a-1.0.0/Cargo.toml", manifest);
    write(home.path(), "registry/src/index-1/f-1.0.0/Cargo.toml", "[package]\nlicense-file = \"LICENCE\"\n");
    let payload = |name: &str| json!({"name": name, "version": "1.0.0", "cargo_home": home.path()});
    let expected =
        json!({"name": "a", "version": "1.0.0", "licence": "MIT OR Apache-2.0", "stated_by": "license"});
    assert_eq!(result("licence.py", &payload("a")), expected);
    assert_eq!(result("licence.py", &payload("f"))["stated_by"], "license-file");

    let missing = agent("licence.py", &payload("gone"));
    assert_eq!(missing.status.code(), Some(1));
    let told = String::from_utf8_lossy(&missing.stderr).into_owned();
    assert!(
        told.starts_with("the source of gone-1.0.0 is not in the local registry: run cargo fetch"),
        "{told}"
    );
}

#[test]
fn a_licence_is_read_from_the_archive_when_the_source_is_not_unpacked() {
    let home = tempfile::tempdir().expect("a folder");
    write(home.path(), "z-1.0.0/Cargo.toml", "[package]\nlicense = \"ISC\"\n");
    let cache = home.path().join("registry/cache/index-1");
    fs::create_dir_all(&cache).expect("a folder");
    let packed = Command::new("tar")
        .args(["czf", "registry/cache/index-1/z-1.0.0.crate", "z-1.0.0"])
        .current_dir(home.path())
        .status();
    assert!(packed.expect("tar").success());
    let payload = json!({"name": "z", "version": "1.0.0", "cargo_home": home.path()});
    assert_eq!(result("licence.py", &payload)["licence"], "ISC");
}

/// The payload of the report, with results in this order.
fn report_payload(root: &Path, reversed: bool) -> Value {
    let file = |name: &str, lines: u64| {
        json!({"item": name, "result": {"file": name, "lines": lines, "functions": 1,
            "longest_function": {"name": "f", "lines": lines}, "todos": lines % 2, "non_ascii": 0}})
    };
    let package = |name: &str, licence: &str| json!({"item": {"name": name}, "result": {"name": name, "version": "1.0.0", "licence": licence, "stated_by": "license"}});
    let mut files = vec![file("a.rs", 10), file("b.rs", 31), file("c.rs", 10)];
    let mut licences = vec![package("x", "MIT"), package("y", "ISC"), package("z", "MIT")];
    if reversed {
        files.reverse();
        licences.reverse();
    }
    json!({"root": root, "report": "out/audit.md", "after": {"files": files, "licences": licences}})
}

#[test]
fn the_report_depends_on_the_results_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("out/audit.md");
    let given = result("report.py", &report_payload(folder.path(), false));
    assert_eq!(given["report"], json!(path));
    assert_eq!(given["totals"]["lines"], 51);
    let report = fs::read_to_string(&path).expect("the report");
    assert!(report.contains("| b.rs | 31 | 1 |\n| a.rs | 10 | 1 |\n| c.rs | 10 | 1 |"), "{report}");
    assert!(report.contains("| MIT | 2 |\n| ISC | 1 |"), "{report}");
    assert!(!report.contains(folder.path().to_str().expect("a path")), "no path of this machine");

    result("report.py", &report_payload(folder.path(), true));
    assert_eq!(fs::read_to_string(&path).expect("the report"), report);
    assert_eq!(
        fs::read_dir(folder.path().join("out")).expect("a folder").count(),
        1,
        "no temporary file stays"
    );
}
