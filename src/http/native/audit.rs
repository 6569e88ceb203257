//! `/api/v1/audit`: who changed what, how the chain of records stands, and checking it.

use std::time::Duration;

use axum::Json;
use axum::body::Body as Content;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::stream;
use synod_domain::audit::{AuditCommand, AuditHead, AuditKeep, AuditRecord, AuditVerdict, Link};
use synod_domain::command::Command;
use synod_domain::name::Name;
use synod_domain::permission::Permission::{AuditRead, AuditWrite};
use synod_domain::time::Timestamp;
use utoipa::OpenApi;

use super::listing::{Everything, Listing, page};
use super::{examples, read, shown};
use crate::api;
use crate::audit::{export_head, link, shown as record};
use crate::http::extract::{Body, InQuery};
use crate::http::{Context, Needs, Once, Problem, Routes};
use crate::node::{self, AUDIT_PAGE_MAX, Kept, Node};

/// How many records one page of a filtered list looks at. A filter that finds less gives a shorter page and goes on with
/// the next one.
const LOOKED_AT_MAX: usize = 20_000;

/// The audit log's part of the document.
#[derive(OpenApi)]
#[openapi(paths(list_audit, audit_stats, verify_audit, export_audit, keep_audit))]
pub(super) struct Doc;

pub(super) fn routes() -> Routes {
    let read = Needs::Permission(AuditRead);
    Routes::default()
        .get("/api/v1/audit", read.own(), list_audit)
        .get("/api/v1/audit/stats", read, audit_stats)
        .get("/api/v1/audit/verify", read.long().agreed(), verify_audit)
        .get("/api/v1/audit/export", read.long().agreed(), export_audit)
        .put("/api/v1/audit/keep", Needs::Permission(AuditWrite).once(), keep_audit)
}

/// List records of the audit log
#[utoipa::path(
    get,
    path = "/api/v1/audit",
    tag = "audit",
    description = "Who changed what: the latest first, a page at a time. Work under a lease is not in it; the tasks tell that themselves.",
    params(api::AuditFilter, api::PageQuery),
    responses((status = 200, description = "A page of records.", body = api::Page<api::AuditRecord>, example = json!(examples::page(examples::audit_record())))),
)]
async fn list_audit(
    State(context): State<Context>,
    listing: Listing<api::AuditFilter>,
) -> Result<Json<api::Page<api::AuditRecord>>, Problem> {
    let before: Option<u64> =
        listing.cursor.as_deref().map(|cursor| read::id("cursor", cursor)).transpose()?;
    let wanted = Wanted::read(context.node(), &listing.filter)?;
    let found = find(context.node(), &wanted, before, listing.limit).await?;
    let next = found.next.map(|next| next.to_string());
    // A page that is full of bytes ends before the records that were found.
    let shown = found.records.iter().map(|one| (one.seq.to_string(), record(one)));
    let page = page(shown, listing.limit);
    let next_cursor = page.next_cursor.or(next);
    Ok(Json(api::Page::of(page.items, next_cursor)))
}

/// Look at how the audit log stands
#[utoipa::path(
    get,
    path = "/api/v1/audit/stats",
    tag = "audit",
    description = "How many records are kept, and the two ends of the chain as the cluster has agreed on them.",
    responses((status = 200, description = "How it stands.", body = api::AuditStats, example = json!(examples::audit_stats()))),
)]
async fn audit_stats(
    State(context): State<Context>,
    _: InQuery<Everything>,
) -> Result<Json<api::AuditStats>, Problem> {
    Ok(Json(stats(context.node())))
}

/// Check the audit log
///
/// Walks the records as the node that is asked has them, from one end that is agreed to the other: one that was edited,
/// dropped, swapped or cut off is found at its place. A part is checked from what the record before it says.
#[utoipa::path(
    get,
    path = "/api/v1/audit/verify",
    tag = "audit",
    params(api::AuditRange),
    responses((status = 200, description = "What was found.", body = api::AuditCheck, example = json!(examples::audit_check()))),
)]
async fn verify_audit(
    State(context): State<Context>,
    InQuery(range): InQuery<api::AuditRange>,
) -> Result<Json<api::AuditCheck>, Problem> {
    Ok(Json(check(context.node(), &range).await?))
}

