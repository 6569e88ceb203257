//! Webhooks against a real receiver: what happened arrives, in order, signed, although the receiver fails and the node is
//! killed.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use parking_lot::Mutex;
use ring::hmac;
use serde_json::Value;
use synod::api::{
    ChangeWebhook, NewTask, NewWebhook, RedeliverWebhook, RotateWebhook, Webhook, WebhookRetry,
};
use tokio::sync::watch;

use crate::support::{Served, eventually};

/// What a receiver does with what it is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mood {
    Takes,
    Fails,
    /// Takes it, and never says so.
    TakesAndHangs,
    Redirects,
}

/// A message as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Arrived {
    id: String,
    timestamp: String,
    signature: String,
    kind: String,
    pub(crate) body: Bytes,
}

impl Arrived {
    pub(crate) fn event(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    fn seq(&self) -> u64 {
        self.event()["sequence"].as_str().unwrap().parse().unwrap()
    }

    /// Tells whether one of its signatures fits, by the scheme and not by what the node uses.
    pub(crate) fn verifies(&self, secret: &str, body: &[u8]) -> bool {
        let secret = STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
        let key = hmac::Key::new(hmac::HMAC_SHA256, &secret);
        let signed = [format!("{}.{}.", self.id, self.timestamp).as_bytes(), body].concat();
        self.signature.split(' ').any(|one| {
            let signature = STANDARD.decode(one.strip_prefix("v1,").unwrap()).unwrap();
            hmac::verify(&key, &signed, &signature).is_ok()
        })
    }
}

/// Somebody who is told things.
#[derive(Clone)]
pub(crate) struct Receiver {
    pub(crate) url: String,
    mood: watch::Sender<Mood>,
    /// What it took.
    taken: Arc<Mutex<Vec<Arrived>>>,
    /// How often it did not.
    pub(crate) refused: watch::Sender<usize>,
}

impl Receiver {
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let receiver = Self {
            url: format!("http://{}/hook", listener.local_addr().unwrap()),
            mood: watch::Sender::new(Mood::Takes),
            taken: Arc::default(),
            refused: watch::Sender::new(0),
        };
        let app = Router::new().route("/hook", post(hear)).with_state(receiver.clone());
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        receiver
    }

    pub(crate) fn feel(&self, mood: Mood) {
        self.mood.send_replace(mood);
    }

    /// What it took, each message once, in the order in which they came first.
    pub(crate) fn first_times(&self) -> Vec<Arrived> {
        let mut seen = BTreeMap::new();
        let taken = self.taken.lock();
        taken.iter().filter(|one| seen.insert(one.id.clone(), ()).is_none()).cloned().collect()
    }

    async fn took(&self, count: usize) -> Vec<Arrived> {
        let looked = async || Some(self.first_times()).filter(|taken| taken.len() >= count);
        eventually(&format!("it was told {count} things"), looked).await
    }
}

async fn hear(State(receiver): State<Receiver>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let header = |name: &str| headers[name].to_str().unwrap().to_owned();
    let arrived = Arrived {
        id: header("webhook-id"),
        timestamp: header("webhook-timestamp"),
        signature: header("webhook-signature"),
        kind: header("content-type"),
        body,
    };
    let mood = *receiver.mood.borrow();
    match mood {
        Mood::Takes | Mood::TakesAndHangs => receiver.taken.lock().push(arrived),
        Mood::Fails | Mood::Redirects => receiver.refused.send_modify(|refused| *refused += 1),
    }
    match mood {
        Mood::Takes => StatusCode::NO_CONTENT,
        Mood::Fails => StatusCode::SERVICE_UNAVAILABLE,
        Mood::Redirects => StatusCode::TEMPORARY_REDIRECT,
        Mood::TakesAndHangs => std::future::pending().await,
    }
}

/// A node whose operator lets webhooks be on this machine.
pub(crate) async fn served() -> Served {
    Served::start_set("[webhooks]\nallow = [\"127.0.0.1\"]\n").await
}

pub(crate) fn soon() -> WebhookRetry {
    WebhookRetry { tries: 100, first_wait_ms: 20, longest_wait_ms: 200 }
}

/// A webhook that wants to know what is submitted, and its secret.
async fn make(served: &Served, receiver: &Receiver, retry: WebhookRetry) -> (Webhook, String) {
    let new = NewWebhook {
        name: "test".to_owned(),
        url: receiver.url.clone(),
        topics: vec!["task_submitted".to_owned()],
        retry: Some(retry),
        ..NewWebhook::default()
    };
    let made = served.client().create_webhook(&new).await.unwrap();
    (made.webhook, made.secret)
}

pub(crate) async fn submit(served: &Served) -> String {
    let new = NewTask { kind: "echo".to_owned(), ..NewTask::default() };
    served.client().submit(&new).await.unwrap().task_id.unwrap()
}

async fn looked(served: &Served, webhook: &Webhook) -> Webhook {
    served.client().webhook(&webhook.id).await.unwrap()
}

