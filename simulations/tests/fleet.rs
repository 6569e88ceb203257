//! A person's own fleet, and what was recorded of a real node, through the program.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "fleet/governed.rs"]
mod governed;
#[path = "fleet/replay.rs"]
mod replay;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

/// Twelve drafts by two agents, then two checks by agents elsewhere.
const SMALL: &str = "
name: small
pools:
  draft: {command: [cat], size: 2}
  check: {runtime: external}
tasks:
  - name: draft
    pool: draft
    for_each: {list: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]}
    retry: {max_attempts: 20, initial: 100ms}
  - name: check
    pool: check
    after: [draft]
    for_each: {list: [a, b]}
simulation:
  pools:
    draft:
      duration: {p50: 800ms, p90: 2s}
      failure_percent: 40
      usage: {tokens_in: 100, tokens_out: 10, cost_usd: 0.01}
    check: {duration: 500ms, failure_percent: 0, agents: 2, twice_percent: 50}
";

fn simulate(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_synod-simulate")).args(args).output().unwrap()
}

/// Writes a file into cargo's folder for such things.
fn file(name: &str, text: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fleet-{}", std::process::id()));
    let file = folder.join(name);
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(&file, text).unwrap();
    file
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap_or_else(|| panic!("{output:?}"))
}

/// Reads the last line of standard output as an envelope of a kind.
fn item(output: &Output, kind: &str) -> Value {
    let text = String::from_utf8_lossy(&output.stdout);
    let last = text.lines().last().unwrap_or_else(|| panic!("{output:?}"));
    let envelope: Value = serde_json::from_str(last).unwrap_or_else(|_| panic!("{output:?}"));
    assert_eq!(envelope["kind"], kind, "{output:?}");
    envelope["item"].clone()
}

fn answer(text: &str, name: &str, args: &[&str]) -> Value {
    let fleet = file(name, text);
    let mut all = vec![fleet.to_str().unwrap(), "--json"];
    all.extend(args);
    let output = simulate(&all);
    assert_eq!(code(&output), 0, "{output:?}");
    item(&output, "fleet_simulation")
}

#[test]
fn a_fleet_is_simulated_and_answers_the_same_each_time() {
    let first = answer(SMALL, "same.yaml", &["--seed", "7"]);
    assert_eq!(first["verdict"], "complete", "{first}");
    assert_eq!(first["ends"]["completed"], 14, "{first}");
    // Every draft was handed over before the checks began, though some had to be made again.
    let entries = first["entries"].as_array().unwrap();
    assert!(entries[1]["began_ms"].as_u64() >= entries[0]["ended_ms"].as_u64(), "{first}");
    assert_eq!(first["bottleneck"]["pool"], "draft", "{first}");
    let attempts = first["pools"][1]["attempts"].as_u64().unwrap();
    assert_eq!(
        first["usage"]["cost_microusd"],
        attempts * 10_000,
        "each attempt of a draft costs a cent: {first}"
    );
    assert!(first["retries"].as_u64() > Some(0), "40 of a hundred fail: {first}");
    let death = &first["death"];
    assert_eq!((&death["verdict"], &death["completed"]), (&"complete".into(), &14.into()), "{first}");
    assert!(death["ended_before"].as_u64() > Some(0), "it died half way through: {first}");
    assert_eq!(first["broken"].as_array().map(Vec::len), Some(0), "{first}");
    assert_eq!(first, answer(SMALL, "same.yaml", &["--seed", "7"]));
}

