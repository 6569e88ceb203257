//! The answering side of requests: takes streams, hears who opened them, reads frames, answers each.
//!
//! Promises that nobody is answered whose hello was not welcomed, that requests which must keep their order are begun
//! in the order in which they came, and that a stream has at most [`REQUESTS_MAX`] requests in work: its reader waits when they are
//! taken, and the other side's queue fills. Leaves the meaning of bytes to a [`Handler`].

use std::sync::Arc;

use async_trait::async_trait;
use bytes::{BufMut as _, Bytes, BytesMut};
use futures::{SinkExt as _, StreamExt as _};
use synod_storage::{decode, encode};
use tokio::sync::{Semaphore, mpsc};
use tokio_util::codec::Framed;
use tokio_util::sync::CancellationToken;

use crate::transport::hello::{Caller, Doorkeeper, Hello, Welcome};
use crate::transport::outgoing::{Frames, write_out};
use crate::transport::{Incoming, Listener, Proven, framing};

/// Requests of one stream in work at once. More lets one peer take more of this node.
pub const REQUESTS_MAX: usize = 1024;

/// How long a stream may take to say hello.
const HELLO_PATIENCE: std::time::Duration = std::time::Duration::from_secs(5);

/// The bytes before a request's or an answer's own: its number on the stream. Number 0 asks whether anybody is
/// there, and is answered at once.
pub(crate) const HEAD_BYTES: usize = 8;

/// Answers requests.
#[async_trait]
pub trait Handler: Send + Sync + 'static {
    /// Answers one request; `None` leaves it unanswered, and the asker's deadline passes.
    async fn answer(&self, caller: &Caller, request: Bytes) -> Option<Bytes>;

    /// Tells whether a request must be begun before those that come after it on its stream. Its answering runs at once
    /// then, until it first waits: it shall have got where order counts by that, and not have worked for long.
    fn keeps_order(&self, _request: &[u8]) -> bool {
        false
    }
}

/// Answers everything that comes to `listener` from those whom `door` lets in, until `stop`.
pub async fn serve(
    mut listener: Box<dyn Listener>,
    door: Arc<dyn Doorkeeper>,
    handler: Arc<dyn Handler>,
    stop: CancellationToken,
) {
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            accepted = listener.accept() => match accepted {
                Ok(incoming) => {
                    tokio::spawn(answer_all(incoming, Arc::clone(&door), Arc::clone(&handler), stop.clone()));
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

/// Hears who opened a stream, and tells whether it is welcome.
async fn welcome(
    frames: &mut Frames,
    door: &dyn Doorkeeper,
    proven: (Option<&Proven>, bool),
) -> Option<Caller> {
    let frame = frames.next().await?.ok()?;
    // Whatever it is, it is no node.
    let hello = decode::<Hello>(&frame).ok()?;
    let judged = door.judge(&hello, proven.0, proven.1);
    let said: Welcome = judged.as_ref().map(drop).map_err(Clone::clone);
    frames.send(Bytes::from(encode(&said).ok()?)).await.ok()?;
    judged.inspect_err(|why| tracing::warn!(node = %hello.node, why, "a node was turned away")).ok()
}

async fn answer_all(
    incoming: Incoming,
    door: Arc<dyn Doorkeeper>,
    handler: Arc<dyn Handler>,
    stop: CancellationToken,
) {
    let mut frames = Framed::new(incoming.stream, framing());
    let proven = (incoming.proven.as_ref(), incoming.proves);
    let caller = tokio::select! {
        biased;
        () = stop.cancelled() => return,
        heard = tokio::time::timeout(HELLO_PATIENCE, welcome(&mut frames, &*door, proven)) => heard,
    };
    let Ok(Some(caller)) = caller else { return };
    let caller = Arc::new(caller);
    let (sink, mut source) = frames.split();
    // An answer keeps its request's slot until it has left, so there is always room for it.
    let (answers, queue) = mpsc::channel(REQUESTS_MAX);
    let (signs, urgent) = mpsc::channel(1);
    let writing = write_out(sink, queue, urgent);
    tokio::pin!(writing);
    let slots = Arc::new(Semaphore::new(REQUESTS_MAX));
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            why = &mut writing => {
                tracing::debug!(node = %caller.hello.node, why, "answers cannot be sent");
                return;
            }
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
                if head.iter().all(|byte| *byte == 0) {
                    // Are you there? One answer says it to all who have asked.
                    let _ = signs.try_send((head, ()));
                    continue;
                }
                let (handler, answers, caller) = (Arc::clone(&handler), answers.clone(), Arc::clone(&caller));
                let keeps_order = handler.keeps_order(&frame);
                let mut answering = Box::pin(async move {
                    if let Some(body) = handler.answer(&caller, frame).await {
                        let mut answer = BytesMut::with_capacity(HEAD_BYTES + body.len());
                        answer.put(head);
                        answer.put(body);
                        let _ = answers.send((answer.freeze(), slot)).await;
                    }
                });
                // Tasks overtake each other; only what waits goes on in one of its own.
                if !keeps_order || futures::poll!(&mut answering).is_pending() {
                    tokio::spawn(answering);
                }
            }
        }
    }
}
