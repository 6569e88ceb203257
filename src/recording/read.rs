//! Reading a recording: everything that is wrong with it is said with its line and what to do.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;
use synod_domain::event::Event;
use synod_domain::time::Timestamp;

use super::{End, Header, VERSION};
use crate::api::{self, Pool, Task};

/// The largest recording that is read. A node keeps some tens of thousands of events, which take a twentieth of this.
pub const RECORDING_BYTES_MAX: u64 = 1 << 30;

/// What to do about most of it.
const AGAIN: &str = "write it anew with `synod event export FILE`";

/// Says why a file is no recording.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file is missing or unreadable.
    #[error("cannot read the recording {}: {source}", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A line is wrong.
    #[error("{}:{line}: {what}; {help}", path.display())]
    Line {
        /// Which file.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
        /// What is wrong with it.
        what: String,
        /// What to do.
        help: String,
    },
}

/// An event and when it happened.
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded {
    /// When.
    pub at: Timestamp,
    /// What.
    pub event: Event,
}

/// What happened on a node.
#[derive(Debug, Clone, PartialEq)]
pub struct Recording {
    /// What it is and of when.
    pub header: Header,
    /// The pools as they were at the end, by name.
    pub pools: BTreeMap<String, Pool>,
    /// The tasks that were kept, by id.
    pub tasks: BTreeMap<String, Task>,
    /// The events in order.
    pub events: Vec<Recorded>,
}

#[derive(Deserialize)]
struct Envelope {
    kind: String,
    item: Value,
}

/// Reads a recording, whole.
///
/// # Errors
/// When it cannot be read, is cut off, or a line of it is not what it should be.
pub fn read(path: &Path) -> Result<Recording, Error> {
    let unreadable = |source| Error::Unreadable { path: path.to_owned(), source };
    let file = File::open(path).map_err(unreadable)?;
    let mut reader = BufReader::new(file.take(RECORDING_BYTES_MAX + 1));
    let mut reading = Reading { path, line: 0, bytes: 0 };
    let mut text = String::new();
    let Some(first) = reading.next(&mut reader, &mut text)? else {
        return Err(reading.wrong("the file is empty", AGAIN));
    };
    let header = reading.header(first)?;
    let mut recording =
        Recording { header, pools: BTreeMap::new(), tasks: BTreeMap::new(), events: Vec::new() };
    while let Some(line) = reading.next(&mut reader, &mut text)? {
        let Envelope { kind, item } = serde_json::from_str(line)
            .map_err(|error| reading.wrong(&format!("this is no line of a recording: {error}"), AGAIN))?;
        if let Some(end) = reading.take(&mut recording, &kind, item)? {
            reading.ended(&recording, end)?;
            return match reading.next(&mut reader, &mut text)? {
                None => Ok(recording),
                Some(_) => Err(reading.wrong("something stands behind the end of the recording", AGAIN)),
            };
        }
    }
    Err(reading.wrong("the recording was cut off behind this line: its end is missing", AGAIN))
}

struct Reading<'a> {
    path: &'a Path,
    line: usize,
    bytes: u64,
}

impl Reading<'_> {
    fn wrong(&self, what: &str, help: &str) -> Error {
        let (path, line) = (self.path.to_owned(), self.line.max(1));
        Error::Line { path, line, what: what.to_owned(), help: help.to_owned() }
    }

    fn next<'t>(
        &mut self,
        reader: &mut impl BufRead,
        text: &'t mut String,
    ) -> Result<Option<&'t str>, Error> {
        text.clear();
        let read = reader.read_line(text).map_err(|error| match error.kind() {
            std::io::ErrorKind::InvalidData => {
                self.line += 1;
                self.wrong("this is no text in UTF-8", AGAIN)
            }
            _ => Error::Unreadable { path: self.path.to_owned(), source: error },
        })?;
        if read == 0 {
            return Ok(None);
        }
        self.line += 1;
        self.bytes += u64::try_from(read).unwrap_or(u64::MAX);
        if self.bytes > RECORDING_BYTES_MAX {
            let what = format!("the recording has more than {RECORDING_BYTES_MAX} bytes");
            return Err(self.wrong(&what, "record a shorter time"));
        }
        Ok(Some(text.trim_end()))
    }

    fn header(&self, line: &str) -> Result<Header, Error> {
        let header = serde_json::from_str::<Header>(line);
        let header = header.map_err(|_| self.wrong("this is not the first line of a recording", AGAIN))?;
        match header.synod_recording {
            VERSION => Ok(header),
            other => {
                let what = format!("the recording has the format {other}; this program reads {VERSION}");
                Err(self.wrong(&what, &format!("use synod {} or {AGAIN}", header.synod)))
            }
        }
    }

    /// Takes in what stands in a line; returns the end if it is that.
    fn take(&self, recording: &mut Recording, kind: &str, item: Value) -> Result<Option<End>, Error> {
        let wrong = |error: serde_json::Error| self.wrong(&format!("this is no {kind}: {error}"), AGAIN);
        match kind {
            "pool" => {
                let pool: Pool = serde_json::from_value(item).map_err(wrong)?;
                recording.pools.insert(pool.name.clone(), pool);
            }
            "task" => {
                let task: Task = serde_json::from_value(item).map_err(wrong)?;
                recording.tasks.insert(task.id.clone(), task);
            }
            "event" => {
                let event: api::Event = serde_json::from_value(item).map_err(wrong)?;
                recording.events.push(self.event(&event)?);
            }
            "end" => return Ok(Some(serde_json::from_value(item).map_err(wrong)?)),
            other => {
                let what = format!("{other:?} is no kind of line of a recording");
                return Err(self.wrong(&what, AGAIN));
            }
        }
        Ok(None)
    }

    fn event(&self, event: &api::Event) -> Result<Recorded, Error> {
        let wrong = |what: String| self.wrong(&what, AGAIN);
        let at: jiff::Timestamp =
            event.at.parse().map_err(|_| wrong(format!("{:?} is no time", event.at)))?;
        let at = Timestamp::from_millis(u64::try_from(at.as_millisecond()).unwrap_or(0));
        let mut data: Value = serde_json::from_str(event.data.text())
            .map_err(|error| wrong(format!("this is no event: {error}")))?;
        if let Value::Object(fields) = &mut data {
            fields.insert("type".to_owned(), Value::String(event.kind.clone()));
        }
        let event = serde_json::from_value(data)
            .map_err(|error| wrong(format!("this is no event of the type {}: {error}", event.kind)))?;
        Ok(Recorded { at, event })
    }

    fn ended(&self, recording: &Recording, end: End) -> Result<(), Error> {
        let found = End {
            pools: recording.pools.len(),
            tasks: recording.tasks.len(),
            events: recording.events.len(),
        };
        if found == end {
            return Ok(());
        }
        let what = format!(
            "lines are missing: there should be {} pools, {} tasks and {} events, and there are {}, {} and {}",
            end.pools, end.tasks, end.events, found.pools, found.tasks, found.events
        );
        Err(self.wrong(&what, AGAIN))
    }
}
