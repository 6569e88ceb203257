//! Requests that no further try healed: no judge of right and wrong either, but of whom a client must tell that it
//! failed.
//!
//! Source: reliability plan T35, "without a failed request that the client's retry did not heal". Counted is what
//! clients say again until it is answered: submits under a key, claims, completions, failures and cancels. A
//! heartbeat, a read and a submit without a key are said once, and stay out.

use std::collections::BTreeMap;

use crate::client::is_passing;
use crate::history::{Answer, Record, Request, calls};

/// What became of the requests on which clients insist.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Insisted {
    /// How many of each kind there were.
    pub asked: BTreeMap<&'static str, usize>,
    /// Those whose last try has no answer, or a refusal that is none of the request itself.
    pub open: Vec<Open>,
}

/// A request that stayed open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Open {
    /// The place of its last try in the history.
    pub record: usize,
    /// How often it was tried.
    pub tries: usize,
    /// What was asked and what the last try was answered.
    pub what: String,
}

impl Insisted {
    /// Goes through a history.
    pub fn of(history: &[Record]) -> Self {
        let mut of: BTreeMap<String, (usize, Option<Open>)> = BTreeMap::new();
        let mut insisted = Self::default();
        for call in calls(history) {
            let Some((kind, request)) = name(call.request) else { continue };
            let (tries, last) = of.entry(request.clone()).or_insert_with(|| {
                *insisted.asked.entry(kind).or_default() += 1;
                (0, None)
            });
            *tries += 1;
            let open = match (call.request, call.answer) {
                (_, None) => Some("no answer".to_owned()),
                // What is said about a task may be refused for good; to take one or to give one out may not.
                (Request::Submit { .. } | Request::Claim { .. }, Some(Answer::Refused { code })) => {
                    Some(code.clone())
                }
                (_, Some(Answer::Refused { code })) if is_passing(code) => Some(code.clone()),
                (_, Some(_)) => None,
            };
            let open = open.map(|last| (format!("{request}: {last}"), *tries));
            *last = open.map(|(what, tries)| Open { record: call.record, tries, what });
        }
        insisted.open = of.into_values().filter_map(|(_, open)| open).collect();
        insisted
    }
}

/// Returns the kind of a request on which clients insist, and what two tries of it have in common.
fn name(request: &Request) -> Option<(&'static str, String)> {
    match request {
        Request::Submit { key: Some(key), .. } => Some(("submits", format!("submit under {key}"))),
        Request::Claim { key, .. } => Some(("claims", format!("claim under {key}"))),
        Request::Complete { task, attempt } => {
            Some(("completions", format!("complete {task} of attempt {attempt}")))
        }
        Request::Fail { task, attempt } => Some(("failures", format!("fail {task} of attempt {attempt}"))),
        Request::Cancel { task } => Some(("cancels", format!("cancel {task}"))),
        Request::Submit { key: None, .. } | Request::Heartbeat { .. } | Request::Read { .. } => None,
    }
}
