//! Regions: where a task may go, and how it goes there exactly once.
//!
//! ```text
//!   submitted ─► Here ─────────────────────► an ordinary task
//!            ├─► Direct ─► handed through, nothing kept here (strict)
//!            └─► kept ─► offered to one region ─► it has it: forgotten here but for a pointer
//!                  ▲              │
//!                  └── refused ◄──┘   another region of the route, or a reason
//! ```
//!
//! Each region is a group of its own, so no entry is agreed by two of them. What makes one task of it all the same: the
//! source keeps the task until the target says that it has it; the target takes a task of that id once; and a region
//! that the task was offered to is asked until it answers, however long it is away. A fallback is taken instead of a
//! region that was never asked, or that refused, and of no other: one that did not answer may have the task.
//! Promises no task in two regions, and strict tasks in none but their own. Leaves sending and reachability to others.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::id::{RequestId, TaskId};
use crate::name::Name;
use crate::refusal::Refusal;
use crate::reply::{Answer, Reply};
use crate::time::Timestamp;

/// The most fallbacks of a route. Each is looked at whenever a region comes or goes.
pub const FALLBACKS_MAX: usize = 8;

/// How long it is remembered where a task went, and that a task came from another region. Longer than a region may be
/// cut off and still be waited for: who offers a task again after that would make a second one.
pub const PASSAGE_LIFE: Duration = Duration::from_secs(90 * 24 * 60 * 60);

/// How many tasks that went are remembered, and of each region how many that came from it; the oldest are forgotten
/// first. Each takes some 200 bytes of memory on every replica. Of each region, because one that sends very many must
/// not make it forgotten what came from another.
pub const PASSAGES_MAX: usize = 1_000_000;

/// How much it matters where a task is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Routing {
    /// Not at all: it stays where it was submitted.
    #[default]
    Any,
    /// It goes to its region, to the first fallback that can be reached otherwise, and waits while none can.
    Preferred,
    /// It is in its region or nowhere, and nothing of it is kept elsewhere.
    Strict,
}

impl fmt::Display for Routing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Any => "any",
            Self::Preferred => "preferred",
            Self::Strict => "strict",
        })
    }
}

/// Where a task shall go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// The region that it is for.
    pub region: Name,
    /// Where it may go instead, the first that can be reached first.
    pub fallbacks: Vec<Name>,
    /// How much that matters.
    pub routing: Routing,
}

/// Why a route leads nowhere, for whoever submits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum NoWay {
    /// A strict task was given fallbacks.
    #[error("a strict task has no fallback regions")]
    StrictWithFallbacks,
    /// More than [`FALLBACKS_MAX`].
    #[error("{0} fallback regions are more than the {FALLBACKS_MAX} that a task may have")]
    TooManyFallbacks(usize),
    /// The region of a strict task cannot be reached from here. Nothing was kept.
    #[error(
        "{0} cannot be reached from here, and a strict task is kept nowhere else: submit it there, or again later"
    )]
    Unreachable(Name),
    /// Every region of the route refused it.
    #[error("every region of its route refused it: {0}")]
    RefusedEverywhere(String),
}

/// What to do with a task next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Way {
    /// It is a task of this region.
    Here,
    /// Hand the request through to that region and keep nothing of it.
    Direct(Name),
    /// Offer it to that region, and note so durably first.
    Offer(Name),
    /// Keep it until a region comes.
    Wait,
    /// It goes nowhere.
    Refuse(NoWay),
}

impl Route {
    /// Tells whether a task of this route is kept where it was submitted until one of its regions has it.
    pub fn is_kept(&self, here: &Name) -> bool {
        self.routing == Routing::Preferred && self.region != *here
    }

    /// Says what to do with a task that is submitted in the region `here`, from where `reachable` can be reached.
    pub fn at_submit(&self, here: &Name, reachable: &BTreeSet<Name>) -> Way {
        if self.fallbacks.len() > FALLBACKS_MAX {
            return Way::Refuse(NoWay::TooManyFallbacks(self.fallbacks.len()));
        }
        match self.routing {
            Routing::Any => Way::Here,
            Routing::Preferred => Forwarding::new(self.clone()).next(here, reachable),
            Routing::Strict if !self.fallbacks.is_empty() => Way::Refuse(NoWay::StrictWithFallbacks),
            Routing::Strict if self.region == *here => Way::Here,
            Routing::Strict if reachable.contains(&self.region) => Way::Direct(self.region.clone()),
            Routing::Strict => Way::Refuse(NoWay::Unreachable(self.region.clone())),
        }
    }
}

