//! Bounds: over one, new work is refused with what to do, and the rest goes on.

use serde_json::json;
use synod::node::domain::limits::Limits;
use synod::node::domain::refusal::Refusal;
use synod::node::{Error, Pool};

use crate::support::{Script, completed, external, folder, scripted, task};

#[tokio::test(flavor = "multi_thread")]
async fn a_full_mailbox_refuses_with_its_limit_and_a_hint_and_takes_work_again_when_it_empties() {
    let folder = folder();
    let limits = Limits { mailbox_depth_max: 5, ..Limits::default() };
    let node = scripted(folder.path()).limits(limits).start().await.unwrap();
    node.put_pool(Pool::external("later").unwrap().between(0, 1)).await.unwrap();
    node.put_pool(Pool::native("now", "script").unwrap()).await.unwrap();
    let work = || task("later", &Script::Echo(json!(1)));
    let first = node.submit(work().idempotency_key("first")).await.unwrap();
    for _ in 1..5 {
        node.submit(work()).await.unwrap();
    }
    let error = node.submit(work()).await.unwrap_err();
    let Error::Refused(refusal) = &error else { panic!("{error:?}") };
    assert_eq!(refusal.code(), "full");
    assert!(refusal.is_temporary());
    assert_eq!(
        error.to_string(),
        "mailbox pool later is full: its limit is 5; wait and submit again, or raise the limit"
    );
    // The same submit as before is no new work, and other mailboxes have room.
    assert_eq!(node.submit(work().idempotency_key("first")).await.unwrap(), first);
    let elsewhere = node.submit(task("now", &Script::Echo(json!(2)))).await.unwrap();
    completed(&node, elsewhere).await;

    let agent = external("later", 1);
    node.register_agent(agent.clone()).await.unwrap();
    assert_eq!(node.claim(agent.id, 1).await.unwrap().len(), 1);
    node.submit(work()).await.unwrap();
    node.stop().await;

    // Limits are agreed, so they hold after a restart that does not name them.
    let node = scripted(folder.path()).start().await.unwrap();
    assert!(matches!(node.submit(work()).await, Err(Error::Refused(Refusal::Full { limit: 5, .. }))));
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mistakes_are_refused_with_what_to_do() {
    let folder = folder();
    let node = scripted(folder.path()).start().await.unwrap();
    let nowhere = node.submit(task("nowhere", &Script::Hang)).await.unwrap_err();
    let expected = "there is no pool nowhere; create the pool first, or correct its name";
    assert_eq!(nowhere.to_string(), expected);
    node.put_pool(Pool::external("later").unwrap().between(0, 1)).await.unwrap();
    node.submit(task("later", &Script::Hang).idempotency_key("one")).await.unwrap();
    let other = node.submit(task("later", &Script::HangFirst).idempotency_key("one")).await.unwrap_err();
    assert!(other.to_string().contains("whose content differs; use a new key for new work"), "{other}");
    node.stop().await;
}
