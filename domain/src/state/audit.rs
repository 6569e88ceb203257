//! Making the records of the audit log, in the entry that makes the change.
//!
//! ```text
//!  command ─► what it touches, as it is ─► judged ─► the same, as it is afterwards ─► record behind the last one
//! ```
//!
//! The records themselves are rows that nobody reads at a start, like history: here is what the disk does not have yet,
//! the agreed ends of the chain, and a mark every so many records, so that old ones are dropped alike everywhere.
//! What [`about`] says of a command must follow from what is agreed, never from what a checkpoint has stored or not.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::access::{AccessCommand, AccessKey, RoleBinding};
use crate::audit::{
    Actor, ActorKind, AuditCommand, AuditHead, AuditKeep, AuditMark, AuditRecord, AuditVerdict, Audited,
    Hash, MARK_RECORDS, digest_of,
};
use crate::breaker::BreakerCommand;
use crate::budget::command::BudgetCommand;
use crate::budget::row::BudgetKey;
use crate::command::Command;
use crate::fabric::{FabricCommand, FabricKey};
use crate::hook::HookCommand;
use crate::id::{ApprovalId, RequestId, TaskId, ViolationId};
use crate::limit_set::LimitSetCommand;
use crate::name::Name;
use crate::policy::PolicyCommand;
use crate::refusal::Refusal;
use crate::reply::{Answer, Reply};
use crate::resource::{ResourceCommand, ResourceKey};
use crate::row::{Row, RowKey};
use crate::state::{State, Step};
use crate::task::TaskSpec;
use crate::tending::{PoolCommand, TendingKey};
use crate::webhook::{WebhookCommand, WebhookKey};

/// The ends of the chain and the marks on it.
#[derive(Debug, Clone, Default)]
pub(super) struct Trail {
    pub(super) head: AuditHead,
    /// By the number of the record.
    pub(super) marks: BTreeMap<u64, AuditMark>,
}

/// What a command is about.
struct About {
    action: &'static str,
    /// The kind of what it touches, and its name.
    resource: (&'static str, String),
    touched: Touched,
    workspace: Option<Name>,
}

/// Of what the digest is taken.
enum Touched {
    Nothing,
    Row(RowKey),
    Limits,
    Keep,
}

/// A command that is audited, before it is judged.
pub(super) struct Noted {
    about: About,
    before: Option<Hash>,
}

impl State {
    /// Looks at what a command will touch; `None` for one that is not audited.
    pub(super) fn note(&self, command: &Command) -> Option<Noted> {
        let about = self.about(command)?;
        let before = self.digest(&about.touched, false);
        Some(Noted { about, before })
    }

    /// Puts the record of a command into the chain.
    pub(super) fn record(
        &mut self,
        step: &Step,
        request: RequestId,
        actor: Option<&Arc<Actor>>,
        noted: Noted,
        answer: &Answer,
    ) {
        let Noted { about, before } = noted;
        let (kind, name) = about.resource;
        let after = self.digest(&about.touched, before.is_some());
        let said = Audited {
            request,
            actor: actor.map_or_else(|| Arc::new(Actor::of(ActorKind::Node, "node")), Arc::clone),
            action: about.action.into(),
            resource: if name.is_empty() { kind.into() } else { format!("{kind}/{name}").into() },
            workspace: about.workspace,
            verdict: answer.as_ref().map_or_else(
                |refusal: &Refusal| AuditVerdict::Refused(refusal.code().into()),
                |_| AuditVerdict::Accepted,
            ),
            before,
            after,
        };
        let record = AuditRecord::behind(self.trail.head.last, step.now, said);
        self.trail.head.last = record.link();
        if record.seq.is_multiple_of(MARK_RECORDS) {
            let mark = AuditMark { link: record.link(), at: record.at };
            self.trail.marks.insert(record.seq, mark);
            self.changes.touch(RowKey::AuditMark(record.seq));
        }
        self.changes.touch(RowKey::AuditHead);
        self.changes.audit.insert(record.seq, Some(Arc::new(record)));
        self.drop_old_records(step);
    }

    /// Drops the oldest records up to a mark, if there are too many behind it or they are old enough: at most one mark's
    /// at a time, so that no entry pays for all of them.
    fn drop_old_records(&mut self, step: &Step) {
        let AuditHead { last, anchor, keep } = self.trail.head;
        let Some((number, mark)) = self.trail.marks.first_key_value().map(|(number, mark)| (*number, *mark))
        else {
            return;
        };
        let too_many = last.seq - number >= keep.records;
        let too_old = keep.time.is_some_and(|time| step.now.since(mark.at) > time);
        if !too_many && !too_old {
            return;
        }
        self.trail.marks.remove(&number);
        self.changes.touch(RowKey::AuditMark(number));
        self.trail.head.anchor = mark.link;
        for seq in anchor.seq + 1..=number {
            self.changes.audit.insert(seq, None);
        }
    }

