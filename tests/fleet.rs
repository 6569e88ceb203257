//! Fleet files: what is read, what is refused and how that is said, and what a plan holds.

#[path = "fleet/audit.rs"]
mod audit;
#[path = "fleet/documents.rs"]
mod documents;
#[path = "fleet/expanding.rs"]
mod expanding;
#[path = "fleet/refusing.rs"]
mod refusing;
#[path = "fleet/schema.rs"]
mod schema;
