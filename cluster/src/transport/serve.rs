//! The answering side of requests: takes streams, reads frames, answers each.
//!
//! Promises that a stream has at most [`REQUESTS_MAX`] requests in work: its reader waits when they are
//! taken, and the other side's queue fills. Leaves the meaning of bytes to a [`Handler`].

use std::sync::Arc;

use async_trait::async_trait;
use bytes::{BufMut as _, Bytes, BytesMut};
use futures::{SinkExt as _, StreamExt as _};
use tokio::sync::{Semaphore, mpsc};
use tokio_util::codec::Framed;
use tokio_util::sync::CancellationToken;

use crate::transport::{Listener, Stream, framing};

/// Requests of one stream in work at once. More lets one peer take more of this node.
pub const REQUESTS_MAX: usize = 64;

/// The bytes before a request's or an answer's own: its number on the stream.
pub(crate) const HEAD_BYTES: usize = 8;

/// Answers requests.
#[async_trait]
pub trait Handler: Send + Sync + 'static {
    /// Answers one request; `None` leaves it unanswered, and the asker's deadline passes.
    async fn answer(&self, request: Bytes) -> Option<Bytes>;
}

/// Answers everything that comes to `listener`, until `stop`.
pub async fn serve(mut listener: Box<dyn Listener>, handler: Arc<dyn Handler>, stop: CancellationToken) {
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            accepted = listener.accept() => match accepted {
                Ok(stream) => {
                    tokio::spawn(answer_all(stream, Arc::clone(&handler), stop.clone()));
                }
                Err(error) => {
                    // Out of file descriptors is the usual reason; others close some in a while.
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                }
            }
        }
    }
}

async fn answer_all(stream: Box<dyn Stream>, handler: Arc<dyn Handler>, stop: CancellationToken) {
    let (mut sink, mut source) = Framed::new(stream, framing()).split();
    let (answers, mut outgoing) = mpsc::channel::<Bytes>(REQUESTS_MAX);
    let slots = Arc::new(Semaphore::new(REQUESTS_MAX));
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            answer = outgoing.recv() => match answer {
                Some(frame) => if sink.send(frame).await.is_err() { return },
                None => return,
            },
            frame = async {
                let slot = Arc::clone(&slots).acquire_owned().await;
                (source.next().await, slot)
            } => {
                let (Some(Ok(frame)), Ok(slot)) = frame else { return };
                if frame.len() < HEAD_BYTES {
                    return;
                }
                let mut frame = frame.freeze();
                let head = frame.split_to(HEAD_BYTES);
                let (handler, answers) = (Arc::clone(&handler), answers.clone());
                tokio::spawn(async move {
                    if let Some(body) = handler.answer(frame).await {
                        let mut answer = BytesMut::with_capacity(HEAD_BYTES + body.len());
                        answer.put(head);
                        answer.put(body);
                        let _ = answers.send(answer.freeze()).await;
                    }
                    drop(slot);
                });
            }
        }
    }
}
