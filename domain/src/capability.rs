//! What an agent can do, and what a task asks for.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::name::{Name, NameError};

/// The most capabilities one agent may offer or one task may ask for; matching walks them all.
pub const CAPABILITIES_MAX: usize = 64;

/// One thing an agent can do: a name and, where it matters, a version. Text form: `name` or `name@version`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Capability {
    /// What can be done.
    pub name: Name,
    /// In which version; `None` on a task means any, `None` on an agent satisfies only tasks that name none.
    pub version: Option<Name>,
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.version {
            Some(version) => write!(f, "{}@{version}", self.name),
            None => write!(f, "{}", self.name),
        }
    }
}

impl FromStr for Capability {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        match text.split_once('@') {
            Some((name, version)) => Ok(Self { name: Name::new(name)?, version: Some(Name::new(version)?) }),
            None => Ok(Self { name: Name::new(text)?, version: None }),
        }
    }
}

impl Serialize for Capability {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Capability {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// A set of capabilities, in order of name; one version a name.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "Vec<Capability>", into = "Vec<Capability>")]
pub struct Capabilities(BTreeMap<Name, Option<Name>>);

impl Capabilities {
    /// Tells whether this set, offered by an agent, satisfies everything that `demand` asks for.
    pub fn satisfy(&self, demand: &Self) -> bool {
        demand.0.iter().all(|(name, wanted)| match (self.0.get(name), wanted) {
            (None, _) => false,
            (Some(_), None) => true,
            (Some(offered), Some(_)) => offered == wanted,
        })
    }

    /// Returns how many capabilities the set holds.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Tells whether the set is empty.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Walks the set in order of name.
    pub fn iter(&self) -> impl Iterator<Item = Capability> + '_ {
        self.0.iter().map(|(name, version)| Capability { name: name.clone(), version: version.clone() })
    }

    /// Walks the names in order, whatever their versions.
    pub fn names(&self) -> impl Iterator<Item = &Name> + '_ {
        self.0.keys()
    }
}

impl FromIterator<Capability> for Capabilities {
    fn from_iter<I: IntoIterator<Item = Capability>>(capabilities: I) -> Self {
        Self(capabilities.into_iter().map(|one| (one.name, one.version)).collect())
    }
}

impl From<Vec<Capability>> for Capabilities {
    fn from(capabilities: Vec<Capability>) -> Self {
        capabilities.into_iter().collect()
    }
}

impl From<Capabilities> for Vec<Capability> {
    fn from(set: Capabilities) -> Self {
        set.iter().collect()
    }
}

impl fmt::Display for Capabilities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, capability) in self.iter().enumerate() {
            if place > 0 {
                f.write_str(", ")?;
            }
            write!(f, "{capability}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(texts: &[&str]) -> Capabilities {
        texts.iter().map(|text| text.parse::<Capability>().expect("a capability")).collect()
    }

    #[test]
    fn a_demand_without_version_is_met_by_any_version() {
        assert!(set(&["rust@1.95", "python"]).satisfy(&set(&["rust"])));
        assert!(set(&["rust@1.95"]).satisfy(&set(&["rust@1.95"])));
    }

    #[test]
    fn a_missing_capability_or_another_version_does_not_satisfy() {
        assert!(!set(&["rust"]).satisfy(&set(&["rust@1.95"])));
        assert!(!set(&["rust@1.80"]).satisfy(&set(&["rust@1.95"])));
        assert!(!set(&[]).satisfy(&set(&["rust"])));
        assert!(set(&[]).satisfy(&set(&[])));
    }
}
