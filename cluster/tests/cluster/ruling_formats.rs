//! Golden bytes of who asks, of the audit log, and of policies, approvals and violations.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use synod_domain::approval::{Approval, ApprovalStatus, Vote, Voter};
use synod_domain::audit::{
    Actor, ActorKind, AuditCommand, AuditHead, AuditKeep, AuditMark, AuditRecord, AuditVerdict, Audited, Link,
};
use synod_domain::command::Command;
use synod_domain::id::{AgentId, ApprovalId, RequestId, TaskId, TokenId, ViolationId};
use synod_domain::name::Name;
use synod_domain::policy::{
    AgentLists, ApprovalDemand, Ask, Attributes, Condition, Decider, Defaults, Effect, Enforcement, Policy,
    PolicyCommand, PolicySpec, Rule, Ruling, Scope, Test, Value, Verdict,
};
use synod_domain::row::Row;
use synod_domain::time::Timestamp;
use synod_domain::violation::{Offence, Settled, Violation, ViolationStatus};

use super::governing_formats::body_of;

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

const fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn actor() -> Arc<Actor> {
    Arc::new(Actor {
        kind: ActorKind::Token,
        id: "t".into(),
        name: "ann".into(),
        workspace: Some(name("w")),
        source: "s".into(),
    })
}

#[test]
fn who_asks_and_the_audit_log_keep_their_bytes() {
    let keep = AuditKeep { records: 2000, time: Some(Duration::from_secs(3)) };
    let commands = [
        Command::By { actor: actor(), command: Box::new(Command::Purge { task: TaskId::from_raw(7) }) },
        Command::Audit(AuditCommand::Keep(keep)),
    ];
    let said = |verdict| Audited {
        request: RequestId::from_raw(6),
        actor: actor(),
        action: "task.purge".into(),
        resource: "task/7".into(),
        workspace: Some(name("w")),
        verdict,
        before: Some([1; 32]),
        after: None,
    };
    let link = |seq, byte| Link { seq, hash: [byte; 32] };
    let record =
        |seq, verdict| AuditRecord { seq, at: at(5), said: said(verdict), previous: [2; 32], hash: [3; 32] };
    let rows = [
        Row::AuditHead(AuditHead { last: link(4, 4), anchor: link(2, 5), keep }),
        Row::AuditMark(AuditMark { link: link(4, 4), at: at(5) }),
        Row::Audit(Arc::new(record(3, AuditVerdict::Accepted))),
        Row::Audit(Arc::new(record(4, AuditVerdict::Refused("no".into())))),
    ];
    let found: Vec<String> = commands.iter().map(body_of).chain(rows.iter().map(body_of)).collect();
    let bytes = |byte: &str| byte.repeat(32);
    let of_record = |seq: &str, verdict: &str| {
        let said = format!(
            "0600017403616e6e01017701730a7461736b2e7075726765067461736b2f37010177{verdict}01{}00",
            bytes("01")
        );
        format!("22{seq}05{said}{}{}", bytes("02"), bytes("03"))
    };
    let expected = [
        "4000017403616e6e01017701731207".to_owned(),
        "4100fbd0070103".to_owned() + "00",
        format!("2004{}02{}fbd0070103", bytes("04"), bytes("05")) + "00",
        format!("2104{}05", bytes("04")),
        of_record("03", "00"),
        of_record("04", "01026e6f"),
    ];
    assert_eq!(found, expected);
}

fn policy() -> PolicySpec {
    let demand = ApprovalDemand {
        approvers: BTreeSet::from([name("ann")]),
        roles: BTreeSet::from([name("approver")]),
        quorum: 2,
        timeout: Duration::from_secs(9),
    };
    let condition = |test| Condition { attribute: "a".into(), test };
    let rule = |effect| Rule {
        action: "tool.*".into(),
        conditions: vec![
            condition(Test::Equals(Value::Whole(3))),
            condition(Test::Not(Box::new(Test::Like("/etc/*".into())))),
        ],
        when: Some("a == 3".into()),
        effect,
        reason: Some("r".into()),
    };
    PolicySpec {
        name: name("p"),
        description: Some("d".into()),
        priority: -2,
        enabled: true,
        enforcement: Enforcement::Soft,
        scope: Scope { workspaces: BTreeSet::from([name("w")]), ..Scope::default() },
        agents: AgentLists { blocked: BTreeSet::from([name("b")]), ..AgentLists::default() },
        rules: vec![rule(Effect::Allow), rule(Effect::Deny), rule(Effect::RequireApproval(demand))],
    }
}

fn decider() -> Decider {
    Decider { policy: name("p"), version: 4, rule: Some(1), enforcement: Enforcement::Soft }
}

