//! The stream of somebody who showed no certificate: one of few, and only for a while.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Sleep;

use crate::transport::Stream;

/// Streams of strangers at once. Joining takes one for seconds; more lets whoever reaches the port hold more of
/// this node.
pub(super) const STRANGERS_MAX: usize = 32;

/// How long a stranger's stream lasts: a join with everything that it may have to wait for.
pub(super) const STRANGER_LIFE: Duration = Duration::from_secs(60);

/// A stream that ends by itself and gives its place back.
pub(super) struct StrangerStream {
    stream: Box<dyn Stream>,
    end: Pin<Box<Sleep>>,
    _place: OwnedSemaphorePermit,
}

impl StrangerStream {
    pub(super) fn new(stream: Box<dyn Stream>, place: OwnedSemaphorePermit) -> Self {
        Self { stream, end: Box::pin(tokio::time::sleep(STRANGER_LIFE)), _place: place }
    }
}

impl AsyncRead for StrangerStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.end.as_mut().poll(context).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for StrangerStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.end.as_mut().poll(context).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.end.as_mut().poll(context).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
