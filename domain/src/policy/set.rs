//! All policies together, ready to be asked.
//!
//! Rules stand in one list, in the order in which they are asked. Which of them may be about an action is found by
//! the action itself for rules that name one, and by what it begins with for patterns such as `tool.*`. For one question an attribute is looked up once, however many rules speak of it, and a test that
//! several rules make is made once. All tests stand in one list, in the order in which they are made; a rule that does
//! not match costs some comparisons and allocates nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use crate::policy::condition::Test;
use crate::policy::expression::Expression;
use crate::policy::glob;
use crate::policy::question::{LABEL, Question, Sight};
use crate::policy::spec::{ATTRIBUTES_NAMED_MAX, Defaults, Policy, PolicyError, RULES_MAX};
use crate::policy::verdict::Decision;

/// The action for which lists of agents are looked at.
pub const DISPATCH: &str = "task.dispatch";

/// The action of bringing agents.
pub const SPAWN: &str = "agent.spawn";

/// Policies that can be asked.
#[derive(Debug, Default)]
pub struct PolicySet {
    /// In the order in which they are asked.
    policies: Vec<Arc<Policy>>,
    /// Their rules, in the order in which they are asked.
    lines: Vec<Line>,
    /// The lines that name one action.
    exact: BTreeMap<Arc<str>, Vec<u32>>,
    /// The lines whose actions all begin with this.
    by_prefix: BTreeMap<Box<str>, Vec<u32>>,
    /// How long those beginnings are.
    prefix_lengths: BTreeSet<usize>,
    /// The tests of all lines, in the order of those.
    tests: Vec<Step>,
    /// How many tests are made by several lines.
    shared: u32,
    /// What tests speak of; they name it by its place.
    attributes: Vec<Arc<str>>,
    /// Expressions that were read, by their text.
    expressions: BTreeMap<Arc<str>, Arc<Expression>>,
    /// The labels that conditions and expressions speak of.
    labels: BTreeSet<Box<str>>,
    /// What holds where no line matches.
    defaults: Defaults,
}

/// A rule, or the lists of agents of a policy.
#[derive(Debug)]
struct Line {
    policy: u32,
    /// None for lists of agents.
    rule: Option<usize>,
    /// The pattern, where the index does not already say that it matches.
    pattern: Option<Arc<str>>,
    /// Where its tests stand among all.
    tests: Range<usize>,
    when: Option<Arc<Expression>>,
}

/// A test of an attribute.
#[derive(Debug)]
struct Step {
    attribute: u16,
    /// Where its outcome is kept for a question, if other lines make the same test.
    shared: Option<u32>,
    test: Test,
}

