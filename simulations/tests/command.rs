//! `synod-simulate` with many seeds: processes, the ledger, comparing two of them, shrinking, the page.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

/// A disk that says it synced when it did not: a world that breaks within seconds.
const BROKEN: [&str; 6] = ["--nodes", "1", "--duration", "3s", "--faults", "crash,lying-disk"];

/// A world that holds.
const HOLDS: [&str; 6] = ["--nodes", "1", "--duration", "2s", "--faults", "slow-disk"];

fn simulate(args: &[&str], world: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_synod-simulate")).args(args).args(world).output().unwrap()
}

/// Reads standard output as JSON, line by line; the last one is about all of them.
fn lines(output: &Output) -> Vec<Value> {
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{output:?}"))).collect()
}

fn total(output: &Output) -> Value {
    let last = lines(output).pop().unwrap();
    assert_eq!(last["kind"], "simulation_sweep", "{last}");
    last["item"].clone()
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap_or_else(|| panic!("{output:?}"))
}

/// A file of this test in cargo's folder for such things; not there yet.
fn fresh(name: &str) -> PathBuf {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{}-{name}", std::process::id()));
    // Only a run with the same process number can have left one.
    let _ = std::fs::remove_file(&file);
    file
}

#[test]
fn many_seeds_are_run_and_what_breaks_is_told_with_its_replay() {
    let output = simulate(&["--seeds", "0..4", "--jobs", "2", "--json"], &BROKEN);
    assert_eq!(code(&output), 1, "{output:?}");
    let total = total(&output);
    let broken = total["broken"].as_array().unwrap();
    assert!(!broken.is_empty(), "no seed of 4 has caught a disk that lies: {total}");
    assert_eq!(lines(&output).len(), 5, "one line for each seed, and one for all");
    assert!(total["injected"]["lying-disk"]["worlds"] == 4, "{total}");
    for finding in broken {
        let replay = finding["replay"].as_str().unwrap();
        let words: Vec<&str> = replay.split_whitespace().skip(2).collect();
        let again = simulate(&words, &["--json"]);
        assert_eq!(code(&again), 1, "{replay}");
        let report = &lines(&again)[0]["item"]["report"];
        let judges = report["broken"].as_array().unwrap().iter().map(|broken| broken["judge"].clone());
        assert_eq!(Value::Array(judges.collect()), finding["what"], "{replay}");
    }
}

#[test]
fn a_ledger_is_gone_on_with_and_a_broken_seed_in_it_still_counts() {
    let file = fresh("ledger.jsonl");
    let ledger = file.to_str().unwrap();
    let first = simulate(&["--seeds", "0..2", "--json", "--ledger", ledger], &HOLDS);
    assert_eq!(code(&first), 0, "{first:?}");
    // What a stop leaves of a line is no line.
    let whole = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("{whole}{{\"seed\":2,\"ver")).unwrap();
    let second = simulate(&["--seeds", "0..3", "--json", "--ledger", ledger], &HOLDS);
    assert_eq!(code(&second), 0, "{second:?}");
    assert_eq!(total(&second)["from_ledger"], 2);
    assert_eq!(lines(&second).len(), 2, "only the third was run");
    // Another world is another matter, and so is running twice.
    let other = simulate(&["--seeds", "0..1", "--json", "--ledger", ledger, "--twice"], &HOLDS);
    assert_eq!(total(&other)["from_ledger"], 0, "{other:?}");
    let text = std::fs::read_to_string(&file).unwrap();
    assert_eq!(text.lines().count(), 4, "{text}");
    // A seed that broke does not hold because it is passed over. They stand there as they ended.
    let of_seed_0 = text.find("{\"seed\":0,").unwrap();
    let (before, from) = text.split_at(of_seed_0);
    let broken = from.replacen("\"outcome\":\"holds\"", "\"outcome\":\"broken\"", 1);
    std::fs::write(&file, format!("{before}{broken}")).unwrap();
    let third = simulate(&["--seeds", "0..1", "--json", "--ledger", ledger], &HOLDS);
    let still = simulate(&["--seeds", "1..3", "--json", "--ledger", ledger], &HOLDS);
    std::fs::remove_file(&file).unwrap();
    // The first seed has a later entry, of two processes, which counts.
    assert_eq!((code(&third), code(&still)), (0, 0), "{third:?} {still:?}");
}

#[test]
fn a_broken_seed_of_a_ledger_keeps_the_exit_code() {
    let file = fresh("broken.jsonl");
    let ledger = file.to_str().unwrap();
    simulate(&["--seeds", "0..1", "--ledger", ledger], &HOLDS);
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("\"outcome\":\"holds\"", "\"outcome\":\"broken\"")).unwrap();
    let again = simulate(&["--seeds", "0..1", "--json", "--ledger", ledger], &HOLDS);
    std::fs::remove_file(&file).unwrap();
    assert_eq!(code(&again), 1, "{again:?}");
    assert_eq!(total(&again)["from_ledger"], 1);
}

