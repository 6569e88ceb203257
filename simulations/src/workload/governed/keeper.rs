//! The keeper, beside every node: hooks for agents of that node, and what a node says of them when their agents begin, go on,
//! end, fail or fall silent. What a keeper does with git is left out, for there are no repositories in a world.
//!
//! It says things under attempts that others have taken over, too, as a keeper does that was cut off. At the end of new work
//! all that is pinned is ended.

use std::sync::Arc;

use synod::node::domain::agent::{Host, Standing};
use synod::node::domain::command::Command;
use synod::node::domain::hook::{Hook, HookCommand, HookSpec, HookStatus};
use synod::node::domain::id::{AgentId, HookId};
use synod::node::domain::node::{Node, NodeStanding};
use synod::node::domain::payload::Payload;
use synod::node::domain::state::State;
use synod::node::{Error, Pool};

use crate::history::{Change, Pinned, Say};
use crate::workload::governed::{Office, named};
use crate::workload::{FIRST, NATIVE};

/// What it is called, and the workspace of its hooks.
pub(super) const NAME: &str = "keeper";

/// The pool of those who get hooks, and how many they are: some for each node.
const MOORED: &str = "moored";
const AGENTS: u32 = 6;

/// The branches of each node: few, so that two hooks want one.
const BRANCHES: u64 = 4;

/// A commit, as far as anybody here can tell.
const BASE: &str = "0123456789abcdef0123456789abcdef01234567";

/// Of how many attempts nothing is said after they began: one in so many.
const SILENT: u64 = 4;

/// How many attempts are remembered that may be over.
const REMEMBERED: usize = 20;

/// Keeps hooks until the world settles, then ends them.
pub(super) async fn run(mut office: Office) {
    if office.shared.node == FIRST {
        while office.is_busy() && put_pool(&office).await.is_err() {
            office.pause(20, 300).await;
        }
    }
    let mut earlier = Vec::new();
    while office.is_busy() {
        match office.stream.between(0, 99) {
            0..25 => create(&mut office).await,
            25..37 => speak_late(&mut office, &earlier).await,
            37..40 => remove(&mut office).await,
            _ => go_on(&mut office, &mut earlier).await,
        }
        office.pause(20, 300).await;
    }
    while office.looks_again().await {
        for hook in office.node.read(|state| to_end(state, &office)) {
            end(&mut office, &hook).await;
        }
    }
}

/// Tells whether nothing is pinned that is not over.
pub(super) fn all_over(state: &State) -> bool {
    state.hooks().all(|hook| hook.status().is_end())
}

/// Returns how a hook stands that is not over.
pub(super) fn pinned(state: &State) -> impl Iterator<Item = Pinned> {
    let open = state.hooks().filter(|hook| !hook.status().is_end());
    open.map(|hook| Pinned {
        hook: hook.spec.id,
        status: hook.status(),
        attempt: hook.attempt,
        agent: hook.agent,
    })
}

async fn put_pool(office: &Office) -> Result<(), Error> {
    office.node.put_pool(Pool::native(MOORED, NATIVE)?.size(AGENTS)).await.map(drop)
}

/// Tells whether an attempt is one of which nothing is heard after its beginning.
fn is_silent(hook: &Hook) -> bool {
    #[expect(clippy::cast_possible_truncation, reason = "any part of it will do")]
    let id = hook.spec.id.raw() as u64;
    id.wrapping_add(u64::from(hook.attempt)).is_multiple_of(SILENT)
}

/// Asks for something about a hook.
async fn say(office: &Office, hook: HookId, attempt: u32, what: Say) {
    let command = match what {
        Say::Start => HookCommand::Start { hook, attempt },
        Say::Touch => HookCommand::Touch { hook, attempt },
        Say::Complete => HookCommand::Complete { hook, attempt, result: Payload::inline(*b"{}") },
        Say::Fail => HookCommand::Fail { hook, attempt, reason: "it did not work".into() },
        Say::Abandon => HookCommand::Abandon { hook, attempt, reason: "its program went away".into() },
        Say::Reassign => HookCommand::Reassign { hook, agent: None },
        Say::Remove => HookCommand::Remove { hook },
    };
    office.govern(Change::Hook { hook, attempt, what }, Command::Hook(command)).await;
}

