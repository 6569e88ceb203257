//! From error to status, code and hint: the one table.

use axum::http::StatusCode;
use synod_actors::desk::ClaimError;
use synod_actors::ports::JournalError;
use synod_domain::hook::HookRefusal;
use synod_domain::name::Name;
use synod_domain::refusal::Refusal;
use synod_domain::region::NoWay;

use crate::hooks;
use crate::http::Problem;
use crate::http::idempotency::Again;
use crate::node::Error;
use crate::node::elsewhere::ElsewhereError;

/// The wait that is advised when something is full or overloaded: a few syncs of a slow disk.
const RETRY_SOON_MS: u64 = 1_000;

/// What to do when nobody leads: mostly a leader comes by itself.
const NO_LEADER_HINT: &str = "send it again in a moment, to this or another node; if it stays so, more than half of \
    the voters must be up and reach each other: `synod cluster status` shows them";

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let (status, title) = match &refusal {
            Refusal::TaskUnknown(_)
            | Refusal::AgentUnknown(_)
            | Refusal::PoolUnknown(_)
            | Refusal::RunUnknown(_)
            | Refusal::BudgetUnknown(_)
            | Refusal::BreakerUnknown(_)
            | Refusal::LimitSetUnknown(_)
            | Refusal::TokenUnknown(_) => (StatusCode::NOT_FOUND, "Not found"),
            Refusal::RoleUnknown(_) => (StatusCode::NOT_FOUND, "Role unknown"),
            Refusal::WorkspaceBound(_) => (StatusCode::FORBIDDEN, "Bound to a workspace"),
            Refusal::LeaseLost { .. } => (StatusCode::CONFLICT, "Lease lost"),
            Refusal::AlreadyEnded { .. } => (StatusCode::CONFLICT, "Already ended"),
            Refusal::IdempotencyConflict { .. } => (StatusCode::CONFLICT, "Idempotency key in use"),
            Refusal::TaskExists(_)
            | Refusal::RunOpen { .. }
            | Refusal::AgentNameTaken { .. }
            | Refusal::TokenExists(_) => (StatusCode::CONFLICT, "Exists already"),
            Refusal::LastToken(_) => (StatusCode::CONFLICT, "Last token"),
            Refusal::NodeUnknown(_) => (StatusCode::NOT_FOUND, "Node unknown"),
            Refusal::TaskElsewhere { .. } => (StatusCode::CONFLICT, "In another region"),
            Refusal::TaskNotKept { .. } => (StatusCode::CONFLICT, "Not kept here"),
            Refusal::ResourceUnknown(_) => (StatusCode::NOT_FOUND, "Not found"),
            Refusal::ResourceInUse { .. } => (StatusCode::CONFLICT, "Resource in use"),
            Refusal::PrerequisiteUnknown(_) => (StatusCode::BAD_REQUEST, "Prerequisite unknown"),
            Refusal::OfferDeclined { .. } => (StatusCode::CONFLICT, "Offer declined before"),
            Refusal::RegionNotKnown(_) => (StatusCode::NOT_FOUND, "Region unknown"),
            Refusal::RegionNameTaken(_) => (StatusCode::CONFLICT, "Region name taken"),
            Refusal::NodeAway { .. } => (StatusCode::CONFLICT, "Node not counted on"),
            Refusal::NodeForgot { .. } => (StatusCode::CONFLICT, "Node forgot"),
            Refusal::NodeNameTaken { .. } => (StatusCode::CONFLICT, "Node name taken"),
            Refusal::LastVoter(_) => (StatusCode::CONFLICT, "Last voter"),
            Refusal::JoinTokenRefused(_) => (StatusCode::FORBIDDEN, "Join token refused"),
            Refusal::GossipKeyRefused { .. } => (StatusCode::CONFLICT, "Gossip key refused"),
            Refusal::AgentUnavailable { .. } => (StatusCode::CONFLICT, "Agent takes no work"),
            Refusal::PoolInUse { .. } => (StatusCode::CONFLICT, "Pool in use"),
            Refusal::NobodyFree(_) => (StatusCode::CONFLICT, "Nobody is free"),
            Refusal::RolloutRefused { .. } => (StatusCode::CONFLICT, "No such rollout"),
            Refusal::PoolRetiring(_) => (StatusCode::CONFLICT, "Pool is being removed"),
            Refusal::Full { .. } => (StatusCode::TOO_MANY_REQUESTS, "Full"),
            Refusal::Hook(HookRefusal::Unknown(_)) => (StatusCode::NOT_FOUND, "Not found"),
            Refusal::Hook(HookRefusal::Exists(_)) => (StatusCode::CONFLICT, "Exists already"),
            Refusal::Hook(HookRefusal::Fenced { .. }) => (StatusCode::CONFLICT, "Hook has another attempt"),
            Refusal::Hook(HookRefusal::Ended { .. }) => (StatusCode::CONFLICT, "Already ended"),
            Refusal::Hook(HookRefusal::InUse { .. }) => (StatusCode::CONFLICT, "Hook in use"),
            Refusal::Hook(HookRefusal::BranchTaken { .. }) => (StatusCode::CONFLICT, "Branch taken"),
            Refusal::Hook(HookRefusal::OutOfReach { .. }) => {
                (StatusCode::CONFLICT, "Repository out of reach")
            }
            Refusal::Hook(HookRefusal::Nobody(_)) => (StatusCode::CONFLICT, "No other agent"),
            Refusal::Invalid { .. } => (StatusCode::BAD_REQUEST, "Invalid request"),
            Refusal::PolicyDenied { .. } => (StatusCode::FORBIDDEN, "Denied by a policy"),
            Refusal::PolicyUnknown(_) | Refusal::ApprovalUnknown(_) | Refusal::ViolationUnknown(_) => {
                (StatusCode::NOT_FOUND, "Not found")
            }
            Refusal::ApprovalClosed { .. } => (StatusCode::CONFLICT, "Approval decided"),
            Refusal::NotAnApprover { .. } => (StatusCode::FORBIDDEN, "Not an approver"),
            Refusal::WebhookUnknown(_) | Refusal::DeliveryUnknown { .. } => {
                (StatusCode::NOT_FOUND, "Not found")
            }
            Refusal::WebhookExists(_) => (StatusCode::CONFLICT, "Exists already"),
        };
        let elsewhere = if let Refusal::TaskElsewhere { task, region } = &refusal {
            Some(Box::new((*task, region.clone())))
        } else {
            None
        };
        let problem = Self::new(status, refusal.code(), title, refusal.to_string(), refusal.hint());
        let problem = Self { elsewhere, ..problem };
        if status == StatusCode::TOO_MANY_REQUESTS { problem.retry_after_ms(RETRY_SOON_MS) } else { problem }
    }
}

