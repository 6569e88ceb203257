//! Golden bytes of what governs: terms, parked tasks, and what each family of commands adds.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use synod_domain::budget::amount::{Amount, Measure, Report};
use synod_domain::budget::book::{UsageKey, Used};
use synod_domain::budget::command::{BudgetCommand, BudgetSettings};
use synod_domain::budget::hold::{Booked, Hold, Stop};
use synod_domain::budget::row::{BudgetRow, Common, HeldAccount};
use synod_domain::budget::scope::Scope;
use synod_domain::budget::spec::{BudgetSpec, Enforcement, Limit};
use synod_domain::budget::tally::Booking;
use synod_domain::budget::window::Window;
use synod_domain::budget::{Budget, Raise};
use synod_domain::command::Command;
use synod_domain::fabric::{Bounds, FabricCommand, FabricRow, Profile};
use synod_domain::id::{AgentId, RunId, TaskId};
use synod_domain::name::Name;
use synod_domain::parking::{ParkedOn, Parking};
use synod_domain::resource::{Resource, ResourceCommand, ResourceRow, Wait};
use synod_domain::row::Row;
use synod_domain::task::{TaskStatus, Usage};
use synod_domain::terms::{Estimate, OverBudget, Terms};
use synod_domain::time::Timestamp;
use synod_storage::{decode, encode};