#[test]
fn a_file_that_is_no_ledger_is_left_as_it_is() {
    let file = fresh("notes.txt");
    std::fs::write(&file, "what I wanted to buy\nbread\n").unwrap();
    let output = simulate(&["--seeds", "0..1", "--ledger", file.to_str().unwrap()], &HOLDS);
    let after = std::fs::read_to_string(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    assert_eq!(code(&output), 2, "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("line 1 is no entry of a ledger"), "{said}");
    assert_eq!(after, "what I wanted to buy\nbread\n");
}

#[test]
fn two_processes_of_each_seed_write_the_same_trace() {
    let output = simulate(&["--seeds", "0..2", "--twice", "--json"], &["--duration", "2s"]);
    let total = total(&output);
    assert_eq!(total["outcomes"]["differs"], Value::Null, "{total}");
    assert!(lines(&output).iter().all(|line| line["item"]["why"] == Value::Null), "{output:?}");
}

#[test]
fn what_breaks_is_shrunk_to_a_smaller_command_that_breaks_the_same() {
    let few = ["--seeds", "0..4", "--workload", "submits,claims", "--shrink", "--json"];
    let output = simulate(&few, &BROKEN);
    assert_eq!(code(&output), 1, "{output:?}");
    let last = lines(&output).pop().unwrap();
    assert_eq!(last["kind"], "simulation_shrunk", "{last}");
    let shrunk = &last["item"];
    let left = |what: &str| [0, 1].map(|place| shrunk[what][place].as_u64().unwrap());
    let ([faults, of_faults], [operations, of_operations]) = (left("faults"), left("operations"));
    assert!(faults <= of_faults && faults >= 1, "{shrunk}");
    assert!(operations < of_operations / 2, "most operations have nothing to do with it: {shrunk}");
    let words: Vec<&str> = shrunk["replay"].as_str().unwrap().split_whitespace().skip(2).collect();
    let again = simulate(&words, &["--json"]);
    assert_eq!(code(&again), 1, "{words:?}");
    let broken = lines(&again)[0]["item"]["report"]["broken"].clone();
    let judges = broken.as_array().unwrap().iter().map(|broken| &broken["judge"]);
    assert!(judges.into_iter().any(|judge| *judge == shrunk["judge"]), "{broken}");
}

#[test]
fn faults_and_operations_that_are_left_out_do_not_come_and_nothing_else_changes_before_them() {
    // Some agents take their node with them, which is a crash that no plan knows.
    let work = "submits,keys,retries,cancels,waits,claims";
    let world = [
        "--nodes",
        "1",
        "--duration",
        "3s",
        "--faults",
        "crash",
        "--seed",
        "5",
        "--workload",
        work,
        "--json",
    ];
    let whole = lines(&simulate(&[], &world))[0]["item"].clone();
    let planned = whole["plan"].as_array().unwrap().len();
    let all = format!("1-{planned}");
    let without =
        lines(&simulate(&["--skip", &all, "--skip-operations", "client-0:1-100000"], &world))[0]["item"]
            .clone();
    assert_eq!(without["plan"], whole["plan"], "the plan is drawn as before");
    assert_eq!(without["report"]["injected"]["crash"], Value::Null, "{without}");
    assert_eq!(without["report"]["operations"]["client-0"], Value::Null, "{without}");
    assert!(without["report"]["operations"]["client-1"].as_u64() > Some(0), "{without}");
}

#[test]
fn the_page_of_a_run_is_one_file_and_the_same_every_time() {
    let files = [fresh("one.html"), fresh("other.html")];
    let pages = files.each_ref().map(|file| {
        let output = simulate(&["--seed", "3", "--view", file.to_str().unwrap()], &["--duration", "2s"]);
        assert!(matches!(code(&output), 0 | 1), "{output:?}");
        let page = std::fs::read_to_string(file).unwrap();
        std::fs::remove_file(file).unwrap();
        page
    });
    assert!(pages[0] == pages[1], "two pages of one seed differ");
    let film = pages[0].split_once("const F = ").unwrap().1.split_once(";\n").unwrap().0;
    let film: Value = serde_json::from_str(film).unwrap();
    assert_eq!(film["nodes"], 3);
    for what in ["standing", "leads", "applied", "works"] {
        assert_eq!(film[what].as_array().unwrap().len(), 3, "{what}");
    }
    assert!(!film["lines"].as_array().unwrap().is_empty());
    assert!(!film["faults"].as_array().unwrap().is_empty(), "a world in which nothing was injected");
}

#[test]
fn mistakes_on_the_command_line_exit_2_and_say_how_it_is_written() {
    let cases: [(&[&str], &str); 9] = [
        (&["--seeds", "5"], "0..200"),
        (&["--seeds", "5..5"], "there is no seed"),
        (&["--seed", "1", "--seeds", "0..2"], "cannot be used with"),
        (&["--duration", "soon"], "250ms, 30s, 10m or 1h"),
        (&["--faults", "crush"], "there are: all, none, crash"),
        (&["--skip", "0-3"], "like 1-4,7"),
        (&["--skip-operations", "1-3"], "client-0:1-4,7"),
        (&["--seeds", "0..2", "--trace", "-"], "cannot be used with"),
        (&["--seed", "1", "--duration", "1s", "--trace", "/nowhere/at/all"], "cannot be written"),
    ];
    for (args, says) in cases {
        let output = simulate(args, &[]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(code(&output), 2, "{args:?}: {said}");
        assert!(said.contains(says), "{args:?}: {said}");
    }
}

#[cfg(unix)]
#[test]
fn an_interrupt_ends_all_processes_and_says_what_there_was() {
    use std::io::{BufRead, BufReader};
    let mut child = Command::new(env!("CARGO_BIN_EXE_synod-simulate"))
        .args(["--seeds", "0..", "--jobs", "2", "--json"])
        .args(HOLDS)
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
    // One seed has ended, so others are on their way.
    let first: Value = serde_json::from_str(&said.next().unwrap().unwrap()).unwrap();
    assert_eq!(first["kind"], "simulation_seed");
    let kill = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(kill.success());
    let last: Value = serde_json::from_str(&said.map(Result::unwrap).last().unwrap()).unwrap();
    assert_eq!(last["kind"], "simulation_sweep", "{last}");
    assert_eq!(child.wait().unwrap().code(), Some(130));
}
