//! Conditions: what an attribute must be for a rule to match.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::policy::glob;
use crate::policy::question::Sight;
use crate::policy::value::{ATTRIBUTE_NAME_BYTES_MAX, LIST_MAX, Value};

/// How deep tests may be nested in others.
const DEPTH_MAX: usize = 4;

/// What one attribute must be. A question without the attribute does not meet it, whatever the test.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Condition {
    /// Which attribute.
    pub attribute: Arc<str>,
    /// What it must be.
    pub test: Test,
}

/// A test of one value. A list meets a test if one of its elements does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Test {
    /// It is this.
    Equals(Value),
    /// It is a text that matches this pattern.
    Like(Arc<str>),
    /// It is a number that stands so to this one.
    Compare(Comparison, Value),
    /// It meets one of these.
    Any(Vec<Test>),
    /// It does not meet this. Of a list none of the elements may.
    Not(Box<Test>),
}

/// How two numbers stand to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Comparison {
    /// Less.
    Below,
    /// Less or equal.
    AtMost,
    /// Greater or equal.
    AtLeast,
    /// Greater.
    Above,
}

impl Test {
    /// Tells whether a value meets the test.
    pub(super) fn holds(&self, sight: Sight<'_>) -> bool {
        if let Self::Not(inner) = self {
            return !inner.holds(sight);
        }
        if let Self::Any(tests) = self {
            return tests.iter().any(|one| one.holds(sight));
        }
        match sight {
            Sight::List(list) => list.iter().any(|one| self.holds_for_one(Sight::of(one))),
            Sight::Capabilities(capabilities) => {
                capabilities.names().any(|name| self.holds_for_one(Sight::Text(name.as_str())))
            }
            Sight::Text(_) | Sight::Whole(_) | Sight::Number(_) | Sight::Flag(_) => self.holds_for_one(sight),
        }
    }

    fn holds_for_one(&self, sight: Sight<'_>) -> bool {
        match (self, sight) {
            (Self::Equals(Value::Text(wanted)), Sight::Text(text)) => **wanted == *text,
            (Self::Equals(Value::Flag(wanted)), Sight::Flag(flag)) => *wanted == flag,
            (Self::Equals(wanted), sight) => ordering(sight, wanted).is_some_and(std::cmp::Ordering::is_eq),
            (Self::Like(pattern), Sight::Text(text)) => glob::matches(pattern, text),
            (Self::Compare(how, with), sight) => ordering(sight, with).is_some_and(|found| how.admits(found)),
            (Self::Like(_) | Self::Any(_) | Self::Not(_), _) => false,
        }
    }

    fn check(&self, depth: usize) -> Result<(), String> {
        if depth > DEPTH_MAX {
            return Err(format!("it is nested deeper than {DEPTH_MAX}"));
        }
        match self {
            Self::Equals(Value::List(_)) => Err("it compares with a list; name the values apart".to_owned()),
            Self::Equals(Value::Text(text)) if text.len() > super::value::ATTRIBUTES_BYTES_MAX => {
                Err("it is longer than any attribute".to_owned())
            }
            Self::Equals(_) => Ok(()),
            Self::Like(pattern) if pattern.len() > glob::PATTERN_BYTES_MAX => {
                Err(format!("the pattern is longer than {} bytes", glob::PATTERN_BYTES_MAX))
            }
            Self::Like(_) => Ok(()),
            Self::Compare(_, Value::Whole(_) | Value::Number(_)) => Ok(()),
            Self::Compare(..) => Err("only numbers are compared".to_owned()),
            Self::Any(tests) if tests.is_empty() || tests.len() > LIST_MAX => {
                Err(format!("it must name 1 to {LIST_MAX} values"))
            }
            Self::Any(tests) => tests.iter().try_for_each(|one| one.check(depth + 1)),
            Self::Not(inner) => inner.check(depth + 1),
        }
    }
}

