//! A parsed file as values with their places, the same for all three formats.
//!
//! Types are decoded from it and checks find places in it, so that neither knows which format was read.

use std::ops::Range;

use serde_json::Number;

/// A value and where to point for it, as a range of bytes.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    pub(super) value: Value,
    pub(super) span: Range<usize>,
}

/// What stands there.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

/// A key of a map and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) text: String,
    pub(super) span: Range<usize>,
}

/// The way from the top of a file to one value.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Place(Vec<Step>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Key(String),
    Index(usize),
}

impl Place {
    /// Returns the place of a field at the top.
    pub(super) fn top(key: &str) -> Self {
        Self::default().key(key)
    }

    /// Returns the place of a field of this place.
    pub(super) fn key(&self, key: &str) -> Self {
        self.step(Step::Key(key.to_owned()))
    }

    /// Returns the place of an element of this place.
    pub(super) fn index(&self, index: usize) -> Self {
        self.step(Step::Index(index))
    }

    fn step(&self, step: Step) -> Self {
        let mut steps = self.0.clone();
        steps.push(step);
        Self(steps)
    }
}

impl Node {
    /// Returns where to point for `place`, or for the nearest thing above it that exists.
    pub(super) fn span_of(&self, place: &Place) -> Range<usize> {
        self.find(place, false)
    }

    /// Returns where the key of `place` stands.
    pub(super) fn key_span_of(&self, place: &Place) -> Range<usize> {
        self.find(place, true)
    }

    fn find(&self, place: &Place, key_wanted: bool) -> Range<usize> {
        let (mut node, mut key) = (self, None);
        for step in &place.0 {
            let next = match (step, &node.value) {
                (Step::Key(name), Value::Map(fields)) => fields
                    .iter()
                    .find(|(field, _)| field.text == *name)
                    .map(|(field, value)| (Some(&field.span), value)),
                (Step::Index(index), Value::List(elements)) => {
                    elements.get(*index).map(|value| (None, value))
                }
                _ => None,
            };
            match next {
                Some((found, value)) => (key, node) = (found, value),
                None => return node.span.clone(),
            }
        }
        key.filter(|_| key_wanted).unwrap_or(&node.span).clone()
    }

    /// Makes the places of containers and of missing values such that a person finds them: that of their
    /// key, or for an element of a list that of its first key. Parsers tell only where their text begins.
    pub(super) fn settled(mut self) -> Self {
        self.settle();
        self
    }

    fn settle(&mut self) {
        match &mut self.value {
            Value::Map(fields) => {
                for (key, node) in fields.iter_mut() {
                    node.settle();
                    if matches!(node.value, Value::Null | Value::List(_) | Value::Map(_)) {
                        node.span = key.span.clone();
                    }
                }
                if let Some((first, _)) = fields.first() {
                    self.span = first.span.clone();
                }
            }
            Value::List(elements) => elements.iter_mut().for_each(Self::settle),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_is_found_by_its_key_and_a_missing_place_by_what_is_above() {
        let scalar = Node { value: Value::Text("v".into()), span: 9..10 };
        let inner =
            Node { value: Value::Map(vec![(Key { text: "b".into(), span: 6..7 }, scalar)]), span: 6..6 };
        let top = Value::Map(vec![(Key { text: "a".into(), span: 0..1 }, inner)]);
        let tree = Node { value: top, span: 0..0 }.settled();
        assert_eq!(tree.span_of(&Place::top("a").key("b")), 9..10);
        assert_eq!(tree.key_span_of(&Place::top("a").key("b")), 6..7);
        assert_eq!(tree.span_of(&Place::top("a").key("none").index(3)), 0..1);
    }
}
