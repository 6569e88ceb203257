//! What a command is for the batch that it goes with: whether it makes work, and how many bytes it takes.

use synod_domain::budget::command::BudgetCommand;
use synod_domain::command::Command;
use synod_domain::hook::{HookCommand, HookSpec};
use synod_domain::id::{AgentId, TaskId};
use synod_domain::payload::Payload;
use synod_domain::policy::{Ask, PolicyCommand};
use synod_domain::tending::PoolCommand;
use synod_domain::webhook::WebhookCommand;

/// Tells whether a command makes the disk fuller for long. The others end work or govern it: they must
/// pass on a full disk, or nothing would ever get emptier.
pub(super) fn creates_work(command: &Command) -> bool {
    matches!(
        command.plain(),
        Command::Submit { .. }
            | Command::SubmitWith { .. }
            | Command::SubmitAfter { .. }
            | Command::SubmitStrict { .. }
            | Command::StartRun { .. }
            | Command::Redrive { .. }
            | Command::KeepForRegion { .. }
            | Command::TakeOffered { .. }
            | Command::RefuseOffered { .. }
            | Command::Hook(
                HookCommand::Create { .. } | HookCommand::CreateWith { .. } | HookCommand::Adopt { .. }
            )
    )
}

fn weight_of_hook(command: &HookCommand) -> usize {
    let spec = |spec: &HookSpec| spec.work.weight() + spec.repository.len() + spec.branch.len();
    match command {
        HookCommand::Create { spec: made } | HookCommand::CreateWith { spec: made, .. } => spec(made),
        HookCommand::Adopt { hook } => spec(&hook.spec) + hook.result().map_or(0, Payload::weight),
        HookCommand::Complete { result, .. } => result.weight(),
        HookCommand::Fail { reason, .. } | HookCommand::Abandon { reason, .. } => reason.len(),
        HookCommand::Start { .. }
        | HookCommand::Touch { .. }
        | HookCommand::Reassign { .. }
        | HookCommand::Remove { .. } => 0,
    }
}

fn weight_of_policy(command: &PolicyCommand) -> usize {
    /// What a rule takes with its conditions.
    const RULE: usize = 512;
    let ask = |ask: &Ask| {
        let said = ask.attributes.iter().map(|(name, value)| name.len() + value.weight()).sum::<usize>();
        said + ask.content.as_ref().map_or(0, |content| content.len())
    };
    match command {
        PolicyCommand::Put { spec } => spec.rules.len() * RULE,
        PolicyCommand::Ask { ask: asked, .. } | PolicyCommand::Note { ask: asked, .. } => ask(asked),
        PolicyCommand::Settle { note: text, .. } | PolicyCommand::Vote { reason: text, .. } => text.len(),
        PolicyCommand::Enable { .. } | PolicyCommand::Remove { .. } | PolicyCommand::SetDefaults { .. } => 0,
    }
}

