//! The laws of the mailbox, checked against a model that does everything the slow and obvious way.

use proptest::prelude::*;
use proptest::sample::Index;

use super::*;

const OFFERS: usize = 6;
const DEMANDS: usize = 4;

fn capabilities(text: &str) -> Capabilities {
    text.split_whitespace().map(|one| one.parse().expect("a capability")).collect()
}

fn demand(which: usize) -> Arc<Capabilities> {
    Arc::new(capabilities(["", "rust", "gpu", "rust@2 gpu"][which]))
}

fn offer(which: usize) -> Capabilities {
    capabilities(["", "rust", "gpu", "rust@1 gpu", "rust@2 gpu", "python"][which])
}

fn workspace(which: usize) -> Name {
    Name::new(["ant", "bee", "cat", "dog"][which]).expect("a name")
}

fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(millis)
}

/// Every waiting task in one list.
#[derive(Debug, Default)]
struct Model {
    waiting: Vec<Waiting>,
    turns: Turns,
    paused: Paused,
}

impl Model {
    fn enqueue(&mut self, waiting: Waiting) {
        let turns = &mut self.turns[waiting.lane.rank()];
        if turns.iter().all(|turn| turn.workspace != waiting.workspace) {
            turns.push(Turn { workspace: waiting.workspace.clone(), left: 0 });
        }
        self.waiting.push(waiting);
    }

    fn remove(&mut self, index: usize) -> Waiting {
        let gone = self.waiting.swap_remove(index);
        let others = self.waiting.iter().any(|one| one.lane == gone.lane && one.workspace == gone.workspace);
        if !others {
            self.turns[gone.lane.rank()].retain(|turn| turn.workspace != gone.workspace);
        }
        gone
    }

    fn first(&self, offered: &Capabilities) -> Option<usize> {
        Lane::ALL.into_iter().find_map(|lane| {
            self.turns[lane.rank()].iter().filter(|turn| !self.paused.contains(&turn.workspace)).find_map(
                |turn| {
                    let matching = self.waiting.iter().enumerate().filter(|(_, one)| {
                        one.lane == lane && one.workspace == turn.workspace && offered.satisfy(&one.demand)
                    });
                    let order = |one: &Waiting| (one.deadline.is_none(), one.deadline, one.sequence);
                    matching.min_by_key(|(_, one)| order(one)).map(|(index, _)| index)
                },
            )
        })
    }

    fn take(&mut self, offered: &Capabilities, weights: &Weights) -> Option<Waiting> {
        let taken = self.first(offered).map(|index| self.remove(index))?;
        let turns = &mut self.turns[taken.lane.rank()];
        if let Some(place) = turns.iter().position(|turn| turn.workspace == taken.workspace) {
            let weight = weights.of(&taken.workspace);
            let turn = &mut turns[place];
            turn.left = if turn.left == 0 { weight } else { turn.left.min(weight) } - 1;
            if turn.left == 0 {
                let last = turns.remove(place);
                turns.push(last);
            }
        }
        Some(taken)
    }

    fn rise(&mut self, now: Timestamp, ageing: Duration) -> Vec<(TaskId, Lane)> {
        let mut risen = Vec::new();
        for lane in Lane::ALL {
            let Some(above) = lane.above() else { continue };
            let here =
                self.waiting.iter().filter(|one| one.lane == lane && one.lane_since.after(ageing) <= now);
            let mut due: Vec<Waiting> = here.cloned().collect();
            due.sort_by_key(|one| (one.lane_since, one.sequence));
            for one in due {
                let index = self.waiting.iter().position(|other| other.task == one.task).expect("it waits");
                let mut one = self.remove(index);
                (one.lane, one.lane_since) = (above, now);
                risen.push((one.task, above));
                self.enqueue(one);
            }
        }
        risen
    }
}

