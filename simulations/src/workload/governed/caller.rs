//! An agent outside that asks a provider for each of its tasks: it is answered, fails, hears that there are too many
//! requests and for how long it is to wait, or is answered too late.
//!
//! Providers are part of the world: each lets so many requests through in a while and refuses the next until there is room,
//! and now and then says that a quota of its own is used up, and asks for longer. When no new work comes, they have room for
//! everything. What an agent has in hand outlives the node's crashes, as with the other agents outside.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use synod::node::domain::agent::{AgentSpec, Host};
use synod::node::domain::budget::command::BudgetCommand;
use synod::node::domain::capability::Capabilities;
use synod::node::domain::command::Command;
use synod::node::domain::id::{AgentId, TaskId};
use synod::node::domain::name::Name;
use synod::node::domain::reply::Assignment;
use synod::node::domain::task::Usage;
use synod::node::{Error, Pool};

use crate::agent::{SCRIPTED_FAILURE, result};
use crate::history::{Answer, Request};
use crate::script::{Act, Step};
use crate::shared::Phase;
use crate::workload::governed::{ASKS, CALLERS, Errand, Office, REFUSAL};
use crate::workload::question::ask;

/// How the names of these agents begin.
pub(super) const NAME: &str = "caller-";

/// How many there are.
pub(super) const COUNT: u32 = 2;

/// How many tasks each may hold.
const SLOTS: u32 = 3;

/// The longest pause between two looks at what is in hand; a quarter of the silence that tasks allow.
const LOOK_MS: u64 = 500;

/// Over how long a provider counts requests.
const WINDOW: Duration = Duration::from_secs(2);

/// What an agent has in hand.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    task: TaskId,
    attempt: u32,
    /// When it hears from its provider, since the world began.
    due: Duration,
    heard: Heard,
}

/// What a provider says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Heard {
    Answered,
    Failed,
    /// So much later than it may that the agent falls silent.
    Late,
    /// Too many requests: come again after this.
    TooMany(Duration),
}

/// Works until the world closes.
pub(super) async fn run(mut office: Office) {
    let id = AgentId::from_raw(u128::from(office.shared.streams.seed_of(&office.name)));
    register(&office, id).await;
    while office.shared.phase() != Phase::Closing {
        say_what_is_due(&office).await;
        claim(&office, id).await;
        office.pause(20, LOOK_MS).await;
    }
}

async fn register(office: &Office, id: AgentId) {
    let register = async {
        office.node.put_pool(Pool::external(CALLERS)?).await?;
        let spec = AgentSpec {
            id,
            name: Name::new(&office.name)?,
            pool: Some(Name::new(CALLERS)?),
            capabilities: Capabilities::default(),
            labels: BTreeMap::new(),
            region: None,
            concurrency: SLOTS,
            host: Host::External,
            heartbeat_timeout: None,
            metadata: None,
        };
        office.node.register_agent(spec).await
    };
    // A node that fails is started again, and then the agent registers again.
    let _ = asks(office, Request::Register { agent: id, slots: SLOTS }, register, |()| Answer::Done).await;
}

async fn claim(office: &Office, id: AgentId) {
    let leases = |given: &Vec<Assignment>| {
        Answer::Claimed(given.iter().map(|one| (one.spec.id, one.attempt)).collect())
    };
    let given = asks(office, Request::Claim { agent: id }, office.node.claim(id, SLOTS), leases).await;
    let Ok(given) = given else { return register(office, id).await };
    for one in given {
        let payload = office.node.fetch(&one.spec.payload).await.ok();
        let errand = payload.and_then(|bytes| serde_json::from_slice::<Errand>(&bytes).ok());
        let account = one.spec.kind.as_str().strip_prefix(ASKS);
        let (Some(errand), Some(account)) = (errand, account) else { continue };
        let call = call(office, account, (one.spec.id, one.attempt), errand.script.step(one.attempt));
        office.shared.memory(&office.name, |memory| memory.calls.push(call));
    }
}

