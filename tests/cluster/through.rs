//! Other regions through a worker: it talks to none, and takes every request all the same.

use reqwest::{Client, Method};
use serde_json::{Value, json};
use synod::node::domain::node::NodeRole;
use synod::node::domain::region::Routing;

use crate::group::within;
use crate::regions::{Served, beside, first, forwarded, hear, keep_for, name, pool, ran_once, route};
use crate::support::{Script, completed, eventually, task};

/// Larger than what travels in the log, and than a piece between nodes.
const LARGE: usize = 3 << 20;

async fn posted(served: &Served, path: &str, body: &Value) -> (u16, Value) {
    let asked = Client::new().request(Method::POST, format!("{}{path}", served.server.url()));
    let answer = asked.bearer_auth(served.token.expose()).json(body).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_takes_requests_for_other_regions_and_follows_tasks_there_through_a_voter() {
    let mut us = first("us", 1).await;
    let worker = us.join(NodeRole::Worker).await;
    let mut eu = beside(&us, "eu", 1).await;
    pool(&us).await;
    pool(&eu).await;
    // The worker is told whom its voter hears.
    hear(&us, "eu", 1).await;
    hear(&eu, "us", 1).await;
    assert_eq!(us.node(worker).region_gossip(), None, "it does not talk to other regions itself");
    let (from, to) = (Served::start(&us, worker).await, Served::start(&eu, 0).await);

    // Strict, small and in pieces: handed through, and nothing of it is known here.
    for payload in ["small".to_owned(), "x".repeat(LARGE)] {
        let wanted = task("p", &Script::Echo(payload.into())).region(name("eu"), Routing::Strict);
        let submission = within("it is submitted", us.node(worker).submit_task(wanted)).await.unwrap();
        assert_eq!(submission.region, Some(name("eu")));
        ran_once(&eu, submission.task).await;
        assert!(us.nodes().all(|node| node.task(submission.task).is_err()));
    }

    // Preferred, submitted at the worker: it goes, and its pointer is followed from here.
    let theirs = keep_for(us.node(worker), &route("eu", &[]), task("p", &Script::Echo(2.into()))).await;
    forwarded(&us, theirs, "eu").await;
    ran_once(&eu, theirs).await;
    let pointed = eventually("the worker knows of it", || {
        us.node(worker).read(|state| state.pointer(theirs).map(|pointer| pointer.region.clone()))
    });
    assert_eq!(pointed.await, name("eu"));
    let (status, body) = from.get(&format!("/api/v1/tasks/{theirs}")).await;
    assert_eq!((status, &body["region"]), (200, &json!("eu")), "{body}");
    let (status, body) = from.get(&format!("/api/v1/tasks/{theirs}/result")).await;
    assert_eq!((status, &body["echo"]), (200, &json!(2)), "{body}");

    // Lists of one region and of all of them, and a change.
    let mine = us.node(worker).submit(task("p", &Script::Echo(1.into()))).await.unwrap();
    completed(us.node(worker), mine).await;
    let (status, body) = from.get("/api/v1/tasks?region=*&status=completed").await;
    assert_eq!((status, body.get("unanswered")), (200, None), "{body}");
    assert_eq!(body["items"].as_array().unwrap().len(), 4, "{body}");
    let (status, body) = from.get("/api/v1/tasks?region=eu&status=completed").await;
    assert_eq!((status, body["items"].as_array().unwrap().len()), (200, 3), "{body}");
    let wanted = json!({ "name": "q", "runtime": "external" });
    let (status, body) = posted(&from, "/api/v1/pools?region=eu", &wanted).await;
    assert_eq!(status, 201, "{body}");
    assert!(eu.node(0).read(|state| state.pool(&name("q")).is_some()));
    let (status, body) = from.get("/api/v1/cluster/regions").await;
    assert_eq!((status, &body["items"][0]["alive"]), (200, &json!(1)), "{body}");

    // A region that goes away is away for the worker too, and back when it is.
    to.stop().await;
    eu.stop(0).await;
    hear(&us, "eu", 0).await;
    let (status, body) = from.get(&format!("/api/v1/tasks/{theirs}")).await;
    assert_eq!((status, &body["code"]), (503, &json!("region_unreachable")), "{body}");
    let (status, body) = from.get("/api/v1/tasks?region=*").await;
    assert_eq!((status, &body["unanswered"][0]["region"]), (200, &json!("eu")), "{body}");
    let strict = task("p", &Script::Echo(3.into())).region(name("eu"), Routing::Strict);
    let refused = us.node(worker).submit_task(strict).await.unwrap_err().to_string();
    assert!(refused.contains("cannot be reached"), "{refused}");
    eu.start(0).await;
    hear(&us, "eu", 1).await;
    let again = task("p", &Script::Echo(4.into())).region(name("eu"), Routing::Strict);
    let submission = within("it is submitted", us.node(worker).submit_task(again)).await.unwrap();
    ran_once(&eu, submission.task).await;
    from.stop().await;
    us.stop_all().await;
    eu.stop_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_whose_voter_dies_asks_another_one() {
    let mut us = first("us", 3).await;
    let worker = us.join(NodeRole::Worker).await;
    let eu = beside(&us, "eu", 1).await;
    pool(&eu).await;
    hear(&us, "eu", 1).await;
    us.kill(0);
    us.leader().await;
    // Which voter was asked last is not known; whichever died, the others are asked, and the key makes it count once.
    let wanted = || {
        let task = task("p", &Script::Echo(1.into())).region(name("eu"), Routing::Strict);
        task.idempotency_key("once")
    };
    let mut submitted = Vec::new();
    while submitted.len() < 2 {
        match within("it is answered", us.node(worker).submit_task(wanted())).await {
            Ok(submission) => submitted.push(submission.task),
            Err(synod::node::Error::NoWay(_) | synod::node::Error::Elsewhere(_)) => hear(&us, "eu", 1).await,
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(submitted[0], submitted[1]);
    ran_once(&eu, submitted[0]).await;
    assert_eq!(eu.node(0).ended(None, 10).unwrap().len(), 1);
    us.stop_all().await;
    eu.stop_all().await;
}
