//! The JSON Schema of fleet files, made from the types that decode them.

use super::file::FleetShape;

/// Returns the JSON Schema of a fleet file, for editors; `synod schema fleet` prints it.
///
/// It knows the shape. What needs more than the shape (that a pool exists, that `after` has no cycle) only
/// reading the file finds. `docs/fleet.schema.json` is a copy of it.
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(FleetShape).to_value()
}
