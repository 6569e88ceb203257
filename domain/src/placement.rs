//! Which agents get the next tasks of a mailbox.
//!
//! The mailbox decides which task is next; placement decides who is asked to claim. A plan says how many
//! tasks each agent should claim, in the order in which they should claim them, and pairs every grant with
//! waiting work that the agent can do, so that nobody is woken for nothing.
//!
//! Promises: no agent is granted more than its free slots or than the work it can do; some work is granted
//! whenever somebody free can do some; the same problem gives the same plan. Left to others: that the agent
//! really claims. A generalist that claims takes what the mailbox puts first, which may be work that the
//! plan had meant for a specialist; the next plan repairs that. The pairing is greedy, not a maximum matching.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::capability::Capabilities;
use crate::chance::Chance;
use crate::id::AgentId;

/// How agents are chosen for waiting work.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// One after the other, going on after the agent that was served last.
    RoundRobin,
    /// Whoever holds the fewest tasks; among those, whoever completed the fewest.
    #[default]
    LeastBusy,
    /// By lot.
    Random,
    /// Whoever offers the fewest capabilities beyond what is needed, so that generalists stay free.
    CapabilityAware,
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::RoundRobin => "round_robin",
            Self::LeastBusy => "least_busy",
            Self::Random => "random",
            Self::CapabilityAware => "capability_aware",
        })
    }
}

/// Waiting tasks with the same demand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitingWork {
    /// What they ask for.
    pub demand: Arc<Capabilities>,
    /// How many they are.
    pub count: usize,
}

/// An agent that may be given work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate<'a> {
    /// Who.
    pub agent: AgentId,
    /// What it can do.
    pub capabilities: &'a Capabilities,
    /// How many more tasks it takes now.
    pub free: u32,
    /// How many it holds.
    pub held: u32,
    /// How many it completed.
    pub completed: u64,
}

/// Work that waits in one mailbox, and who could do it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem<'a> {
    /// The waiting work, one item for each demand.
    pub waiting: Vec<WaitingWork>,
    /// The agents, each once, in order of id.
    pub candidates: Vec<Candidate<'a>>,
    /// How to choose.
    pub strategy: Strategy,
    /// Whether agents that hold work are filled before others get any, whatever the strategy.
    pub consolidate: bool,
    /// The agent served last; round robin goes on after it, whether or not it is still there.
    pub cursor: Option<AgentId>,
    /// Where chance comes from; only [`Strategy::Random`] uses it.
    pub seed: u64,
}

/// Who should claim how many tasks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// Each agent once, with at least one task, in the order in which they were first served.
    pub grants: Vec<(AgentId, u32)>,
    /// The agent served last: the cursor for the next problem.
    pub cursor: Option<AgentId>,
}

/// Plans who claims what.
///
/// Costs O((w·c + n) log c) for w demands, c candidates and n granted tasks.
pub fn place(problem: &Problem<'_>) -> Plan {
    let mut desk = Desk::new(problem);
    match problem.strategy {
        Strategy::Random if !problem.consolidate => desk.serve_by_lot(&mut Chance::new(problem.seed)),
        Strategy::RoundRobin | Strategy::LeastBusy | Strategy::Random | Strategy::CapabilityAware => {
            desk.serve_by_rank();
        }
    }
    desk.plan
}

/// The order among candidates: the smallest is served first. The index makes it total.
type Rank = (u64, u64, u64, usize);

/// A plan in the making.
struct Desk<'a> {
    problem: &'a Problem<'a>,
    /// Demands with what is left of them, hardest first, so that who can do much begins with what few can do.
    left: Vec<(&'a Capabilities, usize)>,
    /// For each candidate the first place in `left` that may still be for it. Never goes back, because
    /// work only gets less: this is what keeps the whole plan at O(w·c) matches.
    reached: Vec<usize>,
    /// For each candidate what it was granted.
    granted: Vec<u32>,
    /// For each granted candidate its place in the plan.
    places: BTreeMap<usize, usize>,
    plan: Plan,
}