fn ask() -> Arc<Ask> {
    let attributes: Attributes = [("a".into(), Value::Flag(true))].into_iter().collect();
    Arc::new(Ask {
        action: name("tool.run"),
        workspace: Some(name("w")),
        task: Some(TaskId::from_raw(7)),
        task_type: None,
        agent: Some(AgentId::from_raw(5)),
        attributes,
        content: Some("c".into()),
    })
}

#[test]
fn commands_about_policies_keep_their_bytes() {
    let verdict = Verdict { ruling: Ruling::Deny, by: Some(decider()), warned: true, why: "w".into() };
    let voter = Voter { token: Some(TokenId::from_raw(8)), name: name("ann") };
    let commands = [
        PolicyCommand::Put { spec: policy().into() },
        PolicyCommand::Enable { policy: name("p"), enabled: false },
        PolicyCommand::Remove { policy: name("p") },
        PolicyCommand::SetDefaults { defaults: Defaults::default() },
        PolicyCommand::Ask { id: ApprovalId::from_raw(9), ask: ask() },
        PolicyCommand::Note { id: ViolationId::from_raw(9), ask: ask(), verdict: verdict.into() },
        PolicyCommand::Settle {
            violation: ViolationId::from_raw(9),
            status: ViolationStatus::Overridden,
            by: name("ann"),
            note: "n".into(),
        },
        PolicyCommand::Vote { approval: ApprovalId::from_raw(9), voter, approve: true, reason: "r".into() },
    ];
    let found = commands.map(|one| body_of(&Command::Policy(one)));
    let expected = [
        "43000170010164030101010177000000000101620306746f6f6c2e2a02016100010601610401062f6574632f2a010661203d3d20330001017206746f6f6c2e2a02016100010601610401062f6574632f2a010661203d3d20330101017206746f6f6c2e2a02016100010601610401062f6574632f2a010661203d3d2033020103616e6e0108617070726f766572020900010172",
        "4301017000",
        "43020170",
        "4303000100",
        "43040908746f6f6c2e72756e01017701070001050101610301010163",
        "43050908746f6f6c2e72756e010177010700010501016103010101630101017004010101010177",
        "4306090403616e6e016e",
        "430709010803616e6e010172",
    ];
    assert_eq!(found, expected);
}

#[test]
fn rows_about_policies_keep_their_bytes() {
    let voter = Voter { token: None, name: name("ann") };
    let approval = Approval {
        id: ApprovalId::from_raw(9),
        action: "tool.run".into(),
        workspace: Some(name("w")),
        task: Some(TaskId::from_raw(7)),
        agent: None,
        attributes: ask().attributes.clone(),
        content: Some("c".into()),
        demand: ApprovalDemand { timeout: Duration::from_secs(9), ..ApprovalDemand::default() },
        by: decider(),
        why: "w".into(),
        requested_at: at(1),
        expires_at: at(2),
        votes: vec![Vote { voter, approve: false, reason: "r".into(), at: at(3) }],
        status: ApprovalStatus::Denied,
        decided_at: Some(at(3)),
    };
    let offence = Offence {
        policy: Some(name("p")),
        action: "tool.run".into(),
        workspace: Some(name("w")),
        subject: "k".into(),
    };
    let violation = Violation {
        id: ViolationId::from_raw(9),
        offence,
        by: Some(decider()),
        allowed: true,
        task: Some(TaskId::from_raw(7)),
        agent: Some(AgentId::from_raw(5)),
        why: "w".into(),
        count: 2,
        first_at: at(1),
        last_at: at(2),
        status: ViolationStatus::Open,
        settled: Some(Settled { by: name("ann"), at: at(3), note: "n".into() }),
    };
    let policy = Policy { spec: policy().into(), version: 4, created_at: at(1), changed_at: at(2) };
    let rows = [
        Row::Policy(policy.into()),
        Row::PolicyDefaults(Defaults { tools: true, tasks: false, others: true }),
        Row::Approval(approval.into()),
        Row::Violation(violation.into()),
    ];
    let found = rows.map(|row| body_of(&row));
    let expected = [
        "240170010164030101010177000000000101620306746f6f6c2e2a02016100010601610401062f6574632f2a010661203d3d20330001017206746f6f6c2e2a02016100010601610401062f6574632f2a010661203d3d20330101017206746f6f6c2e2a02016100010601610401062f6574632f2a010661203d3d2033020103616e6e0108617070726f766572020900010172040102",
        "25010001",
        "260908746f6f6c2e72756e0101770107000101610301010163000001090001700401010101770102010003616e6e00017203020103",
        "270901017008746f6f6c2e72756e010177016b0101700401010101010701050177020102000103616e6e03016e",
    ];
    assert_eq!(found, expected);
}
