//! What a plan holds.

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use synod::fleet::{Error, Fleet, HookPlan, Inputs, Plan, TASKS_MAX, Target};
use synod_domain::agent::RuntimeSpec;
use synod_domain::assignment::Assignment;
use synod_domain::id::RunId;
use synod_domain::task::Lane;
use synod_domain::terms::OverBudget;

fn full() -> Fleet {
    Fleet::read(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fleet/full.yaml")).expect("a sound file")
}

fn plan_of(folder: &Path, text: &str) -> Result<Plan, Error> {
    Fleet::parse(folder.join("f.yaml"), text)?.expand(&Inputs::default())
}

fn items(plan: &Plan, entry: &str) -> Vec<Value> {
    plan.entry(entry).expect(entry).items.iter().map(|item| item.item.clone()).collect()
}

#[test]
fn entries_come_after_those_they_wait_for() {
    let plan = full().expand(&Inputs::default()).expect("a plan");
    let names: Vec<&str> = plan.entries.iter().map(|entry| entry.name.as_str()).collect();
    assert_eq!(names, ["each", "matched", "lined", "globbed", "last"]);
    assert_eq!(
        plan.entry("last").expect("last").after.iter().map(|name| name.as_str()).collect::<Vec<_>>(),
        ["each", "matched"]
    );
}

#[test]
fn every_field_reaches_the_plan() {
    let inputs = Inputs::from_arguments(["depth=9"]).expect("inputs");
    let plan = full().expand(&inputs).expect("a plan");
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fleet");

    let [rusty, shell] = &plan.pools[..] else { panic!("two pools in order of name") };
    assert!(matches!(&rusty.runtime, RuntimeSpec::Native(name) if name.as_str() == "counter"));
    assert_eq!((rusty.min, rusty.max, rusty.concurrency), (2, 2, 1));
    let RuntimeSpec::Process(process) = &shell.runtime else { panic!("a process pool") };
    assert_eq!(process.command, [format!("{dir}/./run.sh"), "--depth=9".to_owned()]);
    assert_eq!(process.cwd, Some(format!("{dir}/work")));
    assert_eq!(process.env.get("DEPTH").map(String::as_str), Some("9"));
    assert_eq!((shell.min, shell.max, shell.concurrency), (1, 4, 2));
    assert_eq!(shell.restart.backoff_initial, Duration::from_millis(50));

    let tending = plan.tending.get(&shell.name).expect("it looks after itself");
    let rule = tending.autoscale.as_ref().expect("a rule");
    assert_eq!((rule.waiting_per_agent, rule.step_up, rule.step_down), (2, 3, 2));
    assert_eq!((rule.age, rule.cooldown), (Some(Duration::from_secs(60)), Duration::from_secs(5)));
    assert_eq!(tending.assignment, Assignment::Delegated { to: rusty.name.clone() });
    assert_eq!(tending.restart_after.as_ref().and_then(|after| after.tasks), Some(500));
    let rolling = tending.rolling.as_ref().expect("a policy");
    let canary = rolling.canary.as_ref().expect("a canary");
    assert_eq!((rolling.batch, canary.agents, canary.tasks_min, canary.excess_percent), (2, 1, 9, 5));
    let rusty = plan.tending.get(&rusty.name).expect("it assigns its work");
    assert_eq!(rusty.assignment, Assignment::Immediate);
    assert!(plan.lets_nothing_wait());

    let each = plan.entry("each").expect("each");
    assert!(matches!(&each.target, Target::Capabilities(demand) if demand.len() == 1));
    assert_eq!(each.lane, Lane::Low);
    assert_eq!(each.deadline, Some(Duration::from_secs(5400)));
    assert_eq!(each.timeouts.running, Some(Duration::from_secs(60)));
    assert_eq!(each.timeouts.waiting, Some(Duration::from_secs(120)));
    assert_eq!(each.timeouts.silence, Some(Duration::from_secs(5)));
    assert_eq!((each.retry.max_attempts, each.retry.factor_percent), (5, 150));
    assert_eq!(each.items[2].payload, json!({"n": 9, "text": "n=9"}));
    assert_eq!(each.items[2].labels.values().collect::<Vec<_>>(), ["9"]);
    assert_eq!(each.items[2].key, "each[9]");

    let matched = plan.entry("matched").expect("matched");
    assert_eq!(matched.timeouts.running, Some(Duration::from_secs(300)), "the timeout of the pool");
    assert_eq!(plan.entry("last").expect("last").lane, Lane::Critical, "urgent is another word for critical");
    assert_eq!(plan.entry("last").expect("last").items[0].key, "last");
}

#[test]
fn what_governs_the_work_reaches_the_plan_under_the_name_of_the_fleet() {
    let plan = full().expand(&Inputs::default()).expect("a plan");
    let governing = serde_json::to_value(&plan.governing).expect("JSON");
    let policy = &governing["policies"][0];
    assert_eq!((&policy["name"], &policy["scope"]["task_types"]), (&json!("full/careful"), &json!(["each"])));
    assert_eq!(
        (&policy["rules"][0]["quorum"], &policy["rules"][0]["timeout_ms"]),
        (&json!(2), &json!(600_000))
    );
    let budget = &governing["budgets"][0];
    assert_eq!((&budget["name"], &budget["scope"]), (&json!("full/money"), &json!("pool:full/shell")));
    let limits: Vec<(&Value, &Value)> = (0..4)
        .map(|place| &budget["limits"][place])
        .map(|limit| (&limit["measure"], &limit["most"]))
        .collect();
    let expected = [("tokens", 4000), ("cost", 2_500_000), ("compute", 3_600_000), ("requests", 10)];
    let expected = expected.map(|(measure, most)| (json!(measure), json!(most)));
    assert_eq!(limits, expected.iter().map(|(measure, most)| (measure, most)).collect::<Vec<_>>());
    assert_eq!(governing["limits"]["full/kinds"]["rate"], json!({"count": 3, "window_ms": 60_000}));
    assert_eq!(governing["resources"]["gpu"]["capacity"], 2);
    let breakers = &governing["breakers"];
    let shell = json!({
        "failures": 3, "rate_percent": 40, "window": 30, "at_least": 10,
        "open_for_ms": 60_000, "open_max_ms": 3_600_000, "probes": 2,
    });
    assert_eq!(breakers, &json!({ "pool/full/shell": shell, "type/each": {} }));
    let webhook = &governing["webhooks"][0];
    let told = json!({
        "name": "full/on-call",
        "url": "https://ops.example.org/synod",
        "topics": ["approval_requested", "budget_*"],
        "workspace": "default",
        "retry": { "tries": 5, "first_wait_ms": 2000, "longest_wait_ms": 60_000 },
    });
    assert_eq!(webhook["webhook"], told);
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fleet/on-call.secret");
    assert_eq!(webhook["secret_file"], file);

    let terms = plan.entry("last").expect("last").terms.clone().expect("terms");
    let estimate = terms.estimate.expect("an estimate");
    assert_eq!((estimate.tokens, estimate.cost_microusd), (700, 20_000));
    assert_eq!(
        (terms.over_budget, terms.resources_within),
        (OverBudget::Fail, Some(Duration::from_secs(3600)))
    );
    assert_eq!(plan.entry("each").expect("each").terms, None);
}

#[test]
fn a_budget_of_the_run_is_said_for_the_run_that_there_is() {
    let text = "name: f\npools: {p: {command: [cat]}}\ntasks: [{name: t, pool: p}]\n\
                budgets: {own: {scope: run, limits: [{tokens: 5, per: hour}]}, all: {limits: [{tokens: 9, per: day}]}}\n";
    let folder = Path::new(".");
    let plan = plan_of(folder, text).expect("a plan");
    let run = RunId::from_raw(7);
    let put: Vec<(String, String)> =
        plan.governing.budgets_of(run).map(|budget| (budget.name, budget.scope)).collect();
    let expected = [("f/all", "fleet:f".to_owned()), ("f/own", format!("run:{run}"))];
    assert_eq!(put, expected.map(|(name, scope)| (name.to_owned(), scope)));
    assert_eq!(plan, plan_of(folder, text).expect("a plan"), "the plan knows of no run");
}

#[test]
fn each_task_on_a_hook_knows_its_repository_and_its_branch() {
    let text = "name: f\ninputs: {at: site}\npools: {p: {command: [cat]}}\ntasks:\n  - name: t\n    pool: p\n    \
                for_each: {list: [a, b]}\n    hook: {repository: '{{inputs.at}}', branch: 'agent/{{item}}', base: main, \
                max_retries: 1, stale_after: 10m}\n  - {name: u, pool: p, hook: {repository: /srv/site}}\n  \
                - {name: v, pool: p}\n";
    let folder = Path::new("/fleets");
    let plan = plan_of(folder, text).expect("a plan");
    assert!(plan.hangs_hooks());
    let hooks = |entry: &str| -> Vec<Option<HookPlan>> {
        plan.entry(entry).expect(entry).items.iter().map(|item| item.hook.clone()).collect()
    };
    let hook = |branch: &str| HookPlan {
        repository: folder.join("site"),
        branch: Some(branch.to_owned()),
        base: Some("main".to_owned()),
        max_retries: 1,
        stale_after: Some(Duration::from_secs(600)),
    };
    assert_eq!(hooks("t"), [Some(hook("agent/a")), Some(hook("agent/b"))]);
    let plain = HookPlan {
        repository: "/srv/site".into(),
        branch: None,
        base: None,
        max_retries: 3,
        stale_after: None,
    };
    assert_eq!((hooks("u"), hooks("v")), (vec![Some(plain)], vec![None]));
    let written = serde_json::to_string(&plan).expect("JSON");
    assert_eq!(serde_json::from_str::<Plan>(&written).expect("a plan"), plan);
}

#[test]
fn matches_may_span_lines_and_lines_that_are_blank_are_no_items() {
    let plan = full().expand(&Inputs::default()).expect("a plan");
    assert_eq!(
        items(&plan, "matched"),
        [json!({"name": "ada", "age": "36"}), json!({"name": "alan", "age": "41"})]
    );
    assert_eq!(items(&plan, "lined"), ["name=ada", "age=36", "name=alan", "age=41"]);
    assert_eq!(plan.entry("lined").expect("lined").items[0].payload, json!({"item": "name=ada"}));
    assert_eq!(items(&plan, "globbed"), Vec::<Value>::new());
}

#[test]
fn a_glob_is_sorted_and_skips_hidden_excluded_and_linked_folders() {
    let folder = tempfile::tempdir().expect("a folder");
    for file in ["b.rs", "a/z.rs", "a/b/c.rs", ".hidden/x.rs", "target/t.rs", "a/target/u.rs", "a/readme.md"]
    {
        let path = folder.path().join(file);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        fs::write(path, "").expect("a file");
    }
    #[cfg(unix)]
    std::os::unix::fs::symlink(folder.path(), folder.path().join("loop")).expect("a link");
    let text = "name: f\npools: {p: {command: [echo]}}\ntasks:\n- {name: one, pool: p, for_each: {glob: {pattern: '**/*.rs', exclude: [target]}}}\n";
    let plan = plan_of(folder.path(), text).expect("a plan");
    assert_eq!(items(&plan, "one"), ["a/b/c.rs", "a/z.rs", "b.rs"]);
    let hidden = text.replace("exclude: [target]", "exclude: ['target/**'], hidden: true");
    let plan = plan_of(folder.path(), &hidden).expect("a plan");
    assert_eq!(items(&plan, "one"), [".hidden/x.rs", "a/b/c.rs", "a/z.rs", "b.rs"]);
}

#[test]
fn the_three_formats_give_the_same_plan() {
    let yaml = "name: f\npools: {p: {command: [echo, hi], timeout: 5s}}\ntasks: [{name: one, pool: p, payload: {a: [1, -2.5, true], b: x}}]\n";
    let json = r#"{"name": "f", "pools": {"p": {"command": ["echo", "hi"], "timeout": "5s"}},
        "tasks": [{"name": "one", "pool": "p", "payload": {"a": [1, -2.5, true], "b": "x"}}]}"#;
    let toml = "name = 'f'\n[pools.p]\ncommand = ['echo', 'hi']\ntimeout = '5s'\n[[tasks]]\nname = 'one'\npool = 'p'\npayload = {a = [1, -2.5, true], b = 'x'}\n";
    let plan = |file: &str, text: &str| {
        let fleet = Fleet::parse(Path::new("/x").join(file), text).expect(file);
        fleet.expand(&Inputs::default()).expect(file)
    };
    let expected = plan("f.yaml", yaml);
    assert_eq!(plan("f.json", json), expected);
    assert_eq!(plan("f.toml", toml), expected);
}