#[derive(Debug, Clone)]
enum Step {
    Enqueue { workspace: usize, demand: usize, lane: usize, deadline: Option<u64>, late: u64 },
    Take(usize),
    Remove(Index),
    Rise(u64),
    SetWeight(usize, u32),
    Pause(usize),
    Resume(usize),
    Rebuild(Vec<Index>),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let enqueue = (0..4_usize, 0..DEMANDS, 0..4_usize, prop::option::of(0..20_u64), 0..5_u64).prop_map(
        |(workspace, demand, lane, deadline, late)| Step::Enqueue { workspace, demand, lane, deadline, late },
    );
    let step = prop_oneof![
        8 => enqueue,
        5 => (0..OFFERS).prop_map(Step::Take),
        1 => any::<Index>().prop_map(Step::Remove),
        1 => (0..40_u64).prop_map(Step::Rise),
        1 => (0..4_usize, 0..4_u32).prop_map(|(workspace, weight)| Step::SetWeight(workspace, weight)),
        1 => (0..4_usize).prop_map(Step::Pause),
        1 => (0..4_usize).prop_map(Step::Resume),
        1 => prop::collection::vec(any::<Index>(), 8).prop_map(Step::Rebuild),
    ];
    prop::collection::vec(step, 1..120)
}

/// Builds a mailbox from waiting tasks, in an order of the test's choosing.
fn rebuild(model: &Model, turns: &Turns, shuffle: &[Index]) -> Mailbox {
    let mut waiting = model.waiting.clone();
    for (place, index) in shuffle.iter().enumerate().take(waiting.len()) {
        let other = index.index(waiting.len());
        waiting.swap(place, other);
    }
    let mut mailbox = Mailbox::default();
    for one in waiting {
        mailbox.enqueue(one);
    }
    mailbox.set_turns(turns);
    mailbox
}

