//! What the operations of a mailbox cost at backlogs of a thousand to a million tasks.
//!
//! Run with `cargo bench -p synod-domain --bench mailbox`. The backlog is kept constant while measuring: each
//! step adds one task and takes or removes one. Tasks are spread over all lanes, eight workspaces and three
//! demands; an eighth have a deadline. The claim that the cost of a claim does not grow with the backlog is
//! kept when the ratios of enqueue and take stay below two.

#![allow(unsafe_code, reason = "counting allocations needs a global allocator")]
#![allow(clippy::unwrap_used, reason = "a bench may stop at the first surprise")]
#![expect(clippy::disallowed_methods, reason = "a bench measures real time")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use synod_domain::capability::Capabilities;
use synod_domain::chance::Chance;
use synod_domain::id::TaskId;
use synod_domain::mailbox::{Mailbox, Paused, Waiting, Weights};
use synod_domain::name::Name;
use synod_domain::task::Lane;
use synod_domain::time::Timestamp;

const BACKLOGS: [usize; 4] = [1_000, 10_000, 100_000, 1_000_000];
const STEPS: usize = 200_000;
/// Steps are timed in batches, so that reading the clock does not count.
const BATCH: usize = 500;

/// Counts the bytes that are allocated.
struct Counting;

static ALLOCATED: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is passed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATED.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promises are the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        ALLOCATED.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promises are the same.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Makes tasks as a mixed load would.
struct Source {
    chance: Chance,
    workspaces: Vec<Name>,
    demands: Vec<Arc<Capabilities>>,
    sequence: u64,
}

impl Source {
    fn new() -> Self {
        let demands = ["", "rust", "rust gpu"].map(capabilities).map(Arc::new);
        Self {
            chance: Chance::new(1),
            workspaces: (0..8).map(|number| Name::new(&format!("workspace-{number}")).unwrap()).collect(),
            demands: demands.to_vec(),
            sequence: 0,
        }
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.chance.below(bound as u64)).unwrap()
    }

    fn next(&mut self) -> Waiting {
        self.sequence += 1;
        let now = Timestamp::from_millis(self.sequence / 10);
        let deadline =
            (self.below(8) == 0).then(|| now.after(Duration::from_millis(self.chance.below(3_600_000))));
        let (workspace, demand, lane) = (self.below(8), self.below(3), self.below(4));
        Waiting {
            task: TaskId::from_raw(u128::from(self.sequence) << 64 | u128::from(self.chance.draw())),
            workspace: self.workspaces[workspace].clone(),
            demand: Arc::clone(&self.demands[demand]),
            lane: Lane::ALL[lane],
            deadline,
            sequence: self.sequence,
            lane_since: now,
        }
    }
}

fn capabilities(text: &str) -> Capabilities {
    text.split_whitespace().map(|one| one.parse().unwrap()).collect()
}

/// Nanoseconds for one operation each.
struct Costs {
    enqueue: f64,
    take: f64,
    take_picky: f64,
    remove: f64,
    bytes: usize,
}

fn measure(backlog: usize) -> Costs {
    let mut source = Source::new();
    let mut mailbox = Mailbox::default();
    let before = ALLOCATED.load(Ordering::Relaxed);
    for _ in 0..backlog {
        mailbox.enqueue(source.next());
    }
    let bytes = (ALLOCATED.load(Ordering::Relaxed) - before) / backlog;
    drop(mailbox);

    let (enqueue, take) = steady_takes(&mut source, backlog, &capabilities("rust gpu"), 3);
    let (_, take_picky) = steady_takes(&mut source, backlog, &capabilities("python"), 1);
    let remove = steady_removal(&mut source, backlog);
    Costs { enqueue, take, take_picky, remove, bytes }
}

/// Adds tasks and takes the next; returns what adding and taking one cost.
///
/// Lanes are strict, so what arrives goes into the lane that is taken from, and asks for something that
/// can be served (the first `demands`): otherwise the mix of the backlog would drift. Nothing is critical,
/// because the critical lane keeps no ageing index and would flatter the figures.
fn steady_takes(source: &mut Source, backlog: usize, offered: &Capabilities, demands: usize) -> (f64, f64) {
    let weights: Weights = source.workspaces.iter().cloned().zip(1..).collect();
    let mut mailbox = Mailbox::default();
    for number in 0..backlog {
        mailbox.enqueue(Waiting { lane: Lane::ALL[1 + number % 3], ..source.next() });
    }
    let (mut adding, mut taking) = (Duration::ZERO, Duration::ZERO);
    for _ in 0..STEPS / BATCH {
        let arrivals: Vec<Waiting> = (0..BATCH)
            .map(|_| {
                let which = source.below(demands);
                let demand = Arc::clone(&source.demands[which]);
                Waiting { lane: Lane::High, demand, ..source.next() }
            })
            .collect();
        let start = Instant::now();
        for waiting in arrivals {
            mailbox.enqueue(black_box(waiting));
        }
        adding += start.elapsed();
        let start = Instant::now();
        for _ in 0..BATCH {
            assert!(
                black_box(mailbox.take(offered, &weights, &Paused::new())).is_some(),
                "the mailbox ran empty"
            );
        }
        taking += start.elapsed();
    }
    assert_eq!(mailbox.depth(), backlog);
    (per_step(adding), per_step(taking))
}

/// Adds tasks and removes others from anywhere in the backlog; returns what a removal cost.
///
/// Cancels and timeouts do this; a completed task has left the mailbox when it was claimed. Random places
/// of a large backlog are not in any cache, and that is most of what the largest figure shows.
fn steady_removal(source: &mut Source, backlog: usize) -> f64 {
    let mut known: Vec<Waiting> = (0..backlog).map(|_| source.next()).collect();
    let mut mailbox = Mailbox::default();
    for waiting in &known {
        mailbox.enqueue(waiting.clone());
    }
    let mut removing = Duration::ZERO;
    for _ in 0..STEPS / BATCH {
        for _ in 0..BATCH {
            let waiting = source.next();
            known.push(waiting.clone());
            mailbox.enqueue(waiting);
        }
        let gone: Vec<Waiting> = (0..BATCH).map(|_| known.swap_remove(source.below(known.len()))).collect();
        let start = Instant::now();
        for waiting in &gone {
            assert!(black_box(mailbox.remove(waiting)), "it waits");
        }
        removing += start.elapsed();
    }
    per_step(removing)
}

fn per_step(total: Duration) -> f64 {
    total.as_secs_f64() * 1e9 / STEPS as f64
}

fn main() {
    println!("   backlog       enqueue          take   take, picky        remove   bytes a task");
    println!("              ns   ratio    ns   ratio    ns   ratio    ns   ratio");
    let mut first: Option<Costs> = None;
    for backlog in BACKLOGS {
        let costs = measure(backlog);
        let base = first.get_or_insert(Costs { ..costs });
        let cell = |cost: f64, base: f64| format!("{cost:6.0} {:6.2}", cost / base);
        println!(
            "{backlog:>10} {} {} {} {}    {:>6}",
            cell(costs.enqueue, base.enqueue),
            cell(costs.take, base.take),
            cell(costs.take_picky, base.take_picky),
            cell(costs.remove, base.remove),
            costs.bytes,
        );
    }
}
