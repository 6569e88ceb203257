//! `synod run`, interrupted and run again.

use std::collections::BTreeMap;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use crate::support::{Fleet, Said, ending, eventually, signal, tasks};

/// How many items the fleet below has.
const ITEMS: usize = 40;

/// Each task appends its item to `done` before it ends, and the last one adds up what the others said.
fn fleet(pause: &str) -> Fleet {
    let items: Vec<String> = (0..ITEMS).map(|item| item.to_string()).collect();
    let fleet = Fleet::new(&format!(
        "
name: long
pools:
  work: {{command: [sh, '{{{{fleet.dir}}}}/work.sh'], size: 2}}
  report: {{command: [sh, '{{{{fleet.dir}}}}/report.sh']}}
tasks:
  - name: work
    pool: work
    for_each: {{list: [{}]}}
  - {{name: report, pool: report, after: [work]}}
",
        items.join(", ")
    ));
    let work = format!(
        "item=$(sed 's/.*\"item\":\\([0-9]*\\).*/\\1/')\n{pause}\ncd \"$(dirname \"$0\")\"\n\
         echo \"$item $SYNOD_ATTEMPT\" >> done\necho \"$((item * item))\"\n"
    );
    fleet.write("work.sh", &work);
    fleet.write("report.sh", "sed 's/.*\"after\"://' | tee \"$(dirname \"$0\")/report\" | wc -c\n");
    fleet
}

/// The results of a run by item, without what differs between runs.
fn results(document: &Value) -> BTreeMap<String, Value> {
    tasks(document).iter().map(|task| (task["key"].to_string(), task["result"].clone())).collect()
}

/// Every task has one completion, and what was done before an interruption was not done again: an item
/// stands in `done` once for each of its attempts that got so far, and no attempt follows a completed one.
fn assert_done_once(fleet: &Fleet, said: &Said, redone_max: usize) {
    let document = said.json();
    assert_eq!(document["complete"], true);
    assert_eq!(tasks(&document).len(), ITEMS + 1);
    for task in tasks(&document) {
        assert_eq!(task["completions"], 1, "{task}");
    }
    let done = fleet.lines("done").len();
    // An attempt that was killed between its line and its end is made again.
    assert!((ITEMS..=ITEMS + redone_max).contains(&done), "{done} lines for {ITEMS} items");
}

#[tokio::test]
async fn a_run_killed_three_times_goes_on_redoes_nothing_and_reports_the_same() {
    let undisturbed = fleet("");
    let expected = undisturbed.run(&["--json"]).await;
    expected.assert_code(0);
    let fleet = fleet("sleep 0.05");
    for kill in 0..3 {
        let mut child = fleet.call(&["--json"]).spawn().unwrap();
        let before = fleet.lines("done").len();
        eventually("some tasks more are done", || (fleet.lines("done").len() >= before + 5).then_some(()))
            .await;
        child.start_kill().unwrap();
        let said = ending(child).await;
        assert_eq!(said.status.code(), None, "kill {kill} came too late: {said:#?}");
        assert_eq!(said.err.contains("continuing run"), kill > 0, "{said:#?}");
    }
    let before = fleet.lines("done").len();
    assert!((15..ITEMS).contains(&before), "{before} of {ITEMS} were done when it was continued");
    let said = fleet.run(&["--json"]).await;
    said.assert_code(0);
    assert!(said.err.contains("continuing run run_") && said.err.contains("of fleet long"), "{said:#?}");
    assert!(said.err.contains("tasks had ended before this run was continued; none was redone"), "{said:#?}");
    assert_eq!(said.json()["outcome"]["continued"], true);
    // Two agents, three kills: so many attempts may have written their line and not their end.
    assert_done_once(&fleet, &said, 2 * 3);
    assert_eq!(results(&said.json()), results(&expected.json()));
    let report = |fleet: &Fleet| std::fs::read_to_string(fleet.file("report")).unwrap();
    assert_eq!(report(&fleet), report(&undisturbed), "the reports differ");
}

#[tokio::test]
async fn what_was_told_to_have_ended_is_not_redone() {
    let fleet = fleet("sleep 0.02");
    let child = fleet.call(&[]).spawn().unwrap();
    eventually("half is done", || (fleet.lines("done").len() >= ITEMS / 2).then_some(())).await;
    signal(&child, Signal::KILL);
    ending(child).await;
    let said = fleet.run(&[]).await;
    said.assert_code(0);
    let told = said.err.lines().find(|line| line.contains("had ended before")).unwrap();
    let ended: usize = told.split(' ').next().unwrap().parse().unwrap();
    // Two agents: at most two had written their line and not their end.
    assert!((ITEMS / 2 - 2..=ITEMS).contains(&ended), "{told}");
    assert!(fleet.lines("done").len() <= ITEMS + 2);
}