impl PolicySet {
    /// Makes a set of those policies that are enabled.
    ///
    /// Expressions that `before` has read are not read again.
    ///
    /// # Errors
    /// When there are too many rules or attributes, or an expression is not one.
    pub fn build<'p>(
        policies: impl IntoIterator<Item = &'p Arc<Policy>>,
        defaults: Defaults,
        before: &Self,
    ) -> Result<Self, PolicyError> {
        let refuse = |field: String, why: String| PolicyError { field, why };
        let mut set = Self { defaults, ..Self::default() };
        set.policies = policies.into_iter().filter(|policy| policy.spec.enabled).cloned().collect();
        set.policies.sort_by(|left, right| {
            let key = |policy: &Policy| (std::cmp::Reverse(policy.spec.priority), policy.spec.name.clone());
            key(left).cmp(&key(right))
        });
        let mut places: BTreeMap<Arc<str>, u16> = BTreeMap::new();
        // How often each test is made, and where its outcome is kept.
        let mut uses: BTreeMap<String, (u32, Option<u32>)> = BTreeMap::new();
        for (number, policy) in set.policies.clone().iter().enumerate() {
            let number = u32::try_from(number).unwrap_or(u32::MAX);
            if !policy.spec.agents.is_empty() {
                set.add(
                    DISPATCH,
                    Line { policy: number, rule: None, pattern: None, tests: 0..0, when: None },
                );
            }
            for (rule, written) in policy.spec.rules.iter().enumerate() {
                let start = set.tests.len();
                for condition in &written.conditions {
                    let attribute = set
                        .place_of(&condition.attribute, &mut places)
                        .map_err(|why| refuse(format!("rules[{rule}].conditions"), why))?;
                    let times = uses.entry(key_of(condition)).or_insert((0, None));
                    times.0 += 1;
                    set.tests.push(Step { attribute, shared: None, test: condition.test.clone() });
                }
                let tests = start..set.tests.len();
                let when = match &written.when {
                    Some(text) => Some(
                        set.read(text, before)
                            .map_err(|error| refuse(format!("rules[{rule}].when"), error.to_string()))?,
                    ),
                    None => None,
                };
                set.add(
                    &written.action,
                    Line {
                        policy: number,
                        rule: Some(rule),
                        pattern: glob::is_more_than_prefix(&written.action).then(|| written.action.clone()),
                        tests,
                        when,
                    },
                );
            }
        }
        let conditions =
            set.policies.iter().flat_map(|policy| &policy.spec.rules).flat_map(|rule| &rule.conditions);
        for (step, condition) in set.tests.iter_mut().zip(conditions) {
            if let Some((times, place)) = uses.get_mut(&key_of(condition))
                && *times > 1
            {
                step.shared = Some(*place.get_or_insert_with(|| {
                    set.shared += 1;
                    set.shared - 1
                }));
            }
        }
        let conditions = set.attributes.iter().map(|name| &**name);
        let expressions = set.expressions.values().flat_map(|expression| expression.names());
        let labels = conditions.chain(expressions).filter_map(|name| name.strip_prefix(LABEL));
        set.labels = labels.map(Into::into).collect();
        if set.lines.len() > RULES_MAX {
            let why = format!("all policies together have more than {RULES_MAX} rules");
            return Err(refuse("rules".to_owned(), why));
        }
        Ok(set)
    }

    /// Returns the place of an attribute, a new one if no test has spoken of it.
    fn place_of(
        &mut self,
        attribute: &Arc<str>,
        places: &mut BTreeMap<Arc<str>, u16>,
    ) -> Result<u16, String> {
        if let Some(place) = places.get(attribute) {
            return Ok(*place);
        }
        let place = places.len();
        if place >= ATTRIBUTES_NAMED_MAX {
            return Err(format!(
                "all policies together speak of more than {ATTRIBUTES_NAMED_MAX} attributes"
            ));
        }
        let place = u16::try_from(place).unwrap_or(u16::MAX);
        places.insert(attribute.clone(), place);
        self.attributes.push(attribute.clone());
        Ok(place)
    }

    fn read(
        &mut self,
        text: &Arc<str>,
        before: &Self,
    ) -> Result<Arc<Expression>, crate::policy::ExpressionError> {
        if let Some(known) = self.expressions.get(text).or_else(|| before.expressions.get(text)).cloned() {
            self.expressions.insert(text.clone(), known.clone());
            return Ok(known);
        }
        let read = Arc::new(Expression::compile(text)?);
        self.expressions.insert(text.clone(), read.clone());
        Ok(read)
    }

    fn add(&mut self, action: &str, line: Line) {
        let place = u32::try_from(self.lines.len()).unwrap_or(u32::MAX);
        if glob::is_pattern(action) {
            let prefix = glob::literal_prefix(action);
            self.prefix_lengths.insert(prefix.len());
            self.by_prefix.entry(prefix.into()).or_default().push(place);
        } else {
            self.exact.entry(action.into()).or_default().push(place);
        }
        self.lines.push(line);
    }

    /// Decides a question.
    pub fn decide<'s>(&'s self, question: &Question<'_>) -> Decision<'s> {
        let mut seen = Seen::new(question, self);
        let mut asked: Option<(u32, bool)> = None;
        for line in self.lines_about(question.action) {
            let policy = &self.policies[line.policy as usize];
            let covered = match asked {
                Some((known, covered)) if known == line.policy => covered,
                Some(_) | None => policy.spec.scope.covers(&question.context),
            };
            asked = Some((line.policy, covered));
            if covered && line.matches(policy, question, &mut seen) {
                return Decision { by: Some((policy, line.rule)), default: false };
            }
        }
        Decision { by: None, default: self.defaults.allow(question.action) }
    }

    /// Tells whether nothing can be said of an action but what the default says; then nothing needs to be asked.
    pub fn is_silent_about(&self, action: &str) -> bool {
        self.defaults.allow(action) && self.lists_about(action).next().is_none()
    }

    /// Walks the lines that may be about an action, in their order.
    fn lines_about(&self, action: &str) -> impl Iterator<Item = &Line> {
        let mut lists: Vec<&[u32]> = self.lists_about(action).collect();
        std::iter::from_fn(move || {
            let list = lists.iter_mut().filter(|list| !list.is_empty()).min_by_key(|list| list[0])?;
            let (first, rest) = list.split_first()?;
            *list = rest;
            Some(&self.lines[*first as usize])
        })
    }

    /// Walks the lists of lines that may be about an action; none of them is empty.
    fn lists_about(&self, action: &str) -> impl Iterator<Item = &[u32]> {
        let beginnings = self.prefix_lengths.iter().filter_map(move |length| action.get(..*length));
        let patterns = beginnings.filter_map(|beginning| self.by_prefix.get(beginning));
        self.exact.get(action).into_iter().chain(patterns).map(Vec::as_slice)
    }

    /// Returns the policies that are asked, in their order.
    pub fn policies(&self) -> &[Arc<Policy>] {
        &self.policies
    }

    /// Returns what holds where no rule matches.
    pub const fn defaults(&self) -> Defaults {
        self.defaults
    }

    /// Tells whether a rule may say something else for another value of a label.
    pub fn speaks_of_label(&self, label: &str) -> bool {
        self.labels.contains(label)
    }

    /// Returns all names that conditions speak of.
    pub fn attributes(&self) -> BTreeSet<&str> {
        self.attributes.iter().map(|name| &**name).collect()
    }
}

