//! What a tenant is shown beside every node: the first of each list, and single things by what they are called by.

use std::sync::Arc;

use synod::node::domain::refusal::Refusal;
use synod::node::domain::state::State;
use synod::node::sight::Sight;
use synod::node::{Error, Node, asking};
use tokio::time::sleep;

use crate::history::{Answer, Fact, Request, Thing, Verb};
use crate::shared::Phase;
use crate::workload::tenants::{Tenant, reach};

/// How many of a list are looked at.
const PAGE: usize = 12;

/// Looks until the world closes.
pub(super) async fn run(mut tenant: Tenant) {
    while tenant.shared.phase() != Phase::Closing {
        if tenant.stream.happens(30) {
            let sight = asking(Arc::clone(&tenant.actor), async { Sight::of_caller(&tenant.node) }).await;
            let things = tenant.node.read(|state| listed(state, &sight));
            tenant.shared.note(Fact::Shown { workspace: tenant.workspace.clone(), things });
        } else if let Some(thing) = reach::something(&mut tenant).filter(is_single) {
            let request = Request::Reach {
                workspace: tenant.workspace.clone(),
                thing: thing.clone(),
                verb: Verb::Look,
            };
            // What is not there is refused, and that is noted.
            let _ = tenant.ask(request, look(&tenant.node, &thing), |()| Answer::Done).await;
        }
        let pause = tenant.stream.millis(50, 900);
        sleep(pause).await;
    }
}

/// Returns the first of everything that somebody is shown, as the API lists it.
fn listed(state: &State, sight: &Sight) -> Vec<Thing> {
    let tasks = state.tasks_below(None).filter(|task| sight.workspace(&task.spec.workspace));
    let letters = state.dead_letters_below(None).filter(|task| sight.workspace(&task.spec.workspace));
    let pools = state.pools().map(|pool| &pool.spec.name).filter(|pool| sight.pool(state, pool));
    let agents = state.agents().filter(|agent| sight.agent(state, &agent.spec));
    let tokens = state.tokens().map(|token| token.spec.id).filter(|token| sight.token(state, *token));
    let pauses = state.pauses().map(|pause| &pause.what).filter(|what| sight.pause(state, what));
    let mut things: Vec<Thing> = tasks.take(PAGE).map(|task| Thing::Task(task.spec.id)).collect();
    things.extend(letters.take(PAGE).map(|task| Thing::Letter(task.spec.id)));
    things.extend(pools.take(PAGE).cloned().map(Thing::Pool));
    things.extend(agents.take(PAGE).map(|agent| Thing::Agent(agent.spec.id)));
    things.extend(tokens.take(PAGE).map(Thing::Token));
    things.extend(pauses.take(PAGE).cloned().map(Thing::Pause));
    things
}

/// Tells whether a thing can be asked for by itself.
fn is_single(thing: &Thing) -> bool {
    !matches!(thing, Thing::Pause(_) | Thing::Workspace(_))
}

/// Shows a thing to whoever asks, or says that it is not there.
async fn look(node: &Node, thing: &Thing) -> Result<(), Error> {
    node.linearize().await?;
    let sight = Sight::of_caller(node);
    let (is_shown, unknown) = match thing {
        Thing::Task(task) => (sight.task(node, *task), Refusal::TaskUnknown(*task)),
        Thing::Letter(task) => {
            let shown = |state: &State| {
                state.dead_letter(*task).is_some_and(|letter| sight.workspace(&letter.spec.workspace))
            };
            (node.read(shown), Refusal::TaskUnknown(*task))
        }
        Thing::Pool(pool) => (node.read(|state| sight.pool(state, pool)), Refusal::PoolUnknown(pool.clone())),
        Thing::Agent(agent) => {
            (node.read(|state| sight.agent_id(state, *agent)), Refusal::AgentUnknown(*agent))
        }
        Thing::Token(token) => (node.read(|state| sight.token(state, *token)), Refusal::TokenUnknown(*token)),
        Thing::Pause(_) | Thing::Workspace(_) => return Ok(()),
    };
    if is_shown { Ok(()) } else { Err(unknown.into()) }
}
