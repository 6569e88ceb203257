//! The items of an entry, and the keys of its tasks.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use super::file::ForEach;
use super::source::Fault;
use super::template::{self, Scope};
use super::tree::Place;
use super::{lines, walk};

/// The longest text of an item that becomes part of a key; longer items are known by their number.
const KEY_TEXT_BYTES_MAX: usize = 200;

/// Finds the items of `for_each`, which stands at `place`.
///
/// # Errors
/// The place and what is wrong there: nothing was found, a file or folder cannot be read, or a template
/// cannot be rendered.
pub(super) fn items(
    for_each: &ForEach,
    place: &Place,
    scope: Scope<'_>,
) -> Result<Vec<Value>, (Place, Fault)> {
    let rendered = |text: &str, at: Place| template::render_text(text, scope).map_err(|fault| (at, fault));
    let folder = Path::new(scope.dir);
    let (items, at, empty) = if let Some(glob) = &for_each.glob {
        let at = place.key("glob");
        let pattern = rendered(&glob.pattern, at.key("pattern"))?;
        let root = match &glob.root {
            Some(root) => folder.join(rendered(root, at.key("root"))?),
            None => folder.to_owned(),
        };
        let mut exclude = Vec::new();
        for (index, text) in glob.exclude.iter().enumerate() {
            exclude.push(rendered(text, at.key("exclude").index(index))?);
        }
        let search = walk::Search { root: &root, pattern: &pattern, exclude: &exclude, hidden: glob.hidden };
        let found = walk::files(&search).map_err(|fault| (at.clone(), fault))?;
        let empty = format!("no file in {} matches {pattern:?}", root.display());
        (found.into_iter().map(Value::String).collect(), at.key("pattern"), empty)
    } else if let Some(source) = &for_each.lines_of {
        let at = place.key("lines_of").key("file");
        let path = folder.join(rendered(&source.file, at.clone())?);
        let found = lines::items(&path, source.pattern.as_deref()).map_err(|fault| (at.clone(), fault))?;
        let what = if source.pattern.is_some() { "match of the pattern" } else { "line with text" };
        (found, at, format!("{} has no {what}", path.display()))
    } else {
        let (mut found, at) = (Vec::new(), place.key("list"));
        for (index, value) in for_each.list.iter().flatten().enumerate() {
            let element = template::render_value(value, scope).map_err(|fault| {
                let at = at.index(index);
                (template::locate(value, &at, scope).unwrap_or(at), fault)
            });
            found.push(element?);
        }
        (found, at, "`list` is empty".to_owned())
    };
    if items.is_empty() && !for_each.allow_empty {
        let help = "check the path and the pattern; write `allow_empty: true` inside `for_each` where nothing \
                    to do is fine";
        return Err((at, Fault::new(empty).help(help)));
    }
    Ok(items)
}

/// Gives each item of an entry a key: the item's text where it is short, its number from 0 otherwise.
///
/// Items with the same text are told apart by a number after `#`.
pub(super) fn keys(entry: &str, items: &[Value]) -> Vec<String> {
    let mut taken = BTreeSet::new();
    let mut keys = Vec::with_capacity(items.len());
    let mut repeats = std::collections::BTreeMap::<String, u64>::new();
    for (index, item) in items.iter().enumerate() {
        let text = short_text(item).unwrap_or_else(|| index.to_string());
        let mut key = format!("{entry}[{text}]");
        while !taken.insert(key.clone()) {
            let repeat = repeats.entry(text.clone()).or_insert(1);
            *repeat += 1;
            key = format!("{entry}[{text}#{repeat}]");
        }
        keys.push(key);
    }
    keys
}

/// Returns the text of a scalar, or the texts of the fields of a flat map, unless that is long or many lines.
fn short_text(item: &Value) -> Option<String> {
    let scalar = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    };
    let text = match item {
        Value::Object(fields) => fields.values().map(scalar).collect::<Option<Vec<_>>>()?.join(" "),
        other => scalar(other)?,
    };
    let fits = !text.is_empty() && text.len() <= KEY_TEXT_BYTES_MAX && !text.chars().any(char::is_control);
    fits.then_some(text)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn keys_say_the_item_and_are_unique() {
        let items = [
            json!("a.rs"),
            json!({"name": "serde", "version": "1.0"}),
            json!("x"),
            json!("x#2"),
            json!("x"),
            json!(["deep"]),
            json!("two\nlines"),
            json!(7),
        ];
        let expected = ["f[a.rs]", "f[serde 1.0]", "f[x]", "f[x#2]", "f[x#3]", "f[5]", "f[6]", "f[7]"]
            .map(str::to_owned);
        assert_eq!(keys("f", &items), expected);
    }
}
