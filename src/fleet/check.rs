//! Checks what the shape of a fleet file cannot say, and collects everything that is wrong.
//!
//! All problems are told at once, in the order of the file: who repairs one wants to know of the others.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use synod_domain::capability::{CAPABILITIES_MAX, Capability};

use super::error::Error;
use super::file::{FleetShape, Period};
use super::source::{Fault, Source};
use super::template::{self, Item, Scope};
use super::tree::{Node, Place};

/// The most entries of a fleet file. Ordering them costs up to the square of their number; more work of
/// one kind is one entry with `for_each`.
const ENTRIES_MAX: usize = 10_000;

/// The most problems told at once. The first ones are the ones that are repaired first.
const PROBLEMS_MAX: usize = 20;

/// A fleet file under examination, and what was found.
pub(super) struct Check<'a> {
    pub(super) source: &'a Source,
    pub(super) tree: &'a Node,
    pub(super) shape: &'a FleetShape,
    /// The inputs; their values do not matter for a check.
    inputs: BTreeMap<String, Value>,
    found: Vec<(usize, super::error::Problem)>,
}

/// Checks a decoded file.
///
/// # Errors
/// All problems that were found.
pub(super) fn check(source: &Source, tree: &Node, shape: &FleetShape) -> Result<(), Error> {
    let inputs = shape.inputs.keys().map(|name| (name.clone(), Value::Null)).collect();
    let mut check = Check { source, tree, shape, inputs, found: Vec::new() };
    check.inputs();
    check.pools();
    check.tasks();
    check.governing();
    check.telling();
    check.simulation();
    let mut found = check.found;
    if found.is_empty() {
        return Ok(());
    }
    found.sort_by_key(|(offset, _)| *offset);
    found.truncate(PROBLEMS_MAX);
    Err(source.error(found.into_iter().map(|(_, problem)| problem).collect()))
}

impl Check<'_> {
    /// Notes a problem at a value.
    pub(super) fn fault(&mut self, place: &Place, fault: Fault) {
        let span = self.tree.span_of(place);
        self.found.push((span.start, self.source.problem(span, fault)));
    }

    /// Notes a problem at the key of a value.
    pub(super) fn key_fault(&mut self, place: &Place, fault: Fault) {
        let span = self.tree.key_span_of(place);
        self.found.push((span.start, self.source.problem(span, fault)));
    }

    fn inputs(&mut self) {
        for name in self.shape.inputs.keys() {
            let fits = |character: char| character.is_ascii_alphanumeric() || "_-".contains(character);
            if name.is_empty() || !name.chars().all(fits) {
                let fault = Fault::new(format!("{name:?} is no name for an input"))
                    .help("use letters, digits, _ and -, so that {{inputs.NAME}} can be read");
                self.key_fault(&Place::top("inputs").key(name), fault);
            }
        }
    }

    fn pools(&mut self) {
        for (name, pool) in &self.shape.pools {
            let place = Place::top("pools").key(name.as_str());
            self.pool(&place, pool);
            self.tending(name, &place, pool);
        }
    }

    fn tasks(&mut self) {
        let (tasks, place) = (&self.shape.tasks, Place::top("tasks"));
        if tasks.is_empty() {
            let fault = Fault::new("there is nothing to do: `tasks` is empty");
            self.fault(&place, fault.help("add an entry with a name and a pool"));
        }
        if tasks.len() > ENTRIES_MAX {
            let fault =
                Fault::new(format!("there are {} entries; at most {ENTRIES_MAX} are allowed", tasks.len()));
            self.fault(
                &place,
                fault.help("make one entry of those of one kind, with `for_each: {list: [..]}`"),
            );
            return;
        }
        for (index, task) in tasks.iter().enumerate() {
            self.task(&place.index(index), task);
        }
        self.names_and_order(&place);
    }

    /// Checks the templates in a text that must stay one.
    pub(super) fn text(&mut self, place: &Place, text: &str, item: Item<'_>) {
        let scope = Scope { inputs: &self.inputs, dir: "/", item };
        if let Err(fault) = template::render(text, scope) {
            self.fault(place, fault);
        }
    }

    /// Checks the templates in all texts of a value.
    pub(super) fn value(&mut self, place: &Place, value: &Value, item: Item<'_>) {
        match value {
            Value::String(text) => self.text(place, text, item),
            Value::Array(elements) => {
                for (index, element) in elements.iter().enumerate() {
                    self.value(&place.index(index), element, item);
                }
            }
            Value::Object(fields) => {
                for (key, value) in fields {
                    self.value(&place.key(key), value, item);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    /// Checks that a length of time is not zero.
    pub(super) fn positive(&mut self, place: &Place, field: &str, period: Option<Period>) {
        if period.is_some_and(|Period(length)| length == Duration::ZERO) {
            let fault = Fault::new(format!("`{field}` is zero, so no task could ever end well"));
            self.fault(
                &place.key(field),
                fault.help("give a longer time, or leave the field out for no limit"),
            );
        }
    }

    /// Checks that a number lies between two bounds.
    pub(super) fn between(&mut self, place: &Place, field: &str, number: Option<u32>, least: u32, most: u32) {
        if let Some(number) = number.filter(|number| !(least..=most).contains(number)) {
            let fault = Fault::new(format!("`{field}` is {number}; it must be from {least} to {most}"));
            self.fault(&place.key(field), fault.help(format!("write a number from {least} to {most}")));
        }
    }

    /// Checks that capabilities are not too many and that each stands once.
    pub(super) fn capabilities(&mut self, place: &Place, capabilities: &[Capability]) {
        if capabilities.len() > CAPABILITIES_MAX {
            let count = capabilities.len();
            let fault =
                Fault::new(format!("there are {count} capabilities; at most {CAPABILITIES_MAX} are allowed"));
            self.fault(place, fault.help("leave out those that no task asks for"));
        }
        for (index, capability) in capabilities.iter().enumerate() {
            if capabilities[..index].iter().any(|one| one.name == capability.name) {
                let fault = Fault::new(format!(
                    "the capability `{}` stands here for the second time",
                    capability.name
                ));
                self.fault(
                    &place.index(index),
                    fault.help("keep one of the two; a capability has one version"),
                );
            }
        }
    }
}