impl<'a> Desk<'a> {
    fn new(problem: &'a Problem<'a>) -> Self {
        let mut left: Vec<_> = problem.waiting.iter().map(|work| (&*work.demand, work.count)).collect();
        left.sort_by(|(a, _), (b, _)| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        Self {
            problem,
            left,
            reached: vec![0; problem.candidates.len()],
            granted: vec![0; problem.candidates.len()],
            places: BTreeMap::new(),
            plan: Plan { grants: Vec::new(), cursor: problem.cursor },
        }
    }

    /// Serves the candidate of the smallest rank, again and again.
    fn serve_by_rank(&mut self) {
        let mut queue: BinaryHeap<Reverse<Rank>> =
            (0..self.problem.candidates.len()).map(|index| Reverse(self.rank(index))).collect();
        while let Some(Reverse((.., index))) = queue.pop() {
            if self.serve(index) {
                queue.push(Reverse(self.rank(index)));
            }
        }
    }

    /// Serves a candidate drawn by lot, again and again.
    fn serve_by_lot(&mut self, chance: &mut Chance) {
        let mut hat: Vec<usize> = (0..self.problem.candidates.len()).collect();
        while !hat.is_empty() {
            let drawn = usize::try_from(chance.below(hat.len() as u64)).unwrap_or(0);
            if !self.serve(hat[drawn]) {
                hat.swap_remove(drawn);
            }
        }
    }

    fn rank(&self, index: usize) -> Rank {
        let candidate = &self.problem.candidates[index];
        let busy = u64::from(candidate.held) + u64::from(self.granted[index]);
        if self.problem.consolidate {
            // The fullest first; of equals whoever has done the most, who is the least new.
            return (u64::MAX - busy, u64::MAX - candidate.completed, 0, index);
        }
        match self.problem.strategy {
            // Those after the cursor come first, then those up to it.
            Strategy::RoundRobin => {
                let wrapped = self.problem.cursor.is_some_and(|cursor| candidate.agent <= cursor);
                (u64::from(self.granted[index]), u64::from(wrapped), 0, index)
            }
            Strategy::LeastBusy | Strategy::Random => (busy, candidate.completed, 0, index),
            // For any one demand, fewest surplus capabilities is fewest capabilities.
            Strategy::CapabilityAware => {
                (candidate.capabilities.len() as u64, busy, candidate.completed, index)
            }
        }
    }

    /// Grants one task to a candidate; tells whether it could.
    fn serve(&mut self, index: usize) -> bool {
        let candidate = &self.problem.candidates[index];
        if self.granted[index] >= candidate.free {
            return false;
        }
        let from = self.reached[index];
        let found = (from..self.left.len()).find(|place| {
            let (demand, count) = self.left[*place];
            count > 0 && candidate.capabilities.satisfy(demand)
        });
        let Some(place) = found else {
            self.reached[index] = self.left.len();
            return false;
        };
        self.reached[index] = place;
        self.left[place].1 -= 1;
        self.granted[index] += 1;
        let grants = &mut self.plan.grants;
        let at = *self.places.entry(index).or_insert_with(|| {
            grants.push((candidate.agent, 0));
            grants.len() - 1
        });
        grants[at].1 += 1;
        self.plan.cursor = Some(candidate.agent);
        true
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    // Named, because proptest's prelude has a `Strategy` too.
    use super::Strategy;
    use super::*;

    const STRATEGIES: [Strategy; 4] =
        [Strategy::RoundRobin, Strategy::LeastBusy, Strategy::Random, Strategy::CapabilityAware];

    fn set(text: &str) -> Capabilities {
        text.split_whitespace().map(|one| one.parse().expect("a capability")).collect()
    }

    fn agent(number: usize) -> AgentId {
        AgentId::from_raw(number as u128 + 1)
    }

    fn work(demand: &str, count: usize) -> WaitingWork {
        WaitingWork { demand: Arc::new(set(demand)), count }
    }

    /// Free slots, held tasks, completed tasks and what is offered, for each agent.
    type Staff = Vec<(u32, u32, u64, Capabilities)>;

    fn problem(strategy: Strategy, waiting: Vec<WaitingWork>, staff: &Staff) -> Problem<'_> {
        let candidates = staff.iter().enumerate().map(|(number, (free, held, completed, capabilities))| {
            Candidate { agent: agent(number), capabilities, free: *free, held: *held, completed: *completed }
        });
        Problem {
            waiting,
            candidates: candidates.collect(),
            strategy,
            consolidate: false,
            cursor: None,
            seed: 5,
        }
    }

    fn granted(plan: &Plan, number: usize) -> u32 {
        plan.grants.iter().filter(|(one, _)| *one == agent(number)).map(|(_, count)| *count).sum()
    }

    fn some_set() -> impl proptest::strategy::Strategy<Value = Capabilities> {
        use proptest::strategy::Strategy as _;
        prop::sample::subsequence(vec!["a", "b", "c"], 0..=3).prop_map(|names| set(&names.join(" ")))
    }

    fn some_staff() -> impl proptest::strategy::Strategy<Value = Staff> {
        prop::collection::vec((0..5_u32, 0..5_u32, 0..3_u64, some_set()), 0..8)
    }

    fn some_work() -> impl proptest::strategy::Strategy<Value = Vec<WaitingWork>> {
        use proptest::strategy::Strategy as _;
        let one = (some_set(), 0..8_usize);
        prop::collection::vec(
            one.prop_map(|(demand, count)| WaitingWork { demand: Arc::new(demand), count }),
            0..5,
        )
    }

    proptest! {
        #[test]
        fn grants_stay_within_free_slots_and_within_the_work_that_can_be_done(
            strategy in prop::sample::select(STRATEGIES.to_vec()), waiting in some_work(), staff in some_staff(),
            cursor in prop::option::of(0..9_usize), seed: u64,
        ) {
            let mut problem = problem(strategy, waiting, &staff);
            (problem.cursor, problem.seed) = (cursor.map(agent), seed);
            let plan = place(&problem);
            let able = |candidate: &Candidate<'_>| -> usize {
                let fitting = problem.waiting.iter().filter(|work| candidate.capabilities.satisfy(&work.demand));
                fitting.map(|work| work.count).sum()
            };
            for (number, candidate) in problem.candidates.iter().enumerate() {
                let count = granted(&plan, number);
                prop_assert!(count <= candidate.free);
                prop_assert!(count as usize <= able(candidate));
            }
            let total: u32 = plan.grants.iter().map(|(_, count)| *count).sum();
            prop_assert!(total as usize <= problem.waiting.iter().map(|work| work.count).sum());
            prop_assert!(plan.grants.iter().all(|(_, count)| *count > 0));
            let possible = problem.candidates.iter().any(|one| one.free > 0 && able(one) > 0);
            prop_assert_eq!(possible, !plan.grants.is_empty());
            prop_assert_eq!(place(&problem), plan);
        }

        #[test]
        fn plan_leaves_no_work_beside_a_free_agent_that_can_do_all(
            strategy in prop::sample::select(STRATEGIES.to_vec()), waiting in some_work(), staff in some_staff(),
        ) {
            let mut staff = staff;
            staff.push((3, 0, 0, set("a b c")));
            let problem = problem(strategy, waiting, &staff);
            let plan = place(&problem);
            let total: u32 = plan.grants.iter().map(|(_, count)| *count).sum();
            let all = total as usize == problem.waiting.iter().map(|work| work.count).sum::<usize>();
            prop_assert!(all || granted(&plan, staff.len() - 1) == 3);
        }

        #[test]
        fn round_robin_spreads_within_one_and_goes_on_after_the_cursor(
            agents in 1..8_usize, rounds in prop::collection::vec(1..5_usize, 1..8),
        ) {
            let staff: Staff = vec![(100, 0, 0, set("a")); agents];
            let (mut cursor, mut totals) = (None, vec![0; agents]);
            for count in rounds {
                let problem = Problem { cursor, ..problem(Strategy::RoundRobin, vec![work("a", count)], &staff) };
                let plan = place(&problem);
                cursor = plan.cursor;
                for (number, total) in totals.iter_mut().enumerate() {
                    *total += granted(&plan, number);
                }
                let (least, most) = (totals.iter().min(), totals.iter().max());
                prop_assert!(most.zip(least).is_some_and(|(most, least)| most - least <= 1), "{totals:?}");
            }
        }

        #[test]
        fn least_busy_never_passes_over_a_less_busy_agent_with_a_slot(
            count in 0..20_usize, staff in prop::collection::vec((0..5_u32, 0..5_u32, 0..3_u64, Just(set("a"))), 0..8),
        ) {
            let problem = problem(Strategy::LeastBusy, vec![work("a", count)], &staff);
            let plan = place(&problem);
            for (busier, (_, held, ..)) in staff.iter().enumerate().filter(|(one, _)| granted(&plan, *one) > 0) {
                let busy_at_last_grant = held + granted(&plan, busier) - 1;
                for (other, (free, held, ..)) in staff.iter().enumerate() {
                    let had_slot = granted(&plan, other) < *free;
                    prop_assert!(!had_slot || held + granted(&plan, other) >= busy_at_last_grant);
                }
            }
        }

        #[test]
        fn capability_aware_spares_whoever_offers_more(
            count in 0..20_usize, staff in some_staff(),
        ) {
            let problem = problem(Strategy::CapabilityAware, vec![work("a", count)], &staff);
            let plan = place(&problem);
            let able = |one: &Capabilities| one.satisfy(&set("a"));
            for (chosen, (.., offered)) in staff.iter().enumerate().filter(|(one, _)| granted(&plan, *one) > 0) {
                for (other, (free, _, _, narrower)) in staff.iter().enumerate() {
                    let tighter = able(narrower) && narrower.len() < offered.len();
                    prop_assert!(!tighter || granted(&plan, other) == *free, "{chosen} went before {other}");
                }
            }
        }

        #[test]
        fn random_follows_only_the_seed(seed: u64, staff in some_staff()) {
            let problem = Problem { seed, ..problem(Strategy::Random, vec![work("a", 9)], &staff) };
            prop_assert_eq!(place(&problem), place(&problem.clone()));
        }
    }

