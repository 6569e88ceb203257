//! What a program says of itself while it runs: one JSON object a line on file descriptor 3.
//!
//! ```text
//! {"type":"heartbeat"}
//! {"type":"progress","percent":40,"message":"tests run"}
//! {"type":"usage","tokens_in":1200,"tokens_out":340,"cost_usd":0.0123,"model":"m"}
//! {"type":"tool_request","id":1,"tool":"shell.execute","attributes":{"command":"make"},"content":"make -j2"}
//! ```
//!
//! The last is answered on descriptor 4 ([`super::answers`]). All of it is optional and none of it can fail a task: a line we cannot read becomes a note in the attempt's
//! log. Unknown fields are ignored, so that programs may say more to later versions.

use serde::Deserialize;
use synod_domain::task::Usage;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::sync::{mpsc, oneshot};

use super::answers::Awaited;
use crate::ports::{Report, ToolAnswer, ToolRequest, Work};
use crate::runtimes::{TEXT_BYTES_MAX, shortened};

/// The longest line; messages are for people, 16 KiB is many screens.
const LINE_BYTES_MAX: usize = 16 * 1024;

/// How many bad lines of an attempt are noted in its log; more would only say the same.
const NOTES_MAX: usize = 20;

/// How much of a bad line a note shows.
const NOTE_EXCERPT_BYTES: usize = 200;

/// How many notes may wait for the log; more are dropped.
pub(super) const NOTES_WAITING_MAX: usize = 16;

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Message {
    Heartbeat {},
    Progress {
        percent: Option<f64>,
        message: Option<String>,
    },
    Usage {
        #[serde(default)]
        tokens_in: u64,
        #[serde(default)]
        tokens_out: u64,
        #[serde(default)]
        cost_usd: f64,
        model: Option<String>,
    },
    ToolRequest {
        #[serde(default)]
        id: serde_json::Value,
        tool: String,
        #[serde(default)]
        attributes: serde_json::Map<String, serde_json::Value>,
        content: Option<String>,
    },
}

/// As much of a message as it takes to answer one that is not understood.
#[derive(Deserialize)]
struct Envelope {
    r#type: String,
    #[serde(default)]
    id: serde_json::Value,
}

/// What a line says.
#[derive(Debug, PartialEq)]
enum Said {
    Nothing,
    Report(Report),
    Asks {
        id: serde_json::Value,
        tool: String,
        attributes: serde_json::Map<String, serde_json::Value>,
        content: Option<String>,
    },
}

/// Passes on what the program says until it closes the descriptor. Who does not read the answers is not heard any
/// further once there are too many of them.
pub(super) async fn relay(
    descriptor: impl AsyncRead + Unpin,
    work: &Work,
    asked: mpsc::Sender<Awaited>,
    notes: mpsc::Sender<String>,
) {
    let mut reader = BufReader::new(descriptor);
    let mut bad = 0;
    while let Some(line) = next_line(&mut reader).await {
        match read(&line) {
            // A full channel drops the newest, reports are hints.
            Ok(Said::Report(report)) => drop(work.reports.try_send(report)),
            Ok(Said::Nothing) => {}
            Ok(Said::Asks { id, tool, attributes, content }) => {
                let (answer, answered) = oneshot::channel();
                let request = ToolRequest { tool, attributes, content, answer };
                // Errors mean that nobody answers, or reads answers, any more.
                let _ = asked.send(Awaited { id, answered }).await;
                let _ = work.tools.send(request).await;
            }
            Err(why) => {
                bad += 1;
                if let Ok(Envelope { id, .. }) = envelope(&line) {
                    let (answer, answered) = oneshot::channel();
                    let _ = answer.send(ToolAnswer::no(format!("the request was not understood: {why}")));
                    let _ = asked.send(Awaited { id, answered }).await;
                }
                let last = if bad == NOTES_MAX { "; further bad lines are not noted" } else { "" };
                if bad <= NOTES_MAX {
                    let _ = notes.try_send(format!("a line on fd 3 was not understood: {why}{last}"));
                }
            }
        }
    }
}

/// A line, or its first [`LINE_BYTES_MAX`] bytes and one more if it is longer. `None` at the end.
async fn next_line(reader: &mut (impl AsyncBufReadExt + Unpin)) -> Option<Vec<u8>> {
    let mut line = Vec::new();
    loop {
        let chunk = reader.fill_buf().await.ok()?;
        if chunk.is_empty() {
            return (!line.is_empty()).then_some(line);
        }
        let end = chunk.iter().position(|byte| *byte == b'\n');
        let part = &chunk[..end.unwrap_or(chunk.len())];
        let room = LINE_BYTES_MAX + 1 - line.len();
        line.extend_from_slice(&part[..part.len().min(room)]);
        let used = end.map_or(chunk.len(), |end| end + 1);
        reader.consume(used);
        if end.is_some() {
            return Some(line);
        }
    }
}