#[tokio::test]
async fn all_that_happens_arrives_in_order_and_signed_although_receiver_and_node_fail() {
    let (mut served, receiver) = (served().await, Receiver::start().await);
    receiver.feel(Mood::Fails);
    let (webhook, secret) = make(&served, &receiver, soon()).await;
    let mut tasks = Vec::new();
    for _ in 0..10 {
        tasks.push(submit(&served).await);
    }
    // It fails first: nothing is told out of turn meanwhile.
    receiver.refused.subscribe().wait_for(|refused| *refused >= 3).await.unwrap();
    assert_eq!(receiver.first_times().len(), 0);
    let failing = looked(&served, &webhook).await;
    let failure = failing.failure.unwrap();
    assert_eq!((failing.status.as_str(), failing.waiting, failure.status), ("failing", 10, Some(503)));

    // Killed while messages are told, and while one was taken of which the node does not know.
    receiver.feel(Mood::Takes);
    receiver.took(4).await;
    served.kill_and_start_again().await;
    for _ in 0..10 {
        tasks.push(submit(&served).await);
    }
    receiver.took(15).await;
    receiver.feel(Mood::TakesAndHangs);
    for _ in 0..10 {
        tasks.push(submit(&served).await);
    }
    let before = receiver.taken.lock().len();
    eventually("one hangs", async || (receiver.taken.lock().len() > before).then_some(())).await;
    served.kill().await;
    receiver.feel(Mood::Takes);
    served.start_again().await;
    let taken = receiver.took(30).await;

    let numbers: Vec<u64> = taken.iter().map(Arrived::seq).collect();
    assert_eq!(numbers, (1..=30).collect::<Vec<u64>>(), "in order and without gaps");
    let subjects: Vec<Value> = taken.iter().map(|one| one.event()["subject"].clone()).collect();
    assert_eq!(subjects, tasks, "what was acknowledged is told");
    let all = receiver.taken.lock().clone();
    assert!(all.len() > taken.len(), "one was told again");
    for one in &all {
        assert!(one.verifies(&secret, &one.body), "{one:#?}");
        let first = taken.iter().find(|first| first.id == one.id).unwrap();
        assert_eq!(one.body, first.body, "told again it is the same");
        assert!(one.kind.starts_with("application/cloudevents+json"));
        let event = one.event();
        assert_eq!((&event["specversion"], &event["type"]), (&"1.0".into(), &"synod.task_submitted".into()));
        assert_eq!(event["id"], one.id.as_str());
        assert_eq!(event["data"]["task"], event["subject"]);
        let mut tampered = one.body.to_vec();
        let place = tampered.iter().position(|byte| *byte == b'1').unwrap();
        tampered[place] = b'2';
        assert!(!one.verifies(&secret, &tampered), "what was tampered with does not verify");
    }
    eventually("nothing is left", async || {
        let webhook = looked(&served, &webhook).await;
        (webhook.status == "idle" && webhook.delivered == 30).then_some(())
    })
    .await;
}