impl Line {
    fn matches<'q>(&self, policy: &Policy, question: &Question<'q>, seen: &mut Seen<'_, 'q>) -> bool {
        let Some(_) = self.rule else { return !policy.spec.agents.admit(&question.context) };
        self.pattern.as_ref().is_none_or(|pattern| glob::matches(pattern, question.action))
            && self.tests.clone().all(|step| seen.meets(step))
            && self.when.as_ref().is_none_or(|when| when.holds(question))
    }
}

/// Returns what two conditions have in common when they are the same.
fn key_of(condition: &crate::policy::Condition) -> String {
    format!("{condition:?}")
}

/// What was looked up and tested for a question already.
struct Seen<'s, 'q> {
    question: Question<'q>,
    set: &'s PolicySet,
    found: Vec<Found<'q>>,
    /// Outcomes of shared tests.
    outcomes: Vec<Option<bool>>,
}

#[derive(Clone, Copy)]
enum Found<'q> {
    NotYet,
    Nothing,
    This(Sight<'q>),
}

impl<'s, 'q> Seen<'s, 'q> {
    fn new(question: &Question<'q>, set: &'s PolicySet) -> Self {
        Self {
            question: *question,
            set,
            found: vec![Found::NotYet; set.attributes.len()],
            outcomes: vec![None; set.shared as usize],
        }
    }

    /// Makes a test, unless it was made already.
    fn meets(&mut self, step: usize) -> bool {
        let step = &self.set.tests[step];
        let kept = step.shared.map(|place| place as usize);
        if let Some(outcome) = kept.and_then(|place| self.outcomes[place]) {
            return outcome;
        }
        let outcome = self.get(step.attribute).is_some_and(|sight| step.test.holds(sight));
        if let Some(place) = kept {
            self.outcomes[place] = Some(outcome);
        }
        outcome
    }

    fn get(&mut self, place: u16) -> Option<Sight<'q>> {
        let place = usize::from(place);
        if let Found::NotYet = self.found[place] {
            let name = &self.set.attributes[place];
            self.found[place] = self.question.get(name).map_or(Found::Nothing, Found::This);
        }
        match self.found[place] {
            Found::This(sight) => Some(sight),
            Found::Nothing | Found::NotYet => None,
        }
    }
}
