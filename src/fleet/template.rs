//! Templates: `{{inputs.NAME}}`, `{{item}}`, `{{item.FIELD}}` and `{{fleet.dir}}` in texts.
//!
//! A text that is exactly one template becomes the value it names, whatever its type; in a longer text the
//! value is written in its place. `{{{{` stands for `{{`. There is no other expression: work belongs into
//! programs, and a file without a language can be checked completely before anything starts.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::Value;

use super::source::Fault;
use super::suggest;
use super::tree::Place;

/// What the names in a template may stand for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scope<'a> {
    /// The inputs. While a file is checked, their values do not matter.
    pub(super) inputs: &'a BTreeMap<String, Value>,
    /// The fleet file's folder, absolute.
    pub(super) dir: &'a str,
    /// The item, where there is one.
    pub(super) item: Item<'a>,
}

/// The item of a scope.
#[derive(Debug, Clone, Copy)]
pub(super) enum Item<'a> {
    /// There is none: the field is not part of an entry with `for_each`.
    None,
    /// There will be one, whose fields are not known yet.
    Later,
    /// This one.
    Known(&'a Value),
}

enum Piece<'t> {
    Text(&'t str),
    /// The template as written, and what is between the braces.
    Name(&'t str, &'t str),
}

/// Renders a text to the value it stands for.
pub(super) fn render(text: &str, scope: Scope<'_>) -> Result<Value, Fault> {
    let pieces = pieces(text)?;
    if let [Piece::Name(written, name)] = pieces[..] {
        return Ok(lookup(written, name, scope)?.into_owned());
    }
    let mut rendered = String::new();
    for piece in pieces {
        match piece {
            Piece::Text(text) => rendered.push_str(text),
            Piece::Name(written, name) => match &*lookup(written, name, scope)? {
                Value::String(text) => rendered.push_str(text),
                other => rendered.push_str(&other.to_string()),
            },
        }
    }
    Ok(Value::String(rendered))
}

/// Renders a text that must stay a text; numbers and the like are written as such.
pub(super) fn render_text(text: &str, scope: Scope<'_>) -> Result<String, Fault> {
    Ok(match render(text, scope)? {
        Value::String(text) => text,
        other => other.to_string(),
    })
}

/// Renders every text of a value; keys of maps stay as they are. [`locate`] finds where a fault was.
pub(super) fn render_value(value: &Value, scope: Scope<'_>) -> Result<Value, Fault> {
    Ok(match value {
        Value::String(text) => render(text, scope)?,
        Value::Array(elements) => Value::Array(
            elements.iter().map(|element| render_value(element, scope)).collect::<Result<_, _>>()?,
        ),
        Value::Object(fields) => {
            let rendered = fields.iter().map(|(key, value)| Ok((key.clone(), render_value(value, scope)?)));
            Value::Object(rendered.collect::<Result<_, Fault>>()?)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    })
}

/// Returns the place of the first text in a value that cannot be rendered.
///
/// Apart from rendering, because only few values have a fault and every place costs an allocation.
pub(super) fn locate(value: &Value, place: &Place, scope: Scope<'_>) -> Option<Place> {
    match value {
        Value::String(text) => render(text, scope).is_err().then(|| place.clone()),
        Value::Array(elements) => {
            elements.iter().enumerate().find_map(|(index, value)| locate(value, &place.index(index), scope))
        }
        Value::Object(fields) => fields.iter().find_map(|(key, value)| locate(value, &place.key(key), scope)),
        Value::Null | Value::Bool(_) | Value::Number(_) => None,
    }
}

/// Takes a text apart.
fn pieces(text: &str) -> Result<Vec<Piece<'_>>, Fault> {
    let (mut pieces, mut rest) = (Vec::new(), text);
    while let Some(start) = rest.find("{{") {
        if start > 0 {
            pieces.push(Piece::Text(&rest[..start]));
        }
        rest = &rest[start..];
        if rest.starts_with("{{{{") {
            pieces.push(Piece::Text("{{"));
            rest = &rest[4..];
            continue;
        }
        let Some(end) = rest.find("}}") else {
            return Err(Fault::new("the template that begins here has no `}}`")
                .help("close it, or write {{{{ where you mean {{ itself")
                .part(rest));
        };
        pieces.push(Piece::Name(&rest[..end + 2], rest[2..end].trim()));
        rest = &rest[end + 2..];
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest));
    }
    Ok(pieces)
}

