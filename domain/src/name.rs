//! Names that people choose: workspaces, pools, kinds of task, capabilities, labels.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The longest name, in bytes. Names stand in keys and on every line of output.
pub const NAME_BYTES_MAX: usize = 128;

/// A checked name: 1 to 128 bytes of letters, digits and `. _ - / : @ +`, beginning with a letter or digit.
///
/// Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Name(Arc<str>);

/// Says why a text is not a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing was given.
    #[error("a name may not be empty")]
    Empty,
    /// Longer than [`NAME_BYTES_MAX`].
    #[error("the name is {0} bytes long; at most {NAME_BYTES_MAX} are allowed")]
    TooLong(usize),
    /// A character that names may not hold.
    #[error(
        "the name {name:?} holds {character:?}; use letters, digits and . _ - / : @ +, and begin with a letter or digit"
    )]
    Character {
        /// The text as given.
        name: String,
        /// The first character that is not allowed there.
        character: char,
    },
}

impl Name {
    /// Checks `text`.
    ///
    /// # Errors
    /// When it is empty, too long, or holds a character that names may not hold.
    pub fn new(text: &str) -> Result<Self, NameError> {
        if text.is_empty() {
            return Err(NameError::Empty);
        }
        if text.len() > NAME_BYTES_MAX {
            return Err(NameError::TooLong(text.len()));
        }
        let wrong = text.chars().enumerate().find(|(place, character)| {
            let inner = *place > 0 && "._-/:@+".contains(*character);
            !(character.is_ascii_alphanumeric() || inner)
        });
        match wrong {
            Some((_, character)) => Err(NameError::Character { name: text.to_owned(), character }),
            None => Ok(Self(text.into())),
        }
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Name {
    /// The workspace of those who named none.
    fn default() -> Self {
        Self("default".into())
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::new(text)
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::new(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_names_are_accepted_and_odd_ones_refused_with_the_character() {
        assert!(Name::new("rust/1.95:audit").is_ok());
        assert_eq!(Name::new(""), Err(NameError::Empty));
        assert_eq!(Name::new(&"a".repeat(129)), Err(NameError::TooLong(129)));
        assert!(matches!(Name::new("-x"), Err(NameError::Character { character: '-', .. })));
        assert!(matches!(Name::new("a b"), Err(NameError::Character { character: ' ', .. })));
    }
}
