//! A backup, streamed: everything that is agreed, as of one moment, while work goes on.

use std::io;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use futures::stream;
use tokio::io::{AsyncReadExt, DuplexStream};
use tokio::task::JoinHandle;

use crate::http::extract::InQuery;
use crate::http::native::examples;
use crate::http::native::listing::Everything;
use crate::http::{Context, Problem};
use crate::node;

/// How much of a backup is on its way at a time: the node makes no more before somebody reads.
const PIPE_BYTES: usize = 256 * 1024;

/// Fetch a backup
///
/// Everything that is agreed, as of one moment, while work goes on: tokens (as hashes), tasks with their payloads,
/// agents, pools, and the large payloads that are still wanted: those of unfinished tasks, dead letters and open runs,
/// and the results of completed tasks. `synod cluster restore` makes a new cluster of it. The logs of attempts are not
/// in it. An answer that breaks off is no backup.
#[utoipa::path(
    get,
    path = "/api/v1/cluster/backup",
    tag = "cluster",
    responses((status = 200, description = "The backup.", body = String, content_type = "application/octet-stream", example = json!(examples::backup()))),
)]
pub(super) async fn fetch_backup(
    State(context): State<Context>,
    _: InQuery<Everything>,
) -> Result<Response, Problem> {
    let (mut into, from) = tokio::io::duplex(PIPE_BYTES);
    let node = context.node().clone();
    let making = tokio::spawn(async move { node.backup(&mut into).await });
    let mut copy = Copy { context, from, making: Some(making) };
    // What fails before there is anything to send is a problem; later it can only break the answer off.
    let first = copy.next().await?;
    let rest = stream::unfold(Some(copy), |copy| async move {
        let mut copy = copy?;
        match copy.next().await {
            Ok(Some(bytes)) => Some((Ok(bytes), Some(copy))),
            Ok(None) => None,
            Err(error) => {
                tracing::warn!(%error, "a backup broke off");
                Some((Err(io::Error::other(error.to_string())), None))
            }
        }
    });
    let first = stream::iter(first.map(Ok::<Bytes, io::Error>));
    let kind = [(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"))];
    Ok((kind, Body::from_stream(futures::StreamExt::chain(first, rest))).into_response())
}

/// A backup on its way.
struct Copy {
    context: Context,
    from: DuplexStream,
    making: Option<JoinHandle<Result<u64, node::Error>>>,
}

impl Copy {
    /// Returns the next piece, or nothing at the end of a whole backup.
    async fn next(&mut self) -> Result<Option<Bytes>, node::Error> {
        let mut piece = BytesMut::with_capacity(PIPE_BYTES);
        let read = tokio::select! {
            biased;
            () = self.context.stopping() => return Err(node::Error::Failed("the node is stopping".to_owned())),
            read = self.from.read_buf(&mut piece) => read,
        };
        let failed = |error: &dyn std::fmt::Display| node::Error::Failed(error.to_string());
        if read.map_err(|error| failed(&error))? > 0 {
            return Ok(Some(piece.freeze()));
        }
        match self.making.take() {
            None => Ok(None),
            Some(making) => making.await.map_err(|error| failed(&error))?.map(|_| None),
        }
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        // Nobody reads any more.
        if let Some(making) = &self.making {
            making.abort();
        }
    }
}
