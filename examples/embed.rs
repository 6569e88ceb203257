//! A service that embeds a node: an agent as a Rust type, durable work, results.
//!
//! `cargo run --example embed -- FOLDER`; done again with the same folder, nothing is redone.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;

use synod::native::{AgentError, Context, NativeAgent};
use synod::node::{NewTask, Node, Pool};

/// Counts how often each letter stands in a text.
struct Letters;

impl NativeAgent for Letters {
    type Input = String;
    type Output = BTreeMap<char, u32>;

    async fn run(&self, _: Context, text: String) -> Result<Self::Output, AgentError> {
        let mut counts = BTreeMap::new();
        for letter in text.to_lowercase().chars().filter(|letter| letter.is_alphabetic()) {
            *counts.entry(letter).or_default() += 1;
        }
        if counts.is_empty() { Err(AgentError::fail("there is no letter to count")) } else { Ok(counts) }
    }
}

pub(crate) async fn serve(data: &Path) -> Result<Vec<String>, Box<dyn Error>> {
    let node = Node::builder().data(data).native("letters", Letters)?.start().await?;
    node.put_pool(Pool::native("counters", "letters")?.size(2)).await?;
    let mut lines = Vec::new();
    for text in ["To be, or not to be", "The rest is silence", "?!"] {
        // The key makes it safe to submit again: the same submit answers with the same task.
        let task = NewTask::to_pool("counters", "count", &text)?.idempotency_key(text);
        let ended = node.wait(node.submit(task).await?).await?;
        let reason = ended.end().and_then(|end| end.outcome.reason());
        lines.push(match reason {
            Some(reason) => format!("{text}: {}, {reason}", ended.phase()),
            None => format!("{text}: {}", String::from_utf8_lossy(&node.result(&ended).await?)),
        });
    }
    node.stop().await;
    Ok(lines)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let data = std::env::args().nth(1).unwrap_or_else(|| "./data".to_owned());
    for line in serve(data.as_ref()).await? {
        println!("{line}");
    }
    Ok(())
}