fn assert_same(mailbox: &Mailbox, model: &Model) -> Result<(), TestCaseError> {
    prop_assert_eq!(mailbox.depth(), model.waiting.len());
    for lane in Lane::ALL {
        let here = model.waiting.iter().filter(|one| one.lane == lane).count();
        prop_assert_eq!(mailbox.depth_of(lane), here);
    }
    let mut demands = BTreeMap::new();
    for one in &model.waiting {
        *demands.entry(Arc::clone(&one.demand)).or_insert(0) += 1;
    }
    prop_assert_eq!(mailbox.demands().collect::<Vec<_>>(), demands.into_iter().collect::<Vec<_>>());
    let mut claimable = BTreeMap::new();
    for one in model.waiting.iter().filter(|one| !model.paused.contains(&one.workspace)) {
        *claimable.entry(Arc::clone(&one.demand)).or_insert(0) += 1;
    }
    let paused = || model.paused.iter().map(|one| (one, 0));
    prop_assert_eq!(mailbox.claimable(paused()), claimable.into_iter().collect::<Vec<_>>());
    let others = (0..4).map(workspace).filter(|one| !model.paused.contains(one)).collect::<Vec<_>>();
    let mut bounded: BTreeMap<_, BTreeMap<_, usize>> = BTreeMap::new();
    for one in model.waiting.iter().filter(|one| others.contains(&one.workspace)) {
        *bounded.entry(Arc::clone(&one.demand)).or_default().entry(&one.workspace).or_default() += 1;
    }
    let sum = |counts: BTreeMap<_, usize>| counts.into_values().map(|count| count.min(2)).sum();
    let bounded: Vec<(_, usize)> =
        bounded.into_iter().map(|(demand, counts)| (demand, sum(counts))).collect();
    prop_assert_eq!(mailbox.claimable(paused().chain(others.iter().map(|one| (one, 2)))), bounded);
    for (name, count) in mailbox.workspaces() {
        let here = model.waiting.iter().filter(|one| one.workspace == *name).count();
        prop_assert_eq!((count, mailbox.depth_of_workspace(name)), (here, here));
    }
    for offered in (0..OFFERS).map(offer) {
        let first = model.first(&offered).map(|index| &model.waiting[index]);
        prop_assert_eq!(mailbox.peek(&offered, &model.paused), first.map(|one| one.task));
        prop_assert_eq!(mailbox.best(&offered, &model.paused), first.map(|one| one.lane));
    }
    let below = model.waiting.iter().filter(|one| one.lane != Lane::Critical);
    let due = below.map(|one| one.lane_since.after(Duration::from_millis(30))).min();
    prop_assert_eq!(mailbox.next_rise(Duration::from_millis(30)), due);
    prop_assert_eq!(&mailbox.turns(), &model.turns);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn mailbox_does_what_the_model_does_and_neither_loses_nor_repeats_a_task(steps in steps()) {
        let (mut mailbox, mut model) = (Mailbox::default(), Model::default());
        let (mut weights, ageing) = (Weights::default(), Duration::from_millis(30));
        let (mut now, mut entered, mut left) = (100_u64, 0_usize, 0_usize);
        for (sequence, step) in (0_u64..).zip(steps) {
            match step {
                Step::Enqueue { workspace: w, demand: d, lane, deadline, late } => {
                    entered += 1;
                    let waiting = Waiting {
                        task: TaskId::from_raw(u128::from(sequence) + 1000),
                        workspace: workspace(w),
                        demand: demand(d),
                        lane: Lane::ALL[lane],
                        deadline: deadline.map(at),
                        sequence,
                        lane_since: at(now - late),
                    };
                    mailbox.enqueue(waiting.clone());
                    model.enqueue(waiting);
                }
                Step::Take(which) => {
                    let taken = mailbox.take(&offer(which), &weights, &model.paused);
                    let expected = model.take(&offer(which), &weights);
                    prop_assert!(expected.iter().all(|one| offer(which).satisfy(&one.demand)));
                    prop_assert_eq!(taken, expected.map(|one| one.task));
                    left += usize::from(taken.is_some());
                }
                Step::Remove(index) if !model.waiting.is_empty() => {
                    let mut gone = model.remove(index.index(model.waiting.len()));
                    gone.lane_since = Timestamp::ZERO;
                    prop_assert!(mailbox.remove(&gone), "it waited and was not found");
                    prop_assert!(!mailbox.remove(&gone), "it was found again after it was removed");
                    left += 1;
                }
                Step::Remove(_) => {}
                Step::Rise(passed) => {
                    now += passed;
                    prop_assert_eq!(mailbox.rise(at(now), ageing), model.rise(at(now), ageing));
                }
                Step::SetWeight(w, weight) => weights.set(workspace(w), weight),
                Step::Pause(w) => {
                    model.paused.insert(workspace(w));
                }
                Step::Resume(w) => {
                    model.paused.remove(&workspace(w));
                }
                Step::Rebuild(shuffle) => mailbox = rebuild(&model, &mailbox.turns(), &shuffle),
            }
            prop_assert_eq!(mailbox.depth(), entered - left);
            assert_same(&mailbox, &model)?;
        }
    }

    #[test]
    fn without_turns_a_rebuilt_mailbox_depends_only_on_what_waits(
        waiting in prop::collection::vec((0..4_usize, 0..DEMANDS, 0..4_usize), 0..30),
        one in prop::collection::vec(any::<Index>(), 30), other in prop::collection::vec(any::<Index>(), 30),
    ) {
        let mut model = Model::default();
        for (sequence, (w, d, lane)) in (0..).zip(waiting) {
            model.enqueue(plain(sequence, w, d, Lane::ALL[lane]));
        }
        let none = Turns::default();
        let (mut one, mut other) = (rebuild(&model, &none, &one), rebuild(&model, &none, &other));
        prop_assert_eq!(one.turns(), other.turns());
        for which in (0..OFFERS).cycle().take(90) {
            let (offered, weights) = (offer(which), Weights::default());
            prop_assert_eq!(one.take(&offered, &weights, &Paused::new()), other.take(&offered, &weights, &Paused::new()));
        }
    }

    #[test]
    fn full_rounds_give_each_backlogged_workspace_its_weight(
        weights in prop::collection::vec(1..6_u32, 1..5), rounds in 1..6_usize,
    ) {
        let mut mailbox = Mailbox::default();
        let mut sequence = 0;
        for (which, weight) in weights.iter().enumerate() {
            for _ in 0..=*weight as usize * rounds {
                mailbox.enqueue(plain(sequence, which, 0, Lane::Normal));
                sequence += 1;
            }
        }
        let table: Weights = weights.iter().enumerate().map(|(which, weight)| (workspace(which), *weight)).collect();
        let before = demand_left(&mailbox, weights.len());
        for _ in 0..weights.iter().sum::<u32>() as usize * rounds {
            prop_assert!(mailbox.take(&offer(0), &table, &Paused::new()).is_some());
        }
        let after = demand_left(&mailbox, weights.len());
        for (which, weight) in weights.iter().enumerate() {
            prop_assert_eq!(before[which] - after[which], *weight as usize * rounds);
        }
    }

    #[test]
    fn backlogged_workspace_is_served_before_the_others_have_used_a_turn_each(
        claims in prop::collection::vec(0..OFFERS, 1..200), weights in prop::collection::vec(1..5_u32, 4),
    ) {
        // Every workspace has endless work of one demand; claims come from agents of all sorts.
        let table: Weights = (0..4).map(|which| (workspace(which), weights[which])).collect();
        let bound = weights.iter().sum::<u32>();
        let mut mailbox = Mailbox::default();
        for which in 0..4 {
            mailbox.enqueue(plain(which as u64, which, which, Lane::Normal));
            mailbox.enqueue(plain(10 + which as u64, which, which, Lane::Normal));
        }
        let (mut sequence, mut passed_over) = (100, [0_u32; 4]);
        for which in claims {
            let offered = offer(which);
            let Some(task) = mailbox.take(&offered, &table, &Paused::new()) else { continue };
            let served = owner(task);
            mailbox.enqueue(plain(sequence, served, served, Lane::Normal));
            sequence += 1;
            for (waiting, count) in passed_over.iter_mut().enumerate() {
                let could = offered.satisfy(&demand(waiting));
                *count = if waiting == served { 0 } else { *count + u32::from(could) };
                prop_assert!(*count <= bound, "workspace {waiting} was passed over {count} times");
            }
        }
    }

    #[test]
    fn low_task_outlives_no_flood(
        flood in prop::collection::vec((0..4_usize, 0..3_usize, any::<bool>()), 1..8), ageing in 1..40_u64,
        weight in 1..4_u32,
    ) {
        // In every millisecond one task is taken and one arrives in a lane above the low task.
        let table: Weights = [(workspace(0), weight)].into_iter().collect();
        let mut mailbox = Mailbox::default();
        let low = Waiting { sequence: 500, task: task(500, 3), ..plain(500, 3, 0, Lane::Low) };
        mailbox.enqueue(low.clone());
        let (mut sequence, mut in_critical, mut bound) = (501, false, 0);
        for now in 1_u64.. {
            let (w, lane, older) = flood[usize::try_from(now).expect("small") % flood.len()];
            // Some of the flood is older than the low task, as redelivered work is.
            let place = if older && now < 400 { now } else { sequence };
            mailbox.enqueue(Waiting { lane_since: at(now), ..plain(place, w, 0, Lane::ALL[lane]) });
            sequence += 1;
            let risen = mailbox.rise(at(now), Duration::from_millis(ageing));
            if risen.contains(&(low.task, Lane::Critical)) {
                prop_assert!(now <= 3 * ageing);
                in_critical = true;
                bound = 4 * (mailbox.depth_of(Lane::Critical) as u64 + 4) + 400;
            }
            if mailbox.take(&offer(0), &table, &Paused::new()) == Some(low.task) {
                break;
            }
            prop_assert!(in_critical || now <= 3 * ageing, "it did not rise");
            prop_assert!(!in_critical || now <= 3 * ageing + bound, "it starves in critical");
        }
    }

    #[test]
    fn no_more_tasks_come_before_one_than_ahead_of_says(
        waiting in prop::collection::vec((0..4_usize, prop::option::of(0..20_u64)), 1..60),
        weights in prop::collection::vec(0..5_u32, 4), taken in 0..20_usize, which: Index,
    ) {
        let table: Weights = (0..4).map(|which| (workspace(which), weights[which])).collect();
        let (mut mailbox, mut model) = (Mailbox::default(), Model::default());
        for (sequence, (w, deadline)) in (0..).zip(waiting) {
            let one = Waiting { deadline: deadline.map(at), ..plain(sequence, w, 0, Lane::High) };
            mailbox.enqueue(one.clone());
            model.enqueue(one);
        }
        for _ in 0..taken.min(model.waiting.len() - 1) {
            mailbox.take(&offer(0), &table, &Paused::new());
            model.take(&offer(0), &table);
        }
        let one = model.waiting[which.index(model.waiting.len())].clone();
        let bound = mailbox.ahead_of(&one, &table, &Paused::new());
        let mut before = 0;
        while mailbox.take(&offer(0), &table, &Paused::new()) != Some(one.task) {
            before += 1;
        }
        prop_assert!(before <= bound, "{before} came before it, at most {bound} were announced");
    }
}

