//! What a node with many idle agents costs.

use std::time::Duration;

use synod::native::{AgentError, Context, NativeAgent};
use synod::node::{Node, Pool};

const AGENTS: u32 = 1000;
const WATCHED: Duration = Duration::from_secs(30);

struct Idle;

impl NativeAgent for Idle {
    type Input = ();
    type Output = ();

    async fn run(&self, _: Context, (): ()) -> Result<(), AgentError> {
        Ok(())
    }
}

pub(crate) async fn run() {
    println!("\n## {AGENTS} idle agents for {} s\n", WATCHED.as_secs());
    let folder = crate::folder();
    let builder = Node::builder().data(folder.path().join("data"));
    let node = builder.native("idle", Idle).expect("a name").start().await.expect("a node");
    node.put_pool(Pool::native("idle", "idle").expect("a pool").size(AGENTS)).await.expect("the pool");
    while node.read(|state| state.agents().filter(|agent| agent.takes_work()).count()) < AGENTS as usize {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // The checkpoint of their registration is not idleness.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let begun = processor_time();
    tokio::time::sleep(WATCHED).await;
    let used = processor_time().saturating_sub(begun);
    let share = used.as_secs_f64() / WATCHED.as_secs_f64() * 100.0;
    println!("| user + system time, ms | share of a core, % |");
    println!("|---:|---:|");
    println!("| {} | {share:.3} |", used.as_millis());
    node.stop().await;
}

/// User and system time of this process, from the operating system; zero where it does not say.
fn processor_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks: u64 =
        after_name.split_whitespace().skip(11).take(2).filter_map(|word| word.parse::<u64>().ok()).sum();
    // Linux counts in hundredths of a second here, on every machine that matters.
    Duration::from_millis(ticks * 10)
}
