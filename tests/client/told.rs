//! What webhooks tell, and to whom: a webhook of a workspace hears of no other, and approvals come to an inbox.

use synod::api::{AuditFilter, NewPolicy, NewTask, NewToken, NewWebhook, PageQuery, PolicyRule};
use synod::client::{Client, Token};

use crate::support::{Served, eventually};
use crate::webhooks::{Arrived, Mood, Receiver, served, soon, submit};

/// Somebody who works in a workspace, and what an operator has told of that one.
struct Tenant {
    workspace: &'static str,
    client: Client,
    receiver: Receiver,
    webhook: String,
}

impl Tenant {
    async fn make(served: &Served, workspace: &'static str) -> Self {
        let operator = served.client();
        let token = NewToken {
            name: format!("{workspace}-admin"),
            kind: "admin".to_owned(),
            permissions: None,
            expires_in_ms: None,
            workspace: Some(workspace.to_owned()),
        };
        let secret = operator.create_token(&token).await.unwrap().secret;
        let client = Client::new(&served.url, Token::from(secret)).unwrap();
        let receiver = Receiver::start().await;
        let new = NewWebhook {
            name: format!("{workspace}-ops"),
            url: receiver.url.clone(),
            topics: vec!["*".to_owned()],
            workspace: Some(workspace.to_owned()),
            retry: Some(soon()),
            ..NewWebhook::default()
        };
        let webhook = operator.create_webhook(&new).await.unwrap().webhook.id;
        Self { workspace, client, receiver, webhook }
    }

    async fn submit(&self) -> String {
        let new = NewTask { kind: "echo".to_owned(), ..NewTask::default() };
        self.client.submit(&new).await.unwrap().task_id.unwrap()
    }
}

#[tokio::test]
async fn a_webhook_of_a_workspace_hears_nothing_of_another_and_is_for_operators_alone() {
    let served = served().await;
    let (red, blue) = (Tenant::make(&served, "crimson").await, Tenant::make(&served, "azure").await);
    let mut tasks = [Vec::new(), Vec::new()];
    for _ in 0..3 {
        tasks[0].push(red.submit().await);
        submit(&served).await;
        tasks[1].push(blue.submit().await);
    }
    for (tenant, tasks) in [&red, &blue].into_iter().zip(&tasks) {
        tenant.client.cancel(&tasks[0], None).await.unwrap();
        served.client().test_webhook(&tenant.webhook).await.unwrap();
    }
    for (tenant, tasks, other) in [(&red, &tasks[0], &blue), (&blue, &tasks[1], &red)] {
        // The test was noted last, so what comes before it is all that there is.
        let mut told = eventually("it hears the test", async || {
            let told = tenant.receiver.first_times();
            let is_test = |last: &Arrived| last.event()["type"] == "synod.webhook_test";
            told.last().is_some_and(is_test).then_some(told)
        })
        .await;
        told.pop();
        let of = |topic: &str| -> Vec<String> {
            let of_it = told.iter().map(Arrived::event).filter(|event| event["type"] == topic);
            of_it.map(|event| event["subject"].as_str().unwrap().to_owned()).collect()
        };
        assert_eq!(&of("synod.task_submitted"), tasks);
        assert_eq!(of("synod.task_cancelled"), tasks[..1]);
        for one in &told {
            let body = String::from_utf8(one.body.to_vec()).unwrap();
            assert_eq!(one.event()["workspace"], tenant.workspace, "{body}");
            assert!(!body.contains(other.workspace) && !body.contains(&other.webhook), "{body}");
        }
        // Whose events they are does not see that somebody has them told, nor to whom.
        let refused = tenant.client.webhooks(&PageQuery::default()).await.unwrap_err();
        assert!(format!("{refused:?}").contains("workspace_bound"), "{refused:?}");
        let seen = tenant.client.audit(&AuditFilter::default(), &PageQuery::default()).await.unwrap();
        let seen = serde_json::to_string(&seen.items).unwrap();
        assert!(seen.contains("task") && !seen.contains("webhook"), "{seen}");
    }
}

#[tokio::test]
async fn an_approval_that_a_policy_asks_for_arrives_signed_although_the_node_dies_and_can_be_given() {
    let (mut served, receiver) = (served().await, Receiver::start().await);
    receiver.feel(Mood::Fails);
    let rule = PolicyRule {
        action: "task.submit".to_owned(),
        effect: "require_approval".to_owned(),
        reason: Some("it costs money".to_owned()),
        ..PolicyRule::default()
    };
    let careful = NewPolicy { name: "careful".to_owned(), rules: vec![rule], ..NewPolicy::default() };
    served.client().put_policy(&careful).await.unwrap();
    // Who says nothing of topics is told of approvals.
    let inbox = NewWebhook {
        name: "inbox".to_owned(),
        url: receiver.url.clone(),
        retry: Some(soon()),
        ..NewWebhook::default()
    };
    let secret = served.client().create_webhook(&inbox).await.unwrap().secret;
    let (good, bad) = (submit(&served).await, submit(&served).await);
    receiver.refused.subscribe().wait_for(|refused| *refused >= 1).await.unwrap();
    served.kill().await;
    receiver.feel(Mood::Takes);
    served.start_again().await;

    let heard = async |topic: &str, about: &str| {
        eventually(&format!("{topic} of {about}"), async || {
            let arrived = receiver.first_times();
            assert!(arrived.iter().all(|one| one.verifies(&secret, &one.body)));
            let events = arrived.iter().map(Arrived::event);
            let mut of_it = events.filter(|event| event["type"] == format!("synod.{topic}"));
            of_it.find(|event| [&event["subject"], &event["data"]["task"]].contains(&&about.into()))
        })
        .await
    };
    for (task, yes, answer) in [(good, true, "approval_granted"), (bad, false, "approval_denied")] {
        let asked = heard("approval_requested", &task).await;
        assert_eq!(
            (&asked["workspace"], &asked["data"]["what"]),
            (&"default".into(), &"approval_requested".into())
        );
        // What arrived names what to look at and to answer.
        let approval = asked["subject"].as_str().unwrap();
        let pending = served.client().approval(approval).await.unwrap();
        assert_eq!((pending.status.as_str(), pending.action.as_str()), ("pending", "task.submit"));
        assert!(pending.reason.contains("it costs money"), "{pending:?}");
        served.client().say_to_approval(approval, yes, Some("looked at it".to_owned())).await.unwrap();
        let answered = heard(answer, approval).await;
        assert_eq!(answered["data"]["task"], task.as_str());
    }
}
