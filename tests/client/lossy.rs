//! A network that loses answers: what was asked is done, and nobody hears of it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::support::Served;

/// Tells by its number whether an answer is lost.
type Loses = fn(u32) -> bool;

/// Stands between a worker and its node.
pub(crate) struct Lossy {
    pub(crate) url: String,
    lost: Arc<AtomicU32>,
}

impl Lossy {
    /// Serves a node, passes on what is for it, and loses every third answer.
    pub(crate) async fn serve() -> (Served, Self) {
        Self::losing(|number| number % 3 == 1).await
    }

    /// Serves a node and loses the first answer to each request; that to its repetition comes through.
    pub(crate) async fn serve_the_second_time() -> (Served, Self) {
        Self::losing(|number| number % 2 == 0).await
    }

    async fn losing(loses: Loses) -> (Served, Self) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let name = listener.local_addr().unwrap().to_string();
        // A node answers to no names but its own.
        let served = Served::start_with(&["--allow-host", &name]).await;
        let node: SocketAddr = served.url.strip_prefix("http://").unwrap().parse().unwrap();
        let url = format!("http://{name}");
        let lost = Arc::new(AtomicU32::new(0));
        let counted = lost.clone();
        tokio::spawn(async move {
            let answers = Arc::new(AtomicU32::new(0));
            loop {
                let (client, _) = listener.accept().await.unwrap();
                tokio::spawn(pass(client, node, loses, answers.clone(), counted.clone()));
            }
        });
        (served, Self { url, lost })
    }

    /// Returns how many answers were lost.
    pub(crate) fn lost(&self) -> u32 {
        self.lost.load(Ordering::Relaxed)
    }
}

/// Passes on one connection until an answer on it is to be lost, or one side ends it.
async fn pass(
    mut client: TcpStream,
    node: SocketAddr,
    loses: Loses,
    answers: Arc<AtomicU32>,
    lost: Arc<AtomicU32>,
) {
    let Ok(mut node) = TcpStream::connect(node).await else { return };
    let (mut asked, mut answered) = (vec![0; 64 * 1024], vec![0; 64 * 1024]);
    let mut is_new = false;
    loop {
        tokio::select! {
            biased;
            read = client.read(&mut asked) => match read {
                Ok(1..) if node.write_all(&asked[..read.unwrap()]).await.is_ok() => is_new = true,
                _ => return,
            },
            read = node.read(&mut answered) => match read {
                Ok(bytes @ 1..) => {
                    // The first bytes of an answer: the node has done what was asked.
                    if std::mem::take(&mut is_new) && loses(answers.fetch_add(1, Ordering::Relaxed)) {
                        lost.fetch_add(1, Ordering::Relaxed);
                        return;
                    }
                    if client.write_all(&answered[..bytes]).await.is_err() {
                        return;
                    }
                }
                _ => return,
            },
        }
    }
}