impl From<JournalError> for Problem {
    fn from(error: JournalError) -> Self {
        let (status, code, title, hint) = match &error {
            JournalError::Stopped => (
                StatusCode::SERVICE_UNAVAILABLE,
                "stopping",
                "Node is stopping",
                "send it to another node, or again when the node is back",
            ),
            JournalError::NotLeader => {
                (StatusCode::SERVICE_UNAVAILABLE, "not_leader", "No leader", NO_LEADER_HINT)
            }
            JournalError::NoLeader(_) => {
                (StatusCode::SERVICE_UNAVAILABLE, "no_leader", "No leader", NO_LEADER_HINT)
            }
            JournalError::Overloaded => (
                StatusCode::TOO_MANY_REQUESTS,
                "overloaded",
                "Overloaded",
                "send it again after the time given",
            ),
            JournalError::NoSpace => (
                StatusCode::INSUFFICIENT_STORAGE,
                "no_space",
                "Disk is full",
                "free some space on the node; work in hand can still end",
            ),
            JournalError::Unknown(_) => {
                (StatusCode::SERVICE_UNAVAILABLE, "outcome_unknown", "Outcome unknown", Again::Once.hint())
            }
        };
        let problem = Self::new(status, code, title, error.to_string(), hint);
        match error {
            JournalError::NoSpace => problem,
            JournalError::Stopped
            | JournalError::NotLeader
            | JournalError::NoLeader(_)
            | JournalError::Overloaded
            | JournalError::Unknown(_) => problem.retry_after_ms(RETRY_SOON_MS),
        }
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::Refused(refusal) => refusal.into(),
            Error::Journal(error) => error.into(),
            Error::Claim(error) => {
                let problem = Self::new(
                    StatusCode::TOO_MANY_REQUESTS,
                    match &error {
                        ClaimError::Superseded => "superseded",
                        ClaimError::Crowded | ClaimError::Refused(_) | ClaimError::Journal(_) => "crowded",
                    },
                    "Claim not answered",
                    error.to_string(),
                    "claim again after the time given; nothing was claimed here",
                );
                problem.retry_after_ms(RETRY_SOON_MS)
            }
            Error::Restart(error) => Self::new(
                StatusCode::CONFLICT,
                "not_restarted",
                "Agent not restarted",
                error.to_string(),
                "look at the agent, and try again when it is up",
            ),
            Error::Name(error) => Self::bad_request("a name", error),
            Error::Json { what, error } => Self::bad_request(what, error),
            Error::NoTask(task) => {
                Self::not_found("task_unknown", format!("task {task}, neither unfinished nor in history"))
            }
            Error::NoResult(task, phase) => Self::new(
                StatusCode::CONFLICT,
                "no_result",
                "No result",
                format!("{task} has no result: it is {phase}"),
                "wait until it has completed",
            ),
            Error::Cluster(why) => Self::new(
                StatusCode::CONFLICT,
                "cluster",
                "Not so in this cluster",
                why,
                "look at `synod cluster status`",
            ),
            Error::NoWay(why) => no_way(&why),
            Error::Elsewhere(error) => error.into(),
            Error::Hook(error) => of_repository(&error),
            Error::Storage(error @ synod_storage::Error::NoSpace { .. }) => Self::new(
                StatusCode::INSUFFICIENT_STORAGE,
                "no_space",
                "Disk is full",
                format!("what the disk of this node holds cannot be read while it is full: {error}"),
                "free some space on the node, or ask another one",
            )
            .retry_after_ms(RETRY_SOON_MS),
            error @ (Error::Storage(_)
            | Error::Consensus(_)
            | Error::Identity(_)
            | Error::Gossip(_)
            | Error::System(_)
            | Error::Blob(_)
            | Error::Start(_)
            | Error::Failed(_)) => Self::internal(&error.to_string()),
        }
    }
}