    #[test]
    fn random_differs_between_seeds_and_reaches_everybody() {
        let staff: Staff = vec![(1000, 0, 0, set("")); 4];
        let plan = |seed| place(&Problem { seed, ..problem(Strategy::Random, vec![work("", 1000)], &staff) });
        assert_ne!(plan(1), plan(2));
        assert!((0..4).all(|number| (150..350).contains(&granted(&plan(1), number))), "{:?}", plan(1));
    }

    #[test]
    fn generalist_begins_with_what_the_specialist_cannot_do() {
        let staff: Staff = vec![(1, 0, 0, set("a b")), (1, 0, 0, set("a"))];
        for strategy in STRATEGIES {
            let plan = place(&problem(strategy, vec![work("a", 1), work("a b", 1)], &staff));
            assert_eq!((granted(&plan, 0), granted(&plan, 1)), (1, 1), "{strategy}");
        }
    }

    #[test]
    fn consolidated_work_fills_who_is_busy_before_others_whatever_the_strategy() {
        let staff: Staff = vec![(3, 0, 0, set("")), (2, 1, 0, set("")), (1, 2, 0, set(""))];
        for strategy in STRATEGIES {
            let plan = |count| {
                let problem = problem(strategy, vec![work("", count)], &staff);
                place(&Problem { consolidate: true, ..problem })
            };
            assert_eq!(plan(1).grants, [(agent(2), 1)], "{strategy}");
            assert_eq!(plan(3).grants, [(agent(2), 1), (agent(1), 2)], "{strategy}");
            assert_eq!(plan(9).grants, [(agent(2), 1), (agent(1), 2), (agent(0), 3)], "{strategy}");
        }
    }

    #[test]
    fn nobody_is_woken_for_work_that_another_was_asked_to_take() {
        let staff: Staff = vec![(5, 0, 0, set("a")); 3];
        let plan = place(&problem(Strategy::LeastBusy, vec![work("a", 2)], &staff));
        assert_eq!(plan.grants, [(agent(0), 1), (agent(1), 1)]);
    }
}
