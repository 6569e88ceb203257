//! Examples about resources.

use super::{REGISTERED, TASK};
use crate::api;

pub(in crate::http::native) const RESOURCE: &str = "gpu";

pub(in crate::http::native) fn resource() -> api::Resource {
    api::Resource {
        name: RESOURCE.to_owned(),
        capacity: 8,
        in_use: 2,
        waiting: 0,
        about: "the cards of the machine room".to_owned(),
        created_at: REGISTERED.to_owned(),
        holders: vec![api::ResourceShare { task_id: TASK.to_owned(), amount: 2 }],
        line: Vec::new(),
    }
}

pub(in crate::http::native) fn put_resource() -> api::PutResource {
    api::PutResource { capacity: 8, about: "the cards of the machine room".to_owned() }
}
