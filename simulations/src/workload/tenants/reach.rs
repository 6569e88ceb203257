//! What a tenant reaches for that is others': of the other tenant, of those who are bound to nothing, of the process.
//!
//! Somebody who has guessed an id or a name. What there is to reach for is looked up as the process sees it, and now and
//! then something is reached for that was never there.

use std::sync::Arc;

use synod::node::domain::access::{AccessCommand, RoleBinding, Subject};
use synod::node::domain::agent::Standing;
use synod::node::domain::command::Command;
use synod::node::domain::id::{AgentId, TaskId, TokenId};
use synod::node::domain::name::Name;
use synod::node::domain::pause::Pausable;
use synod::node::domain::permission::Permissions;
use synod::node::domain::task::{Lane, MailboxId};
use synod::node::domain::token::{TokenKind, TokenSpec};
use synod::node::{Error, Pool};

use crate::history::{Answer, Request, Thing, Verb};
use crate::script::{Act, Script};
use crate::workload::tenants::{TENANTS, Tenant};
use crate::workload::{CLIENTS, client_name};

/// How many of the latest of a kind it chooses from.
const LATEST: usize = 12;

/// How many of a hundred things were never there.
const NOWHERE: u64 = 8;

/// Reaches for something that is not the tenant's.
pub(super) async fn for_something(tenant: &mut Tenant) {
    let Some(thing) = something(tenant) else { return };
    let verbs: &[Verb] = match &thing {
        Thing::Task(_) => &[Verb::Cancel, Verb::SetLane, Verb::Follow],
        Thing::Letter(_) => &[Verb::Redrive, Verb::Purge, Verb::Follow],
        Thing::Pool(_) => &[
            Verb::Submit,
            Verb::Put,
            Verb::Scale,
            Verb::Retire,
            Verb::Remove,
            Verb::Join,
            Verb::Pause,
            Verb::Resume,
        ],
        Thing::Agent(_) => &[Verb::Submit, Verb::SetStanding, Verb::Remove, Verb::Retire, Verb::Pause],
        Thing::Token(_) => &[Verb::Rotate, Verb::Revoke, Verb::Bind],
        Thing::Pause(_) => &[],
        Thing::Workspace(_) => &[Verb::Submit, Verb::Pause, Verb::Resume, Verb::Put],
    };
    let Some(verb) = tenant.stream.pick(verbs).copied() else { return };
    let request = Request::Reach { workspace: tenant.workspace.clone(), thing: thing.clone(), verb };
    let (key, hash) = (tenant.wide(), tenant.hash());
    let call = async {
        let Some(command) = command(tenant, &thing, verb, (key, hash))? else {
            return by_a_verb(tenant, &thing, verb).await;
        };
        tenant.node.propose(command).await.map(drop)
    };
    // That it is refused is what is wanted.
    let _ = tenant.ask(request, Box::pin(call), |()| Answer::Done).await;
}

/// Picks something that is another's, or nobody's.
pub(super) fn something(tenant: &mut Tenant) -> Option<Thing> {
    if tenant.stream.happens(NOWHERE) {
        let raw = tenant.wide();
        return Some(match tenant.stream.between(0, 4) {
            0 => Thing::Task(TaskId::from_raw(raw)),
            1 => Thing::Letter(TaskId::from_raw(raw)),
            2 => Thing::Pool(Name::new("nobody/works").ok()?),
            3 => Thing::Agent(AgentId::from_raw(raw)),
            _ => Thing::Token(TokenId::from_raw(raw)),
        });
    }
    let own = tenant.workspace.clone();
    let kind = tenant.stream.between(0, 99);
    let ended = tenant.stream.happens(40);
    let things: Vec<Thing> = match kind {
        // Those that a client was told of have ended, most of them.
        0..30 if ended => {
            let client = usize::try_from(tenant.stream.between(0, CLIENTS as u64)).unwrap_or(0);
            let other = TENANTS.into_iter().find(|name| *name != own.as_str())?.to_owned();
            let whose = if client < CLIENTS { client_name(client) } else { other };
            let known = tenant.shared.memory(&whose.into(), |memory| memory.acknowledged.clone());
            known.iter().rev().take(LATEST).copied().map(Thing::Task).collect()
        }
        0..30 => tenant.node.read(|state| {
            let tasks = state.tasks_below(None).filter(|task| task.spec.workspace != own);
            tasks.take(LATEST).map(|task| Thing::Task(task.spec.id)).collect()
        }),
        30..45 => tenant.node.read(|state| {
            let letters = state.dead_letters_below(None).filter(|task| task.spec.workspace != own);
            letters.take(LATEST).map(|task| Thing::Letter(task.spec.id)).collect()
        }),
        45..65 => tenant.node.read(|state| {
            let pools = state.pools().map(|pool| &pool.spec.name);
            pools.filter(|pool| state.workspace_of_pool(pool) != own).cloned().map(Thing::Pool).collect()
        }),
        65..80 => tenant.node.read(|state| {
            let agents = state.agents().filter(|agent| state.workspace_of_agent(&agent.spec) != own);
            agents.map(|agent| Thing::Agent(agent.spec.id)).collect()
        }),
        80..92 => tenant.node.read(|state| {
            let tokens = state.tokens().map(|token| token.spec.id);
            tokens.filter(|token| state.workspace_of_token(*token) != Some(&own)).map(Thing::Token).collect()
        }),
        _ => {
            let others = TENANTS.into_iter().filter(|name| *name != own.as_str()).map(Name::new);
            others.chain([Name::new(&client_name(0))]).flatten().map(Thing::Workspace).collect()
        }
    };
    tenant.stream.pick(&things).cloned()
}

