//! Judges a value by a JSON Schema: as much of it as the document uses.

use serde_json::Value;

/// Returns what does not fit; nothing when all does.
pub(crate) fn errors(document: &Value, schema: &Value, value: &Value) -> Vec<String> {
    let mut errors = Vec::new();
    check(document, schema, value, "", &mut errors);
    errors
}

fn check(document: &Value, schema: &Value, value: &Value, place: &str, errors: &mut Vec<String>) {
    let mut wrong = |why: String| errors.push(format!("{place}: {why}"));
    if let Some(known) = schema["type"].as_str() {
        if !is_of(known, value) {
            return wrong(format!("{value} is no {known}"));
        }
    } else if let Some(known) = schema["type"].as_array()
        && !known.iter().any(|known| is_of(known.as_str().unwrap(), value))
    {
        return wrong(format!("{value} is none of {known:?}"));
    }
    if let Some(values) = schema["enum"].as_array()
        && !values.contains(value)
    {
        wrong(format!("{value} is none of {values:?}"));
    }
    if let Some(least) = schema["minimum"].as_f64()
        && value.as_f64().is_some_and(|number| number < least)
    {
        wrong(format!("{value} is below {least}"));
    }
    if let Some(most) = schema["maximum"].as_f64()
        && value.as_f64().is_some_and(|number| number > most)
    {
        wrong(format!("{value} is above {most}"));
    }
    if let Some(reference) = schema["$ref"].as_str() {
        let schema = document.pointer(reference.trim_start_matches('#')).expect(reference);
        check(document, schema, value, place, errors);
    }
    for part in schema["allOf"].as_array().into_iter().flatten() {
        check(document, part, value, place, errors);
    }
    for (word, exactly) in [("oneOf", true), ("anyOf", false)] {
        let Some(parts) = schema[word].as_array() else { continue };
        let judged: Vec<Vec<String>> = parts.iter().map(|part| self::errors(document, part, value)).collect();
        let fitting = judged.iter().filter(|errors| errors.is_empty()).count();
        if fitting == 0 || exactly && fitting > 1 {
            errors.push(format!("{place}: {fitting} of {word} fit: {judged:?}"));
        }
    }
    if let Some(object) = value.as_object() {
        for name in schema["required"].as_array().into_iter().flatten().map(|name| name.as_str().unwrap()) {
            if !object.contains_key(name) {
                errors.push(format!("{place}: {name} is missing"));
            }
        }
        for (name, value) in object {
            match (schema["properties"].get(name), &schema["additionalProperties"]) {
                (Some(schema), _) => check(document, schema, value, &format!("{place}/{name}"), errors),
                (None, Value::Bool(false)) => errors.push(format!("{place}: {name} is unknown")),
                (None, schema @ Value::Object(_)) => {
                    check(document, schema, value, &format!("{place}/{name}"), errors);
                }
                (None, _) => {}
            }
        }
    }
    for (at, value) in value.as_array().into_iter().flatten().enumerate() {
        check(document, &schema["items"], value, &format!("{place}/{at}"), errors);
    }
}

fn is_of(known: &str, value: &Value) -> bool {
    match known {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        other => panic!("a type {other:?}"),
    }
}

#[test]
fn what_does_not_fit_is_found() {
    use serde_json::json;
    let document = json!({ "components": { "schemas": { "N": { "type": "integer", "minimum": 1 } } } });
    let schema = json!({
        "type": "object",
        "required": ["n"],
        "additionalProperties": false,
        "properties": {
            "n": { "$ref": "#/components/schemas/N" },
            "w": { "oneOf": [{ "type": "string", "enum": ["a"] }, { "type": "null" }] },
            "l": { "type": "array", "items": { "type": ["string", "null"] } },
        },
    });
    let fits = |value: Value| errors(&document, &schema, &value).len();
    assert_eq!(fits(json!({ "n": 1, "w": "a", "l": ["x", null] })), 0);
    for wrong in [
        json!([]),
        json!({}),
        json!({ "n": 0 }),
        json!({ "n": "1" }),
        json!({ "n": 1, "x": 1 }),
        json!({ "n": 1, "w": "b" }),
        json!({ "n": 1, "l": [1] }),
    ] {
        assert_eq!(fits(wrong.clone()), 1, "{wrong}");
    }
}
