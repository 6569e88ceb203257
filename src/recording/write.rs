//! Writing a recording, line by line.

use std::io::{self, Write};

use serde::Serialize;

use super::{End, Header, VERSION};
use crate::api::{Event, Pool, Task};
use crate::http::native::shown;
use crate::node::feed::Told;

/// The version of the envelopes, as everywhere on the command line.
const ENVELOPE: u32 = 1;

/// Writes a recording. What was written is no recording before [`Writer::end`].
#[derive(Debug)]
pub struct Writer<W> {
    into: W,
    end: End,
}

#[derive(Serialize)]
struct Envelope<'a, T> {
    version: u32,
    kind: &'a str,
    item: &'a T,
}

impl<W: Write> Writer<W> {
    /// Writes the first line.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn begin(mut into: W, recorded_at: String) -> io::Result<Self> {
        let synod = env!("CARGO_PKG_VERSION").to_owned();
        let header = Header { synod_recording: VERSION, synod, recorded_at };
        line(&mut into, &header)?;
        Ok(Self { into, end: End::default() })
    }

    /// Writes a pool, without the values of its environment.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn pool(&mut self, pool: &Pool) -> io::Result<()> {
        self.end.pools += 1;
        self.envelope("pool", pool)
    }

    /// Writes a task without what is the submitter's own: payload, result, labels, metadata.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn task(&mut self, task: &Task) -> io::Result<()> {
        self.end.tasks += 1;
        let mut task = task.clone();
        (task.payload, task.result, task.metadata) = (None, None, None);
        task.labels.clear();
        self.envelope("task", &task)
    }

    /// Writes an event.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn event(&mut self, event: &Event) -> io::Result<()> {
        self.end.events += 1;
        self.envelope("event", event)
    }

    /// Writes what a node's [feed](crate::node::feed) has told; for whoever embeds a node.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn told(&mut self, told: &Told) -> io::Result<()> {
        let Some(event) = told.event() else { return Ok(()) };
        self.event(&shown::event(told.place, told.at, event, told.workspace()))
    }

    /// Writes the last line and returns how many of what there are.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn end(mut self) -> io::Result<End> {
        let end = self.end;
        self.envelope("end", &end)?;
        self.into.flush()?;
        Ok(end)
    }

    fn envelope(&mut self, kind: &str, item: &impl Serialize) -> io::Result<()> {
        line(&mut self.into, &Envelope { version: ENVELOPE, kind, item })
    }
}

fn line(into: &mut impl Write, what: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *into, what)?;
    into.write_all(b"\n")
}