impl Comparison {
    fn admits(self, found: std::cmp::Ordering) -> bool {
        match self {
            Self::Below => found.is_lt(),
            Self::AtMost => found.is_le(),
            Self::AtLeast => found.is_ge(),
            Self::Above => found.is_gt(),
        }
    }

    /// Returns the word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Below => "below",
            Self::AtMost => "at_most",
            Self::AtLeast => "at_least",
            Self::Above => "above",
        }
    }
}

impl Condition {
    /// Checks that the condition is within its bounds.
    ///
    /// # Errors
    /// With what is wrong, for a person.
    pub fn check(&self) -> Result<(), String> {
        if self.attribute.is_empty() || self.attribute.len() > ATTRIBUTE_NAME_BYTES_MAX {
            return Err(format!("the name of an attribute has 1 to {ATTRIBUTE_NAME_BYTES_MAX} bytes"));
        }
        self.test.check(1).map_err(|why| format!("the condition on {}: {why}", self.attribute))
    }
}

/// Says how a number stands to another one; nothing of anything else, and of what is not a number.
fn ordering(sight: Sight<'_>, with: &Value) -> Option<std::cmp::Ordering> {
    #[expect(clippy::cast_precision_loss, reason = "beside a fraction a whole number is one")]
    match (sight, with) {
        (Sight::Whole(left), Value::Whole(right)) => Some(left.cmp(right)),
        (Sight::Whole(left), Value::Number(right)) => (left as f64).partial_cmp(right),
        (Sight::Number(left), Value::Whole(right)) => left.partial_cmp(&(*right as f64)),
        (Sight::Number(left), Value::Number(right)) => left.partial_cmp(right),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Value {
        text.into()
    }

    fn holds(test: &Test, value: &Value) -> bool {
        test.holds(Sight::of(value))
    }

    #[test]
    fn equality_is_of_texts_flags_and_numbers_of_either_kind() {
        assert!(holds(&Test::Equals(text("python")), &text("python")));
        assert!(!holds(&Test::Equals(text("python")), &text("Python")));
        assert!(holds(&Test::Equals(true.into()), &true.into()));
        assert!(holds(&Test::Equals(3.into()), &Value::Number(3.0)));
        assert!(!holds(&Test::Equals(text("3")), &3.into()));
    }

    #[test]
    fn numbers_are_compared_and_texts_never_are() {
        let above = |bound: i64| Test::Compare(Comparison::Above, bound.into());
        assert!(holds(&above(10), &11.into()) && !holds(&above(10), &10.into()));
        assert!(holds(&above(10), &Value::Number(10.5)));
        assert!(!holds(&above(10), &text("11")) && !holds(&above(10), &Value::Number(f64::NAN)));
        assert!(holds(&Test::Compare(Comparison::AtMost, 10.into()), &10.into()));
    }

    #[test]
    fn one_element_of_a_list_is_enough_and_not_means_none() {
        let list = Value::List(vec![text("/tmp/a"), text("/etc/passwd")]);
        let etc = Test::Like("/etc/*".into());
        assert!(holds(&etc, &list));
        assert!(!holds(&Test::Not(Box::new(etc.clone())), &list));
        assert!(holds(&Test::Not(Box::new(etc)), &text("/tmp/a")));
    }

    #[test]
    fn a_list_of_values_is_met_by_any_of_them() {
        let any = Test::Any(vec![Test::Equals(text("sh")), Test::Like("py*".into())]);
        assert!(holds(&any, &text("python")) && holds(&any, &text("sh")) && !holds(&any, &text("ruby")));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let check = |test: Test| Condition { attribute: "a".into(), test }.check();
        assert!(check(Test::Compare(Comparison::Below, text("10"))).is_err());
        assert!(check(Test::Any(Vec::new())).is_err());
        assert!(check(Test::Like("*".repeat(257).as_str().into())).is_err());
        let nested = (0..5).fold(Test::Equals(1.into()), |inner, _| Test::Not(Box::new(inner)));
        assert!(check(nested).is_err());
    }
}
