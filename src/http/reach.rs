//! What a token of a workspace reaches: said by each route, and held before its handler runs.
//!
//! ```text
//!  token without a workspace ─► every route that it allows
//!  token of a workspace ─► Operator: refused │ Of(thing): 404 unless it is the workspace's │ Own, Anybody: handler
//! ```
//!
//! A route that says nothing is for operators alone. What a path names is looked up here, so that something of another
//! workspace and something that does not exist are answered by the same line. Handlers of [`Reach::Own`] show what
//! [`Sight`] lets them and change what is of the workspace that [`Node::bound_to`] tells; the rules hold every change
//! against it once more.

use std::str::FromStr;

use axum::extract::{FromRequestParts, RawPathParams, Request};
use axum::http::StatusCode;
use synod_domain::breaker::Guarded;
use synod_domain::id::{ApprovalId, HookId, TaskId, TokenId, ViolationId};
use synod_domain::name::Name;

use crate::http::native::mailboxes::mailbox_id;
use crate::http::native::read::agent_in;
use crate::http::sight::Sight;
use crate::http::{Context, Problem};
use crate::node::Node;

/// How a route is bound to the workspace of a token that has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// It is for operators, whose tokens have none.
    Operator,
    /// It shows nothing of any workspace.
    Anybody,
    /// It shows and changes what is of the token's workspace; its handler sees to that.
    Own,
    /// Its path names something, which must be of the token's workspace.
    Of(Thing),
}

/// What a path names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Thing {
    /// A task, unfinished or in history.
    Task,
    /// A dead letter.
    DeadLetter,
    /// An agent, by id or name.
    Agent,
    /// A pool.
    Pool,
    /// A mailbox.
    Mailbox,
    /// A token.
    Token,
    /// A hook.
    Hook,
    /// An approval.
    Approval,
    /// A violation of a policy.
    Violation,
    /// A budget.
    Budget,
    /// A limit set.
    Limit,
    /// A breaker.
    Breaker,
    /// A workspace itself.
    Workspace,
}

impl Reach {
    /// Holds that a request of a workspace reaches only what is that workspace's.
    pub(super) async fn check(
        self,
        context: &Context,
        workspace: &Name,
        request: Request,
    ) -> Result<Request, Problem> {
        let thing = match self {
            Self::Operator => return Err(bound(workspace)),
            Self::Anybody | Self::Own => return Ok(request),
            Self::Of(thing) => thing,
        };
        let (mut parts, body) = request.into_parts();
        let params = RawPathParams::from_request_parts(&mut parts, &()).await;
        let params = params.map_err(|error| Problem::bad_request("the path", error.body_text()))?;
        let named = params.iter().next().map(|(_, value)| value.to_owned()).unwrap_or_default();
        if !thing.is_shown(context.node(), &Sight::of_workspace(workspace), &named) {
            return Err(thing.unknown(&named));
        }
        Ok(Request::from_parts(parts, body))
    }
}

impl Thing {
    /// Tells whether there is such a thing and it is shown. What names nothing is left to the handler, which says what is
    /// wrong with it.
    fn is_shown(self, node: &Node, sight: &Sight, named: &str) -> bool {
        match self {
            Self::Task => read(named, |id: TaskId| sight.task(node, id)),
            Self::DeadLetter => read(named, |id: TaskId| {
                node.read(|state| {
                    state.dead_letter(id).is_some_and(|letter| sight.workspace(&letter.spec.workspace))
                })
            }),
            Self::Agent => {
                node.read(|state| agent_in(state, named).is_some_and(|agent| sight.agent(state, &agent.spec)))
            }
            Self::Pool => read(named, |pool: Name| node.read(|state| sight.pool(state, &pool))),
            Self::Mailbox => match mailbox_id("the mailbox's name", named) {
                Ok(mailbox) => node.read(|state| sight.mailbox(state, &mailbox)),
                Err(_) => true,
            },
            Self::Token => read(named, |id: TokenId| node.read(|state| sight.token(state, id))),
            Self::Hook => read(named, |id: HookId| {
                node.read(|state| state.hook(id).is_some_and(|hook| sight.hook(hook)))
            }),
            Self::Approval => read(named, |id: ApprovalId| {
                node.read(|state| state.approval(id).is_some_and(|one| sight.approval(one)))
            }),
            Self::Violation => read(named, |id: ViolationId| {
                node.read(|state| state.violation(id).is_some_and(|one| sight.violation(one)))
            }),
            Self::Budget => read(named, |name: Name| {
                node.read(|state| state.budget(&name).is_some_and(|one| sight.budget(state, &one.spec.scope)))
            }),
            Self::Limit => read(named, |name: Name| {
                node.read(|state| state.limit_set(&name).is_some_and(|set| sight.limit(&set.spec)))
            }),
            Self::Breaker => read(named, |of: Guarded| node.read(|state| sight.breaker(state, &of))),
            Self::Workspace => read(named, |name: Name| sight.workspace(&name)),
        }
    }

    /// Says that it is not there, whether it is another workspace's or nobody's.
    fn unknown(self, named: &str) -> Problem {
        let (code, kind) = match self {
            Self::Task => ("task_unknown", "task"),
            Self::DeadLetter => ("task_unknown", "dead letter"),
            Self::Agent => ("agent_unknown", "agent"),
            Self::Pool => ("pool_unknown", "pool"),
            Self::Mailbox => ("mailbox_unknown", "mailbox"),
            Self::Token => ("token_unknown", "token"),
            Self::Hook => ("hook_unknown", "hook"),
            Self::Approval => ("approval_unknown", "approval"),
            Self::Violation => ("violation_unknown", "violation"),
            Self::Budget => ("budget_unknown", "budget"),
            Self::Limit => ("limit_unknown", "limit set"),
            Self::Breaker => ("breaker_unknown", "breaker"),
            Self::Workspace => ("workspace_unknown", "workspace"),
        };
        Problem::not_found(code, format!("{kind} {named:?}"))
    }
}

fn read<T: FromStr>(named: &str, is_shown: impl FnOnce(T) -> bool) -> bool {
    named.parse().map_or(true, is_shown)
}

/// Says that something is for operators alone.
pub(in crate::http) fn bound(workspace: &Name) -> Problem {
    Problem::new(
        StatusCode::FORBIDDEN,
        "workspace_bound",
        "Bound to a workspace",
        format!("the token is bound to workspace {workspace}, and this is not of one"),
        "use a token without a workspace, as operators have",
    )
}
