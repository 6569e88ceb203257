//! Takes connections, at most so many at a time.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use super::connection::Front;

/// The pause after the system could not give a descriptor: connections end meanwhile, and the log is not
/// flooded.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(100);

/// What is answered when there are too many connections; written by hand, because nothing may be spent on them.
const FULL: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

/// How long the system may take to take over those few bytes.
const FULL_PATIENCE: Duration = Duration::from_millis(100);

/// Takes connections until the server is told to stop.
pub(super) async fn run(listener: TcpListener, front: Front, connections: Arc<Semaphore>) {
    let context = front.context().clone();
    let stopping = context.stopping();
    tokio::pin!(stopping);
    loop {
        let accepted = tokio::select! {
            biased;
            () = &mut stopping => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => match connections.clone().try_acquire_owned() {
                Ok(permit) => {
                    let front = front.clone();
                    tokio::spawn(front.serve(stream, permit));
                }
                Err(_) => refuse(stream, front.is_plain()).await,
            },
            Err(error) if is_of_one_connection(&error) => {
                tracing::debug!(%error, "a connection ended before it was taken");
            }
            Err(error) => {
                tracing::warn!(%error, "no connection can be taken; trying again");
                tokio::time::sleep(EXHAUSTED_PAUSE).await;
            }
        }
    }
}

/// Tells errors of the connection that would have come from those of the system.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

async fn refuse(mut stream: TcpStream, plain: bool) {
    tracing::debug!("too many connections");
    if plain {
        // A fresh connection takes these bytes at once; whoever does not read them is no loss.
        let _ = tokio::time::timeout(FULL_PATIENCE, stream.write_all(FULL)).await;
    }
}
