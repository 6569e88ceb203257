//! A leader that does what it is asked, dies, and is asked again elsewhere: each change counts once.

use std::net::SocketAddr;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use synod::api::{Filter, NewTask, TaskStatus};
use synod::client::{Client, TaskQuery};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::support::PATIENCE;
use crate::three::Three;

/// How many changes are on their way when the leader dies.
const CHANGES: usize = 10;

/// Reads what is sent, as a node does.
fn of<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

/// Stands before a node: what it is asked is done, and its answers are kept back until it is dead.
struct Before {
    url: String,
    answered: watch::Receiver<usize>,
    dead: watch::Sender<bool>,
}

impl Before {
    async fn of(node: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let here = listener.local_addr().unwrap();
        let (counts, answered) = watch::channel(0);
        let (counts, dead) = (Arc::new(counts), watch::Sender::new(false));
        let told = dead.clone();
        tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                tokio::spawn(keep_back(client, here, node, counts.clone(), told.subscribe()));
            }
        });
        Self { url: format!("http://{here}"), answered, dead }
    }
}

async fn keep_back(
    mut client: TcpStream,
    here: SocketAddr,
    node: SocketAddr,
    answered: Arc<watch::Sender<usize>>,
    mut dead: watch::Receiver<bool>,
) {
    let Ok(mut there) = TcpStream::connect(node).await else { return };
    let (mut asked, mut answer) = (vec![0; 64 * 1024], vec![0; 64 * 1024]);
    loop {
        tokio::select! {
            biased;
            read = client.read(&mut asked) => match read {
                Ok(bytes @ 1..) => {
                    // A node answers to no names but its own.
                    let text = String::from_utf8_lossy(&asked[..bytes]);
                    let text = text.replace(&here.to_string(), &node.to_string());
                    if there.write_all(text.as_bytes()).await.is_err() {
                        return;
                    }
                }
                _ => return,
            },
            read = there.read(&mut answer) => match read {
                Ok(1..) => break,
                _ => return,
            },
        }
    }
    answered.send_modify(|answered| *answered += 1);
    let _ = dead.wait_for(|dead| *dead).await;
}

/// Submits a task of a kind and leases it.
async fn leased(client: &Client, kind: &str) -> (String, u32) {
    client.submit(&NewTask { kind: kind.to_owned(), ..NewTask::default() }).await.unwrap();
    let claim = of(json!({ "agent_id": "ada" }));
    let claimed = client.claim(&claim, &client.new_key()).await.unwrap();
    let [one] = &claimed.tasks[..] else { panic!("{claimed:#?}") };
    assert_eq!(one.task.kind, kind);
    (one.task.id.clone(), one.attempt)
}

/// Makes a dead letter of a kind.
async fn buried(client: &Client, kind: &str) -> String {
    let (task, attempt) = leased(client, kind).await;
    let fail = of(json!({ "attempt": attempt, "reason": "no", "retryable": false }));
    client.fail(&task, &fail).await.unwrap();
    task
}

#[tokio::test]
async fn changes_that_a_dying_leader_made_and_did_not_answer_count_once_at_the_others() {
    let three = Three::start().await;
    let servers = three.ready["servers"].as_str().unwrap();
    let direct = Client::new(servers, three.token().into()).unwrap().patient(PATIENCE);

    direct.register_agent(&of(json!({ "name": "ada", "concurrency": 10 }))).await.unwrap();
    let (redriven, purged) = (buried(&direct, "redriven").await, buried(&direct, "purged").await);
    let (cancelled, _) = leased(&direct, "cancelled").await;
    let (completed, attempt) = leased(&direct, "completed").await;
    for pool in ["gone", "scaled"] {
        direct.put_pool(&of(json!({ "name": pool, "runtime": "external" }))).await.unwrap();
    }
    direct.register_agent(&of(json!({ "name": "leaving" }))).await.unwrap();
    let token = direct.create_token(&of(json!({ "name": "t", "kind": "client" }))).await.unwrap().token.id;
    let join = direct.create_join_token(&of(json!({}))).await.unwrap().token.id;
    let key = direct.install_gossip_key().await.unwrap().number;
    let run = direct.open_run(&of(json!({ "fleet": "f", "plan": {} }))).await.unwrap().id;

    let leader = three.leader().await;
    let dying = three.place(&leader, "url");
    let mut before = Before::of(dying.strip_prefix("http://").unwrap().parse().unwrap()).await;
    let others: Vec<&str> = servers.split(',').filter(|url| *url != dying).collect();
    let asked = Client::new(&format!("{},{}", before.url, others.join(",")), three.token().into()).unwrap();
    let asked = asked.patient(PATIENCE);
    let complete = of(json!({ "attempt": attempt }));
    let dies = async {
        let all = before.answered.wait_for(|answered| *answered == CHANGES);
        tokio::time::timeout(PATIENCE, all).await.expect("the leader does all of it").unwrap();
        three.say(&["dev", "kill", &leader]).await.assert_code(0);
        before.dead.send_replace(true);
    };
    let (new, one, two, ended, four, five, six, seven, eight, nine, ()) = tokio::join!(
        asked.redrive(&redriven),
        asked.purge(&purged),
        asked.cancel(&cancelled, None),
        asked.complete(&completed, &complete),
        asked.delete_pool("gone", false),
        asked.delete_agent("leaving", false),
        asked.revoke_token(&token),
        asked.revoke_join_token(&join),
        asked.remove_gossip_key(key),
        asked.end_run(&run, "done"),
        dies,
    );
    let new = new.unwrap().task_id;
    assert_eq!(two.unwrap().status, TaskStatus::Cancelled);
    assert_eq!(ended.unwrap().status, TaskStatus::Completed);
    for answer in [one, four, five, six, seven, eight, nine] {
        answer.unwrap();
    }

    let of_kind = |kind: &str| TaskQuery {
        filter: Filter { kind: Some(kind.to_owned()), ..Filter::default() },
        ..TaskQuery::default()
    };
    let waiting = direct.tasks(&of_kind("redriven")).await.unwrap().items;
    let waiting: Vec<&str> = waiting
        .iter()
        .filter(|task| task.status == TaskStatus::Pending)
        .map(|task| task.id.as_str())
        .collect();
    assert_eq!(waiting, [new.as_str()], "one dead letter is one new task");
    assert_eq!(direct.dead_letters(&TaskQuery::default()).await.unwrap().items, []);
    let pools = direct.pools(&Default::default()).await.unwrap().items;
    assert_eq!(pools.iter().map(|pool| pool.name.as_str()).collect::<Vec<_>>(), ["scaled"]);
    assert_ne!(three.leader().await, leader);
    three.stop().await;
}
