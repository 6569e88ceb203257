//! `synod audit`

use std::io::BufReader;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::json;
use synod_domain::time::Timestamp;
use tokio::fs::OpenOptions;

use super::filter::time;
use super::output::{Cell, Output, Row, Tone, age};
use super::pages::{self, ListArgs};
use super::remote::{self, ClientArgs, Failure, Session};
use super::{Common, exit, print};
use crate::api::{AuditFilter, AuditRange, AuditRecord, KeepAudit};
use crate::audit::{Found, check_export};
use crate::clock::SystemClock;
use crate::period::Period;
use synod_domain::sources::Clock;

#[derive(Debug, Args)]
pub(super) struct AuditArgs {
    #[command(subcommand)]
    command: AuditCommand,
    #[command(flatten)]
    client: ClientArgs,
}

#[derive(Debug, Subcommand)]
enum AuditCommand {
    /// List who changed what, the latest first.
    List {
        #[command(flatten)]
        filter: FilterArgs,
        #[command(flatten)]
        list: ListArgs,
    },
    /// Show how many records are kept, and the ends of their chain.
    Stats,
    /// Check that no record was edited, dropped, swapped or cut off: on the node, or in an export.
    Verify {
        /// An export to check, without any node.
        file: Option<PathBuf>,
        /// The hash that the last record of the export must have, noted elsewhere before.
        #[arg(long, value_name = "HASH", requires = "file")]
        head: Option<String>,
        #[command(flatten)]
        range: RangeArgs,
    },
    /// Write the records into a file, for somebody else to keep or to check.
    Export {
        /// The file; it must not exist yet.
        file: PathBuf,
        #[command(flatten)]
        range: RangeArgs,
    },
    /// Say how long records are kept.
    Keep {
        /// How many at least, 1024 or more.
        #[arg(long, value_name = "N")]
        records: u64,
        /// For how long at least; for ever if left out.
        #[arg(long = "for", value_name = "TIME")]
        time: Option<Period>,
    },
}

#[derive(Debug, Args)]
struct FilterArgs {
    /// Not before this time: 2026-01-31T12:00:00Z, or 2h for two hours ago.
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Before this time.
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Of these actions, apart by commas: task.cancel, or pool.* for all that begin so.
    #[arg(long, value_name = "ACTION", value_delimiter = ',')]
    action: Vec<String>,
    /// By these actors, apart by commas: the id or name of a token, or the id of a node.
    #[arg(long, value_name = "ACTOR", value_delimiter = ',')]
    actor: Vec<String>,
    /// About these, apart by commas: pool/NAME, or pool for all of the kind.
    #[arg(long, value_name = "RESOURCE", value_delimiter = ',')]
    resource: Vec<String>,
    /// Of this workspace.
    #[arg(long, value_name = "WORKSPACE")]
    workspace: Option<String>,
    /// Those that were refused.
    #[arg(long)]
    refused: bool,
}

#[derive(Debug, Args)]
struct RangeArgs {
    /// The first record.
    #[arg(long, value_name = "SEQ")]
    start_seq: Option<u64>,
    /// The last record.
    #[arg(long, value_name = "SEQ")]
    end_seq: Option<u64>,
}

impl RangeArgs {
    const fn range(&self) -> AuditRange {
        AuditRange { start_seq: self.start_seq, end_seq: self.end_seq }
    }
}

impl FilterArgs {
    fn filter(&self) -> Result<AuditFilter, Failure> {
        let now = SystemClock.now();
        let time = |text: &Option<String>| text.as_deref().map(|text| time(text, now)).transpose();
        let joined = |words: &[String]| (!words.is_empty()).then(|| words.join(","));
        Ok(AuditFilter {
            since: time(&self.since)?,
            until: time(&self.until)?,
            action: joined(&self.action),
            actor: joined(&self.actor),
            resource: joined(&self.resource),
            workspace: self.workspace.clone(),
            verdict: self.refused.then(|| "refused".to_owned()),
        })
    }
}