#[tokio::test]
async fn fresh_starts_anew_and_says_nothing_of_continuing() {
    let fleet = fleet("sleep 0.02");
    let child = fleet.call(&[]).spawn().unwrap();
    eventually("something is done", || (fleet.lines("done").len() >= 5).then_some(())).await;
    signal(&child, Signal::KILL);
    ending(child).await;
    let before = fleet.lines("done").len();
    let said = fleet.run(&["--fresh", "--json"]).await;
    said.assert_code(0);
    assert!(!said.err.contains("continuing"), "{said:#?}");
    assert_eq!(said.json()["outcome"]["continued"], false);
    assert_eq!(fleet.lines("done").len(), before + ITEMS, "everything is done anew");
}

#[tokio::test]
async fn a_changed_fleet_file_is_told_and_the_run_goes_on_with_what_it_began() {
    let fleet = fleet("sleep 0.02");
    let child = fleet.call(&[]).spawn().unwrap();
    eventually("something is done", || (fleet.lines("done").len() >= 5).then_some(())).await;
    signal(&child, Signal::KILL);
    ending(child).await;
    let text = std::fs::read_to_string(fleet.file("fleet.yaml")).unwrap();
    fleet.write("fleet.yaml", &text.replace("list: [0, 1,", "list: [1,"));
    let said = fleet.run(&["--json"]).await;
    said.assert_code(0);
    assert!(said.err.contains("changed since the run began"), "{said:#?}");
    assert!(said.err.contains("--fresh"), "{said:#?}");
    assert_done_once(&fleet, &said, 2);
}

async fn stop_and_continue(with: Signal, code: i32, word: &str) {
    let fleet = fleet("sleep 0.05");
    let child = fleet.call(&["--json"]).spawn().unwrap();
    eventually("something is done", || (fleet.lines("done").len() >= 5).then_some(())).await;
    signal(&child, with);
    let said = ending(child).await;
    said.assert_code(code);
    assert!(said.err.contains(&format!("{word}; run the same command again to continue")), "{said:#?}");
    assert_eq!(said.out, "", "half a run has no result");
    let before = fleet.lines("done").len();
    assert!(before < ITEMS, "the signal came too late");
    let said = fleet.run(&["--json"]).await;
    said.assert_code(0);
    // An orderly stop lets short work finish, so nothing at all is redone.
    assert_done_once(&fleet, &said, 0);
    assert!(said.err.contains(&format!("{before} tasks had ended before")), "{before}: {said:#?}");
}

#[tokio::test]
async fn sigterm_ends_with_143_and_the_run_goes_on_later() {
    stop_and_continue(Signal::TERM, 143, "terminated").await;
}

#[tokio::test]
async fn sigint_ends_with_130_and_the_run_goes_on_later() {
    stop_and_continue(Signal::INT, 130, "interrupted").await;
}

#[tokio::test]
async fn a_kill_in_the_middle_of_an_orderly_stop_loses_nothing() {
    let fleet = fleet("sleep 0.3");
    for _ in 0..3 {
        let child = fleet.call(&["--json"]).spawn().unwrap();
        let before = fleet.lines("done").len();
        eventually("some tasks more are done", || (fleet.lines("done").len() >= before + 3).then_some(()))
            .await;
        signal(&child, Signal::TERM);
        tokio::time::sleep(Duration::from_millis(100)).await;
        // It may have been quicker than this; then it was an orderly stop.
        signal(&child, Signal::KILL);
        ending(child).await;
    }
    let said = fleet.run(&["--json"]).await;
    said.assert_code(0);
    assert_done_once(&fleet, &said, 2 * 3);
}

/// A fleet of this name whose pool `w` answers with that name.
fn answering(name: &str, pause: &str) -> String {
    format!(
        "
name: {name}
pools:
  w: {{command: [sh, -c, '{pause}; echo x >> {{{{fleet.dir}}}}/done; echo from-{name}'], capabilities: [answer]}}
tasks:
  - {{name: by-pool, pool: w, for_each: {{list: [1, 2, 3, 4]}}}}
  - {{name: by-capability, capabilities: [answer], for_each: {{list: [1, 2, 3, 4]}}}}
"
    )
}

#[tokio::test]
async fn fleets_that_share_a_folder_and_a_pool_name_never_do_each_others_work() {
    let first = Fleet::new(&answering("first", "sleep 0.3"));
    let data = first.file("shared");
    let data = data.to_str().unwrap();
    let mut child = first.call(&["--data", data]).spawn().unwrap();
    eventually("some of the first fleet's work is done", || (first.lines("done").len() >= 2).then_some(()))
        .await;
    child.start_kill().unwrap();
    assert_eq!(ending(child).await.status.code(), None, "the kill came too late");

    let second = Fleet::new(&answering("second", "true"));
    for (fleet, expected) in [(&second, "from-second"), (&first, "from-first")] {
        let said = fleet.run(&["--data", data, "--json"]).await;
        said.assert_code(0);
        let document = said.json();
        let results: Vec<&Value> = tasks(&document).iter().map(|task| &task["result"]).collect();
        assert_eq!(results, vec![expected; 8]);
    }
}
