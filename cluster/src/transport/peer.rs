//! The asking side of requests: one connection to one peer, opened when it is needed.
//!
//! Promises that each request ends by its deadline, that at most [`QUEUE_BOUND`] wait, that a lost connection
//! fails what waited on it and is opened anew for the next request, that a connection whose other end has gone
//! silent counts as lost, and that nothing is asked before the other
//! side has answered this one's hello. Leaves retrying to the caller: a request that failed may have arrived.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::{BufMut as _, Bytes, BytesMut};
use futures::{SinkExt as _, StreamExt as _};
use synod_storage::{decode, encode};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::codec::Framed;

use crate::transport::hello::{Hello, Welcome};
use crate::transport::outgoing::{Frames, write_out};
use crate::transport::serve::HEAD_BYTES;
use crate::transport::{Error, FRAME_BYTES_MAX, Network, Stream, Target, framing};

/// Requests that may wait for one connection: as many as clients may have in hand on a busy node. A higher
/// number holds more of what a slow peer will not take.
pub const QUEUE_BOUND: usize = 1024;

/// How long a connection may take to be opened and welcomed. A peer that accepts and never answers costs this
/// once, and those who wait for it their deadlines.
pub const CONNECT_PATIENCE: Duration = Duration::from_secs(2);

/// How long nothing may come on a connection on which something is waited for before its other end is asked
/// whether it is there, and before it is given up. A machine that has lost its power closes nothing, and the system
/// would wait for it for minutes; a slow answer keeps no connection silent, because the question whether it is
/// there is answered at once.
pub const PING_AFTER: Duration = Duration::from_millis(500);
/// See [`PING_AFTER`].
pub const SILENCE_MAX: Duration = Duration::from_secs(3);

/// Requests that wait for the one before them to be on its way. They are out of the queue and lost with the
/// connection, so it is few; more would not make it faster.
const UNSENT_MAX: usize = 4;

/// Opens the connection of a peer.
#[async_trait]
pub trait Reach: Send + Sync + 'static {
    /// Names the peer, for people.
    fn name(&self) -> String;

    /// Opens a stream.
    ///
    /// # Errors
    /// When it cannot be reached now.
    async fn connect(&self) -> Result<Box<dyn Stream>, Error>;
}

/// Reaches one target.
pub struct Fixed {
    /// Through which network.
    pub network: Arc<dyn Network>,
    /// Where.
    pub to: Target,
}

#[async_trait]
impl Reach for Fixed {
    fn name(&self) -> String {
        self.to.address.clone()
    }

    async fn connect(&self) -> Result<Box<dyn Stream>, Error> {
        self.network.connect(&self.to).await
    }
}

struct Question {
    body: Bytes,
    answer: oneshot::Sender<Result<Bytes, Error>>,
}

/// Asks one peer. Cheap to clone; the connection closes when the last clone is gone.
#[derive(Clone)]
pub struct Peer {
    name: Arc<str>,
    questions: mpsc::Sender<Question>,
}

impl Peer {
    /// Makes a peer; nothing is connected before the first request. Needs a running tokio.
    pub fn new(reach: Arc<dyn Reach>, hello: Hello) -> Self {
        let (sender, questions) = mpsc::channel(QUEUE_BOUND);
        let name = reach.name().into();
        tokio::spawn(keep(reach, hello, questions));
        Self { name, questions: sender }
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
        queued.map_err(|_| Error::Overloaded(self.name.to_string()))?;
        match tokio::time::timeout(deadline, answered).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(Error::Lost("the peer's task has ended".to_owned())),
            Err(_) => Err(Error::Late),
        }
    }
}

async fn keep(reach: Arc<dyn Reach>, hello: Hello, mut questions: mpsc::Receiver<Question>) {
    while let Some(first) = questions.recv().await {
        if first.answer.is_closed() {
            continue;
        }
        let opening = tokio::time::timeout(CONNECT_PATIENCE, open(&*reach, &hello)).await;
        match opening.unwrap_or(Err(Error::Late)) {
            Ok(frames) => converse(frames, first, &mut questions).await,
            Err(error) => {
                let _ = first.answer.send(Err(error));
            }
        }
    }
}

