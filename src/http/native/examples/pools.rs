//! Examples of pools and rollouts.

use synod_domain::restart::RestartPolicy;

use super::{NODE, POOL, REGISTERED, SUBMITTED, words};
use crate::api;

pub(crate) fn new_pool() -> api::NewPool {
    api::NewPool {
        name: POOL.to_owned(),
        runtime: api::PoolRuntime::External,
        capabilities: words(&["rust"]),
        min: None,
        max: None,
        concurrency: None,
        strategy: None,
        spread: Some(api::Spread { max_per_node: Some(8), ..api::Spread::default() }),
        recovery: Some(api::Recovery { kind: "failover".to_owned(), standby: Some(1) }),
        restart: Some(api::Restart { intensity: Some(3), ..api::Restart::default() }),
        autoscale: Some(api::Autoscale { waiting_per_agent: Some(2), ..api::Autoscale::default() }),
        assignment: Some(api::Assignment { kind: "queued".to_owned(), to: None }),
        restart_after: None,
        rollout: None,
    }
}

fn rollout_policy() -> api::RolloutPolicy {
    let canary = api::Canary { agents: Some(1), tasks_min: Some(20), excess_percent: Some(10) };
    api::RolloutPolicy { batch: Some(2), canary: Some(canary) }
}

pub(crate) fn new_rollout() -> api::NewRollout {
    let (env, cwd) = (Default::default(), None);
    let hosted = api::HostedSpec { command: words(&["/usr/local/bin/build", "--fast"]), cwd, env };
    api::NewRollout {
        runtime: Some(api::PoolRuntime::Process(hosted)),
        policy: Some(rollout_policy()),
        ..api::NewRollout::default()
    }
}

pub(crate) fn rollout_reason() -> api::RolloutReason {
    api::RolloutReason { reason: Some("the new program is looked at".to_owned()) }
}

pub(crate) fn rollout() -> api::Rollout {
    let version = |number, agents, completed, failed, command| api::RolloutVersion {
        number,
        agents,
        completed,
        failed,
        runtime: api::PoolRuntime::Process(api::HostedSpec {
            command: words(command),
            cwd: None,
            env: Default::default(),
        }),
        capabilities: words(&["rust"]),
        concurrency: 1,
    };
    api::Rollout {
        pool: POOL.to_owned(),
        stage: "canary".to_owned(),
        paused: None,
        reason: "it has begun".to_owned(),
        next: "7 of 20 attempts of the new version have ended".to_owned(),
        policy: rollout_policy(),
        from: version(0, 5, 40, 2, &["/usr/local/bin/build"]),
        to: version(1, 1, 7, 0, &["/usr/local/bin/build", "--fast"]),
        renewing: 0,
        began_at: SUBMITTED.to_owned(),
        since: SUBMITTED.to_owned(),
    }
}

pub(crate) fn pool() -> api::Pool {
    api::Pool {
        name: POOL.to_owned(),
        runtime: api::PoolRuntime::External,
        capabilities: words(&["rust"]),
        min: 0,
        max: 10_000,
        target: 0,
        concurrency: 1,
        strategy: "least_busy".to_owned(),
        spread: api::Spread { manner: Some("even".to_owned()), ..api::Spread::default() },
        recovery: api::Recovery { kind: "replacement".to_owned(), standby: None },
        restart: super::super::shown::restart(&RestartPolicy::default()),
        shares: vec![api::Share { node: NODE.to_owned(), name: "node-a".to_owned(), agents: 3, standbys: 0 }],
        shortfall: None,
        agents: 3,
        ready: 3,
        waiting: 12,
        unfinished: 14,
        retiring: false,
        paused: None,
        breaker: Some("closed".to_owned()),
        autoscale: None,
        scaled: None,
        assignment: api::Assignment::default(),
        restart_after: None,
        rollout: None,
        rolling: None,
        created_at: REGISTERED.to_owned(),
    }
}

pub(crate) fn retiring() -> api::Pool {
    api::Pool { retiring: true, ..pool() }
}

pub(crate) fn scale() -> api::ScalePool {
    api::ScalePool { target: 4 }
}
