//! What the client sends, and sends again: against a server that answers as it is told.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use synod::api::{Claim, NewTask, PageQuery, PauseOf};
use synod::client::{Client, Error, TaskQuery, Token};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// One answer of the scripted server.
enum Answer {
    /// This status and body, with more headers.
    Says(&'static str, &'static str, &'static str),
    /// The connection is cut after the request was read.
    Silence,
}

/// A server that gives one answer after the other, each on a connection of its own.
struct Scripted {
    url: String,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Scripted {
    async fn new(answers: Vec<Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let heard = Arc::new(Mutex::new(Vec::new()));
        let noted = heard.clone();
        tokio::spawn(async move {
            for answer in answers {
                let (mut stream, _) = listener.accept().await.unwrap();
                let request = read(&mut stream).await;
                noted.lock().unwrap().push(request);
                if let Answer::Says(status, headers, body) = answer {
                    let length = body.len();
                    let text = format!(
                        "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n{body}"
                    );
                    stream.write_all(text.as_bytes()).await.unwrap();
                }
            }
        });
        Self { url, heard }
    }

    fn client(&self) -> Client {
        Client::new(&self.url, Token::from("synod_client_x".to_owned())).unwrap()
    }

    fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }
}

/// Reads one request: its head, and as much body as it says.
async fn read(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).to_lowercase();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                return text;
            }
        }
        assert_ne!(stream.read_buf(&mut bytes).await.unwrap(), 0, "the request is whole");
    }
}

const LATER: Answer = Answer::Says("503 Service Unavailable", "retry-after: 0\r\n", "");

fn key(request: &str) -> Option<&str> {
    request.lines().find_map(|line| line.strip_prefix("idempotency-key: "))
}

#[tokio::test]
async fn a_submit_is_sent_again_under_the_same_key_until_it_is_answered() {
    let done = Answer::Says("201 Created", "", r#"{"task_id":"task_1","duplicate":false}"#);
    let server = Scripted::new(vec![Answer::Silence, LATER, done]).await;
    let task = NewTask { kind: "review".to_owned(), ..NewTask::default() };
    let submitted = server.client().submit(&task).await.unwrap();
    assert_eq!(submitted.task_id.as_deref(), Some("task_1"));
    let heard = server.heard();
    assert_eq!(heard.len(), 3);
    assert!(key(&heard[0]).is_some_and(|key| key.len() == 32), "{}", heard[0]);
    assert!(heard.iter().all(|request| *request == heard[0]), "{heard:#?}");
}

#[tokio::test]
async fn a_claim_is_asked_again_under_its_key() {
    let server = Scripted::new(vec![Answer::Silence, Answer::Says("200 OK", "", r#"{"tasks":[]}"#)]).await;
    let claim = Claim { agent_id: "a".to_owned(), capabilities: None, max: 1, wait_ms: 0, start: true };
    server.client().claim(&claim, "the-key").await.unwrap();
    assert_eq!(server.heard().iter().map(|request| key(request)).collect::<Vec<_>>(), [Some("the-key"); 2]);
}

#[tokio::test]
async fn what_is_not_safe_to_repeat_is_sent_once() {
    let server = Scripted::new(vec![Answer::Silence, LATER]).await;
    let error = server.client().restart_agent("a").await.expect_err("no answer");
    assert!(matches!(error, Error::Unanswered { .. }), "{error:?}");
    let error = server.client().install_gossip_key().await.expect_err("later");
    assert_eq!((error.status(), error.is_passing()), (Some(503), true));
    let heard = server.heard();
    assert_eq!(heard.iter().map(|request| key(request)).collect::<Vec<_>>(), [None; 2], "no key is promised");
}

#[tokio::test]
async fn whoever_takes_what_is_old_says_so_where_it_is_agreed_and_changes_nothing() {
    let page = || Answer::Says("200 OK", "synod-state-age-ms: 17\r\n", r#"{"items":[]}"#);
    let server = Scripted::new(vec![page(), page()]).await;
    let client = server.client();
    let stale = client.stale();
    assert_eq!(stale.age(), None);
    stale.tasks(&TaskQuery::default()).await.unwrap();
    assert_eq!((stale.age(), client.age()), (Some(Duration::from_millis(17)), None));
    stale.nodes(&PageQuery::default()).await.unwrap();
    assert!(matches!(stale.cancel("task_1", None).await, Err(Error::Setup(_))));
    let heard = server.heard();
    let places: Vec<&str> = heard.iter().filter_map(|request| request.lines().next()).collect();
    assert_eq!(places, ["get /api/v1/tasks?consistency=stale http/1.1", "get /api/v1/nodes http/1.1"]);
}

#[tokio::test]
async fn a_refusal_for_good_is_not_sent_again_and_tells_what_the_node_told() {
    let body = r#"{"type":"urn:synod:problem:invalid","title":"Invalid","status":400,"detail":"it is wrong","code":"invalid","hint":"correct it","request_id":"req_1"}"#;
    let server = Scripted::new(vec![Answer::Says("400 Bad Request", "", body)]).await;
    let error = server.client().pause(&PauseOf::default()).await.expect_err("refused");
    assert_eq!(
        (error.code(), error.to_string().as_str(), error.hint()),
        ("invalid", "it is wrong", "correct it")
    );
    assert_eq!(server.heard().len(), 1);
}

#[tokio::test]
async fn a_wait_that_is_longer_than_the_patience_is_not_waited() {
    let server =
        Scripted::new(vec![Answer::Says("429 Too Many Requests", "retry-after: 3600\r\n", "")]).await;
    let error = server.client().stats().await.expect_err("too many");
    assert_eq!((error.status(), error.code()), (Some(429), "http_429"));
    assert_eq!(server.heard().len(), 1);
}

#[tokio::test]
async fn a_redirect_is_not_followed_so_the_token_goes_nowhere_else() {
    let elsewhere = Scripted::new(vec![Answer::Says("200 OK", "", "{}")]).await;
    let location: &'static str = format!("location: {}/\r\n", elsewhere.url).leak();
    let server = Scripted::new(vec![Answer::Says("307 Temporary Redirect", location, "")]).await;
    let error = server.client().stats().await.expect_err("a redirect");
    assert_eq!(error.status(), Some(307));
    assert_eq!(elsewhere.heard(), Vec::<String>::new());
}

#[tokio::test]
async fn nobody_there_is_said_and_names_cannot_leave_their_place_in_the_path() {
    let client = Client::new("http://127.0.0.1:1", Token::from("x".to_owned())).unwrap();
    let error = client.stats().await.expect_err("nobody");
    assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");

    let server = Scripted::new(vec![Answer::Says("200 OK", "", "{}")]).await;
    let _ = server.client().pool("../a/b?c=d#e").await;
    let heard = server.heard();
    assert!(heard[0].starts_with("get /api/v1/pools/..%2fa%2fb%3fc=d%23e http/1.1"), "{}", heard[0]);
    assert!(heard[0].contains("authorization: bearer synod_client_x"), "{}", heard[0]);
}
