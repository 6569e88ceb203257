//! A client that submits, submits again, waits and cancels.

use std::sync::Arc;

use synod::node::Node;
use synod::node::domain::id::TaskId;
use synod::node::domain::name::Name;

use crate::chance::Stream;
use crate::history::{Answer, Request};
use crate::machine::Machine;
use crate::shared::Phase;
use crate::workload::question::ask;
use crate::workload::wish::Wish;
use crate::workload::{Keyed, Workload};

struct Client {
    node: Arc<Node>,
    shared: Arc<Machine>,
    name: Arc<str>,
    stream: Stream,
}

/// Asks for things until the world settles. In its second life and later, first sends again what had no answer.
pub(super) async fn run(node: Arc<Node>, shared: Arc<Machine>, name: Arc<str>, life: u32) {
    let stream = shared.streams.open(&format!("{name} life {life}"));
    let mut client = Client { node, shared, name, stream };
    client.send_again().await;
    while client.shared.phase() == Phase::Busy {
        let lot = client.stream.between(0, 99);
        let workload = match lot {
            0..40 => Workload::Submits,
            40..70 => Workload::Keys,
            70..85 => Workload::Cancels,
            _ => Workload::Waits,
        };
        match workload {
            _ if !client.shared.has(workload) => {}
            Workload::Keys if lot < 60 => client.submit_with_key().await,
            Workload::Keys => client.repeat_key().await,
            Workload::Cancels => client.cancel().await,
            Workload::Waits => client.wait(),
            _ => client.submit().await,
        }
        let pause = client.stream.millis(0, 400);
        tokio::time::sleep(pause).await;
    }
}

impl Client {
    async fn submit(&mut self) {
        let content = self.stream.draw();
        self.send(None, content).await;
    }

    async fn submit_with_key(&mut self) {
        let content = self.stream.draw();
        let key = self.shared.memory(&self.name, |memory| {
            memory.keys += 1;
            // The same keys in every workspace: they are strangers to each other.
            let key: Arc<str> = format!("key-{}", memory.keys).into();
            memory.keyed.push(Keyed { key: Arc::clone(&key), content, answered: false });
            key
        });
        self.send(Some(key), content).await;
    }

    /// Sends an old key again: mostly with its content, sometimes with another, which must be refused.
    async fn repeat_key(&mut self) {
        let used = self.shared.memory(&self.name, |memory| memory.keyed.clone());
        if let Some(old) = self.stream.pick(&used) {
            let content = if self.stream.happens(80) { old.content } else { self.stream.draw() };
            self.send(Some(Arc::clone(&old.key)), content).await;
        }
    }

    async fn send_again(&self) {
        let used = self.shared.memory(&self.name, |memory| memory.keyed.clone());
        for open in used.into_iter().filter(|keyed| !keyed.answered) {
            self.send(Some(open.key), open.content).await;
        }
    }

    async fn send(&self, key: Option<Arc<str>>, content: u64) {
        let wish = Wish::of(content, self.shared.manners());
        let request = Request::Submit { key: key.clone(), content, pool: wish.pool.into() };
        let submit = async {
            let task = wish.task()?.workspace(Name::new(&self.name)?);
            let task = match &key {
                Some(key) => task.idempotency_key(key),
                None => task,
            };
            self.node.submit(task).await
        };
        let sent = ask(&self.shared, &self.name, request, submit, |task| Answer::Submitted(*task)).await;
        if let Ok(task) = sent {
            self.shared.memory(&self.name, |memory| {
                memory.acknowledged.push(task);
                let asked = memory.keyed.iter_mut().filter(|keyed| Some(&keyed.key) == key.as_ref());
                asked.for_each(|keyed| keyed.answered = true);
            });
        }
    }

    async fn cancel(&mut self) {
        if let Some(task) = self.any_task() {
            let request = Request::Cancel { task };
            let call = self.node.cancel(task, "the client thought better of it");
            // A task that has ended is refused, and that is noted.
            let _ = ask(&self.shared, &self.name, request, call, |()| Answer::Done).await;
        }
    }

    /// Waits beside everything else it does.
    fn wait(&mut self) {
        if let Some(task) = self.any_task() {
            let (node, shared, name) =
                (Arc::clone(&self.node), Arc::clone(&self.shared), Arc::clone(&self.name));
            tokio::spawn(async move {
                let call = node.wait(task);
                // A crash leaves it without an answer.
                let _ =
                    ask(&shared, &name, Request::Wait { task }, call, |ended| Answer::Ended(ended.phase()))
                        .await;
            });
        }
    }

    fn any_task(&mut self) -> Option<TaskId> {
        let known = self.shared.memory(&self.name, |memory| memory.acknowledged.clone());
        // Mostly a young one: old ones have ended.
        let young = &known[known.len().saturating_sub(8)..];
        if self.stream.happens(80) { self.stream.pick(young) } else { self.stream.pick(&known) }.copied()
    }
}