/// Task ids that tell their workspace.
#[test]
fn one_call_lets_only_so_many_rise_and_the_next_go_on() {
    let mut mailbox = Mailbox::default();
    for sequence in 0..RISE_AT_ONCE as u64 + 3 {
        mailbox.enqueue(Waiting {
            task: task(sequence, 0),
            workspace: workspace(0),
            demand: demand(0),
            lane: Lane::Low,
            deadline: None,
            sequence,
            lane_since: at(0),
        });
    }
    let ageing = Duration::from_millis(10);
    assert_eq!(mailbox.rise(at(10), ageing).len(), RISE_AT_ONCE);
    let rest = mailbox.rise(at(10), ageing);
    let first_left = task(RISE_AT_ONCE as u64, 0);
    assert_eq!((rest.len(), rest.first()), (3, Some(&(first_left, Lane::Normal))));
    assert!(mailbox.rise(at(10), ageing).is_empty());
}

fn task(sequence: u64, workspace: usize) -> TaskId {
    TaskId::from_raw(u128::from(sequence) * 4 + workspace as u128)
}

fn owner(task: TaskId) -> usize {
    usize::try_from(task.raw() % 4).expect("below four")
}

fn plain(sequence: u64, which: usize, asked: usize, lane: Lane) -> Waiting {
    Waiting {
        task: task(sequence, which),
        workspace: workspace(which),
        demand: demand(asked),
        lane,
        deadline: None,
        sequence,
        lane_since: Timestamp::ZERO,
    }
}