/// Export the audit log
///
/// JSON, one on each line: what the export begins behind and ends with, then each record. `synod audit verify FILE`
/// checks it without a node.
#[utoipa::path(
    get,
    path = "/api/v1/audit/export",
    tag = "audit",
    params(api::AuditRange),
    responses((status = 200, description = "The export.", body = String, content_type = "application/x-ndjson", example = json!(examples::audit_export()))),
)]
async fn export_audit(
    State(context): State<Context>,
    InQuery(range): InQuery<api::AuditRange>,
) -> Result<Response, Problem> {
    let node = context.node();
    let AuditHead { last, anchor, .. } = node.audit_head();
    let from = range.start_seq.unwrap_or(0).max(anchor.seq + 1);
    let to = range.end_seq.unwrap_or(last.seq).min(last.seq);
    if from > to + 1 {
        return Err(Problem::bad_request("start_seq", format!("the audit log goes to {}", last.seq)));
    }
    let begin = if from == anchor.seq + 1 { anchor } else { link_at(node, from - 1)? };
    let end = if to + 1 == from {
        begin
    } else if to == last.seq {
        last
    } else {
        link_at(node, to)?
    };
    let head = line(&export_head(begin, end))?;
    let pages = stream::try_unfold((context.clone(), from), move |(context, from)| async move {
        if from > to || context.is_stopping() {
            return Ok(None);
        }
        let records = context.node().audit_page(from, to, AUDIT_PAGE_MAX)?;
        let Some(Kept { seq, .. }) = records.last() else { return Ok(None) };
        let next = seq + 1;
        let mut lines = Vec::new();
        for kept in &records {
            // What cannot be read is left out, which the check of the export tells at its place.
            if let Some(kept) = &kept.record {
                lines.extend_from_slice(
                    &line(&record(kept))
                        .map_err(|problem| node::Error::Failed(problem.detail().to_owned()))?,
                );
            }
        }
        tokio::task::yield_now().await;
        Ok::<_, node::Error>(Some((Bytes::from(lines), (context, next))))
    });
    let first = stream::iter([Ok::<Bytes, node::Error>(head)]);
    let kind = [(header::CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"))];
    Ok((kind, Content::from_stream(futures::StreamExt::chain(first, pages))).into_response())
}

/// Say how long the audit log is kept
///
/// What is more than that goes, the oldest 1024 records at once, alike on every node; what is kept still verifies.
#[utoipa::path(
    put,
    path = "/api/v1/audit/keep",
    tag = "audit",
    request_body(content = api::KeepAudit, example = json!(examples::keep_audit())),
    responses((status = 200, description = "How it stands.", body = api::AuditStats, example = json!(examples::audit_stats()))),
)]
async fn keep_audit(
    State(context): State<Context>,
    once: Once,
    _: InQuery<Everything>,
    Body(keep): Body<api::KeepAudit>,
) -> Result<Json<api::AuditStats>, Problem> {
    let time = keep.keep_ms.map(Duration::from_millis);
    let keep = AuditKeep { records: keep.records, time };
    once.propose(context.node(), Command::Audit(AuditCommand::Keep(keep))).await?;
    Ok(Json(stats(context.node())))
}

/// Shows how the audit log stands.
pub(in crate::http) fn stats(node: &Node) -> api::AuditStats {
    let AuditHead { last, anchor, keep } = node.audit_head();
    api::AuditStats {
        records: last.seq - anchor.seq,
        head: link(last),
        anchor: link(anchor),
        keep_records: keep.records,
        keep_ms: keep.time.map(shown::millis),
    }
}

/// Checks the audit log, or a part of it.
pub(in crate::http) async fn check(node: &Node, range: &api::AuditRange) -> Result<api::AuditCheck, Problem> {
    let checked = node.check_audit(range.start_seq, range.end_seq).await?;
    let (from, to) = (checked.from, checked.to);
    Ok(api::AuditCheck {
        valid: checked.broken.is_none(),
        start_seq: from,
        end_seq: to,
        broken_seq: checked.broken.map(|broken| broken.seq),
        message: match checked.broken {
            Some(broken) => broken.to_string(),
            None if from > to => "there is nothing to check".to_owned(),
            None => format!("records {from} to {to} are as they were written"),
        },
    })
}

fn link_at(node: &Node, seq: u64) -> Result<Link, Problem> {
    let found = node.audit_page(seq, seq, 1)?.into_iter().next().and_then(|kept| kept.record);
    let missing = format!("record {seq} of the audit log");
    found.map(|record| record.link()).ok_or_else(|| Problem::not_found("audit_record_unknown", missing))
}

