//! Golden bytes of what governs: terms, parked tasks, and what each family of commands adds.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use synod_domain::command::Command;
use synod_domain::fabric::{Bounds, FabricCommand, FabricRow, Profile};
use synod_domain::id::TaskId;
use synod_domain::name::Name;
use synod_domain::parking::{ParkedOn, Parking};
use synod_domain::row::Row;
use synod_domain::task::TaskStatus;
use synod_domain::terms::{Estimate, OverBudget, Terms};
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