/// Where a task is that was forwarded from here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pointer {
    /// Which region has it.
    pub region: Name,
    /// What it is called there.
    pub known_as: TaskId,
    /// Whose it is.
    pub workspace: Name,
    /// When it was forwarded.
    pub at: Timestamp,
}

/// A task that another region offered and that was taken here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arrival {
    /// Which region offered it.
    pub from: Name,
    /// What it is called here.
    pub known_as: TaskId,
    /// When it was taken.
    pub at: Timestamp,
}

/// A task that another region offered and that was refused here for good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Declined {
    /// Which region offered it.
    pub from: Name,
    /// Why it was refused, for a person.
    pub why: Arc<str>,
    /// When that was noted.
    pub at: Timestamp,
}

/// What came of the offer of another region. It is the same however often and late the task is offered again: the region
/// that offered it goes by what it heard first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It was taken.
    Taken(Arrival),
    /// It was refused, and is refused from then on.
    Declined(Declined),
}

impl Verdict {
    /// Returns which region offered the task.
    pub const fn from(&self) -> &Name {
        match self {
            Self::Taken(arrival) => &arrival.from,
            Self::Declined(declined) => &declined.from,
        }
    }

    /// Returns since when it holds.
    pub const fn at(&self) -> Timestamp {
        match self {
            Self::Taken(arrival) => arrival.at,
            Self::Declined(declined) => declined.at,
        }
    }
}

/// A task that is kept for another region, as agreed at its source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forwarding {
    /// Where it shall go.
    pub route: Route,
    /// The region that it was offered to and that has not answered. It may have the task.
    pub offered: Option<Name>,
    /// Those that refused it, and why.
    pub refused: BTreeMap<Name, Arc<str>>,
}

impl Forwarding {
    /// Keeps a task for another region; it was offered to none.
    pub fn new(route: Route) -> Self {
        Self { route, offered: None, refused: BTreeMap::new() }
    }

    /// Says what to do next.
    pub fn next(&self, here: &Name, reachable: &BTreeSet<Name>) -> Way {
        if let Some(region) = &self.offered {
            return if reachable.contains(region) { Way::Offer(region.clone()) } else { Way::Wait };
        }
        if let Some(why) = self.no_way() {
            return Way::Refuse(why);
        }
        let mut left = self.regions().filter(|region| !self.refused.contains_key(*region));
        match left.find(|region| *region == here || reachable.contains(*region)) {
            Some(region) if region == here => Way::Here,
            Some(region) => Way::Offer(region.clone()),
            None => Way::Wait,
        }
    }

    /// Says why it goes nowhere, once every region of its route refused it.
    pub fn no_way(&self) -> Option<NoWay> {
        if self.regions().any(|region| !self.refused.contains_key(region)) {
            return None;
        }
        let reasons = self.refused.iter().map(|(region, why)| format!("{region}: {why}"));
        Some(NoWay::RefusedEverywhere(reasons.collect::<Vec<_>>().join("; ")))
    }

    /// Notes that it is offered to a region from here on; `false` when another one may have it, and nothing changes.
    pub fn offer(&mut self, region: &Name) -> bool {
        let free = self.offered.as_ref().is_none_or(|offered| offered == region)
            && !self.refused.contains_key(region)
            && self.regions().any(|known| known == region);
        if free {
            self.offered = Some(region.clone());
        }
        free
    }

    /// Notes that the region it was offered to refused it, so that it may go elsewhere; `false` when it was not offered
    /// there, and nothing changes.
    pub fn refuse(&mut self, region: &Name, why: Arc<str>) -> bool {
        let offered = self.offered.as_ref() == Some(region);
        if offered {
            self.offered = None;
            self.refused.insert(region.clone(), why);
        }
        offered
    }

