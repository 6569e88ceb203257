//! What the programs of agents take of the machine: how many processes, how much memory, how much of a processor.
//!
//! Looked up in `/proc` when somebody asks, for all groups in one walk and no more often than once a second; while
//! nobody asks it costs nothing. Systems without `/proc` have no answer.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rustix::process::Pid;
use synod_domain::id::AgentId;
use tokio::time::Instant;

/// How long a walk is good for. It reads a file of each process of the machine, which takes milliseconds with thousands.
const WALK_EVERY: Duration = Duration::from_secs(1);

/// What the programs of one agent take of the machine.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Vitals {
    /// How many processes they are.
    pub processes: u32,
    /// How much memory they hold, in bytes: the sum of what each has in memory, so what they share counts for each.
    pub memory_bytes: u64,
    /// How much of one processor they use, in percent: since the walk before this one, or since they were started.
    pub cpu_percent: f64,
}

/// The process groups of attempts in hand, and what the last walk found of them. Clones are handles to the same.
#[derive(Debug, Clone, Default)]
pub(super) struct Meter(Arc<Mutex<Book>>);

#[derive(Debug, Default)]
struct Book {
    groups: BTreeMap<i32, (AgentId, Instant)>,
    walk: Option<Walk>,
    before: Option<Walk>,
}

#[derive(Debug, Clone)]
struct Walk {
    at: Instant,
    found: BTreeMap<i32, Use>,
}

/// What one group takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Use {
    processes: u32,
    ticks: u64,
    pages: u64,
}

/// A group that is in the book; leaves it when this is dropped.
#[derive(Debug)]
pub(super) struct Metered {
    meter: Meter,
    group: i32,
}

impl Drop for Metered {
    fn drop(&mut self) {
        self.meter.0.lock().groups.remove(&self.group);
    }
}

impl Meter {
    /// Enters the group of an attempt.
    pub(super) fn enter(&self, agent: AgentId, group: Pid) -> Metered {
        let group = group.as_raw_nonzero().get();
        self.0.lock().groups.insert(group, (agent, Instant::now()));
        Metered { meter: self.clone(), group }
    }

    /// Returns what the programs of each agent that has one take.
    pub(super) async fn look(&self) -> BTreeMap<AgentId, Vitals> {
        let is_fresh = |walk: &Walk| walk.at.elapsed() < WALK_EVERY;
        let needs_walk = {
            let book = self.0.lock();
            !book.groups.is_empty() && !book.walk.as_ref().is_some_and(is_fresh)
        };
        if needs_walk {
            let found = walk_beside().await;
            let mut book = self.0.lock();
            book.before = book.walk.take();
            book.walk = Some(Walk { at: Instant::now(), found });
        }
        self.0.lock().vitals()
    }
}

impl Book {
    fn vitals(&self) -> BTreeMap<AgentId, Vitals> {
        let mut all: BTreeMap<AgentId, Vitals> = BTreeMap::new();
        let Some(walk) = &self.walk else { return all };
        for (group, (agent, started)) in &self.groups {
            let Some(used) = walk.found.get(group) else { continue };
            let vitals = all.entry(*agent).or_default();
            vitals.processes += used.processes;
            vitals.memory_bytes += used.pages * page_bytes();
            let before = self.before.as_ref().and_then(|before| {
                let known = before.found.get(group)?;
                Some((before.at, known.ticks))
            });
            let (since, ticks) = before.unwrap_or((*started, 0));
            vitals.cpu_percent += percent(used.ticks.saturating_sub(ticks), walk.at.duration_since(since));
        }
        all
    }
}

/// Returns how much of a processor so many ticks within a time are.
fn percent(ticks: u64, within: Duration) -> f64 {
    if within.is_zero() {
        return 0.0;
    }
    let ticks = f64::from(u32::try_from(ticks).unwrap_or(u32::MAX));
    let second = f64::from(u32::try_from(ticks_a_second()).unwrap_or(u32::MAX)).max(1.0);
    (ticks / second / within.as_secs_f64() * 1000.0).round() / 10.0
}

#[cfg(target_os = "linux")]
fn ticks_a_second() -> u64 {
    rustix::param::clock_ticks_per_second()
}