#[tokio::test]
async fn what_is_given_up_is_shown_and_told_when_somebody_asks() {
    let (served, mut receiver) = (served().await, Receiver::start().await);
    // Looked up, and connected to at the one address of it that is allowed.
    receiver.url = receiver.url.replace("127.0.0.1", "localhost");
    receiver.feel(Mood::Redirects);
    let (webhook, secret) = make(&served, &receiver, WebhookRetry { tries: 2, ..soon() }).await;
    let task = submit(&served).await;
    let given_up = eventually("it is given up", async || {
        let webhook = looked(&served, &webhook).await;
        (webhook.given_up == 1).then_some(webhook)
    })
    .await;
    let why = given_up.failure.unwrap();
    assert_eq!(why.status, Some(307));
    assert!(why.reason.contains("redirects are not followed"), "{why:?}");
    assert_eq!(*receiver.refused.borrow(), 2);
    let listed = served.json(&["webhook", "deliveries", &webhook.id, "--status", "given_up"]).await;
    let item = &listed["items"][0];
    assert_eq!((&item["subject"], &item["tries"]), (&Value::from(task), &Value::from(2)));

    receiver.feel(Mood::Takes);
    let client = served.client();
    client.redeliver_webhook(&webhook.id, &RedeliverWebhook { seq: Some(1) }).await.unwrap();
    let taken = receiver.took(1).await;
    assert!(taken[0].verifies(&secret, &taken[0].body));
    eventually("nothing is left", async || {
        let webhook = looked(&served, &webhook).await;
        (webhook.given_up == 0 && webhook.delivered == 1).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_rotated_secret_signs_beside_the_new_one_and_a_disabled_webhook_hears_nothing() {
    let (served, receiver) = (served().await, Receiver::start().await);
    let (webhook, old) = make(&served, &receiver, soon()).await;
    let client = served.client();
    let new = client.rotate_webhook(&webhook.id, &RotateWebhook::default()).await.unwrap().secret;
    assert_ne!(old, new);
    client.test_webhook(&webhook.id).await.unwrap();
    let taken = receiver.took(1).await;
    assert_eq!(taken[0].event()["type"], "synod.webhook_test");
    assert!(taken[0].verifies(&old, &taken[0].body) && taken[0].verifies(&new, &taken[0].body));
    client.rotate_webhook(&webhook.id, &RotateWebhook { keep_old_ms: 0 }).await.unwrap();
    client.test_webhook(&webhook.id).await.unwrap();
    let taken = receiver.took(2).await;
    assert!(!taken[1].verifies(&new, &taken[1].body), "the one before does not hold any more");

    let change = |enabled| ChangeWebhook { enabled: Some(enabled), ..ChangeWebhook::default() };
    client.change_webhook(&webhook.id, &change(false)).await.unwrap();
    submit(&served).await;
    client.change_webhook(&webhook.id, &change(true)).await.unwrap();
    let task = submit(&served).await;
    let taken = receiver.took(3).await;
    assert_eq!(taken[2].event()["subject"], task.as_str(), "what happened while it was off is not told");
}

#[tokio::test]
async fn the_verification_in_the_manual_takes_what_is_genuine_and_nothing_else() {
    let (served, receiver) = (served().await, Receiver::start().await);
    let (webhook, secret) = make(&served, &receiver, soon()).await;
    served.client().test_webhook(&webhook.id).await.unwrap();
    let taken = receiver.took(1).await.remove(0);
    let manual = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join("WEBHOOKS.md");
    let manual = std::fs::read_to_string(manual).unwrap();
    let (_, code) = manual.split_once("```python\n").unwrap();
    let (code, _) = code.split_once("```").unwrap();
    assert!(code.lines().filter(|line| !line.trim().is_empty()).count() <= 12, "it is short");
    let call = "\nimport sys, json\ngiven = json.load(sys.stdin)\nprint(verify(given['secret'], given['headers'], given['body'].encode()))\n";
    let body = String::from_utf8(taken.body.to_vec()).unwrap();
    let verified = |secret: &str, timestamp: &str, body: &str| {
        let headers = serde_json::json!({
            "webhook-id": taken.id, "webhook-timestamp": timestamp, "webhook-signature": taken.signature,
        });
        let given = serde_json::json!({ "secret": secret, "headers": headers, "body": body });
        let mut python = std::process::Command::new("python3")
            .args(["-c", &format!("{code}{call}")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        python.stdin.take().unwrap().write_all(given.to_string().as_bytes()).unwrap();
        let said = python.wait_with_output().unwrap();
        String::from_utf8(said.stdout).unwrap().trim() == "True"
    };
    assert!(verified(&secret, &taken.timestamp, &body));
    assert!(!verified(&secret, &taken.timestamp, &body.replace("webhook_test", "webhook_tesT")));
    assert!(!verified(&secret, "1", &body), "an old time");
    assert!(!verified(&format!("whsec_{}=", "A".repeat(43)), &taken.timestamp, &body));
}

#[tokio::test]
async fn commands_make_show_change_and_remove_a_webhook() {
    let (served, receiver) = (served().await, Receiver::start().await);
    let create = [
        "webhook",
        "create",
        "on-call",
        "--to",
        &receiver.url,
        "--topic",
        "task_submitted,paused",
        "--tries",
        "5",
    ];
    let made = served.json(&create).await;
    let (id, secret) = (made["item"]["webhook"]["id"].as_str().unwrap(), &made["item"]["secret"]);
    assert!(secret.as_str().unwrap().starts_with("whsec_"));
    let shown = served.json(&["webhook", "show", id]).await;
    assert_eq!(shown["item"]["topics"], serde_json::json!(["task_submitted", "paused"]));
    assert_eq!(shown["item"]["retry"]["tries"], 5);
    assert!(!shown.to_string().contains("whsec_"), "a secret is shown once");
    assert_eq!(served.json(&["webhook", "disable", id]).await["item"]["status"], "off");
    served.json(&["webhook", "enable", id]).await;
    let changed = served.json(&["webhook", "change", id, "--topic", "*", "--longest-wait", "1m"]).await;
    let retry = &changed["item"]["retry"];
    assert_eq!((&retry["tries"], &retry["longest_wait_ms"]), (&Value::from(5), &Value::from(60_000)));
    served.json(&["webhook", "test", id]).await;
    receiver.took(1).await;
    let rotated = served.said(&["webhook", "rotate", id, "--keep-old", "1h"]).await;
    assert!(rotated.out.starts_with("whsec_") && rotated.out.trim() != secret, "{rotated:?}");
    let listed = served.said(&["webhook", "list"]).await;
    assert!(listed.out.contains("on-call") && listed.out.contains("idle"), "{listed:?}");
    served.json(&["webhook", "redeliver", id]).await;
    served.json(&["webhook", "remove", id, "--yes"]).await;
    let gone = served.said(&["webhook", "show", id]).await;
    assert!(gone.code() != 0 && gone.err.contains("there is no webhook"), "{gone:?}");
}
