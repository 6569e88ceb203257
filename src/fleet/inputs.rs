//! The inputs of one run: what the command line gives, and what the fleet file declares.

use std::collections::BTreeMap;

use serde_json::Value;

use super::error::Error;
use super::file::Input;
use super::suggest;

/// Inputs given for one run, by name, as texts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inputs(BTreeMap<String, String>);

impl Inputs {
    /// Reads arguments of the form `KEY=VALUE`.
    ///
    /// # Errors
    /// [`Error::InputForm`] when one has another form or a key stands twice.
    pub fn from_arguments<S: AsRef<str>>(arguments: impl IntoIterator<Item = S>) -> Result<Self, Error> {
        let mut inputs = BTreeMap::new();
        for argument in arguments {
            let given = argument.as_ref();
            let refused = |why| Error::InputForm { given: given.to_owned(), why };
            let (key, value) = given.split_once('=').ok_or_else(|| refused("has no `=`"))?;
            if key.trim().is_empty() {
                return Err(refused("has no name before the `=`"));
            }
            if inputs.insert(key.trim().to_owned(), value.to_owned()).is_some() {
                return Err(refused("is given twice"));
            }
        }
        Ok(Self(inputs))
    }

    /// Merges what was given with what is declared: each declared input gets its value.
    pub(super) fn resolve(
        &self,
        file: &str,
        declared: &BTreeMap<String, Input>,
    ) -> Result<BTreeMap<String, Value>, Error> {
        for name in self.0.keys() {
            if !declared.contains_key(name) {
                let known = declared.keys().map(String::as_str);
                let help = suggest::help(name, "inputs of this file", known);
                return Err(Error::UnknownInput { file: file.to_owned(), name: name.clone(), help });
            }
        }
        let mut values = BTreeMap::new();
        for (name, input) in declared {
            let value = match (self.0.get(name), &input.default) {
                (Some(given), default) => typed(file, name, given, default.as_ref())?,
                (None, Some(default)) => default.clone(),
                (None, None) => {
                    let description =
                        input.description.as_ref().map_or(String::new(), |text| format!(": {text}"));
                    return Err(Error::MissingInput {
                        file: file.to_owned(),
                        name: name.clone(),
                        description,
                    });
                }
            };
            values.insert(name.clone(), value);
        }
        Ok(values)
    }
}

/// Reads a given text as a value of the same type as the default; without one it stays a text.
fn typed(file: &str, name: &str, given: &str, default: Option<&Value>) -> Result<Value, Error> {
    let expected = match default {
        None | Some(Value::String(_) | Value::Null) => return Ok(Value::String(given.to_owned())),
        Some(Value::Number(_)) => "a number",
        Some(Value::Bool(_)) => "true or false",
        Some(Value::Array(_)) => "a list, as JSON",
        Some(Value::Object(_)) => "a map, as JSON",
    };
    let same_type = |value: &Value| {
        default.is_some_and(|default| std::mem::discriminant(default) == std::mem::discriminant(value))
    };
    serde_json::from_str(given).ok().filter(same_type).ok_or_else(|| Error::InputType {
        file: file.to_owned(),
        name: name.to_owned(),
        expected,
        given: given.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn resolved(given: &[&str]) -> Result<BTreeMap<String, Value>, Error> {
        let with_default = |value| Input { default: Some(value), description: None };
        let declared = BTreeMap::from([
            ("root".to_owned(), with_default(json!(".."))),
            ("depth".to_owned(), with_default(json!(3))),
        ]);
        Inputs::from_arguments(given)?.resolve("f.yaml", &declared)
    }

    #[test]
    fn a_given_input_takes_the_type_of_its_default() {
        let values = resolved(&["root=3=4", "depth=7"]).unwrap();
        assert_eq!(values, BTreeMap::from([("depth".into(), json!(7)), ("root".into(), json!("3=4"))]));
        assert!(matches!(resolved(&["depth=deep"]), Err(Error::InputType { expected: "a number", .. })));
    }

    #[test]
    fn an_unknown_input_names_the_known_ones() {
        let Err(Error::UnknownInput { help, .. }) = resolved(&["rot=x"]) else { panic!("accepted") };
        assert_eq!(help, "did you mean `root`? inputs of this file: depth, root");
    }

    #[test]
    fn an_input_without_a_key_or_given_twice_is_refused() {
        for given in [&["root"][..], &["=x"], &["root=a", "root=b"]] {
            assert!(matches!(resolved(given), Err(Error::InputForm { .. })), "{given:?}");
        }
    }
}
