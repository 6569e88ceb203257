//! Reads TOML into a tree.

use std::ops::Range;

use serde_json::Number;
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::error::Error;
use super::source::{Fault, Source};
use super::tree::{Key, Node, Value};

/// Reads TOML. Dates and times become texts, as in the other formats.
pub(super) fn read_toml(source: &Source) -> Result<Node, Error> {
    match DeTable::parse(source.text()) {
        Ok(table) => {
            let span = table.span();
            match map(table.into_inner()) {
                Ok(value) => Ok(Node { value, span }),
                Err((at, fault)) => Err(source.error(vec![source.problem(at, fault)])),
            }
        }
        Err(error) => {
            let at = error.span().unwrap_or(0..0);
            let fault = Fault::new(format!("this is not readable TOML: {}", error.message().trim()))
                .help("texts need quotes; tables are `[pools.NAME]`, and each task begins with `[[tasks]]`");
            Err(source.error(vec![source.problem(at, fault)]))
        }
    }
}

type Refused = (Range<usize>, Fault);

fn map<'i>(
    table: impl IntoIterator<Item = (Spanned<DeString<'i>>, Spanned<DeValue<'i>>)>,
) -> Result<Value, Refused> {
    let mut fields = Vec::new();
    for (key, value) in table {
        fields.push((Key { span: key.span(), text: key.into_inner().into_owned() }, node(value)?));
    }
    // The parser sorts its tables by name; the order of the file is the order that a person expects.
    fields.sort_by_key(|(key, _)| key.span.start);
    Ok(Value::Map(fields))
}

fn node(read: Spanned<DeValue<'_>>) -> Result<Node, Refused> {
    let span = read.span();
    let refused = |why: &str| (span.clone(), Fault::new(why));
    let value = match read.into_inner() {
        DeValue::String(text) => Value::Text(text.into_owned()),
        DeValue::Boolean(value) => Value::Bool(value),
        DeValue::Datetime(time) => Value::Text(time.to_string()),
        DeValue::Integer(integer) => {
            let number = i64::from_str_radix(integer.as_str(), integer.radix());
            Value::Number(number.map_err(|_| refused("the number is too large"))?.into())
        }
        DeValue::Float(float) => {
            let number = float.as_str().parse::<f64>().ok().and_then(Number::from_f64);
            Value::Number(number.ok_or_else(|| refused("a number must be finite"))?)
        }
        DeValue::Array(array) => Value::List(array.into_iter().map(node).collect::<Result<_, _>>()?),
        DeValue::Table(table) => map(table)?,
    };
    Ok(Node { value, span })
}