pub(super) fn main(common: &Common, args: &AuditArgs) -> u8 {
    if let AuditCommand::Verify { file: Some(file), head, range } = &args.command {
        let output = Output::new(&args.client.output);
        if range.start_seq.is_some() || range.end_seq.is_some() {
            let why = "an export is checked as a whole; leave --start-seq and --end-seq out";
            return Failure::Usage(why.to_owned()).tell(&output);
        }
        return verify_file(&output, file, head.as_deref());
    }
    remote::run(common, &args.client, async |session| run(&session, &args.command).await)
}

async fn run(session: &Session, command: &AuditCommand) -> Result<u8, Failure> {
    let Session { client, output } = session;
    match command {
        AuditCommand::List { filter, list } => {
            let filter = filter.filter()?;
            pages::list(session, list, async |page| client.audit(&filter, &page).await).await
        }
        AuditCommand::Stats => Ok(output.one("audit_stats", "audit", &client.audit_stats().await?)),
        AuditCommand::Verify { range, .. } => {
            let check = client.check_audit(&range.range()).await?;
            let shown = output.one("audit_check", "audit", &check);
            Ok(if check.valid || shown != exit::OK { shown } else { exit::WORK_FAILED })
        }
        AuditCommand::Export { file, range } => export(session, file, &range.range()).await,
        AuditCommand::Keep { records, time } => {
            let keep_ms = time.as_ref().map(|time| u64::try_from(time.0.as_millis()).unwrap_or(u64::MAX));
            let keep = KeepAudit { records: *records, keep_ms };
            Ok(output.one("audit_stats", "audit", &client.keep_audit(&keep).await?))
        }
    }
}

async fn export(session: &Session, file: &Path, range: &AuditRange) -> Result<u8, Failure> {
    let name = file.display().to_string();
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    options.mode(0o600);
    let unusable = |error| Failure::Usage(format!("{name} cannot be written: {error}"));
    let mut into = options.open(file).await.map_err(unusable)?;
    let written = session.client.export_audit(range, &mut into).await;
    let bytes = match written {
        Ok(bytes) => {
            into.sync_all().await.map_err(unusable)?;
            bytes
        }
        Err(error) => {
            // What is left of it is no export.
            let _ = std::fs::remove_file(file);
            return Err(error.into());
        }
    };
    let item = json!({ "id": name, "file": name, "bytes": bytes });
    let said = format!("{name}: {bytes} bytes; `synod audit verify {name}` checks it");
    Ok(session.output.streamed("audit_export", &name, &item, &said).err().unwrap_or(exit::OK))
}

fn verify_file(output: &Output, file: &Path, head: Option<&str>) -> u8 {
    let name = file.display().to_string();
    let found = std::fs::File::open(file).and_then(|file| check_export(BufReader::new(file), head));
    let found = match found {
        Ok(found) => found,
        Err(error) => {
            return Failure::Usage(format!("{name} cannot be read: {error}")).tell(output);
        }
    };
    let (valid, line, seq) = match &found {
        Found::Whole { .. } => (true, None, None),
        Found::Broken { line, seq, .. } => (false, Some(*line), *seq),
    };
    let message = found.to_string();
    let item =
        json!({ "file": name, "valid": valid, "broken_line": line, "broken_seq": seq, "message": message });
    match output.streamed("audit_check", &name, &item, &format!("{name}: {message}")) {
        Ok(()) if valid => exit::OK,
        Ok(()) => exit::WORK_FAILED,
        Err(code) => code,
    }
}

impl Row for AuditRecord {
    const KIND: &'static str = "audit_record";
    const COLUMNS: &'static [&'static str] =
        &["seq", "age", "actor", "action", "resource", "workspace", "verdict"];

    fn id(&self) -> &str {
        &self.request
    }

    fn cells(&self, now: Timestamp) -> Vec<Cell> {
        let actor = self.actor.name.as_deref().unwrap_or(&self.actor.id);
        vec![
            self.seq.to_string().into(),
            Cell::toned(age(now, Some(&self.at)), Tone::Faint),
            format!("{} {actor}", self.actor.kind).into(),
            self.action.as_str().into(),
            print::first_line(&self.resource, 60).into(),
            self.workspace.as_deref().unwrap_or("-").into(),
            match &self.code {
                Some(code) => Cell::toned(code, Tone::Bad),
                None => self.verdict.as_str().into(),
            },
        ]
    }
}