/// Returns the command for a change; none where the node has a verb of its own for it.
fn command(
    tenant: &Tenant,
    thing: &Thing,
    verb: Verb,
    (raw, hash): (u128, [u8; 32]),
) -> Result<Option<Command>, Error> {
    let reason: Arc<str> = "a tenant wants it so".into();
    let pause = |what: Pausable| match verb {
        Verb::Pause => Command::Pause { what, reason: Arc::clone(&reason) },
        _ => Command::Resume { what },
    };
    Ok(Some(match (thing, verb) {
        (Thing::Pool(_), Verb::Put) | (Thing::Pause(_), _) => return Ok(None),
        (_, Verb::Submit | Verb::Follow | Verb::Look) => return Ok(None),
        (Thing::Task(task), Verb::SetLane) => Command::SetLane { task: *task, lane: Lane::Low },
        (Thing::Task(task), _) => Command::Cancel { task: *task, reason },
        (Thing::Letter(task), Verb::Redrive) => {
            Command::Redrive { task: *task, new_task: tenant.node.new_task_id() }
        }
        (Thing::Letter(task), _) => Command::Purge { task: *task },
        (Thing::Pool(pool), Verb::Scale) => Command::ScalePool { pool: pool.clone(), target: 0 },
        (Thing::Pool(pool), Verb::Retire) => Command::RetirePool { pool: pool.clone() },
        (Thing::Pool(pool), Verb::Remove) => Command::RemovePool { pool: pool.clone() },
        (Thing::Pool(pool), Verb::Join) => {
            Command::RegisterAgent { spec: Arc::new(tenant.hand(pool.clone())) }
        }
        (Thing::Pool(pool), _) if raw.is_multiple_of(2) => pause(Pausable::Pool(pool.clone())),
        (Thing::Pool(pool), _) => pause(Pausable::Mailbox(MailboxId::Pool(pool.clone()))),
        (Thing::Agent(agent), Verb::SetStanding) => {
            Command::SetStanding { agent: *agent, standing: Standing::Draining, reason }
        }
        (Thing::Agent(agent), Verb::Remove) => Command::RemoveAgent { agent: *agent },
        (Thing::Agent(agent), Verb::Retire) => Command::RetireAgent { agent: *agent },
        (Thing::Agent(agent), _) => pause(Pausable::Mailbox(MailboxId::Agent(*agent))),
        (Thing::Token(token), Verb::Rotate) => {
            Command::RotateToken { token: *token, hash, keep_old_until: None }
        }
        (Thing::Token(token), Verb::Bind) => Command::Access(AccessCommand::Bind(RoleBinding {
            subject: Subject::Token(*token),
            role: Name::new("admin")?,
            workspace: Some(tenant.workspace.clone()),
        })),
        (Thing::Token(token), _) => Command::RevokeToken { token: *token, reason },
        (Thing::Workspace(workspace), Verb::Put) => {
            let spec = TokenSpec {
                id: TokenId::from_raw(raw),
                name: tenant.own("token"),
                kind: TokenKind::Client,
                hash,
                permissions: Permissions::of_worker(),
                expires_at: None,
                created_by: None,
            };
            Command::Access(AccessCommand::PutToken { spec: spec.into(), workspace: workspace.clone() })
        }
        (Thing::Workspace(workspace), _) => pause(Pausable::Workspace(workspace.clone())),
    }))
}

/// Changes somebody's pool, or submits work to somebody else, in the name of somebody else, or after their work.
async fn by_a_verb(tenant: &Tenant, thing: &Thing, verb: Verb) -> Result<(), Error> {
    let script = Script::of(&[(Act::Succeed, 10)]);
    let to = |mailbox: MailboxId| tenant.task(mailbox, &script, Some(super::WAITING));
    let works = MailboxId::Pool(tenant.works());
    let task = match (thing, verb) {
        (Thing::Task(task) | Thing::Letter(task), _) => to(works)?.after([*task]),
        (Thing::Pool(pool), Verb::Put) => return tenant.node.put_pool(Pool::external(pool.as_str())?).await,
        (Thing::Pool(pool), _) => to(MailboxId::Pool(pool.clone()))?,
        (Thing::Agent(agent), _) => to(MailboxId::Agent(*agent))?,
        (Thing::Workspace(workspace), _) => to(works)?.workspace(workspace.clone()),
        (Thing::Token(_) | Thing::Pause(_), _) => return Ok(()),
    };
    tenant.node.submit(task).await.map(drop)
}
