//! The start of a node with many waiting tasks, and what each takes in memory.

use futures::{StreamExt, TryStreamExt, stream};
use synod::clock::Stopwatch;
use synod::node::{NewTask, Node, Pool};

const WAITING: usize = 100_000;
const SUBMITS_AT_ONCE: usize = 1024;

pub(crate) async fn run() {
    println!("\n## Start with {WAITING} waiting tasks\n");
    let folder = crate::folder();
    let data = folder.path().join("data");
    let node = Node::builder().data(&data).start().await.expect("a node");
    node.put_pool(Pool::external("bench").expect("a pool")).await.expect("the pool");
    let before = resident_bytes();
    let begun = Stopwatch::start();
    stream::iter(0..WAITING)
        .map(|number| {
            let task = NewTask::to_pool("bench", "bench", &format!("{number:0>250}")).expect("a task");
            node.submit(task)
        })
        .buffer_unordered(SUBMITS_AT_ONCE)
        .try_for_each(|_| std::future::ready(Ok(())))
        .await
        .expect("the submits");
    let rate = WAITING as f64 / begun.elapsed().as_secs_f64();
    let each = resident_bytes().saturating_sub(before) / WAITING as u64;
    node.stop().await;
    let begun = Stopwatch::start();
    let node = Node::builder().data(&data).start().await.expect("a node");
    let took = begun.elapsed();
    assert_eq!(node.read(|state| state.unfinished()), WAITING as u64);
    println!(
        "| submits/s, {SUBMITS_AT_ONCE} in flight | resident bytes a waiting task (250-byte payload) | start, s |"
    );
    println!("|---:|---:|---:|");
    println!("| {rate:.0} | {each} | {:.2} |", took.as_secs_f64());
    node.stop().await;
}

/// Resident memory of this process, from the operating system; 0 where it does not say.
fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    kibibytes.unwrap_or(0) * 1024
}