/// How many tasks each of the first workspaces has in the normal lane.
fn demand_left(mailbox: &Mailbox, workspaces: usize) -> Vec<usize> {
    let counts = mailbox.lanes[Lane::Normal.rank()].counts();
    let slot = |which| mailbox.workspaces.find(&workspace(which));
    (0..workspaces)
        .map(|which| slot(which).and_then(|slot| counts.get(&slot).copied()).unwrap_or(0))
        .collect()
}

#[test]
fn workspace_that_only_a_rare_agent_can_serve_gets_its_turns() {
    // With one cursor for the lane, claims for ant and cat in turn would never come to bee.
    let mut mailbox = Mailbox::default();
    for sequence in 0..10 {
        mailbox.enqueue(plain(sequence, 0, 1, Lane::Normal));
        mailbox.enqueue(plain(100 + sequence, 1, 1, Lane::Normal));
        mailbox.enqueue(plain(200 + sequence, 2, 2, Lane::Normal));
    }
    let weights = Weights::default();
    let mut served = Vec::new();
    for _ in 0..3 {
        served.push(mailbox.take(&offer(1), &weights, &Paused::new()).map(owner));
        served.push(mailbox.take(&offer(2), &weights, &Paused::new()).map(owner));
    }
    assert_eq!(served, [Some(0), Some(2), Some(1), Some(2), Some(0), Some(2)]);
}

#[test]
fn earliest_deadline_goes_first_and_none_goes_last() {
    let mut mailbox = Mailbox::default();
    for (sequence, deadline) in [(1, None), (2, Some(9)), (3, Some(4)), (4, Some(9))] {
        mailbox.enqueue(Waiting { deadline: deadline.map(at), ..plain(sequence, 0, 0, Lane::Normal) });
    }
    let taken: Vec<_> =
        std::iter::from_fn(|| mailbox.take(&offer(0), &Weights::default(), &Paused::new())).collect();
    assert_eq!(taken, [3, 2, 4, 1].map(|sequence| task(sequence, 0)));
}
