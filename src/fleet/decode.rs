//! Decodes a tree into the file types, and says where it failed.
//!
//! The types derive serde's traits as usual; this deserializer adds what serde does not keep: the place of
//! the value that was refused, and words for people who do not know Rust.

use std::fmt;
use std::ops::Range;

use serde::de::value::{MapAccessDeserializer, StrDeserializer};
use serde::de::{
    self, Deserialize as _, DeserializeSeed, Deserializer, Expected, IntoDeserializer, MapAccess, SeqAccess,
    Unexpected, Visitor,
};
use serde::forward_to_deserialize_any;

use super::source::Fault;
use super::suggest;
use super::tree::{Key, Node, Value};

/// What was refused, and where when it is known.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) fault: Fault,
    pub(super) span: Option<Range<usize>>,
}

impl Refused {
    fn new(fault: Fault) -> Self {
        Self { fault, span: None }
    }

    /// Keeps the innermost place: that is the one to change.
    fn at(mut self, span: &Range<usize>) -> Self {
        self.span.get_or_insert_with(|| span.clone());
        self
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.fault.message)
    }
}

impl std::error::Error for Refused {}

impl de::Error for Refused {
    fn custom<T: fmt::Display>(message: T) -> Self {
        let text = message.to_string();
        // A custom error of ours carries its help after a line break; serde has no other way for it.
        match text.split_once('\n') {
            Some((message, help)) => Self::new(Fault::new(message).help(help)),
            None => Self::new(Fault::new(text)),
        }
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let expected = for_people(expected);
        let fault = Fault::new(format!("expected {expected}, found {}", described(found)));
        Self::new(match found {
            Unexpected::Unit => fault.help("write its value after it or indented below it, or remove it"),
            _ if !expected.contains("text") => fault,
            Unexpected::Bool(value) => fault.help(format!("write it in quotes: \"{value}\"")),
            Unexpected::Unsigned(number) => fault.help(format!("write it in quotes: \"{number}\"")),
            Unexpected::Signed(number) => fault.help(format!("write it in quotes: \"{number}\"")),
            Unexpected::Float(number) => fault.help(format!("write it in quotes: \"{number}\"")),
            _ => fault,
        })
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::new(Fault::new(format!("expected {}, found {}", for_people(expected), described(found))))
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        let help = suggest::help(field, "known fields", expected.iter().copied());
        Self::new(Fault::new(format!("unknown field `{field}`")).help(help))
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        let help = suggest::help(variant, "possible values", expected.iter().copied());
        Self::new(Fault::new(format!("unknown value `{variant}`")).help(help))
    }

    fn missing_field(field: &'static str) -> Self {
        Self::new(Fault::new(format!("the field `{field}` is missing")).help(format!("add `{field}` here")))
    }
}

fn for_people(expected: &dyn Expected) -> String {
    match expected.to_string().as_str() {
        "a string" => "a text".to_owned(),
        "a sequence" => "a list".to_owned(),
        "a map" => "a map of names to values".to_owned(),
        "u32" | "u64" => "a whole number from 0".to_owned(),
        "f64" => "a number".to_owned(),
        "a boolean" => "true or false".to_owned(),
        other => other.to_owned(),
    }
}

fn described(found: Unexpected<'_>) -> String {
    match found {
        Unexpected::Bool(value) => format!("{value}"),
        Unexpected::Unsigned(number) => format!("the number {number}"),
        Unexpected::Signed(number) => format!("the number {number}"),
        Unexpected::Float(number) => format!("the number {number}"),
        Unexpected::Str(text) => format!("the text {text:?}"),
        Unexpected::Unit | Unexpected::Option => "nothing".to_owned(),
        Unexpected::Seq => "a list".to_owned(),
        Unexpected::Map => "a map".to_owned(),
        other => other.to_string(),
    }
}

impl<'de> Deserializer<'de> for &'de Node {
    type Error = Refused;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        let result = match &self.value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Text(text) => visitor.visit_borrowed_str(text),
            Value::List(elements) => visitor.visit_seq(Elements(elements.iter())),
            Value::Map(fields) => visitor.visit_map(Fields { rest: fields.iter(), value: None }),
            Value::Number(number) => match (number.as_u64(), number.as_i64(), number.as_f64()) {
                (Some(number), ..) => visitor.visit_u64(number),
                (None, Some(number), _) => visitor.visit_i64(number),
                (None, None, number) => visitor.visit_f64(number.unwrap_or(f64::NAN)),
            },
        };
        result.map_err(|refused| refused.at(&self.span))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        match self.value {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refused> {
        match &self.value {
            Value::Text(text) => {
                let word: StrDeserializer<'_, Refused> = text.as_str().into_deserializer();
                visitor.visit_enum(word).map_err(|refused| refused.at(&self.span))
            }
            Value::Map(fields) => {
                let fields = Fields { rest: fields.iter(), value: None };
                visitor
                    .visit_enum(MapAccessDeserializer::new(fields))
                    .map_err(|refused| refused.at(&self.span))
            }
            // Asking for a text makes the refusal name what stands there.
            _ => Err(match String::deserialize(self) {
                Ok(text) => de::Error::invalid_value(Unexpected::Str(&text), &"a word"),
                Err(refused) => refused,
            }),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refused> {
        // serde's derived types would take a list for their fields in order, which no one means.
        if matches!(self.value, Value::List(_)) {
            let refused: Refused = de::Error::invalid_type(Unexpected::Seq, &visitor);
            return Err(refused.at(&self.span));
        }
        self.deserialize_any(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Refused> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct
        seq tuple tuple_struct map identifier ignored_any
    }
}

struct Elements<'de>(std::slice::Iter<'de, Node>);

impl<'de> SeqAccess<'de> for Elements<'de> {
    type Error = Refused;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Refused> {
        self.0.next().map(|node| seed.deserialize(node).map_err(|refused| refused.at(&node.span))).transpose()
    }
}

struct Fields<'de> {
    rest: std::slice::Iter<'de, (Key, Node)>,
    value: Option<&'de (Key, Node)>,
}

impl<'de> MapAccess<'de> for Fields<'de> {
    type Error = Refused;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Refused> {
        self.value = self.rest.next();
        let Some((key, _)) = self.value else { return Ok(None) };
        let text: StrDeserializer<'_, Refused> = key.text.as_str().into_deserializer();
        seed.deserialize(text).map(Some).map_err(|refused| refused.at(&key.span))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Refused> {
        let Some((_, node)) = self.value else {
            return Err(de::Error::custom("a value was asked for before its key"));
        };
        // A value may also be refused after it was read, by a type that checks what a text says.
        seed.deserialize(node).map_err(|refused| refused.at(&node.span))
    }
}
