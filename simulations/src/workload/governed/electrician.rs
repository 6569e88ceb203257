//! The electrician: breakers over work that fails in spells, of its types and of the pool that does it, which come, change,
//! are tripped and reset by hand and go.
//!
//! At how many failures in a row each opens, and the most probes that it ever asks for, is said before the world begins. At
//! the end of new work there are none, so that all ends that one held back.

use std::sync::Arc;
use std::time::Duration;

use synod::node::domain::breaker::{Breaker, BreakerCommand, BreakerSpec, Circuit, Guarded};
use synod::node::domain::command::Command;
use synod::node::{Error, Pool};

use crate::history::{Change, Fuse};
use crate::script::{Act, Script};
use crate::workload::NATIVE;
use crate::workload::governed::{Errand, Office, Wanted};

/// What it is called, and its workspace.
pub(super) const NAME: &str = "electrician";

/// The pool of its work, how many agents that has, and how many tasks each may hold: more than probes.
const FUSED: &str = "fused";
const AGENTS: u32 = 2;
const SLOTS: u32 = 3;

/// The types of its work.
const KINDS: [&str; 2] = ["brittle-glass", "brittle-china"];

/// The breakers: what each is about, and the most probes that it ever asks for.
const FUSES: [(&str, u32); 3] = [("type/brittle-glass", 1), ("type/brittle-china", 2), ("pool/fused", 2)];

/// At how many failures in a row each opens.
const FAILURES: u32 = 3;

/// How long a breaker is open at most.
const OPEN_MAX: Duration = Duration::from_secs(6);

/// Governs until the world settles, then has no breaker any more.
pub(super) async fn run(mut office: Office) {
    while office.is_busy() && put_pool(&office).await.is_err() {
        office.pause(20, 300).await;
    }
    let mut is_broken = false;
    while office.is_busy() {
        // What is behind the work breaks down for a while, again and again.
        is_broken ^= office.stream.happens(10);
        match office.stream.between(0, 99) {
            0..76 => submit(&mut office, is_broken).await,
            76..89 => put(&mut office).await,
            89..93 => trip(&mut office).await,
            93..97 => reset(&mut office).await,
            _ => {
                let there = those(&office, |_| true);
                if let Some(of) = office.stream.pick(&there).cloned() {
                    remove(&office, of).await;
                }
            }
        }
        office.pause(0, 300).await;
    }
    while office.looks_again().await {
        for of in those(&office, |_| true) {
            remove(&office, of).await;
        }
    }
}

/// Says when its breakers open, and what they let through.
pub(super) fn fuses() -> impl Iterator<Item = (String, Fuse)> {
    FUSES.iter().map(|(of, probes)| {
        let is_about = |kind: &&&str| *of == format!("pool/{FUSED}") || *of == format!("type/{kind}");
        let kinds = KINDS.iter().filter(is_about).map(ToString::to_string).collect();
        ((*of).to_owned(), Fuse { failures: FAILURES, probes: *probes, kinds })
    })
}

async fn put_pool(office: &Office) -> Result<(), Error> {
    office.node.put_pool(Pool::native(FUSED, NATIVE)?.size(AGENTS).concurrency(SLOTS)).await.map(drop)
}

async fn submit(office: &mut Office, is_broken: bool) {
    let kind = office.stream.pick(&KINDS).copied().unwrap_or(KINDS[0]);
    let millis = office.stream.between(20, 500);
    let mut errand = Errand::of(&mut office.stream, (50, 700), Vec::new());
    if is_broken && office.stream.happens(85) {
        errand.script = Script::of(&[(Act::Fail, millis), (Act::Fail, millis), (Act::Succeed, millis)]);
    }
    office.submit_to(FUSED, Wanted::of(kind, errand)).await;
}

/// Returns of what there are such breakers; others may have some, too.
fn those(office: &Office, are: impl Fn(&Breaker) -> bool) -> Vec<Guarded> {
    let guarded = FUSES.iter().filter_map(|(of, _)| of.parse::<Guarded>().ok());
    office.node.read(|state| guarded.filter(|of| state.breaker(of).is_some_and(&are)).collect())
}

async fn put(office: &mut Office) {
    let Some((path, most)) = office.stream.pick(&FUSES).copied() else { return };
    let Ok(of) = path.parse::<Guarded>() else { return };
    let probes = u32::try_from(office.stream.between(1, u64::from(most))).unwrap_or(1);
    let spec = BreakerSpec {
        failures: FAILURES,
        rate_percent: if office.stream.happens(50) { 80 } else { 0 },
        window: 10,
        at_least: 5,
        open_for: office.stream.millis(300, 2_000),
        open_max: OPEN_MAX,
        probes,
        of,
    };
    let change = Change::PutBreaker { of: path.to_owned(), probes };
    office.govern(change, Command::Breaker(BreakerCommand::Put { spec: Arc::new(spec) })).await;
}

async fn trip(office: &mut Office) {
    let there = those(office, |_| true);
    let Some(of) = office.stream.pick(&there).cloned() else { return };
    let (period, reason) = (Some(office.stream.millis(300, 4_000)), "the vendor is down".into());
    let change = Change::TripBreaker { of: of.path() };
    office.govern(change, Command::Breaker(BreakerCommand::Trip { of, period, reason })).await;
}

/// Closes one that is not, as far as it can see.
async fn reset(office: &mut Office) {
    let shut = those(office, |one| !matches!(one.circuit, Circuit::Closed { .. }));
    let Some(of) = office.stream.pick(&shut).cloned() else { return };
    let change = Change::ResetBreaker { of: of.path() };
    office.govern(change, Command::Breaker(BreakerCommand::Reset { of })).await;
}

async fn remove(office: &Office, of: Guarded) {
    let change = Change::RemoveBreaker { of: of.path() };
    office.govern(change, Command::Breaker(BreakerCommand::Remove { of })).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_breaker_of_a_type_is_about_that_type_and_one_of_the_pool_about_all() {
        let fuses: Vec<(String, Fuse)> = fuses().collect();
        let kinds = |of: &str| {
            let found = fuses.iter().find(|(path, _)| path == of).unwrap();
            KINDS.map(|kind| found.1.is_about(kind))
        };
        assert_eq!(kinds("type/brittle-glass"), [true, false]);
        assert_eq!(kinds("type/brittle-china"), [false, true]);
        assert_eq!(kinds("pool/fused"), [true, true]);
        for (path, fuse) in &fuses {
            assert_eq!(path.parse::<Guarded>().unwrap().path(), *path);
            assert!(fuse.probes < AGENTS * SLOTS, "more could begin than are probes");
        }
    }
}
