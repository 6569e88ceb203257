//! A stream between two nodes, as the wires let it through.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use turmoil::net::TcpStream;

use super::wires::Wires;

pub(super) struct GatedStream {
    stream: TcpStream,
    me: u64,
    peer: u64,
    wires: Wires,
    /// Who waits for reading and for writing, each with the number of cuts at the beginning.
    reads: (u64, u64),
    writes: (u64, u64),
}

impl GatedStream {
    pub(super) fn new(stream: TcpStream, me: u64, peer: u64, wires: Wires) -> Self {
        let (reads, writes) = (wires.enter(me, peer), wires.enter(me, peer));
        Self { stream, me, peer, wires, reads, writes }
    }

    fn may_write(&self, context: &Context<'_>) -> Poll<io::Result<()>> {
        self.wires.look(self.me, self.peer, self.writes, context).map_err(|()| reset())
    }
}

fn reset() -> io::Error {
    io::ErrorKind::ConnectionReset.into()
}

impl AsyncRead for GatedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // What is on its way already is held back, too: it would be sent again and again.
        ready!(self.wires.look(self.peer, self.me, self.reads, context)).map_err(|()| reset())?;
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for GatedStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.may_write(context))?;
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

impl Drop for GatedStream {
    fn drop(&mut self) {
        self.wires.leave(self.reads.0);
        self.wires.leave(self.writes.0);
    }
}
