//! Golden bytes of how pools are tended.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use synod_domain::agent::{PoolSpec, RuntimeSpec};
use synod_domain::apart::Apart;
use synod_domain::assignment::Assignment;
use synod_domain::autoscale::{AutoscaleSpec, Autoscaling, Scaled};
use synod_domain::capability::Capabilities;
use synod_domain::id::{AgentId, NodeId};
use synod_domain::life::{Life, Recent, Renewal};
use synod_domain::name::Name;
use synod_domain::placement::Strategy;
use synod_domain::recovery::{GivenUp, Replacing};
use synod_domain::renewal::RestartAfter;
use synod_domain::restart::RestartPolicy;
use synod_domain::rollout::{Blueprint, Canary, Rollout, RolloutPolicy, Stage, Tally, Version, Versions};
use synod_domain::spread::{Recovery, SpreadSpec};
use synod_domain::tending::{PoolCommand, TendingRow};
use synod_domain::time::Timestamp;
use synod_storage::{decode, encode};

/// Returns a record's bytes as hexadecimal digits, behind the version and the checksum, after reading them back.
fn body_of<T>(value: &T) -> String
where
    T: std::fmt::Debug + PartialEq + serde::Serialize + serde::de::DeserializeOwned,
{
    let bytes = encode(value).unwrap();
    assert_eq!(&decode::<T>(&bytes).unwrap(), value);
    bytes[5..].iter().map(|byte| format!("{byte:02x}")).collect()
}

fn pool() -> Name {
    Name::new("p").unwrap()
}

fn rule() -> AutoscaleSpec {
    let (age, zero_after) = (Some(Duration::from_secs(7)), Some(Duration::from_secs(8)));
    AutoscaleSpec {
        waiting_per_agent: 2,
        age,
        step_up: 3,
        step_down: 4,
        cooldown: Duration::from_secs(5),
        zero_after,
    }
}

fn policy() -> RolloutPolicy {
    RolloutPolicy { batch: 2, canary: Some(Canary { agents: 1, tasks_min: 9, excess_percent: 10 }) }
}

fn apart() -> Apart {
    Apart { from: [Name::new("q").unwrap()].into(), strictly: true }
}

fn definition() -> PoolSpec {
    PoolSpec {
        name: pool(),
        runtime: RuntimeSpec::External,
        capabilities: Capabilities::default(),
        min: 1,
        max: 2,
        concurrency: 3,
        strategy: Strategy::default(),
        restart: RestartPolicy::default(),
        spread: SpreadSpec::default(),
        recovery: Recovery::default(),
    }
}

fn blueprint() -> Arc<Blueprint> {
    let runtime = RuntimeSpec::Native(Name::new("n").unwrap());
    Arc::new(Blueprint { runtime, capabilities: Capabilities::default(), concurrency: 3 })
}

#[test]
fn commands_about_how_pools_are_tended_keep_their_bytes() {
    let (pool, reason) = (pool(), || "why".into());
    let after = RestartAfter { age: Some(Duration::from_secs(9)), tasks: Some(10) };
    let commands = [
        PoolCommand::SetAutoscale { pool: pool.clone(), spec: Some(rule()) },
        PoolCommand::Autoscale { pool: pool.clone(), from: 1, to: 2, reason: reason() },
        PoolCommand::SetRestartAfter { pool: pool.clone(), spec: Some(after) },
        PoolCommand::SetAssignment { pool: pool.clone(), assignment: Assignment::Consolidated },
        PoolCommand::SetRolling { pool: pool.clone(), policy: Some(policy()) },
        PoolCommand::RenewAgents {
            pool: pool.clone(),
            agents: vec![AgentId::from_raw(2)],
            version: 1,
            reason: reason(),
        },
        PoolCommand::BeginRollout { pool: pool.clone(), blueprint: blueprint(), policy: policy() },
        PoolCommand::MoveRollout {
            pool: pool.clone(),
            version: 1,
            from: Stage::Canary,
            to: Stage::Rolling,
            reason: reason(),
        },
        PoolCommand::PauseRollout { pool: pool.clone(), reason: reason() },
        PoolCommand::ResumeRollout { pool: pool.clone() },
        PoolCommand::AbortRollout { pool, reason: reason() },
        PoolCommand::GiveUpAgent { agent: AgentId::from_raw(2), reason: reason() },
        PoolCommand::Put { spec: Arc::new(definition()), apart: apart() },
    ];
    let found: Vec<String> = commands.iter().map(body_of).collect();
    assert_eq!(found, COMMANDS);
}

const COMMANDS: [&str; 13] = [
    "000170010201070003040500010800",
    "010170010203776879",
    "02017001010900010a",
    "03017003",
    "04017001020101090a",
    "05017001020103776879",
    "07017001016e0003020101090a",
    "08017001000103776879",
    "09017003776879",
    "0a0170",
    "0b017003776879",
    "0c0203776879",
    "0d017002000102030100053c0000fc00e1f5051e00000000000101017101",
];

#[test]
fn rows_about_how_pools_are_tended_keep_their_bytes() {
    let at = Timestamp::from_millis(3);
    let last = Some(Scaled { at, from: 1, to: 2, reason: "why".into() });
    let rollout = Rollout {
        from: Version { number: 0, blueprint: blueprint() },
        to: Version { number: 1, blueprint: blueprint() },
        policy: policy(),
        stage: Stage::RollingBack,
        paused: Some("lunch".into()),
        reason: "why".into(),
        began_at: at,
        since: at,
        old: Tally { completed: 5, failed: 6 },
        new: Tally::default(),
    };
    let mut recent = Recent::default();
    recent.note(true);
    recent.note(false);
    let renewal = Some(Renewal { version: 1, since: at, reason: "why".into() });
    let life = Life { version: 1, began_at: at, tally: Tally { completed: 1, failed: 1 }, recent, renewal };
    let shunned = BTreeMap::from([(NodeId::from_raw(1), at)]);
    let rows = [
        TendingRow::Autoscaling(pool(), Autoscaling { spec: rule(), last }),
        TendingRow::RestartAfter(pool(), RestartAfter { age: None, tasks: Some(10) }),
        TendingRow::Assignment(pool(), Assignment::Delegated { to: Name::new("q").unwrap() }),
        TendingRow::Rolling(pool(), policy()),
        TendingRow::Versions(pool(), Versions { number: 0, last: 1, rollout: Some(rollout) }),
        TendingRow::Life(AgentId::from_raw(2), life),
        TendingRow::GivenUp(pool(), AgentId::from_raw(2), GivenUp { since: at }),
        TendingRow::Replacing(pool(), Replacing { row: 5, last: at, next: at, shunned }),
        TendingRow::Apart(pool(), apart()),
    ];
    let found: Vec<String> = rows.iter().map(body_of).collect();
    assert_eq!(found, ROWS);
}

const ROWS: [&str; 9] = [
    "00017002010700030405000108000103010203776879",
    "01017000010a",
    "020170020171",
    "030170020101090a",
    "0401700001010001016e00030101016e0003020101090a0201056c756e636803776879030305060000",
    "050201030101020201010303776879",
    "0601700203",
    "070170050303010103",
    "08017001017101",
];
