//! Golden bytes of webhooks.

use std::sync::Arc;
use std::time::Duration;

use synod_domain::command::Command;
use synod_domain::id::WebhookId;
use synod_domain::name::Name;
use synod_domain::retry::RetryPolicy;
use synod_domain::row::Row;
use synod_domain::time::Timestamp;
use synod_domain::webhook::{
    Delivery, Failure, Message, Secret, Standing, Webhook, WebhookCommand, WebhookRow, WebhookSecret,
    WebhookSpec,
};

use super::governing_formats::body_of;

fn spec() -> WebhookSpec {
    WebhookSpec {
        id: WebhookId::from_raw(7),
        name: Name::new("n").unwrap(),
        url: "u".into(),
        topics: vec!["t".into()],
        workspace: Some(Name::new("w").unwrap()),
        enabled: true,
        retry: RetryPolicy {
            max_attempts: 3,
            initial: Duration::from_secs(1),
            factor_percent: 200,
            max: Duration::from_secs(2),
        },
        owner: "o".into(),
    }
}

#[test]
fn webhooks_keep_their_bytes() {
    let webhook = WebhookId::from_raw(7);
    let secret = || WebhookSecret([1; 32]);
    let until = Some(Timestamp::from_millis(5));
    let commands = [
        WebhookCommand::Put { spec: Arc::new(spec()), secret: secret() },
        WebhookCommand::Change { spec: Arc::new(spec()) },
        WebhookCommand::Remove { webhook },
        WebhookCommand::Rotate { webhook, secret: secret(), keep_old_until: until },
        WebhookCommand::Test { webhook },
        WebhookCommand::Redeliver { webhook, seq: Some(2) },
        WebhookCommand::Delivered { webhook, seq: 2 },
        WebhookCommand::Failed {
            webhook,
            seq: 2,
            status: Some(503),
            why: "y".into(),
            wait: Some(Duration::from_secs(1)),
        },
    ];
    let (created_at, changed_at) = (Timestamp::from_millis(3), Timestamp::from_millis(4));
    let secrets = vec![Secret { value: secret(), until }];
    let failure = Some(Failure { at: created_at, status: Some(503), why: "y".into() });
    let message = Message {
        at: created_at,
        topic: "t".into(),
        subject: Some("s".into()),
        workspace: Some(Name::new("w").unwrap()),
        data: "{}".into(),
    };
    let delivery = Delivery {
        seq: 2,
        message: Arc::new(message),
        tries: 1,
        next: changed_at,
        given_up_at: until,
        last: failure.clone(),
    };
    let standing = Standing {
        last_seq: 2,
        delivered: 3,
        given_up: 4,
        dropped: 5,
        dropping_since: until,
        delivered_at: Some(changed_at),
        failure,
    };
    let rows = [
        WebhookRow::Webhook(Arc::new(Webhook { spec: spec(), secrets, created_at, changed_at })),
        WebhookRow::Standing(webhook, standing),
        WebhookRow::Delivery(webhook, Arc::new(delivery)),
    ];
    let commands = commands.into_iter().map(|one| body_of(&Command::Webhook(one)));
    let rows = rows.into_iter().map(|one| body_of(&Row::Webhook(one)));
    let found: Vec<String> = commands.chain(rows).collect();
    let expected = [
        "450007016e017501017401017701030100c80200016f0101010101010101010101010101010101010101010101010101010101010101",
        "450107016e017501017401017701030100c80200016f",
        "450207",
        "45030701010101010101010101010101010101010101010101010101010101010101010105",
        "450407",
        "4505070102",
        "45060702",
        "4507070201fbf7010179010100",
        "290007016e017501017401017701030100c80200016f01010101010101010101010101010101010101010101010101010101010101010101050304",
        "2901070203040501050104010301fbf7010179",
        "29020702030174010173010177027b7d01040105010301fbf7010179",
    ];
    assert_eq!(found, expected);
}
