//! A client that does not wait long: it sends the same request again, under the same id.
//!
//! What it was not answered is unknown to it and to the judges: one question, however often it is sent. A crash leaves
//! it open, and the next life asks it as a new question under the id of the old one.

use std::sync::Arc;
use std::time::Duration;

use synod::node::domain::command::Command;
use synod::node::domain::name::Name;
use synod::node::domain::reply::Reply;
use synod::node::{Error, JournalError, Node};
use tokio::time::timeout;

use crate::history::{Answer, Request};
use crate::machine::Machine;
use crate::shared::Phase;
use crate::workload::Open;
use crate::workload::question::ask;
use crate::workload::wish::Wish;

/// How often it sends a request before it turns to something else. The request stays open.
const TIMES: usize = 8;

/// Asks for things until the world settles. In its second life and later, first sends what had no answer.
pub(super) async fn run(node: Arc<Node>, shared: Arc<Machine>, name: Arc<str>, life: u32) {
    let mut stream = shared.streams.open(&format!("{name} life {life}"));
    for open in shared.memory(&name, |memory| memory.open.clone()) {
        let patience = stream.millis(5, 500);
        send(&node, &shared, &name, open, patience).await;
    }
    while shared.phase() == Phase::Busy {
        let content = stream.draw();
        if let Ok(open) = wanted(&node, &shared, &name, content).await {
            shared.memory(&name, |memory| memory.open.push(open.clone()));
            let patience = stream.millis(5, 500);
            send(&node, &shared, &name, open, patience).await;
        }
        let pause = stream.millis(0, 600);
        tokio::time::sleep(pause).await;
    }
}

/// Makes the request once, so that it is the same whenever it is sent.
async fn wanted(node: &Node, shared: &Machine, name: &Arc<str>, content: u64) -> Result<Open, Error> {
    let wish = Wish::of(content, shared.manners());
    let spec = node.spec_of(wish.task()?.workspace(Name::new(name)?)).await?;
    let command = Command::Submit { spec: Arc::new(spec) };
    Ok(Open { request: node.new_request_id(), command, content, pool: wish.pool })
}

async fn send(node: &Node, shared: &Machine, name: &Arc<str>, open: Open, patience: Duration) {
    let request = Request::Submit { key: None, content: open.content, pool: open.pool.into() };
    let call = async {
        for _ in 0..TIMES {
            let sent = node.propose_as(open.request, open.command.clone());
            match timeout(patience, sent).await {
                Ok(Ok(Reply::Submitted { task, .. })) => return Ok(task),
                Ok(Err(Error::Refused(refusal))) => return Err(Error::Refused(refusal)),
                // Unknown: it is asked again, and must not be done again.
                Ok(Ok(_) | Err(_)) | Err(_) => tokio::time::sleep(patience).await,
            }
        }
        Err(Error::Journal(JournalError::Stopped))
    };
    let answered = match ask(shared, name, request, call, |task| Answer::Submitted(*task)).await {
        Ok(task) => {
            shared.memory(name, |memory| memory.acknowledged.push(task));
            true
        }
        Err(Error::Refused(_)) => true,
        Err(_) => false,
    };
    if answered {
        shared.memory(name, |memory| memory.open.retain(|other| other.request != open.request));
    }
}
