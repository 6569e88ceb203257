//! Reads YAML and JSON into a tree. JSON is YAML, so one parser gives places for both.

use std::fmt;
use std::ops::Range;

use serde::de::{Deserialize, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Number;
use serde_saphyr::{Location, Options, Spanned};

use super::error::Error;
use super::source::{Fault, Source};
use super::tree::{Key, Node, Value};

/// What is said of a key that is a map, a list or nothing; in a fleet file nearly always an unquoted template.
const KEY_REFUSED: &str = "a key must be a text";

/// Reads YAML.
pub(super) fn read_yaml(source: &Source) -> Result<Node, Error> {
    read(source, "YAML")
}

fn read(source: &Source, format: &str) -> Result<Node, Error> {
    let mut options = Options::default();
    options.with_snippet = false;
    // YAML 1.1 booleans such as `no` and `on` stay texts: in a list of country codes they are no booleans.
    options.strict_booleans = true;
    match serde_saphyr::from_str_with_options::<Spanned<Value>>(source.text(), options) {
        Ok(top) => Ok(node(top)),
        Err(error) => Err(syntax_error(source, format, &error)),
    }
}

/// Reads JSON. serde_json judges the syntax first, because YAML would let a trailing comma pass.
pub(super) fn read_json(source: &Source) -> Result<Node, Error> {
    if let Err(error) = serde_json::from_str::<IgnoredAny>(source.text()) {
        let at = source.offset(error.line(), error.column());
        let text = error.to_string();
        let message = text.split(" at line ").next().unwrap_or(&text);
        let fault = Fault::new(format!("this is not JSON: {message}"))
            .help("JSON has quotes around all keys, no comments and no comma after the last element");
        return Err(source.error(vec![source.problem(at..at, fault)]));
    }
    read(source, "JSON")
}

fn syntax_error(source: &Source, format: &str, error: &serde_saphyr::Error) -> Error {
    let at = error.location().map_or(0..0, |location| bytes(source, location));
    let fault = match error.without_snippet() {
        serde_saphyr::Error::DuplicateMappingKey { key, .. } => {
            let key = key.as_deref().unwrap_or("of this map");
            Fault::new(format!("the key `{key}` stands here for the second time"))
                .help("keep one of the two; the second would silently replace the first")
                .part(key)
        }
        serde_saphyr::Error::MultipleDocuments { .. } => Fault::new("a second YAML document begins here")
            .help("a fleet file is one document: remove the `---`"),
        other => {
            let text = other.to_string();
            let message = text.split(" at line ").next().unwrap_or(&text).to_owned();
            let fault = Fault::new(format!("this is not readable {format}: {message}"));
            if message.contains(KEY_REFUSED) {
                return source.error(vec![
                    source.problem(at, fault.help("put a text with {{..}} in quotes: \"{{item}}\"")),
                ]);
            }
            fault.help(
                "check the indentation (spaces, never tabs), closed quotes and brackets, and that texts with `: `, \
                 `{`, `[`, `*`, `&`, `!`, `%` or `@` are in quotes",
            )
        }
    };
    source.error(vec![source.problem(at, fault)])
}

fn bytes(source: &Source, location: Location) -> Range<usize> {
    let span = location.span();
    let size = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    match (span.byte_offset(), span.byte_len()) {
        (Some(start), Some(length)) => size(start)..size(start).saturating_add(size(length)),
        // Some errors of the scanner know only line and column, in characters.
        _ => {
            let line = source.text().split_inclusive('\n').nth(size(location.line()).saturating_sub(1));
            let before = line.unwrap_or("").chars().take(size(location.column()).saturating_sub(1));
            let column = before.map(char::len_utf8).sum::<usize>() + 1;
            let start = source.offset(size(location.line()), column);
            start..start
        }
    }
}

fn node(read: Spanned<Value>) -> Node {
    Node { value: read.value, span: span(read.defined) }
}

fn span(location: Location) -> Range<usize> {
    let start = location.span().byte_offset().and_then(|at| usize::try_from(at).ok()).unwrap_or(0);
    let length = location.span().byte_len().and_then(|at| usize::try_from(at).ok()).unwrap_or(0);
    start..start + length
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("a number must be finite"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = list.next_element()? {
            elements.push(node(element));
        }
        Ok(Value::List(elements))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut fields = Vec::new();
        while let Some((key, value)) = map.next_entry::<Spanned<Value>, Spanned<Value>>()? {
            let text = match key.value {
                Value::Text(text) => text,
                Value::Number(number) => number.to_string(),
                Value::Bool(value) => value.to_string(),
                Value::Null | Value::List(_) | Value::Map(_) => {
                    return Err(A::Error::custom(KEY_REFUSED));
                }
            };
            fields.push((Key { text, span: span(key.defined) }, node(value)));
        }
        Ok(Value::Map(fields))
    }
}
