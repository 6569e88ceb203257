//! The writing half of a connection, beside its reading half instead of within it.
//!
//! Promises that whoever reads goes on reading while a frame waits for room: two nodes that send each other more
//! than the line holds would otherwise wait for each other. Promises, too, that a frame that the other end does not
//! take in time ends the connection. Leaves what is sent, and how much of it may wait, to the senders of the queues.

use std::time::Duration;

use bytes::Bytes;
use futures::SinkExt as _;
use futures::stream::SplitSink;
use tokio::sync::mpsc;
use tokio_util::codec::{Framed, LengthDelimitedCodec};

use crate::transport::Stream;

/// How long a frame may take to be taken by the system. The largest one passes a slow line in this time.
pub const SEND_PATIENCE: Duration = Duration::from_secs(10);

/// The frames of one connection.
pub(crate) type Frames = Framed<Box<dyn Stream>, LengthDelimitedCodec>;

/// Sends what is queued, the urgent first, until it cannot; returns why. What came with a frame is dropped as soon
/// as the frame has left.
pub(crate) async fn write_out<Q, U>(
    mut sink: SplitSink<Frames, Bytes>,
    mut queue: mpsc::Receiver<(Bytes, Q)>,
    mut urgent: mpsc::Receiver<(Bytes, U)>,
) -> String {
    loop {
        let sent = tokio::select! {
            biased;
            Some((frame, guard)) = urgent.recv() => (put(&mut sink, frame).await, drop(guard)).0,
            Some((frame, guard)) = queue.recv() => (put(&mut sink, frame).await, drop(guard)).0,
            else => return "nobody sends any more".to_owned(),
        };
        if let Err(why) = sent {
            return why;
        }
    }
}

/// Sends a frame, or says why it cannot be.
async fn put(sink: &mut SplitSink<Frames, Bytes>, frame: Bytes) -> Result<(), String> {
    match tokio::time::timeout(SEND_PATIENCE, sink.send(frame)).await {
        Ok(sent) => sent.map_err(|error| error.to_string()),
        Err(_) => Err("its other end takes nothing".to_owned()),
    }
}
