//! What a program is told while it runs: one JSON object a line on file descriptor 4, for each tool request.
//!
//! ```text
//! {"type":"tool_answer","id":1,"allowed":true,"decision":"allow","reason":"…","approval_id":"…","approval_status":"approved"}
//! ```
//!
//! Answers come when they are known, not in the order of the requests; `id` is what the request carried. A program
//! that asks nothing need not look at the descriptor.

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use serde::Serialize;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::ports::ToolAnswer;

/// How many requests may wait for their turn to be answered.
pub(super) const ANSWERS_WAITING_MAX: usize = 16;

/// A request whose answer is waited for.
#[derive(Debug)]
pub(super) struct Awaited {
    /// What the request called itself.
    pub(super) id: serde_json::Value,
    /// Where its answer comes from.
    pub(super) answered: oneshot::Receiver<ToolAnswer>,
}

#[derive(Serialize)]
struct Message<'a> {
    r#type: &'static str,
    id: &'a serde_json::Value,
    decision: &'static str,
    #[serde(flatten)]
    answer: &'a ToolAnswer,
}

/// Gives answers to the program until it asks nothing any more, or does not listen.
pub(super) async fn give(
    mut descriptor: impl AsyncWrite + Unpin,
    mut asking: mpsc::Receiver<Awaited>,
    listens: &CancellationToken,
) {
    let mut waiting = FuturesUnordered::new();
    let mut asks = true;
    while asks || !waiting.is_empty() {
        let (id, answer) = tokio::select! {
            biased;
            () = listens.cancelled() => return,
            Some(answered) = waiting.next() => answered,
            awaited = asking.recv(), if asks && waiting.len() < ANSWERS_WAITING_MAX => {
                match awaited {
                    Some(Awaited { id, answered }) => waiting.push(async move { (id, answered.await) }),
                    None => asks = false,
                }
                continue;
            }
        };
        // Without an answer the attempt is over.
        let Ok(answer) = answer else { return };
        let Some(line) = line(&id, &answer) else { return };
        let written = tokio::select! {
            biased;
            () = listens.cancelled() => return,
            written = descriptor.write_all(&line) => written,
        };
        if written.is_err() {
            // A program that closed it does not want to know; what it says is still heard.
            return;
        }
    }
}

fn line(id: &serde_json::Value, answer: &ToolAnswer) -> Option<Vec<u8>> {
    let decision = if answer.allowed { "allow" } else { "deny" };
    let mut line = serde_json::to_vec(&Message { r#type: "tool_answer", id, decision, answer }).ok()?;
    line.push(b'\n');
    Some(line)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[tokio::test]
    async fn answers_come_when_they_are_known_and_say_what_they_answer() {
        let (asked, asking) = mpsc::channel(4);
        let mut senders = Vec::new();
        for id in [json!("slow"), json!(2)] {
            let (answer, answered) = oneshot::channel();
            asked.send(Awaited { id, answered }).await.unwrap();
            senders.push(answer);
        }
        drop(asked);
        let answer = |reason: &str| ToolAnswer { allowed: true, ..ToolAnswer::no(reason.to_owned()) };
        let (slow, quick) = (senders.remove(0), senders.remove(0));
        quick.send(answer("quick")).unwrap();
        let mut written = Vec::new();
        let listens = CancellationToken::new();
        tokio::join!(give(&mut written, asking, &listens), async {
            tokio::task::yield_now().await;
            slow.send(ToolAnswer::no("slow".to_owned())).unwrap();
        });
        let lines: Vec<Value> = written
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .map(|line| serde_json::from_slice(line).unwrap())
            .collect();
        assert_eq!(lines[0]["id"], 2);
        assert_eq!((&lines[0]["type"], &lines[0]["decision"]), (&json!("tool_answer"), &json!("allow")));
        assert_eq!((&lines[1]["id"], &lines[1]["allowed"]), (&json!("slow"), &json!(false)));
    }

    #[tokio::test]
    async fn nobody_waits_for_the_answers_of_a_program_that_ended() {
        let (asked, asking) = mpsc::channel(4);
        let (_answer, answered) = oneshot::channel();
        asked.send(Awaited { id: Value::Null, answered }).await.unwrap();
        let listens = CancellationToken::new();
        let mut written = Vec::new();
        tokio::join!(give(&mut written, asking, &listens), async {
            tokio::task::yield_now().await;
            listens.cancel();
        });
        assert!(written.is_empty());
    }
}