#[cfg(target_os = "linux")]
fn page_bytes() -> u64 {
    rustix::param::page_size() as u64
}

#[cfg(not(target_os = "linux"))]
fn ticks_a_second() -> u64 {
    100
}

#[cfg(not(target_os = "linux"))]
fn page_bytes() -> u64 {
    4096
}

/// Walks on a thread of its own: files of the kernel do not wait for a disk, but thousands of them take their time.
async fn walk_beside() -> BTreeMap<i32, Use> {
    let (found, walked) = tokio::sync::oneshot::channel();
    let thread = std::thread::Builder::new().name("synod-vitals".to_owned());
    // Without a thread nothing is found this time. Whoever asked may be gone by the end.
    let started = thread.spawn(move || drop(found.send(walk())));
    if started.is_err() {
        return BTreeMap::new();
    }
    walked.await.unwrap_or_default()
}

/// Reads what every group of the machine takes.
#[cfg(target_os = "linux")]
fn walk() -> BTreeMap<i32, Use> {
    let mut found: BTreeMap<i32, Use> = BTreeMap::new();
    let Ok(entries) = std::fs::read_dir("/proc") else { return found };
    for entry in entries.flatten() {
        let Ok(stat) = std::fs::read_to_string(entry.path().join("stat")) else { continue };
        if let Some((group, used)) = parse(&stat) {
            let group = found.entry(group).or_default();
            group.processes += used.processes;
            group.ticks += used.ticks;
            group.pages += used.pages;
        }
    }
    found
}

#[cfg(not(target_os = "linux"))]
fn walk() -> BTreeMap<i32, Use> {
    BTreeMap::new()
}

/// Reads a process's group and what it takes from its line `pid (name) state ppid pgrp …`. One that is dead and only
/// not collected yet takes nothing.
fn parse(stat: &str) -> Option<(i32, Use)> {
    // The name may hold anything, so count from its last bracket.
    let (_, rest) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let number = |place: usize| fields.get(place)?.parse::<u64>().ok();
    if matches!(*fields.first()?, "Z" | "X") {
        return None;
    }
    let group = fields.get(2)?.parse().ok()?;
    // Its own time and that of children that it has collected, each as a program and in the kernel.
    let ticks = number(11)? + number(12)? + number(13)? + number(14)?;
    Some((group, Use { processes: 1, ticks, pages: number(21)? }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str =
        "77 (a (b) c) S 1 70 70 0 -1 4194304 10 20 30 40 5 6 7 8 20 0 1 0 100 9000 250 18446744073709551615";

    #[test]
    fn line_of_a_process_is_read_whatever_its_name_and_a_dead_one_takes_nothing() {
        assert_eq!(parse(LINE), Some((70, Use { processes: 1, ticks: 26, pages: 250 })));
        assert_eq!(parse(&LINE.replace(") S ", ") Z ")), None);
        assert_eq!(parse("77 (cut"), None);
        assert_eq!(parse("77 (cut) S 1"), None);
    }

    #[tokio::test(start_paused = true)]
    async fn use_of_a_processor_is_that_since_the_walk_before_or_since_the_start() {
        let meter = Meter::default();
        let agent = AgentId::from_raw(1);
        let metered = meter.enter(agent, Pid::from_raw(70).unwrap());
        let walk = |ticks| Walk {
            at: Instant::now(),
            found: BTreeMap::from([(70, Use { processes: 2, ticks, pages: 3 })]),
        };
        tokio::time::advance(Duration::from_secs(2)).await;
        let a_second = ticks_a_second();
        meter.0.lock().walk = Some(walk(a_second));
        let vitals = meter.0.lock().vitals()[&agent];
        assert_eq!((vitals.processes, vitals.memory_bytes), (2, 3 * page_bytes()));
        assert!((vitals.cpu_percent - 50.0).abs() < 0.1, "{vitals:?}");
        tokio::time::advance(Duration::from_secs(1)).await;
        {
            let mut book = meter.0.lock();
            book.before = book.walk.take();
            book.walk = Some(walk(3 * a_second));
        }
        let vitals = meter.0.lock().vitals()[&agent];
        assert!((vitals.cpu_percent - 200.0).abs() < 0.1, "{vitals:?}");
        drop(metered);
        assert!(meter.0.lock().vitals().is_empty());
    }
}
