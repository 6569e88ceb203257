//! The asking side of requests: one connection to one peer, opened when it is needed.
//!
//! Promises that each request ends by its deadline, that at most [`QUEUE_BOUND`] wait, and that a lost
//! connection fails what waited on it and is opened anew for the next request. Leaves retrying to the
//! caller: a request that failed may have arrived.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut as _, Bytes, BytesMut};
use futures::{SinkExt as _, StreamExt as _};
use tokio::sync::{mpsc, oneshot};
use tokio_util::codec::Framed;

use crate::transport::serve::HEAD_BYTES;
use crate::transport::{Error, FRAME_BYTES_MAX, Network, Stream, framing};

/// Requests that may wait for one peer. A higher number holds more of what a slow peer will not take.
pub const QUEUE_BOUND: usize = 64;

struct Question {
    body: Bytes,
    answer: oneshot::Sender<Result<Bytes, Error>>,
}

/// Asks one peer. Cheap to clone; the connection closes when the last clone is gone.
#[derive(Clone)]
pub struct Peer {
    address: Arc<str>,
    questions: mpsc::Sender<Question>,
}

impl Peer {
    /// Makes a peer; nothing is connected before the first request. Needs a running tokio.
    pub fn new(network: Arc<dyn Network>, address: &str) -> Self {
        let (sender, questions) = mpsc::channel(QUEUE_BOUND);
        tokio::spawn(keep(network, address.to_owned(), questions));
        Self { address: address.into(), questions: sender }
    }

    /// Sends a request and waits for its answer, at most until `deadline` has passed.
    ///
    /// # Errors
    /// When there is no answer; the request may have arrived all the same.
    pub async fn ask(&self, body: Bytes, deadline: Duration) -> Result<Bytes, Error> {
        let limit = FRAME_BYTES_MAX - HEAD_BYTES;
        if body.len() > limit {
            return Err(Error::TooLarge { size: body.len(), limit });
        }
        let (answer, answered) = oneshot::channel();
        let queued = self.questions.try_send(Question { body, answer });
        queued.map_err(|_| Error::Overloaded(self.address.to_string()))?;
        match tokio::time::timeout(deadline, answered).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(Error::Lost("the peer's task has ended".to_owned())),
            Err(_) => Err(Error::Late),
        }
    }
}

async fn keep(network: Arc<dyn Network>, address: String, mut questions: mpsc::Receiver<Question>) {
    while let Some(first) = questions.recv().await {
        match network.connect(&address).await {
            Ok(stream) => converse(stream, first, &mut questions).await,
            Err(error) => {
                let _ = first.answer.send(Err(error));
            }
        }
    }
}

/// Uses one connection until it breaks or nobody can ask any more.
async fn converse(stream: Box<dyn Stream>, first: Question, questions: &mut mpsc::Receiver<Question>) {
    let (mut sink, mut source) = Framed::new(stream, framing()).split();
    let mut open: BTreeMap<u64, oneshot::Sender<Result<Bytes, Error>>> = BTreeMap::new();
    let mut number = 0_u64;
    let mut next = Some(first);
    let why = loop {
        if let Some(question) = next.take() {
            number += 1;
            let mut frame = BytesMut::with_capacity(HEAD_BYTES + question.body.len());
            frame.put_u64(number);
            frame.put(question.body);
            open.insert(number, question.answer);
            // Those whose deadline has passed wait no more.
            open.retain(|_, answer| !answer.is_closed());
            if let Err(error) = sink.send(frame.freeze()).await {
                break error.to_string();
            }
        }
        tokio::select! {
            biased;
            frame = source.next() => match frame {
                Some(Ok(frame)) if frame.len() >= HEAD_BYTES => {
                    let mut frame = frame.freeze();
                    let head = frame.split_to(HEAD_BYTES);
                    let number = head.iter().fold(0_u64, |number, byte| (number << 8) | u64::from(*byte));
                    if let Some(answer) = open.remove(&number) {
                        let _ = answer.send(Ok(frame));
                    }
                }
                Some(Ok(_)) => break "a frame without a number".to_owned(),
                Some(Err(error)) => break error.to_string(),
                None => break "the other side closed it".to_owned(),
            },
            question = questions.recv() => match question {
                Some(question) => next = Some(question),
                None => return,
            },
        }
    };
    for answer in open.into_values() {
        let _ = answer.send(Err(Error::Lost(why.clone())));
    }
}
