//! Golden bytes of roles, bindings, the workspaces of tokens, and owners.

use synod_domain::access::{AccessCommand, AccessRow, Owned, RoleBinding, Subject};
use synod_domain::command::Command;
use synod_domain::id::{AgentId, TokenId};
use synod_domain::name::Name;
use synod_domain::permission::Permissions;
use synod_domain::quota::{Pace, Quota};
use synod_domain::row::Row;
use synod_domain::time::Timestamp;
use synod_domain::token::{TokenKind, TokenSpec};

use super::governing_formats::body_of;

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn role_binding(subject: Subject, workspace: Option<&str>) -> RoleBinding {
    RoleBinding { subject, role: name("r"), workspace: workspace.map(name) }
}

fn quota() -> Quota {
    Quota {
        agents: Some(1),
        waiting: Some(2),
        submits_per_second: Some(3),
        storage_bytes: Some(4),
        concurrency: Some(5),
    }
}

fn permissions() -> Permissions {
    "tasks:read,roles:*".parse().unwrap()
}

#[test]
fn commands_about_access_keep_their_bytes() {
    let spec = TokenSpec {
        id: TokenId::from_raw(1),
        name: name("t"),
        kind: TokenKind::Client,
        hash: [7; 32],
        permissions: permissions(),
        expires_at: None,
        created_by: None,
    };
    let commands = [
        AccessCommand::PutRole { role: name("r"), permissions: permissions() },
        AccessCommand::RemoveRole { role: name("r") },
        AccessCommand::Bind(role_binding(Subject::Token(TokenId::from_raw(1)), None)),
        AccessCommand::Unbind(role_binding(Subject::Name(name("n")), Some("w"))),
        AccessCommand::PutToken { spec: spec.into(), workspace: name("w") },
        AccessCommand::SetOwner { owned: Owned::Pool(name("p")), workspace: Some(name("w")) },
        AccessCommand::SetOwner { owned: Owned::Agent(AgentId::from_raw(2)), workspace: None },
        AccessCommand::PutQuota { workspace: name("w"), quota: quota() },
        AccessCommand::PutQuota { workspace: name("w"), quota: Quota::default() },
    ];
    let bodies: Vec<String> =
        commands.into_iter().map(|command| body_of(&Command::Access(command))).collect();
    let hash = "07".repeat(32);
    let expected = [
        "4400017203042021".to_owned(),
        "44010172".to_owned(),
        "44020001017200".to_owned(),
        "440301016e0172010177".to_owned(),
        format!("440401017401{hash}0304202100000177"),
        "4405000170010177".to_owned(),
        "4405010200".to_owned(),
        "4406017701010102010301040105".to_owned(),
        "440601770000000000".to_owned(),
    ];
    assert_eq!(bodies, expected);
}

#[test]
fn rows_about_access_keep_their_bytes() {
    let rows = [
        AccessRow::Role(name("r"), permissions()),
        AccessRow::Binding(role_binding(Subject::Name(name("n")), Some("w"))),
        AccessRow::Workspace(TokenId::from_raw(1), name("w")),
        AccessRow::Owner(Owned::Pool(name("p")), name("w")),
        AccessRow::Quota(name("w"), quota()),
        AccessRow::Pace(name("w"), Pace::default().take(4, Timestamp::from_millis(1)).unwrap()),
    ];
    let bodies: Vec<String> = rows.into_iter().map(|row| body_of(&Row::Access(row))).collect();
    let expected = [
        "2800017203042021",
        "280101016e0172010177",
        "2802010177",
        "28030001700177",
        "2804017701010102010301040105",
        "28050177fc78d40300",
    ];
    assert_eq!(bodies, expected);
}
