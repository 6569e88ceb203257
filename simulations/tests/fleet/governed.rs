//! Fleets that policies, budgets, limits and resources govern: what each holds back is said by its name, and waiting for it
//! is not the end.

use super::{answer, code, file, item, simulate};

/// Four pieces of 1000 tokens each, by two agents, under what governs.
fn fleet(governing: &str, piece: &str) -> String {
    format!(
        "
name: gov
{governing}
pools:
  work: {{command: [cat], size: 4}}
tasks:
  - name: piece
    pool: work
    for_each: {{list: [1, 2, 3, 4]}}
    estimate: {{tokens: 1000}}
    {piece}
simulation:
  pools:
    work: {{duration: 20s, failure_percent: 0, usage: {{tokens_in: 500, tokens_out: 500}}}}
"
    )
}

const ARGS: [&str; 4] = ["--seed", "3", "--nodes", "1"];

/// Twenty minutes, which is longer than nothing else may happen.
const WINDOW_MS: u64 = 20 * 60 * 1000;

#[test]
fn work_that_waits_for_the_window_of_a_budget_goes_on_when_it_turns() {
    let text = fleet("budgets: {tokens: {limits: [{tokens: 2000, per: {opened: 20m}}]}}", "");
    let said = answer(&text, "window.yaml", &ARGS);
    assert_eq!((&said["verdict"], &said["ends"]["completed"]), (&"complete".into(), &4.into()), "{said}");
    assert!(said["duration_ms"].as_u64() >= Some(WINDOW_MS), "two go in the next window: {said}");
    let limits = said["limits"].to_string();
    assert!(limits.contains("budget: `piece` waited") && limits.contains("gov/tokens"), "{limits}");
    assert!(!limits.contains("never ends"), "{limits}");
}

#[test]
fn a_budget_that_is_too_small_in_every_window_is_named_as_what_the_run_never_ends_for() {
    let text = fleet("budgets: {tokens: {limits: [{tokens: 500, per: minute}]}}", "");
    let said = answer(&text, "small-budget.yaml", &ARGS);
    assert_eq!(said["verdict"], "stuck", "{said}");
    let limits = said["limits"].to_string();
    assert!(limits.contains("budget: `piece` waited") && limits.contains("gov/tokens"), "{limits}");
    assert!(limits.contains("never ends"), "{limits}");
}

#[test]
fn work_that_is_more_than_the_whole_budget_is_named_and_keeps_none_of_the_rest_waiting() {
    let dear = "
  - name: dear
    pool: work
    priority: critical
    for_each: {list: [1, 2]}
    estimate: {tokens: 4000}";
    let text = fleet("budgets: {tokens: {limits: [{tokens: 2000, per: {opened: 20m}}]}}", dear);
    let said = answer(&text, "dear.yaml", &ARGS);
    assert_eq!((&said["verdict"], &said["ends"]["completed"]), (&"stuck".into(), &4.into()), "{said}");
    let limits = said["limits"].to_string();
    assert!(limits.contains("budget: `dear` waited") && limits.contains("2000 tokens in all"), "{limits}");
}

#[test]
fn what_nobody_approves_ends_when_the_question_expires_and_what_a_policy_denies_is_refused_with_its_name() {
    let rule = "{action: task.submit, effect: require_approval, approvers: [ann], timeout: 20m}";
    let said = answer(&fleet(&format!("policies: {{ask: {{rules: [{rule}]}}}}"), ""), "ask.yaml", &ARGS);
    assert_eq!(said["verdict"], "incomplete", "{said}");
    assert!(said["duration_ms"].as_u64() >= Some(WINDOW_MS), "it waits for somebody: {said}");
    assert_eq!(said["dead_letters"].as_array().map(Vec::len), Some(4), "{said}");
    let limits = said["limits"].to_string();
    assert!(limits.contains("approval: `piece` waited"), "{limits}");

    let rule = "{action: task.submit, effect: deny, reason: not today}";
    let denied = file("deny.yaml", &fleet(&format!("policies: {{no: {{rules: [{rule}]}}}}"), ""));
    let output = simulate(&[&[denied.to_str().unwrap(), "--json"][..], &ARGS].concat());
    assert_eq!(code(&output), 2, "{output:?}");
    let said = item(&output, "fleet_simulation");
    assert_eq!(said["verdict"], "refused", "{said}");
    let why = said["refused"].to_string();
    assert!(why.contains("gov/no") && why.contains("not today"), "{why}");
}

#[test]
fn what_waits_for_a_limit_set_and_for_a_resource_says_which() {
    let governing = "
limits: {shelf: {key: type, concurrency: 1, tasks: [piece]}}
resources: {gpu: {capacity: 1}}";
    let render = "
  - name: render
    pool: work
    for_each: {list: [1, 2]}
    resources: {gpu: 1}";
    let said = answer(&fleet(governing, render), "shelf.yaml", &ARGS);
    assert_eq!((&said["verdict"], &said["ends"]["completed"]), (&"complete".into(), &6.into()), "{said}");
    let limits = said["limits"].to_string();
    assert!(limits.contains("limit: `piece` waited") && limits.contains("gov/shelf"), "{limits}");
    assert!(limits.contains("resource: `render` waited") && limits.contains("gpu"), "{limits}");
}

#[test]
fn what_is_called_as_in_drawn_worlds_is_judged_as_what_it_is() {
    let governing = "
budgets: {b-10: {limits: [{tokens: 2000, per: {opened: 20m}}]}}
resources: {gpu: {capacity: 1}}";
    let two = "
  - name: needs-2-gpu
    pool: work
    for_each: {list: [1, 2]}
    estimate: {tokens: 1000}
    resources: {gpu: 1}";
    let text = fleet(governing, two).replace("name: gov", "name: purse-gov");
    let said = answer(&text, "purse.yaml", &ARGS);
    assert_eq!((&said["verdict"], &said["ends"]["completed"]), (&"complete".into(), &6.into()), "{said}");
    assert!(said["limits"].to_string().contains("purse-gov/b-10"), "{said}");
}
