//! What the page shows, as data.
//!
//! All times are milliseconds since the world began. A line of changes is a list of times and what is true from then
//! on, in order; nodes are counted from 0.

use serde::Serialize;

use crate::history::{Fact, Record};
use crate::report::Report;
use crate::view::spans::{Span, Spans};
use crate::view::work::{Flight, Work};

/// The most lines that can be read beside the picture; more would make the page slow to open.
const LINES_MAX: usize = 20_000;

/// How often the place of a node in the log is looked at.
const APPLIED_EVERY: u64 = 50;

/// From when on, what.
pub(super) type Change<T> = (u64, T);

/// Everything that the page shows.
#[derive(Debug, Default, Serialize)]
pub struct Film {
    replay: String,
    hash: String,
    nodes: u64,
    end: u64,
    /// When faults and new work ended.
    quiet: Option<u64>,
    /// For each node, what it is: `away`, `starts`, `up`, `failed`, `stopped`.
    standing: Vec<Vec<Change<&'static str>>>,
    /// For each node, the term in which it says that it leads, or 0.
    leads: Vec<Vec<Change<u64>>>,
    /// For each node, the last entry of the log that it has applied.
    applied: Vec<Vec<Change<u64>>>,
    /// For each node, how many of its agents are at work.
    works: Vec<Vec<Change<usize>>>,
    /// How many tasks wait in each mailbox.
    waits: Vec<(String, Vec<Change<usize>>)>,
    /// Tasks that went from a mailbox to a node, and that ended.
    flights: Vec<Flight>,
    faults: Vec<Span>,
    broken: Vec<Violation>,
    lines: Vec<Line>,
    /// How many more there were.
    lines_left_out: usize,
}

#[derive(Debug, Serialize)]
struct Violation {
    at: u64,
    judge: String,
    what: String,
}

/// When, the node, and the line of the trace.
#[derive(Debug, Serialize)]
struct Line(u64, Option<u64>, String);

impl Film {
    /// Makes it of a history.
    pub(super) fn of(history: &[Record], report: &Report, replay: &str) -> Self {
        let nodes = history.iter().find_map(|record| match &record.fact {
            Fact::Began { nodes, .. } => Some(*nodes),
            _ => None,
        });
        // Those that join later have their places, too.
        let told = history.iter().filter_map(|record| record.node).max();
        let nodes = nodes.max(told).unwrap_or(1);
        let count = usize::try_from(nodes).unwrap_or(1);
        let mut film = Self {
            replay: replay.to_owned(),
            hash: report.hash.clone(),
            nodes,
            end: history.last().map(millis).unwrap_or_default(),
            standing: vec![vec![(0, "away")]; count],
            leads: vec![vec![(0, 0)]; count],
            applied: vec![vec![(0, 0)]; count],
            ..Self::default()
        };
        let (mut work, mut spans) = (Work::new(count), Spans::default());
        for record in history {
            let at = millis(record);
            work.see(at, record);
            spans.see(at, &record.fact, nodes);
            film.see(at, record);
        }
        film.faults = spans.end(film.end);
        let done = work.end();
        (film.works, film.waits, film.flights) = (done.works, done.waits, done.flights);
        film.broken = report
            .broken
            .iter()
            .map(|broken| Violation {
                at: broken.at_ms,
                judge: broken.judge.clone(),
                what: broken.what.clone(),
            })
            .collect();
        film
    }

    fn see(&mut self, at: u64, record: &Record) {
        let place = record.node.and_then(|node| usize::try_from(node.checked_sub(1)?).ok());
        let place = place.filter(|place| *place < self.standing.len());
        let is = match &record.fact {
            Fact::Starting { .. } => Some("starts"),
            Fact::Started { .. } => Some("up"),
            Fact::NodeFailed { .. } => Some("failed"),
            Fact::Stopped => Some("stopped"),
            Fact::Lost { .. } => Some("away"),
            _ => None,
        };
        if let Some(place) = place {
            if let Some(is) = is {
                self.standing[place].push((at, is));
                if is != "up" {
                    self.leads[place].push((at, 0));
                }
            }
            match &record.fact {
                Fact::Leads { term } => self.leads[place].push((at, term.unwrap_or(0))),
                Fact::Applied { index, .. } => {
                    let applied = &mut self.applied[place];
                    match applied.last_mut() {
                        Some(last) if at < last.0 + APPLIED_EVERY => last.1 = *index,
                        _ => applied.push((at, *index)),
                    }
                }
                _ => {}
            }
        }
        if matches!(record.fact, Fact::FaultsEnded) {
            self.quiet = Some(at);
        }
        if matches!(record.fact, Fact::Applied { .. } | Fact::State { .. }) {
            return;
        }
        if self.lines.len() == LINES_MAX {
            self.lines_left_out += 1;
        } else {
            // The line begins with its time, which is here already.
            let line = record.to_string();
            let text = line.trim_start().split_once(' ').map_or(line.as_str(), |(_, text)| text);
            self.lines.push(Line(at, record.node, text.to_owned()));
        }
    }
}

fn millis(record: &Record) -> u64 {
    u64::try_from(record.at.as_millis()).unwrap_or(u64::MAX)
}
