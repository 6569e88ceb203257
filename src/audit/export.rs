//! An export: a head and one record on each line, as JSON.
//!
//! ```text
//!  {"synod_audit_export":1,"anchor":{...},"head":{...}}     what comes before the first record, and the last record
//!  {"seq":1,...}
//!  {"seq":2,...}
//! ```

use std::fmt;
use std::io::BufRead;

use synod_domain::audit::{Broken, Link, Verifier};

use super::text::{link, link_of, record_of};
use crate::api;

/// The version of the format.
pub const EXPORT_VERSION: u32 = 1;

/// The longest line that is read: a record has a few kilobytes at most.
const LINE_BYTES_MAX: usize = 1 << 20;

/// Makes the first line of an export of what lies between two links.
pub fn export_head(anchor: Link, head: Link) -> api::AuditExportHead {
    api::AuditExportHead { synod_audit_export: EXPORT_VERSION, anchor: link(anchor), head: link(head) }
}

/// What a check of an export came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// Every line is as it was written.
    Whole {
        /// The first record and the last; the last is lower when there are none.
        records: (u64, u64),
        /// The hash of the last one: with it, two exports are told to be of one chain.
        head: api::AuditLink,
    },
    /// One is not.
    Broken {
        /// The line, from 1 on; one more than there are when lines are missing at the end.
        line: u64,
        /// The number of the record that should stand there, where that is known.
        seq: Option<u64>,
        /// What is wrong.
        why: String,
    },
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole { records: (from, to), head } => {
                write!(
                    f,
                    "records {from} to {to} are as they were written; the last one has the hash {}",
                    head.hash
                )
            }
            Self::Broken { line, why, .. } => write!(f, "line {line}: {why}"),
        }
    }
}

/// Checks an export; against a hash that the last record must have, if the caller knows one from elsewhere.
///
/// # Errors
/// When it cannot be read.
pub fn check_export(export: impl BufRead, expected: Option<&str>) -> std::io::Result<Found> {
    let mut lines = Lines { from: export, number: 0 };
    let Some(first) = lines.next()? else {
        return Ok(broken(1, None, "the head of the export is missing"));
    };
    let head = serde_json::from_str::<api::AuditExportHead>(&first).map_err(|error| error.to_string());
    let head = match head {
        Ok(head) if head.synod_audit_export == EXPORT_VERSION => head,
        Ok(head) => {
            return Ok(broken(
                1,
                None,
                format!("exports of version {} are not known", head.synod_audit_export),
            ));
        }
        Err(why) => return Ok(broken(1, None, format!("it is not the head of an export: {why}"))),
    };
    let (anchor, last) = match (link_of(&head.anchor), link_of(&head.head)) {
        (Ok(anchor), Ok(last)) => (anchor, last),
        (Err(why), _) | (_, Err(why)) => return Ok(broken(1, None, why)),
    };
    if expected.is_some_and(|expected| expected != head.head.hash) {
        return Ok(broken(
            1,
            None,
            format!("the export ends with {}, which is not the hash that was given", head.head.hash),
        ));
    }
    let mut verifier = Verifier::behind(anchor);
    while let Some(text) = lines.next()? {
        let seq = verifier.next_seq();
        let read = serde_json::from_str::<api::AuditRecord>(&text).map_err(|error| error.to_string());
        let record = match read.and_then(|read| record_of(&read).map_err(|error| error.to_string())) {
            Ok(record) => record,
            Err(why) => {
                return Ok(broken(lines.number, Some(seq), format!("record {seq} cannot be read: {why}")));
            }
        };
        if let Err(found) = verifier.take(&record) {
            return Ok(at(lines.number, found));
        }
        if verifier.reached().seq > last.seq {
            return Ok(broken(lines.number, Some(seq), "records follow the last one that the head names"));
        }
    }
    match verifier.end(last) {
        Ok(()) => Ok(Found::Whole { records: (anchor.seq + 1, last.seq), head: head.head }),
        // A record that is missing would stand on the next line.
        Err(found) if found.seq > verifier.reached().seq => Ok(at(lines.number + 1, found)),
        Err(found) => Ok(at(lines.number, found)),
    }
}

fn broken(line: u64, seq: Option<u64>, why: impl fmt::Display) -> Found {
    Found::Broken { line, seq, why: why.to_string() }
}

fn at(line: u64, found: Broken) -> Found {
    broken(line, Some(found.seq), found)
}

/// Lines of text, none of them longer than any record.
struct Lines<R> {
    from: R,
    number: u64,
}

