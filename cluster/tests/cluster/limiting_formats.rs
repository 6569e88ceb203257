//! Golden bytes of breakers and limit sets.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use synod_domain::breaker::{Breaker, BreakerCommand, BreakerSpec, Circuit, Guarded, Try};
use synod_domain::command::Command;
use synod_domain::id::TaskId;
use synod_domain::limit_set::{Flows, KeyOf, LimitSet, LimitSetCommand, LimitSetSpec, Rate};
use synod_domain::name::Name;
use synod_domain::row::Row;
use synod_domain::time::Timestamp;

use super::governing_formats::body_of;

#[test]
fn breakers_keep_their_bytes() {
    let of = || Guarded::Pool(Name::new("p").unwrap());
    let spec = BreakerSpec::of(of());
    let commands = [
        BreakerCommand::Put { spec: Arc::new(spec.clone()) },
        BreakerCommand::Remove { of: of() },
        BreakerCommand::Reset { of: Guarded::Kind(Name::new("k").unwrap()) },
        BreakerCommand::Trip { of: of(), period: Some(Duration::from_secs(1)), reason: "why".into() },
    ];
    let probes = BTreeSet::from([Try { task: TaskId::from_raw(7), attempt: 2 }]);
    let (since, cause) = (Timestamp::from_millis(3), "c".into());
    let mut half_open = Breaker::new(spec.clone());
    half_open.circuit = Circuit::HalfOpen { since, times: 1, cause, probes, succeeded: 0 };
    half_open.last_failure = Some((since, "c".into()));
    let rows = [Row::Breaker(Breaker::new(spec)), Row::Breaker(half_open)];
    let commands = commands.into_iter().map(|one| body_of(&Command::Breaker(one)));
    let found: Vec<String> = commands.chain(rows.iter().map(body_of)).collect();
    let expected = [
        "3d00000170053232141e00fb58020001",
        "3d01000170",
        "3d0201016b",
        "3d0300017001010003776879",
        "1b000170053232141e00fb5802000100000000000000",
        "1b000170053232141e00fb58020001020301016301070200000001030163",
    ];
    assert_eq!(found, expected);
}

#[test]
fn limit_sets_keep_their_bytes() {
    let name = |text| Name::new(text).unwrap();
    let spec = LimitSetSpec {
        name: name("s"),
        key: "{workspace}/{payload:/r}".parse().unwrap(),
        workspace: Some(name("w")),
        kinds: BTreeSet::from([name("k")]),
        concurrency: Some(2),
        rate: Some(Rate { count: 3, window: Duration::from_secs(1) }),
        tokens_per_minute: Some(4),
    };
    let commands =
        [LimitSetCommand::Put { spec: Arc::new(spec.clone()) }, LimitSetCommand::Remove { set: name("s") }];
    let mut flows = Flows::default();
    flows.began.note(Duration::from_secs(1), 1, Timestamp::from_millis(3));
    let key = KeyOf { set: name("s"), made_by: spec.digest(), key: "w/r".into(), tokens: 5 };
    let rows = [
        Row::LimitSet(Arc::new(LimitSet { spec, average: 6 })),
        Row::LimitKeys(TaskId::from_raw(7), Arc::new(vec![key])),
        Row::LimitFlows(name("s"), "w/r".into(), flows),
    ];
    let commands = commands.into_iter().map(|one| body_of(&Command::LimitSet(one)));
    let found: Vec<String> = commands.chain(rows.iter().map(body_of)).collect();
    let expected = [
        "3e000173187b776f726b73706163657d2f7b7061796c6f61643a2f727d01017701016b0102010301000104",
        "3e010173",
        "1c0173187b776f726b73706163657d2f7b7061796c6f61643a2f727d01017701016b010201030100010406",
        "1d07010173fdbdef2082115c573403772f7205",
        "1e017303772f720103030100",
    ];
    assert_eq!(found, expected);
}
