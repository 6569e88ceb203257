//! A resource, alone or as a line of a list.

use synod_domain::id::TaskId;
use synod_domain::resource::Resource;
use synod_domain::state::State;

use super::time;
use crate::api;

/// How many tasks are shown of those that have a resource, and of those that wait for it.
const SHOWN_MAX: usize = 100;

/// Shows a resource as a line of a list.
pub(crate) fn resource(state: &State, resource: &Resource) -> api::Resource {
    let name = &resource.name;
    api::Resource {
        name: name.to_string(),
        capacity: resource.capacity,
        in_use: state.resource_in_use(name),
        waiting: state.resource_waiting(name) as u64,
        about: resource.about.to_string(),
        created_at: time(resource.created_at),
        holders: Vec::new(),
        line: Vec::new(),
    }
}

/// Shows a resource with those who have it and those who wait for it.
pub(crate) fn whole_resource(state: &State, found: &Resource) -> api::Resource {
    let share = |(task, amount): (TaskId, u64)| api::ResourceShare { task_id: task.to_string(), amount };
    api::Resource {
        holders: state.resource_holders(&found.name).take(SHOWN_MAX).map(share).collect(),
        line: state.resource_line(&found.name).take(SHOWN_MAX).map(share).collect(),
        ..resource(state, found)
    }
}
