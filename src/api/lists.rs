//! Pages of lists, filters, and what a bulk operation did.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{Priority, TaskStatus};

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Page<T> {
    /// What is on this page, in order; may be fewer than asked for, even none, while there is a next page.
    pub items: Vec<T>,
    /// Give this as `cursor` to get the next page; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
    /// The regions that did not answer, in a list of all regions.
    #[serde(default = "Vec::new", skip_serializing_if = "Vec::is_empty")]
    pub unanswered: Vec<Unanswered>,
}

/// A region whose part of a list is missing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Unanswered {
    /// Which region.
    #[schema(example = "eu")]
    pub region: String,
    /// Why, for a person.
    pub reason: String,
}

impl<T> Page<T> {
    /// Makes a page of one region.
    pub const fn of(items: Vec<T>, next_cursor: Option<String>) -> Self {
        Self { items, next_cursor, unanswered: Vec::new() }
    }

    /// Makes something else of each item.
    pub fn map<U>(self, make: impl FnMut(T) -> U) -> Page<U> {
        Page {
            items: self.items.into_iter().map(make).collect(),
            next_cursor: self.next_cursor,
            unanswered: self.unanswered,
        }
    }
}

/// Which tasks are meant. What is left out does not matter; all that is given must hold.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct Filter {
    /// One of these, apart by commas.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "failed,timed_out")]
    #[param(example = "failed,timed_out")]
    pub status: Option<String>,
    /// The task's type.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The pool it is addressed to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pool: Option<String>,
    /// The agent, by id or name, that it is addressed to or that holds or held its last lease.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// The workspace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workspace: Option<String>,
    /// The priority it was submitted with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<Priority>,
    /// A label, as `name=value`; several apart by commas.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(example = "team=search")]
    pub label: Option<String>,
    /// Submitted at this time or later (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub submitted_after: Option<String>,
    /// Submitted before this time (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub submitted_before: Option<String>,
    /// The run of a fleet file it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
}

impl Filter {
    /// Returns a filter for tasks in one status.
    pub fn in_status(status: TaskStatus) -> Self {
        Self { status: Some(status.as_str().to_owned()), ..Self::default() }
    }
}

/// Which tasks a bulk operation is about.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Bulk {
    /// Those that this meets.
    pub filter: Filter,
    /// Must be said for a filter that excludes nothing, so that nobody means everything by mistake.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub all: bool,
    /// Why, for whoever looks later; only a cancel has use for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "superseded by a newer plan")]
    pub reason: Option<String>,
}

/// What a bulk operation did.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct BulkDone {
    /// How many tasks the filter met.
    pub matched: u64,
    /// How many of them were changed.
    pub done: u64,
    /// Those that were not, and why; at most 100.
    pub failures: Vec<BulkFailure>,
    /// Whether more tasks may match than one call changes: call again.
    pub more: bool,
}

/// One task that a bulk operation could not change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct BulkFailure {
    /// Which task.
    pub task_id: String,
    /// The stable code.
    pub code: String,
    /// Why, for a person.
    pub detail: String,
}
