//! Agents that run here, as programs, and elsewhere: spawned, heard, silent, terminated.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;
use synod::fabric::{AgentConfig, Config, Error, Health, Isolation, TaskStatus};
use synod::node::domain::agent::AgentStatus;
use synod::node::domain::task::Usage;

use crate::support::{Held, echo, eventually, fabric, fabric_in, folder, result, status};

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_is_spawned_heard_looked_at_and_terminated_as_in_the_guide() {
    let folder = folder();
    let fabric = fabric(&folder).await;
    let config = AgentConfig::new("claude-3-opus", "worker-1").capabilities(["code", "test", "review"]);
    let agent = fabric.spawn(config).await.unwrap();
    let before = fabric.agent_info(agent.id).unwrap().last_heartbeat;
    fabric.heartbeat(agent.id).await.unwrap();
    let info = fabric.agent_info(agent.id).unwrap();
    assert!(info.last_heartbeat >= before);
    assert_eq!((info.status, info.health), (AgentStatus::Ready, Health::Healthy));
    assert_eq!(info.capabilities.to_string(), "code, review, test");
    assert_eq!((&*info.name, info.pool, info.model.as_deref()), ("worker-1", None, Some("claude-3-opus")));
    fabric.terminate(agent.id).await.unwrap();
    assert_eq!(fabric.agent_info(agent.id).unwrap_err().refusal().unwrap().code(), "agent_unknown");
    assert!(fabric.heartbeat(agent.id).await.is_err());
    assert_eq!(fabric.node().read(|state| state.fabric_pools().count()), 0, "nothing is left of it");
    fabric.node().stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_agent_is_degraded_then_unhealthy_and_healthy_when_it_is_heard_again() {
    let folder = folder();
    let config = Config { heartbeat_interval: Duration::from_millis(300), ..Config::default() };
    let fabric = fabric_in(folder.path(), config).await;
    let agent = fabric.spawn(AgentConfig::new("claude-3-opus", "outside")).await.unwrap().id;
    let health = async |wanted: Health| {
        let look = || (fabric.agent_info(agent).unwrap().health == wanted).then_some(());
        eventually("its health changes", look).await;
    };
    health(Health::Degraded).await;
    fabric.heartbeat(agent).await.unwrap();
    assert_eq!(fabric.agent_info(agent).unwrap().health, Health::Healthy);
    health(Health::Unhealthy).await;
    assert_eq!(fabric.agent_info(agent).unwrap().status, AgentStatus::Offline);
    let none = fabric.get_available_agent(None).unwrap_err();
    assert!(matches!(none, Error::NoneAvailable { agents: 1, .. }), "{none}");
    fabric.heartbeat(agent).await.unwrap();
    assert_eq!(fabric.get_available_agent(None).unwrap().id, agent);
    fabric.node().stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_runs_elsewhere_claims_and_completes_its_work() {
    let folder = folder();
    let fabric = fabric(&folder).await;
    let agent = fabric.spawn(AgentConfig::new("claude-3-opus", "outside")).await.unwrap().id;
    let task = fabric.schedule(agent, "work", &json!({ "n": 1 })).await.unwrap().id;
    let lease = fabric.node().claim(agent, 1).await.unwrap().remove(0);
    status(&fabric, task, TaskStatus::Running).await;
    fabric.node().complete(task, lease.attempt, b"\"done\"", Usage::default()).await.unwrap();
    assert_eq!(fabric.wait_for::<String>(task).await.unwrap(), "done");
    let other = fabric.wait_for::<u32>(task).await.unwrap_err();
    assert!(matches!(other, Error::Result { .. }), "{other}");
    fabric.node().stop().await;
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_program_sees_its_model_its_folder_and_the_variables_it_was_given() {
    let folder = folder();
    let fabric = fabric(&folder).await;
    let inside = folder.path().join("inside");
    std::fs::create_dir(&inside).unwrap();
    let env = BTreeMap::from([("GREETING".to_owned(), "hello".to_owned())]);
    let isolation = Isolation { folder: Some(inside.canonicalize().unwrap()), env };
    let says = "cat >/dev/null; printf '\"%s %s %s\"' \"$SYNOD_MODEL\" \"$GREETING\" \"${PWD##*/}\"";
    let config =
        AgentConfig::new("claude-3-opus", "program").command(["sh", "-c", says]).isolation(isolation.clone());
    let agent = fabric.spawn(config).await.unwrap();
    let task = fabric.schedule(agent.id, "work", &1).await.unwrap();
    assert_eq!(result(&fabric, task.id).await, "claude-3-opus hello inside");

    let missing = AgentConfig::new("m", "missing").command(["no-such-program-anywhere"]);
    let missing = fabric.spawn(missing).await.unwrap_err();
    assert!(matches!(missing, Error::Agent { .. }), "{missing}");
    let wrong = fabric.spawn(echo("native").isolation(isolation)).await.unwrap_err().to_string();
    assert!(wrong.contains("isolation is for programs"), "{wrong}");
    let relative = Isolation { folder: Some("inside".into()), ..Isolation::default() };
    let relative = AgentConfig::new("m", "relative").command(["cat"]).isolation(relative);
    assert!(fabric.spawn(relative).await.unwrap_err().to_string().contains("give the whole path"));
    let name = fabric.spawn(AgentConfig::new("m", "two words")).await.unwrap_err().to_string();
    assert!(name.contains("two words"), "{name}");
    assert_eq!(fabric.list().len(), 1);
    fabric.node().stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminated_agent_finishes_what_it_has_and_what_waits_for_it_is_cancelled() {
    let folder = folder();
    let fabric = fabric(&folder).await;
    let held = Held::new();
    let agent = fabric.spawn(held.agent("one").concurrency(1)).await.unwrap().id;
    let in_hand = fabric.schedule(agent, "work", &1).await.unwrap().id;
    held.begun(1).await;
    let waits = fabric.schedule(agent, "work", &2).await.unwrap().id;
    let leaving = tokio::spawn({
        let fabric = fabric.clone();
        async move { fabric.terminate(agent).await }
    });
    eventually("it drains", || {
        (fabric.agent_info(agent).unwrap().status == AgentStatus::Draining).then_some(())
    })
    .await;
    let late = fabric.schedule(agent, "work", &3).await.unwrap_err();
    assert_eq!(late.refusal().unwrap().code(), "agent_unavailable");
    assert!(!leaving.is_finished());
    held.release(1);
    leaving.await.unwrap().unwrap();
    assert_eq!(fabric.task(in_hand).unwrap().status, TaskStatus::Completed);
    assert_eq!(fabric.task(waits).unwrap().status, TaskStatus::Cancelled);

    // One of the same name is another agent; and who is not waited for goes at once.
    let again = fabric.spawn(held.agent("one")).await.unwrap().id;
    assert_ne!(again, agent);
    fabric.schedule(again, "work", &4).await.unwrap();
    held.begun(2).await;
    fabric.terminate_now(again).await.unwrap();
    assert!(fabric.list().is_empty());
    fabric.node().stop().await;
}