    pub(super) fn change_audit(&mut self, command: &AuditCommand) -> Answer {
        let AuditCommand::Keep(keep) = command;
        let AuditKeep { records, time } = *keep;
        let refuse = |field: &str, why: String| Err(Refusal::Invalid { field: field.to_owned(), why });
        if records < MARK_RECORDS {
            return refuse("records", format!("it must be at least {MARK_RECORDS}"));
        }
        if time.is_some_and(|time| time.is_zero()) {
            return refuse("time", "it must be longer than nothing".to_owned());
        }
        self.trail.head.keep = *keep;
        self.changes.touch(RowKey::AuditHead);
        Ok(Reply::Done)
    }

    /// Returns the ends of the audit log.
    pub const fn audit_head(&self) -> AuditHead {
        self.trail.head
    }

    /// Walks the records that no checkpoint has stored yet, oldest first, from a number on. The others are found on disk.
    pub fn audit_unstored(&self, from: u64) -> impl Iterator<Item = &Arc<AuditRecord>> {
        let newer = self.changes.audit.range(from..);
        // What is written now is older than what came since.
        self.changes.audit_writing.range(from..).chain(newer).filter_map(|(_, record)| record.as_ref())
    }

    /// Returns the digest of what a command touches. A task that ended with the command is on its way to history.
    fn digest(&self, touched: &Touched, was_there: bool) -> Option<Hash> {
        match touched {
            Touched::Nothing => None,
            Touched::Limits => digest_of(&self.meta.limits),
            Touched::Keep => digest_of(&self.trail.head.keep),
            Touched::Row(key) => {
                let row = self.row(key);
                let row = match key {
                    RowKey::Task(task) if row.is_none() && was_there => {
                        self.changes.ended.get(task).cloned().map(Row::Task)
                    }
                    _ => row,
                };
                row.and_then(|row| digest_of(&row))
            }
        }
    }