/// What a repository did not do: mostly for whoever named it to put right.
fn of_repository(error: &hooks::Error) -> Problem {
    let (status, title) = match error {
        hooks::Error::Missing(_) | hooks::Error::NoRepository(_) | hooks::Error::Within { .. } => {
            (StatusCode::NOT_FOUND, "Repository not found")
        }
        hooks::Error::Relative(_) | hooks::Error::BadBranch(_) | hooks::Error::NoCommit { .. } => {
            (StatusCode::BAD_REQUEST, "Invalid request")
        }
        hooks::Error::DiskFull(_) => (StatusCode::INSUFFICIENT_STORAGE, "Disk is full"),
        hooks::Error::Locked(_) | hooks::Error::Slow { .. } | hooks::Error::Contended(_) => {
            (StatusCode::SERVICE_UNAVAILABLE, "Repository is busy")
        }
        hooks::Error::None
        | hooks::Error::NoGit(_)
        | hooks::Error::NotTrusted(_)
        | hooks::Error::BranchExists { .. }
        | hooks::Error::BranchInUse { .. }
        | hooks::Error::Fenced { .. }
        | hooks::Error::Unreadable { .. }
        | hooks::Error::Git { .. }
        | hooks::Error::Folder { .. } => (StatusCode::CONFLICT, "Repository cannot be used"),
    };
    let text = error.to_string();
    // What is wrong, and what to do about it.
    let (what, hint) = text.split_once("; ").unwrap_or((&text, "look at the repository"));
    Problem::new(status, error.code(), title, what, hint)
}

fn no_way(why: &NoWay) -> Problem {
    match why {
        NoWay::Unreachable(region) => unreachable(region, why.to_string()),
        NoWay::StrictWithFallbacks | NoWay::TooManyFallbacks(_) | NoWay::RefusedEverywhere(_) => {
            Problem::bad_request("the route", why)
        }
    }
}

fn unreachable(region: &Name, detail: String) -> Problem {
    let problem = Problem::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "region_unreachable",
        "Region unreachable",
        detail,
        format!(
            "ask a node of region {region} itself, or again when it can be reached: `synod cluster regions` shows them"
        ),
    );
    problem.retry_after_ms(RETRY_SOON_MS)
}

impl From<ElsewhereError> for Problem {
    fn from(error: ElsewhereError) -> Self {
        match &error {
            ElsewhereError::Unreachable { region, .. } => unreachable(region, error.to_string()),
            ElsewhereError::Unknown { .. } => {
                let problem = Self::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "region_silent",
                    "Region did not answer",
                    error.to_string(),
                    Again::Once.hint(),
                );
                problem.retry_after_ms(RETRY_SOON_MS)
            }
        }
    }
}
