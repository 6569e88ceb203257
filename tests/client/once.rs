//! Every verb that changes something, over a network that loses the first answer to each: it counts once.

use std::cell::Cell;

use futures::{Stream, StreamExt as _};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use synod::api::{Bulk, EventFilter, Filter, NewTask, Priority, TaskStatus};
use synod::client::{Client, Error, Signal};

use crate::lossy::Lossy;
use crate::support::{PATIENCE, Served};

/// Reads what is sent, as a node does.
fn of<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

fn all_of(kind: &str) -> Bulk {
    Bulk { filter: Filter { kind: Some(kind.to_owned()), ..Filter::default() }, ..Bulk::default() }
}

/// Somebody who works through all verbs, and looks at what came of them past the network.
struct Script {
    asked: Client,
    direct: Client,
    said: Cell<u32>,
}

impl Script {
    /// Returns the client that is asked to change something, once.
    fn ask(&self) -> &Client {
        self.said.set(self.said.get() + 1);
        &self.asked
    }

    async fn task(&self, kind: &str) -> String {
        let task = NewTask { kind: kind.to_owned(), pool: Some("hands".to_owned()), ..NewTask::default() };
        self.ask().submit(&task).await.unwrap().task_id.unwrap()
    }

    /// Leases the one task that waits.
    async fn lease(&self, start: bool) -> (String, u32) {
        let claim = of(json!({ "agent_id": "ada", "start": start }));
        let claimed = self.ask().claim(&claim, &self.asked.new_key()).await.unwrap();
        let [one] = &claimed.tasks[..] else { panic!("{claimed:#?}") };
        (one.task.id.clone(), one.attempt)
    }

    /// Leases the one task that waits and fails it for good.
    async fn bury(&self) -> String {
        let (task, attempt) = self.lease(true).await;
        let fail = of(json!({ "attempt": attempt, "reason": "no", "retryable": false }));
        self.ask().fail(&task, &fail).await.unwrap();
        task
    }

    async fn work(&self) {
        self.ask().put_pool(&of(json!({ "name": "hands", "runtime": "external" }))).await.unwrap();
        let ada = of(json!({ "name": "ada", "pool": "hands", "concurrency": 10 }));
        self.ask().register_agent(&ada).await.unwrap();
        self.ask().heartbeat_agent("ada").await.unwrap();
        self.ask().scale_pool("hands", 3).await.unwrap();

        self.task("done").await;
        let (task, attempt) = self.lease(false).await;
        let attempt_of = || json!({ "attempt": attempt });
        self.ask().start(&task, &of(attempt_of())).await.unwrap();
        let heartbeat = json!({ "attempt": attempt, "progress": { "percent": 50 } });
        self.ask().heartbeat(&task, &of(heartbeat)).await.unwrap();
        self.ask().complete(&task, &of(attempt_of())).await.unwrap();
        let batch = vec![NewTask { kind: "done".to_owned(), ..NewTask::default() }];
        let made = self.ask().submit_many(batch).await.unwrap();
        assert_eq!(made.len(), 1);
        let (task, attempt) = self.lease(true).await;
        let many = json!({ "items": [{ "task_id": task, "attempt": attempt }] });
        let ended = self.ask().complete_many(&of(many)).await.unwrap();
        assert!(ended.items.iter().all(|one| one.problem.is_none()), "{ended:#?}");

        self.task("back").await;
        let (task, attempt) = self.lease(true).await;
        self.ask().release(&task, &of(json!({ "attempt": attempt }))).await.unwrap();
        self.ask().set_priority(&task, Priority::High).await.unwrap();
        self.ask().cancel_all(&all_of("back")).await.unwrap();
        assert_eq!(self.direct.task(&task).await.unwrap().status, TaskStatus::Cancelled);

        self.task("dead").await;
        let dead = self.bury().await;
        let redriven = self.ask().redrive(&dead).await.unwrap().task_id;
        self.ask().cancel(&redriven, None).await.unwrap();
        assert_eq!(self.direct.task(&redriven).await.unwrap().status, TaskStatus::Cancelled);
        self.task("again").await;
        self.bury().await;
        self.ask().redrive_all(&all_of("again")).await.unwrap();
        self.bury().await;
        self.ask().retry_all(&all_of("again")).await.unwrap();
        let dead = self.bury().await;
        self.ask().purge(&dead).await.unwrap();
        self.task("gone").await;
        self.bury().await;
        self.ask().purge_all(&all_of("gone")).await.unwrap();
        let left = self.direct.dead_letters(&Default::default()).await.unwrap();
        assert_eq!(left.items, []);

        let hands = || of(json!({ "pool": "hands" }));
        self.ask().pause(&hands()).await.unwrap();
        self.ask().resume(&hands()).await.unwrap();
        let open = of(json!({ "fleet": "f", "plan": {}, "fresh": true }));
        let first = self.ask().open_run(&open).await.unwrap();
        let second = self.ask().open_run(&open).await.unwrap();
        assert!(first.id != second.id && !second.continued, "{first:?} {second:?}");
        self.ask().end_run(&second.id, "done").await.unwrap();

        let me = self.direct.cluster().await.unwrap().node;
        self.ask().drain_node(&me, true, None).await.unwrap();
        self.ask().drain_node(&me, false, None).await.unwrap();
        self.ask().set_node_role(&me, "voter").await.unwrap();
        let first = self.direct.install_gossip_key().await.unwrap().number;
        let second = self.direct.install_gossip_key().await.unwrap().number;
        self.ask().use_gossip_key(second).await.unwrap();
        self.ask().remove_gossip_key(first).await.unwrap();

        self.ask().drain_agent("ada").await.unwrap();
        self.ask().delete_agent("ada", false).await.unwrap();
        self.ask().delete_pool("hands", false).await.unwrap();
        let made = self.direct.create_token(&of(json!({ "name": "t", "kind": "client" }))).await.unwrap();
        self.ask().revoke_token(&made.token.id).await.unwrap();
    }
}

/// Waits until events are told.
async fn connected(events: &mut (impl Stream<Item = Result<Signal, Error>> + Unpin)) {
    let first = tokio::time::timeout(PATIENCE, events.next()).await.expect("in time").unwrap().unwrap();
    assert_eq!(first, Signal::Connected);
}

/// Works through the script and returns the types of all that happened, and how many requests it took.
async fn happened(asked: Client, direct: Client) -> (Vec<String>, u32) {
    let mut events = Box::pin(direct.events(EventFilter::default()));
    connected(&mut events).await;
    let script = Script { asked: asked.patient(PATIENCE), direct, said: Cell::new(0) };
    script.work().await;
    let mut kinds = Vec::new();
    while kinds.last().map(String::as_str) != Some("token_revoked") {
        match tokio::time::timeout(PATIENCE, events.next()).await.expect("in time").unwrap().unwrap() {
            Signal::Event(event) => kinds.push(event.kind),
            other => panic!("{other:?}"),
        }
    }
    (kinds, script.said.get())
}

#[tokio::test]
async fn every_verb_whose_first_answer_is_lost_is_asked_again_and_counts_once() {
    let plain = Served::start().await;
    let (expected, said) = happened(plain.client(), plain.client()).await;
    let (served, lossy) = Lossy::serve_the_second_time().await;
    let through = Client::new(&lossy.url, served.token().into()).unwrap();
    let (seen, _) = happened(through, served.client()).await;
    assert_eq!(seen, expected);
    assert!(lossy.lost() >= said && said > 40, "{} of {said} answers were lost", lossy.lost());
}
