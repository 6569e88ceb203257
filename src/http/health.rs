//! Whether the process lives, for anybody, and whether the node takes work, for who has a token.

use axum::extract::State;
use axum::http::StatusCode;

use crate::http::{Context, Needs, Problem, Routes};

pub(super) fn routes() -> Routes {
    Routes::default().get("/healthz", Needs::Nothing, alive).get("/readyz", Needs::AnyToken.anybody(), ready)
}

/// Says that the process answers and nothing else: who has no token learns no more.
async fn alive() -> &'static str {
    "ok"
}

async fn ready(State(context): State<Context>) -> Result<&'static str, Problem> {
    if context.is_stopping() {
        return Err(Problem::stopping());
    }
    // Who was heard lately, not whom the log followed last: that one may be dead.
    let cluster = context.node().cluster();
    if cluster.leader.is_some() && cluster.waits_for.is_none() {
        Ok("ready")
    } else {
        Err(Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "not_leader",
            "No leader here",
            "the node does not lead and takes no work",
            "ask again in a moment",
        )
        .retry_after_ms(1_000))
    }
}
