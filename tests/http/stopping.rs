//! How a server ends: requests in flight end, who waits is told, the rest is cut off.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use reqwest::Method;
use synod::http::{Context, Needs, Routes};
use tokio::sync::Semaphore;

use crate::support::{Api, PATIENCE, options, raw, send};

#[tokio::test]
async fn who_waits_is_answered_at_once_and_nobody_comes_in_any_more() {
    let runs = Arc::new(Semaphore::new(0));
    let handler = {
        let runs = runs.clone();
        move |State(context): State<Context>| async move {
            runs.add_permits(1);
            context.stopping().await;
            "stopping"
        }
    };
    let routes = Routes::default().get("/wait", Needs::AnyToken.long(), handler);
    let mut options = options();
    // A stop that waited for the long poll to end by itself would take this long.
    options.drain = PATIENCE * 10;
    let api = Api::serving(options, routes).await;
    let waiting = tokio::spawn(send(api.call(Method::GET, "/wait")));
    runs.acquire().await.unwrap().forget();
    let address = api.server.address();
    // An idle connection does not hold the stop up either.
    let idle = api.connect().await;
    api.stop().await;
    let answer = waiting.await.unwrap();
    assert_eq!((answer.status.as_u16(), answer.body.as_str()), (200, "stopping"));
    drop(idle);
    assert!(tokio::net::TcpStream::connect(address).await.is_err(), "nobody listens");
}

#[tokio::test]
async fn what_does_not_end_in_time_is_cut_off() {
    let runs = Arc::new(Semaphore::new(0));
    let handler = {
        let runs = runs.clone();
        move || async move {
            runs.add_permits(1);
            std::future::pending::<&'static str>().await
        }
    };
    let routes = Routes::default().get("/never", Needs::AnyToken.long(), handler);
    let mut options = options();
    options.drain = Duration::from_millis(20);
    let api = Api::serving(options, routes).await;
    let head = format!(
        "GET /never HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {}\r\n\r\n",
        api.server.address(),
        api.admin.expose()
    );
    let mut stream = api.connect().await;
    let waiting = tokio::spawn(async move { raw(&mut stream, head.as_bytes()).await });
    runs.acquire().await.unwrap().forget();
    let node = api.node.clone();
    api.stop().await;
    assert_eq!(waiting.await.unwrap(), "", "the connection ends without an answer");
    assert_eq!(Arc::strong_count(&node), 1, "something of the server still holds the node");
}