/// Connects, says hello and waits to be welcomed.
async fn open(reach: &dyn Reach, hello: &Hello) -> Result<Frames, Error> {
    let mut frames = Framed::new(reach.connect().await?, framing());
    let lost = |error: std::io::Error| Error::Lost(error.to_string());
    let said = encode(hello).map_err(|error| Error::Lost(error.to_string()))?;
    frames.send(Bytes::from(said)).await.map_err(lost)?;
    let heard = frames.next().await.ok_or_else(|| Error::Lost("the other side closed it".to_owned()))?;
    match decode::<Welcome>(&heard.map_err(lost)?) {
        Ok(Ok(())) => Ok(frames),
        Ok(Err(why)) => Err(Error::Refused { address: reach.name(), why }),
        Err(error) => Err(Error::Lost(error.to_string())),
    }
}

/// How far the question has come whether the other end is there.
enum Ping {
    /// Not asked.
    Unasked,
    /// It waits for the frame before it to be on its way; whoever sends that watches the time.
    Queued(oneshot::Receiver<()>),
    /// It has left.
    Left(Instant),
}

impl Ping {
    /// Takes it that the other end was there just now. A question on its way stays so, and is answered.
    fn reset(&mut self) {
        match self {
            Self::Queued(_) => {}
            Self::Unasked | Self::Left(_) => *self = Self::Unasked,
        }
    }

    /// Waits until the question has left.
    async fn left(&mut self) {
        match self {
            Self::Queued(left) => drop(left.await),
            Self::Unasked | Self::Left(_) => std::future::pending().await,
        }
    }

    /// Returns until when something must come; `None` while that is not counted.
    fn limit(&self, heard: Instant) -> Option<Instant> {
        match self {
            Self::Unasked => Some(heard + PING_AFTER),
            Self::Queued(_) => None,
            Self::Left(at) => Some(*at + SILENCE_MAX.saturating_sub(PING_AFTER)),
        }
    }
}

/// Uses one connection until it breaks or nobody can ask any more.
async fn converse(frames: Frames, first: Question, questions: &mut mpsc::Receiver<Question>) {
    let (sink, mut source) = frames.split();
    let (unsent, queue) = mpsc::channel(UNSENT_MAX);
    let (pings, urgent) = mpsc::channel::<(Bytes, oneshot::Sender<()>)>(1);
    let writing = write_out(sink, queue, urgent);
    tokio::pin!(writing);
    let mut open: BTreeMap<u64, oneshot::Sender<Result<Bytes, Error>>> = BTreeMap::new();
    let mut number = 0_u64;
    let mut next = Some(first);
    let mut heard = Instant::now();
    let mut ping = Ping::Unasked;
    let why = loop {
        let limit = if open.is_empty() { None } else { ping.limit(heard) };
        tokio::select! {
            biased;
            why = &mut writing => break why,
            frame = source.next() => match frame {
                Some(Ok(frame)) if frame.len() >= HEAD_BYTES => {
                    heard = Instant::now();
                    ping.reset();
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
            // A question is taken only when there is room to send it.
            (room, question) = async {
                let room = unsent.reserve().await;
                let question = match next.take() {
                    Some(first) => Some(first),
                    None => questions.recv().await,
                };
                (room, question)
            } => {
                let Some(question) = question else { return };
                let Ok(room) = room else { break "nobody writes".to_owned() };
                number += 1;
                let mut frame = BytesMut::with_capacity(HEAD_BYTES + question.body.len());
                frame.put_u64(number);
                frame.put(question.body);
                // Those whose deadline has passed wait no more.
                open.retain(|_, answer| !answer.is_closed());
                if open.is_empty() {
                    // Nobody has waited for anything: the silence begins now.
                    heard = Instant::now();
                    ping.reset();
                }
                open.insert(number, question.answer);
                room.send((frame.freeze(), ()));
            },
            () = ping.left() => ping = Ping::Left(Instant::now()),
            () = tokio::time::sleep_until(limit.unwrap_or(heard)), if limit.is_some() => {
                if matches!(ping, Ping::Left(_)) {
                    break "its other end has gone silent".to_owned();
                }
                let (leaves, left) = oneshot::channel();
                // There is room: none is asked before the one before has left.
                let _ = pings.try_send((Bytes::from_static(&[0; HEAD_BYTES]), leaves));
                ping = Ping::Queued(left);
            }
        }
    };
    for answer in open.into_values() {
        let _ = answer.send(Err(Error::Lost(why.clone())));
    }
}
