//! `synod doctor`

use std::path::PathBuf;

use clap::Args;
use comfy_table::{Table, presets};
use serde_json::json;

use super::{Common, exit, print};
use crate::doctor::{Verdict, examine, examine_member, examine_serving};

#[derive(Debug, Args)]
pub(super) struct DoctorArgs {
    /// The data folder to look at; `.synod` in this folder if neither flag nor setting names one.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

pub(super) fn main(common: &Common, args: &DoctorArgs) -> u8 {
    let loaded = match common.load(args.data.clone()) {
        Ok(loaded) => loaded,
        Err(error) => {
            print::complain(&error);
            return exit::USAGE;
        }
    };
    let data = loaded.settings.data.clone().unwrap_or_else(|| PathBuf::from(".synod"));
    let mut findings = examine(&data);
    findings.extend(examine_serving(&loaded, &data));
    findings.extend(examine_member(&loaded, &data));
    let worst = findings.iter().map(|finding| finding.verdict).max().unwrap_or(Verdict::Well);
    let code = if worst == Verdict::Bad { exit::DATA } else { exit::OK };
    if args.json {
        print::result(&json!({ "version": 1, "verdict": worst, "findings": findings }), code)
    } else {
        let mut table = Table::new();
        table.load_preset(presets::UTF8_HORIZONTAL_ONLY).set_header([
            "check",
            "verdict",
            "seen",
            "what to do",
        ]);
        for finding in &findings {
            let advice = finding.advice.as_deref().unwrap_or("");
            table.add_row([finding.check, &finding.verdict.to_string(), &finding.seen, advice]);
        }
        print::result(&table, code)
    }
}