impl<R: BufRead> Lines<R> {
    fn next(&mut self) -> std::io::Result<Option<String>> {
        let mut line = Vec::new();
        let limit = LINE_BYTES_MAX as u64;
        std::io::Read::take(&mut self.from, limit).read_until(b'\n', &mut line)?;
        if line.is_empty() {
            return Ok(None);
        }
        self.number += 1;
        if line.last() == Some(&b'\n') {
            line.pop();
        }
        // What is no text is no record, and is told as one that cannot be read.
        Ok(Some(String::from_utf8_lossy(&line).into_owned()))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use synod_domain::audit::{Actor, ActorKind, AuditRecord, AuditVerdict, Audited};
    use synod_domain::id::RequestId;
    use synod_domain::name::Name;
    use synod_domain::time::Timestamp;

    use super::*;
    use crate::audit::shown;

    const RECORDS: u64 = 10;

    fn lines() -> Vec<String> {
        let mut last = Link { seq: 4, hash: [9; 32] };
        let anchor = last;
        let mut lines = Vec::new();
        for number in 0..RECORDS {
            let said = Audited {
                request: RequestId::from_raw(number.into()),
                actor: Arc::new(Actor {
                    kind: ActorKind::Token,
                    id: "token_1".into(),
                    name: "ops".into(),
                    workspace: (number % 2 == 0).then(Name::default),
                    source: "127.0.0.1".into(),
                }),
                action: "pool.put".into(),
                resource: format!("pool/p{number}").into(),
                workspace: None,
                verdict: if number % 3 == 0 {
                    AuditVerdict::Refused("full".into())
                } else {
                    AuditVerdict::Accepted
                },
                before: None,
                after: Some([7; 32]),
            };
            let record = AuditRecord::behind(last, Timestamp::from_millis(1000 + number), said);
            assert_eq!(record_of(&shown(&record)), Ok(record.clone()));
            last = record.link();
            lines.push(serde_json::to_string(&shown(&record)).expect("json"));
        }
        lines.insert(0, serde_json::to_string(&export_head(anchor, last)).expect("json"));
        lines
    }

    fn check(lines: &[String]) -> Found {
        check_export((lines.join("\n") + "\n").as_bytes(), None).expect("memory")
    }

    fn line_of(found: &Found) -> u64 {
        match found {
            Found::Broken { line, .. } => *line,
            Found::Whole { .. } => panic!("it counts as whole"),
        }
    }

    #[test]
    fn an_export_that_nobody_touched_is_whole() {
        let lines = lines();
        let Found::Whole { records, head } = check(&lines) else { panic!("{}", check(&lines)) };
        assert_eq!(records, (5, 4 + RECORDS));
        let again = |hash: &str| check_export(lines.join("\n").as_bytes(), Some(hash)).expect("memory");
        assert!(matches!(again(&head.hash), Found::Whole { .. }));
        assert_eq!(line_of(&again(&"0".repeat(64))), 1);
    }

    #[test]
    fn tampering_is_found_at_each_line() {
        let whole = lines();
        for place in 0..whole.len() {
            let line = place as u64 + 1;
            let mut edited = whole.clone();
            edited[place] = match place {
                0 => edited[0].replacen("0909", "0908", 1),
                _ => edited[place].replacen("pool/p", "pool/q", 1),
            };
            assert_ne!(edited[place], whole[place]);
            // An anchor that was changed shows where the first record continues it.
            assert_eq!(line_of(&check(&edited)), line.max(2), "edited {line}");

            let mut dropped = whole.clone();
            dropped.remove(place);
            assert_eq!(line_of(&check(&dropped)), line, "dropped {line}");

            if place > 0 {
                let mut swapped = whole.clone();
                swapped.swap(place - 1, place);
                assert_eq!(line_of(&check(&swapped)), line - 1, "swapped {line}");
            }

            assert_eq!(
                line_of(
                    &check_export(
                        whole[..place].iter().map(|line| format!("{line}\n")).collect::<String>().as_bytes(),
                        None,
                    )
                    .expect("memory")
                ),
                line,
                "truncated at {line}"
            );

            let mut garbled = whole.clone();
            garbled[place] = "{".to_owned();
            assert_eq!(line_of(&check(&garbled)), line, "garbled {line}");
        }
        let mut longer = whole.clone();
        longer.push(whole[whole.len() - 1].clone());
        assert_eq!(line_of(&check(&longer)), whole.len() as u64 + 1);
    }

    #[test]
    fn every_field_of_a_record_counts() {
        let whole = lines();
        let record: serde_json::Value = serde_json::from_str(&whole[2]).expect("json");
        let mut changed = 0;
        for field in record.as_object().expect("an object").keys() {
            let mut other = record.clone();
            other[field] = match &record[field] {
                serde_json::Value::Number(_) => 99.into(),
                serde_json::Value::String(text) if text.len() == 64 => "1".repeat(64).into(),
                serde_json::Value::String(text) if field == "at" => text.replacen("1970", "1971", 1).into(),
                serde_json::Value::String(text) => format!("{text}x").into(),
                serde_json::Value::Object(_) => {
                    let mut actor = record[field].clone();
                    actor["source"] = "10.0.0.1".into();
                    actor
                }
                other => panic!("{field}: {other}"),
            };
            let mut lines = whole.clone();
            lines[2] = other.to_string();
            assert_eq!(line_of(&check(&lines)), 3, "{field}");
            changed += 1;
        }
        assert!(changed >= 9);
    }
}
