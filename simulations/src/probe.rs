//! One submit through each node when the world has healed: whoever is there must take work again.
//!
//! It is sent again until it is acknowledged, or the world closes. Only where ordinary clients work: nobody else's node
//! has the pool.

use std::sync::Arc;
use std::time::Duration;

use synod::node::domain::name::Name;
use synod::node::{NewTask, Node};
use tokio::time::sleep;

use crate::history::{Answer, Request};
use crate::machine::Machine;
use crate::script::{Act, Script};
use crate::shared::Phase;
use crate::story::Story;
use crate::workload::{INSIDE, ask};

/// How the names of those begin who send it.
const PREFIX: &str = "probe-";

/// The pause between two tries.
const AGAIN: Duration = Duration::from_millis(200);

/// Returns the name of who sends it through a node.
pub(crate) fn name_of(node: u64) -> String {
    format!("{PREFIX}{node}")
}

/// Tells whether a client is one of those.
pub(crate) fn is_one(client: &str) -> bool {
    client.starts_with(PREFIX)
}

/// Tells whether this machine is to be asked, and nobody was answered yet.
pub(crate) fn is_due(machine: &Machine) -> bool {
    let ordinary = matches!(machine.story, Story::Clients(_)) && machine.cast.ordinary;
    ordinary && !machine.serves()
}

/// Waits until no more faults come, and submits then.
pub(crate) async fn run(node: Arc<Node>, machine: Arc<Machine>) {
    while machine.phase() == Phase::Busy {
        sleep(machine.pace.look).await;
    }
    let name: Arc<str> = name_of(machine.node).into();
    while is_due(&machine) && machine.phase() == Phase::Settling {
        let request = Request::Submit { key: None, content: 0, pool: INSIDE.into() };
        let submit = async {
            let task = NewTask::to_pool(INSIDE, "probe", &Script::of(&[(Act::Succeed, 0)]))?;
            node.submit(task.workspace(Name::new(&name)?)).await
        };
        if ask(&machine, &name, request, submit, |task| Answer::Submitted(*task)).await.is_ok() {
            machine.now_serves();
            return;
        }
        sleep(AGAIN).await;
    }
}
