//! An event, with its place in the stream.

use serde_json::Value;
use synod_domain::event::Event;
use synod_domain::name::Name;
use synod_domain::time::Timestamp;

use super::time;
use crate::api;
use crate::node::feed::Place;

/// Shows an event that is of a workspace, if of any.
pub(crate) fn event(place: Place, at: Timestamp, event: &Event, whose: Option<&Name>) -> api::Event {
    let mut data = serde_json::to_value(event).unwrap_or_default();
    if let Value::Object(fields) = &mut data {
        // It stands beside the data.
        fields.shift_remove("type");
    }
    api::Event {
        id: place.to_string(),
        at: time(at),
        kind: event.kind().to_owned(),
        workspace: whose.map(ToString::to_string),
        data: api::Json::of(&data).unwrap_or_default(),
    }
}
