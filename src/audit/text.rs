//! One record as text.

use std::sync::Arc;

use synod_domain::audit::{Actor, ActorKind, AuditRecord, AuditVerdict, Audited, Hash, Link, from_hex, hex};
use synod_domain::name::Name;
use synod_domain::time::Timestamp;

use crate::api;
use crate::http::native::shown::time;

/// Says that a record's text is not one of a record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {text:?} cannot stand there")]
pub struct Unreadable {
    field: &'static str,
    text: String,
}

/// Shows a record.
pub fn shown(record: &AuditRecord) -> api::AuditRecord {
    let Audited { request, actor, action, resource, workspace, verdict, before, after } = &record.said;
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let (verdict, code) = match verdict {
        AuditVerdict::Accepted => ("accepted", None),
        AuditVerdict::Refused(code) => ("refused", Some(code.to_string())),
    };
    api::AuditRecord {
        seq: record.seq,
        at: time(record.at),
        request: request.to_string(),
        actor: api::AuditActor {
            kind: actor.kind.as_str().to_owned(),
            id: actor.id.to_string(),
            name: some(&actor.name),
            workspace: actor.workspace.as_ref().map(Name::to_string),
            source: some(&actor.source),
        },
        action: action.to_string(),
        resource: resource.to_string(),
        workspace: workspace.as_ref().map(Name::to_string),
        verdict: verdict.to_owned(),
        code,
        before: before.as_ref().map(hex),
        after: after.as_ref().map(hex),
        previous: hex(&record.previous),
        hash: hex(&record.hash),
    }
}

/// Shows a place in the chain.
pub(crate) fn link(link: Link) -> api::AuditLink {
    api::AuditLink { seq: link.seq, hash: hex(&link.hash) }
}

/// Reads a place in the chain.
pub(super) fn link_of(link: &api::AuditLink) -> Result<Link, Unreadable> {
    Ok(Link { seq: link.seq, hash: hash("hash", &link.hash)? })
}

/// Reads a record.
///
/// # Errors
/// When a field does not hold what it must.
pub fn record_of(text: &api::AuditRecord) -> Result<AuditRecord, Unreadable> {
    let wrong = |field: &'static str, text: &str| Unreadable { field, text: text.to_owned() };
    let name = |field, name: &Option<String>| {
        name.as_deref().map(|name| Name::new(name).map_err(|_| wrong(field, name))).transpose()
    };
    let digest =
        |field, digest: &Option<String>| digest.as_deref().map(|digest| hash(field, digest)).transpose();
    let kind = ActorKind::ALL.into_iter().find(|kind| kind.as_str() == text.actor.kind);
    let optional = |text: &Option<String>| Arc::<str>::from(text.as_deref().unwrap_or_default());
    let verdict = match (text.verdict.as_str(), &text.code) {
        ("accepted", None) => AuditVerdict::Accepted,
        ("refused", Some(code)) => AuditVerdict::Refused(code.as_str().into()),
        (other, _) => return Err(wrong("verdict", other)),
    };
    let at: jiff::Timestamp = text.at.parse().map_err(|_| wrong("at", &text.at))?;
    let at = u64::try_from(at.as_millisecond()).map_err(|_| wrong("at", &text.at))?;
    Ok(AuditRecord {
        seq: text.seq,
        at: Timestamp::from_millis(at),
        said: Audited {
            request: text.request.parse().map_err(|_| wrong("request", &text.request))?,
            actor: Arc::new(Actor {
                kind: kind.ok_or_else(|| wrong("actor.kind", &text.actor.kind))?,
                id: text.actor.id.as_str().into(),
                name: optional(&text.actor.name),
                workspace: name("actor.workspace", &text.actor.workspace)?,
                source: optional(&text.actor.source),
            }),
            action: text.action.as_str().into(),
            resource: text.resource.as_str().into(),
            workspace: name("workspace", &text.workspace)?,
            verdict,
            before: digest("before", &text.before)?,
            after: digest("after", &text.after)?,
        },
        previous: hash("previous", &text.previous)?,
        hash: hash("hash", &text.hash)?,
    })
}

fn hash(field: &'static str, text: &str) -> Result<Hash, Unreadable> {
    from_hex(text).ok_or_else(|| Unreadable { field, text: text.to_owned() })
}
