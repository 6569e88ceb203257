//! What a simulation assumes of the agents, as it is written. A run takes no notice of it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, IntoDeserializer, MapAccess, Visitor};
use serde_json::Value;
use synod_domain::name::Name;

use super::Period;

/// What `synod simulate` assumes of the agents; `synod run` takes no notice of it.
#[derive(Debug, Clone, Default, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "the fields of a simulation section")]
#[schemars(rename = "Simulation")]
pub(in super::super) struct SimulationShape {
    /// For all agents of which nothing else is said.
    pub(in super::super) default: Option<BehaviourShape>,
    /// By pool; goes before `default`, field by field.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, BehaviourShape>")]
    pub(in super::super) pools: BTreeMap<Name, BehaviourShape>,
    /// By task entry; goes before `pools`, field by field.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, BehaviourShape>")]
    pub(in super::super) tasks: BTreeMap<Name, BehaviourShape>,
}

/// How simulated agents behave. What is left out is looked for in the next more general place.
#[derive(Debug, Clone, Default, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "the fields of a behaviour")]
#[schemars(rename = "Behaviour")]
pub(in super::super) struct BehaviourShape {
    /// How long an attempt works: a length of time, or `{min, max}` for any between the two, or `{p50, p90}` for a
    /// lognormal distribution of which half is at most `p50` and nine tenths are at most `p90`.
    pub(in super::super) duration: Option<DurationShape>,
    /// How many of a hundred attempts fail at the end of their work.
    #[schemars(range(min = 0, max = 100))]
    pub(in super::super) failure_percent: Option<f64>,
    /// How many of a hundred attempts never end by themselves.
    #[schemars(range(min = 0, max = 100))]
    pub(in super::super) hang_percent: Option<f64>,
    /// How many of a hundred attempts say nothing until they have worked three times as long, and do not stop when
    /// they are told to.
    #[schemars(range(min = 0, max = 100))]
    pub(in super::super) late_percent: Option<f64>,
    /// How many of a hundred results are given twice; for external pools, whose agents answer by themselves.
    #[schemars(range(min = 0, max = 100))]
    pub(in super::super) twice_percent: Option<f64>,
    /// What each attempt uses, also one that fails.
    pub(in super::super) usage: Option<UsageShape>,
    /// How many agents of an external pool there are; for `pools` and `default`. Default 1.
    #[schemars(range(min = 1, max = 1_000))]
    pub(in super::super) agents: Option<u32>,
    /// What a completed task gives back; it is handed to the entries that come after. Default: an empty map.
    pub(in super::super) result: Option<Value>,
}

/// What an attempt uses.
#[derive(Debug, Clone, Default, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "the fields of a usage")]
#[schemars(rename = "Usage")]
pub(in super::super) struct UsageShape {
    /// Tokens read by models.
    #[serde(default)]
    pub(in super::super) tokens_in: u64,
    /// Tokens written by models.
    #[serde(default)]
    pub(in super::super) tokens_out: u64,
    /// Cost in US dollars.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub(in super::super) cost_usd: f64,
}

/// How long attempts work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum DurationShape {
    /// All as long.
    Fixed(Period),
    /// What the map says; exactly two of its fields belong together.
    Spread(SpreadForm),
}

/// The long form of a duration.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a length of time, {min, max} or {p50, p90}")]
#[schemars(rename = "DurationSpread")]
pub(in super::super) struct SpreadForm {
    /// The shortest, with `max`.
    pub(in super::super) min: Option<Period>,
    /// The longest, with `min`.
    pub(in super::super) max: Option<Period>,
    /// Half of them are at most so long, with `p90`.
    pub(in super::super) p50: Option<Period>,
    /// Nine tenths are at most so long, with `p50`.
    pub(in super::super) p90: Option<Period>,
}

impl<'de> Deserialize<'de> for DurationShape {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(DurationVisitor)
    }
}

struct DurationVisitor;

impl<'de> Visitor<'de> for DurationVisitor {
    type Value = DurationShape;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a length of time such as 30s, or a map with min and max or with p50 and p90")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<DurationShape, E> {
        Period::deserialize(text.into_deserializer()).map(DurationShape::Fixed)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<DurationShape, E> {
        // It says that the unit is missing.
        Period::deserialize(number.into_deserializer()).map(DurationShape::Fixed)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<DurationShape, A::Error> {
        SpreadForm::deserialize(MapAccessDeserializer::new(map)).map(DurationShape::Spread)
    }
}

impl JsonSchema for DurationShape {
    fn schema_name() -> Cow<'static, str> {
        "DurationOrSpread".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let fixed = generator.subschema_for::<Period>();
        let spread = generator.subschema_for::<SpreadForm>();
        json_schema!({ "anyOf": [fixed, spread] })
    }
}