/// Returns a record's bytes as hexadecimal digits, behind the version and the checksum, after reading them back.
pub(super) fn body_of<T>(value: &T) -> String
where
    T: std::fmt::Debug + PartialEq + serde::Serialize + serde::de::DeserializeOwned,
{
    let bytes = encode(value).unwrap();
    assert_eq!(&decode::<T>(&bytes).unwrap(), value);
    bytes[5..].iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn terms_and_parked_tasks_keep_their_bytes() {
    let name = |text| Name::new(text).unwrap();
    let terms = Terms {
        estimate: Some(Estimate { tokens: 5, cost_microusd: 6, compute: Duration::from_millis(7) }),
        account: Some(name("acme")),
        model: Some(name("m")),
        over_budget: OverBudget::Fail,
        resources: BTreeMap::from([(name("gpu"), 2)]),
        resources_within: Some(Duration::from_secs(1)),
    };
    let row = Row::Terms(TaskId::from_raw(7), Arc::new(terms));
    assert_eq!(body_of(&row), "160701050600fcc0cf6a00010461636d6501016d01010367707502010100");
    let limit = ParkedOn::Limit { set: name("s"), key: "k".into() };
    let parking = Parking { on: limit, at: Timestamp::from_millis(3), lane_since: Timestamp::from_millis(2) };
    assert_eq!(body_of(&TaskStatus::Parked { parking: Box::new(parking) }), "06050173016b0302");
}

#[test]
fn the_fabric_and_what_waits_for_others_keep_their_bytes() {
    let after = BTreeSet::from([TaskId::from_raw(5), TaskId::from_raw(6)]);
    assert_eq!(body_of(&Row::After(TaskId::from_raw(7), after)), "1807020506");
    let bounds = Bounds::default();
    assert_eq!(body_of(&Row::Fabric(FabricRow::Bounds(bounds.clone()))), "190064fbe80305");
    let profile = Profile { title: "t".into(), model: Some("m".into()), single: true };
    let row = Row::Fabric(FabricRow::Profile(Name::new("p").unwrap(), profile));
    assert_eq!(body_of(&row), "190101700174".to_owned() + "01016d01");
    let command = Command::Fabric(FabricCommand::SetBounds { bounds });
    assert_eq!(body_of(&command), "3b0064fbe80305");
}

#[test]
fn commands_about_budgets_keep_their_bytes() {
    let name = |text| Name::new(text).unwrap();
    let spec = budget_spec();
    let raise = Raise { percent: 50, until: Timestamp::from_millis(9), reason: "r".into() };
    let estimate = Amount { tokens: 1, cost_microusd: 2, compute_ms: 3, requests: 4 };
    let report = Report { tokens_in: 1, tokens_out: 2, cost_microusd: 3, requests: 4 };
    let (task, attempt) = (TaskId::from_raw(7), 2);
    let commands = [
        BudgetCommand::Put { spec: spec.into() },
        BudgetCommand::Remove { budget: name("b") },
        BudgetCommand::Reset { budget: name("b"), reason: "r".into() },
        BudgetCommand::Override { budget: name("b"), raise },
        BudgetCommand::Configure { settings: BudgetSettings { estimate, grace: Duration::from_secs(1) } },
        BudgetCommand::Record {
            agent: AgentId::from_raw(5),
            workspace: name("w"),
            account: Some(name("a")),
            model: None,
            report,
        },
        BudgetCommand::Report { task, attempt, report, model: Some(name("m")) },
        BudgetCommand::RateLimited {
            task,
            attempt,
            retry_after: Duration::from_secs(2),
            reason: "r".into(),
            usage: Usage { tokens_in: 1, tokens_out: 2, cost_microusd: 3 },
        },
    ];
    assert!(body_of(&Command::Budget(commands[1].clone())).starts_with("3c"));
    let bodies = commands.map(|one| body_of(&one));
    let expected = [
        "0001620004006401016402026403036405fb60ea015001016e",
        "010162",
        "0201620172",
        "03016232090172",
        "04010203040100",
        "050501770101610001020304",
        "0607020102030401016d",
        "07070202000172010203",
    ];
    assert_eq!(bodies, expected);
}

#[test]
fn rows_about_budgets_keep_their_bytes() {
    let name = |text| Name::new(text).unwrap();
    let at = Timestamp::from_millis;
    let mut budget = Budget::new(budget_spec().into(), at(1), &mut 0);
    let used = Amount { tokens: 90, ..Amount::default() };
    budget.record(&used, at(2));
    budget.look(at(2));
    let hold = Hold {
        attempt: 2,
        estimate: Amount { tokens: 1, cost_microusd: 2, compute_ms: 3, requests: 4 },
        told: Some(Report { tokens_in: 1, tokens_out: 2, cost_microusd: 3, requests: 4 }),
        model: Some(name("m")),
        booked: vec![Booked {
            budget: name("b"),
            line: 6,
            booking: Booking { slot: at(0), reserved: 7, overrun: 8 },
        }],
        stop: Some(Stop { at: at(9), budget: name("b") }),
    };
    let key = UsageKey { day: 3, workspace: name("w"), agent: Some(AgentId::from_raw(5)), model: None };
    let entry = Used { tokens_in: 1, tokens_out: 2, attempts: 3, silent: 4, ..Used::default() };
    let common = Common { settings: BudgetSettings { estimate: used, grace: Duration::ZERO }, lines: 4 };
    let mut average = synod_domain::budget::average::Average::default();
    average.learn(&used);
    let rows = [
        BudgetRow::Common(common),
        BudgetRow::Budget(Box::new(budget)),
        BudgetRow::Hold(TaskId::from_raw(7), Box::new(hold)),
        BudgetRow::Average(name("w"), name("k"), average),
        BudgetRow::Account(name("a"), HeldAccount { until: at(3), reason: "r".into() }),
        BudgetRow::Used(key, entry),
    ];
    assert!(body_of(&Row::Budget(rows[0].clone())).starts_with("1a"));
    let bodies = rows.map(|row| body_of(&row));
    let expected = [
        "005a000000000004",
        "0101620004006401016402026403036405fb60ea015001016e040100640101005a000000010002016402010000000000000003026403010000000000000004036405fb60ea01000000000000000001020000015a64010000",
        "02070201020304010102030401016d0101620600070801090162",
        "030177016b01fb005a000000",
        "040161030172",
        "05030177010500010200000000000304",
    ];
    assert_eq!(bodies, expected);
    let scopes = [
        Scope::Global,
        Scope::Workspace(name("w")),
        Scope::Pool(name("p")),
        Scope::Agent(AgentId::from_raw(1)),
        Scope::Run(RunId::from_raw(1)),
        Scope::Fleet(name("f")),
        Scope::Account(name("a")),
    ];
    assert_eq!(body_of(&scopes.to_vec()), "070001017702017003010401050166060161");
    let windows = [
        Window::Minute,
        Window::Hour,
        Window::Day,
        Window::Week,
        Window::Month,
        Window::Rolling { length_ms: 60_000 },
        Window::Opened { length_ms: 60_000 },
        Window::Whole,
    ];
    assert_eq!(body_of(&windows.to_vec()), "08000102030405fb60ea06fb60ea07");
}

fn budget_spec() -> BudgetSpec {
    let limit = |measure, window| Limit { measure, most: 100, window };
    BudgetSpec {
        name: Name::new("b").unwrap(),
        scope: Scope::Global,
        limits: vec![
            limit(Measure::Tokens, Window::Hour),
            limit(Measure::Cost, Window::Day),
            limit(Measure::Compute, Window::Week),
            limit(Measure::Requests, Window::Rolling { length_ms: 60_000 }),
        ],
        enforcement: Enforcement::Soft,
        warn_percent: 80,
        note: Some("n".into()),
    }
}

#[test]
fn resources_keep_their_bytes() {
    let gpu = Name::new("gpu").unwrap();
    let at = Timestamp::from_millis(3);
    let resource = Resource { name: gpu.clone(), capacity: 4, about: "a".into(), created_at: at };
    assert_eq!(
        body_of(&Row::Resource(ResourceRow::Resource(resource))),
        "1f0003677075".to_owned() + "04016103"
    );
    let wait = Wait { since: at, turn: Timestamp::from_millis(5), sequence: 6 };
    assert_eq!(body_of(&Row::Resource(ResourceRow::Wait(TaskId::from_raw(7), wait))), "1f0107030506");
    let put = ResourceCommand::Put { name: gpu.clone(), capacity: 4, about: "a".into() };
    assert_eq!(body_of(&Command::Resource(put)), "3f000367707504".to_owned() + "0161");
    assert_eq!(body_of(&Command::Resource(ResourceCommand::Remove { name: gpu })), "3f0103677075");
}
