//! Tenant leak among those who are bound to nothing: keys belong to a workspace, and the id of somebody else's task makes no
//! submit a look at it.

use std::collections::BTreeMap;
use std::sync::Arc;

use synod::node::domain::command::Command;
use synod::node::domain::name::Name;
use synod::node::{Error, Node};
use synod_simulations::Scenario;
use synod_simulations::process::alone;
use synod_simulations::scenario::INSIDE;
use synod_simulations::script::Act;
use tokio::time::sleep;

use super::support::{assert_nothing_lost, holds, ms, s, work};

/// Submits work of a workspace under the id of a task of another, and returns what the node says to it.
async fn take(node: &Node, workspace: &str) -> Result<Option<String>, Error> {
    let whose = Name::new("anna")?;
    let foreign = node.read(|state| {
        let other = state.tasks().find(|task| task.spec.workspace == whose);
        other.map(|task| task.spec.id)
    });
    let Some(foreign) = foreign else { return Ok(None) };
    let task = work(INSIDE, &[(Act::Succeed, 3)]).workspace(Name::new(workspace)?);
    let mut spec = node.spec_of(task).await?;
    spec.id = foreign;
    let said = match node.propose(Command::Submit { spec: Arc::new(spec) }).await {
        Err(Error::Refused(refusal)) => refusal.code().to_owned(),
        Err(_) => return Ok(None),
        Ok(reply) => format!("{reply:?}"),
    };
    Ok(Some(said))
}

#[test]
fn a_key_and_an_id_of_another_workspace_lead_nowhere() {
    alone(|| {
        let mut story = Scenario::of(445).without_ordinary_clients().lasts(s(10));
        for (node, name) in [(1, "anna"), (2, "bert")] {
            story = story.client(name, node, move |seat| async move {
                seat.open_pools().await;
                while seat.is_busy() {
                    for number in 0..6 {
                        // The same keys in both, with another content each.
                        let act = if name == "anna" { Act::Succeed } else { Act::Fail };
                        let script = [(act, 100 * number), (Act::Succeed, 0)];
                        let _ = seat.submit_once(&format!("order-{number}"), work(INSIDE, &script)).await;
                    }
                    if name == "anna" {
                        seat.submit(work(INSIDE, &[(Act::Succeed, 1_500)])).await?;
                    } else if let Ok(Some(said)) = take(seat.node(), name).await {
                        seat.note(&said);
                    }
                    sleep(ms(300)).await;
                }
                Ok(())
            });
        }
        let outcome = holds(story);
        let mut tasks = BTreeMap::<String, Vec<_>>::new();
        for one in outcome.acknowledged() {
            tasks.entry(one.client).or_default().push(one.task);
        }
        let (anna, bert) = (&tasks["anna"], &tasks["bert"]);
        assert!(anna.len() > 6 && bert.len() > 12, "the same keys were sent again and again");
        assert!(bert.iter().all(|task| !anna.contains(task)), "a key of one named a task of the other");
        let said = outcome.noted("bert");
        assert!(said.len() > 5, "too few tried to take an id");
        for (at, said) in said {
            assert_eq!(said, "task_exists", "at {at:?}");
        }
        assert_nothing_lost(&outcome);
    });
}
