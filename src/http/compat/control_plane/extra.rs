//! What this API keeps with agents and tasks and the rules have no place for.
//!
//! It stands in their metadata, under one reserved key beside what the owner attached; the native API shows it
//! there. Metadata that is no object (the native API takes any JSON) is shown here under `value`.

use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use synod_domain::region::Route;

use crate::http::Problem;

use super::invalid;

/// The reserved key.
const RESERVED: &str = "control_plane";

/// Where metadata that is no object is shown.
const VALUE: &str = "value";

/// What is kept of an agent.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct AgentExtra {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) model: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) provider: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) tags: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) available_regions: Vec<String>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub(super) region_latency_ms: Map<String, Value>,
}

/// What is kept of a task.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct TaskExtra {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) target_region: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) fallback_regions: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) region_routing_mode: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) origin_region: Option<String>,
}

impl TaskExtra {
    /// Says where a task shall go that is kept for another region, whichever API said so.
    pub(super) fn of_route(route: &Route, kept: &Self) -> Self {
        Self {
            target_region: Some(route.region.to_string()),
            fallback_regions: route.fallbacks.iter().map(ToString::to_string).collect(),
            region_routing_mode: Some(route.routing.to_string()),
            origin_region: kept.origin_region.clone(),
        }
    }
}

/// Writes metadata and extra as one text; none when there is neither.
pub(super) fn join(
    mut metadata: Map<String, Value>,
    extra: &impl Serialize,
) -> Result<Option<Arc<str>>, Problem> {
    if metadata.contains_key(RESERVED) {
        return Err(invalid(format!("metadata.{RESERVED} is reserved; use another key")));
    }
    let unwritable = |error: serde_json::Error| Problem::bad_request("metadata", error);
    let extra = serde_json::to_value(extra).map_err(unwritable)?;
    if extra.as_object().is_some_and(|extra| !extra.is_empty()) {
        metadata.insert(RESERVED.to_owned(), extra);
    }
    if metadata.is_empty() {
        return Ok(None);
    }
    serde_json::to_string(&metadata).map(|text| Some(text.into())).map_err(unwritable)
}

/// Takes apart what [`join`] wrote, or whatever somebody else attached.
pub(super) fn split<E: DeserializeOwned + Default>(text: Option<&Arc<str>>) -> (Map<String, Value>, E) {
    let value = text.and_then(|text| serde_json::from_str(text).ok());
    let mut metadata = match value {
        Some(Value::Object(map)) => map,
        Some(other) => Map::from_iter([(VALUE.to_owned(), other)]),
        None => Map::new(),
    };
    // Whoever attached something else under this key through the native API sees it there.
    let extra = metadata.get(RESERVED).and_then(|extra| E::deserialize(extra).ok());
    if extra.is_some() {
        metadata.remove(RESERVED);
    }
    (metadata, extra.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn map(value: Value) -> Map<String, Value> {
        value.as_object().cloned().expect("an object")
    }

    #[test]
    fn metadata_and_extra_are_read_back_apart() {
        let extra = AgentExtra { model: Some("m".into()), tags: vec!["t".into()], ..AgentExtra::default() };
        let text = join(map(json!({"team": "x"})), &extra).expect("joined");
        assert_eq!(split::<AgentExtra>(text.as_ref()), (map(json!({"team": "x"})), extra));
        assert_eq!(join(Map::new(), &TaskExtra::default()).expect("joined"), None);
    }

    #[test]
    fn what_others_attached_is_shown_whatever_it_is() {
        let of = |text: &str| split::<TaskExtra>(Some(&text.into())).0;
        assert_eq!(of("[1]"), map(json!({"value": [1]})));
        assert_eq!(of(r#"{"control_plane": 7}"#), map(json!({"control_plane": 7})));
        assert_eq!(split::<TaskExtra>(None).0, Map::new());
    }

    #[test]
    fn reserved_key_is_refused() {
        let problem = join(map(json!({"control_plane": {}})), &TaskExtra::default()).expect_err("reserved");
        assert!(problem.detail().contains("metadata.control_plane is reserved"));
    }
}
