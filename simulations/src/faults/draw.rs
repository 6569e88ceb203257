//! Drawing which faults come when.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{Fault, Kind, Kinds, Part};
use crate::chance::Stream;

/// The least between two moments in which all nodes lose power, in milliseconds.
const BLACKOUT_EVERY_MIN: u64 = 15_000;

/// A day in milliseconds.
const DAY: u64 = 86_400_000;

/// The most machines that join a world that goes on: two of three replaced are a new cluster.
const NEWCOMERS_MAX: u64 = 2;

/// Kinds that are drawn after all others.
const LATER: [Kind; 3] = [Kind::FailedRead, Kind::CutWrite, Kind::LostFile];

/// What is on a disk.
const PARTS: [Part; 4] = [Part::Log, Part::State, Part::Snapshots, Part::Blobs];

/// Draws which faults come when, in order. Not empty unless nothing that can be is asked for.
pub fn draw(asked: &Kinds, nodes: u64, duration: Duration, stream: &mut Stream) -> Vec<(Duration, Fault)> {
    let can = |kind: &Kind| {
        let moves = matches!(kind, Kind::Join | Kind::StayOut);
        *kind != Kind::LyingDisk && !moves && !LATER.contains(kind) && (nodes > 1 || !kind.needs_others())
    };
    let survivable: Vec<Kind> = asked.0.iter().copied().filter(can).collect();
    // From a few of them to nearly all, run by run.
    let percent = stream.between(10, 80);
    let mut kinds: Vec<Kind> = survivable.iter().copied().filter(|_| stream.happens(percent)).collect();
    if kinds.is_empty() {
        kinds.extend(stream.pick(&survivable));
    }
    let drawn = kinds.is_empty();
    let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let mut plan = Vec::new();
    if asked.0.contains(&Kind::LyingDisk) {
        plan.push((Duration::ZERO, Fault::LyingDisk));
    }
    for kind in kinds {
        // A fault every 4 to 30 seconds, and one at least; what stops everybody more rarely, or nothing gets done.
        let every = stream.between(4_000, 30_000);
        let every = if kind == Kind::Blackout { every.max(BLACKOUT_EVERY_MIN) } else { every };
        for _ in 0..(millis / every).max(1) {
            // Not in the last moment: what nobody lives to see is not a fault.
            let at = stream.millis(millis / 20, millis - millis / 10);
            plan.push((at, one(kind, nodes, stream)));
        }
    }
    // Last, so that what was drawn before does not depend on it.
    move_machines(asked, nodes, millis, drawn, percent, stream, &mut plan);
    draw_later(asked, nodes, millis, percent, stream, &mut plan);
    plan.sort_by_key(|(at, _)| *at);
    plan
}

/// Draws what was thought of after everything else, so that the plans of known seeds stay what they were but for it.
fn draw_later(
    asked: &Kinds,
    nodes: u64,
    millis: u64,
    percent: u64,
    stream: &mut Stream,
    plan: &mut Vec<(Duration, Fault)>,
) {
    for (_, fault) in plan.iter_mut() {
        if let Fault::Datagrams { late, .. } = fault {
            *late = stream.between(0, 20);
        }
    }
    let can = |kind: &Kind| asked.0.contains(kind) && (nodes > 1 || !kind.needs_others());
    let kinds: Vec<Kind> = LATER.into_iter().filter(can).collect();
    let mut drawn: Vec<Kind> = kinds.iter().copied().filter(|_| stream.happens(percent)).collect();
    if plan.is_empty() && drawn.is_empty() {
        drawn.extend(stream.pick(&kinds));
    }
    for kind in drawn {
        let every = stream.between(4_000, 30_000);
        for _ in 0..(millis / every).max(1) {
            let at = stream.millis(millis / 20, millis - millis / 10);
            plan.push((at, one(kind, nodes, stream)));
        }
    }
}

/// Lets machines come that were not there, and others go for good: only while so many have come, and never the first
/// one, on whose machine somebody governs.
fn move_machines(
    asked: &Kinds,
    nodes: u64,
    millis: u64,
    must: bool,
    percent: u64,
    stream: &mut Stream,
    plan: &mut Vec<(Duration, Fault)>,
) {
    let moves: Vec<Kind> =
        [Kind::Join, Kind::StayOut].into_iter().filter(|kind| nodes > 1 && asked.0.contains(kind)).collect();
    if moves.is_empty() || !(must || stream.happens(percent)) {
        return;
    }
    let comes = stream.between(1, NEWCOMERS_MAX);
    let mut goes: Vec<u64> = (2..=nodes).collect();
    for number in 1..=comes {
        let at = stream.between(millis / 20, millis / 2);
        plan.push((Duration::from_millis(at), Fault::Join { node: nodes + number }));
        if moves.contains(&Kind::StayOut) {
            let place = usize::try_from(stream.between(0, goes.len() as u64 - 1)).unwrap_or(0);
            let at = stream.millis(at, millis - millis / 10);
            plan.push((at, Fault::StayOut { node: goes.swap_remove(place) }));
        }
        if goes.is_empty() {
            return;
        }
    }
}