/// Finds out whether a line that is not understood wants an answer.
fn envelope(line: &[u8]) -> Result<Envelope, ()> {
    let envelope: Envelope = serde_json::from_slice(line).map_err(drop)?;
    if envelope.r#type == "tool_request" { Ok(envelope) } else { Err(()) }
}

/// Understands a line; an empty one says nothing.
fn read(line: &[u8]) -> Result<Said, String> {
    if line.len() > LINE_BYTES_MAX {
        return Err(format!("longer than {LINE_BYTES_MAX} bytes"));
    }
    if line.trim_ascii().is_empty() {
        return Ok(Said::Nothing);
    }
    let message: Message = serde_json::from_slice(line).map_err(|error| {
        let text = String::from_utf8_lossy(line);
        format!("{error}: {}", shortened(&text, NOTE_EXCERPT_BYTES))
    })?;
    let bounded = |text: Option<String>| text.map(|text| shortened(&text, TEXT_BYTES_MAX).to_owned());
    Ok(Said::Report(match message {
        Message::ToolRequest { id, tool, attributes, content } => {
            return Ok(Said::Asks { id, tool, attributes, content });
        }
        Message::Heartbeat {} => Report::Heartbeat,
        Message::Progress { percent, message } => {
            Report::Progress { percent: percent.map(whole_percent), message: bounded(message) }
        }
        Message::Usage { tokens_in, tokens_out, cost_usd, model } => {
            let cost_microusd = micro(cost_usd)?;
            Report::Usage { usage: Usage { tokens_in, tokens_out, cost_microusd }, model: bounded(model) }
        }
    }))
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 0..=100 before")]
fn whole_percent(percent: f64) -> u8 {
    percent.clamp(0.0, 100.0).round() as u8
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked, and `as` saturates")]
fn micro(usd: f64) -> Result<u64, String> {
    if usd < 0.0 {
        return Err(format!("cost_usd is {usd}, below zero"));
    }
    Ok((usd * 1e6).round() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_become_reports_with_values_in_range() {
        assert_eq!(read(br#"{"type":"heartbeat","more":1}"#), Ok(Said::Report(Report::Heartbeat)));
        assert_eq!(
            read(br#"{"type":"progress","percent":140.2,"message":"m"}"#),
            Ok(Said::Report(Report::Progress { percent: Some(100), message: Some("m".to_owned()) }))
        );
        let usage = Usage { tokens_in: 5, tokens_out: 0, cost_microusd: 12_300 };
        assert_eq!(
            read(br#"{"type":"usage","tokens_in":5,"cost_usd":0.0123}"#),
            Ok(Said::Report(Report::Usage { usage, model: None }))
        );
        assert_eq!(read(b"  \r"), Ok(Said::Nothing));
    }

    #[test]
    fn a_request_that_is_not_understood_is_told_from_other_bad_lines() {
        assert!(matches!(read(br#"{"type":"tool_request","tool":"x"}"#), Ok(Said::Asks { .. })));
        let bad = br#"{"type":"tool_request","id":7,"attributes":[]}"#;
        assert!(read(bad).is_err() && envelope(bad).is_ok_and(|envelope| envelope.id == 7));
        assert!(envelope(br#"{"type":"dance"}"#).is_err());
    }

    #[test]
    fn bad_lines_say_what_is_wrong() {
        assert!(read(b"hello").is_err_and(|why| why.ends_with(": hello")));
        assert!(read(br#"{"type":"dance"}"#).is_err_and(|why| why.contains("unknown variant `dance`")));
        assert!(read(br#"{"type":"usage","cost_usd":-1}"#).is_err_and(|why| why.contains("below zero")));
        assert!(read(&[b' '; LINE_BYTES_MAX + 1]).is_err());
    }

    #[tokio::test]
    async fn a_long_line_is_cut_and_the_next_one_is_whole() {
        let text = "x".repeat(3 * LINE_BYTES_MAX) + "\nnext\nlast";
        let mut reader = BufReader::new(text.as_bytes());
        let lengths = [LINE_BYTES_MAX + 1, 4, 4];
        for length in lengths {
            assert_eq!(next_line(&mut reader).await.map(|line| line.len()), Some(length));
        }
        assert_eq!(next_line(&mut reader).await, None);
    }
}