async fn create(office: &mut Office) {
    let (here, pool) = (Host::Node(office.node.id()), named(MOORED));
    let agents: Vec<AgentId> = office.node.read(|state| {
        let ours = state.agents_of(&pool).filter(|agent| agent.spec.host == here);
        ours.map(|agent| agent.spec.id).collect()
    });
    let Some(agent) = office.stream.pick(&agents).copied() else { return };
    let hook = HookId::from_raw(u128::from(office.stream.draw()) << 64 | u128::from(office.stream.draw()));
    let branch: Arc<str> = format!("n{}-{}", office.shared.node, office.stream.between(1, BRANCHES)).into();
    let stale_after = office.stream.millis(1_000, 3_000);
    let spec = HookSpec {
        id: hook,
        workspace: named(NAME),
        agent,
        node: office.node.id(),
        repository: "/repository".into(),
        branch: branch.clone(),
        base: BASE.into(),
        kind: named("pinned"),
        work: Payload::inline(*b"{}"),
        max_retries: u32::try_from(office.stream.between(1, 6)).unwrap_or(1),
        stale_after,
    };
    let command = Command::Hook(HookCommand::Create { spec: Arc::new(spec) });
    office.govern(Change::CreateHook { hook, branch, stale_after }, command).await;
}

/// Says what an agent of this node does with a hook.
async fn go_on(office: &mut Office, earlier: &mut Vec<(HookId, u32)>) {
    let open: Vec<Arc<Hook>> = office.node.read(|state| {
        let open = ours(state, office).filter(|hook| !hook.status().is_end());
        open.cloned().collect()
    });
    let Some(hook) = office.stream.pick(&open).cloned() else { return };
    let (id, attempt, lot) = (hook.spec.id, hook.attempt, office.stream.between(0, 99));
    if !earlier.contains(&(id, attempt)) {
        earlier.push((id, attempt));
        let over = earlier.len().saturating_sub(REMEMBERED);
        earlier.drain(..over);
    }
    let what = match hook.status() {
        HookStatus::Active if is_silent(&hook) => return,
        HookStatus::Pending => match lot {
            0..70 => Say::Start,
            70..80 => Say::Fail,
            80..90 => Say::Abandon,
            _ => Say::Reassign,
        },
        HookStatus::Active => match lot {
            0..35 => Say::Touch,
            35..65 => Say::Complete,
            65..85 => Say::Fail,
            85..92 => Say::Abandon,
            _ => Say::Reassign,
        },
        // Its agent is back before another has taken it up.
        _ if lot < 40 => Say::Start,
        _ if lot < 60 => Say::Reassign,
        _ => return,
    };
    say(office, id, attempt, what).await;
}

/// Says something under an attempt that may be over.
async fn speak_late(office: &mut Office, earlier: &[(HookId, u32)]) {
    let Some((hook, attempt)) = office.stream.pick(earlier).copied() else { return };
    let all = [Say::Start, Say::Touch, Say::Complete, Say::Fail, Say::Abandon];
    let what = office.stream.pick(&all).copied().unwrap_or(Say::Touch);
    let is_over = office.node.read(|state| state.hook(hook).is_none_or(|known| known.attempt != attempt));
    // As for the present one, what becomes of it is drawn elsewhere.
    if is_over {
        say(office, hook, attempt, what).await;
    }
}

async fn remove(office: &mut Office) {
    let over: Vec<HookId> = office.node.read(|state| {
        let over = ours(state, office).filter(|hook| hook.status().is_end());
        over.map(|hook| hook.spec.id).collect()
    });
    if let Some(hook) = office.stream.pick(&over).copied() {
        say(office, hook, 0, Say::Remove).await;
    }
}

/// Walks the hooks of this node.
fn ours<'a>(state: &'a State, office: &Office) -> impl Iterator<Item = &'a Arc<Hook>> {
    let here = office.node.id();
    state.hooks().filter(move |hook| hook.spec.node == here)
}

/// Returns the hooks that this one has to end: those of its node, and for the first those of nodes that are not there.
fn to_end(state: &State, office: &Office) -> Vec<Arc<Hook>> {
    let (here, is_first) = (office.node.id(), office.shared.node == FIRST);
    let is_ours = |hook: &&Arc<Hook>| hook.spec.node == here || is_first && is_left(state, hook);
    state.hooks().filter(is_ours).filter(|hook| !hook.status().is_end()).cloned().collect()
}

/// Tells whether there is nobody any more on the node of a hook who could say something of it.
fn is_left(state: &State, hook: &Hook) -> bool {
    let is_up = |node: &Arc<Node>| node.standing == NodeStanding::Up;
    state.nodes().next().is_some() && !state.node(hook.spec.node).is_some_and(is_up)
}

/// Ends a hook as its agent would; one that is abandoned goes on first, if its agent is back, or goes to another. Where no other
/// is either, as on a node that left and came back, somebody says in the end that it goes on.
async fn end(office: &mut Office, hook: &Hook) {
    let serves = office.node.read(|state| {
        is_left(state, hook) || state.agent(hook.agent).is_some_and(|agent| agent.standing == Standing::Ready)
    });
    let what = match hook.status() {
        HookStatus::Abandoned if serves || office.stream.happens(30) => Say::Start,
        HookStatus::Abandoned => Say::Reassign,
        _ => Say::Complete,
    };
    say(office, hook.spec.id, hook.attempt, what).await;
}
