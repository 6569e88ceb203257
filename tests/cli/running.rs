//! `synod run` without interruption.

use serde_json::json;

use crate::support::{Fleet, tasks};

const GREETINGS: &str = "
name: greetings
inputs: {word: hello}
pools:
  shell: {command: [sh, -c, 'read task; printf \"%s\" \"$task\" >> \"$0\"; echo done', '{{fleet.dir}}/seen'], size: 2}
tasks:
  - name: greet
    pool: shell
    for_each: {list: [Ada, Alan]}
    payload: {who: '{{item}}', word: '{{inputs.word}}'}
  - {name: sum, pool: shell, after: [greet]}
";

#[tokio::test]
async fn a_fleet_that_completes_prints_a_table_and_exits_0() {
    let fleet = Fleet::new(GREETINGS);
    let said = fleet.run(&[]).await;
    said.assert_code(0);
    for words in ["entry", "greet", "sum", "3 of 3 tasks completed in", "sum: done"] {
        assert!(said.out.contains(words), "{words:?}: {said:#?}");
    }
    assert!(!said.out.contains('\u{1b}'), "colours belong on terminals: {said:#?}");
    assert_eq!(said.err, "", "nothing went wrong");
    assert!(fleet.file(".synod/lock").is_file(), "the data lies beside the fleet file");
}

#[tokio::test]
async fn json_is_one_document_on_standard_output_and_nothing_else() {
    let fleet = Fleet::new(GREETINGS);
    let said = fleet.run(&["--json", "--input", "word=servus"]).await;
    said.assert_code(0);
    let document = said.json();
    assert_eq!(document["version"], 1);
    assert_eq!(document["complete"], true);
    assert!(document["duration_ms"].is_u64());
    assert_eq!(document["outcome"]["fleet"], "greetings");
    assert_eq!(document["outcome"]["continued"], false);
    for task in tasks(&document) {
        assert_eq!(task["status"], "completed");
        assert_eq!(task["completions"], 1);
        assert_eq!(task["result"], "done");
        assert_eq!(task["attempts"].as_array().unwrap().len(), 1);
    }
    assert_eq!(tasks(&document)[1]["item"], "Alan");
    let seen = std::fs::read_to_string(fleet.file("seen")).unwrap();
    assert!(seen.contains("\"word\":\"servus\""), "the input was not handed over: {seen}");
    let handed = json!([{"item": "Ada", "result": "done"}, {"item": "Alan", "result": "done"}]);
    assert!(seen.contains(&format!("\"after\":{{\"greet\":{handed}}}")), "{seen}");
}

const HALF_BROKEN: &str = "
name: half-broken
pools: {shell: {command: [sh, -c, 'read task; case $task in *bad*) echo the disk is on fire >&2; exit 4;; esac']}}
tasks:
  - name: work
    pool: shell
    for_each: {list: [good, bad, fine]}
    retry: {max_attempts: 2, initial: 10ms}
  - {name: report, pool: shell, after: [work]}
";

#[tokio::test]
async fn a_task_that_fails_gives_exit_code_1_and_its_reason_in_the_table() {
    let fleet = Fleet::new(HALF_BROKEN);
    let said = fleet.run(&[]).await;
    said.assert_code(1);
    for words in
        ["what did not complete", "the disk is on fire", "2 of 3 tasks completed, 1 entries not begun"]
    {
        assert!(said.out.contains(words), "{words:?}: {said:#?}");
    }
    assert!(said.out.contains("not begun: 1 of 3 tasks of work did not complete"), "{said:#?}");
    assert!(said.err.contains("the disk is on fire"), "it is told when it happens: {said:#?}");

    let said = fleet.run(&["--json"]).await;
    said.assert_code(1);
    let document = said.json();
    assert_eq!(document["complete"], false);
    let bad = tasks(&document)[1].clone();
    assert_eq!((&bad["status"], &bad["completions"]), (&json!("failed"), &json!(0)));
    assert_eq!(bad["attempts"].as_array().unwrap().len(), 2);
    assert!(bad["reason"].as_str().unwrap().contains("the disk is on fire"), "{bad}");
}

#[tokio::test]
async fn a_run_that_had_ended_starts_anew() {
    let fleet = Fleet::new(GREETINGS);
    let first = fleet.run(&["--json"]).await;
    let second = fleet.run(&["--json"]).await;
    second.assert_code(0);
    let (first, second) = (first.json(), second.json());
    assert_ne!(first["outcome"]["run"], second["outcome"]["run"]);
    assert_eq!(second["outcome"]["continued"], false);
    assert_eq!(std::fs::read_to_string(fleet.file("seen")).unwrap().matches("Ada").count(), 4);
}

#[tokio::test]
async fn data_goes_where_the_flag_says() {
    let fleet = Fleet::new(GREETINGS);
    let data = fleet.file("elsewhere");
    fleet.run(&["--data", data.to_str().unwrap()]).await.assert_code(0);
    assert!(data.join("lock").is_file());
    assert!(!fleet.file(".synod").exists());
}

#[tokio::test]
async fn a_program_that_is_missing_is_told_before_anything_starts() {
    let fleet = Fleet::new(
        "
name: missing
pools:
  fine: {command: [sh, -c, 'echo x >> \"$0\"', '{{fleet.dir}}/seen']}
  broken: {command: [no-such-program-anywhere]}
tasks:
  - {name: one, pool: fine}
  - {name: two, pool: broken}
",
    );
    let said = fleet.run(&[]).await;
    said.assert_code(2);
    assert!(said.err.contains("pool broken cannot work"), "{said:#?}");
    assert!(said.err.contains("no-such-program-anywhere"), "{said:#?}");
    assert_eq!(fleet.lines("seen"), Vec::<String>::new(), "something was started");
    assert_eq!(said.out, "");

    // The file is corrected, and the same command does everything.
    fleet.write("no-such-program-anywhere", "#!/bin/sh\necho here\n");
    let text = std::fs::read_to_string(fleet.file("fleet.yaml")).unwrap();
    fleet.write("fleet.yaml", &text.replace("[no-such-program-anywhere]", "[echo, here]"));
    fleet.run(&[]).await.assert_code(0);
}

const FRUGAL: &str = "
name: frugal
pools: {shell: {command: [sh, -c, 'read task; echo done >> \"$0\"; echo done', '{{fleet.dir}}/seen']}}
budgets: {calls: {scope: run, limits: [{requests: 2, per: whole}]}}
tasks: [{name: call, pool: shell, for_each: {list: [1, 2, 3]}, over_budget: fail}]
";

#[tokio::test]
async fn a_budget_of_a_run_is_for_each_run_from_the_beginning() {
    let fleet = Fleet::new(FRUGAL);
    for run in 1..=2 {
        let said = fleet.run(&["--json"]).await;
        let document = said.json();
        let ends: Vec<_> = tasks(&document).iter().map(|task| task["status"].clone()).collect();
        assert_eq!(ends.iter().filter(|end| **end == "completed").count(), 2, "{document:#}");
        assert_eq!(ends.iter().filter(|end| **end == "failed").count(), 1, "{document:#}");
        assert_eq!(fleet.lines("seen").len(), 2 * run);
    }
    // That of the fleet goes on from run to run.
    fleet.write("fleet.yaml", &FRUGAL.replace("scope: run", "scope: fleet"));
    fleet.run(&["--json"]).await;
    fleet.run(&["--json"]).await;
    assert_eq!(fleet.lines("seen").len(), 6);
}
