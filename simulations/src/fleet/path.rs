//! The longest way through a plan, and what on it would have to be changed for the run to be over earlier.

use std::time::Duration;

use super::answer::Bottleneck;
use super::measure::{Measured, percent};
use super::show::span;

/// From how much of its time on a pool counts as busy: a little of every lease goes by before and after the work.
const BUSY_PERCENT: u64 = 75;

/// Returns the places of the entries of which each had to wait for the one before it, to the one that ended last.
pub(super) fn longest(measured: &Measured<'_>) -> Vec<usize> {
    let ended = |place: &usize| measured.entries[*place].ended_ms;
    let begun = |place: &usize| measured.entries[*place].ended_ms > 0;
    let plan = &measured.stage.plan.entries;
    let mut path = Vec::new();
    let mut next = (0..plan.len()).filter(begun).max_by_key(ended);
    while let Some(place) = next {
        path.push(place);
        let before =
            plan[place].after.iter().filter_map(|name| plan.iter().position(|entry| entry.name == *name));
        next = before.filter(begun).max_by_key(ended);
    }
    path.reverse();
    path
}

/// Says what takes most of the longest way, and what would help.
pub(super) fn bottleneck(measured: &Measured<'_>, path: &[usize]) -> Option<Bottleneck> {
    let took = |place: usize| {
        let entry = &measured.entries[place];
        Duration::from_millis(entry.ended_ms.saturating_sub(entry.began_ms))
    };
    let place = path.iter().copied().max_by_key(|place| took(*place))?;
    let (entry, time) = (&measured.entries[place], took(place));
    let run = measured.ended - measured.began;
    let of_run = percent(time, run, 1);
    let begin = format!("`{}` takes {} of {} ({of_run} %)", entry.name, span(time), span(run));
    let path = path.iter().map(|place| measured.entries[*place].name.clone()).collect();
    let of = |kind: &str, pool: Option<String>, says: String| Bottleneck {
        kind: kind.to_owned(),
        entry: entry.name.clone(),
        pool,
        path,
        says,
    };
    let busiest = busiest(measured, place);
    if let Some((pool, slots, busy)) = busiest.filter(|(_, _, busy)| *busy >= BUSY_PERCENT)
        && entry.tasks > slots
    {
        let slots =
            if slots == 1 { "its only slot was".to_owned() } else { format!("its {slots} slots were") };
        let says = format!(
            "{begin} and the pool `{pool}` is the bottleneck: {slots} taken {busy} % of that time; more agents or \
             more concurrency there shorten the run"
        );
        return Some(of("pool", Some(pool), says));
    }
    let longest =
        measured.spans.iter().filter(|one| one.entry == place).map(|one| one.to.saturating_sub(one.from));
    let longest = longest.max().unwrap_or_default();
    if percent(longest, time, 1) >= BUSY_PERCENT {
        let says = format!(
            "{begin}, most of it in one attempt of {}: only quicker or smaller tasks there shorten the run, more \
             agents do not",
            span(longest)
        );
        return Some(of("work", None, says));
    }
    let says = format!("{begin}, and no pool is busy all the time: see for what its work waits");
    Some(of("waiting", None, says))
}

/// Returns the pool that was busiest while an entry was open, with its slots and how busy it was.
fn busiest(measured: &Measured<'_>, place: usize) -> Option<(String, usize, u64)> {
    let entry = &measured.entries[place];
    let since = |millis| measured.began + Duration::from_millis(millis);
    let (from, to) = (since(entry.began_ms), since(entry.ended_ms));
    let pools = measured.stage.pools_of(&measured.stage.plan.entries[place]);
    let busy = pools.filter_map(|name| {
        let pool = measured.pools.iter().find(|pool| pool.name == name.as_str())?;
        let is_of = |agent| measured.agents.get(agent).is_some_and(|(_, of)| *of == pool.name);
        let taken = measured.spans.iter().filter(|span| is_of(&span.agent));
        let taken: Duration = taken.map(|span| span.to.min(to).saturating_sub(span.from.max(from))).sum();
        Some((pool.name.clone(), pool.slots, percent(taken, to.saturating_sub(from), pool.slots)))
    });
    busy.max_by_key(|(_, _, busy)| *busy)
}
