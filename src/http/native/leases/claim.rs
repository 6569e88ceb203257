//! Claiming: leases for as many tasks as fit, or a wait until there are some.

use axum::Json;
use axum::extract::State;

use crate::api;
use crate::http::extract::{Body, InQuery};
use crate::http::native::listing::Everything;
use crate::http::native::problems::{Conflict, NotFound};
use crate::http::native::{LONG_POLL_MAX, examples, read, shown};
use crate::http::{Caller, Context, Once, Problem};
use crate::node::Ask;

/// The most tasks of one claim. A worker that takes more holds what others could do.
const CLAIM_MAX: u32 = 100;

/// Claim tasks
///
/// Takes the most urgent tasks that the agent can do, from its own mailbox, its pool's and the open one. If there
/// are none the request waits, and is woken as soon as one fits; after `wait_ms` it answers with none. A claim is a
/// sign of life. With an `Idempotency-Key` the same request sent again answers with the same leases, as far as they
/// are still valid: use one, because an answer can be lost on its way.
#[utoipa::path(
    post,
    path = "/api/v1/tasks/claim",
    tag = "workers",
    params(("Idempotency-Key" = Option<String>, Header, description = "The client's own name for this claim.", example = "claim-17", max_length = 255, min_length = 1)),
    request_body(content = api::Claim, example = json!(examples::claim())),
    responses(
        (status = 200, description = "The leases; none if no task came up in time.", body = api::Claimed, example = json!(examples::claimed())),
        (status = 404, response = NotFound),
        (status = 409, response = Conflict),
    ),
)]
pub(super) async fn claim_tasks(
    State(context): State<Context>,
    caller: Caller,
    once: Once,
    _: InQuery<Everything>,
    Body(claim): Body<api::Claim>,
) -> Result<Json<api::Claimed>, Problem> {
    if !(1..=CLAIM_MAX).contains(&claim.max) {
        return Err(Problem::bad_request("max", format!("it must be from 1 to {CLAIM_MAX}")));
    }
    let node = context.node();
    let offered = claim.capabilities.as_deref();
    let ask = Ask {
        agent: read::agent(node, &claim.agent_id)?.spec.id,
        offered: offered.map(|texts| read::capabilities("capabilities", texts)).transpose()?,
        max: claim.max,
        start: claim.start,
        wait: read::patience("wait_ms", claim.wait_ms, LONG_POLL_MAX)?,
        request: once.request(),
    };
    let leases = async {
        tokio::select! {
            biased;
            leases = node.claim_when_ready(ask) => Ok(leases?),
            () = context.stopping() => Ok(Vec::new()),
        }
    };
    // Whose token ends while it waits gets nothing: leases that were on their way are given back.
    let leases = caller.while_valid(node, leases).await?;
    let mut tasks = Vec::with_capacity(leases.len());
    for lease in &leases {
        tasks.push(shown::leased(node, &node.task(lease.spec.id)?, lease).await?);
    }
    Ok(Json(api::Claimed { tasks }))
}