    /// Takes a region off the route to which it was not offered; `false` when it was, or is off or not on the route, and
    /// nothing changes.
    pub fn strike(&mut self, region: &Name, why: Arc<str>) -> bool {
        let may = self.offered.as_ref() != Some(region)
            && !self.refused.contains_key(region)
            && self.regions().any(|known| known == region);
        if may {
            self.refused.insert(region.clone(), why);
        }
        may
    }

    fn regions(&self) -> impl Iterator<Item = &Name> {
        std::iter::once(&self.route.region).chain(&self.route.fallbacks)
    }
}

/// Names the request under which a task is offered, at whichever try: the target applies it once.
pub const fn request_for(task: TaskId) -> RequestId {
    RequestId::from_raw(task.raw())
}

/// What a target's answer means for the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The target has the task; the source may forget it.
    Taken {
        /// What it is called there: another task if its idempotency key had come there before.
        known_as: TaskId,
    },
    /// It has not, and will not: it may go elsewhere.
    Refused(Arc<str>),
    /// It has not, and may take it later: offer it there again.
    Later,
}

/// Reads the answer of a target's group to the submit of a task that was offered to it.
pub fn outcome(task: TaskId, answer: &Answer) -> Outcome {
    match answer {
        Ok(Reply::Submitted { task, .. }) => Outcome::Taken { known_as: *task },
        // An earlier try got through, though its answer did not.
        Err(Refusal::TaskExists(known)) if *known == task => Outcome::Taken { known_as: task },
        // It keeps one of the same key for this region: one of the two must have its answer first.
        Err(Refusal::TaskElsewhere { .. }) => Outcome::Later,
        Err(refusal) if refusal.is_temporary() => Outcome::Later,
        Err(refusal) => Outcome::Refused(refusal.to_string().into()),
        Ok(
            Reply::Done
            | Reply::Claimed(_)
            | Reply::Ended { .. }
            | Reply::WillRetry { .. }
            | Reply::Admitted { .. }
            | Reply::Ruled(_),
        ) => Outcome::Taken { known_as: task },
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name(text: &str) -> Name {
        Name::new(text).unwrap()
    }

    fn route(routing: Routing, region: &str, fallbacks: &[&str]) -> Route {
        Route { region: name(region), fallbacks: fallbacks.iter().map(|text| name(text)).collect(), routing }
    }

    fn reachable(regions: &[&str]) -> BTreeSet<Name> {
        regions.iter().map(|text| name(text)).collect()
    }

    #[test]
    fn strict_task_is_kept_nowhere_but_in_its_region() {
        let strict = route(Routing::Strict, "eu", &[]);
        assert_eq!(strict.at_submit(&name("eu"), &reachable(&[])), Way::Here);
        assert_eq!(strict.at_submit(&name("us"), &reachable(&["eu"])), Way::Direct(name("eu")));
        let unreachable = Way::Refuse(NoWay::Unreachable(name("eu")));
        assert_eq!(strict.at_submit(&name("us"), &reachable(&["asia"])), unreachable);
        let contradiction = route(Routing::Strict, "eu", &["us"]);
        let refused = Way::Refuse(NoWay::StrictWithFallbacks);
        assert_eq!(contradiction.at_submit(&name("eu"), &reachable(&[])), refused);
    }

    #[test]
    fn preferred_task_goes_to_its_region_or_to_the_first_fallback_that_is_there() {
        let preferred = route(Routing::Preferred, "eu", &["asia", "us"]);
        let way = |here: &str, there: &[&str]| preferred.at_submit(&name(here), &reachable(there));
        assert_eq!(way("us", &["eu", "asia"]), Way::Offer(name("eu")));
        assert_eq!(way("us", &["asia"]), Way::Offer(name("asia")));
        assert_eq!(way("us", &[]), Way::Here, "here is a fallback too");
        assert_eq!(way("moon", &[]), Way::Wait);
        assert_eq!(way("eu", &["asia"]), Way::Here);
        assert_eq!(route(Routing::Any, "eu", &[]).at_submit(&name("us"), &reachable(&["eu"])), Way::Here);
    }

    #[test]
    fn region_that_was_asked_and_went_away_is_waited_for_although_a_fallback_is_there() {
        let mut kept = Forwarding::new(route(Routing::Preferred, "eu", &["asia"]));
        assert!(kept.offer(&name("eu")));
        assert_eq!(kept.next(&name("us"), &reachable(&["asia"])), Way::Wait);
        assert!(!kept.offer(&name("asia")));
        assert!(kept.refuse(&name("eu"), "no such pool".into()));
        assert_eq!(kept.next(&name("us"), &reachable(&["asia"])), Way::Offer(name("asia")));
        assert!(!kept.offer(&name("eu")), "it refused");
        assert!(!kept.offer(&name("moon")), "it is not on the route");
        kept.offer(&name("asia"));
        kept.refuse(&name("asia"), "full of work".into());
        let reasons = "asia: full of work; eu: no such pool".to_owned();
        let nowhere = Way::Refuse(NoWay::RefusedEverywhere(reasons));
        assert_eq!(kept.next(&name("us"), &reachable(&["asia", "eu"])), nowhere);
    }

    #[test]
    fn answers_of_targets_are_read_so_that_a_second_try_is_no_second_task() {
        let task = TaskId::from_raw(7);
        let (taken, other) = (|known_as| Outcome::Taken { known_as }, TaskId::from_raw(8));
        assert_eq!(outcome(task, &Ok(Reply::Submitted { task, duplicate: false })), taken(task));
        assert_eq!(outcome(task, &Ok(Reply::Submitted { task: other, duplicate: true })), taken(other));
        assert_eq!(outcome(task, &Err(Refusal::TaskExists(task))), taken(task));
        let pool = Refusal::PoolUnknown(name("p"));
        assert_eq!(outcome(task, &Err(pool.clone())), Outcome::Refused(pool.to_string().into()));
        let full = Refusal::Full { bound: crate::refusal::Bound::Node, limit: 1 };
        assert_eq!(outcome(task, &Err(full)), Outcome::Later);
        assert_eq!(request_for(task), request_for(task));
    }

    /// What the network does with one offer.
    #[derive(Debug, Clone, Copy)]
    enum Fate {
        Lost,
        AnswerLost,
        Answered,
    }

    proptest! {
        #[test]
        fn task_is_in_one_region_at_most_and_in_one_once_all_can_be_reached(
            steps in prop::collection::vec((0_u8..8, prop_oneof![Just(Fate::Lost), Just(Fate::AnswerLost), Just(Fate::Answered)]), 0..40),
            refusing in 0_u8..8,
        ) {
            let regions = ["eu", "asia", "moon"];
            let mut kept = Some(Forwarding::new(route(Routing::Preferred, "eu", &["asia", "moon"])));
            let (mut has, mut refused) = (BTreeSet::new(), false);
            let healed = (0..10).map(|_| (7, Fate::Answered));
            for (up, fate) in steps.into_iter().chain(healed) {
                let Some(forwarding) = kept.as_mut() else { break };
                let bit = |mask: u8, place: usize| mask & (1 << place) != 0;
                let there: Vec<&str> = (0..3).filter(|place| bit(up, *place)).map(|place| regions[place]).collect();
                match forwarding.next(&name("us"), &reachable(&there)) {
                    Way::Offer(region) => {
                        prop_assert!(forwarding.offer(&region));
                        if matches!(fate, Fate::Lost) {
                            continue;
                        }
                        let place = regions.iter().position(|text| *text == region.as_str()).unwrap();
                        let refuses = bit(refusing, place);
                        if !refuses {
                            has.insert(region.clone());
                        }
                        match (fate, refuses) {
                            (Fate::Answered, true) => prop_assert!(forwarding.refuse(&region, "no".into())),
                            (Fate::Answered, false) => kept = None,
                            (Fate::Lost | Fate::AnswerLost, _) => {}
                        }
                    }
                    Way::Wait => {}
                    Way::Refuse(_) => {
                        refused = true;
                        break;
                    }
                    other @ (Way::Here | Way::Direct(_)) => prop_assert!(false, "{other:?}"),
                }
                prop_assert!(has.len() <= 1, "in two regions: {has:?}");
            }
            prop_assert_eq!(has.len(), usize::from(refusing != 7));
            prop_assert_eq!(refused, refusing == 7);
        }
    }
}
