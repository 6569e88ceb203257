//! One thing for a person: its fields, one on each line.

use comfy_table::{Table, presets};
use serde_json::Value;

use crate::cli::print;

/// Returns the fields of a JSON object as a table; what is empty is left out.
pub(super) fn table(value: &Value) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).force_no_tty();
    if let Value::Object(fields) = value {
        for (name, field) in fields {
            if let Some(shown) = shown(field) {
                table.add_row([name.clone(), print::harmless(&shown)]);
            }
        }
    } else {
        table.add_row([print::harmless(&shown(value).unwrap_or_default())]);
    }
    table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

fn shown(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        Value::Array(items) if items.is_empty() => None,
        Value::Object(fields) if fields.is_empty() => None,
        Value::Array(items) if items.iter().all(Value::is_string) => {
            Some(items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", "))
        }
        // One line for each, so that attempts can be read.
        Value::Array(items) => Some(items.iter().map(Value::to_string).collect::<Vec<_>>().join("\n")),
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => Some(value.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_stand_one_on_each_line_and_empty_ones_are_left_out() {
        let shown = table(&json!({
            "id": "task_1", "labels": {}, "caps": ["a", "b"], "reason": null, "payload": {"a": 1},
            "attempts": [{"n": 1}, {"n": 2}], "log": "\u{1b}]0;evil\u{7}",
        }));
        let lines: Vec<Vec<&str>> = shown.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines[0], ["id", "task_1"]);
        assert_eq!(lines[1], ["caps", "a,", "b"]);
        assert_eq!(lines[2], ["payload", "{\"a\":1}"]);
        assert_eq!(lines[3..5], [vec!["attempts", "{\"n\":1}"], vec!["{\"n\":2}"]]);
        assert!(shown.contains("\\u{1b}]0;evil"), "{shown}");
    }
}