#[test]
fn a_plan_survives_being_stored_and_the_same_run_has_the_same_digest() {
    let plan = full().expand(&Inputs::default()).expect("a plan");
    let stored = serde_json::to_vec(&plan).expect("JSON");
    assert_eq!(serde_json::from_slice::<Plan>(&stored).expect("a plan"), plan);
    assert_eq!(full().expand(&Inputs::default()).expect("a plan").digest, plan.digest);
    assert_eq!(plan.digest.len(), 64);
    let other = Inputs::from_arguments(["depth=4"]).expect("inputs");
    assert_ne!(full().expand(&other).expect("a plan").digest, plan.digest);
}

#[test]
fn more_tasks_than_the_bound_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = "name: f\npools: {p: {command: [echo]}}\ntasks:\n- {name: one, pool: p, for_each: {lines_of: l.txt}}\n- {name: two, pool: p}\n";
    fs::write(folder.path().join("l.txt"), "x\n".repeat(TASKS_MAX - 1)).expect("a file");
    assert_eq!(plan_of(folder.path(), text).expect("a plan").task_count(), TASKS_MAX);
    fs::write(folder.path().join("l.txt"), "x\n".repeat(TASKS_MAX)).expect("a file");
    let error = plan_of(folder.path(), text).expect_err("too many");
    assert!(error.to_string().contains("more than 100000 tasks"), "{error}");
}

#[test]
fn an_input_without_default_must_be_given() {
    let text = "name: f\ninputs: {who: {description: whom to greet}}\npools: {p: {command: [echo, '{{inputs.who}}']}}\ntasks: [{name: one, pool: p}]\n";
    let fleet = Fleet::parse("/x/f.yaml", text).expect("a sound file");
    let error = fleet.expand(&Inputs::default()).expect_err("no value");
    assert!(matches!(&error, Error::MissingInput { name, .. } if name == "who"), "{error}");
    let plan = fleet.expand(&Inputs::from_arguments(["who=ada"]).expect("inputs")).expect("a plan");
    assert!(matches!(&plan.pools[0].runtime, RuntimeSpec::Process(process) if process.command[1] == "ada"));
}