fn line(value: &impl serde::Serialize) -> Result<Bytes, Problem> {
    let mut line = serde_json::to_vec(value).map_err(|error| Problem::internal(&error.to_string()))?;
    line.push(b'\n');
    Ok(line.into())
}

/// The records of a page, and where the next page begins.
pub(in crate::http) struct Records {
    /// The records, the latest first.
    pub(in crate::http) records: Vec<std::sync::Arc<AuditRecord>>,
    /// The number before which the next page begins.
    next: Option<u64>,
}

/// Finds records before a number, the latest first.
pub(in crate::http) async fn find(
    node: &Node,
    wanted: &Wanted,
    before: Option<u64>,
    limit: usize,
) -> Result<Records, Problem> {
    let mut records = Vec::new();
    let (mut before, mut looked_at) = (before, 0);
    loop {
        let some = node.audit_latest(before, AUDIT_PAGE_MAX)?;
        let Some(last) = some.last() else { return Ok(Records { records, next: None }) };
        before = Some(last.seq);
        looked_at += some.len();
        for kept in some {
            let Some(record) = kept.record else { continue };
            if wanted.since.is_some_and(|since| record.at < since) {
                return Ok(Records { records, next: None });
            }
            if !wanted.holds(&record) {
                continue;
            }
            let seq = record.seq;
            records.push(record);
            if records.len() == limit {
                let more = seq > node.audit_head().anchor.seq + 1;
                return Ok(Records { records, next: more.then_some(seq) });
            }
        }
        if looked_at >= LOOKED_AT_MAX {
            return Ok(Records { records, next: before });
        }
        tokio::task::yield_now().await;
    }
}

/// What a list of records asks for.
#[derive(Debug, Default)]
pub(in crate::http) struct Wanted {
    pub(in crate::http) since: Option<Timestamp>,
    pub(in crate::http) until: Option<Timestamp>,
    pub(in crate::http) actions: Vec<String>,
    pub(in crate::http) actors: Vec<String>,
    pub(in crate::http) actor_kinds: Vec<String>,
    pub(in crate::http) resources: Vec<String>,
    pub(in crate::http) workspaces: Vec<Name>,
    pub(in crate::http) verdict: Option<String>,
}

/// Reads words apart by commas.
pub(in crate::http) fn words(text: Option<&str>) -> Vec<String> {
    let words = text.unwrap_or_default().split(',').map(str::trim);
    words.filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

impl Wanted {
    fn read(node: &Node, filter: &api::AuditFilter) -> Result<Self, Problem> {
        let time = |field, text: &Option<String>| {
            text.as_deref().map(|text| shown::read_time(field, text)).transpose()
        };
        Ok(Self {
            since: time("since", &filter.since)?,
            until: time("until", &filter.until)?,
            actions: words(filter.action.as_deref()),
            actors: words(filter.actor.as_deref()),
            actor_kinds: Vec::new(),
            resources: words(filter.resource.as_deref()),
            workspaces: read::own_workspace(node, filter.workspace.as_deref())?.into_iter().collect(),
            verdict: filter.verdict.clone(),
        })
    }

    fn holds(&self, record: &AuditRecord) -> bool {
        let said = &record.said;
        let one_of = |words: &[String], holds: &dyn Fn(&str) -> bool| {
            words.is_empty() || words.iter().any(|word| holds(word))
        };
        let action = |word: &str| match word.strip_suffix('*') {
            Some(group) => said.action.starts_with(group),
            None => *said.action == *word,
        };
        let actor = |word: &str| *said.actor.id == *word || *said.actor.name == *word;
        let resource = |word: &str| {
            *said.resource == *word
                || said.resource.strip_prefix(word).is_some_and(|rest| rest.starts_with('/'))
        };
        let verdict = |wanted: &str| match &said.verdict {
            AuditVerdict::Accepted => wanted == "accepted",
            AuditVerdict::Refused(code) => wanted == "refused" || **code == *wanted,
        };
        self.since.is_none_or(|since| record.at >= since)
            && self.until.is_none_or(|until| record.at < until)
            && one_of(&self.actions, &action)
            && one_of(&self.actors, &actor)
            && one_of(&self.actor_kinds, &|word| said.actor.kind.as_str() == word)
            && one_of(&self.resources, &resource)
            && (self.workspaces.is_empty()
                || said.workspace.as_ref().is_some_and(|of| self.workspaces.contains(of)))
            && self.verdict.as_deref().is_none_or(verdict)
    }
}
