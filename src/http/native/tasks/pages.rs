//! Pages of tasks, from three places: unfinished ones, those that ended a moment ago, and history.
//!
//! ```text
//!  unfinished (state) ──┐
//!                       ├─► one line, latest id first, each id once ─► filter ─► page
//!  ended (state, disk) ─┘
//! ```
//!
//! A task that ends moves from the first place to the second, so the first is read before the second: then it is
//! found in one of them or in both, and counts once. Each page looks at a bounded number of tasks; one that found
//! few among many is short and says where to go on.

use std::collections::BTreeMap;
use std::sync::Arc;

use synod_domain::id::TaskId;
use synod_domain::task::Task;

use crate::http::Problem;
use crate::http::native::filter::Wanted;
use crate::node::Node;

/// How many tasks of each place one page looks at. More makes a sparse filter need fewer requests, and each of
/// them take longer.
const LOOKED_AT_MAX: usize = 1000;

/// One page of tasks, and the id below which the next begins.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) tasks: Vec<Arc<Task>>,
    pub(super) next: Option<TaskId>,
}

/// Finds the tasks that are meant, latest first, below `before`.
pub(super) fn find(
    node: &Node,
    wanted: &Wanted,
    before: Option<TaskId>,
    limit: usize,
) -> Result<Found, Problem> {
    let unfinished = || match wanted.wants_unfinished() {
        true => node.read(|state| state.tasks_below(before).take(LOOKED_AT_MAX).cloned().collect()),
        false => Vec::new(),
    };
    let ended = || match wanted.wants_ended() {
        true => Ok(node.ended(before, LOOKED_AT_MAX)?),
        false => Ok(Vec::new()),
    };
    gather(unfinished, ended, |task| wanted.meets(task), limit)
}

/// Looks at the two places in the order in which tasks move from one to the other.
fn gather(
    unfinished: impl FnOnce() -> Vec<Arc<Task>>,
    ended: impl FnOnce() -> Result<Vec<Arc<Task>>, Problem>,
    meets: impl Fn(&Task) -> bool,
    limit: usize,
) -> Result<Found, Problem> {
    let unfinished = unfinished();
    Ok(merge(unfinished, ended()?, meets, limit))
}

fn merge(
    unfinished: Vec<Arc<Task>>,
    ended: Vec<Arc<Task>>,
    meets: impl Fn(&Task) -> bool,
    limit: usize,
) -> Found {
    // A place that was not looked through says nothing about what is below the last task seen there.
    let floors = [&unfinished, &ended]
        .map(|place| if place.len() < LOOKED_AT_MAX { None } else { place.last().map(|last| last.spec.id) });
    let floor = floors.into_iter().flatten().max();
    let mut line: BTreeMap<TaskId, Arc<Task>> = BTreeMap::new();
    // Those that ended come last, because that is how things stand now.
    line.extend(unfinished.into_iter().chain(ended).map(|task| (task.spec.id, task)));
    let line = line.into_iter().rev().filter(|(id, _)| floor.is_none_or(|floor| *id >= floor));
    let mut tasks = Vec::new();
    for (_, task) in line.filter(|(_, task)| meets(task)) {
        if tasks.len() == limit {
            let next = tasks.last().map(|last: &Arc<Task>| last.spec.id);
            return Found { tasks, next };
        }
        tasks.push(task);
    }
    Found { tasks, next: floor }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use synod_domain::command::{Command, Entry, Request};
    use synod_domain::id::RequestId;
    use synod_domain::name::Name;
    use synod_domain::state::State;
    use synod_domain::task::{MailboxId, TaskSpec};

    use super::*;

    fn propose(state: &mut State, id: u128, command: Command) {
        let commands = vec![Request { id: RequestId::from_raw(id), command }];
        let effects = state.apply(&Entry { commands, ..Entry::default() });
        assert!(effects.answers.iter().all(Result::is_ok), "{effects:?}");
    }

    fn with_tasks(count: u128) -> State {
        let mut state = State::default();
        for id in 1..=count {
            let spec = TaskSpec {
                id: TaskId::from_raw(id),
                workspace: Name::default(),
                kind: Name::default(),
                mailbox: MailboxId::Open,
                demand: Default::default(),
                lane: Default::default(),
                deadline: None,
                timeouts: Default::default(),
                retry: Default::default(),
                payload: Default::default(),
                idempotency_key: None,
                labels: Default::default(),
                run: None,
                redriven_from: None,
                metadata: None,
            };
            propose(&mut state, id, Command::Submit { spec: Arc::new(spec) });
        }
        state
    }

    #[test]
    fn task_that_ends_between_the_two_looks_is_on_the_page_once_and_as_it_ended() {
        let state = RefCell::new(with_tasks(3));
        let end = |id: u128| {
            let command = Command::Cancel { task: TaskId::from_raw(id), reason: "over".into() };
            propose(&mut state.borrow_mut(), 100 + id, command);
        };
        // Whichever place is looked at first, task 2 ends right after that.
        let found = gather(
            || {
                let seen = state.borrow().tasks_below(None).cloned().collect();
                if state.borrow().unfinished() == 3 {
                    end(2);
                }
                seen
            },
            || {
                let seen = state.borrow().recently_ended_below(None).cloned().collect();
                if state.borrow().unfinished() == 3 {
                    end(2);
                }
                Ok(seen)
            },
            |_| true,
            10,
        );
        let found = found.expect("a page");
        let seen: Vec<(u128, bool)> =
            found.tasks.iter().map(|task| (task.spec.id.raw(), task.phase().is_end())).collect();
        assert_eq!(seen, [(3, false), (2, true), (1, false)]);
        assert_eq!(found.next, None);
    }

    #[test]
    fn page_does_not_go_below_what_a_place_was_looked_through() {
        let state = with_tasks(LOOKED_AT_MAX as u128 + 5);
        let look = || state.tasks_below(None).take(LOOKED_AT_MAX).cloned().collect();
        let sparse = gather(look, || Ok(Vec::new()), |task| task.spec.id.raw() == 1, 10).expect("a page");
        assert!(sparse.tasks.is_empty());
        assert_eq!(sparse.next, Some(TaskId::from_raw(6)), "there it goes on");
    }
}
