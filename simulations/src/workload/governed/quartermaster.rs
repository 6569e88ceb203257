//! The quartermaster: resources whose capacity comes and goes, and tasks that ask for several of them at once.
//!
//! The type of a task says how much of which it needs: `needs-2-gpu-1-seat`.

use synod::node::domain::command::Command;
use synod::node::domain::resource::ResourceCommand;

use crate::history::Change;
use crate::workload::governed::{Errand, Office, Wanted, named};

/// What it is called, and its workspace.
pub(super) const NAME: &str = "quartermaster";

/// The resources, each with the most that there ever is of it while the world is busy.
const RESOURCES: [(&str, u64); 3] = [("gpu", 4), ("seat", 3), ("licence", 2)];

/// Governs until the world settles, then lets there be enough of everything.
pub(super) async fn run(mut office: Office) {
    for (resource, most) in RESOURCES {
        put(&office, resource, most).await;
    }
    while office.is_busy() {
        if office.stream.happens(78) {
            submit(&mut office).await;
        } else if let Some((resource, most)) = office.stream.pick(&RESOURCES).copied() {
            let capacity = office.stream.between(0, most);
            put(&office, resource, capacity).await;
        }
        office.pause(10, 250).await;
    }
    while office.looks_again().await {
        for (resource, most) in RESOURCES {
            let name = named(resource);
            let capacity = office.node.read(|state| state.resource(&name).map(|one| one.capacity));
            if capacity.is_none_or(|capacity| capacity < most) {
                put(&office, resource, most).await;
            }
        }
    }
}

async fn put(office: &Office, resource: &str, capacity: u64) {
    let command = ResourceCommand::Put { name: named(resource), capacity, about: "".into() };
    let change = Change::PutResource { resource: named(resource), capacity };
    office.govern(change, Command::Resource(command)).await;
}

async fn submit(office: &mut Office) {
    let mut kind = "needs".to_owned();
    let mut wanted = Wanted::of("", Errand::of(&mut office.stream, (100, 1_500), Vec::new()));
    for (resource, most) in RESOURCES {
        if office.stream.happens(60) {
            let amount = office.stream.between(1, most);
            kind.push_str(&format!("-{amount}-{resource}"));
            wanted.resources.insert(named(resource), amount);
        }
    }
    wanted.kind = kind;
    wanted.resources_within = office.stream.happens(25).then(|| office.stream.millis(500, 6_000));
    office.submit(wanted).await;
}

/// Reads from the type of a task what it needs.
pub(crate) fn needs_of(kind: &str) -> Vec<(&str, u64)> {
    let mut words = kind.split('-');
    if words.next() != Some("needs") {
        return Vec::new();
    }
    let mut needs = Vec::new();
    while let (Some(amount), Some(resource)) = (words.next(), words.next()) {
        needs.push((resource, amount.parse().unwrap_or(0)));
    }
    needs
}
