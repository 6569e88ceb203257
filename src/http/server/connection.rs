//! Serves one connection.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio_rustls::TlsAcceptor;
use tower::Service;

use super::counted::Counted;
use crate::http::Context;
use crate::http::stopping::Phase;

/// Bytes of a request's line and headers; over it, 431. A token and a dozen headers take one of these.
const HEAD_BYTES_MAX: usize = 32 << 10;

/// Bytes of a connection's buffers: above the head, below what many connections would cost.
const BUFFER_BYTES_MAX: usize = 64 << 10;

/// How long a client may take to agree on keys.
const HANDSHAKE_PATIENCE: Duration = Duration::from_secs(10);

/// Both ends of a connection. The far one may be a proxy's.
#[derive(Debug, Clone, Copy)]
pub struct Peer {
    /// Who connected.
    pub remote: SocketAddr,
    /// The address of ours that was connected to.
    pub local: SocketAddr,
}

/// What every connection is served with. Cheap to clone.
#[derive(Clone)]
pub(super) struct Front {
    app: Router,
    context: Context,
    tls: Option<TlsAcceptor>,
    http: http1::Builder,
}

impl Front {
    pub(super) fn new(
        app: Router,
        context: Context,
        tls: Option<Arc<rustls::ServerConfig>>,
        head_patience: Duration,
    ) -> Self {
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new())
            .header_read_timeout(head_patience)
            .max_header_size(HEAD_BYTES_MAX)
            .max_buf_size(BUFFER_BYTES_MAX);
        Self { app, context, tls: tls.map(TlsAcceptor::from), http }
    }

    pub(super) fn context(&self) -> &Context {
        &self.context
    }

    pub(super) fn is_plain(&self) -> bool {
        self.tls.is_none()
    }

    /// Serves a connection to its end. The permit is given back when the connection is closed, though it may have
    /// become a WebSocket meanwhile, which is not served here.
    pub(super) async fn serve(self, stream: TcpStream, permit: OwnedSemaphorePermit) {
        // Answers are small and written whole: nothing is gained by waiting for more.
        let _ = stream.set_nodelay(true);
        let (Ok(remote), Ok(local)) = (stream.peer_addr(), stream.local_addr()) else {
            return;
        };
        let peer = Peer { remote, local };
        let stream = Counted::new(stream, permit);
        let Some(tls) = self.tls.clone() else {
            return self.talk(stream, peer).await;
        };
        let agreed = tokio::select! {
            biased;
            () = self.context.stopping() => return,
            agreed = tokio::time::timeout(HANDSHAKE_PATIENCE, tls.accept(stream)) => agreed,
        };
        match agreed {
            Ok(Ok(stream)) => self.talk(stream, peer).await,
            Ok(Err(error)) => tracing::debug!(%error, %remote, "no TLS was agreed on"),
            Err(_) => tracing::debug!(%remote, "TLS was not agreed on in time"),
        }
    }

    async fn talk(self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, peer: Peer) {
        let app = self.app;
        let service = service_fn(move |mut request: hyper::Request<Incoming>| {
            request.extensions_mut().insert(peer);
            // A router is always ready.
            app.clone().call(request)
        });
        let connection = self.http.serve_connection(TokioIo::new(stream), service).with_upgrades();
        let mut connection = pin!(connection);
        let mut draining = pin!(self.context.stopping());
        let mut cut = pin!(self.context.stop().reached(Phase::Cut));
        let mut told = false;
        loop {
            tokio::select! {
                biased;
                ended = connection.as_mut() => {
                    if let Err(error) = ended {
                        tracing::debug!(%error, remote = %peer.remote, "a connection ended early");
                    }
                    return;
                }
                () = draining.as_mut(), if !told => {
                    told = true;
                    connection.as_mut().graceful_shutdown();
                }
                () = cut.as_mut() => return,
            }
        }
    }
}