/// Asks a provider, and returns what it will say and when. Drawn from the attempt, so that nothing else depends on it.
fn call(office: &Office, account: &str, (task, attempt): (TaskId, u32), step: Step) -> Call {
    let shared = &office.shared;
    let now = shared.elapsed();
    let mut stream = shared.streams.open(&format!("{account} to {task} attempt {attempt}"));
    let most = shared.streams.open(&format!("requests of {account}")).between(3, 7);
    let (is_used_up, longer) = (stream.happens(5), stream.millis(2_500, 6_000));
    let (soon, late) = (stream.millis(20, 300), stream.millis(2_500, 8_000));
    let provider: Arc<str> = format!("provider {account}").into();
    let room = shared.memory(&provider, |memory| {
        memory.requests.retain(|at| now.saturating_sub(*at) < WINDOW);
        let first = memory.requests.first().copied().unwrap_or(now);
        let refuses = memory.requests.len() as u64 >= most && office.is_busy();
        if !refuses {
            memory.requests.push(now);
        }
        refuses.then(|| WINDOW - now.saturating_sub(first))
    });
    let (heard, after) = match (room, step.act) {
        (Some(wait), _) => (Heard::TooMany(wait), soon),
        (None, _) if is_used_up && office.is_busy() => (Heard::TooMany(longer), soon),
        (None, Act::Succeed) => (Heard::Answered, step.time()),
        (None, Act::Fail | Act::Refuse) => (Heard::Failed, step.time()),
        (None, Act::Hang | Act::HangDeaf | Act::Panic | Act::Kill) => (Heard::Late, late),
    };
    Call { task, attempt, due: now + after, heard }
}

async fn say_what_is_due(office: &Office) {
    let now = office.shared.elapsed();
    for call in office.shared.memory(&office.name, |memory| memory.calls.clone()) {
        let (task, attempt) = (call.task, call.attempt);
        if call.due > now {
            if call.heard != Heard::Late {
                let beat = office.node.heartbeat_task(task, attempt, None);
                let _ = asks(office, Request::Heartbeat { task, attempt }, beat, |()| Answer::Done).await;
            }
            continue;
        }
        // Without an answer it is said again.
        if matches!(say(office, &call).await, Ok(()) | Err(Error::Refused(_))) {
            let this = |other: &Call| (other.task, other.attempt) == (task, attempt);
            office.shared.memory(&office.name, |memory| memory.calls.retain(|other| !this(other)));
        }
    }
}

async fn say(office: &Office, call: &Call) -> Result<(), Error> {
    let (task, attempt, usage) = (call.task, call.attempt, Usage::default());
    match call.heard {
        Heard::Answered | Heard::Late => {
            let result = result(attempt, false).to_string();
            let complete = office.node.complete(task, attempt, result.as_bytes(), usage);
            let ended =
                asks(office, Request::Complete { task, attempt }, complete, |phase| Answer::Ended(*phase));
            ended.await.map(drop)
        }
        Heard::Failed => {
            let fail = office.node.fail(task, attempt, SCRIPTED_FAILURE, true, usage);
            asks(office, Request::Fail { task, attempt }, fail, |_| Answer::Done).await.map(drop)
        }
        Heard::TooMany(pause) => {
            let reason = REFUSAL.into();
            let limited = BudgetCommand::RateLimited { task, attempt, retry_after: pause, reason, usage };
            let refused = office.node.propose(Command::Budget(limited));
            let request = Request::Limited { task, attempt, pause };
            asks(office, request, refused, |_| Answer::Done).await.map(drop)
        }
    }
}

async fn asks<T>(
    office: &Office,
    request: Request,
    call: impl Future<Output = Result<T, Error>>,
    answer: impl FnOnce(&T) -> Answer,
) -> Result<T, Error> {
    ask(&office.shared, &office.name, request, call, answer).await
}
