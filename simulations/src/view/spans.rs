//! The faults of a world, from when to when, and which wires and nodes they are about.

use serde::Serialize;

use crate::faults::Fault;
use crate::history::Fact;

/// A fault.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Span {
    kind: &'static str,
    text: String,
    from: u64,
    /// The same as `from` for what has no length.
    to: u64,
    /// The nodes it is about, from 0; none is all.
    nodes: Vec<u64>,
    /// What is wrong with wires: from, to, and `cut`, `mute`, `slow` or `lossy`.
    wires: Vec<(u64, u64, &'static str)>,
}

/// Collects them.
#[derive(Debug, Default)]
pub(super) struct Spans {
    all: Vec<Span>,
    open: Vec<(Fault, usize)>,
}

impl Spans {
    pub(super) fn see(&mut self, at: u64, fact: &Fact, nodes: u64) {
        match fact {
            Fact::Injected(fault) => {
                if fault.lasts().is_some() {
                    self.open.push((fault.clone(), self.all.len()));
                }
                self.all.push(Span {
                    kind: fault.kind().as_str(),
                    text: fault.to_string(),
                    from: at,
                    to: at,
                    nodes: concerned(fault),
                    wires: wires(fault, nodes),
                });
            }
            Fact::Healed(fault) => {
                if let Some(place) = self.open.iter().position(|(open, _)| open == fault) {
                    let (_, span) = self.open.remove(place);
                    self.all[span].to = at;
                }
            }
            _ => {}
        }
    }

    /// Ends what never healed with the world.
    pub(super) fn end(mut self, at: u64) -> Vec<Span> {
        for (_, span) in &self.open {
            self.all[*span].to = at;
        }
        self.all
    }
}

fn concerned(fault: &Fault) -> Vec<u64> {
    let nodes = match fault {
        Fault::Partition { side, .. } => side.iter().copied().collect(),
        Fault::OneWay { from: one, to: other, .. }
        | Fault::Partial { one, other, .. }
        | Fault::SlowLink { one, other, .. }
        | Fault::Reconnect { one, other } => vec![*one, *other],
        _ => fault.node().into_iter().collect(),
    };
    nodes.into_iter().map(|node: u64| node.saturating_sub(1)).collect()
}

fn wires(fault: &Fault, nodes: u64) -> Vec<(u64, u64, &'static str)> {
    let ways = || {
        (1..=nodes)
            .flat_map(move |from| (1..=nodes).map(move |to| (from, to)))
            .filter(|(from, to)| from != to)
    };
    let of = |node: u64| ways().filter(move |(from, to)| *from == node || *to == node);
    let found: Vec<(u64, u64, &'static str)> = match fault {
        Fault::Partition { side, .. } => {
            let apart = ways().filter(|(from, to)| side.contains(from) != side.contains(to));
            apart.map(|(from, to)| (from, to, "cut")).collect()
        }
        Fault::OneWay { from, to, .. } => vec![(*from, *to, "cut")],
        Fault::Partial { one, other, .. } => vec![(*one, *other, "cut"), (*other, *one, "cut")],
        Fault::Pause { node, .. } => of(*node).map(|(from, to)| (from, to, "cut")).collect(),
        Fault::HungPeer { node, .. } => {
            of(*node).filter(|(from, _)| from == node).map(|(from, to)| (from, to, "mute")).collect()
        }
        Fault::SlowLink { one, other, .. } => vec![(*one, *other, "slow"), (*other, *one, "slow")],
        Fault::Datagrams { .. } => ways().map(|(from, to)| (from, to, "lossy")).collect(),
        Fault::Crash { .. }
        | Fault::Blackout { .. }
        | Fault::SlowDisk { .. }
        | Fault::FailedSync { .. }
        | Fault::FullDisk { .. }
        | Fault::BitFlip { .. }
        | Fault::EmptyDisk { .. }
        | Fault::ClockJump { .. }
        | Fault::ClockDrift { .. }
        | Fault::Restart { .. }
        | Fault::RollingRestart
        | Fault::Leave { .. }
        | Fault::Join { .. }
        | Fault::StayOut { .. }
        | Fault::Reconnect { .. }
        | Fault::FailedRead { .. }
        | Fault::CutWrite { .. }
        | Fault::LostFile { .. }
        | Fault::LyingDisk => Vec::new(),
    };
    found.into_iter().map(|(from, to, what)| (from - 1, to - 1, what)).collect()
}