/// Returns roughly how many bytes a command takes: its payload, and a flat guess for the rest.
pub(super) fn weight(command: &Command) -> usize {
    /// What a command takes besides what can be long.
    const REST: usize = 128;
    REST + match command {
        Command::By { actor, command } => {
            weight(command) + actor.id.len() + actor.name.len() + actor.source.len()
        }
        Command::Submit { spec }
        | Command::SubmitWith { spec, .. }
        | Command::KeepForRegion { spec, .. }
        | Command::TakeOffered { spec, .. }
        | Command::SubmitAfter { spec, .. }
        | Command::SubmitStrict { spec, .. } => {
            let labels: usize = spec.labels.values().map(|value| value.len() + REST).sum();
            let after = match command {
                Command::SubmitAfter { after, .. } | Command::SubmitStrict { after, .. } => {
                    after.len() * size_of::<TaskId>()
                }
                _ => 0,
            };
            spec.weight() + labels + after + REST
        }
        Command::Complete { result, .. } => result.weight(),
        Command::StartRun { plan, .. } => plan.weight(),
        Command::Fail { reason, .. }
        | Command::Release { reason, .. }
        | Command::Cancel { reason, .. }
        | Command::SetStanding { reason, .. }
        | Command::Pause { reason, .. }
        | Command::RevokeToken { reason, .. } => reason.len(),
        Command::EndRun { summary, .. } => summary.len(),
        Command::Hook(command) => weight_of_hook(command),
        Command::Budget(BudgetCommand::RateLimited { reason, .. }) => reason.len(),
        Command::Budget(_) => 4 * REST,
        Command::Policy(command) => weight_of_policy(command),
        Command::RegionRefused { why, .. } | Command::RefuseOffered { why, .. } => why.len(),
        Command::RegisterAgent { spec } => {
            spec.metadata.as_ref().map_or(0, |metadata| metadata.len()) + 4 * REST
        }
        Command::Pool(command) => tending_weight(command),
        Command::PutPool { .. }
        | Command::Fabric(_)
        | Command::Resource(_)
        | Command::Heartbeat { .. }
        | Command::PutToken { .. }
        | Command::StartNode { .. }
        | Command::PutRegionToken { .. }
        | Command::AdmitRegion { .. }
        | Command::AdmitRegionAs { .. }
        | Command::SeeRegion { .. }
        | Command::ShareRing { .. }
        | Command::AdmitNode { .. } => 4 * REST,
        Command::KnowRegion { addresses, .. } => addresses.iter().map(|address| address.len() + REST).sum(),
        Command::MarkNode { reason, .. }
        | Command::DrainNode { reason, .. }
        | Command::RemoveRegion { reason, .. }
        | Command::LoseRegion { reason, .. }
        | Command::RemoveNode { reason, .. } => reason.len(),
        Command::Claim { offered, .. } | Command::ClaimOnce { offered, .. } => {
            offered.as_ref().map_or(0, |offered| offered.len() * REST)
        }
        Command::Breaker(_) | Command::LimitSet(_) => 4 * REST,
        Command::Webhook(WebhookCommand::Put { spec, .. } | WebhookCommand::Change { spec }) => {
            spec.url.len() + spec.topics.iter().map(|topic| topic.len() + REST).sum::<usize>()
        }
        Command::Webhook(WebhookCommand::Failed { why, .. }) => why.len(),
        Command::Webhook(_) => 0,
        Command::SetLimits { .. }
        | Command::SetWeight { .. }
        | Command::SetNodeRole { .. }
        | Command::PutJoinToken { .. }
        | Command::RevokeJoinToken { .. }
        | Command::InstallGossipKey { .. }
        | Command::UseGossipKey { .. }
        | Command::RemoveGossipKey { .. }
        | Command::BeginTerm { .. }
        | Command::OfferToRegion { .. }
        | Command::ForwardedTo { .. }
        | Command::TakeHere { .. }
        | Command::ScalePool { .. }
        | Command::RemovePool { .. }
        | Command::RemoveAgent { .. }
        | Command::Start { .. }
        | Command::Redrive { .. }
        | Command::Purge { .. }
        | Command::SetLane { .. }
        | Command::RetireAgent { .. }
        | Command::RetirePool { .. }
        | Command::Resume { .. }
        | Command::Audit(_)
        | Command::Access(_)
        | Command::RotateToken { .. } => 0,
    }
}

/// Returns the same for a command about how a pool is tended.
fn tending_weight(command: &PoolCommand) -> usize {
    /// What the definition of agents takes: a program with its environment.
    const DEFINITION: usize = 512;
    match command {
        PoolCommand::RegisterAgent { spec, .. } => {
            spec.metadata.as_ref().map_or(0, |metadata| metadata.len()) + DEFINITION
        }
        PoolCommand::RenewAgents { agents, reason, .. } => agents.len() * size_of::<AgentId>() + reason.len(),
        PoolCommand::BeginRollout { .. } | PoolCommand::Put { .. } => DEFINITION,
        PoolCommand::Autoscale { reason, .. }
        | PoolCommand::MoveRollout { reason, .. }
        | PoolCommand::PauseRollout { reason, .. }
        | PoolCommand::GiveUpAgent { reason, .. }
        | PoolCommand::AbortRollout { reason, .. } => reason.len(),
        PoolCommand::SetAutoscale { .. }
        | PoolCommand::SetRestartAfter { .. }
        | PoolCommand::SetAssignment { .. }
        | PoolCommand::SetRolling { .. }
        | PoolCommand::ResumeRollout { .. } => 0,
    }
}