fn lookup<'a>(written: &str, name: &str, scope: Scope<'a>) -> Result<Cow<'a, Value>, Fault> {
    let unknown = |why: String, help: String| Fault::new(why).help(help).part(written);
    if name == "fleet.dir" {
        return Ok(Cow::Owned(Value::String(scope.dir.to_owned())));
    }
    if let Some(input) = name.strip_prefix("inputs.") {
        let known = scope.inputs.keys().map(String::as_str);
        return scope.inputs.get(input).map(Cow::Borrowed).ok_or_else(|| {
            unknown(
                format!("the template {written} names no input"),
                suggest::help(input, "inputs of this file", known),
            )
        });
    }
    if name == "item" || name.starts_with("item.") {
        return match scope.item {
            Item::Known(item) => field(written, name, item).map(Cow::Borrowed),
            Item::Later => Ok(Cow::Owned(Value::Null)),
            Item::None => Err(unknown(
                format!("there is no item for the template {written} here"),
                "an item exists only in the payload and the labels of an entry with `for_each`".to_owned(),
            )),
        };
    }
    let known = ["inputs.NAME", "item", "item.FIELD", "fleet.dir"];
    Err(unknown(format!("unknown name in the template {written}"), suggest::help(name, "templates", known)))
}

fn field<'a>(written: &str, name: &str, item: &'a Value) -> Result<&'a Value, Fault> {
    let mut value = item;
    for step in name.split('.').skip(1) {
        let Some(next) = value.get(step) else {
            let help = match value {
                Value::Object(fields) => suggest::help(step, "fields", fields.keys().map(String::as_str)),
                _ => "only an item that is a map has fields; use {{item}}".to_owned(),
            };
            return Err(Fault::new(format!(
                "the template {written} finds no field `{step}` in the item {item}"
            ))
            .help(help)
            .part(written));
        };
        value = next;
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rendered(text: &str, item: &Value) -> Result<Value, String> {
        let inputs = BTreeMap::from([("depth".to_owned(), json!(3)), ("root".to_owned(), json!(".."))]);
        render(text, Scope { inputs: &inputs, dir: "/home", item: Item::Known(item) })
            .map_err(|fault| fault.message)
    }

    #[test]
    fn a_text_that_is_one_template_takes_the_value_and_its_type() {
        let item = json!({"name": "serde", "tags": [1, 2]});
        assert_eq!(rendered("{{inputs.depth}}", &item), Ok(json!(3)));
        assert_eq!(rendered("{{ item.tags }}", &item), Ok(json!([1, 2])));
        assert_eq!(rendered("{{item}}", &item), Ok(item));
    }

    #[test]
    fn a_longer_text_takes_values_as_texts() {
        let item = json!({"name": "serde", "tags": [1, 2]});
        let text = "{{fleet.dir}}/{{inputs.root}}/{{item.name}}-{{inputs.depth}} {{item.tags}}";
        assert_eq!(rendered(text, &item), Ok(json!("/home/../serde-3 [1,2]")));
        assert_eq!(rendered("a }} {{{{b}}", &item), Ok(json!("a }} {{b}}")));
    }

    #[test]
    fn unknown_names_and_open_templates_are_refused() {
        let refused = |text| rendered(text, &json!({"name": "serde"})).unwrap_err();
        assert_eq!(refused("x{{inputs.rot}}"), "the template {{inputs.rot}} names no input");
        assert_eq!(refused("{{itme}}"), "unknown name in the template {{itme}}");
        assert!(refused("{{item.nam}}").contains("no field `nam`"));
        assert!(refused("{{item").contains("no `}}`"));
    }
}
