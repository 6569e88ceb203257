//! Checks one entry of the work, and how entries wait for each other.

use std::collections::BTreeMap;

use serde_json::Value;
use synod_domain::capability::{Capabilities, Capability};
use synod_domain::name::Name;
use synod_domain::retry::ATTEMPTS_MAX;

use super::check::Check;
use super::file::{ForEach, Retry, TaskShape};
use super::graph;
use super::source::Fault;
use super::suggest;
use super::template::Item;
use super::tree::Place;
use super::{lines, walk};

impl Check<'_> {
    pub(super) fn task(&mut self, place: &Place, task: &TaskShape) {
        self.target(place, task);
        for (field, period) in [
            ("deadline", task.deadline),
            ("timeout", task.timeout),
            ("waiting_timeout", task.waiting_timeout),
            ("heartbeat", task.heartbeat),
        ] {
            self.positive(place, field, period);
        }
        if let Some(retry) = &task.retry {
            self.retry(&place.key("retry"), retry);
        }
        if let Some(for_each) = &task.for_each {
            self.for_each(&place.key("for_each"), for_each);
        }
        self.terms(place, task);
        self.hook(place, task);
        let item = if task.for_each.is_some() { Item::Later } else { Item::None };
        for (name, value) in &task.labels {
            self.text(&place.key("labels").key(name.as_str()), value, item);
        }
        if let Some(payload) = &task.payload {
            self.value(&place.key("payload"), payload, item);
            // A text may be a template that becomes a map; that is seen when it is rendered.
            if !task.after.is_empty() && !payload.is_string() {
                self.room_for_results(&place.key("payload"), payload);
            }
        }
    }

    fn room_for_results(&mut self, place: &Place, payload: &Value) {
        if let Some(fault) = results_fault(payload) {
            self.key_fault(place, fault);
        }
    }

    fn target(&mut self, place: &Place, task: &TaskShape) {
        let name = &task.name;
        match (&task.pool, &task.capabilities) {
            (None, None) => {
                let fault = Fault::new(format!("the task `{name}` does not say who does it"));
                self.fault(place, fault.help("add `pool: NAME` or `capabilities: [NAME, ..]`"));
            }
            (Some(_), Some(_)) => {
                let fault = Fault::new(format!("the task `{name}` has both `pool` and `capabilities`"));
                self.key_fault(&place.key("capabilities"), fault.help("keep one of the two"));
            }
            (Some(pool), None) => {
                if !self.shape.pools.contains_key(pool) {
                    let known = self.shape.pools.keys().map(Name::as_str);
                    let help = suggest::help(pool.as_str(), "pools of this file", known);
                    self.fault(
                        &place.key("pool"),
                        Fault::new(format!("there is no pool `{pool}`")).help(help),
                    );
                }
            }
            (None, Some(capabilities)) => self.demand(&place.key("capabilities"), capabilities),
        }
    }

    fn demand(&mut self, place: &Place, demand: &[Capability]) {
        if demand.is_empty() {
            let fault = Fault::new("`capabilities` is empty");
            self.fault(place, fault.help("name at least one capability, or a `pool` instead"));
            return;
        }
        self.capabilities(place, demand);
        let wanted: Capabilities = demand.iter().cloned().collect();
        let offers: Vec<(&str, Capabilities)> = self
            .shape
            .pools
            .iter()
            .map(|(name, pool)| (name.as_str(), pool.capabilities.iter().cloned().collect()))
            .collect();
        if !offers.iter().any(|(_, offered)| offered.satisfy(&wanted)) {
            let listed: Vec<String> =
                offers.iter().map(|(name, offered)| format!("{name}: [{offered}]")).collect();
            let fault = Fault::new(format!("no pool offers the capabilities [{wanted}] together"));
            let help =
                format!("add them to `capabilities` of a pool; what pools offer: {}", listed.join("; "));
            self.fault(place, fault.help(help));
        }
    }

    fn retry(&mut self, place: &Place, retry: &Retry) {
        self.between(place, "max_attempts", retry.max_attempts, 1, ATTEMPTS_MAX);
        self.ordered(place, retry.initial, retry.max);
        if let Some(factor) = retry.factor.filter(|factor| !(1.0..=100.0).contains(factor)) {
            let fault = Fault::new(format!("`factor` is {factor}; it must be from 1 to 100"));
            self.fault(&place.key("factor"), fault.help("2 doubles the wait after each failure, 1 keeps it"));
        }
    }

    fn for_each(&mut self, place: &Place, for_each: &ForEach) {
        let ForEach { glob, lines_of, list, allow_empty } = for_each;
        let given =
            usize::from(glob.is_some()) + usize::from(lines_of.is_some()) + usize::from(list.is_some());
        if given != 1 {
            let fault =
                Fault::new(format!("`for_each` needs one of `glob`, `lines_of` and `list`, and has {given}"));
            self.fault(place, fault.help("make an entry of its own for each source of items"));
        }
        if let Some(glob) = glob {
            let at = place.key("glob");
            // The short form is the pattern itself.
            self.pattern(&at.key("pattern"), &glob.pattern);
            for (index, exclude) in glob.exclude.iter().enumerate() {
                self.pattern(&at.key("exclude").index(index), exclude);
            }
            if let Some(root) = &glob.root {
                self.text(&at.key("root"), root, Item::None);
            }
        }
        if let Some(lines) = lines_of {
            let at = place.key("lines_of");
            self.text(&at.key("file"), &lines.file, Item::None);
            if let Some(Err(fault)) = lines.pattern.as_deref().map(lines::regex) {
                self.fault(&at.key("pattern"), fault);
            }
        }
        if let Some(list) = list {
            for (index, value) in list.iter().enumerate() {
                self.value(&place.key("list").index(index), value, Item::None);
            }
            if list.is_empty() && !allow_empty {
                let fault = Fault::new("`list` is empty, so there is nothing to do");
                self.fault(&place.key("list"), fault.help("add items, or `allow_empty: true` beside `list`"));
            }
        }
    }

    /// Checks a pattern for files; one with templates only when they are rendered.
    fn pattern(&mut self, place: &Place, pattern: &str) {
        self.text(place, pattern, Item::None);
        if !pattern.contains("{{")
            && let Err(fault) = walk::glob(pattern)
        {
            self.fault(place, fault);
        }
    }

    /// Checks that names are unique and that `after` names entries and has no cycle.
    pub(super) fn names_and_order(&mut self, place: &Place) {
        let tasks = &self.shape.tasks;
        let mut indices = BTreeMap::new();
        for (index, task) in tasks.iter().enumerate() {
            if indices.insert(task.name.as_str(), index).is_some() {
                let fault = Fault::new(format!("there are two tasks with the name `{}`", task.name));
                self.fault(&place.index(index).key("name"), fault.help("give each task a name of its own"));
            }
        }
        let mut after = vec![Vec::new(); tasks.len()];
        for (index, task) in tasks.iter().enumerate() {
            for (number, name) in task.after.iter().enumerate() {
                let at = place.index(index).key("after").index(number);
                match indices.get(name.as_str()) {
                    Some(_) if task.after[..number].contains(name) => {
                        let fault = Fault::new(format!("`after` names `{name}` twice"));
                        self.fault(&at, fault.help("remove one of the two"));
                    }
                    Some(awaited) => after[index].push(*awaited),
                    None => {
                        let help = suggest::help(name, "tasks of this file", indices.keys().copied());
                        self.fault(
                            &at,
                            Fault::new(format!("there is no task `{name}` to come after")).help(help),
                        );
                    }
                }
            }
        }
        if let Err(cycle) = graph::order(&after) {
            let names: Vec<&str> =
                cycle.iter().chain(cycle.first()).map(|index| tasks[*index].name.as_str()).collect();
            let fault = Fault::new(format!("these tasks wait for each other: {}", names.join(" after ")))
                .help("remove one of these names from an `after`");
            let first = cycle.first().copied().unwrap_or(0);
            self.key_fault(&place.index(first).key("after"), fault);
        }
    }
}

/// Tells why a payload cannot take the results of earlier entries, if it cannot.
pub(super) fn results_fault(payload: &Value) -> Option<Fault> {
    match payload {
        Value::Object(fields) if fields.contains_key("after") => Some(
            Fault::new("the payload has a field `after`, where the results of the earlier tasks come")
                .help("give the field another name"),
        ),
        Value::Object(_) => None,
        _ => Some(
            Fault::new("with `after` the payload must be a map, because the results are added to it")
                .help("put the value into a field, as in `payload: {value: ..}`"),
        ),
    }
}
