//! Whether an attempt may use a tool: asked of the node, and waited for where people have to agree.

use std::time::Duration;

use synod_actors::ports::{ToolAnswer, ToolRequest};
use synod_actors::tools::action;

use crate::api::Evaluate;
use crate::client::{Client, backoff};

/// How long one question waits at the node for people to agree; then it is asked again, which finds the same approval.
const WAIT: Duration = Duration::from_secs(30);

/// Answers a running attempt. While the node is away it is asked again and again; the attempt waits.
pub(super) async fn answer(client: &Client, task: &str, agent: &str, request: ToolRequest) {
    let ToolRequest { tool, attributes, content, answer } = request;
    let question = Evaluate {
        action: action(&tool),
        attributes,
        agent_id: Some(agent.to_owned()),
        task_id: Some(task.to_owned()),
        content,
        wait_ms: u64::try_from(WAIT.as_millis()).ok(),
        ..Evaluate::default()
    };
    // An error means that the attempt does not wait for it any more.
    let _ = answer.send(ask(client, &question).await);
}

async fn ask(client: &Client, question: &Evaluate) -> ToolAnswer {
    let mut tries = 0;
    loop {
        match client.evaluate(question).await {
            Ok(said) if said.approval_status.as_deref() == Some("pending") => tries = 0,
            Ok(said) => {
                return ToolAnswer {
                    allowed: said.allowed,
                    reason: said.reason,
                    policy: said.policy,
                    approval_id: said.approval_id,
                    approval_status: said.approval_status,
                };
            }
            Err(error) if error.is_passing() => {
                tokio::time::sleep(backoff(tries, client.draw()).max(error.retry_after())).await;
                tries = tries.saturating_add(1);
            }
            Err(error) => return ToolAnswer::no(error.to_string()),
        }
    }
}
