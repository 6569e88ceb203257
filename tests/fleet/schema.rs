//! The JSON Schema of fleet files.

use serde_json::Value;

const SNAPSHOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/fleet.schema.json");

/// Follows references to definitions.
fn resolved<'a>(schema: &'a Value, root: &'a Value) -> &'a Value {
    match schema.get("$ref").and_then(Value::as_str) {
        Some(path) => resolved(root.pointer(path.trim_start_matches('#')).expect(path), root),
        None => schema,
    }
}

/// Tells whether a value has the shape of a schema: known fields, known types, down to the leaves.
fn fits(value: &Value, schema: &Value, root: &Value) -> Result<(), String> {
    let schema = resolved(schema, root);
    if let Some(choices) = schema.get("anyOf").or(schema.get("oneOf")).and_then(Value::as_array) {
        let failures: Vec<String> =
            choices.iter().filter_map(|choice| fits(value, choice, root).err()).collect();
        return if failures.len() < choices.len() { Ok(()) } else { Err(failures.join("; or ")) };
    }
    if let Some(constant) = schema.get("const").filter(|constant| *constant != value) {
        return Err(format!("{value} is not {constant}"));
    }
    let word = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let allows = |one: &Value| one == word || (word == "integer" && one == "number");
    match schema.get("type") {
        Some(Value::Array(types)) if !types.iter().any(allows) => {
            return Err(format!("{value} is none of {types:?}"));
        }
        Some(one @ Value::String(_)) if !allows(one) => return Err(format!("{value} is no {one}")),
        _ => {}
    }
    for (key, field) in value.as_object().into_iter().flatten() {
        let known = schema.get("properties").and_then(|known| known.get(key));
        match (known, schema.get("additionalProperties")) {
            (Some(known), _) => fits(field, known, root)?,
            (None, Some(Value::Bool(false))) => return Err(format!("the schema has no field {key}")),
            (None, Some(other)) => fits(field, other, root)?,
            (None, None) if schema.get("type").is_none() => {}
            (None, None) => return Err(format!("the schema has no field {key}")),
        }
    }
    for element in value.as_array().into_iter().flatten() {
        if let Some(items) = schema.get("items") {
            fits(element, items, root)?;
        }
    }
    Ok(())
}

fn yaml(file: &str) -> Value {
    let path = format!("{}/{file}", env!("CARGO_MANIFEST_DIR"));
    serde_saphyr::from_str(&std::fs::read_to_string(path).expect(file)).expect(file)
}

#[test]
fn the_schema_accepts_the_example_and_a_file_with_every_field() {
    let schema = synod::fleet::schema();
    for file in ["examples/audit.yaml", "tests/fleet/full.yaml"] {
        assert_eq!(fits(&yaml(file), &schema, &schema), Ok(()), "{file}");
    }
}

#[test]
fn the_schema_refuses_unknown_fields_and_wrong_types() {
    let schema = synod::fleet::schema();
    for file in ["tests/fleet/broken/unknown_field.yaml", "tests/fleet/broken/wrong_type.yaml"] {
        assert!(fits(&yaml(file), &schema, &schema).is_err(), "{file}");
    }
}

#[test]
fn every_field_has_a_description() {
    fn walk(schema: &Value, path: &str) {
        for (name, field) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
            assert!(field.get("description").is_some(), "{path}.{name} has no description");
        }
    }
    let schema = synod::fleet::schema();
    walk(&schema, "fleet");
    for (name, definition) in schema["$defs"].as_object().expect("definitions") {
        walk(definition, name);
    }
}

#[test]
fn the_committed_schema_is_the_one_of_the_code() {
    let current = format!("{}\n", serde_json::to_string_pretty(&synod::fleet::schema()).expect("JSON"));
    if std::env::var_os("SYNOD_WRITE_SNAPSHOTS").is_some() {
        std::fs::write(SNAPSHOT, &current).expect("the snapshot");
    }
    let committed = std::fs::read_to_string(SNAPSHOT).unwrap_or_default();
    assert!(
        committed == current,
        "docs/fleet.schema.json is old; write it with SYNOD_WRITE_SNAPSHOTS=1 cargo test -p synod --test fleet schema"
    );
}
