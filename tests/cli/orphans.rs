//! No agent's program outlives the node, however the node ends.

use rustix::process::Signal;
use tokio::time::{Duration, Instant};

use crate::support::{Fleet, ending, eventually, signal};

/// How long a program may outlive its node.
const GONE_WITHIN: Duration = Duration::from_secs(5);

/// Returns the processes with this word among their arguments.
fn processes_with(word: &str) -> Vec<String> {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let with_word = entries.filter(|entry| {
        let arguments = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        arguments.split(|byte| *byte == 0).any(|argument| argument == word.as_bytes())
    });
    with_word.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

/// Runs a fleet whose programs have children, do not listen to SIGTERM, and would run for minutes.
async fn assert_gone_after(with: Signal) {
    let mark = format!("mark-{}-{}", std::process::id(), with.as_raw());
    let fleet = Fleet::new(&format!(
        "
name: stubborn
pools: {{stubborn: {{command: [sh, '{{{{fleet.dir}}}}/stubborn.sh', {mark}], size: 2}}}}
tasks: [{{name: stay, pool: stubborn, for_each: {{list: [1, 2]}}}}]
"
    ));
    let child = "sh -c 'trap \"\" TERM; while :; do sleep 0.2; done' child \"$1\"";
    fleet.write("stubborn.sh", &format!("trap '' TERM\n{child} &\n{child} &\nwait\nwait\n{child}\n"));
    let mut call = fleet.call(&[]);
    call.env("SYNOD_STOP__DRAIN", "100ms").env("SYNOD_STOP__KILL_GRACE", "200ms");
    let node = call.spawn().unwrap();
    eventually("two programs with two children each", || (processes_with(&mark).len() >= 6).then_some(()))
        .await;
    signal(&node, with);
    ending(node).await;
    let until = Instant::now() + GONE_WITHIN;
    while !processes_with(&mark).is_empty() {
        assert!(Instant::now() < until, "still there: {:?}", processes_with(&mark));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn no_program_survives_a_killed_node_for_five_seconds() {
    assert_gone_after(Signal::KILL).await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn no_program_survives_an_orderly_stop() {
    assert_gone_after(Signal::TERM).await;
}
