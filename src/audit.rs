//! Records of the audit log as text, and back: what the API shows, what an export holds, and checking an export.
//!
//! A record that was read from text hashes as it did when it was written, so an export is checked without a node, by
//! whoever has it. Promises that every line that is not as it was written is found, by its number. Leaves the rule of the
//! chain to [`synod_domain::audit`], and asking a node to its callers.

mod export;
mod text;

pub use export::{EXPORT_VERSION, Found, check_export, export_head};
pub(crate) use text::link;
pub use text::{Unreadable, record_of, shown};
