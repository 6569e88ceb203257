//! Attributes: what is said of an action, by name.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The most attributes of one question.
pub const ATTRIBUTES_MAX: usize = 64;

/// The longest name of an attribute, in bytes.
pub const ATTRIBUTE_NAME_BYTES_MAX: usize = 128;

/// The most bytes of all attributes of one question; those of a pending approval are held on every replica.
pub const ATTRIBUTES_BYTES_MAX: usize = 16 * 1024;

/// The most elements of a list; an expression may walk one inside of another.
pub const LIST_MAX: usize = 64;

/// The value of an attribute. A list holds no lists.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Value {
    /// A text.
    Text(Arc<str>),
    /// A whole number.
    Whole(i64),
    /// Any other number.
    Number(f64),
    /// Yes or no.
    Flag(bool),
    /// Several of them.
    List(Vec<Value>),
}

/// What is said of an action. A nested object of JSON is written with dots: `params.path`.
pub type Attributes = BTreeMap<Arc<str>, Value>;

impl Value {
    /// Returns how many bytes it takes, about.
    pub fn weight(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Whole(_) | Self::Number(_) => 8,
            Self::Flag(_) => 1,
            Self::List(list) => list.iter().map(Self::weight).sum(),
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Whole(number)
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Whole(number) => write!(f, "{number}"),
            Self::Number(number) => write!(f, "{number}"),
            Self::Flag(flag) => write!(f, "{flag}"),
            Self::List(list) => {
                for (place, one) in list.iter().enumerate() {
                    if place > 0 {
                        f.write_str(", ")?;
                    }
                    write!(f, "{one}")?;
                }
                Ok(())
            }
        }
    }
}

/// Checks that attributes are within their bounds.
///
/// # Errors
/// With what is wrong, for a person.
pub fn check(attributes: &Attributes) -> Result<(), String> {
    if attributes.len() > ATTRIBUTES_MAX {
        return Err(format!("there are {}; at most {ATTRIBUTES_MAX} are allowed", attributes.len()));
    }
    let mut bytes = 0;
    for (name, value) in attributes {
        if name.is_empty() || name.len() > ATTRIBUTE_NAME_BYTES_MAX {
            return Err(format!("the name {name:?} must have 1 to {ATTRIBUTE_NAME_BYTES_MAX} bytes"));
        }
        if let Value::List(list) = value {
            if list.len() > LIST_MAX {
                return Err(format!("{name} has {} elements; at most {LIST_MAX} are allowed", list.len()));
            }
            if list.iter().any(|one| matches!(one, Value::List(_))) {
                return Err(format!("{name} is a list of lists"));
            }
        }
        bytes += name.len() + value.weight();
    }
    if bytes > ATTRIBUTES_BYTES_MAX {
        return Err(format!("they have {bytes} bytes; at most {ATTRIBUTES_BYTES_MAX} are allowed"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_beyond_their_bounds_are_refused_with_the_bound() {
        let one = |value: Value| -> Attributes { [("a".into(), value)].into_iter().collect() };
        assert_eq!(check(&one("short".into())), Ok(()));
        assert!(check(&one("x".repeat(ATTRIBUTES_BYTES_MAX).as_str().into())).is_err());
        assert!(check(&one(Value::List(vec![Value::Flag(true); LIST_MAX + 1]))).is_err());
        assert!(check(&one(Value::List(vec![Value::List(Vec::new())]))).is_err());
        let many: Attributes = (0..65).map(|n| (format!("a{n}").as_str().into(), true.into())).collect();
        assert!(check(&many).unwrap_err().contains("64"));
    }
}
