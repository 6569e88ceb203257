//! An input of a fleet file: its default and what it is for.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde_json::Value;

/// A value that one run may set. Without a default, each run must.
#[derive(Debug, Clone, Default, PartialEq)]
pub(in super::super) struct Input {
    /// Used when a run does not set it; its type is the type that a run must give.
    pub(in super::super) default: Option<Value>,
    /// What it is for.
    pub(in super::super) description: Option<String>,
}

/// The long form of an input.
#[derive(Debug, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a default value, or the fields of an input")]
struct LongForm {
    /// Used when a run does not set the input; its type is the type that a run must give.
    #[serde(default)]
    default: Option<Value>,
    /// What the input is for.
    #[serde(default)]
    description: Option<String>,
}

impl<'de> Deserialize<'de> for Input {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(InputVisitor)
    }
}

struct InputVisitor;

impl<'de> Visitor<'de> for InputVisitor {
    type Value = Input;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a default value, or the fields of an input")
    }

    fn visit_unit<E: Error>(self) -> Result<Input, E> {
        Ok(Input::default())
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Input, E> {
        Ok(short(value.into()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Input, E> {
        Ok(short(value.into()))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Input, E> {
        Ok(short(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Input, E> {
        Ok(short(value.into()))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Input, E> {
        Ok(short(value.into()))
    }

    fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut list: A) -> Result<Input, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = list.next_element::<Value>()? {
            values.push(value);
        }
        Ok(short(values.into()))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Input, A::Error> {
        let LongForm { default, description } = LongForm::deserialize(MapAccessDeserializer::new(map))?;
        Ok(Input { default, description })
    }
}

fn short(value: Value) -> Input {
    Input { default: Some(value), description: None }
}

impl JsonSchema for Input {
    fn schema_name() -> Cow<'static, str> {
        "Input".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let long = generator.subschema_for::<LongForm>();
        json_schema!({
            "description": "A default value, or a map with `default` and `description`. Without a default, each \
                            run must give the value.",
            "anyOf": [{ "type": ["string", "number", "boolean", "array", "null"] }, long]
        })
    }
}