    /// Says what a command is about; `None` for the traffic of work, which the tasks themselves tell.
    fn about(&self, command: &Command) -> Option<About> {
        let row = |action, resource: (&'static str, String), key: RowKey| About {
            action,
            resource,
            touched: Touched::Row(key),
            workspace: None,
        };
        let submit = |spec: &TaskSpec| About {
            workspace: Some(spec.workspace.clone()),
            ..row("task.submit", ("task", spec.id.to_string()), RowKey::Task(spec.id))
        };
        let task = |action, id: TaskId| About {
            workspace: self.tasks.get(&id).map(|task| task.spec.workspace.clone()),
            ..row(action, ("task", id.to_string()), RowKey::Task(id))
        };
        let letter = |action, id: TaskId| About {
            workspace: self.dead_letters.get(&id).map(|task| task.spec.workspace.clone()),
            ..row(action, ("dead_letter", id.to_string()), RowKey::DeadLetter(id))
        };
        let pool = |action, pool: &Name| row(action, ("pool", pool.to_string()), RowKey::Pool(pool.clone()));
        let agent = |action, id| row(action, ("agent", format!("{id}")), RowKey::Agent(id));
        let node = |action, id| row(action, ("node", format!("{id}")), RowKey::Node(id));
        let token = |action, id| row(action, ("token", format!("{id}")), RowKey::Token(id));
        let join = |action, id| row(action, ("join_token", format!("{id}")), RowKey::JoinToken(id));
        let ring = |action, number: String| row(action, ("gossip_key", number), RowKey::Keyring);
        let region = |action, name: &Name| row(action, ("region", name.to_string()), RowKey::Federation);
        let bare = |action, kind, touched| About {
            action,
            resource: (kind, String::new()),
            touched,
            workspace: None,
        };
        Some(match command {
            // Under a lease, or on its way between regions: the task tells it.
            Command::Claim { .. }
            | Command::ClaimOnce { .. }
            | Command::Start { .. }
            | Command::Heartbeat { .. }
            | Command::Complete { .. }
            | Command::Fail { .. }
            | Command::Release { .. }
            | Command::OfferToRegion { .. }
            | Command::ForwardedTo { .. }
            | Command::RegionRefused { .. }
            | Command::TakeHere { .. }
            | Command::RefuseOffered { .. }
            | Command::Budget(
                BudgetCommand::Record { .. }
                | BudgetCommand::Report { .. }
                | BudgetCommand::RateLimited { .. },
            )
            | Command::Hook(
                HookCommand::Start { .. }
                | HookCommand::Touch { .. }
                | HookCommand::Complete { .. }
                | HookCommand::Fail { .. },
            )
            | Command::Webhook(WebhookCommand::Delivered { .. } | WebhookCommand::Failed { .. }) => {
                return None;
            }
            // Never reached: who asks was taken off before.
            Command::By { .. } => return None,
            Command::SetLimits { .. } => bare("limits.set", "limits", Touched::Limits),
            Command::SetWeight { workspace, .. } => About {
                workspace: Some(workspace.clone()),
                ..row(
                    "workspace.weight",
                    ("workspace", workspace.to_string()),
                    RowKey::Workspace(workspace.clone()),
                )
            },
            Command::StartNode { spec, .. } => node("node.start", spec.id),
            Command::PutPool { spec } => pool("pool.put", &spec.name),
            Command::ScalePool { pool: name, .. } => pool("pool.scale", name),
            Command::RemovePool { pool: name } => pool("pool.remove", name),
            Command::RetirePool { pool: name } => pool("pool.retire", name),
            Command::RegisterAgent { spec } => agent("agent.register", spec.id),
            Command::SetStanding { agent: id, .. } => agent("agent.standing", *id),
            Command::RemoveAgent { agent: id } => agent("agent.remove", *id),
            Command::RetireAgent { agent: id } => agent("agent.retire", *id),
            Command::Fabric(FabricCommand::SetBounds { .. }) => {
                bare("fabric.bounds", "fabric", Touched::Row(RowKey::Fabric(FabricKey::Bounds)))
            }
            Command::Fabric(FabricCommand::PutPool { spec, .. }) => pool("pool.put", &spec.name),
            Command::Pool(PoolCommand::RegisterAgent { spec, .. }) => agent("agent.register", spec.id),
            Command::Pool(PoolCommand::Put { spec, .. }) => pool("pool.put", &spec.name),
            Command::Pool(PoolCommand::GiveUpAgent { agent: id, .. }) => agent("agent.give_up", *id),
            Command::Pool(command) => {
                let (action, pool, key) = of_pool(command)?;
                row(action, ("pool", pool.to_string()), RowKey::Tending(key))
            }
            Command::Budget(command) => {
                let (action, name) = match command {
                    BudgetCommand::Put { spec } => ("budget.put", &spec.name),
                    BudgetCommand::Remove { budget } => ("budget.remove", budget),
                    BudgetCommand::Reset { budget, .. } => ("budget.reset", budget),
                    BudgetCommand::Override { budget, .. } => ("budget.override", budget),
                    BudgetCommand::Configure { .. } => {
                        let common = Touched::Row(RowKey::Budget(BudgetKey::Common));
                        return Some(bare("budget.configure", "budgets", common));
                    }
                    BudgetCommand::Record { .. }
                    | BudgetCommand::Report { .. }
                    | BudgetCommand::RateLimited { .. } => return None,
                };
                let key = RowKey::Budget(BudgetKey::Budget(name.clone()));
                row(action, ("budget", name.to_string()), key)
            }
            Command::Hook(command) => {
                let (action, id) = match command {
                    HookCommand::Create { spec } | HookCommand::CreateWith { spec, .. } => {
                        ("hook.create", spec.id)
                    }
                    HookCommand::Adopt { hook } => ("hook.adopt", hook.spec.id),
                    HookCommand::Reassign { hook, .. } => ("hook.reassign", *hook),
                    HookCommand::Abandon { hook, .. } => ("hook.abandon", *hook),
                    HookCommand::Remove { hook, .. } => ("hook.remove", *hook),
                    HookCommand::Start { .. }
                    | HookCommand::Touch { .. }
                    | HookCommand::Complete { .. }
                    | HookCommand::Fail { .. } => return None,
                };
                row(action, ("hook", id.to_string()), RowKey::Hook(id))
            }
            Command::Breaker(command) => {
                let (action, of) = match command {
                    BreakerCommand::Put { spec } => ("breaker.put", &spec.of),
                    BreakerCommand::Remove { of } => ("breaker.remove", of),
                    BreakerCommand::Reset { of } => ("breaker.reset", of),
                    BreakerCommand::Trip { of, .. } => ("breaker.trip", of),
                };
                row(action, ("breaker", of.path()), RowKey::Breaker(of.clone()))
            }
            Command::LimitSet(command) => {
                let (action, set) = match command {
                    LimitSetCommand::Put { spec } => ("limit.put", &spec.name),
                    LimitSetCommand::Remove { set } => ("limit.remove", set),
                };
                row(action, ("limit", set.to_string()), RowKey::LimitSet(set.clone()))
            }
            Command::Resource(command) => {
                let (action, name) = match command {
                    ResourceCommand::Put { name, .. } => ("resource.put", name),
                    ResourceCommand::Remove { name } => ("resource.remove", name),
                };
                let key = RowKey::Resource(ResourceKey::Resource(name.clone()));
                row(action, ("resource", name.to_string()), key)
            }
            Command::Submit { spec }
            | Command::SubmitWith { spec, .. }
            | Command::SubmitAfter { spec, .. }
            | Command::SubmitStrict { spec, .. }
            | Command::KeepForRegion { spec, .. }
            | Command::TakeOffered { spec, .. } => submit(spec),
            Command::Cancel { task: id, .. } => task("task.cancel", *id),
            Command::SetLane { task: id, .. } => task("task.move", *id),
            Command::Redrive { task: id, .. } => letter("task.redrive", *id),
            Command::Purge { task: id } => letter("task.purge", *id),
            Command::StartRun { run, .. } => row("run.start", ("run", run.to_string()), RowKey::Run(*run)),
            Command::EndRun { run, .. } => row("run.end", ("run", run.to_string()), RowKey::Run(*run)),
            Command::Pause { what, .. } => row("pause", ("pause", what.path()), RowKey::Pause(what.clone())),
            Command::Resume { what } => row("resume", ("pause", what.path()), RowKey::Pause(what.clone())),
            Command::PutToken { spec } => token("token.create", spec.id),
            Command::RotateToken { token: id, .. } => token("token.rotate", *id),
            Command::RevokeToken { token: id, .. } => token("token.revoke", *id),
            Command::AdmitNode { spec, .. } => node("node.admit", spec.id),
            Command::MarkNode { node: id, .. } => node("node.mark", *id),
            Command::DrainNode { node: id, .. } => node("node.drain", *id),
            Command::SetNodeRole { node: id, .. } => node("node.role", *id),
            Command::RemoveNode { node: id, .. } => node("node.remove", *id),
            Command::BeginTerm { node: id, .. } => node("node.lead", *id),
            Command::PutJoinToken { token } => join("join_token.create", token.id),
            Command::RevokeJoinToken { token } => join("join_token.revoke", *token),
            Command::InstallGossipKey { .. } => ring("gossip_key.install", String::new()),
            Command::UseGossipKey { number } => ring("gossip_key.use", number.to_string()),
            Command::RemoveGossipKey { number } => ring("gossip_key.remove", number.to_string()),
            Command::PutRegionToken { .. } => bare("region_token.create", "region_token", Touched::Nothing),
            Command::AdmitRegion { region: name, .. } | Command::AdmitRegionAs { region: name, .. } => {
                region("region.admit", name)
            }
            Command::KnowRegion { region: name, .. } => region("region.know", name),
            Command::SeeRegion { region: name, .. } => {
                row("region.see", ("region", name.to_string()), RowKey::Clusters)
            }
            Command::RemoveRegion { region: name, .. } => region("region.remove", name),
            Command::LoseRegion { region: name, .. } => region("region.lose", name),
            Command::ShareRing { .. } => bare("region.ring", "ring", Touched::Row(RowKey::Federation)),
            Command::Access(command) => about_access(command),
            Command::Webhook(command) => {
                let action = match command {
                    WebhookCommand::Put { .. } => "webhook.create",
                    WebhookCommand::Change { .. } => "webhook.change",
                    WebhookCommand::Remove { .. } => "webhook.remove",
                    WebhookCommand::Rotate { .. } => "webhook.rotate",
                    WebhookCommand::Test { .. } => "webhook.test",
                    WebhookCommand::Redeliver { .. } => "webhook.redeliver",
                    WebhookCommand::Delivered { .. } | WebhookCommand::Failed { .. } => return None,
                };
                let id = command.webhook();
                row(action, ("webhook", id.to_string()), RowKey::Webhook(WebhookKey::Webhook(id)))
            }
            Command::Audit(AuditCommand::Keep(_)) => bare("audit.keep", "audit", Touched::Keep),
            Command::Policy(command) => {
                let policy = |action, name: &Name| {
                    row(action, ("policy", name.to_string()), RowKey::Policy(name.clone()))
                };
                let violation = |action, id: ViolationId| {
                    row(action, ("violation", id.to_string()), RowKey::Violation(id))
                };
                let approval =
                    |action, id: ApprovalId| row(action, ("approval", id.to_string()), RowKey::Approval(id));
                match command {
                    PolicyCommand::Put { spec } => policy("policy.put", &spec.name),
                    PolicyCommand::Enable { policy: name, .. } => policy("policy.toggle", name),
                    PolicyCommand::Remove { policy: name } => policy("policy.remove", name),
                    PolicyCommand::SetDefaults { .. } => {
                        bare("policy.defaults", "policy", Touched::Row(RowKey::PolicyDefaults))
                    }
                    PolicyCommand::Ask { id, .. } => approval("policy.ask", *id),
                    PolicyCommand::Note { id, .. } => violation("policy.deny", *id),
                    PolicyCommand::Settle { violation: id, .. } => violation("violation.settle", *id),
                    PolicyCommand::Vote { approval: id, approve: true, .. } => {
                        approval("approval.approve", *id)
                    }
                    PolicyCommand::Vote { approval: id, approve: false, .. } => {
                        approval("approval.deny", *id)
                    }
                }
            }
        })
    }
}

/// Returns what a change of how a pool is tended is called, which pool it is about, and the row that it changes.
fn of_pool(command: &PoolCommand) -> Option<(&'static str, &Name, TendingKey)> {
    let versions = |action, pool: &Name| (action, TendingKey::Versions(pool.clone()));
    let (pool, (action, key)) = match command {
        PoolCommand::SetAutoscale { pool, .. } => {
            (pool, ("pool.autoscale", TendingKey::Autoscaling(pool.clone())))
        }
        PoolCommand::Autoscale { pool, .. } => {
            (pool, ("pool.scale_by_rule", TendingKey::Autoscaling(pool.clone())))
        }
        PoolCommand::SetRestartAfter { pool, .. } => {
            (pool, ("pool.restart_after", TendingKey::RestartAfter(pool.clone())))
        }
        PoolCommand::SetAssignment { pool, .. } => {
            (pool, ("pool.assignment", TendingKey::Assignment(pool.clone())))
        }
        PoolCommand::SetRolling { pool, .. } => (pool, ("pool.rolling", TendingKey::Rolling(pool.clone()))),
        PoolCommand::RenewAgents { pool, .. } => (pool, versions("pool.renew_agents", pool)),
        PoolCommand::BeginRollout { pool, .. } => (pool, versions("rollout.begin", pool)),
        PoolCommand::MoveRollout { pool, .. } => (pool, versions("rollout.move", pool)),
        PoolCommand::PauseRollout { pool, .. } => (pool, versions("rollout.pause", pool)),
        PoolCommand::ResumeRollout { pool } => (pool, versions("rollout.resume", pool)),
        PoolCommand::AbortRollout { pool, .. } => (pool, versions("rollout.abort", pool)),
        PoolCommand::RegisterAgent { .. } | PoolCommand::GiveUpAgent { .. } | PoolCommand::Put { .. } => {
            return None;
        }
    };
    Some((action, pool, key))
}

/// Says what a change of who may do what is about.
fn about_access(command: &AccessCommand) -> About {
    let about = |action, kind, name: String, key| About {
        action,
        resource: (kind, name),
        touched: Touched::Row(key),
        workspace: None,
    };
    let role = |action, role: &Name| {
        about(action, "role", role.to_string(), RowKey::Access(AccessKey::Role(role.clone())))
    };
    let binding = |action, of: &RoleBinding| {
        let name = format!("{}/{}", of.role, of.subject.path());
        let key = RowKey::Access(AccessKey::Binding(of.clone()));
        About { workspace: of.workspace.clone(), ..about(action, "role_binding", name, key) }
    };
    match command {
        AccessCommand::PutRole { role: name, .. } => role("role.put", name),
        AccessCommand::RemoveRole { role: name } => role("role.remove", name),
        AccessCommand::Bind(of) => binding("role.bind", of),
        AccessCommand::Unbind(of) => binding("role.unbind", of),
        AccessCommand::PutToken { spec, workspace } => About {
            workspace: Some(workspace.clone()),
            ..about("token.create", "token", spec.id.to_string(), RowKey::Token(spec.id))
        },
        AccessCommand::PutQuota { workspace, .. } => About {
            workspace: Some(workspace.clone()),
            ..about(
                "workspace.quota",
                "workspace",
                workspace.to_string(),
                RowKey::Access(AccessKey::Quota(workspace.clone())),
            )
        },
        AccessCommand::SetOwner { owned, workspace } => About {
            workspace: workspace.clone(),
            ..about("owner.set", "owner", owned.path(), RowKey::Access(AccessKey::Owner(owned.clone())))
        },
    }
}
