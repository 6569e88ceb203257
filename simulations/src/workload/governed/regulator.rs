//! The regulator: policies that come and go, and approvals that are given, refused or left to expire.
//!
//! What each policy is about is told by the types of tasks: `careful` ones need the yes of two before they are submitted,
//! `guarded` ones the yes of one before they are given out, `forbidden` ones are not taken, and `choosy` ones are not for
//! one of the agents.

use std::collections::BTreeSet;
use std::sync::Arc;

use synod::node::domain::approval::{ApprovalStatus, Voter};
use synod::node::domain::command::Command;
use synod::node::domain::id::{ApprovalId, TaskId};
use synod::node::domain::name::Name;
use synod::node::domain::policy::{
    AgentLists, ApprovalDemand, Condition, Effect, Enforcement, PolicyCommand, PolicySpec, Rule, Scope, Test,
    Value,
};

use crate::history::Change;
use crate::workload::governed::{Errand, GOVERNED, Office, Wanted, named};

/// What it is called, and its workspace.
pub(super) const NAME: &str = "regulator";

/// The types of its tasks.
const KINDS: [&str; 4] = ["careful", "guarded", "forbidden", "choosy"];

/// The policies; the last one names its agent besides.
const POLICIES: [&str; 4] = ["ask-careful", "ask-guarded", "deny-forbidden", "ban"];

/// Who is asked.
const VOTERS: [&str; 3] = ["ann", "ben", "cleo"];

/// Governs until the world settles, then has no policy any more and leaves nothing undecided.
pub(super) async fn run(mut office: Office) {
    while office.is_busy() {
        match office.stream.between(0, 99) {
            0..45 => {
                let kind = office.stream.pick(&KINDS).copied().unwrap_or("careful");
                let errand = Errand::of(&mut office.stream, (50, 800), Vec::new());
                office.submit(Wanted::of(kind, errand)).await;
            }
            45..78 => vote(&mut office).await,
            78..93 => put(&mut office).await,
            _ => {
                let there = there(&office);
                if let Some(policy) = office.stream.pick(&there).cloned() {
                    remove(&office, policy).await;
                }
            }
        }
        office.pause(20, 300).await;
    }
    while office.looks_again().await {
        for policy in there(&office) {
            remove(&office, policy).await;
        }
        vote(&mut office).await;
    }
}

fn there(office: &Office) -> Vec<Name> {
    office.node.read(|state| state.policies().map(|policy| policy.spec.name.clone()).collect())
}

async fn vote(office: &mut Office) {
    let asked: Vec<(ApprovalId, Option<TaskId>)> = office.node.read(|state| {
        let pending = state.approvals().filter(|approval| approval.status == ApprovalStatus::Pending);
        pending.map(|approval| (approval.id, approval.task)).collect()
    });
    let Some((approval, task)) = office.stream.pick(&asked).copied() else { return };
    let approve = office.stream.happens(80);
    let name = named(office.stream.pick(&VOTERS).copied().unwrap_or("ann"));
    let voter = Voter { token: None, name };
    let command = PolicyCommand::Vote { approval, voter, approve, reason: "it was looked at".into() };
    office.govern(Change::Vote { approval, task, approve }, Command::Policy(command)).await;
}

async fn remove(office: &Office, policy: Name) {
    let command = Command::Policy(PolicyCommand::Remove { policy: policy.clone() });
    office.govern(Change::RemovePolicy { policy }, command).await;
}

async fn put(office: &mut Office) {
    let Some(which) = office.stream.pick(&POLICIES).copied() else { return };
    let timeout = office.stream.millis(2_000, 6_000);
    let priority = i32::try_from(office.stream.between(0, 20)).unwrap_or(0);
    let about = |kind: &str| Scope { task_types: BTreeSet::from([named(kind)]), ..Scope::default() };
    let ask =
        |quorum| Effect::RequireApproval(ApprovalDemand { quorum, timeout, ..ApprovalDemand::default() });
    let rule = |action: &str, effect| Rule {
        action: action.into(),
        conditions: Vec::new(),
        when: None,
        effect,
        reason: Some("the regulator wants it".into()),
    };
    let (name, scope, agents, rules) = match which {
        "ask-careful" => {
            (which.to_owned(), about("careful"), AgentLists::default(), vec![rule("task.submit", ask(2))])
        }
        "ask-guarded" => {
            let when = Some("task_type == 'guarded'".into());
            let rules = vec![Rule { when, ..rule("task.dispatch", ask(1)) }];
            (which.to_owned(), Scope::default(), AgentLists::default(), rules)
        }
        "deny-forbidden" => {
            let is = Test::Equals(Value::Text("forbidden".into()));
            let conditions = vec![Condition { attribute: "task_type".into(), test: is }];
            let rules = vec![Rule { conditions, ..rule("task.*", Effect::Deny) }];
            (which.to_owned(), Scope::default(), AgentLists::default(), rules)
        }
        _ => {
            let Some(agent) = an_agent(office) else { return };
            let agents = AgentLists { blocked: BTreeSet::from([agent.clone()]), ..AgentLists::default() };
            (format!("{which}-{agent}"), about("choosy"), agents, Vec::new())
        }
    };
    let spec = PolicySpec {
        name: named(&name),
        description: None,
        priority,
        enabled: true,
        enforcement: Enforcement::Hard,
        scope,
        agents,
        rules,
    };
    let change = Change::PutPolicy { policy: spec.name.clone() };
    office.govern(change, Command::Policy(PolicyCommand::Put { spec: Arc::new(spec) })).await;
}

/// Picks an agent that does governed work, by its name.
fn an_agent(office: &mut Office) -> Option<Name> {
    let pool = Some(named(GOVERNED));
    let agents: Vec<Name> = office.node.read(|state| {
        let of_pool = state.agents().filter(|agent| agent.spec.pool == pool);
        of_pool.map(|agent| agent.spec.name.clone()).collect()
    });
    office.stream.pick(&agents).cloned()
}
