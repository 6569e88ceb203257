//! Worlds in processes of their own: the same seed, the same trace, and every judge content.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::process::{Command, Output};

/// Runs the world of a seed in a process of its own; its trace is on standard output.
fn simulate(seed: u64, duration: u64, faults: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_synod-simulate"))
        .args(["--seed", &seed.to_string(), "--duration", &duration.to_string()])
        .args(["--faults", faults, "--trace", "-"])
        .output()
        .unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Shows the first line in which two traces differ.
fn assert_same_trace(seed: u64, one: &Output, other: &Output) {
    let (one, other) = (String::from_utf8_lossy(&one.stdout), String::from_utf8_lossy(&other.stdout));
    for (number, (left, right)) in one.lines().zip(other.lines()).enumerate() {
        assert_eq!(left, right, "seed {seed}: the traces differ from line {}", number + 1);
    }
    assert_eq!(one.len(), other.len(), "seed {seed}: one trace is longer");
    assert!(one.lines().count() > 100, "seed {seed}: almost nothing happened");
}

#[test]
fn two_processes_with_one_seed_give_the_same_trace() {
    // After these failed syncs several callers wake at once. Without `os_random` their order differs.
    let woken = [4, 10, 28].map(|seed| (seed, "failed-sync,slow-disk"));
    for (seed, faults) in [100, 101, 102].map(|seed| (seed, "all")).into_iter().chain(woken) {
        assert_same_trace(seed, &simulate(seed, 10, faults), &simulate(seed, 10, faults));
    }
}

#[test]
fn different_seeds_give_different_traces() {
    assert_ne!(simulate(1, 3, "none").stdout, simulate(2, 3, "none").stdout);
}

#[test]
fn ten_seeds_with_crashes_hold_all_judges() {
    for seed in 0..10 {
        let output = simulate(seed, 15, "crash");
        assert!(output.status.success(), "{}", said(&output));
        assert!(String::from_utf8_lossy(&output.stdout).contains(" fault   crash"), "seed {seed}");
    }
}

#[test]
fn ten_seeds_with_all_faults_hold_all_judges() {
    for seed in 10..20 {
        let output = simulate(seed, 15, "all");
        assert!(output.status.success(), "{}", said(&output));
    }
}

#[test]
fn a_world_without_faults_holds_all_judges() {
    let output = simulate(3, 10, "none");
    assert!(output.status.success(), "{}", said(&output));
}

#[test]
fn a_disk_that_acknowledges_before_it_syncs_is_caught() {
    let caught = (0..8).map(|seed| simulate(seed, 15, "crash,lying-disk")).find(|run| !run.status.success());
    let said = said(&caught.expect("none of 8 seeds has caught it"));
    assert!(said.contains("VIOLATION") && said.contains("replay: synod-simulate --seed"), "{said}");
}