#[test]
fn what_is_assumed_is_said_and_a_table_is_for_people() {
    let fleet = file(
        "assumed.yaml",
        "{name: f, pools: {w: {command: [cat]}}, tasks: [{name: one, pool: w, timeout: 2m}]}",
    );
    let output = simulate(&[fleet.to_str().unwrap(), "--seed", "1", "--nodes", "1"]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(code(&output), 0, "{output:?}");
    assert!(said.contains("nothing said for pool `w`: assumed 1m to 5m, 2 % failures"), "{said}");
    assert!(said.contains("if a node dies: the leader, node 1"), "{said}");
    assert!(said.contains("% of the attempts of `one` at `w` take longer than its 2m"), "{said}");
}

#[test]
fn work_that_nobody_can_do_is_found_stuck_with_the_reason() {
    let text = SMALL.replace("size: 2}", "size: 2, spread: {region: mars}}");
    let stuck = answer(&text, "stuck.yaml", &["--seed", "3", "--nodes", "1"]);
    assert_eq!(stuck["verdict"], "stuck", "{stuck}");
    let limits = stuck["limits"].to_string();
    assert!(limits.contains("pool_unplaced") && limits.contains("region mars"), "{limits}");
    assert!(limits.contains("never ends"), "{limits}");
}

#[test]
fn hangs_without_a_timeout_are_said_and_with_one_become_dead_letters() {
    let text = SMALL
        .replace("failure_percent: 40", "hang_percent: 100")
        .replace("retry: {max_attempts: 20, initial: 100ms}", "timeout: 5s\n    retry: {max_attempts: 1}");
    let dead = answer(&text, "dead.yaml", &["--seed", "3", "--nodes", "1"]);
    assert_eq!(dead["verdict"], "incomplete", "{dead}");
    let letters = dead["dead_letters"].as_array().unwrap();
    assert_eq!(letters.len(), 12, "{dead}");
    assert!(letters.iter().all(|letter| !letter["why"].as_str().unwrap().is_empty()), "{dead}");
    assert!(dead["not_begun"]["check"].is_string(), "{dead}");
}

#[test]
fn many_seeds_give_a_distribution() {
    let fleet = file("many.yaml", SMALL);
    let output = simulate(&[fleet.to_str().unwrap(), "--seeds", "0..3", "--jobs", "2", "--json"]);
    assert_eq!(code(&output), 0, "{output:?}");
    let spread = item(&output, "fleet_simulation_sweep");
    assert_eq!(spread["seeds"], 3, "{spread}");
    assert_eq!(spread["verdicts"]["complete"], 3, "{spread}");
    let took = |which: &str| spread["duration_ms"][which].as_u64().unwrap();
    assert!(took("min") > 0 && took("min") < took("max"), "three seeds took as long: {spread}");
    assert!(
        took("min") <= took("p50") && took("p50") <= took("p90") && took("p90") <= took("max"),
        "{spread}"
    );
}

#[test]
fn the_audit_of_a_small_tree_fans_out_and_reports() {
    let folder = file("tree/Cargo.lock", "").parent().unwrap().to_owned();
    let lock = "[[package]]\nname = \"serde\"\nversion = \"1.0.0\"\nsource = \"registry+x\"\n";
    std::fs::write(folder.join("Cargo.lock"), lock).unwrap();
    for name in ["a.rs", "b.rs", "c.rs"] {
        std::fs::write(folder.join(name), "fn main() {}\n").unwrap();
    }
    let audit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/audit.yaml");
    let input = format!("root={}", folder.display());
    let output = simulate(&[audit.to_str().unwrap(), "--seed", "7", "--input", &input, "--json"]);
    assert_eq!(code(&output), 0, "{output:?}");
    let audit = item(&output, "fleet_simulation");
    assert_eq!((&audit["verdict"], &audit["tasks"]), (&"complete".into(), &5.into()), "{audit}");
    // Which of the two is longer is drawn; the report waits for both.
    assert_eq!(audit["bottleneck"]["path"][1], "report", "{audit}");
}

#[test]
fn mistakes_exit_2_and_say_where_and_what_to_do() {
    let wrong = file("wrong.yaml", &SMALL.replace("duration: 500ms", "duration: 500"));
    let fleet = file("right.yaml", SMALL);
    let (wrong, fleet) = (wrong.to_str().unwrap(), fleet.to_str().unwrap());
    let cases: [(&[&str], &str); 6] = [
        (&[wrong], "wrong.yaml:21:23: the length of time 500 has no unit"),
        (&["no-such-fleet.yaml"], "cannot read the fleet file no-such-fleet.yaml"),
        (&[fleet, "--input", "x=1"], "has no input \"x\""),
        (&[fleet, "--seeds", "0.."], "a distribution needs an end"),
        (&[fleet, "--workload", "submits"], "cannot be used with"),
        (&["--workload", "submit"], "there are: all, submits, keys"),
    ];
    for (args, says) in cases {
        let output = simulate(args);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(code(&output), 2, "{args:?}: {said}");
        assert!(said.contains(says), "{args:?}: {said}");
    }
}

#[test]
fn clients_ask_for_what_the_workload_names_and_for_nothing_else() {
    let args = ["--seed", "2", "--nodes", "1", "--duration", "31s", "--faults", "none", "--json"];
    let output =
        simulate(&[&args[..], &["--workload", "retries,cancels", "--trace", "/dev/stderr"]].concat());
    let trace = String::from_utf8_lossy(&output.stderr).into_owned();
    // Nobody else submits, so there is nothing that the ordinary clients could cancel.
    assert_eq!(code(&output), 1, "{output:?}");
    let report = item(&output, "simulation")["report"].clone();
    let broken = report["broken"].to_string();
    assert!(broken.contains("nothing was asked of the workload cancels"), "{broken}");
    assert!(report["operations"]["impatient-0"].as_u64() > Some(0), "{report}");
    assert_eq!(report["operations"]["agent-0"], Value::Null, "{report}");
    assert!(!trace.contains(" claim for "), "somebody claims");
}
