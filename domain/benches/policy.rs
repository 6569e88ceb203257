//! What deciding one question costs with a thousand rules, beside a plain look at every rule in the same run.
//!
//! Run with `cargo bench -p synod-domain --bench policy`. Each world has a hundred policies of ten rules. In the first
//! every rule is about a tool of its own, as where each team writes policies for its tools; in the second all are
//! about one tool and differ in their conditions, which no index of actions helps; in the third all are patterns.
//! The question is one that no rule matches, so everything that may be about it is looked at. The claim is under
//! 50 microseconds, the goal under 10, and no allocation that grows with the rules: see the last column.

#![allow(unsafe_code, reason = "counting allocations needs a global allocator")]
#![allow(clippy::unwrap_used, reason = "a bench may stop at the first surprise")]
#![expect(clippy::disallowed_methods, reason = "a bench measures real time")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use synod_domain::name::Name;
use synod_domain::policy::{
    AgentLists, Attributes, Comparison, Condition, Context, Defaults, Effect, Enforcement, Policy, PolicySet,
    PolicySpec, Question, Rule, Scope, Test, Value, glob,
};
use synod_domain::time::Timestamp;

const POLICIES: usize = 100;
const RULES: usize = 10;
const STEPS: u32 = 500;
/// The middle one of so many measurements counts.
const ROUNDS: usize = 15;

/// Counts the calls that allocate.
struct Counting;

static CALLS: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is passed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        CALLS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promises are the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are the same.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Makes the policies of a world; `action` names the action of a rule by its number.
fn policies(action: impl Fn(usize) -> String) -> Vec<Arc<Policy>> {
    let made = (0..POLICIES).map(|number| {
        let rules = (0..RULES).map(|rule| {
            let rule = number * RULES + rule;
            let condition = |attribute: &str, test| Condition { attribute: attribute.into(), test };
            Rule {
                action: action(rule).into(),
                conditions: vec![
                    condition("language", Test::Equals(Value::from("python"))),
                    condition("path", Test::Like(format!("/srv/{rule}/*").into())),
                    condition("size", Test::Compare(Comparison::Above, Value::from(10))),
                ],
                when: None,
                effect: Effect::Deny,
                reason: None,
            }
        });
        let spec = PolicySpec {
            name: Name::new(&format!("policy-{number}")).unwrap(),
            description: None,
            priority: i32::try_from(number % 7).unwrap(),
            enabled: true,
            enforcement: Enforcement::Hard,
            scope: Scope::default(),
            agents: AgentLists::default(),
            rules: rules.collect(),
        };
        let at = Timestamp::ZERO;
        Arc::new(Policy { spec: spec.into(), version: 1, created_at: at, changed_at: at })
    });
    made.collect()
}

/// Looks at every rule of every policy in order, and each attribute again for each.
fn linear<'p>(policies: &[&'p Policy], action: &str, attributes: &Attributes) -> Option<&'p Rule> {
    let met = |condition: &Condition| match (&condition.test, attributes.get(&condition.attribute)) {
        (Test::Equals(wanted), Some(value)) => wanted == value,
        (Test::Like(pattern), Some(Value::Text(text))) => glob::matches(pattern, text),
        (Test::Compare(Comparison::Above, Value::Whole(bound)), Some(Value::Whole(value))) => value > bound,
        _ => false,
    };
    let mut rules = policies.iter().flat_map(|policy| &policy.spec.rules);
    rules.find(|rule| glob::matches(&rule.action, action) && rule.conditions.iter().all(met))
}

/// Returns nanoseconds and allocations of one call.
fn measure(mut call: impl FnMut()) -> (f64, f64) {
    let before = CALLS.load(Ordering::Relaxed);
    let mut rounds: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            for _ in 0..STEPS {
                call();
            }
            start.elapsed().as_secs_f64() * 1e9 / f64::from(STEPS)
        })
        .collect();
    let calls = (CALLS.load(Ordering::Relaxed) - before) as f64 / (f64::from(STEPS) * ROUNDS as f64);
    rounds.sort_by(f64::total_cmp);
    (rounds[ROUNDS / 2], calls)
}

fn main() {
    println!("| {} rules | decide, µs | linear, µs | ratio | allocations |", POLICIES * RULES);
    println!("|---|---|---|---|---|");
    let attributes: Attributes = [
        ("language".into(), Value::from("python")),
        ("path".into(), Value::from("/home/ann/notes/of/today.txt")),
        ("size".into(), Value::from(12)),
    ]
    .into_iter()
    .collect();
    let worlds = [
        ("a tool for each rule", "tool.t500.run", policies(|rule| format!("tool.t{rule}.run"))),
        ("one tool for all", "tool.file.write", policies(|_| "tool.file.write".to_owned())),
        ("patterns over tools", "tool.t500.run", policies(|rule| format!("tool.t{}*.run", rule % 10))),
    ];
    for (world, action, policies) in worlds {
        let set = PolicySet::build(&policies, Defaults::default(), &PolicySet::default()).unwrap();
        let ordered: Vec<&Policy> = set.policies().iter().map(AsRef::as_ref).collect();
        let context = Context { workspace: Some("default"), agent: Some("ann"), ..Context::default() };
        let question = Question { action, context, attributes: &attributes };
        assert!(set.decide(&question).by().is_none() && linear(&ordered, action, &attributes).is_none());
        let (decide, allocations) = measure(|| {
            black_box(set.decide(black_box(&question)));
        });
        let (plain, _) = measure(|| {
            black_box(linear(black_box(&ordered), action, &attributes));
        });
        println!(
            "| {world} | {:.2} | {:.2} | {:.2} | {allocations:.0} |",
            decide / 1000.0,
            plain / 1000.0,
            decide / plain
        );
    }
}