fn one(kind: Kind, nodes: u64, stream: &mut Stream) -> Fault {
    let node = stream.between(1, nodes);
    // Another one, if there is one.
    let other = if nodes > 1 { (node - 1 + stream.between(1, nodes - 1)) % nodes + 1 } else { node };
    let lasts = |stream: &mut Stream| stream.millis(100, 8_000);
    match kind {
        Kind::Crash => Fault::Crash {
            node,
            down: stream.millis(1, 4_000),
            keep_percent: keeps(stream),
            silent: stream.happens(50),
        },
        Kind::Blackout => Fault::Blackout {
            down: stream.millis(1, 2_000),
            apart: stream.millis(0, 1_500),
            keep_percent: keeps(stream),
        },
        Kind::SlowDisk => {
            Fault::SlowDisk { node, lasts: stream.millis(100, 5_000), sync: stream.millis(20, 800) }
        }
        Kind::FailedSync => Fault::FailedSync { node },
        Kind::FullDisk => {
            Fault::FullDisk { node, lasts: stream.millis(100, 4_000), bytes: stream.between(0, 80 * 1024) }
        }
        Kind::BitFlip => {
            let part = part(stream);
            Fault::BitFlip { node, part, position: position(stream) }
        }
        Kind::EmptyDisk => Fault::EmptyDisk { node, down: stream.millis(100, 4_000) },
        Kind::ClockJump => {
            let most = if stream.happens(50) { DAY } else { 10_000 };
            let millis = i64::try_from(stream.between(1, most)).unwrap_or(1);
            let millis = if stream.happens(50) { millis } else { -millis };
            Fault::ClockJump { node, lasts: stream.millis(100, 30_000), millis }
        }
        Kind::ClockDrift => {
            let millionths = i64::try_from(stream.between(0, 400_000)).unwrap_or(0) - 200_000;
            Fault::ClockDrift { node, lasts: stream.millis(1_000, 30_000), millionths }
        }
        Kind::Pause => Fault::Pause { node, lasts: stream.millis(200, 9_000) },
        Kind::Restart => Fault::Restart { node },
        Kind::RollingRestart => Fault::RollingRestart,
        Kind::Leave => Fault::Leave { node },
        Kind::Join => Fault::Join { node },
        Kind::StayOut => Fault::StayOut { node },
        Kind::Partition => {
            let mut side: BTreeSet<u64> = (1..=nodes).filter(|_| stream.happens(40)).collect();
            if side.is_empty() || side.len() as u64 == nodes {
                side = BTreeSet::from([node]);
            }
            Fault::Partition { lasts: lasts(stream), side }
        }
        Kind::OneWay => Fault::OneWay { lasts: lasts(stream), from: node, to: other },
        Kind::Partial => Fault::Partial { lasts: lasts(stream), one: node, other },
        Kind::SlowLink => {
            Fault::SlowLink { lasts: lasts(stream), one: node, other, latency: stream.millis(50, 700) }
        }
        Kind::HungPeer => Fault::HungPeer { lasts: lasts(stream), node },
        Kind::Datagrams => Fault::Datagrams {
            lasts: stream.millis(1_000, 20_000),
            lost: stream.between(1, 60),
            doubled: stream.between(0, 20),
            late: 0,
        },
        Kind::Reconnect => Fault::Reconnect { one: node, other },
        Kind::FailedRead => Fault::FailedRead { node, part: part(stream) },
        Kind::CutWrite => Fault::CutWrite {
            node,
            part: part(stream),
            counts: stream.happens(50),
            down: stream.millis(1, 4_000),
            keep_percent: keeps(stream),
        },
        Kind::LostFile => {
            let part = part(stream);
            Fault::LostFile { node, part, position: position(stream), down: stream.millis(100, 4_000) }
        }
        Kind::LyingDisk => Fault::LyingDisk,
    }
}

fn part(stream: &mut Stream) -> Part {
    stream.pick(&PARTS).copied().unwrap_or(Part::Log)
}

/// A place in whatever is stored: it is counted round and round.
fn position(stream: &mut Stream) -> usize {
    usize::try_from(stream.between(0, 4 << 20)).unwrap_or(0)
}

/// How many of a hundred unsynced writes survive: often all or none, where most mistakes are.
fn keeps(stream: &mut Stream) -> u64 {
    if stream.happens(50) { 100 * stream.between(0, 1) } else { stream.between(0, 100) }
}

#[cfg(test)]
mod tests {
    use crate::chance::Streams;

    use super::*;

    #[test]
    fn something_is_always_drawn_when_something_is_asked_for() {
        for seed in 0..200 {
            let mut stream = Streams::new(seed).open("faults");
            let nodes = seed % 4 + 1;
            let plan = draw(&Kinds(Kind::ALL.to_vec()), nodes, Duration::from_secs(20), &mut stream);
            assert!(!plan.is_empty(), "seed {seed}");
            assert!(plan.iter().all(|(at, _)| *at < Duration::from_secs(20)), "seed {seed}");
            let joined = |node: u64| plan.iter().any(|(_, fault)| *fault == Fault::Join { node });
            let exists = |node: u64| (1..=nodes).contains(&node) || joined(node);
            assert!(plan.iter().all(|(_, fault)| fault.node().is_none_or(exists)), "seed {seed}");
        }
        let mut stream = Streams::new(0).open("faults");
        assert_eq!(draw(&Kinds(Vec::new()), 3, Duration::from_secs(9), &mut stream), []);
    }

    #[test]
    fn machines_go_for_good_only_after_others_have_come() {
        for seed in 0..200 {
            let kinds = Kinds(vec![Kind::Join, Kind::StayOut]);
            let plan = draw(&kinds, 3, Duration::from_secs(20), &mut Streams::new(seed).open("faults"));
            let mut there = 3;
            for (_, fault) in &plan {
                match fault {
                    Fault::Join { node } => there += u64::from(*node > 3),
                    Fault::StayOut { node } => {
                        assert!(*node != 1 && there > 3, "seed {seed}: {plan:?}");
                        there -= 1;
                    }
                    fault => panic!("seed {seed}: {fault}"),
                }
            }
            assert!(!plan.is_empty(), "seed {seed}");
        }
    }
}
